//! Events of leadership.

use tracing::{debug, error, info, warn};

use super::chain::chain;
use super::metrics::{ReasonLabels, Telemetry};
use crate::shards::{Shard, Shards};

/// Why a scaler does not lead a shard any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardEnd {
    /// It could not renew the lease in time, or this other scaler holds it.
    Lost(Option<String>),
    /// Another scaler leads fewer shards.
    HandedOver,
    /// It stops.
    Stopped,
}

impl Telemetry {
    /// This scaler stands by; `holder` leads, as far as is known.
    pub fn stands_by(&self, holder: Option<&str>) {
        self.metrics.leader.set(0);
        self.know_lease_failures();
        match holder {
            Some(holder) => info!(holder, "standing by: the lease has a holder"),
            None => info!("standing by: the lease has no holder yet"),
        }
    }

    /// This scaler waits until the scalers agree on the number of shards: by the lease that says so, which `other` holds,
    /// scalers with another number act, or one without shards.
    pub fn waits_for_agreement(&self, other: Option<&str>) {
        self.metrics.leader.set(0);
        self.know_lease_failures();
        match other {
            Some(other) => warn!(
                holder = other,
                "standing by: scalers with another --leader.shards act; waiting until they have stopped and their lease has \
                 expired"
            ),
            None => info!("standing by: the scalers do not agree on the number of shards yet"),
        }
    }

    /// This scaler leads now.
    pub fn leads(&self, identity: &str) {
        self.metrics.leader.set(1);
        self.metrics.leader_changes.inc();
        info!(identity, "leading");
    }

    /// This scaler lost the lead, because it could not renew the lease in time or another scaler holds it.
    pub fn lost_lead(&self, holder: Option<&str>) {
        self.metrics.leader.set(0);
        self.metrics.leader_changes.inc();
        let holder = holder.unwrap_or_default();
        error!(holder, "the lead is lost; this scaler changes nothing until it leads again");
    }

    /// This scaler gives up its lease and changes nothing from now on.
    pub fn resigns(&self) {
        self.metrics.leader.set(0);
        self.metrics.leader_changes.inc();
        info!("giving up the lease, so that another scaler can lead at once");
    }

    fn know_lease_failures(&self) {
        for reason in ["conflict", "refused", "timeout", "unreachable"] {
            drop(self.metrics.lease_failures.get_or_create(&ReasonLabels { reason }));
        }
    }

    /// A request for the lease failed; `news` unless the one before failed for the same reason.
    pub fn lease_failed(&self, reason: &'static str, error: &dyn std::error::Error, news: bool) {
        self.metrics.lease_failures.get_or_create(&ReasonLabels { reason }).inc();
        if news {
            warn!(reason, error = chain(error), "failed to read or write the lease; trying again");
        } else {
            debug!(reason, error = chain(error), "failed to read or write the lease");
        }
    }

    /// The fleets are spread over so many shards.
    pub fn spread_over(&self, shards: Shards) {
        self.metrics.shards.set(i64::from(shards.count()));
    }

    /// This scaler leads a shard now.
    pub fn leads_shard(&self, shard: Shard) {
        self.metrics.leader_changes.inc();
        self.metrics.shards_led.inc();
        self.metrics.leader.set(1);
        info!(%shard, "leading a shard");
    }

    /// This scaler does not lead a shard any more.
    pub fn left_shard(&self, shard: Shard, end: ShardEnd) {
        self.metrics.leader_changes.inc();
        let led = self.metrics.shards_led.dec() - 1;
        self.metrics.leader.set(i64::from(led > 0));
        match end {
            ShardEnd::Lost(holder) => error!(
                %shard,
                holder = holder.unwrap_or_default(),
                "a shard is lost; this scaler changes nothing in it until it leads it again"
            ),
            ShardEnd::HandedOver => info!(%shard, "handing a shard over to a scaler that leads fewer"),
            ShardEnd::Stopped => {
                info!(%shard, "giving up a shard, so that another scaler can lead it at once");
            }
        }
    }

    /// Removes the gauges of the fleets of a shard and of their groups: another scaler reports them now, and here they would
    /// grow stale. Counters stay.
    pub fn stood_down(&self, shard: Shard) {
        self.metrics.clear_current(&|fleet| shard.has(fleet));
    }
}
