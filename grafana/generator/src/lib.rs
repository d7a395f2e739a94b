//! The dashboards of `grafana/`, from one readable source: a table of panels per dashboard. `cargo run -p
//! jitsi-dashboards` writes them.
//!
//! Owns the expressions and the texts of the panels. The private `model` turns them into Grafana's JSON; only the
//! program knows of files.

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
