//! A body with one value replaced, or one member less, has the samples of the other members, and none that neither value
//! justifies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jitsi_exporter::component::Component;
use jitsi_exporter::exposition::{self, Outcome};
use jitsi_exporter::table::Fate;
use jitsi_inputs::{Replaced, replaced};
use jitsi_web::exposition::Format;
use proptest::prelude::*;
use serde_json::Value;

use crate::common::{self, fixture};

const BODIES: [(Component, &str); 8] = [
    (Component::Jvb, "jvb_1.x_relay.json"),
    (Component::Jvb, "jvb_2.1.530_energy.json"),
    (Component::Jvb, "jvb_2.2.45.json"),
    (Component::Jvb, "jvb_2.3.312.json"),
    (Component::Jicofo, "jicofo_2022_queues.json"),
    (Component::Jicofo, "jicofo_2026.json"),
    (Component::Jibri, "jibri_busy.json"),
    (Component::Jibri, "jibri_idle_unhealthy.json"),
];

fn bodies(component: Component) -> Vec<Value> {
    let own = BODIES.iter().filter(|(of, _)| *of == component);
    own.map(|(_, file)| serde_json::from_slice(&fixture(file)).expect("json")).collect()
}

fn any_replaced() -> impl Strategy<Value = (Component, Replaced)> {
    prop::sample::select(&Component::ALL[..])
        .prop_flat_map(|component| (Just(component), replaced(bodies(component))))
}

/// Values by series; `None` if the body is refused.
fn series(component: Component, body: &Value) -> Option<BTreeMap<String, f64>> {
    let reading = component.read(body.to_string().as_bytes()).ok()?;
    let outcome = Outcome { component, target: None, reading: Some(&reading), took: Duration::ZERO };
    Some(common::text(&exposition::targets(&[outcome], Format::Text004)).series)
}

/// The families that each member is exported as, by its path.
fn exported(component: Component, body: &Value) -> Vec<(String, &'static str)> {
    let fates = component.explain(body.to_string().as_bytes()).unwrap_or_default();
    let named = fates.into_iter().filter_map(|(key, fate)| match fate {
        Fate::Exported(name) => Some((key, name)),
        _ => None,
    });
    named.collect()
}

fn family(series: &str) -> &str {
    let name = series.split('{').next().unwrap_or_default();
    ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(300))]

    #[test]
    fn a_replaced_value_changes_only_its_own_samples((component, replaced) in any_replaced()) {
        let Replaced { before, after, path, value } = replaced;
        let (old, Some(new)) = (series(component, &before).expect("a valid body"), series(component, &after))
        else { return Ok(()) };
        // Members of the replaced value, and the object that holds it: distributions are read as a whole.
        let place = path.join(".");
        let is_concerned = |key: &str| key.starts_with(&place) || place.starts_with(key);
        let (before, after) = (exported(component, &before), exported(component, &after));
        let all: BTreeSet<&str> = before.iter().chain(&after).map(|(_, name)| *name).collect();
        let concerned: BTreeSet<&str> =
            before.iter().chain(&after).filter(|(key, _)| is_concerned(key)).map(|(_, name)| *name).collect();
        // What several members give, and what is derived from several, may change with any of them.
        let shared: BTreeSet<&str> = all
            .iter()
            .copied()
            .filter(|name| before.iter().filter(|(_, other)| other == name).count() > 1)
            .collect();
        for (series, sample) in &new {
            let name = family(series);
            let is_free = concerned.contains(name) || shared.contains(name) || !all.contains(name);
            prop_assert!(
                is_free || old.get(series).is_some_and(|old| old.to_bits() == sample.to_bits()),
                "{series} is {sample} instead of {:?} after a change of {place} to {value:?}", old.get(series)
            );
        }
        // A value that is none gives no sample.
        let is_none = match &value {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.is_empty(),
            Some(Value::Array(values)) => values.is_empty(),
            Some(Value::Object(values)) => values.is_empty(),
            Some(_) => false,
        };
        if is_none && after.iter().all(|(key, _)| !is_concerned(key)) {
            // Others make up for these: participants less those of other bridges, and the outcome of the health check.
            let derived = ["jvb_local_endpoints", "jicofo_healthy"];
            let named = concerned.difference(&shared).filter(|name| !derived.contains(*name));
            for name in named {
                let left: Vec<&String> = new.keys().filter(|series| family(series) == *name).collect();
                prop_assert!(left.is_empty(), "{left:?} without {place}");
            }
        }
    }
}
