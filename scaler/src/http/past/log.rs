//! The decisions of a group in the file of `--decision-log`, newest first.
//!
//! Owns how much of the file is read: its end, and that of the file that a rotation put aside. It is read by a page load,
//! in a thread for work that waits for a disk.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;

use super::questions::GroupKey;
use crate::report::journal::Record;
use crate::units::Time;

/// How many bytes are read at most: some thousands of decisions.
const MOST_BYTES: u64 = 4 << 20;
/// How many decisions are returned at most.
const MOST_DECISIONS: usize = 200;

/// A decision that the log has, or the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Told {
    /// When it was made.
    pub(in crate::http) at: Time,
    /// `hold`, `scale_out` or `scale_in`.
    pub(in crate::http) action: String,
    /// One sentence for a person.
    pub(in crate::http) text: String,
    /// Its steps, as clauses for a person.
    pub(in crate::http) steps: Vec<String>,
}

impl Told {
    /// A decision of the journal. `None` if its time is none.
    pub(in crate::http) fn of(record: &Record) -> Option<Self> {
        Some(Self {
            at: Time::parse(&record.time)?,
            action: record.action.to_owned(),
            text: record.text.clone(),
            steps: record.effects.iter().map(|effect| effect.text.clone()).collect(),
        })
    }
}

/// The part of a line that a page shows.
#[derive(Deserialize)]
struct Line {
    time: String,
    fleet: String,
    asg: String,
    region: String,
    action: String,
    text: String,
    #[serde(default)]
    effects: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    text: String,
}

/// The decisions of `group` since `from`, newest first. A file that cannot be read has none: it may not exist yet, or any
/// more.
pub(super) fn read(path: &Path, group: &GroupKey, from: Time) -> Vec<Told> {
    let mut rotated = path.as_os_str().to_owned();
    rotated.push(".1");
    let mut left = MOST_BYTES;
    let mut told = Vec::new();
    for file in [path, Path::new(&rotated)] {
        let Some(text) = end_of(file, left) else { continue };
        left -= (text.len() as u64).min(left);
        for line in text.lines().rev() {
            let Some(line) = line_of(line, group) else { continue };
            let Some(at) = Time::parse(&line.time) else { continue };
            if at < from || told.len() == MOST_DECISIONS {
                return told;
            }
            let steps = line.effects.into_iter().map(|step| step.text).collect();
            told.push(Told { at, action: line.action, text: line.text, steps });
        }
    }
    told
}

/// The whole lines among the last `most` bytes of a file.
fn end_of(path: &Path, most: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    let skipped = length.saturating_sub(most);
    file.seek(SeekFrom::Start(skipped)).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let whole = if skipped == 0 { &text } else { text.split_once('\n')?.1 };
    Some(whole.to_owned())
}

/// A line, if it is a decision of `group`. Lines of other groups are skipped before they are parsed.
fn line_of(line: &str, group: &GroupKey) -> Option<Line> {
    let name = serde_json::to_string(&group.asg).ok()?;
    let line: Line = line.contains(&name).then(|| serde_json::from_str(line).ok())??;
    let is_meant = line.fleet == group.fleet && line.asg == group.asg && line.region == group.region;
    is_meant.then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn key(asg: &str) -> GroupKey {
        GroupKey { fleet: "jvb".to_owned(), region: "us-east-1".to_owned(), asg: asg.to_owned() }
    }

    /// A line as the scaler writes it.
    fn line(asg: &str, minute: u32) -> String {
        let mut status = sample::group();
        (status.asg, status.time) = (asg.to_owned(), format!("2026-11-20T07:{minute:02}:00Z"));
        serde_json::to_string(&Record::of(&status)).expect("JSON") + "\n"
    }

    fn minutes(told: &[Told]) -> Vec<String> {
        told.iter().map(|told| told.at.to_string()[14..16].to_owned()).collect()
    }

    #[test]
    fn the_newest_decisions_of_a_group_are_found_also_behind_a_rotation() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("decisions.jsonl");
        let all = Time::parse("2026-11-20T00:00:00Z").expect("a time");
        assert_eq!(read(&path, &key("a\"b"), all), [], "there is no file yet");

        std::fs::write(
            &path,
            [line("a\"b", 3), line("other", 4), "nonsense\n".to_owned(), line("a\"b", 5)].concat(),
        )
        .expect("a file");
        std::fs::write(folder.path().join("decisions.jsonl.1"), line("a\"b", 1) + &line("a\"b", 2))
            .expect("a file");
        let told = read(&path, &key("a\"b"), all);
        assert_eq!(minutes(&told), ["05", "03", "02", "01"]);
        assert_eq!((told[0].action.as_str(), told[0].steps.len()), ("scale_out", 1));
        let late = Time::parse("2026-11-20T07:02:00Z").expect("a time");
        assert_eq!(minutes(&read(&path, &key("a\"b"), late)), ["05", "03", "02"]);
        let elsewhere = GroupKey { region: "eu-west-1".to_owned(), ..key("a\"b") };
        assert_eq!(read(&path, &elsewhere, all), []);
    }

    #[test]
    fn only_whole_lines_of_the_end_of_a_large_file_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("decisions.jsonl");
        let lines = line("a", 1) + &line("a", 2) + &line("a", 3);
        std::fs::write(&path, &lines).expect("a file");
        let two_and_a_bit = line("a", 2).len() * 2 + 10;
        let text = end_of(&path, two_and_a_bit as u64).expect("a text");
        assert_eq!(text, line("a", 2) + &line("a", 3));
        assert_eq!(end_of(folder.path(), 10), None, "a folder is no file");
    }
}
