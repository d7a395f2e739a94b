//! The names that people type: of groups and of instances, as the status of the service has them.

use std::collections::HashSet;
use std::fmt;

use jitsi_web::document::nearest;
use serde_json::Value;

/// A name that the service does not know, or that means several groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No group has it.
    #[error("find the group \"{name}\": the service has no fleet and no group of that name{}", hint(known))]
    Group {
        /// The name.
        name: String,
        /// The groups of the service, as `FLEET/ASG`, those with the nearest names first.
        known: Vec<String>,
    },
    /// A group where an instance is expected.
    #[error("find the instance {0}: that is a group; give the ids of instances, such as i-0123456789abcdef0")]
    IsGroup(String),
    /// The status shows no such instance.
    #[error("find {0}: no group shows it; name its group with --group=FLEET/ASG")]
    Instance(String),
    /// Several groups have the name.
    #[error("tell the group of {instance}: {name} means several; write --group=FLEET/ASG")]
    Several {
        /// The instance.
        instance: String,
        /// The name.
        name: String,
    },
}

/// How many groups a message lists.
const LISTED: usize = 5;

fn hint(known: &[String]) -> String {
    if known.is_empty() {
        return ", and has not evaluated any yet".to_owned();
    }
    let more = known.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("; it has {}{more}", known[..known.len().min(LISTED)].join(", "))
}

/// A group, as the status names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) fleet: String,
    pub(super) asg: String,
    pub(super) region: String,
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} in {}", self.fleet, self.asg, self.region)
    }
}

impl Group {
    pub(super) fn of(status: &Value) -> Self {
        let text = |key: &str| status[key].as_str().unwrap_or_default().to_owned();
        Self { fleet: text("fleet"), asg: text("asg"), region: text("region") }
    }

    fn has(&self, name: &str) -> bool {
        self.fleet == name || self.asg == name || format!("{}/{}", self.fleet, self.asg) == name
    }
}

fn reports(status: &Value) -> impl Iterator<Item = &Value> {
    status["groups"].as_array().map_or(&[][..], Vec::as_slice).iter()
}

/// Every group.
pub(super) fn groups(status: &Value) -> Vec<Group> {
    reports(status).map(Group::of).collect()
}

/// The groups that names mean, each once.
pub(super) fn select(status: &Value, wanted: &[String]) -> Result<Vec<Group>, NameError> {
    let all = groups(status);
    for name in wanted {
        if !all.iter().any(|group| group.has(name)) {
            let names = all.iter().flat_map(|group| [group.fleet.as_str(), group.asg.as_str()]);
            let near = nearest(name, names);
            let mut known: Vec<&Group> = all.iter().collect();
            known.sort_by_key(|group| !near.is_some_and(|near| group.has(near)));
            let mut known: Vec<String> =
                known.into_iter().map(|it| format!("{}/{}", it.fleet, it.asg)).collect();
            // A group of several regions has one name.
            let mut seen = HashSet::new();
            known.retain(|it| seen.insert(it.clone()));
            return Err(NameError::Group { name: name.clone(), known });
        }
    }
    Ok(all.into_iter().filter(|group| wanted.iter().any(|name| group.has(name))).collect())
}

/// The group of an instance: the one that is `named`, else the one whose status shows the instance.
pub(super) fn group_of(status: &Value, instance: &str, named: Option<&str>) -> Result<Group, NameError> {
    if groups(status).iter().any(|group| group.has(instance)) {
        return Err(NameError::IsGroup(instance.to_owned()));
    }
    let Some(name) = named else {
        let shows = reports(status).find(|group| mentions(group, instance));
        return shows.map(Group::of).ok_or_else(|| NameError::Instance(instance.to_owned()));
    };
    let mut found = select(status, &[name.to_owned()])?;
    match (found.pop(), found.is_empty()) {
        (Some(group), true) => Ok(group),
        _ => Err(NameError::Several { instance: instance.to_owned(), name: name.to_owned() }),
    }
}

/// Whether a part of a status is the id of an instance.
fn mentions(part: &Value, instance: &str) -> bool {
    match part {
        Value::String(text) => text == instance,
        Value::Array(items) => items.iter().any(|item| mentions(item, instance)),
        Value::Object(fields) => fields.values().any(|field| mentions(field, instance)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use test_case::test_case;

    use super::*;

    fn status() -> Value {
        json!({"groups": [
            {"fleet": "jvb", "asg": "a", "region": "x", "drains": [{"instance": "i-1"}]},
            {"fleet": "jvb", "asg": "b", "region": "x", "drained_by_hand": ["i-2"]},
            {"fleet": "jibri", "asg": "pool", "region": "x"},
        ]})
    }

    #[test_case(&["jvb"], &["a", "b"]; "a fleet")]
    #[test_case(&["b"], &["b"]; "a group")]
    #[test_case(&["jibri/pool", "pool"], &["pool"]; "both, once")]
    fn a_name_means_groups(names: &[&str], expected: &[&str]) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let found = select(&status(), &names).expect("groups");
        assert_eq!(found.iter().map(|group| group.asg.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_unknown_name_comes_with_the_known_ones() {
        let error = |status: &Value| select(status, &["jibr".to_owned()]).expect_err("unknown").to_string();
        let begin = "find the group \"jibr\": the service has no fleet and no group of that name";
        assert_eq!(error(&status()), format!("{begin}; it has jibri/pool, jvb/a, jvb/b"));
        assert_eq!(error(&json!({"groups": []})), format!("{begin}, and has not evaluated any yet"));
        let group = |asg| json!({"fleet": "jvb", "asg": format!("g{}", asg / 2), "region": "x"});
        let many = json!({"groups": (0..14).map(group).collect::<Vec<_>>()});
        assert!(error(&many).ends_with("it has jvb/g0, jvb/g1, jvb/g2, jvb/g3, jvb/g4 and 2 more"));
    }

    #[test]
    fn an_instance_is_looked_up() {
        let of = |instance, named| group_of(&status(), instance, named).map(|group| group.asg);
        assert_eq!(of("i-1", None).as_deref(), Ok("a"));
        assert_eq!(of("i-2", None).as_deref(), Ok("b"));
        assert_eq!(of("i-3", None), Err(NameError::Instance("i-3".to_owned())));
        assert_eq!(of("i-3", Some("pool")).as_deref(), Ok("pool"));
        assert!(matches!(of("i-3", Some("jvb")), Err(NameError::Several { .. })));
        assert_eq!(of("pool", Some("pool")), Err(NameError::IsGroup("pool".to_owned())));
    }
}
