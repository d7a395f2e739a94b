//! Answers that nobody expects: what comes out is valid but for its open choices.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{configuration, open_choices};
use crate::import::raw::Answers;

/// The answers of every set, each entry by itself: only objects are changed below.
fn entries() -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/import/tests/sets");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let texts = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let answers = texts.map(|path| std::fs::read_to_string(path).expect("a text"));
    answers
        .flat_map(|text| {
            let answer: Value = serde_json::from_str(&text).expect("JSON");
            let lists = ["MetricAlarms", "ScalingPolicies", "ScheduledUpdateGroupActions"];
            let first =
                move |key: &'static str| answer[key].as_array().and_then(|list| list.first()).cloned();
            let [alarm, policy, action] = lists.map(first);
            let steps =
                policy.as_ref().and_then(|policy| policy["StepAdjustments"].as_array()?.first().cloned());
            let part = |part: Option<Value>| part.unwrap_or_else(|| json!({}));
            let policy = part(policy);
            [json!({"alarm": part(alarm), "policy": policy, "action": part(action), "step": part(steps)})]
        })
        .collect()
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(400))]

    #[test]
    fn what_comes_out_is_refused_for_its_open_choices_and_nothing_else(
        changes in proptest::collection::vec(jitsi_inputs::replaced(entries()), 1..3)
    ) {
        let mut lists: [Vec<Value>; 3] = Default::default();
        for change in changes {
            let entry = change.after;
            let mut policy = entry["policy"].clone();
            if let Some(steps) = policy.get_mut("StepAdjustments").and_then(Value::as_array_mut)
                && let Some(first) = steps.first_mut()
            {
                *first = entry["step"].clone();
            }
            for (list, value) in lists.iter_mut().zip([&entry["alarm"], &policy, &entry["action"]]) {
                list.push(value.clone());
            }
        }
        let [alarms, policies, actions] = lists;
        let answer = json!({"MetricAlarms": alarms, "ScalingPolicies": policies, "ScheduledUpdateGroupActions": actions});
        let answers = Answers::read(answer).expect("three lists");
        open_choices(&configuration(&answers));
    }
}
