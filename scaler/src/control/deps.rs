//! What a fleet is controlled through: the cloud, Prometheus, the components and the clock.

use std::fmt;
use std::time::Duration;

use super::claims::Claims;
use crate::cloud::ScalingGroups;
use crate::cloud::client::Client;
use crate::jitsi::{self, Components};
use crate::observe::Metrics;
use crate::telemetry::Telemetry;
use crate::units::Region;

/// The time since 1970, as an argument: the service gives its clock, a test its own.
pub type Clock = fn() -> Duration;

/// The types of the interfaces that a fleet is controlled through: the service's speak HTTP, a simulation's do not.
pub trait World: 'static {
    /// The cloud that holds the groups.
    type Cloud: ScalingGroups + fmt::Debug + 'static;
    /// Where datapoints come from.
    type Metrics: Metrics + fmt::Debug + 'static;
    /// How components are reached.
    type Components: Components + fmt::Debug + 'static;
}

/// What every fleet needs.
#[derive(Debug)]
pub struct Deps<W: World> {
    /// The cloud. Fleets of one role share a client.
    pub cloud: Client<W::Cloud>,
    /// Where datapoints come from.
    pub metrics: W::Metrics,
    /// How components are reached.
    pub components: jitsi::client::Client<W::Components>,
    /// Where events are logged and counted.
    pub telemetry: Telemetry,
    /// Which fleet a group belongs to; shared by all fleets.
    pub claims: Claims,
    /// How far behind now windows end.
    pub delay: Duration,
    /// The regions of the fleet, at least one.
    pub regions: Vec<Region>,
}
