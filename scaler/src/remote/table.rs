//! The status of groups as text.

use std::fmt::Write as _;

use serde_json::Value;

use super::names::Group;

const HEADS: [&str; 7] = ["GROUP", "STATE", "WANTED", "READY", "DRAINING", "KEPT", "BOUNDS"];

/// A line for each group, and below the sentence of each, its drains and what went wrong.
pub(super) fn table(status: &Value, groups: &[Group]) -> String {
    let reports = status["groups"].as_array().map_or(&[][..], Vec::as_slice);
    let shown: Vec<&Value> = reports.iter().filter(|it| groups.contains(&Group::of(it))).collect();
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(shown.iter().map(|group| row(group)));
    let widths: Vec<usize> = (0..HEADS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    for group in &shown {
        details(&mut text, group);
    }
    for problem in status["problems"].as_array().into_iter().flatten() {
        line(&mut text, &format!("\n{}: {}", words(&problem["fleet"]), words(&problem["text"])));
    }
    if let Some(shards) = status["leader"]["shards"].as_array() {
        line(&mut text, "");
        for shard in shards {
            let who =
                if shard["leading"] == true { "this scaler".to_owned() } else { words(&shard["holder"]) };
            line(&mut text, &format!("shard {}: {who} leads", words(&shard["shard"])));
        }
    } else if status["leader"]["leading"] == false {
        line(&mut text, &format!("\nthis scaler stands by; {} leads", words(&status["leader"]["holder"])));
    }
    text
}

fn row(group: &Value) -> [String; 7] {
    let current = &group["current"];
    let state = match words(&group["action"]).as_str() {
        _ if group["paused"].is_object() => "paused",
        "scale_out" => "scales out",
        "scale_in" => "scales in",
        _ if group["dry_run"] == true => "dry run",
        _ => "holds",
    };
    [
        Group::of(group).to_string(),
        state.to_owned(),
        words(&group["desired"]),
        words(&current["ready"]),
        words(&current["draining"]),
        words(&current["kept"]),
        format!("{} to {}", words(&current["min"]), words(&current["max"])),
    ]
}

fn details(text: &mut String, group: &Value) {
    line(text, &format!("\n{}: {}", Group::of(group), words(&group["text"])));
    for drain in group["drains"].as_array().into_iter().flatten() {
        let by = drain["by"].as_str().map(|by| format!("; by {}", clean(by)));
        let reason = drain["reason"].as_str().map(|reason| format!(": {}", clean(reason)));
        line(
            text,
            &format!("  {}{}{}", words(&drain["text"]), by.unwrap_or_default(), reason.unwrap_or_default()),
        );
    }
    for id in group["drained_by_hand"].as_array().into_iter().flatten() {
        line(text, &format!("  {} is drained by hand", words(id)));
    }
    for step in group["failed_steps"].as_array().into_iter().flatten() {
        line(text, &format!("  {}: failed to {}", words(&step["time"]), words(&step["error"])));
    }
}

fn line(text: &mut String, words: &str) {
    // Writing to a string succeeds.
    let _ = writeln!(text, "{words}");
}

/// A value in words; `-` without one.
fn words(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text),
        other => other.to_string(),
    }
}

/// A text without what would steer a terminal.
fn clean(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::{Status, sample};

    #[test]
    fn a_status_is_a_table() {
        let status = Status { groups: vec![sample::group()], ..Status::default() };
        let mut status = serde_json::to_value(status).expect("JSON");
        status["problems"] = json!([{"fleet": "jvb", "text": "a \u{1b}[31mred\u{1b}[0m text"}]);
        let groups = [Group::of(&status["groups"][0])];
        let text = table(&status, &groups);
        let lines: Vec<&str> = text.lines().collect();
        let heads = "GROUP                      STATE       WANTED  READY  DRAINING  KEPT  BOUNDS";
        let row = "jvb/prod-jvb in us-east-1  scales out  4       3      1         0     1 to 9";
        assert_eq!(lines[..2], [heads, row]);
        assert!(text.contains("\n  i-0123456789abcdef0 draining for 600 s (scale-in): it is still in use; by alice: a new kernel\n"), "{text}");
        assert!(text.contains("\n  i-0123456789abcdef2 is drained by hand\n"), "{text}");
        assert!(text.contains("\njvb: a [31mred[0m text\n"), "{text}");
    }
}
