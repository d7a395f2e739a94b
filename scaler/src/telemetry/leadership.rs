//! Events of leadership.

use tracing::{debug, error, info, warn};

use super::chain::chain;
use super::metrics::{ReasonLabels, Telemetry};

impl Telemetry {
    /// This scaler stands by; `holder` leads, as far as is known.
    pub fn stands_by(&self, holder: Option<&str>) {
        self.metrics.leader.set(0);
        for reason in ["conflict", "refused", "timeout", "unreachable"] {
            drop(self.metrics.lease_failures.get_or_create(&ReasonLabels { reason }));
        }
        match holder {
            Some(holder) => info!(holder, "standing by: the lease has a holder"),
            None => info!("standing by: the lease has no holder yet"),
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

    /// A request for the lease failed; `news` unless the one before failed for the same reason.
    pub fn lease_failed(&self, reason: &'static str, error: &dyn std::error::Error, news: bool) {
        self.metrics.lease_failures.get_or_create(&ReasonLabels { reason }).inc();
        if news {
            warn!(reason, error = chain(error), "failed to read or write the lease; trying again");
        } else {
            debug!(reason, error = chain(error), "failed to read or write the lease");
        }
    }

    /// Removes the gauges of fleets and groups: another scaler reports them now, and here they would grow stale. Counters
    /// stay.
    pub fn stood_down(&self) {
        self.metrics.clear_current();
    }
}
