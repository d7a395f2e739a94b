//! The configuration file: YAML → [`Config`], with every mistake found at once.
//!
//! Owns names, defaults and the checks that need no network. `raw` mirrors the files; only the validated types of `model`
//! leave this module.

mod file;
mod fleet;
pub mod link;
mod model;
mod parse;
mod policy;
mod prometheus;
mod promql;
mod raw;
pub mod schedule;
mod selector;
mod template;
pub mod test_file;
mod upkeep;
pub mod variant;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use file::{load, parse};
pub use jitsi_web::document::Problem;
pub use model::{
    Auth, Config, ConfigError, DrainVia, Fleet, GroupSelector, Groups, InstanceSeries, Prometheus, Role,
    SigV4, Subscription, Tls,
};
pub(crate) use parse::{MOST_PERIODS, is_region};
pub(crate) use promql::{is_metric_name, is_selector};
pub(crate) use template::{LabelPlace, fill_labels};
