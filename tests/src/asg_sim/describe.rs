//! The actions that read.
//!
//! They read a snapshot of the groups instead of the cloud, so that they can also answer from a stale snapshot.

use std::fmt::Write as _;

use super::action::Action;
use super::answers;
use super::error::{ApiError, ErrorCode};
use super::model::{Activity, Group};
use super::protocol::{Query, Xml};
use super::state::Groups;
use crate::cloud_parts::time;

pub(super) fn describe(
    action: Action,
    groups: &Groups,
    region: &str,
    query: &Query,
) -> Result<Xml, ApiError> {
    let mut xml = Xml::default();
    match action {
        Action::DescribeAutoScalingGroups => auto_scaling_groups(&mut xml, groups, region, query)?,
        Action::DescribeAutoScalingInstances => instances(&mut xml, groups, region, query)?,
        Action::DescribeScalingActivities => activities(&mut xml, groups, region, query)?,
        Action::DescribeTags => tags(&mut xml, groups, region, query)?,
        Action::DescribeLifecycleHooks => {
            let group = groups.get(region, query.required("AutoScalingGroupName")?)?;
            let names = query.list("LifecycleHookNames");
            let wanted = group.hooks.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
            xml.list("LifecycleHooks", wanted, |xml, (name, hook)| answers::hook(xml, group, name, hook));
        }
        Action::DescribePolicies => policies(&mut xml, groups, region, query)?,
        Action::DescribeScheduledActions => scheduled_actions(&mut xml, groups, region, query)?,
        Action::DescribeInstanceRefreshes => {
            let group = groups.get(region, query.required("AutoScalingGroupName")?)?;
            let ids = query.list("InstanceRefreshIds");
            let newest_first = group.refreshes.iter().rev().enumerate();
            let wanted = newest_first
                .filter(|(_, refresh)| ids.is_empty() || ids.contains(&refresh.id))
                .map(|(place, refresh)| (format!("{place:08}"), refresh))
                .collect();
            let page = Page::of(wanted, query, action, 50, 100)?;
            page.write(&mut xml, "InstanceRefreshes", |xml, refresh| answers::refresh(xml, group, refresh));
        }
        Action::DescribeAccountLimits => {
            xml.leaf("MaxNumberOfAutoScalingGroups", 500);
            xml.leaf("MaxNumberOfLaunchConfigurations", 200);
            xml.leaf("NumberOfAutoScalingGroups", groups.of_region(region).count());
            xml.leaf("NumberOfLaunchConfigurations", 0);
        }
        _ => return Err(ErrorCode::InternalFailure.into()),
    }
    Ok(xml)
}

fn auto_scaling_groups(xml: &mut Xml, groups: &Groups, region: &str, query: &Query) -> Result<(), ApiError> {
    let names = at_most(query.list("AutoScalingGroupNames"), "autoScalingGroupNames", 100)?;
    let filters = filters(query)?;
    for (name, _) in &filters {
        if !matches!(name.as_str(), "tag-key" | "tag-value") && !name.starts_with("tag:") {
            return Err(ApiError::invalid(format!(
                "Filter type {name} is not correct. Allowed Filter types are: tag-key, tag-value, tag:<key>"
            )));
        }
    }
    let wanted = groups
        .of_region(region)
        .filter(|group| names.is_empty() || names.contains(&group.key.name))
        .filter(|group| filters.iter().all(|(name, values)| has_tag(group, name, values)))
        .map(|group| (group.key.name.clone(), group))
        .collect();
    let with_instances = query.flag("IncludeInstances")?.unwrap_or(true);
    let page = Page::of(wanted, query, Action::DescribeAutoScalingGroups, 50, 100)?;
    page.write(xml, "AutoScalingGroups", |xml, group| answers::group(xml, group, with_instances));
    Ok(())
}

fn has_tag(group: &Group, filter: &str, values: &[String]) -> bool {
    group.tags.iter().any(|(key, tag)| match filter.strip_prefix("tag:") {
        Some(wanted) => key == wanted && values.contains(&tag.value),
        None if filter == "tag-key" => values.contains(key),
        None => values.contains(&tag.value),
    })
}

fn instances(xml: &mut Xml, groups: &Groups, region: &str, query: &Query) -> Result<(), ApiError> {
    let ids = at_most(query.list("InstanceIds"), "instanceIds", 50)?;
    let mut wanted: Vec<_> = groups
        .of_region(region)
        .flat_map(|group| group.instances.iter().map(move |instance| (group, instance)))
        .filter(|(_, instance)| ids.is_empty() || ids.contains(&instance.id))
        .map(|(group, instance)| (instance.id.clone(), (group, instance)))
        .collect();
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let page = Page::of(wanted, query, Action::DescribeAutoScalingInstances, 50, 50)?;
    page.write(xml, "AutoScalingInstances", |xml, (group, instance)| {
        answers::managed_instance(xml, group, instance);
    });
    Ok(())
}

fn activities(xml: &mut Xml, groups: &Groups, region: &str, query: &Query) -> Result<(), ApiError> {
    let name = query.text("AutoScalingGroupName");
    if let Some(name) = name {
        groups.get(region, name)?;
    }
    let ids = query.list("ActivityIds");
    let filters = filters(query)?;
    for (filter, values) in &filters {
        check_activity_filter(filter, values)?;
    }
    let mut wanted: Vec<(String, (&Group, &Activity))> = groups
        .of_region(region)
        .filter(|group| name.is_none_or(|name| group.key.name == name))
        .flat_map(|group| group.activities.iter().map(move |activity| (group, activity)))
        .filter(|(_, activity)| ids.is_empty() || ids.contains(&activity.id))
        .filter(|(_, activity)| filters.iter().all(|(filter, values)| passes(activity, filter, values)))
        // Counting down puts the newest first, and a cursor still means "after this".
        .map(|(group, activity)| (format!("{:020}", u64::MAX - activity.sequence), (group, activity)))
        .collect();
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let page = Page::of(wanted, query, Action::DescribeScalingActivities, 100, 100)?;
    page.write(xml, "Activities", |xml, (group, activity)| answers::activity(xml, group, activity));
    Ok(())
}

fn check_activity_filter(filter: &str, values: &[String]) -> Result<(), ApiError> {
    let good = match filter {
        "StartTimeLowerBound" | "StartTimeUpperBound" => {
            values.iter().all(|value| time::parse(value).is_some())
        }
        "Status" => true,
        _ => false,
    };
    if good { Ok(()) } else { Err(ApiError::invalid(format!("Filter {filter} is not valid"))) }
}

fn passes(activity: &Activity, filter: &str, values: &[String]) -> bool {
    let mut bounds = values.iter().filter_map(|value| time::parse(value));
    match filter {
        "StartTimeLowerBound" => bounds.all(|bound| activity.start >= bound),
        "StartTimeUpperBound" => bounds.all(|bound| activity.start <= bound),
        _ => values.iter().any(|status| status == activity.status.as_str()),
    }
}

fn tags(xml: &mut Xml, groups: &Groups, region: &str, query: &Query) -> Result<(), ApiError> {
    let filters = filters(query)?;
    let mut wanted = Vec::new();
    for group in groups.of_region(region) {
        for (key, tag) in &group.tags {
            let passes = |(filter, values): &(String, Vec<String>)| match filter.as_str() {
                "auto-scaling-group" => Ok(values.contains(&group.key.name)),
                "key" => Ok(values.contains(key)),
                "value" => Ok(values.contains(&tag.value)),
                "propagate-at-launch" => Ok(values.contains(&tag.propagate.to_string())),
                other => Err(ApiError::invalid(format!("Filter type {other} is not correct."))),
            };
            let verdicts: Vec<bool> = filters.iter().map(passes).collect::<Result<_, _>>()?;
            if verdicts.into_iter().all(|passed| passed) {
                wanted.push((format!("{}\n{key}", group.key.name), (group, key, tag)));
            }
        }
    }
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let page = Page::of(wanted, query, Action::DescribeTags, 50, 100)?;
    page.write(xml, "Tags", |xml, (group, key, tag)| answers::tag(xml, &group.key.name, key, tag));
    Ok(())
}

fn scheduled_actions(xml: &mut Xml, groups: &Groups, region: &str, query: &Query) -> Result<(), ApiError> {
    let name = query.text("AutoScalingGroupName");
    if let Some(name) = name {
        groups.get(region, name)?;
    }
    let names = query.list("ScheduledActionNames");
    let mut wanted: Vec<_> = groups
        .of_region(region)
        .filter(|group| name.is_none_or(|name| group.key.name == name))
        .flat_map(|group| group.scheduled_actions.iter().map(move |action| (group, action)))
        .filter(|(_, action)| names.is_empty() || names.contains(&action.name))
        .map(|(group, action)| (format!("{}\n{}", group.key.name, action.name), (group, action)))
        .collect();
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let page = Page::of(wanted, query, Action::DescribeScheduledActions, 50, 100)?;
    page.write(xml, "ScheduledUpdateGroupActions", |xml, (group, action)| {
        answers::scheduled_action(xml, group, action);
    });
    Ok(())
}

fn policies(xml: &mut Xml, groups: &Groups, region: &str, query: &Query) -> Result<(), ApiError> {
    let name = query.text("AutoScalingGroupName");
    if let Some(name) = name {
        groups.get(region, name)?;
    }
    let (names, types) = (query.list("PolicyNames"), query.list("PolicyTypes"));
    let mut wanted: Vec<_> = groups
        .of_region(region)
        .filter(|group| name.is_none_or(|name| group.key.name == name))
        .flat_map(|group| group.policies.iter().map(move |policy| (group, policy)))
        .filter(|(_, policy)| names.is_empty() || names.contains(&policy.name))
        .filter(|(_, policy)| types.is_empty() || types.contains(&policy.kind))
        .map(|(group, policy)| (format!("{}\n{}", group.key.name, policy.name), (group, policy)))
        .collect();
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let page = Page::of(wanted, query, Action::DescribePolicies, 50, 100)?;
    page.write(xml, "ScalingPolicies", |xml, (group, policy)| answers::policy(xml, group, policy));
    Ok(())
}

/// The filters of a request: each has a name and values, one of which must match.
fn filters(query: &Query) -> Result<Vec<(String, Vec<String>)>, ApiError> {
    query
        .structures("Filters")
        .iter()
        .map(|filter| Ok((filter.required("Name")?.to_owned(), filter.list("Values"))))
        .collect()
}

fn at_most(items: Vec<String>, parameter: &str, most: usize) -> Result<Vec<String>, ApiError> {
    if items.len() <= most {
        return Ok(items);
    }
    Err(ApiError::invalid(format!(
        "1 validation error detected: Value at '{parameter}' failed to satisfy constraint: Member must \
         have length less than or equal to {most}"
    )))
}

/// One page of an answer: some items, and the start of the next page.
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Page<T> {
    /// Selects the requested page from items that are sorted by their cursor.
    fn of(
        items: Vec<(String, T)>,
        query: &Query,
        action: Action,
        usual: u32,
        most: u32,
    ) -> Result<Self, ApiError> {
        let size = query.number("MaxRecords")?.unwrap_or(usual);
        if size == 0 || size > most {
            return Err(ApiError::invalid(format!(
                "1 validation error detected: Value '{size}' at 'maxRecords' failed to satisfy constraint: \
                 Member must have value between 1 and {most}"
            )));
        }
        let after = match query.text("NextToken") {
            Some(token) => Some(cursor_of(token, action).ok_or(ErrorCode::InvalidNextToken)?),
            None => None,
        };
        let mut rest = items
            .into_iter()
            .filter(|(cursor, _)| after.as_ref().is_none_or(|after| cursor > after))
            .peekable();
        let mut page = Self { items: Vec::new(), next: None };
        for _ in 0..size {
            let Some((cursor, item)) = rest.next() else { break };
            page.items.push(item);
            page.next = Some(token_of(&cursor, action));
        }
        if rest.peek().is_none() {
            page.next = None;
        }
        Ok(page)
    }

    fn write(self, xml: &mut Xml, name: &str, item: impl FnMut(&mut Xml, T)) {
        xml.list(name, self.items, item);
        xml.maybe("NextToken", self.next);
    }
}

/// A token is opaque to callers: the action and the last cursor, in hexadecimal digits.
fn token_of(cursor: &str, action: Action) -> String {
    format!("{}\n{cursor}", action.as_str()).bytes().fold(String::new(), |mut token, byte| {
        // Writing to a String cannot fail.
        let _ = write!(token, "{byte:02x}");
        token
    })
}

fn cursor_of(token: &str, action: Action) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        (0..token.len()).step_by(2).map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok()).collect();
    let text = String::from_utf8(bytes?).ok()?;
    Some(text.strip_prefix(action.as_str())?.strip_prefix('\n')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_action_only() {
        let token = token_of("prod-jvb", Action::DescribeAutoScalingGroups);
        assert_eq!(cursor_of(&token, Action::DescribeAutoScalingGroups).as_deref(), Some("prod-jvb"));
        assert_eq!(cursor_of(&token, Action::DescribeTags), None);
        assert_eq!(cursor_of("zz", Action::DescribeTags), None);
        assert_eq!(cursor_of("é", Action::DescribeTags), None);
    }
}
