//! The simulators for testing jitsi-exporter and jitsi-scaler, and code that the tests share.

pub mod asg_sim;
pub mod cloud_parts;
pub mod harness;
pub mod jitsi_sim;
pub mod lease_api;
pub mod manifests;
pub mod mutations;
pub mod simulation;
pub mod stage;
pub mod vmss_sim;
pub mod wait;
