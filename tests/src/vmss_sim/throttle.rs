//! Throttling: token buckets for each policy, of a set and of the subscription, and those of Resource Manager in front.
//!
//! Sources: "Throttling limits" of Azure Compute; "How Azure Resource Manager throttles requests".

use std::collections::HashMap;

use super::route::Resource;

/// Calls that a bucket gets in a minute, and those that it holds.
type Limit = (f64, f64);

/// A policy of the Compute provider: its name, its limit for a set, and its limit for the subscription.
type Policy = (&'static str, Option<Limit>, Limit);

fn policy(action: &str) -> Option<Policy> {
    Some(match action {
        "UpdateSet" | "Reimage" => ("UpdateVMScaleSet", Some((4.0, 12.0)), (500.0, 1500.0)),
        "DeleteInstances" | "DeleteSet" => ("DeleteVMScaleSet", Some((4.0, 12.0)), (175.0, 525.0)),
        "UpdateInstance" => ("UpdateVMScaleSetVM", Some((4.0, 12.0)), (500.0, 1500.0)),
        "GetSet" | "GetRollingUpgrade" => ("GetVMScaleSet", Some((12.0, 36.0)), (800.0, 2400.0)),
        "GetInstanceView" => ("GetVMScaleSetInstanceView", Some((10.0, 30.0)), (360.0, 1080.0)),
        "ListInstances" => ("VMScaleSetVMList", Some((12.0, 36.0)), (2000.0, 6000.0)),
        "GetInstance" => ("GetVMScaleSetVM", Some((12.0, 36.0)), (2000.0, 6000.0)),
        "ListSets" => ("ListVMScaleSet", None, (360.0, 1080.0)),
        "ListMachines" | "GetMachine" => ("ListVM", None, (300.0, 900.0)),
        "DeleteMachine" => ("DeleteVM", None, (500.0, 1500.0)),
        "GetOperation" | "GetOperationResult" => ("GetOperation", Some((15.0, 45.0)), (5000.0, 15_000.0)),
        _ => return None,
    })
}

/// The limits of Resource Manager: reads, and writes or deletes.
const READS: Limit = (1500.0, 250.0);
const WRITES: Limit = (600.0, 200.0);

#[derive(Debug, Clone)]
struct Bucket {
    level: f64,
    at: f64,
}

/// The calls that are left, of each bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Throttle {
    /// How much faster than Azure's the buckets fill; 0 for no throttling at all.
    speed: f64,
    buckets: HashMap<(String, String), Bucket>,
}

/// What a call spends: headers of its answer, and if a bucket is empty its policy and the seconds to wait.
#[derive(Debug, Default)]
pub(super) struct Spent {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) refused: Option<(String, u64)>,
}

impl Throttle {
    pub(super) fn new(speed: f64) -> Self {
        Self { speed, buckets: HashMap::new() }
    }

    /// Spends one call.
    pub(super) fn spend(&mut self, action: &str, resource: &Resource, now: f64) -> Spent {
        let mut spent = Spent::default();
        if self.speed <= 0.0 {
            return spent;
        }
        let (kind, limit) = if action.starts_with("Get") || action.starts_with("List") {
            ("reads", READS)
        } else {
            ("writes", WRITES)
        };
        let header = format!("x-ms-ratelimit-remaining-subscription-{kind}");
        let left = self.take(kind, "subscription", limit, now);
        let name = if header.ends_with("reads") {
            "x-ms-ratelimit-remaining-subscription-reads"
        } else {
            "x-ms-ratelimit-remaining-subscription-writes"
        };
        spent.note(kind, left);
        spent.headers.push((name, whole(left.unwrap_or(0.0))));
        if let Some((name, of_set, of_subscription)) = policy(action) {
            let mut remaining = Vec::new();
            if let (Some(limit), Some(set)) = (of_set, resource.set()) {
                let left = self.take(name, &format!("{}/{}", set.group, set.name), limit, now);
                spent.note(name, left);
                remaining.push(format!("Microsoft.Compute/{name}Resource;{}", whole(left.unwrap_or(0.0))));
            }
            let left = self.take(name, "subscription", of_subscription, now);
            spent.note(name, left);
            remaining.push(format!("Microsoft.Compute/{name}Subscription;{}", whole(left.unwrap_or(0.0))));
            spent.headers.push(("x-ms-ratelimit-remaining-resource", remaining.join(",")));
        }
        spent
    }

    /// Takes one call out of a bucket. Returns what is left, or as an error the seconds until there is one.
    fn take(&mut self, policy: &str, of: &str, (minute, burst): Limit, now: f64) -> Result<f64, f64> {
        let rate = minute / 60.0 * self.speed;
        let full = || Bucket { level: burst, at: now };
        let bucket = self.buckets.entry((policy.to_owned(), of.to_owned())).or_insert_with(full);
        bucket.level = burst.min(bucket.level + (now - bucket.at).max(0.0) * rate);
        bucket.at = now;
        if bucket.level < 1.0 {
            return Err((1.0 - bucket.level) / rate);
        }
        bucket.level -= 1.0;
        Ok(bucket.level)
    }
}

impl Spent {
    fn note(&mut self, policy: &str, left: Result<f64, f64>) {
        if let (Err(wait), None) = (left, &self.refused) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds, at least one"
            )]
            let wait = wait.ceil().max(1.0) as u64;
            self.refused = Some((policy.to_owned(), wait));
        }
    }
}

fn whole(left: f64) -> String {
    format!("{:.0}", left.floor())
}

#[cfg(test)]
mod tests {
    use super::super::model::SetKey;
    use super::*;

    #[test]
    fn a_set_has_a_burst_of_twelve_updates_and_then_four_a_minute() {
        let mut throttle = Throttle::new(1.0);
        let set = Resource::Set(SetKey::new("rg", "jvb"));
        let mut refused = |now| throttle.spend("UpdateSet", &set, now).refused;
        for _ in 0..12 {
            assert_eq!(refused(0.0), None);
        }
        assert_eq!(refused(0.0), Some(("UpdateVMScaleSet".to_owned(), 15)));
        assert_eq!(refused(15.0), None);
        assert!(refused(15.1).is_some());
        let other = Resource::Set(SetKey::new("rg", "jibri"));
        let spent = throttle.spend("UpdateSet", &other, 15.2);
        assert!(spent.refused.is_none());
        let (_, remaining) = spent.headers.last().expect("what is left");
        assert!(remaining.starts_with("Microsoft.Compute/UpdateVMScaleSetResource;11,"), "{remaining}");
    }
}
