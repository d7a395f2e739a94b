//! Values derived by hand from payloads of many versions: those of this project, and those of real components if they are
//! available.

mod case;
mod native;
mod own;
mod real;

use std::fs;
use std::time::Duration;

use case::Golden;

use crate::common::{Exposition, fixture, samples};
use jitsi_exporter::component::Component::{self, Jibri, Jicofo, Jvb};
use jitsi_exporter::component::Refusal;
use jitsi_exporter::exposition::{self, Outcome};
use jitsi_exporter::reason::Reason;
use jitsi_exporter::table::Reading;
use jitsi_web::exposition::Format;

fn exposed(component: Component, reading: &Reading, file: &str) -> Exposition {
    let outcome = Outcome { component, target: None, reading: Some(reading), took: Duration::ZERO };
    let read = crate::common::text(&exposition::targets(&[outcome], Format::Text004));
    let openmetrics =
        exposition::targets(&[outcome], Format::OpenMetrics100) + exposition::end(Format::OpenMetrics100);
    assert_eq!(crate::common::openmetrics(&openmetrics).series, read.series, "{file}: the formats differ");
    read
}

fn check(golden: &Golden, reading: Result<Reading, Refusal>) {
    let Golden { component, file, lines, absent, unusable } = golden;
    let reading = reading.unwrap_or_else(|refusal| panic!("{file}: {refusal:?}"));
    let exposition = exposed(*component, &reading, file);
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').expect("series and value");
        let value: f64 = value.parse().expect("a number");
        let found = exposition.value(series);
        // A conversion may change the last digit.
        assert!((found - value).abs() <= value.abs() * 1e-15, "{file}: {series} is {found}, not {value}");
    }
    for name in absent.split_whitespace() {
        let found = exposition.of(name);
        assert!(found.is_empty(), "{file}: {found:?}");
    }
    assert_eq!(reading.unusable, *unusable, "{file}");
    assert_eq!(exposition.value(&format!("{component}_up")).to_bits(), 1.0_f64.to_bits(), "{file}");
}

#[test]
fn payloads_of_every_age() {
    for golden in own::ALL {
        check(golden, golden.component.read(&fixture(golden.file)));
    }
}

#[test]
fn payloads_of_real_components() {
    let Some(folder) = samples() else { return };
    for golden in real::ALL {
        let body = fs::read(folder.join(golden.file)).expect("the sample is there");
        check(golden, golden.component.read(&body));
    }
}

#[test]
fn metrics_of_the_components_own() {
    for golden in native::ALL {
        check(golden, golden.component.read_native(&fixture(golden.file)));
    }
}

#[test]
fn openmetrics_say_the_same_as_text() {
    let read = |file| Jvb.read_native(&fixture(file)).expect("a reading");
    assert_eq!(read("native_jvb_2.3.312.openmetrics"), read("native_jvb_2.3.312.txt"));
}

#[test]
fn metrics_of_other_components_are_recognized() {
    let reason =
        |component: Component, body: &[u8]| component.read_native(body).expect_err("no metrics").reason;
    let jicofo = fixture("native_jicofo_1.0.1196.txt");
    assert_eq!(reason(Jvb, &jicofo), Reason::ForeignJicofo);
    assert_eq!(reason(Jvb, &fixture("native_jibri_8.0.199.txt")), Reason::ForeignJibri);
    assert_eq!(reason(Jibri, &fixture("native_jvb_2.3.312.txt")), Reason::ForeignJvb);
    // Jicofo's names until 2023, another exporter's names of a bridge's metrics, and metrics of any program.
    let older = String::from_utf8(jicofo).expect("a text").replace("jitsi_jicofo_", "jitsi_");
    assert_eq!(reason(Jvb, older.as_bytes()), Reason::Unrecognized);
    assert_eq!(reason(Jvb, b"jitsi_conferences 1\njitsi_local_endpoints 2\n"), Reason::Unrecognized);
    assert_eq!(reason(Jvb, b"go_goroutines 11\n"), Reason::Unrecognized);
    assert_eq!(reason(Jvb, br#"{"conferences":1,"threads":3}"#), Reason::Unrecognized);
    assert_eq!(reason(Jvb, b"not found"), Reason::Unrecognized);
    assert_eq!(reason(Jvb, b"{}"), Reason::EmptyObject);
    assert_eq!(reason(Jvb, b" <html>"), Reason::Html);
    assert_eq!(reason(Jvb, b"\n"), Reason::Empty);
    assert_eq!(reason(Jvb, br#"{"packets_sent":1"#), Reason::Truncated);
}

#[test]
fn truncated_metrics_are_refused() {
    let cut = |body: &[u8], component: Component| component.read(body).expect_err("it is cut off").reason;
    assert_eq!(cut(&fixture("jvb_cut.json.part"), Jvb), Reason::Truncated);
    for component in Component::ALL {
        let Some(folder) = samples() else { return };
        for entry in fs::read_dir(folder.join(component.as_str())).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "part") {
                let body = fs::read(&path).expect("the sample is there");
                assert_eq!(cut(&body, component), Reason::Truncated, "{}", path.display());
            }
        }
    }
}

#[test]
fn every_prefix_of_a_payload_is_refused() {
    for (component, file) in
        [(Jvb, "jvb_2.1.530_energy.json"), (Jicofo, "jicofo_2022_queues.json"), (Jibri, "jibri_busy.json")]
    {
        let body = fixture(file);
        let body = body.trim_ascii_end();
        for length in 0..body.len() {
            assert!(component.read(&body[..length]).is_err(), "{file} up to {length}");
        }
    }
}
