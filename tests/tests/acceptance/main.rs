//! Acceptance tests of the project as a whole, with real components.

mod backtest;
mod bounds;
mod charts;
mod dashboards;
mod dashboards_day;
mod dashboards_left_out;
mod dashboards_live;
mod dashboards_script;
mod demo;
mod examples;
mod manifests;
mod manuals;
mod manuals_in_guides;
mod moto;
mod moto_calls;
mod outage;
mod packaging;
mod readme;
mod release;
mod rules;
mod rules_day;
mod sigv4;
mod structure;
