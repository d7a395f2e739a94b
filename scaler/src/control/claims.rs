//! Which fleet a group belongs to, while the service runs.
//!
//! Owns the one thing that fleets share: two whose tags overlap must not both scale a group. Names are checked when the
//! configuration is loaded; tags can only be when groups are seen.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::telemetry::GroupRef;
use crate::units::{FleetName, GroupName, Region, Time};

/// A claim that was not renewed for so long has been given up: longer than the longest usual period, and long enough for
/// whatever its fleet began to end.
const GIVEN_UP: Duration = Duration::from_mins(30);

/// By region and name, whose a group is and when that was last said.
type Owners = HashMap<(Region, GroupName), (FleetName, Time)>;

/// The fleets of groups. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    owners: Arc<Mutex<Owners>>,
}

impl Claims {
    /// Claims a group for the fleet that saw it, or gives the one that it belongs to already.
    pub(super) fn claim(&self, group: &GroupRef, at: Time) -> Result<(), FleetName> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        match owners.entry((group.region.clone(), group.name.clone())) {
            Entry::Occupied(mut entry) => {
                let (owner, renewed) = entry.get();
                if *owner != group.fleet && at.since(*renewed) < GIVEN_UP {
                    return Err(owner.clone());
                }
                entry.insert((group.fleet.clone(), at));
            }
            Entry::Vacant(entry) => {
                entry.insert((group.fleet.clone(), at));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_belongs_to_one_fleet_until_that_gives_it_up() {
        let group = |fleet: &str| GroupRef {
            fleet: FleetName::new(fleet),
            region: Region::new("us-east-1"),
            name: GroupName::new("a"),
        };
        let claims = Claims::default();
        let at = |minutes: u64| Time::from_unix(0).after(Duration::from_mins(minutes));
        assert_eq!(claims.claim(&group("one"), at(0)), Ok(()));
        assert_eq!(claims.claim(&group("two"), at(1)), Err(FleetName::new("one")));
        assert_eq!(claims.claim(&group("one"), at(20)), Ok(()));
        assert_eq!(claims.claim(&group("two"), at(49)), Err(FleetName::new("one")));
        assert_eq!(claims.claim(&group("two"), at(50)), Ok(()));
        assert_eq!(claims.claim(&group("one"), at(51)), Err(FleetName::new("two")));
    }
}
