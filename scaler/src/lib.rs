//! jitsi-scaler: scales groups of Jitsi Videobridges and Jibris on AWS by what Prometheus says.
//!
//! The scaler observes (windows from Prometheus, groups from AWS, drains from the components), decides, acts, and
//! publishes what it did and why. [`decide`] is pure; all I/O is around it. The scaler keeps no state that matters:
//! cooldowns and drains are tags on the groups.

pub mod access;
pub mod backtest;
pub mod backtest_command;
pub mod cli;
pub mod cloud;
pub mod config;
pub mod control;
pub mod decide;
pub mod http;
pub mod import;
pub mod jitsi;
pub mod leader;
pub mod network;
pub mod observe;
pub mod online;
pub mod policy_test;
pub mod release;
pub mod remote;
pub mod report;
pub mod service;
pub mod shards;
pub mod summary;
pub mod telemetry;
pub mod units;
