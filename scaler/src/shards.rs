//! Which shard a fleet belongs to.
//!
//! It follows from the name of the fleet and the number of shards alone, so that replicas with different configurations
//! agree about it during a rollout.

use std::fmt;
use std::num::NonZeroU16;

use aws_lc_rs::digest::{SHA256, digest};

/// The number of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(NonZeroU16);

impl Shards {
    /// Every fleet in one shard.
    pub const ONE: Self = Self(NonZeroU16::MIN);
    /// The most shards: each replica reads the leases of all of them every retry period.
    pub const MOST: u16 = 64;

    /// `None` for no shards, and for more than [`Self::MOST`].
    #[must_use]
    pub fn try_new(count: u16) -> Option<Self> {
        NonZeroU16::new(count).filter(|count| count.get() <= Self::MOST).map(Self)
    }

    /// How many there are.
    #[must_use]
    pub fn count(self) -> u16 {
        self.0.get()
    }

    /// The identity under which all replicas with this number of shards hold the lease that says so.
    #[must_use]
    pub fn identity(self) -> String {
        format!("{}-shards", self.count())
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Shard> {
        (0..self.count()).map(move |number| Shard { number, of: self })
    }

    /// The shard of a fleet: the first eight bytes of the SHA-256 of its name, as a big-endian number, modulo the number of
    /// shards.
    #[must_use]
    pub fn of(self, fleet: &str) -> Shard {
        let hash = digest(&SHA256, fleet.as_bytes());
        let first = hash.as_ref().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let number = u16::try_from(first % u64::from(self.count())).unwrap_or_default();
        Shard { number, of: self }
    }
}

/// One shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub number: u16,
    /// Of so many.
    pub of: Shards,
}

impl Shard {
    /// The only shard.
    pub const WHOLE: Self = Self { number: 0, of: Shards::ONE };

    /// Whether a fleet belongs to it.
    #[must_use]
    pub fn has(self, fleet: &str) -> bool {
        self.of == Shards::ONE || self.of.of(fleet) == self
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of.count())
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    /// A fleet must stay in its shard from one version of the program to the next.
    #[test_case("jvb", 8, 3; "by the first bytes of its digest")]
    #[test_case("jibri", 8, 7; "another one")]
    #[test_case("jvb", 1, 0; "the only one")]
    fn a_fleet_stays_in_its_shard(fleet: &str, count: u16, expected: u16) {
        let shards = Shards::try_new(count).expect("a number");
        assert_eq!(shards.of(fleet).number, expected);
        assert_eq!(shards.iter().filter(|shard| shard.has(fleet)).count(), 1);
    }

    #[test_case("fleet-"; "numbered")]
    #[test_case("prod-eu-west-1-jvb-"; "in a region")]
    #[test_case(""; "numbers alone")]
    fn ten_thousand_groups_in_a_thousand_fleets_are_spread_within_a_fifth(prefix: &str) {
        let shards = Shards::try_new(8).expect("a number");
        let mut groups = [0_u32; 8];
        for number in 0..1000 {
            groups[usize::from(shards.of(&format!("{prefix}{number}")).number)] += 10;
        }
        assert!(groups.iter().all(|groups| (1000..=1500).contains(groups)), "{groups:?}");
    }
}
