//! Events of requests from outside: alerts that wake an evaluation, pauses and their ends.

use tracing::{debug, info, warn};

use super::chain::chain;
use super::metrics::{
    EffectLabels, FleetLabels, GroupRef, Telemetry, UnseenLabels, WakeLabels, Webhook, WebhookLabels,
};
use crate::units::{FleetName, Time};

/// Every word of `jitsi_scaler_unseen_total{what}`.
const UNSEEN: [&str; 6] =
    ["groups", "activities", "claimed_group", "instance_refreshes", "instance", "hooks"];

/// The steps that end an instance, which an alert compares with the bridges that Jicofo lost.
const REMOVALS: [&str; 3] = ["terminate", "replace", "let_go"];

impl Telemetry {
    /// A fleet is under control: its counters begin at 0, so that Prometheus sees the first increase.
    pub fn fleet_known(&self, fleet: &FleetName) {
        drop(self.metrics.evaluations_missed.get_or_create(&FleetLabels { fleet: fleet.clone() }));
        for what in UNSEEN {
            drop(self.metrics.unseen.get_or_create(&UnseenLabels { fleet: fleet.clone(), what }));
        }
        drop(self.metrics.drain_duration_seconds.get_or_create(&FleetLabels { fleet: fleet.clone() }));
        for effect in REMOVALS {
            let labels = EffectLabels { fleet: fleet.clone(), effect, outcome: "done" };
            drop(self.metrics.effects.get_or_create(&labels));
        }
        for trigger in ["webhook", "operator", "drain"] {
            let labels = WakeLabels { fleet: fleet.clone(), trigger };
            drop(self.metrics.wakes.get_or_create(&labels));
        }
    }

    /// A notification of Alertmanager was received.
    pub fn webhook(&self, outcome: Webhook, text: &str) {
        let labels = WebhookLabels { outcome: outcome.as_str() };
        self.metrics.webhooks.get_or_create(&labels).inc();
        match outcome {
            Webhook::Invalid | Webhook::Unmatched => {
                warn!(outcome = outcome.as_str(), text, "a notification of alertmanager woke no evaluation");
            }
            _ => debug!(outcome = outcome.as_str(), text, "received a notification of alertmanager"),
        }
    }

    /// Groups of a fleet are evaluated between two grid points.
    pub fn woken(&self, fleet: &FleetName, trigger: &'static str, groups: usize, at: Time) {
        let labels = WakeLabels { fleet: fleet.clone(), trigger };
        self.metrics.wakes.get_or_create(&labels).inc();
        info!(%fleet, trigger, groups, time = %at, "woken before the next grid point");
    }

    /// An operator paused a group, or resumed it (`until` is `None`).
    pub fn pause_set(&self, group: &GroupRef, until: Option<Time>, (by, reason): (&str, &str)) {
        match until {
            Some(until) => of_group!(info, group, %until, by, reason, "paused by an operator"),
            None => of_group!(info, group, by, "resumed by an operator"),
        }
    }

    /// An operator ordered the drain of an instance, or its end.
    pub fn ordered(&self, group: &GroupRef, what: &str, (by, reason): (&str, &str), dry_run: bool) {
        of_group!(info, group, by, reason, dry_run, "an operator orders: {what}");
    }

    /// An order was refused, or could not be noted.
    pub fn not_ordered(&self, group: &GroupRef, what: &str, by: &str, error: &dyn std::error::Error) {
        of_group!(warn, group, by, error = chain(error), "an operator orders what is not done: {what}");
    }

    /// The tag of a pause could not be written or removed.
    pub fn pause_failed(&self, group: &GroupRef, by: &str, error: &dyn std::error::Error) {
        of_group!(
            error,
            group,
            by,
            error = chain(error),
            "failed to pause or resume the group; it is unchanged"
        );
    }
}
