use std::path::Path;

use test_case::test_case;

use super::{ImportError, configuration, read};
use crate::config;

/// The configuration once a person has chosen the PromQL.
fn filled(text: &str) -> config::Config {
    let line = |line: &str| match line.split_once("expr: ") {
        Some((indent, placeholder)) if placeholder.contains("<PromQL") => {
            format!("{indent}expr: chosen:by:hand\n")
        }
        _ => format!("{line}\n"),
    };
    let text: String = text.lines().map(line).collect();
    config::parse(&text, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}

/// Translates `tests/NAME.json`, whose groups are named after what is peculiar to them, and compares the text with
/// `tests/NAME.yml`; with `WRITE_EXPECTED=1` in the environment that is written anew.
fn translated(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests").join(name);
    let answers = std::fs::read_to_string(path.with_extension("json")).expect("the answers of AWS");
    let text = configuration(&read(&path, &answers).expect("read"));
    if std::env::var_os("WRITE_EXPECTED").is_some() {
        std::fs::write(path.with_extension("yml"), &text).expect("written");
    }
    assert_eq!(text, std::fs::read_to_string(path.with_extension("yml")).expect("a configuration"));
    text
}

#[test]
fn two_alarms_on_one_value_become_one_policy_without_promql() {
    let text = translated("pair");
    assert_eq!(filled(&text).fleets[0].policy.policies.len(), 1);
    let problems = config::parse(&text, Path::new("")).expect_err("a placeholder is no PromQL");
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("is not valid PromQL"), "{texts:?}");
}

#[test]
fn every_translation_is_valid_and_only_decides() {
    let config = filled(&translated("translated"));
    assert_eq!(config.fleets.len(), 13);
    assert!(config.fleets.iter().all(|fleet| fleet.dry_run), "nothing acts before a person has looked");
    let names: Vec<_> = config.fleets[0].policy.policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["high\"\nfleets: # }"]);
}

#[test]
fn what_has_no_equivalent_is_a_remark() {
    assert!(translated("untranslated").ends_with("fleets: []\n"));
}

#[test_case("{}", "find MetricAlarms or ScalingPolicies"; "JSON of something else")]
#[test_case("fleets:", "understand"; "no JSON")]
fn the_error_of_another_file_says_what_to_save(text: &str, expected: &str) {
    let error: ImportError = read(Path::new("x.json"), text).expect_err("not for us");
    assert!(error.to_string().contains(expected) && error.to_string().contains("describe-"), "{error}");
}
