//! What can be made to go wrong with an instance.

use serde::{Deserialize, Serialize};

/// A feature of a component that its configuration can turn off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feature {
    /// Its paths answer.
    #[default]
    On,
    /// Its paths answer 404.
    Off,
}

/// The faults of an instance. Each request to set them replaces them all; the default has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "faults are independent of each other and can be combined")]
pub struct Faults {
    /// Accepts connections and requests, answers none, does nothing.
    pub hang: bool,
    /// Refuses connections while the component goes on working.
    pub refuse: bool,
    /// Answers every request with this status and an HTML page; does nothing.
    pub status: Option<u16>,
    /// Answers every request with 200 and this text; does nothing.
    pub body: Option<String>,
    /// The component calls itself unhealthy.
    pub unhealthy: bool,
    /// `videobridge.apis.rest.enabled` of a JVB, which is off unless configured: its statistics and its shutdown.
    pub rest: Feature,
    /// `videobridge.rest.shutdown.enabled` of a JVB: its shutdown alone.
    pub shutdown: Feature,
    /// `videobridge.rest.drain.enabled` of a JVB.
    pub drain: Feature,
    /// What other work on the host adds to the stress of a JVB, which is its processor's load.
    pub other_load: f64,
    /// People leave a JVB without hanging up: their endpoints stay until they expire.
    pub people_vanish: bool,
    /// The Chrome of a Jibri does not start: it stays IDLE and HEALTHY, and every recording fails at its start.
    pub broken_chrome: bool,
    /// Does what it is asked at once, and answers this much later.
    pub slow_seconds: Option<f64>,
    /// Answers byte by byte.
    pub trickle: bool,
    /// The process dies with all that it carries, which counts as lost, not as cut. When the fault is
    /// cleared, it starts anew.
    pub die: bool,
}
