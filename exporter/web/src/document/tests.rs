use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde::Deserialize;
use test_case::test_case;

use super::*;

#[derive(Deserialize)]
struct Root {
    name: Field<String>,
    warmup: Field<Wait>,
    is_dry: Field<bool>,
    regions: Field<OneOrMany>,
    entries: Field<Vec<Field<Entry>>>,
    tags: Field<BTreeMap<String, Field<String>>>,
    password: Field<Secret>,
    via: Field<Via>,
}

#[derive(Deserialize)]
struct Entry {
    from: Field<String>,
}

#[derive(Deserialize)]
enum Via {
    Text(String),
    Section(Entry),
}

/// What is read from `text`, and what is wrong with it.
fn read_root(text: &str, dialect: Dialect) -> (Option<Root>, String) {
    let problems = Problems::default();
    let root = read(text, dialect, &problems).take();
    let (wrong, _) = problems.into_sorted();
    (root, wrong.iter().map(|problem| format!("{problem}\n")).collect())
}

#[test]
fn a_file_becomes_its_struct() {
    let text = "name: 1.10\nwarmup: 3m\nis_dry: yes\nregions: [a, 007]\nentries: [{from: x}, {}]\n\
                tags: {b: &b 1_0, a: *b}\npassword: '0815'\nvia: {from: z}\n";
    let (root, problems) = read_root(text, Dialect::Strict);
    assert_eq!(problems, "");
    let root = root.expect("a section");
    assert_eq!(root.name.get().map(String::as_str), Some("1.10"));
    assert_eq!(root.warmup.take(), Some(Wait(Duration::from_mins(3))));
    assert_eq!(root.is_dry.get(), Some(&true));
    assert_eq!(root.regions.take().expect("texts").into_texts(), ["a", "007"]);
    let entries = root.entries.take().expect("a list");
    let from = entries[0].get().expect("an entry").from.clone();
    assert_eq!(from.place(), &Place { line: 5, path: "entries[0].from".to_owned() });
    assert!(entries[1].get().expect("an entry").from.is_absent());
    let tags = root.tags.take().expect("a map");
    assert_eq!((tags["a"].get(), tags["b"].get()), (Some(&"1_0".to_owned()), Some(&"1_0".to_owned())));
    assert_eq!(root.password.take().expect("a secret").0.expose_secret(), "0815");
    assert!(matches!(root.via.take(), Some(Via::Section(Entry { from })) if from.get().is_some()));
    let (root, _) = read_root("via: x\nregions: a\n", Dialect::Strict);
    let root = root.expect("a section");
    assert!(matches!(root.via.take(), Some(Via::Text(text)) if text == "x"));
    assert_eq!(root.regions.take().expect("texts").into_texts(), ["a"]);
}

#[test]
fn every_mistake_is_noted_and_no_value_is_shown() {
    let text = "nam: a\nwarmup: 10\nis_dry: 'on'\nregions: [a, hunter2: 1]\nentries:\n  - {from: [hunter2]}\n  - hunter2\n\
                tags: {a: on, b: }\npassword: 4711\nvia: [hunter2]\nelse: 1\n";
    let (root, problems) = read_root(text, Dialect::Strict);
    let expected = "\
line 1: there is no key `nam` here; did you mean `name`?
line 2: warmup: must be a duration with its unit, such as 90s, 10m or 7d, not \"10\"
line 3: is_dry: must be true or false, not a text; write it without quotes
line 4: regions[1]: must be a text, not a section
line 6: entries[0].from: must be a text, not a list
line 7: entries[1]: must be a section of keys and values, not a text
line 8: tags.a: must be a text, not a boolean; put it into quotes
line 8: tags.b: has no value; write one, or leave the key out
line 9: password: must be a text, not a number; put it into quotes
line 10: via: must be a text or a section, not a list
line 11: there is no key `else` here; known are entries, is_dry, name, password, regions, tags, via, warmup
";
    assert_eq!(problems, expected);
    let root = root.expect("a section");
    assert!(!root.name.is_absent() && root.name.get().is_none(), "a misspelt key is not a missing one");
}

#[test_case("", "" ; "an empty file is a section")]
#[test_case("# a comment", "" ; "and so is a comment")]
#[test_case("- a", "line 1: must be a section of keys and values, not a list\n" ; "a list")]
#[test_case("name: a\nname: b", "line 2: the key `name` appears twice in one section; remove one, or begin a new entry of a list with `- `\n" ; "a key twice")]
#[test_case("name: a\n---\nname: b", "line 3: a second document begins here; remove the line --- and what follows it\n" ; "two documents")]
#[test_case("via: {from: x\nname: [", "line 2: this is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'; put texts with {, }, : or # into quotes; nothing after it was read\n" ; "no YAML")]
#[test_case("via:\n\tfrom: x", "line 2: this is not valid YAML: tabs disallowed within this context (block indentation); indent with spaces, not with tabs; nothing after it was read\n" ; "a tab")]
#[test_case("name: > 2\n", "line 1: this is not valid YAML: while scanning a block scalar, did not find expected comment or line break; put comparisons into quotes, as in when: \"> 2\"; nothing after it was read\n" ; "a comparison")]
fn the_file_as_a_whole(text: &str, expected: &str) {
    assert_eq!(read_root(text, Dialect::Strict).1, expected);
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_its_own() {
    let (_, problems) = read_root("from: x\nentries: [{warmup: 3m}]\n", Dialect::Strict);
    let expected = "\
line 1: there is no key `from` here; it belongs in `entries[]` or in `via`; known are entries, is_dry, name, password, regions, tags, via, warmup
line 2: entries[0]: there is no key `warmup` here; it belongs at the top of the file; known are from
";
    assert_eq!(problems, expected);
}

#[test]
fn an_open_choice_is_named_wherever_it_stands_and_alone() {
    let text = "name: <a name>\nwarmup: <how long>\nis_dry: <true or false>\nregions: [a, <a region>]\nentries: <a list>\n\
                tags: {a: <a tag>}\npassword: <hunter2>\n\"<via or else: regions matter>\": x\n";
    let (root, problems) = read_root(text, Dialect::Strict);
    let expected = "\
line 1: name: is an open choice: a name; write yours in place of <…>
line 2: warmup: is an open choice: how long; write yours in place of <…>
line 3: is_dry: is an open choice: true or false; write yours in place of <…>
line 4: regions[1]: is an open choice: a region; write yours in place of <…>
line 5: entries: is an open choice: a list; write yours in place of <…>
line 6: tags.a: is an open choice: a tag; write yours in place of <…>
line 8: a key is an open choice: via or else: regions matter; write yours in place of <…>
";
    assert_eq!(problems, expected);
    let root = root.expect("a section");
    assert_eq!(root.password.take().expect("a secret").0.expose_secret(), "<hunter2>");
    assert!(root.via.is_wrong(), "a key that is still to be chosen is not a missing one");
    assert_eq!(read_root("name: <a name>\n", Dialect::Go).1, "");
    assert_eq!(read_root("name: <>\n", Dialect::Strict).1, "");
}

#[test]
fn go_takes_a_key_without_a_value_for_absent_and_a_boolean_for_a_text() {
    let (root, problems) = read_root("name: on\nwarmup:\ntags: {a: ~}\nis_dry: Off\n", Dialect::Go);
    assert_eq!(problems, "");
    let root = root.expect("a section");
    assert_eq!(root.name.get().map(String::as_str), Some("on"));
    assert_eq!(root.is_dry.get(), Some(&false));
    assert!(root.warmup.is_absent() && root.tags.take().expect("a map")["a"].is_absent());
}

#[test_case("90s", Ok(90) ; "seconds")]
#[test_case("1h 30m", Ok(5400) ; "two units")]
#[test_case("7d", Ok(604_800) ; "days")]
#[test_case("5M", Err("\"5M\" is in months; for minutes write m") ; "months")]
#[test_case("1y", Err("must be a duration with its unit, such as 90s, 10m or 7d, not \"1y\"") ; "a year")]
#[test_case("100d", Err("\"100d\" is longer than 90d") ; "too long")]
#[test_case("soon", Err("must be a duration with its unit, such as 90s, 10m or 7d, not \"soon\"") ; "a word")]
fn durations(text: &str, expected: Result<u64, &str>) {
    let (root, problems) = read_root(&format!("warmup: {text}"), Dialect::Strict);
    match expected {
        Ok(seconds) => {
            assert_eq!(root.and_then(|root| root.warmup.take()), Some(Wait(Duration::from_secs(seconds))));
        }
        Err(expected) => assert_eq!(problems, format!("line 1: warmup: {expected}\n")),
    }
}

#[test]
fn a_field_is_judged_at_its_place() {
    let problems = Problems::default();
    let root: Field<Root> = read("name: ''\nentries: [{}]\n", Dialect::Strict, &problems);
    let root = root.take().expect("a section");
    assert!(root.name.not_empty(&problems).take().is_none());
    assert!(root.warmup.required(&problems, "3m").or(Wait(Duration::ZERO)).is_none());
    let entry = root.entries.take().expect("a list").remove(0).take().expect("an entry");
    let word = entry.from.required(&problems, "a").one_of(&problems, &[("a", 1), ("b", 2)]);
    word.place().warn(&problems, "it is odd");
    let (wrong, warnings) = problems.into_sorted();
    let wrong: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    let expected = [
        "line 1: name: must not be empty; write a text, or leave the key out",
        "line 1: `warmup` is missing; write for example `warmup: 3m`",
        "line 2: entries[0]: `from` is missing; write for example `from: a`",
    ];
    assert_eq!(wrong, expected);
    assert_eq!(warnings[0].to_string(), "line 2: entries[0].from: it is odd");
}

#[test]
fn every_key_is_listed() {
    let listed = keys::<Root>();
    let expected = [
        "entries",
        "entries[].from",
        "is_dry",
        "name",
        "password",
        "regions",
        "tags",
        "via",
        "via.from",
        "warmup",
    ];
    assert_eq!(listed.into_iter().collect::<Vec<_>>(), expected);
}
