//! The dashboards of `grafana/`, from one readable source: a table of panels per dashboard. `cargo run -p jitsi-tests
//! --bin dashboards` writes them.
//!
//! Owns what the panels ask and say. How Grafana spells it is in the private `model`; nothing here knows of files.

mod exporter;
mod jibri;
mod jicofo;
mod jvb;
mod model;
mod overview;
mod scaler;

pub use model::{Dashboard, Panel, Row, Variable};

/// All of them.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    vec![
        overview::dashboard(),
        jvb::dashboard(),
        jicofo::dashboard(),
        jibri::dashboard(),
        scaler::dashboard(),
        exporter::dashboard(),
    ]
}
