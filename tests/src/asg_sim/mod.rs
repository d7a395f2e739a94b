//! `asg-sim`: EC2 Auto Scaling as the real SDKs see it, on a loopback port.
//!
//! It owns groups in any number of regions, and the life of their instances in real seconds, which the groups' timings
//! may make short. It speaks the query protocol at `/`, and accepts groups, faults and actions of AWS itself at
//! `/sim/v1/`. With a Jitsi simulator, every launched instance runs a component there until it is shut down.
//!
//! Inside: `state` and `step` are the core, synchronous and with the time as an argument; `protocol`, `describe`,
//! `change` and `answers` turn queries into calls of the core and its state into XML; `service` adds faults and the
//! record of calls; only `server`, `admin` and `link` use sockets.
//!
//! Deliberately absent: EC2, STS, CloudWatch, filled warm pools, standby, attaching and detaching, scaling policies and
//! scheduled actions that act, automatic rebalancing of zones, notifications of lifecycle actions, and verification of
//! signatures.

mod action;
mod admin;
mod answers;
mod calls;
mod change;
mod describe;
pub mod error;
mod fault;
pub mod ledger;
pub mod model;
mod protocol;
mod server;
mod service;
mod spec;
pub mod state;
mod step;
#[cfg(test)]
mod step_tests;
mod writes;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

pub use self::admin::GroupView;
pub use self::calls::Call;
pub use self::error::{ApiError, ErrorCode};
pub use self::fault::{Fault, FaultError};
pub use self::ledger::Counters;
pub use self::model::{
    ActionResult, Component, GroupKey, Lifecycle, Process, ScalingPolicy, ScheduledAction, Timing, Transition,
};
pub use self::spec::{GroupChange, GroupEntry, GroupSpec, HookSpec};
pub use self::writes::TagWrite;

use self::model::LaunchFailures;
use self::service::Service;
use self::state::Cloud;
use crate::cloud_parts::{link, shared::Shared};

/// The configuration of a simulator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on (default: a free loopback port).
    pub listen: SocketAddr,
    /// The Jitsi simulator that runs the instances' components, if any.
    pub jitsi_sim: Option<Url>,
    /// The seed of all IDs.
    pub seed: u64,
    /// The groups at the start.
    pub groups: Vec<GroupEntry>,
    /// The timing of groups without their own, such as those created by the AWS API.
    pub timing: Timing,
    /// The interval of the ticks.
    pub tick: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            jitsi_sim: None,
            seed: 1,
            groups: Vec::new(),
            timing: Timing::default(),
            tick: Duration::from_millis(20),
        }
    }
}

/// Why a simulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not available.
    #[error("listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A group of the configuration is invalid.
    #[error("create the group {} of {}", key.name, key.region)]
    Group {
        /// The group.
        key: GroupKey,
        /// The mistake.
        #[source]
        source: ApiError,
    },
    /// The client for the Jitsi simulator cannot be built.
    #[error("build the client for jitsi-sim")]
    Client(#[source] reqwest::Error),
}

/// A running simulator. Dropping it stops it; `stop` also waits for the end.
#[derive(Debug)]
pub struct AsgSim {
    address: SocketAddr,
    shared: Shared<Service>,
}

impl AsgSim {
    /// Starts a simulator, which serves when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let Config { listen, jitsi_sim, seed, groups, timing, tick } = config;
        let failed = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let client = reqwest::Client::builder().no_proxy().build().map_err(StartError::Client)?;
        let (sender, effects) = mpsc::unbounded_channel();
        let shared =
            Shared::new(Service::new(Cloud::new(seed, timing)), jitsi_sim.is_some().then_some(sender));
        for GroupEntry { key, spec } in groups {
            shared.put_group(&key, &spec).map_err(|source| StartError::Group { key, source })?;
        }
        if let Some(base) = jitsi_sim {
            shared.tasks.spawn(link::deliver(client, base, effects, shared.clone(), shared.stop.clone()));
        }
        shared.tasks.spawn(shared.clone().tick(tick));
        shared.tasks.spawn(server::serve(listener, shared.clone()));
        Ok(Self { address, shared })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for an SDK, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Creates a group, or gives an existing one these settings and keeps its instances.
    pub fn put_group(&self, region: &str, name: &str, spec: &GroupSpec) -> Result<GroupView, ApiError> {
        self.shared.put_group(&GroupKey::new(region, name), spec)
    }

    /// Deletes a group and shuts down its instances without running hooks.
    pub fn delete_group(&self, region: &str, name: &str) -> Result<(), ApiError> {
        self.shared.with(|service, now| service.cloud.delete_group(&GroupKey::new(region, name), true, now))
    }

    /// All groups.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupView> {
        self.shared.groups()
    }

    /// One group.
    #[must_use]
    pub fn group(&self, region: &str, name: &str) -> Option<GroupView> {
        self.shared.with(|service, _| service.cloud.groups().get(region, name).map(GroupView::from).ok())
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) -> Result<(), FaultError> {
        self.shared.add_fault(fault)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.clear_faults();
    }

    /// Whether every fault has affected as many calls as it should; the last call may still be in progress.
    #[must_use]
    pub fn faults_are_over(&self) -> bool {
        self.shared.with(|service, _| service.faults.are_over())
    }

    /// The calls so far, or only those that can change something.
    #[must_use]
    pub fn calls(&self, mutating_only: bool) -> Vec<Call> {
        self.shared.calls(mutating_only)
    }

    /// Forgets the calls so far.
    pub fn clear_calls(&self) {
        self.shared.with(|service, _| service.calls.clear());
    }

    /// The counters since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// AWS terminates an instance by itself. `hard` is the loss of the host, which no hook delays.
    pub fn terminate_by_aws(&self, region: &str, name: &str, id: &str, hard: bool) -> Result<(), ApiError> {
        let key = GroupKey::new(region, name);
        self.shared.with(|service, now| service.cloud.terminate_by_aws(&key, id, hard, now))
    }

    /// Makes the instances and activities of a group older.
    pub fn age(&self, region: &str, name: &str, by: Duration) -> Result<(), ApiError> {
        let key = GroupKey::new(region, name);
        self.shared.with(|service, _| service.cloud.age(&key, by.as_secs_f64()))
    }

    /// Makes the next launches of a group fail, with this status message or the one for insufficient capacity.
    pub fn fail_launches(
        &self,
        region: &str,
        name: &str,
        times: u32,
        message: Option<&str>,
    ) -> Result<(), ApiError> {
        let failures = LaunchFailures { left: times, message: message.map(str::to_owned) };
        self.shared.with(|service, _| service.cloud.fail_launches(&GroupKey::new(region, name), failures))
    }

    /// Begins or ends an instance refresh, which only DescribeInstanceRefreshes shows.
    pub fn set_instance_refresh(&self, region: &str, name: &str, in_progress: bool) -> Result<(), ApiError> {
        let key = GroupKey::new(region, name);
        self.shared.with(|service, now| service.cloud.set_refresh(&key, in_progress, now))
    }

    /// Stops it and waits until all of its tasks have ended.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for AsgSim {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
