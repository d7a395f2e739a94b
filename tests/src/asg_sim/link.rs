//! The connection to the Jitsi simulator: it starts instances there at launch, and ends them at shutdown.
//!
//! One task delivers the effects one after the other, in the order of occurrence. It retries an effect until it is
//! delivered: a lost shutdown would leave a recording running on an instance that is gone, and no cut would be counted.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedReceiver;
use url::Url;

use super::ledger::{Cuts, Effect};
use super::model::Component;
use super::shared::Shared;

/// The timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The first pause after a failure; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause: a Jitsi simulator that comes back is found within a second.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

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
pub(super) async fn deliver(
    client: Client,
    base: Url,
    mut effects: UnboundedReceiver<Effect>,
    shared: Shared,
) {
    let stop = shared.stop.clone();
    while let Some(Some(effect)) = stop.run_until_cancelled(effects.recv()).await {
        let mut pause = FIRST_PAUSE;
        loop {
            match stop.run_until_cancelled(tell(&client, &base, &effect, &shared)).await {
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

async fn tell(client: &Client, base: &Url, effect: &Effect, shared: &Shared) -> Result<(), LinkError> {
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
            shared.with(|service, _| service.cloud.set_private_ip(group, instance, private_ip));
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
            shared.with(|service, _| service.cloud.record_cuts(*cause, cuts));
            Ok(())
        }
    }
}

fn address(base: &Url, instance: &str) -> String {
    format!("{}/sim/v1/instances/{instance}", base.as_str().trim_end_matches('/'))
}
