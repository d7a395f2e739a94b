//! `openapi.yml` describes what is served: every field of every report, and nothing else.

use serde::Serialize;
use serde_json::{Value, json};

use crate::report::OrderReport;
use crate::report::journal::Record;
use crate::report::{FleetProblem, GroupStatus, LeaderReport, ShardReport, Status, sample};

/// The description, which here must have every field. Clients accept unknown ones.
fn description() -> Value {
    let mut description = serde_saphyr::from_str(include_str!("../../../openapi.yml")).expect("YAML");
    close(&mut description);
    description
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// What is wrong with an answer, by the description of `schema`.
fn mistakes(schema: &str, answer: &impl Serialize) -> Vec<String> {
    let components = description()["components"].clone();
    let root = json!({"$ref": format!("#/components/schemas/{schema}"), "components": components});
    let validator = jsonschema::validator_for(&root).expect("a schema");
    let answer = serde_json::to_value(answer).expect("JSON");
    validator.iter_errors(&answer).map(|it| format!("{}: {it}", it.instance_path)).collect()
}

fn without_victim() -> GroupStatus {
    GroupStatus { blocked: vec![sample::no_victim(2)], ..sample::group() }
}

#[test]
fn a_status_has_the_described_fields() {
    let problems = vec![FleetProblem { fleet: "jvb".to_owned(), text: "no group".to_owned() }];
    let name = || "jitsi/scaler".to_owned();
    let shards = vec![ShardReport { shard: 0, leading: false, holder: Some(name()) }];
    let leader =
        LeaderReport { lease: name(), identity: name(), leading: false, holder: Some(name()), shards };
    let leader = Some(leader);
    let (time, groups) = (Some("2026-11-20T07:00:00Z".to_owned()), vec![sample::group(), without_victim()]);
    assert_eq!(mistakes("Status", &Status { time, groups, problems, leader }), [""; 0]);
}

#[test]
fn a_decision_has_the_described_fields() {
    assert_eq!(mistakes("Decision", &Record::of(&without_victim())), [""; 0]);
}

#[test]
fn an_order_and_its_answer_have_the_described_fields() {
    let (instance, text) = ("i-0".to_owned(), "drain i-0".to_owned());
    assert_eq!(mistakes("Ordered", &OrderReport { instance, dry_run: false, text }), [""; 0]);
    assert_eq!(mistakes("DrainOrder", &json!({"then": "keep", "reason": "kernel"})), [""; 0]);
    assert_eq!(mistakes("DrainOrder", &json!({"then": "destroy", "reason": "kernel"})).len(), 1);
    assert_eq!(mistakes("UndrainOrder", &json!({"reason": null})), [""; 0]);
}

#[test]
fn a_reason_that_the_description_lacks_is_found() {
    let mut blocked = sample::no_victim(1);
    assert_eq!(mistakes("Blocked", &blocked), [""; 0]);
    blocked.instances[0].reason = "bored";
    assert_eq!(mistakes("Blocked", &blocked).len(), 1);
}
