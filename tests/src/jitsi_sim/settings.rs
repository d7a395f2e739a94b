//! What can be set about the simulated components: delays, weights and lengths, all plain values.
//!
//! The defaults are for compressed time, in which a conference lasts seconds. The real delays stand beside
//! each field, for who simulates at full scale.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the components behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Until Jicofo knows what a bridge or a Jibri last said of itself (really about 5 s for a bridge's
    /// statistics, less than a second for a change of state).
    pub presence_lag: Duration,
    /// From `SHUTTING_DOWN` of a bridge to its exit (really 1 min).
    pub shutting_down_delay: Duration,
    /// How long a bridge still counts a conference that everybody has left (really 1 min).
    pub conference_linger: Duration,
    /// From an accepted graceful shutdown of an idle Jibri to the end of its process. With zero the
    /// connection that asked for it is cut before the answer, which happens to real ones too.
    pub exit_delay: Duration,
    /// Participants at which the stress of a bridge is 1.
    pub participants_per_bridge: u32,
    /// What a participant sends to the bridge.
    pub incoming_kbps_per_participant: u32,
    /// What the bridge sends to a participant.
    pub outgoing_kbps_per_participant: u32,
    /// Lengths of conferences and recordings, for generated load and for recordings started over HTTP.
    pub lengths: Lengths,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            presence_lag: Duration::from_millis(100),
            shutting_down_delay: Duration::from_secs(2),
            conference_linger: Duration::from_millis(500),
            exit_delay: Duration::from_millis(50),
            participants_per_bridge: 50,
            incoming_kbps_per_participant: 800,
            outgoing_kbps_per_participant: 2500,
            lengths: Lengths::default(),
        }
    }
}

impl Settings {
    /// What one participant adds to the stress of a bridge: `average_participant_stress`.
    #[must_use]
    pub fn participant_stress(&self) -> f64 {
        1.0 / f64::from(self.participants_per_bridge.max(1))
    }
}

/// Mean lengths in seconds, and how many conferences are recorded.
///
/// Single lengths vary evenly between half and one and a half times the mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lengths {
    /// Of a conference.
    pub conference_seconds: f64,
    /// Of a recording; it never outlasts its conference.
    pub recording_seconds: f64,
    /// From the end of a recording until its upload is done.
    pub upload_seconds: f64,
    /// Share of the conferences that are recorded, 0 to 1.
    pub recorded_share: f64,
}

impl Default for Lengths {
    fn default() -> Self {
        Self { conference_seconds: 17.0, recording_seconds: 9.0, upload_seconds: 2.0, recorded_share: 0.25 }
    }
}
