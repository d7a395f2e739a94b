//! A status beside the one before it: what has lasted since then.
//!
//! This is in memory only: a scaler that was just started says that it may have begun earlier.

use std::collections::BTreeMap;

use super::GroupStatus;
use super::since::{Onset, none_in, silent_in};

impl GroupStatus {
    /// Notes since when each thing has lasted, if `before` is the status before this one.
    pub fn follow(&mut self, before: Option<&Self>) {
        let reasons = self.blocked.iter().map(|block| block.reason.to_owned());
        let silent = self.zones.iter().filter(|zone| !zone.silent.is_empty());
        let deserted = self.zones.iter().filter(|zone| zone.is_deserted(&self.zones));
        let zones = silent.map(|zone| silent_in(&zone.zone)).chain(deserted.map(|zone| none_in(&zone.zone)));
        let lasting = reasons.chain(zones);
        let onset = |what: &String| match before {
            Some(before) => before.since.get(what).cloned(),
            None => Some(Onset { since: self.time.clone(), or_earlier: true }),
        };
        let fresh = || Onset { since: self.time.clone(), or_earlier: false };
        let since: BTreeMap<_, _> =
            lasting.map(|what| (what.clone(), onset(&what).unwrap_or_else(fresh))).collect();
        self.since = since;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_zone_without_instances_is_noticed_where_the_others_have_some() {
        let zones = |ready: &[u32]| -> Vec<String> {
            let zone = |(number, &ready): (usize, &u32)| crate::report::ZoneReport {
                zone: number.to_string(),
                ready,
                ..Default::default()
            };
            let mut status = GroupStatus { blocked: Vec::new(), ..sample::group() };
            status.zones = ready.iter().enumerate().map(zone).collect();
            status.follow(None);
            status.since.into_keys().collect()
        };
        assert_eq!(zones(&[2, 0, 3]), ["no instance in 1"]);
        for fine in [&[1, 0, 2][..], &[0], &[0, 0, 2], &[2, 2, 2]] {
            assert_eq!(zones(fine), [""; 0], "{fine:?}");
        }
    }

    #[test]
    fn what_lasts_keeps_the_time_at_which_it_began() {
        let at =
            |minute: u32| GroupStatus { time: format!("2026-11-20T07:{minute:02}:00Z"), ..sample::group() };
        let said = |status: &GroupStatus| {
            status
                .since
                .iter()
                .map(|(what, it)| format!("{what} {} {}", &it.since[14..16], it.or_earlier))
                .collect::<Vec<_>>()
        };
        let mut first = at(1);
        first.blocked.clear();
        first.follow(None);
        assert_eq!(said(&first), ["silent in us-east-1a 01 true"]);
        let mut second = at(2);
        second.follow(Some(&first));
        assert_eq!(said(&second), ["cooldown 02 false", "silent in us-east-1a 01 true"]);
        let mut third = at(3);
        third.zones.clear();
        third.follow(Some(&second));
        assert_eq!(said(&third), ["cooldown 02 false"]);
        let mut fourth = at(4);
        fourth.follow(Some(&third));
        assert_eq!(said(&fourth), ["cooldown 02 false", "silent in us-east-1a 04 false"]);
    }
}
