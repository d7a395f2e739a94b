//! For any body of a target there is no panic and a valid exposition.

use std::time::Duration;

use jitsi_exporter::component::Component;
use jitsi_exporter::exposition::{self, Outcome};
use jitsi_exporter::table::{MAX_UNKNOWN, Reading};
use jitsi_web::exposition::Format;
use proptest::prelude::*;
use tokio::time::Instant;

use crate::common::{self, Exposition, fixture};

/// Reads a body and checks its exposition in both formats and with a label.
fn read(component: Component, body: &[u8]) -> Option<Exposition> {
    let (_fates, _natives) = (component.explain(body), component.explain_native(body));
    let mut reading = component.read_with(body, true);
    if let Ok(native) = component.read_native(body) {
        // As when the metrics replace the statistics, and when they complete them.
        let _own = exposed(component, &native);
        match &mut reading {
            Ok(reading) => reading.add_missing(native),
            Err(_) => reading = Ok(native),
        }
    }
    Some(exposed(component, &reading.ok()?))
}

fn exposed(component: Component, reading: &Reading) -> Exposition {
    let outcome =
        Outcome { component, target: Some("a\"b\\c\nd"), reading: Some(reading), took: Duration::ZERO };
    let openmetrics =
        exposition::targets(&[outcome], Format::OpenMetrics100) + exposition::end(Format::OpenMetrics100);
    let openmetrics = common::openmetrics(&openmetrics);
    let text = common::text(&exposition::targets(&[outcome], Format::Text004));
    assert!(openmetrics.series.keys().eq(text.series.keys()));
    text
}

const BODIES: [&str; 15] = [
    "jvb_2014_quoted.json",
    "jvb_1.x_relay.json",
    "jvb_2.1.530_energy.json",
    "jvb_2.3.312.json",
    "jicofo_2020_top_level.json",
    "jicofo_2022_queues.json",
    "jicofo_2026.json",
    "jibri_idle_unhealthy.json",
    "jibri_2017.json",
    "native_jvb_2.3.312.txt",
    "native_jvb_2.3.312.openmetrics",
    "native_jvb_2.2.45.txt",
    "native_jvb_2.2.45.json",
    "native_jicofo_1.0.1196.txt",
    "native_jibri_8.0.199.txt",
];

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    jitsi_inputs::mutated(BODIES.map(fixture).to_vec())
}

/// Keys that have a meaning.
const KEYS: [&str; 13] = [
    "conferences",
    "queues",
    "jingle",
    "sent",
    "status",
    "details",
    "conference_sizes",
    "tossedPacketsEnergy",
    "buckets",
    "0_to_1",
    "version",
    "current_timestamp",
    "octo_send_bitrate",
];

/// Lines similar to metrics, with known and unknown names.
fn lines() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("conferences".to_owned()),
        Just("packets_sent_total".to_owned()),
        Just("region_info".to_owned()),
        Just("drain_mode".to_owned()),
        Just("conferences_by_size_bucket".to_owned()),
        Just("conferences_by_size_sum".to_owned()),
        Just("tossed_packets_energy_bucket".to_owned()),
        Just("bridge_endpoints".to_owned()),
        Just("bridge_restart_requests_total".to_owned()),
        Just("sessions_started_total".to_owned()),
        "[a-z_]{1,6}",
    ];
    let prefix = prop::sample::select(vec!["jitsi_jvb_", "jitsi_jicofo_", "jitsi_jibri_", "jitsi_", ""]);
    let label = prop::sample::select(vec!["jvb", "le", "region", "x"]);
    let labels = prop::option::of((label, prop_oneof!["[0-9]{1,2}", Just("+Inf".to_owned()), ".{0,5}"]));
    let value = prop_oneof![any::<f64>().prop_map(|value| value.to_string()), "[0-9]{1,2}", ".{0,4}"];
    let line = (name, labels, value).prop_map(|(name, labels, value)| match labels {
        Some((label, text)) => format!("{name}{{{label}=\"{text}\"}} {value}"),
        None => format!("{name} {value}"),
    });
    (prefix, prop::collection::vec(line, 0..30))
        .prop_map(|(prefix, lines)| lines.into_iter().map(|line| format!("{prefix}{line}\n")).collect())
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(300))]

    #[test]
    fn any_bytes(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for component in Component::ALL {
            let _any = read(component, &body);
        }
    }

    #[test]
    fn any_document(document in jitsi_inputs::json(&KEYS)) {
        let body = document.to_string();
        for component in Component::ALL {
            let _any = read(component, body.as_bytes());
        }
    }

    #[test]
    fn any_lines(text in lines()) {
        for component in Component::ALL {
            let _any = read(component, text.as_bytes());
        }
    }

    #[test]
    fn any_mutation(body in mutated()) {
        for component in Component::ALL {
            let _any = read(component, &body);
        }
    }
}

/// Far more than a debug build needs on a busy computer, and far less than work that grows faster than the body.
const LINEAR: Duration = Duration::from_secs(20);

#[test]
fn no_body_takes_long() {
    let start = Instant::now();
    for body in jitsi_inputs::long(256 * 1024) {
        for component in Component::ALL {
            let _any = read(component, &body);
        }
    }
    assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
}

#[test]
fn unknown_keys_have_a_bound() {
    let members: Vec<String> = (0..10_000).map(|number| format!("\"key{number}\":{number}")).collect();
    let body = format!("{{\"current_timestamp\":\"\",{}}}", members.join(","));
    let exposition = read(Component::Jvb, body.as_bytes()).expect("a bridge");
    assert_eq!(exposition.of("jvb_unknown").len(), MAX_UNKNOWN);
}

#[test]
fn names_of_queues_have_a_bound() {
    let members: Vec<String> =
        (0..10_000).map(|number| format!("\"q{number}\":{{\"added_packets\":1}}")).collect();
    let body = format!("{{\"bridge_selector\":{{}},\"queues\":{{{}}}}}", members.join(","));
    let exposition = read(Component::Jicofo, body.as_bytes()).expect("a jicofo");
    assert_eq!(exposition.of("jicofo_queue_packets_added_total").len(), 200);
}

#[test]
fn a_key_may_have_any_characters() {
    let body = r#"{"current_timestamp":"","a\"b\\c\nd\u0000e":1,"é.ü":{"{}":2}}"#;
    let exposition = read(Component::Jvb, body.as_bytes()).expect("a bridge");
    let keys: Vec<&str> = exposition.of("jvb_unknown").into_iter().map(|(series, _)| series).collect();
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().any(|series| series.contains("key=\"a\\\"b\\\\c\\nd\0e\"")), "{keys:?}");
    assert!(keys.iter().any(|series| series.contains("key=\"é.ü.{}\"")), "{keys:?}");
}
