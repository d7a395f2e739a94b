//! What jitsi-exporter and jitsi-scaler share of serving HTTP: flags, logging, listeners with TLS,
//! passwords and a bounded shutdown, reloading, exposition formats, metrics about the process.
//!
//! Nothing here knows Jitsi, and no program's route lives here.

mod auth;
pub mod build_info;
mod clock;
mod connection;
pub mod exposition;
pub mod flags;
mod guard;
mod health;
pub mod landing;
mod limit;
mod live;
pub mod logging;
mod places;
pub mod process;
mod rate;
mod reload;
mod server;
pub mod signals;
mod systemd;
mod telemetry;
mod tls;
mod web_config;
mod workers;

pub use health::Readiness;
pub use reload::{ReloadError, Reloads};
pub use server::{Access, DRAIN, ServeError, Server, describe_metrics};
pub use web_config::{Problem, WebConfigError, check as check_web_config};
pub use workers::Workers;
