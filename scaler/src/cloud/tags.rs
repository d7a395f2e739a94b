//! The tags on a group that are the scaler's only memory.
//!
//! Owns their keys and values. A value that nobody understands is reported by the caller, and never taken for absent
//! where that would be the bolder reading.

use crate::decide::observation::{Drain, DrainState, Purpose, Recycling};
use crate::units::{Capacity, InstanceId, Time};

/// When we last scaled out.
pub const SCALED_OUT: &str = "jitsi-scaler/scaled-out";
/// When we last scaled in.
pub const SCALED_IN: &str = "jitsi-scaler/scaled-in";
/// By what we raised the group to recycle its oldest instances.
pub const RECYCLING: &str = "jitsi-scaler/recycling";
/// What the key of a drain begins with; the instance id follows.
const DRAIN: &str = "jitsi-scaler/drain/";

/// The key of the drain of an instance.
#[must_use]
pub fn drain_key(instance: &InstanceId) -> String {
    format!("{DRAIN}{instance}")
}

/// The value of a drain: since when, how far, and what for.
#[must_use]
pub fn drain_value(drain: Drain) -> String {
    format!("{} {} {}", drain.since, drain.state.as_str(), drain.purpose.as_str())
}

/// The value of [`RECYCLING`]: since when, and the desired capacity that the group was raised to.
#[must_use]
pub fn recycling_value(recycling: Recycling) -> String {
    format!("{} {}", recycling.since, recycling.desired)
}

/// What our tags on a group say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// When we last scaled out.
    pub scaled_out: Option<Time>,
    /// When we last scaled in.
    pub scaled_in: Option<Time>,
    /// The one by which we raised the group.
    pub recycling: Option<Recycling>,
    /// Drains under way.
    pub drains: Vec<(InstanceId, Drain)>,
    /// Keys whose values nobody understands.
    pub unreadable: Vec<String>,
}

impl Memory {
    /// Reads the tags of a group at the moment `now`. A cooldown that cannot be read is taken to begin now; a drain
    /// that cannot be read is taken to have just begun, so that it is looked after and nothing is terminated for it; a
    /// raise that cannot be read is taken for one that is over, so that nothing goes because of it.
    #[must_use]
    pub fn read(tags: &[(String, String)], now: Time) -> Self {
        let mut memory = Self::default();
        for (key, value) in tags {
            if key == SCALED_OUT || key == SCALED_IN {
                let at = Time::parse(value).unwrap_or_else(|| {
                    memory.unreadable.push(key.clone());
                    now
                });
                let slot = if key == SCALED_OUT { &mut memory.scaled_out } else { &mut memory.scaled_in };
                *slot = Some(at);
            } else if let Some(id) = key.strip_prefix(DRAIN) {
                let drain = parse_drain(value).unwrap_or_else(|| {
                    memory.unreadable.push(key.clone());
                    Drain { since: now, state: DrainState::Draining, purpose: Purpose::ScaleIn }
                });
                memory.drains.push((InstanceId::new(id), drain));
            } else if key == RECYCLING {
                memory.recycling = parse_recycling(value).or_else(|| {
                    memory.unreadable.push(key.clone());
                    Some(Recycling { since: now, desired: Capacity::saturating(i64::MAX) })
                });
            }
        }
        memory
    }
}

fn parse_drain(value: &str) -> Option<Drain> {
    let mut words = value.split(' ');
    let (since, state) = (Time::parse(words.next()?)?, DrainState::parse(words.next()?)?);
    Some(Drain { since, state, purpose: Purpose::parse(words.next()?)? })
}

fn parse_recycling(value: &str) -> Option<Recycling> {
    let (since, desired) = value.split_once(' ')?;
    Some(Recycling { since: Time::parse(since)?, desired: Capacity::try_new(desired.parse().ok()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn tags_are_read_back_as_they_are_written() {
        let now = Time::from_unix(1_790_000_000);
        let id = InstanceId::new("i-0123456789abcdef0");
        let drain = Drain { since: now, state: DrainState::Closed, purpose: Purpose::Replace };
        let recycling = Recycling { since: now, desired: Capacity::of(7) };
        let tags = [
            tag(RECYCLING, &recycling_value(recycling)),
            tag("Name", "prod-jvb"),
            tag(SCALED_OUT, &now.to_string()),
            tag(&drain_key(&id), &drain_value(drain)),
        ];
        let memory = Memory::read(&tags, Time::from_unix(0));
        let drains = vec![(id, drain)];
        let expected =
            Memory { scaled_out: Some(now), recycling: Some(recycling), drains, ..Memory::default() };
        assert_eq!(memory, expected);
    }

    #[test]
    fn what_cannot_be_read_is_read_cautiously() {
        let now = Time::from_unix(1_790_000_000);
        let tags =
            [tag(SCALED_IN, "soon"), tag("jitsi-scaler/drain/i-1", "2026 closed"), tag(RECYCLING, "5")];
        let memory = Memory::read(&tags, now);
        assert_eq!(memory.scaled_in, Some(now));
        let begun = Drain { since: now, state: DrainState::Draining, purpose: Purpose::ScaleIn };
        assert_eq!(memory.drains[0].1, begun);
        assert_eq!(memory.recycling.map(|it| it.desired.get()), Some(Capacity::LARGEST));
        assert_eq!(memory.unreadable.len(), 3);
    }

    #[test]
    fn tags_keep_within_what_aws_allows() {
        let id = InstanceId::new("i-0123456789abcdef0");
        let since = Time::from_unix(253_402_300_799);
        let drain = Drain { since, state: DrainState::Unclosable, purpose: Purpose::ScaleIn };
        assert!(drain_key(&id).len() <= 128 && drain_value(drain).len() <= 256);
    }
}
