//! What is told of requests from outside: alerts that wake an evaluation, pauses and their ends.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tracing::{debug, error, info, warn};

use super::{Adder, FleetLabels, GroupRef, Telemetry, UnseenLabels, chain};
use crate::units::{FleetName, Time};

/// What became of a notification of Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// It woke the evaluation of a group.
    Woken,
    /// All that it says was said before.
    Duplicate,
    /// Nothing in it fires.
    Resolved,
    /// It names no group that is known.
    Unmatched,
    /// It will never be understood.
    Invalid,
    /// Too many came; later ones may be heard.
    Limited,
    /// Nothing has been evaluated yet, or a fleet has its hands full; later ones may be heard.
    Busy,
}

impl Webhook {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Woken,
        Self::Duplicate,
        Self::Resolved,
        Self::Unmatched,
        Self::Invalid,
        Self::Limited,
        Self::Busy,
    ];

    /// The word for it in metrics and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Woken => "woken",
            Self::Duplicate => "duplicate",
            Self::Resolved => "resolved",
            Self::Unmatched => "unmatched",
            Self::Invalid => "invalid",
            Self::Limited => "limited",
            Self::Busy => "busy",
        }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WebhookLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WakeLabels {
    fleet: String,
    trigger: &'static str,
}

/// Counters of requests.
#[derive(Debug, Default)]
pub(super) struct Counters {
    webhooks: Family<WebhookLabels, Counter>,
    wakes: Family<WakeLabels, Counter>,
}

impl Counters {
    pub(super) fn register(&self, add: &mut Adder<'_>) {
        add.it("webhooks", "Notifications of Alertmanager by what became of them", &self.webhooks);
        add.it(
            "wakes",
            "Evaluations of some groups of a fleet between two grid points, by what asked for them",
            &self.wakes,
        );
        for outcome in Webhook::ALL {
            drop(self.webhooks.get_or_create(&WebhookLabels { outcome: outcome.as_str() }));
        }
    }
}

/// Every word of `jitsi_scaler_unseen_total{what}`.
const UNSEEN: [&str; 6] =
    ["groups", "activities", "claimed_group", "instance_refreshes", "instance", "hooks"];

impl Telemetry {
    /// A fleet is under control from now on: what is counted for it begins at 0, so that a first increase is seen.
    pub fn fleet_known(&self, fleet: &FleetName) {
        drop(self.metrics.late_ticks.get_or_create(&FleetLabels { fleet: fleet.to_string() }));
        for what in UNSEEN {
            drop(self.metrics.unseen.get_or_create(&UnseenLabels { fleet: fleet.to_string(), what }));
        }
        for trigger in ["webhook", "operator"] {
            let labels = WakeLabels { fleet: fleet.to_string(), trigger };
            drop(self.metrics.requests.wakes.get_or_create(&labels));
        }
    }

    /// A notification of Alertmanager came.
    pub fn webhook(&self, outcome: Webhook, text: &str) {
        let labels = WebhookLabels { outcome: outcome.as_str() };
        self.metrics.requests.webhooks.get_or_create(&labels).inc();
        match outcome {
            Webhook::Invalid | Webhook::Unmatched => {
                warn!(outcome = outcome.as_str(), text, "a notification of alertmanager was of no use");
            }
            _ => debug!(outcome = outcome.as_str(), text, "a notification of alertmanager came"),
        }
    }

    /// Groups of a fleet are evaluated between two grid points.
    pub fn woken(&self, fleet: &FleetName, trigger: &'static str, groups: usize, at: Time) {
        let labels = WakeLabels { fleet: fleet.to_string(), trigger };
        self.metrics.requests.wakes.get_or_create(&labels).inc();
        info!(%fleet, trigger, groups, time = %at, "woken before the next grid point");
    }

    /// An operator paused a group, or took a pause back (`until` is `None`).
    pub fn pause_set(&self, group: &GroupRef, until: Option<Time>, reason: &str) {
        let (fleet, asg, region) = (&group.fleet, &group.name, &group.region);
        match until {
            Some(until) => info!(%fleet, %asg, %region, %until, reason, "paused by an operator"),
            None => info!(%fleet, %asg, %region, "resumed by an operator"),
        }
    }

    /// The tag of a pause could not be written or removed.
    pub fn pause_failed(&self, group: &GroupRef, error: &dyn std::error::Error) {
        error!(
            fleet = %group.fleet, asg = %group.name, region = %group.region, error = chain(error),
            "failed to pause or resume the group; it is as it was"
        );
    }
}
