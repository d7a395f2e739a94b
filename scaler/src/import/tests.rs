use std::path::Path;

use test_case::test_case;

use super::{ImportError, configuration, read, run};
use crate::config;

mod properties;
mod sets;

/// The translation of `tests/NAME.json`.
fn translation(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests").join(name).with_extension("json");
    let answers = std::fs::read(&path).expect("the answers of AWS");
    configuration(&read(&path, &answers).expect("read"))
}

/// What `check` finds in a translation. Whatever is no open choice is a defect of the import.
fn open_choices(text: &str) -> Vec<String> {
    let problems = config::parse(text, Path::new("")).err().unwrap_or_default();
    for problem in &problems {
        assert!(problem.text.contains("is an open choice: ") && problem.line > 0, "{problem}\n{text}");
    }
    let said = |problem: &config::Problem| {
        let words = problem.text.split("is an open choice: ").nth(1).unwrap_or_default();
        format!("{}: {}", problem.path, words.trim_end_matches("; write yours in place of <…>"))
    };
    problems.iter().map(said).collect()
}

/// Compares the whole text with `tests/NAME.yml`; with `WRITE_EXPECTED=1` in the environment that is written anew.
#[test_case("pair"; "two alarms on one value become one policy")]
#[test_case("sets/office_hours"; "scheduled actions become schedules")]
#[test_case("sets/exact_capacity_without_a_direction"; "a capacity without a direction stays open")]
fn the_text_explains_itself(name: &str) {
    let text = translation(name);
    let expected =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests").join(name).with_extension("yml");
    if std::env::var_os("WRITE_EXPECTED").is_some() {
        std::fs::write(&expected, &text).expect("written");
    }
    assert_eq!(text, std::fs::read_to_string(&expected).expect("a configuration"));
    assert!(!open_choices(&text).is_empty(), "a person must look first");
}

#[test_case("{}", "describe-alarms"; "JSON of something else")]
#[test_case("[{\"AlarmName\": \"x\"}]", "without --query"; "a part of an answer")]
#[test_case("fleets:", "--output json"; "no JSON")]
#[test_case("{\"MetricAlarms\": [], \"NextToken\": \"x\"}", "--max-items"; "an answer that is cut short")]
fn the_error_of_another_file_says_what_to_save(text: &str, expected: &str) {
    let error: ImportError = read(Path::new("x.json"), text.as_bytes()).expect_err("not for us");
    assert!(error.to_string().contains(expected) && error.to_string().contains("x.json"), "{error}");
}

#[test]
fn files_may_overlap_but_not_be_of_several_accounts() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests/sets/simple_pair.json");
    let once = run(std::slice::from_ref(&path)).expect("a configuration");
    assert_eq!(run(&[path.clone(), path.clone()]).expect("a configuration"), once);
    let folder = tempfile::tempdir().expect("a folder");
    let other = folder.path().join("other.json");
    let text = std::fs::read_to_string(&path).expect("the answers of AWS");
    std::fs::write(&other, text.replace("123456789012", "210987654321")).expect("written");
    let error = run(&[path, other]).expect_err("two accounts").to_string();
    assert!(error.contains("123456789012, 210987654321") && error.contains("role_arn"), "{error}");
}

#[test]
fn a_file_that_powershell_wrote_is_read() {
    let text = "{\"MetricAlarms\": [{\"AlarmName\": \"größer\"}]}";
    let marked = |bytes: Vec<u8>, mark: &[u8]| [mark, &bytes].concat();
    let wide = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let files = [
        text.as_bytes().to_vec(),
        marked(text.as_bytes().to_vec(), &[0xef, 0xbb, 0xbf]),
        marked(wide(u16::to_le_bytes), &[0xff, 0xfe]),
        marked(wide(u16::to_be_bytes), &[0xfe, 0xff]),
    ];
    for bytes in files {
        let answers = read(Path::new("x.json"), &bytes).expect("text");
        assert_eq!(answers.alarms[0].alarm_name, "größer", "{bytes:?}");
    }
    for bytes in [&[0xff, 0xfe, 0x00][..], &[0xff, 0xfe, 0x00, 0xd8], &[0xe9]] {
        let error = read(Path::new("x.json"), bytes).expect_err("no text");
        assert!(error.to_string().contains("-Encoding utf8"), "{error}");
    }
}
