//! The simulators that jitsi-exporter and jitsi-scaler are tested against, and what the tests share.

pub mod asg_sim;
pub mod harness;
pub mod jitsi_sim;
pub mod lease_api;
pub mod manifests;
pub mod simulation;
pub mod stage;
pub mod wait;
