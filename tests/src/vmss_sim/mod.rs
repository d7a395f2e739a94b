//! `vmss-sim`: Virtual Machine Scale Sets behind Azure Resource Manager, on a loopback port.
//!
//! It owns the sets of one subscription, and the life of their instances in real seconds, which the sets' timings may make
//! short. It speaks the REST of Resource Manager, checks the tokens that its own endpoints issue, and accepts sets, faults
//! and actions of Azure itself at `/sim/v1/`. With a Jitsi simulator, every instance runs a component there until it is
//! shut down. Where no source says what Azure does, a field of [`model::Unverified`] chooses.
//!
//! Inside: `state` and `step` are the core, synchronous and with the time as an argument; `route`, `describe` and
//! `paging` turn requests into calls of the core and its state into JSON; `service` adds tokens, throttling, faults, old
//! reads and the record of calls; only `server` and `admin` use sockets.
//!
//! Deliberately absent: creation of sets by Resource Manager, the activity log, Resource Graph, autoscale, repairs and
//! upgrades that act, terminate notifications, lifecycle hooks, and machines that are attached from outside.

mod admin;
mod describe;
pub mod error;
mod fault;
pub mod model;
mod paging;
mod request;
mod route;
mod server;
mod service;
mod spec;
pub mod state;
pub mod step;
#[cfg(test)]
mod step_tests;
pub mod tags;
mod throttle;
mod tokens;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

pub use self::admin::SetView;
pub use self::error::ArmError;
pub use self::fault::Fault;
pub use self::model::{
    Component, Eviction, Instance, LaunchFailures, Meeting, Orchestration, Power, Protection, Provisioning,
    SetKey, Timing, Unverified,
};
pub use self::service::Call;
pub use self::spec::{AutoscaleSetting, SetEntry, SetSpec};
pub use self::step::Counters;

use self::fault::Faults;
use self::service::Service;
use self::state::Cloud;
use self::throttle::Throttle;
use self::tokens::Tokens;
use crate::cloud_parts::calls::CallLog;
use crate::cloud_parts::{link, shared::Shared};

/// The subscription of every simulator.
pub const SUBSCRIPTION: &str = "00000000-0000-4000-8000-0000000000aa";

/// The configuration of a simulator.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on (default: a free loopback port).
    pub listen: SocketAddr,
    /// The Jitsi simulator that runs the instances' components, if any.
    pub jitsi_sim: Option<Url>,
    /// The seed of all IDs.
    pub seed: u64,
    /// The sets at the start.
    pub sets: Vec<SetEntry>,
    /// The timing of sets without their own.
    pub timing: Timing,
    /// The interval of the ticks.
    pub tick: Duration,
    /// How old reads are.
    pub lag: Duration,
    /// How much faster than Azure's the buckets of throttling fill; 0 for no throttling.
    pub throttling: f64,
    /// The most values of a page.
    pub page: usize,
    /// The seconds of `Retry-After` of an operation.
    pub retry_after: u64,
    /// How long a token is valid.
    pub token_lifetime: Duration,
    /// The secret of every application.
    pub secret: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            jitsi_sim: None,
            seed: 1,
            sets: Vec::new(),
            timing: Timing::default(),
            tick: Duration::from_millis(20),
            lag: Duration::ZERO,
            throttling: 0.0,
            page: 100,
            retry_after: 1,
            token_lifetime: Duration::from_hours(1),
            secret: "secret".to_owned(),
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
    /// A set of the configuration is invalid.
    #[error("create the set {} of {}", key.name, key.group)]
    Set {
        /// The set.
        key: SetKey,
        /// The mistake.
        #[source]
        source: ArmError,
    },
    /// The client for the Jitsi simulator cannot be built.
    #[error("build the client for jitsi-sim")]
    Client(#[source] reqwest::Error),
}

/// A running simulator. Dropping it stops it; `stop` also waits for the end.
#[derive(Debug)]
pub struct VmssSim {
    address: SocketAddr,
    shared: Shared<Service>,
}

impl VmssSim {
    /// Starts a simulator, which serves when this returns.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let client = reqwest::Client::builder().no_proxy().build().map_err(StartError::Client)?;
        let (sender, effects) = mpsc::unbounded_channel();
        let service = Service {
            cloud: Cloud::new(config.seed, config.timing),
            faults: Faults::default(),
            calls: CallLog::default(),
            tokens: Tokens::new(config.seed, config.token_lifetime.as_secs_f64(), config.secret),
            throttle: Throttle::new(config.throttling),
            subscription: SUBSCRIPTION.to_owned(),
            lag: config.lag.as_secs_f64(),
            retry_after: config.retry_after,
            page: config.page.max(1),
            past: VecDeque::new(),
        };
        let shared = Shared::new(service, config.jitsi_sim.is_some().then_some(sender));
        for SetEntry { key, spec } in config.sets {
            shared.put_set(&key, &spec).map_err(|source| StartError::Set { key, source })?;
        }
        if let Some(base) = config.jitsi_sim {
            let stop = shared.stop.clone();
            shared.tasks.spawn(link::deliver(client, base, effects, shared.clone(), stop));
        }
        shared.tasks.spawn(shared.clone().tick(config.tick));
        shared.tasks.spawn(server::serve(listener, shared.clone()));
        Ok(Self { address, shared })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint of Resource Manager, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The endpoint of an instance's identity.
    #[must_use]
    pub fn identity_url(&self) -> String {
        format!("{}/metadata/identity/oauth2/token", self.url())
    }

    /// Creates a set, or gives an existing one these settings and keeps its instances.
    pub fn put_set(&self, group: &str, name: &str, spec: &SetSpec) -> Result<SetView, ArmError> {
        self.shared.put_set(&SetKey::new(group, name), spec)
    }

    /// All sets.
    #[must_use]
    pub fn sets(&self) -> Vec<SetView> {
        self.shared.sets()
    }

    /// One set.
    pub fn set(&self, group: &str, name: &str) -> Result<SetView, ArmError> {
        self.shared.set(&SetKey::new(group, name))
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.with(|service, _| service.faults.add(fault));
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.with(|service, _| service.faults.clear());
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

    /// The counters since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.with(|service, _| service.cloud.counters().clone())
    }

    /// Replaces the autoscale settings, which only their list shows.
    pub fn set_autoscale(&self, settings: Vec<AutoscaleSetting>) {
        self.shared.with(|service, _| service.cloud.set_autoscale(settings));
    }

    /// Makes the next creations of a set fail.
    pub fn fail_launches(&self, group: &str, name: &str, failures: LaunchFailures) -> Result<(), ArmError> {
        self.shared.with(|service, _| service.cloud.fail_launches(&SetKey::new(group, name), failures))
    }

    /// Azure evicts a Spot instance.
    pub fn evict(&self, group: &str, name: &str, id: &str) -> Result<(), ArmError> {
        self.shared.with(|service, _| service.cloud.evict(&SetKey::new(group, name), id))
    }

    /// An instance ends beside its set.
    pub fn lose(&self, group: &str, name: &str, id: &str) -> Result<(), ArmError> {
        self.shared.with(|service, _| service.cloud.lose(&SetKey::new(group, name), id))
    }

    /// Makes the instances of a set older.
    pub fn age(&self, group: &str, name: &str, by: Duration) -> Result<(), ArmError> {
        self.shared.with(|service, _| service.cloud.age(&SetKey::new(group, name), by.as_secs_f64()))
    }

    /// Changes a set beside all rules.
    pub fn with_set(
        &self,
        group: &str,
        name: &str,
        change: impl FnOnce(&mut model::Set),
    ) -> Result<(), ArmError> {
        self.shared.with(|service, _| service.cloud.with_set(&SetKey::new(group, name), change))
    }

    /// Lets every token expire.
    pub fn expire_tokens(&self) {
        self.shared.with(|service, now| service.tokens.expire(now));
    }

    /// Stops it and waits until all of its tasks have ended.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for VmssSim {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
