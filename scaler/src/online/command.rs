//! Commands to paste, and lists of names in texts.

use super::finding::Place;

/// How many names a text lists.
const LISTED: usize = 5;

/// The first names, and the number of the others.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// A command of `aws autoscaling` about the group at `place`; `arguments` come before the region.
pub(crate) fn aws(place: &Place, command: &str, arguments: &[&str]) -> String {
    let mut line = format!("aws autoscaling {command}");
    if let Some(group) = &place.group {
        line.push_str(&format!(" --auto-scaling-group-name {}", quoted(group.as_str())));
    }
    finish(line, place, arguments)
}

/// A command of `aws autoscaling` whose arguments name the group themselves.
pub(super) fn aws_bare(place: &Place, command: &str, arguments: &[&str]) -> String {
    finish(format!("aws autoscaling {command}"), place, arguments)
}

fn finish(mut line: String, place: &Place, arguments: &[&str]) -> String {
    for argument in arguments {
        line.push_str(&format!(" {}", quoted(argument)));
    }
    if let Some(region) = &place.region {
        line.push_str(&format!(" --region {region}"));
    }
    line
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{FleetName, GroupName, Region};

    #[test]
    fn a_command_can_be_pasted() {
        let place = Place::fleet(&FleetName::new("a")).region(&Region::new("us-east-1"));
        let place = place.group(&GroupName::new("it's a group"));
        assert_eq!(
            aws(&place, "resume-processes", &["--scaling-processes", "Launch"]),
            r"aws autoscaling resume-processes --auto-scaling-group-name 'it'\''s a group' --scaling-processes Launch --region us-east-1"
        );
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
    }

    #[test]
    fn a_long_list_is_counted() {
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed(["a"; 7]), "a, a, a, a, a and 2 more");
    }
}
