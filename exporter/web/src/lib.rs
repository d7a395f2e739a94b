//! What jitsi-exporter and jitsi-scaler share of serving HTTP: flags, logging, listeners with
//! their health routes and bounded shutdown, exposition formats, metrics about the process.
//!
//! Nothing here knows Jitsi, and no program's route lives here.

pub mod build_info;
pub mod exposition;
pub mod flags;
mod health;
pub mod landing;
mod limit;
pub mod logging;
pub mod process;
mod server;
pub mod signals;

pub use health::Readiness;
pub use server::{DRAIN, ServeError, Server};
