//! IDs that depend only on the seed.
//!
//! An instance's ID follows from the seed, its group and the number of earlier launches of the group, so that the order
//! in which groups act changes no ID.

use std::collections::BTreeMap;

use super::link::GroupKey;

#[derive(Debug, Clone)]
pub(crate) struct Ids {
    seed: u64,
    drawn: u64,
    launches: BTreeMap<GroupKey, u64>,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0, launches: BTreeMap::new() }
    }

    pub(crate) fn instance(&mut self, group: &GroupKey) -> String {
        let launches = self.launches.entry(group.clone()).or_default();
        *launches += 1;
        let place = fnv1a(group.region.bytes().chain([b'/']).chain(group.name.bytes()));
        format!("i-0{:016x}", mix(mix(self.seed ^ place).wrapping_add(*launches)))
    }

    /// A number that grows with every call: the order of activities.
    pub(crate) fn sequence(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    /// A text in the shape of a random UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let drawn = self.sequence();
        let (high, low) = (mix(self.seed.wrapping_add(drawn)), mix(!self.seed ^ drawn.rotate_left(32)));
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        )
    }
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_have_seventeen_digits_and_follow_the_seed() {
        let key = GroupKey::new("us-east-1", "prod-jvb");
        let (mut one, mut same, mut other) = (Ids::new(1), Ids::new(1), Ids::new(2));
        let first = one.instance(&key);
        assert_eq!(first.len(), "i-".len() + 17);
        assert!(first.starts_with("i-0"));
        same.instance(&GroupKey::new("us-east-1", "another"));
        assert_eq!(same.instance(&key), first, "another group's launch changes nothing");
        assert_ne!(other.instance(&key), first);
        assert_ne!(one.instance(&key), first);
    }

    #[test]
    fn uuids_have_the_usual_shape_and_differ() {
        let mut ids = Ids::new(7);
        let (one, two) = (ids.uuid(), ids.uuid());
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_ne!(one, two);
    }
}
