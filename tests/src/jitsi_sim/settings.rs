//! How the simulated components behave: delays, weights and lengths, all plain values.
//!
//! The defaults are what real components do. [`Settings::compressed`] shortens the delays for tests in which a conference
//! lasts seconds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How the components behave.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How often a bridge sends its state to Jicofo. A change of state waits for the next time.
    pub presence_interval: Duration,
    /// How long a presence takes to reach Jicofo: that of a bridge, a change of a Jibri's state, and the end of either.
    pub presence_delay: Duration,
    /// How long Jicofo adds participants that it sent to a bridge to the stress that the bridge reports.
    pub recently_added: Duration,
    /// From `SHUTTING_DOWN` of a bridge until it closes its ports and drops its calls.
    pub shutting_down_delay: Duration,
    /// How long a bridge still counts a conference without endpoints.
    pub conference_linger: Duration,
    /// How long a bridge keeps the endpoint of somebody who vanished. Who hangs up leaves at once.
    pub endpoint_expiry: Duration,
    /// From an accepted graceful shutdown of an idle Jibri until it closes its ports; it reports IDLE until then. With
    /// zero the connection of the request may break before the answer, as with real ones.
    pub jibri_close_delay: Duration,
    /// From then until the process ends. So long Jicofo takes the Jibri for an idle one, which refuses work.
    pub jibri_exit_delay: Duration,
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
            presence_interval: Duration::from_secs(5),
            presence_delay: Duration::from_millis(100),
            recently_added: Duration::from_secs(20),
            shutting_down_delay: Duration::from_mins(1),
            conference_linger: Duration::from_mins(1),
            endpoint_expiry: Duration::from_mins(2),
            jibri_close_delay: Duration::from_secs(1),
            jibri_exit_delay: Duration::from_millis(5_400),
            participants_per_bridge: 50,
            incoming_kbps_per_participant: 800,
            outgoing_kbps_per_participant: 2500,
            lengths: Lengths::default(),
        }
    }
}

impl Settings {
    /// Delays of a thirtieth or less, where periods of a minute are compressed to a second or two.
    #[must_use]
    pub fn compressed() -> Self {
        Self {
            presence_interval: Duration::from_millis(150),
            presence_delay: Duration::from_millis(20),
            recently_added: Duration::from_millis(600),
            shutting_down_delay: Duration::from_secs(2),
            conference_linger: Duration::from_millis(500),
            endpoint_expiry: Duration::from_secs(4),
            jibri_close_delay: Duration::from_millis(50),
            jibri_exit_delay: Duration::from_millis(200),
            ..Self::default()
        }
    }

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
