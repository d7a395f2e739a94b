//! The dashboards of `grafana/`, from one readable source: a table of panels per dashboard. `cargo run -p
//! jitsi-dashboards` writes them.
//!
//! Owns the expressions and the texts of the panels. The private `json` turns them into Grafana's JSON; only the program
//! knows of files.

mod exporter;
mod jibri;
mod jicofo;
mod json;
mod jvb;
mod model;
mod overview;
mod promql;
mod scaler;
mod tables;

pub use model::{Dashboard, LEAST_GRAFANA, Panel, Row, Values, Variable};

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
