//! The keys of the scaler's tags as Azure admits them, which forbids the slash.
//!
//! Owns the mapping in both directions. An Azure machine's name may be used again after it is gone, so the key of a drain
//! holds the machine's unique id too: `jitsi-scaler:drain:NAME:VMID`. A drain never passes to a namesake.

use std::collections::HashMap;

use crate::cloud::layout::{MOST_TAGS, OWN_TAGS, others};
use crate::cloud::tags::{PREFIX, drain_key, is_drain};
use crate::units::{Capacity, InstanceId};

/// Begins every key of the scaler in Azure.
const OURS: &str = "jitsi-scaler:";
/// Begins those of drains.
const DRAIN: &str = "jitsi-scaler:drain:";

/// The key in Azure of a key of the scaler that is not that of a drain; others stay as they are.
pub(super) fn plain(key: &str) -> String {
    match key.strip_prefix(PREFIX) {
        Some(rest) => format!("{OURS}{}", rest.replace('/', ":")),
        None => key.to_owned(),
    }
}

/// The key in Azure of an instance's drain.
pub(super) fn drain(instance: &InstanceId, vm_id: &str) -> String {
    format!("{DRAIN}{instance}:{vm_id}")
}

/// The instance of a drain's key, which is one of the scaler's, not of Azure's.
pub(super) fn drained(key: &str) -> Option<InstanceId> {
    let rest = key.strip_prefix(drain_key(&InstanceId::new("")).as_str())?;
    is_drain(key).then(|| InstanceId::new(rest))
}

/// The tags of a set, as the scaler reads them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tags {
    /// Key and value.
    pub(super) read: Vec<(String, String)>,
    /// The key in Azure of each drain that was read.
    pub(super) drains: HashMap<InstanceId, String>,
    /// The keys in Azure of drains of machines that are gone, and whose names others have now.
    pub(super) stale: Vec<String>,
}

/// Reads the tags of a set. `members` are its instances, with the unique ids of their machines. Azure compares keys and
/// names without case.
pub(super) fn read<'a>(
    tags: impl IntoIterator<Item = (&'a String, &'a String)>,
    members: &HashMap<InstanceId, String>,
) -> Tags {
    let mut found = Tags::default();
    for (key, value) in tags {
        let Some(rest) = after(key, DRAIN) else {
            let key = after(key, OURS)
                .map_or_else(|| key.clone(), |rest| format!("{PREFIX}{}", rest.to_ascii_lowercase()));
            found.read.push((key, value.clone()));
            continue;
        };
        // A key without a machine's id is no key of this program; it counts as that of whichever has the name.
        let (name, vm_id) = rest.rsplit_once(':').map_or((rest, None), |(name, vm_id)| (name, Some(vm_id)));
        let member = members.iter().find(|(id, _)| id.as_str().eq_ignore_ascii_case(name));
        if let (Some((_, own)), Some(vm_id)) = (member, vm_id)
            && !own.eq_ignore_ascii_case(vm_id)
        {
            found.stale.push(key.clone());
            continue;
        }
        let id = member.map_or_else(|| InstanceId::new(name), |(id, _)| id.clone());
        found.read.push((drain_key(&id), value.clone()));
        found.drains.insert(id, key.clone());
    }
    found
}

/// How many drains the tags of a set can hold: each needs a tag, for its key names the machine.
pub(super) fn most_drains(tags: &[(String, String)]) -> Capacity {
    Capacity::of(MOST_TAGS.saturating_sub(OWN_TAGS + others(tags)))
}

fn after<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    let (begin, rest) = key.split_at_checked(prefix.len())?;
    begin.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::cloud::tags::{PAUSED, RECYCLING, SCALED_IN, SCALED_OUT};

    fn members(all: &[(&str, &str)]) -> HashMap<InstanceId, String> {
        all.iter().map(|(id, vm_id)| (InstanceId::new(id), (*vm_id).to_owned())).collect()
    }

    fn tags(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_key_of_the_scaler_survives_the_way_through_azure() {
        for key in [SCALED_OUT, SCALED_IN, RECYCLING, PAUSED] {
            let real = plain(key);
            assert!(!real.contains(['<', '>', '%', '&', '\\', '?', '/']), "{real}");
            assert_eq!(read(&tags(&[(&real, "v")]), &members(&[])).read, [(key.to_owned(), "v".to_owned())]);
        }
        assert_eq!(plain("jitsi-fleet"), "jitsi-fleet");
    }

    /// The name of a deleted machine is used again.
    #[test]
    fn a_drain_does_not_pass_to_a_namesake() {
        let id = InstanceId::new("jvb_3");
        let real = drain(&id, "old");
        let tags = tags(&[(&real, "v")]);
        let of_old = read(&tags, &members(&[("jvb_3", "OLD")]));
        assert_eq!(of_old.read, [("jitsi-scaler/drain/jvb_3".to_owned(), "v".to_owned())]);
        let of_new = read(&tags, &members(&[("jvb_3", "new")]));
        assert_eq!((of_new.read, of_new.stale), (Vec::new(), vec![real.clone()]));
        let of_none = read(&tags, &members(&[("jvb_4", "new")]));
        assert_eq!((of_none.read.len(), of_none.drains.get(&id)), (1, Some(&real)));
    }

    #[test]
    fn keys_and_names_are_compared_without_case() {
        let tags = tags(&[("Jitsi-Scaler:Drain:JVB_3:A", "v"), ("JITSI-SCALER:Paused", "p")]);
        let found = read(&tags, &members(&[("jvb_3", "a")]));
        let keys: Vec<_> = found.read.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, [PAUSED, "jitsi-scaler/drain/jvb_3"]);
    }

    #[test]
    fn the_longest_key_of_a_drain_fits() {
        let name = format!("{}_0123abcd", "x".repeat(64));
        assert!(drain(&InstanceId::new(&name), "6b29fc40-ca47-1067-b31d-00dd010662da").len() <= 512);
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn any_tags_are_read(all in proptest::collection::btree_map(".{0,40}", ".{0,9}", 0..6), name in "[a-z_0-9]{1,9}") {
            let found = read(&all, &members(&[(&name, "a")]));
            prop_assert_eq!(found.read.len() + found.stale.len(), all.len());
        }

        #[test]
        fn a_drain_that_is_written_is_read(name in "[A-Za-z0-9_.-]{1,64}", vm_id in "[0-9a-f-]{36}") {
            let id = InstanceId::new(&name);
            let tags = tags(&[(&drain(&id, &vm_id), "v")]);
            let found = read(&tags, &members(&[(&name, &vm_id)]));
            prop_assert_eq!(found.read, [(drain_key(&id), "v".to_owned())]);
            prop_assert_eq!(drained(&drain_key(&id)), Some(id));
        }
    }
}
