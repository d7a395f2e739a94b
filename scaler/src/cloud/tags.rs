//! The tags on a group: all that a scaler remembers across a restart.
//!
//! Owns their keys and values. An unreadable value is read as the more cautious of its possible meanings, and the caller
//! reports it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::packs;
use crate::decide::observation::{Drain, DrainState, Purpose, Recycling};
use crate::units::{Capacity, InstanceId, Time};

/// The prefix of all keys.
pub const PREFIX: &str = "jitsi-scaler/";
/// When the scaler last scaled out.
pub const SCALED_OUT: &str = "jitsi-scaler/scaled-out";
/// When the scaler last scaled in.
pub const SCALED_IN: &str = "jitsi-scaler/scaled-in";
/// The desired capacity that the group was raised to before its oldest instances are recycled.
pub const RECYCLING: &str = "jitsi-scaler/recycling";
/// Until when an operator has paused the group, and the reason.
pub const PAUSED: &str = "jitsi-scaler/paused";
/// The prefix of the key of a drain; the instance id follows.
pub(super) const DRAIN: &str = "jitsi-scaler/drain/";

/// The key of an instance's drain.
#[must_use]
pub fn drain_key(instance: &InstanceId) -> String {
    format!("{DRAIN}{instance}")
}

/// Whether a key is that of an instance's drain, or of several.
#[must_use]
pub fn is_drain(key: &str) -> bool {
    key.starts_with(DRAIN) || packs::is_pack(key)
}

/// The value of a drain: its start, its state and its purpose, and who ordered it.
#[must_use]
pub fn drain_value(drain: Drain, asked: Option<&Asked>) -> String {
    let value = format!("{} {} {}", drain.since, drain.state.as_str(), drain.purpose.as_str());
    match asked.filter(|_| drain.by_operator) {
        Some(asked) => format!("{value} {asked}"),
        None => value,
    }
}

/// Who ordered a drain, its end or a pause, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The operator's name.
    pub by: String,
    /// The reason, for other operators; may be empty.
    pub reason: String,
}

impl Asked {
    /// The longest reason in characters. A tag's value has at most 256, of which the drain takes up to 46 and the name 64.
    pub const LONGEST_REASON: usize = 140;
    const LONGEST_NAME: usize = 64;

    /// A name without what the tag cannot hold: a colon, which no user has, and all beyond its length.
    #[must_use]
    pub fn new(by: &str, reason: &str) -> Self {
        let is_text = |character: &char| *character != ':' && !character.is_control();
        Self { by: by.chars().filter(is_text).take(Self::LONGEST_NAME).collect(), reason: reason.to_owned() }
    }

    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("by ").filter(|text| !text.is_empty())?;
        let (by, reason) = text.split_once(": ").unwrap_or((text, ""));
        Some(Self { by: by.to_owned(), reason: reason.to_owned() })
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { by, reason } = self;
        if reason.is_empty() { write!(f, "by {by}") } else { write!(f, "by {by}: {reason}") }
    }
}

/// The value of [`RECYCLING`]: the start, and the desired capacity that the group was raised to.
#[must_use]
pub fn recycling_value(recycling: Recycling) -> String {
    format!("{} {}", recycling.since, recycling.desired)
}

/// An operator's pause of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it ends; `None` if the tag is unreadable: then it lasts until the tag is removed.
    pub until: Option<Time>,
    /// Who paused it, and why. The name is empty if the tag does not have one, as those of earlier versions.
    pub asked: Asked,
}

impl Pause {
    /// The longest pause. A group that needs a longer one should leave the configuration.
    pub const LONGEST: Duration = Duration::from_hours(30 * 24);
    /// The longest reason in characters. A tag's value has at most 256, of which the time and the name take up to 90.
    pub const LONGEST_REASON: usize = 160;

    /// Whether it is in force at `now`.
    #[must_use]
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The value of [`PAUSED`]: the end, who paused, and the reason.
#[must_use]
pub fn paused_value(until: Time, asked: &Asked) -> String {
    format!("{until} {asked}")
}

/// The pause in `tags`, in force or over.
#[must_use]
pub fn pause(tags: &[(String, String)]) -> Option<Pause> {
    let (_, value) = tags.iter().find(|(key, _)| key == PAUSED)?;
    let (until, reason) = value.split_once(' ').unwrap_or((value, ""));
    let until = Time::parse(until);
    let reason = if until.is_some() { reason } else { value };
    Some(Pause { until, asked: Asked::parse(reason).unwrap_or_else(|| Asked::new("", reason)) })
}

/// The scaler's tags on a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// When the scaler last scaled out.
    pub scaled_out: Option<Time>,
    /// When the scaler last scaled in.
    pub scaled_in: Option<Time>,
    /// The recycling in progress.
    pub recycling: Option<Recycling>,
    /// The drains in progress.
    pub drains: Vec<(InstanceId, Drain)>,
    /// The drains that operators ordered and that have not begun.
    pub ordered: Vec<(InstanceId, Drain)>,
    /// Who ordered drains, of both kinds.
    pub asked: BTreeMap<InstanceId, Asked>,
    /// The pause in force.
    pub pause: Option<Pause>,
    /// The keys of unreadable values.
    pub unreadable: Vec<String>,
}

impl Memory {
    /// Reads the tags of a group at `now`. Unreadable values: a cooldown starts now; a drain starts now, so that its
    /// instance is not terminated before it is drained; a recycling is over, so that it drains nothing; a pause is in
    /// force.
    #[must_use]
    pub fn read(tags: &[(String, String)], now: Time) -> Self {
        let mut memory = Self { pause: pause(tags).filter(|pause| pause.holds(now)), ..Self::default() };
        if memory.pause.as_ref().is_some_and(|pause| pause.until.is_none()) {
            memory.unreadable.push(PAUSED.to_owned());
        }
        for (key, value) in tags {
            if key == SCALED_OUT || key == SCALED_IN {
                let at = Time::parse(value).unwrap_or_else(|| {
                    memory.unreadable.push(key.clone());
                    now
                });
                let slot = if key == SCALED_OUT { &mut memory.scaled_out } else { &mut memory.scaled_in };
                *slot = Some(at);
            } else if let Some(id) = key.strip_prefix(DRAIN) {
                let id = InstanceId::new(id);
                let (drain, asked) = parse_drain(value).unwrap_or_else(|| {
                    memory.unreadable.push(key.clone());
                    (Drain::begun(Purpose::ScaleIn, now), None)
                });
                memory.asked.extend(asked.map(|asked| (id.clone(), asked)));
                let is_ordered = drain.state == DrainState::Ordered;
                let slot = if is_ordered { &mut memory.ordered } else { &mut memory.drains };
                slot.push((id, drain));
            } else if key == RECYCLING {
                memory.recycling = parse_recycling(value).or_else(|| {
                    memory.unreadable.push(key.clone());
                    Some(Recycling { since: now, desired: Capacity::saturating(i64::MAX) })
                });
            }
        }
        memory.read_packs(tags, now);
        memory
    }

    /// Reads the tags that hold several drains. A drain's own tag counts more; of two packs, the more cautious one does.
    fn read_packs(&mut self, tags: &[(String, String)], now: Time) {
        let own: BTreeSet<_> = self.drains.iter().chain(&self.ordered).map(|(id, _)| id.clone()).collect();
        let mut packed = BTreeMap::new();
        for (key, value) in tags.iter().filter(|(key, _)| packs::is_pack(key)) {
            let (drains, is_unreadable) = packs::read(value);
            self.unreadable.extend(is_unreadable.then(|| key.clone()));
            for (id, drain) in drains.into_iter().filter(|(id, _)| !own.contains(id)) {
                let drain = drain.unwrap_or_else(|| Drain::begun(Purpose::ScaleIn, now));
                let known = packed.entry(id).or_insert(drain);
                *known = packs::more_cautious(*known, drain);
            }
        }
        self.drains.extend(packed);
    }
}

pub(super) fn parse_drain(value: &str) -> Option<(Drain, Option<Asked>)> {
    let mut words = value.splitn(4, ' ');
    let (since, state) = (Time::parse(words.next()?)?, DrainState::parse(words.next()?)?);
    let purpose = Purpose::parse(words.next()?)?;
    let asked = match words.next() {
        None => None,
        Some(rest) => Some(Asked::parse(rest)?),
    };
    let needs_operator = state == DrainState::Ordered || purpose == Purpose::Keep;
    let drain = Drain { since, state, purpose, by_operator: asked.is_some() };
    (asked.is_some() || !needs_operator).then_some((drain, asked))
}

fn parse_recycling(value: &str) -> Option<Recycling> {
    let (since, desired) = value.split_once(' ')?;
    Some(Recycling { since: Time::parse(since)?, desired: Capacity::try_new(desired.parse().ok()?)? })
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn tag(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn tags_are_read_as_they_were_written() {
        let now = Time::from_unix(1_790_000_000);
        let id = InstanceId::new("i-0123456789abcdef0");
        let drain = Drain { state: DrainState::Closed, ..Drain::begun(Purpose::Replace, now) };
        let recycling = Recycling { since: now, desired: Capacity::of(7) };
        let tags = [
            tag(RECYCLING, &recycling_value(recycling)),
            tag("Name", "prod-jvb"),
            tag(SCALED_OUT, &now.to_string()),
            tag(&drain_key(&id), &drain_value(drain, None)),
        ];
        let memory = Memory::read(&tags, Time::from_unix(0));
        let drains = vec![(id, drain)];
        let expected =
            Memory { scaled_out: Some(now), recycling: Some(recycling), drains, ..Memory::default() };
        assert_eq!(memory, expected);
    }

    #[test]
    fn unreadable_values_are_read_cautiously() {
        let now = Time::from_unix(1_790_000_000);
        let tags =
            [tag(SCALED_IN, "soon"), tag("jitsi-scaler/drain/i-1", "2026 closed"), tag(RECYCLING, "5")];
        let memory = Memory::read(&tags, now);
        assert_eq!(memory.scaled_in, Some(now));
        let begun = Drain::begun(Purpose::ScaleIn, now);
        assert_eq!(memory.drains[0].1, begun);
        assert_eq!(memory.recycling.map(|it| it.desired.get()), Some(Capacity::LARGEST));
        assert_eq!(memory.unreadable.len(), 3);
    }

    /// A tag that is cut off, or written by a version to come, must not count as that of a drain further on.
    #[test]
    fn a_drain_that_is_not_understood_begins_anew() {
        let now = Time::from_unix(1_790_000_000);
        let begun = Drain::begun(Purpose::ScaleIn, now);
        let since = "2026-09-21T12:00:00Z";
        for rest in [
            "",
            " closed",
            " closed ",
            " closed elsewhere",
            " left scale-in",
            "x closed scale-in",
            " closed scale-in twice",
            " closed scale-in by",
            " closed scale-in by ",
            " draining keep",
            " ordered replace",
        ] {
            let memory = Memory::read(&[tag("jitsi-scaler/drain/i-1", &format!("{since}{rest}"))], now);
            assert_eq!((memory.drains[0].1, memory.unreadable.len()), (begun, 1), "{rest:?}");
        }
        let memory = Memory::read(&[tag("jitsi-scaler/drain/i-1", &format!("{since} closed hook"))], now);
        assert_eq!((memory.drains[0].1.state, memory.unreadable.len()), (DrainState::Closed, 0));
    }

    #[test]
    fn a_pause_ends_in_time_but_an_unreadable_one_with_its_tag() {
        let until = Time::from_unix(1_790_000_000);
        let asked = Asked::new("alice", "new image: see the runbook");
        let tags = [tag(PAUSED, &paused_value(until, &asked))];
        let pause = Pause { until: Some(until), asked };
        assert_eq!(Memory::read(&tags, Time::from_unix(1_789_999_999)).pause, Some(pause));
        assert_eq!(Memory::read(&tags, until), Memory::default());
        for reason in ["", "new image: see the runbook", "by"] {
            let unnamed = Pause { until: Some(until), asked: Asked::new("", reason) };
            assert_eq!(super::pause(&[tag(PAUSED, &format!("{until} {reason}"))]), Some(unnamed));
        }

        let memory = Memory::read(&[tag(PAUSED, "until Monday")], until);
        let unreadable = Pause { until: None, asked: Asked::new("", "until Monday") };
        assert_eq!((memory.pause, memory.unreadable), (Some(unreadable), vec![PAUSED.to_owned()]));
    }

    #[test]
    fn tags_are_within_the_limits_of_aws() {
        let id = InstanceId::new("i-0123456789abcdef0");
        let since = Time::from_unix(253_402_300_799);
        let drain = Drain {
            state: DrainState::Unclosable,
            by_operator: true,
            ..Drain::begun(Purpose::ScaleIn, since)
        };
        let asked = Asked::new(&"x".repeat(1000), &"y".repeat(Asked::LONGEST_REASON));
        assert!(drain_key(&id).len() <= 128 && drain_value(drain, Some(&asked)).len() <= 256);
        let asked = Asked { reason: "y".repeat(Pause::LONGEST_REASON), ..asked };
        assert!(paused_value(since, &asked).len() <= 256);
    }

    fn any_time() -> impl Strategy<Value = Time> {
        // From 1970 to 9999, the years that a tag can name.
        (0..253_402_300_800_i64).prop_map(Time::from_unix)
    }

    fn any_drain() -> impl Strategy<Value = Drain> {
        let words = (select(&DrainState::ALL[..]), select(&Purpose::ALL[..]), any::<bool>());
        (any_time(), words).prop_map(|(since, (state, purpose, by_operator))| {
            let by_operator = by_operator || state == DrainState::Ordered || purpose == Purpose::Keep;
            Drain { since, state, purpose, by_operator }
        })
    }

    proptest! {
        #![proptest_config(jitsi_inputs::cases(300))]

        #[test]
        fn what_is_written_is_read(
            drains in btree_map("i-[0-9a-f]{1,17}", any_drain(), 0..5),
            (by, reason) in ("[^:\\s]{1,9}( [^:\\s]{1,9})?", "([^\\s].{0,40})?"),
            recycling in option::of((any_time(), 0..=Capacity::LARGEST)),
            scaled in option::of(any_time()),
            pause in option::of(any_time()),
        ) {
            let now = Time::from_unix(0);
            let recycling = recycling.map(|(since, desired)| Recycling { since, desired: Capacity::try_new(desired).expect("in range") });
            let by = Asked { by, reason };
            let mut tags: Vec<_> = drains.iter().map(|(id, drain)| tag(&drain_key(&InstanceId::new(id)), &drain_value(*drain, Some(&by)))).collect();
            tags.extend(recycling.map(|it| tag(RECYCLING, &recycling_value(it))));
            tags.extend(scaled.map(|at| tag(SCALED_IN, &at.to_string())));
            tags.extend(pause.map(|until| tag(PAUSED, &paused_value(until, &by))));
            let pause = pause.map(|until| Pause { until: Some(until), asked: by.clone() }).filter(|pause| pause.holds(now));
            let drains: Vec<_> = drains.into_iter().map(|(id, drain)| (InstanceId::new(&id), drain)).collect();
            let asked = drains.iter().filter(|(_, it)| it.by_operator).map(|(id, _)| (id.clone(), by.clone())).collect();
            let (ordered, drains) = drains.into_iter().partition(|(_, it)| it.state == DrainState::Ordered);
            let expected = Memory { scaled_in: scaled, recycling, drains, ordered, asked, pause, ..Memory::default() };
            prop_assert_eq!(Memory::read(&tags, now), expected);
        }

        #[test]
        fn a_mutated_tag_is_understood_or_read_cautiously(
            (key, value) in select(vec![
                (SCALED_OUT.to_owned(), "2026-09-21T12:00:00Z"),
                (format!("{DRAIN}i-1"), "2026-09-21T12:00:00Z closed scale-in"),
                (format!("{DRAIN}i-1"), "2026-09-21T12:00:00Z draining keep by alice: a reason"),
                (RECYCLING.to_owned(), "2026-09-21T12:00:00Z 7"),
                (PAUSED.to_owned(), "2026-09-21T12:00:00Z a reason"),
            ]).prop_flat_map(|(key, value)| (Just(key), jitsi_inputs::mutated_text(vec![value]))),
            now in any_time(),
        ) {
            let memory = Memory::read(&[tag(&key, &value)], now);
            let is_unreadable = memory.unreadable == [key.clone()];
            prop_assert!(is_unreadable || memory.unreadable.is_empty());
            if is_unreadable {
                let begun = Drain::begun(Purpose::ScaleIn, now);
                prop_assert!(memory.drains.iter().all(|(_, drain)| *drain == begun));
                prop_assert!(memory.scaled_out.is_none_or(|at| at == now));
                prop_assert!(memory.pause.is_none_or(|pause| pause.until.is_none()));
                prop_assert!(memory.recycling.is_none_or(|it| it.desired.get() == Capacity::LARGEST));
            } else if let [(_, drain)] = memory.drains.as_slice() {
                let words: Vec<&str> = value.split(' ').collect();
                prop_assert_eq!(&words[1..3], &[drain.state.as_str(), drain.purpose.as_str()][..]);
                prop_assert_eq!(drain.by_operator, words.get(3) == Some(&"by"));
                prop_assert_eq!(Time::parse(words[0]), Some(drain.since));
            }
        }
    }
}
