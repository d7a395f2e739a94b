//! The HTTP server that jitsi-exporter and jitsi-scaler share: flags, logging, listeners with TLS, passwords, a bounded
//! shutdown, reloading, exposition formats and metrics about the process.
//!
//! This package knows nothing about Jitsi and defines no route of either program.

mod active_config;
mod auth;
pub mod build_info;
mod clock;
mod connection;
mod connection_slots;
pub mod document;
pub mod exposition;
pub mod files;
pub mod flags;
mod guard;
mod health;
mod limit;
mod log_limit;
pub mod logging;
pub mod page;
pub mod pem;
pub mod process;
mod rate;
mod reload;
mod reload_status;
mod request_body;
mod server;
pub mod signals;
mod systemd;
mod telemetry;
mod tls;
mod tls_names;
mod web_config;
mod words;
mod worker_threads;

pub use active_config::check as check_web_config;
pub use auth::User;
pub use connection::DRAIN;
pub use health::Readiness;
pub use log_limit::LogLimit;
pub use reload::{ReloadError, Reloads};
pub use server::{Access, ServeError, Server, describe_metrics};
pub use web_config::WebConfigError;
pub use worker_threads::WorkerThreads;
