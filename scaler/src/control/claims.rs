//! Which fleet a group belongs to, while the service runs.
//!
//! Owns the one thing that fleets share: two whose tags overlap must not both scale a group. Names are checked when the
//! configuration is loaded; tags can only be when groups are seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Fleet, GroupSelector, Groups};
use crate::shards::Shards;
use crate::telemetry::GroupRef;
use crate::units::{FleetName, GroupName, Period, Region, Time};

/// The shortest life of a claim that is not renewed: long enough for whatever its fleet began to end.
const SHORTEST: Duration = Duration::from_mins(30);
/// The shortest life of a claim in periods of its fleet: two evaluations may be missed without losing a group.
const PERIODS: u32 = 3;

/// The claim on each group, by region and name.
type Owners = HashMap<(Region, GroupName), Claim>;

#[derive(Debug)]
struct Claim {
    fleet: FleetName,
    /// When it was made or renewed.
    at: Time,
    /// For how long it holds.
    life: Duration,
}

/// The fleets of groups. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    owners: Arc<Mutex<Owners>>,
}

impl Claims {
    /// Claims a group for the fleet that saw it, or returns the fleet that holds it already. `period` is the time between
    /// two evaluations of the claiming fleet, which renew the claim.
    pub(super) fn claim(&self, group: &GroupRef, at: Time, period: Period) -> Result<(), FleetName> {
        let life = SHORTEST.max(period.duration() * PERIODS);
        let claim = Claim { fleet: group.fleet.clone(), at, life };
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        match owners.entry((group.region.clone(), group.name.clone())) {
            Entry::Occupied(mut entry) => {
                let held = entry.get_mut();
                // A claim that lies ahead, from before the clock was set back, counts from now.
                held.at = held.at.min(at);
                if held.fleet != claim.fleet && at < held.at.after(held.life) {
                    return Err(held.fleet.clone());
                }
                *held = claim;
            }
            Entry::Vacant(entry) => {
                entry.insert(claim);
            }
        }
        Ok(())
    }
}

/// Two fleets of different shards, which different replicas may lead, can select the same groups.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "spread the fleets over shards: {0} and {1} may select the same groups, and as they are in different shards, two replicas \
     could act on one group; select both by name, give both selectors a tag whose values differ, or leave out --leader.shards"
)]
pub struct Overlap(FleetName, FleetName);

/// Checks that no two fleets of different shards can select the same group. Claims hold within one process only.
pub fn check_apart(fleets: &[Fleet], shards: Shards) -> Result<(), Overlap> {
    let placed: Vec<_> = fleets.iter().map(|fleet| (fleet, shards.of(fleet.name.as_str()))).collect();
    for (number, (one, shard)) in placed.iter().enumerate() {
        for (other, its) in &placed[..number] {
            if shard != its && !are_apart(&one.asg, &other.asg) {
                return Err(Overlap(other.name.clone(), one.name.clone()));
            }
        }
    }
    Ok(())
}

/// Whether no group can belong to both. Names of different fleets differ: the configuration is checked for that.
fn are_apart(one: &GroupSelector, other: &GroupSelector) -> bool {
    let elsewhere = |one: &[Region], other: &[Region]| {
        !one.is_empty() && !other.is_empty() && !one.iter().any(|region| other.contains(region))
    };
    if one.subscription != other.subscription || elsewhere(&one.regions, &other.regions) {
        return true;
    }
    // The fifth part of a role's ARN is its account.
    let account = |it: &GroupSelector| it.role.as_ref()?.arn.split(':').nth(4).map(str::to_owned);
    if account(one).zip(account(other)).is_some_and(|(one, other)| one != other) {
        return true;
    }
    match (&one.groups, &other.groups) {
        (Groups::Names(_), Groups::Names(_)) => true,
        (Groups::Tags(one), Groups::Tags(other)) => {
            one.iter().any(|(key, value)| other.iter().any(|(its, other)| key == its && value != other))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::config::sample::{self, OUT};

    #[test_case("{names: [a]}", "{names: [b]}", true; "by name")]
    #[test_case("{tags: {role: a}}", "{tags: {role: b}}", true; "by different values of a tag")]
    #[test_case("{tags: {role: a, stage: x}}", "{tags: {role: a, stage: z}}", true; "by one of their tags")]
    #[test_case("{tags: {role: a}}", "{tags: {stage: x}}", false; "by different tags")]
    #[test_case("{tags: {role: a}}", "{tags: {role: a, stage: x}}", false; "by more tags")]
    #[test_case("{tags: {role: a}}", "{names: [b]}", false; "by tag and by name")]
    #[test_case("{tags: {role: a}, regions: [us-east-1]}", "{tags: {role: a}, regions: [eu-west-1]}", true; "in other regions")]
    #[test_case("{tags: {role: a}, regions: [us-east-1]}", "{tags: {role: a}}", false; "in a region that is unknown")]
    #[test_case(
        "{tags: {role: a}, role_arn: \"arn:aws:iam::111111111111:role/x\"}",
        "{tags: {role: a}, role_arn: \"arn:aws:iam::222222222222:role/x\"}", true; "in other accounts"
    )]
    fn fleets_of_different_shards_select_different_groups(one: &str, other: &str, apart: bool) {
        let fleet = |name: &str, groups: &str| {
            let mut config = sample::config(&format!("asg: {groups}"), &format!("expr: x\n        {OUT}"));
            Fleet { name: FleetName::new(name), ..config.fleets.remove(0) }
        };
        let fleets = [fleet("jvb", one), fleet("jibri", other)];
        let many = Shards::try_new(8).expect("a number");
        assert_ne!(many.of("jvb"), many.of("jibri"));
        let checked = check_apart(&fleets, many);
        assert_eq!(checked.is_ok(), apart, "{checked:?}");
        assert_eq!(check_apart(&fleets, Shards::ONE), Ok(()));
        if let Err(overlap) = checked {
            assert!(overlap.to_string().contains("jvb and jibri may select the same groups"), "{overlap}");
        }
    }

    /// Claims the group for a fleet with this period, so many minutes after the first claim.
    fn claim(claims: &Claims, fleet: &str, minutes: u64, period: Duration) -> Result<(), FleetName> {
        let group = GroupRef {
            fleet: FleetName::new(fleet),
            region: Region::new("us-east-1"),
            name: GroupName::new("a"),
        };
        let at = Time::from_unix(0).after(Duration::from_mins(minutes));
        claims.claim(&group, at, Period::try_new(period).expect("a period"))
    }

    #[test]
    fn a_group_belongs_to_one_fleet_until_that_gives_it_up() {
        let claims = Claims::default();
        let claim = |fleet, minutes| claim(&claims, fleet, minutes, Duration::from_mins(1));
        assert_eq!(claim("one", 0), Ok(()));
        assert_eq!(claim("two", 1), Err(FleetName::new("one")));
        assert_eq!(claim("one", 20), Ok(()));
        assert_eq!(claim("two", 49), Err(FleetName::new("one")));
        assert_eq!(claim("two", 50), Ok(()));
        assert_eq!(claim("one", 51), Err(FleetName::new("two")));
    }

    #[test]
    fn a_claim_outlives_two_missed_evaluations_of_a_long_period() {
        let claims = Claims::default();
        let (hourly, daily) = (Duration::from_hours(1), Duration::from_hours(24));
        assert_eq!(claim(&claims, "daily", 0, daily), Ok(()));
        for hour in 1..72 {
            assert_eq!(claim(&claims, "hourly", hour * 60, hourly), Err(FleetName::new("daily")));
        }
        assert_eq!(claim(&claims, "hourly", 72 * 60, hourly), Ok(()));
    }

    #[test]
    fn a_claim_from_before_the_clock_was_set_back_counts_from_now() {
        let claims = Claims::default();
        let claim = |fleet, minutes| claim(&claims, fleet, minutes, Duration::from_mins(1));
        assert_eq!(claim("one", 600), Ok(()));
        assert_eq!(claim("two", 10), Err(FleetName::new("one")));
        assert_eq!(claim("two", 39), Err(FleetName::new("one")));
        assert_eq!(claim("two", 40), Ok(()));
    }
}
