//! From the body of a bridge to its exposition, on one core and without a socket: what a scrape costs beside
//! waiting. `cargo bench -p jitsi-exporter` prints the time and the allocations.

use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box, black_box_drop};
use jitsi_exporter::component::Component;
use jitsi_exporter::exposition::{Outcome, end, probe, targets};
use jitsi_exporter::json;
use jitsi_exporter::table::Reading;
use jitsi_web::exposition::Format;

/// A hundred keys, as bridges of 2022 answered.
const BODY: &[u8] = include_bytes!("jvb_100_keys.json");

/// What a probe took; only that it is written matters.
const TOOK: Duration = Duration::from_micros(1234);

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn reading() -> Reading {
    Component::Jvb.read(BODY).expect("statistics of a bridge")
}

/// What `/probe` answers, packing aside.
fn exposed(reading: &Reading, format: Format) -> String {
    let outcome = Outcome { component: Component::Jvb, target: None, reading: Some(reading), took: TOOK };
    targets(&[outcome], format) + &probe(true, TOOK, format) + end(format)
}

fn families() -> usize {
    exposed(&reading(), Format::Text004).lines().filter(|line| line.starts_with("# TYPE ")).count()
}

/// The whole way; items are metric families. Each text is dropped at once, as after an answer: a hundred that are kept
/// until the sample's end would measure how long the system takes to provide fresh memory.
#[divan::bench(args = [Format::Text004, Format::OpenMetrics100], sample_size = 100)]
fn body_to_exposition(bencher: Bencher<'_, '_>, format: Format) {
    bencher.counter(ItemsCount::new(families())).bench(|| {
        black_box_drop(exposed(&Component::Jvb.read(black_box(BODY)).expect("statistics"), format));
    });
}

/// Its first part: the document.
#[divan::bench(sample_size = 100)]
fn body_to_json(bencher: Bencher<'_, '_>) {
    bencher.bench(|| json::parse(black_box(BODY)).is_ok());
}

/// Its first and second part: the document and the table.
#[divan::bench(sample_size = 100)]
fn body_to_samples() {
    black_box_drop(Component::Jvb.read(black_box(BODY)).expect("statistics"));
}

/// Its third part.
#[divan::bench(sample_size = 100)]
fn samples_to_exposition(bencher: Bencher<'_, '_>) {
    let reading = reading();
    bencher.bench(|| black_box_drop(exposed(black_box(&reading), Format::Text004)));
}

/// As the second part, with the names of another exporter beside ours.
#[divan::bench(sample_size = 100)]
fn body_to_samples_with_compat() {
    black_box_drop(Component::Jvb.read_with(black_box(BODY), true).expect("statistics"));
}
