//! The connection to the Jitsi simulator: it starts instances there at launch, and ends them at shutdown.
//!
//! One task delivers the effects one after the other, in the order of occurrence. It retries an effect until it is
//! delivered: a lost shutdown would leave a recording running on an instance that is gone, and no cut would be counted.

use std::fmt::Debug;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use url::Url;

/// The timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause after a failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause: a Jitsi simulator that comes back is found within a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The component on a group's instances, in the terms of the Jitsi simulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Component {
    /// A video bridge.
    Jvb,
    /// A recorder.
    Jibri,
    /// A focus component.
    Jicofo,
}

/// The key of a group: region and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GroupKey {
    /// The region, as in `us-east-1`.
    pub region: String,
    /// The group's name.
    pub name: String,
}

impl GroupKey {
    /// The group `name` in `region`.
    pub fn new(region: impl Into<String>, name: impl Into<String>) -> Self {
        Self { region: region.into(), name: name.into() }
    }
}

/// An event for other systems, in the order of occurrence.
#[must_use]
#[derive(Debug, Clone, PartialEq)]
pub enum Effect<C> {
    /// An instance was launched.
    Launched {
        /// Its group.
        group: GroupKey,
        /// Its id.
        instance: String,
        /// The component on it.
        component: Option<Component>,
        /// Its zone.
        zone: String,
        /// Seconds until the component answers.
        boot_seconds: f64,
    },
    /// An instance was shut down, which cuts everything that it carried.
    Stopped {
        /// Its group.
        group: GroupKey,
        /// Its id.
        instance: String,
        /// The component on it.
        component: Option<Component>,
        /// Why.
        cause: C,
    },
}

/// The load of an instance at its shutdown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cuts {
    /// Recordings in progress or in upload.
    #[serde(rename = "cut_recordings")]
    pub recordings: u64,
    /// Conferences with participants.
    #[serde(rename = "cut_conferences")]
    pub conferences: u64,
    /// The participants.
    #[serde(rename = "cut_participants")]
    pub participants: u64,
}

/// Terminations for one cause, and their damage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CauseCounters {
    /// Terminations.
    pub terminated: u64,
    /// Recordings in progress or in upload.
    pub cut_recordings: u64,
    /// Conferences with participants.
    pub cut_conferences: u64,
    /// The participants.
    pub cut_participants: u64,
}

impl CauseCounters {
    pub(crate) fn cut(&mut self, cuts: Cuts) {
        self.cut_recordings += cuts.recordings;
        self.cut_conferences += cuts.conferences;
        self.cut_participants += cuts.participants;
    }
}

/// The cloud whose effects are delivered.
pub(crate) trait Landlord: Clone + Send + Sync + 'static {
    /// Why an instance ends.
    type Cause: Copy + Debug + Send + Sync;

    /// Records the address of an instance.
    fn launched(&self, group: &GroupKey, instance: &str, address: String);

    /// Records the load of an instance at its shutdown.
    fn stopped(&self, cause: Self::Cause, cuts: Cuts);
}

#[derive(Debug, Serialize)]
struct Launch<'a> {
    component: Component,
    group: &'a str,
    region: &'a str,
    zone: &'a str,
    boot_seconds: f64,
}

#[derive(Debug, Deserialize)]
struct Launched {
    private_ip: String,
}

/// Why an effect was not delivered.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    /// A retry may succeed.
    #[error("failed to reach jitsi-sim")]
    Unreached(#[from] reqwest::Error),
    /// The answer was unexpected.
    #[error("jitsi-sim answered {status} to {method} of an instance")]
    Refused { status: StatusCode, method: Method },
}

/// Delivers effects until the simulator is stopped.
pub(crate) async fn deliver<L: Landlord>(
    client: Client,
    base: Url,
    mut effects: UnboundedReceiver<Effect<L::Cause>>,
    landlord: L,
    stop: CancellationToken,
) {
    while let Some(Some(effect)) = stop.run_until_cancelled(effects.recv()).await {
        let mut pause = FIRST_PAUSE;
        loop {
            match stop.run_until_cancelled(tell(&client, &base, &effect, &landlord)).await {
                Some(Ok(())) => break,
                Some(Err(LinkError::Refused { status, .. }))
                    if status.is_client_error() && matches!(effect, Effect::Launched { .. }) =>
                {
                    // The effect will never be accepted, and must not delay those after it.
                    tracing::error!(?effect, %status, "jitsi-sim does not accept an instance");
                    break;
                }
                Some(Err(error)) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::warn!(%error, ?cause, ?effect, "jitsi-sim was not told; trying again");
                    if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                None => return,
            }
        }
    }
}

async fn tell<L: Landlord>(
    client: &Client,
    base: &Url,
    effect: &Effect<L::Cause>,
    landlord: &L,
) -> Result<(), LinkError> {
    match effect {
        Effect::Launched { component: None, .. } | Effect::Stopped { component: None, .. } => Ok(()),
        Effect::Launched { group, instance, component: Some(component), zone, boot_seconds } => {
            let launch = Launch {
                component: *component,
                group: &group.name,
                region: &group.region,
                zone,
                boot_seconds: *boot_seconds,
            };
            let request = client.put(address(base, instance)).json(&launch);
            let answer = request.timeout(TIMEOUT).send().await?;
            if !answer.status().is_success() {
                return Err(LinkError::Refused { status: answer.status(), method: Method::PUT });
            }
            let Launched { private_ip } = answer.json().await?;
            landlord.launched(group, instance, private_ip);
            Ok(())
        }
        Effect::Stopped { instance, cause, .. } => {
            let answer = client.delete(address(base, instance)).timeout(TIMEOUT).send().await?;
            let cuts = match answer.status() {
                // The simulator never knew it, or an earlier attempt arrived: there is nothing left to cut.
                StatusCode::NOT_FOUND => Cuts::default(),
                status if status.is_success() => answer.json().await?,
                status => return Err(LinkError::Refused { status, method: Method::DELETE }),
            };
            landlord.stopped(*cause, cuts);
            Ok(())
        }
    }
}

fn address(base: &Url, instance: &str) -> String {
    format!("{}/sim/v1/instances/{instance}", base.as_str().trim_end_matches('/'))
}
