//! The form of a tag that holds several drains.
//!
//! Owns what a pack can hold, and how it is read. Which drains go into which tag is for [`super::layout`] to say.

use crate::decide::observation::{Drain, DrainState, Purpose};
use crate::units::{InstanceId, Time};

/// The prefix of the key of a tag that holds several drains; a number follows.
const PACK: &str = "jitsi-scaler/drains/";
/// The most characters of a tag's value. Source: the API reference of CreateOrUpdateTags.
pub(super) const LONGEST: usize = 256;
/// The most characters of a drain in a pack: 17 of the id, a dot, two letters, and those of the time.
const ENTRY: usize = 20 + TIME;
/// The characters of a time in seconds to the base 36, which last until the year 4453. All have as many: a drain that changes
/// stays as long.
const TIME: usize = 7;
/// How many drains fit into one tag, with a space between two.
pub(super) const PER_PACK: usize = (LONGEST + 1) / (ENTRY + 1);

/// The key of a pack.
pub(super) fn key(number: u32) -> String {
    format!("{PACK}{number}")
}

/// Whether a key is that of a pack.
#[must_use]
pub fn is_pack(key: &str) -> bool {
    key.starts_with(PACK)
}

/// Whether a value of a pack names no instance, so that nothing is lost with it.
#[must_use]
pub fn is_idle(value: &str) -> bool {
    entries(value).all(|text| parse(text).0.is_none())
}

/// The letters of each state that a pack can hold.
const STATES: [(DrainState, char); 5] = [
    (DrainState::Draining, 'd'),
    (DrainState::Asked, 'a'),
    (DrainState::Closed, 'c'),
    (DrainState::Unclosable, 'u'),
    (DrainState::Returning, 'r'),
];
/// The letters of each purpose that a pack can hold.
const PURPOSES: [(Purpose, char); 4] =
    [(Purpose::ScaleIn, 's'), (Purpose::Recycle, 'o'), (Purpose::Replace, 'r'), (Purpose::Hook, 'h')];

/// The drains of a pack as texts.
pub(super) fn entries(value: &str) -> impl Iterator<Item = &str> {
    value.split(' ').filter(|text| !text.is_empty())
}

/// An instance id without its beginning, which all have.
fn short(id: &str) -> Option<&str> {
    let is_hex = |character: char| character.is_ascii_digit() || ('a'..='f').contains(&character);
    id.strip_prefix("i-").filter(|hex| (1..=17).contains(&hex.len()) && hex.chars().all(is_hex))
}

/// A drain as a pack holds it, such as `0123456789abcdef0.ds0tlrbcw`; `None` if it needs a tag of its own: an operator's, and
/// one of an unusual id.
pub(super) fn entry(id: &InstanceId, drain: Drain) -> Option<String> {
    let (_, state) = STATES.iter().find(|(state, _)| *state == drain.state).filter(|_| !drain.by_operator)?;
    let (_, purpose) = PURPOSES.iter().find(|(purpose, _)| *purpose == drain.purpose)?;
    Some(format!("{}.{state}{purpose}{}", short(id.as_str())?, base36(drain.since.unix())?))
}

/// A time in [`TIME`] characters, if it fits.
fn base36(mut number: i64) -> Option<String> {
    let mut digits = ['0'; TIME];
    for digit in digits.iter_mut().rev() {
        *digit = char::from_digit(u32::try_from(number.rem_euclid(36)).ok()?, 36)?;
        number = number.div_euclid(36);
    }
    (number == 0).then(|| digits.iter().collect())
}

/// The instance of a text in a pack, and its drain; each `None` if it is not understood.
pub(super) fn parse(text: &str) -> (Option<InstanceId>, Option<Drain>) {
    let (hex, rest) = text.split_once('.').unwrap_or((text, ""));
    let id = format!("i-{hex}");
    let Some(id) = short(&id).map(|_| InstanceId::new(&id)) else { return (None, None) };
    let drain = || {
        let mut letters = rest.chars();
        let (state, purpose) = (letters.next()?, letters.next()?);
        let (state, _) = *STATES.iter().find(|(_, letter)| *letter == state)?;
        let (purpose, _) = *PURPOSES.iter().find(|(_, letter)| *letter == purpose)?;
        let since = Time::from_unix(i64::from_str_radix(letters.as_str(), 36).ok()?);
        let drain = Drain { state, ..Drain::begun(purpose, since) };
        // Another way to write it is none of this program.
        (entry(&id, drain).as_deref() == Some(text)).then_some(drain)
    };
    let drain = drain();
    (Some(id), drain)
}

/// The drains of a value of a pack, `None` where one is not understood, and whether any text in it is not.
pub(super) fn read(value: &str) -> (Vec<(InstanceId, Option<Drain>)>, bool) {
    let parsed: Vec<_> = entries(value).map(parse).collect();
    let is_unreadable = parsed.is_empty() || parsed.iter().any(|(_, drain)| drain.is_none());
    (parsed.into_iter().filter_map(|(id, drain)| Some((id?, drain))).collect(), is_unreadable)
}

/// Of two drains of one instance, that which is further from ending it.
pub(super) fn more_cautious(a: Drain, b: Drain) -> Drain {
    let rank = |drain: Drain| match drain.state {
        DrainState::Ordered => 0,
        DrainState::Draining => 1,
        DrainState::Returning => 2,
        DrainState::Unclosable => 3,
        DrainState::Asked => 4,
        DrainState::Closed => 5,
    };
    if (rank(a), std::cmp::Reverse(a.since)) <= (rank(b), std::cmp::Reverse(b.since)) { a } else { b }
}
