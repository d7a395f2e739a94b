//! Which tags of a group hold which drains, because AWS allows a group fifty tags.
//!
//! Owns how many drains the tags can hold, and which of them a change of drains writes. A drain has a tag of its own while
//! there are few, because earlier versions read no others; of many, several share a pack. Pure: what was written and not yet
//! described is for [`super::drain_tags`] to know.

use std::collections::{BTreeMap, BTreeSet};

use super::packs::{LONGEST, PER_PACK, entries, entry, is_pack, key as pack_key, parse};
use super::tags::{self, Asked, DRAIN, PREFIX};
use crate::decide::observation::Drain;
use crate::units::{Capacity, InstanceId};

/// The most tags of a group, on AWS and on Azure.
pub const MOST_TAGS: usize = 50;
/// The tags of the scaler beside those of drains: two cooldowns, a pause and a recycling.
pub const OWN_TAGS: usize = 4;
/// The most drains that have tags of their own, if it is for the scaler to say.
pub(super) const MOST_SINGLE: usize = 30;
/// The numbers of packs: twice as many as a group can have, so that one is free while others are not settled.
const NUMBERS: u32 = 100;
/// The value of a drain's own tag that may be there or not, with some value.
pub(super) const UNCERTAIN: &str = "";

/// How many tags are not the scaler's.
#[must_use]
pub fn others(tags: &[(String, String)]) -> usize {
    tags.iter().filter(|(key, _)| !key.starts_with(PREFIX)).count()
}

/// How many tags drains may take beside so many of others.
fn room(others: usize) -> usize {
    MOST_TAGS.saturating_sub(OWN_TAGS + others)
}

/// How many drains may have tags of their own beside so many tags of others: one stays free for a pack.
pub(super) fn most_single(others: usize) -> usize {
    MOST_SINGLE.min(room(others).saturating_sub(1))
}

/// How many drains the tags of a group can hold beside those of others. Each drain that an operator ordered takes a whole
/// tag.
#[must_use]
pub fn most_drains(tags: &[(String, String)]) -> Capacity {
    let room = room(others(tags));
    let whole = tags.iter().filter(|(key, value)| key.starts_with(DRAIN) && !is_plain(key, value)).count();
    Capacity::of(whole.min(room) + room.saturating_sub(whole) * PER_PACK)
}

/// Whether a tag of one drain says no more than a pack could.
fn is_plain(key: &str, value: &str) -> bool {
    single_entry(key, value).is_some()
}

fn single_entry(key: &str, value: &str) -> Option<String> {
    let id = InstanceId::new(key.strip_prefix(DRAIN)?);
    let (drain, asked) = tags::parse_drain(value)?;
    entry(&id, drain).filter(|_| asked.is_none())
}

/// What becomes of the memory of a drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The instance.
    pub(super) id: InstanceId,
    /// Its drain and who ordered it; `None` once it is over.
    pub(super) drain: Option<(Drain, Option<Asked>)>,
}

/// A tag to write, or to remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The key.
    pub(super) key: String,
    /// The value; `None` removes the tag.
    pub(super) value: Option<String>,
    /// The notes that need it, by their places.
    pub(super) serves: BTreeSet<usize>,
    /// The tags without whose writes it must not be made.
    pub(super) after: Vec<String>,
}

/// Why a note cannot be kept now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// What a tag holds may not be known in full.
    Unsettled,
    /// The group has no room for another tag.
    Full,
}

/// The writes that keep some notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In this order: tags that gain or change drains, packs that are empty, single tags that are over. Those of one step can
    /// be made side by side.
    pub(super) steps: [Vec<Write>; 3],
    /// The notes that are not kept by it.
    pub(super) refused: BTreeMap<usize, Refusal>,
}

impl Note {
    /// The key and the value of the drain's own tag.
    pub(super) fn single(&self) -> (String, Option<String>) {
        let value = self.drain.as_ref().map(|(drain, asked)| tags::drain_value(*drain, asked.as_ref()));
        (tags::drain_key(&self.id), value)
    }
}

impl Plan {
    /// The writes that keep `notes` in a group with these tags of drains and so many of others. A pack for which
    /// `is_settled` does not hold stays as it is.
    pub(super) fn of(
        (base, others): (&BTreeMap<String, String>, usize),
        notes: &[Note],
        is_settled: impl Fn(&str) -> bool,
    ) -> Self {
        let mut layout = Layout::new(base, room(others), &is_settled);
        let added = notes.iter().filter(|note| note.drain.is_some() && !layout.holds(&note.id)).count();
        layout.is_many = layout.count() + added > most_single(others);
        let mut refused = BTreeMap::new();
        let named: BTreeSet<_> = notes.iter().map(|note| &note.id).collect();
        layout.tidy(&named);
        for (place, note) in notes.iter().enumerate() {
            let kept = match &note.drain {
                Some((drain, asked)) => layout.set(&note.id, *drain, asked.as_ref()),
                None => layout.clear(&note.id),
            };
            if let Err(refusal) = kept {
                refused.insert(place, refusal);
            }
        }
        Self { steps: layout.writes(notes, &refused), refused }
    }

    /// The first of the writes for a note, by its place, whose key is among `failed`.
    pub(super) fn failed_for<T>(&self, place: usize, failed: &BTreeMap<String, T>) -> Option<&Write> {
        let mut writes = self.steps.iter().flatten();
        writes.find(|write| write.serves.contains(&place) && failed.contains_key(&write.key))
    }
}

/// A drain in a pack.
struct Entry {
    /// `None` if the text is not understood.
    id: Option<InstanceId>,
    text: String,
}

impl Entry {
    fn new(text: &str) -> Self {
        Self { id: parse(text).0, text: text.to_owned() }
    }

    fn is_of(&self, id: &InstanceId) -> bool {
        self.id.as_ref() == Some(id)
    }
}

/// The tags of drains of a group, as they are to be.
struct Layout<'a> {
    base: &'a BTreeMap<String, String>,
    is_settled: &'a dyn Fn(&str) -> bool,
    /// The tags that drains may take.
    room: usize,
    singles: BTreeMap<InstanceId, String>,
    packs: BTreeMap<String, Vec<Entry>>,
    /// Whether there are too many drains for each to get a tag of its own.
    is_many: bool,
}

impl<'a> Layout<'a> {
    fn new(base: &'a BTreeMap<String, String>, room: usize, is_settled: &'a dyn Fn(&str) -> bool) -> Self {
        let single = |(key, value): (&String, &String)| {
            Some((InstanceId::new(key.strip_prefix(DRAIN)?), value.clone()))
        };
        let pack = |(key, value): (&String, &String)| {
            is_pack(key).then(|| (key.clone(), entries(value).map(Entry::new).collect()))
        };
        let singles = base.iter().filter_map(single).collect();
        let packs = base.iter().filter_map(pack).collect();
        Self { base, is_settled, room, singles, packs, is_many: false }
    }

    /// How many tags there are at most while the writes are made: what is removed goes last.
    fn taken(&self) -> usize {
        let singles = self.singles.keys().map(tags::drain_key).filter(|key| !self.base.contains_key(key));
        self.base.len()
            + singles.count()
            + self.packs.keys().filter(|key| !self.base.contains_key(*key)).count()
    }

    fn count(&self) -> usize {
        let packed = self.packs.values().flatten().filter_map(|entry| entry.id.clone());
        self.singles.keys().cloned().chain(packed).collect::<BTreeSet<_>>().len()
    }

    fn holds(&self, id: &InstanceId) -> bool {
        self.singles.contains_key(id) || !self.packs_of(id).is_empty()
    }

    fn packs_of(&self, id: &InstanceId) -> Vec<String> {
        let holds = |entries: &[Entry]| entries.iter().any(|entry| entry.is_of(id));
        self.packs.iter().filter(|(_, entries)| holds(entries)).map(|(key, _)| key.clone()).collect()
    }

    /// Ends what an interrupted move has left in two tags: the single tag, which counts, stays if they differ. `named` have
    /// notes, which do so themselves.
    fn tidy(&mut self, named: &BTreeSet<&InstanceId>) {
        let twice = self.singles.keys().filter(|id| !named.contains(id) && self.is_certain(id));
        let twice: Vec<_> = twice.cloned().collect();
        for id in twice {
            for key in self.packs_of(&id).into_iter().filter(|key| (self.is_settled)(key)) {
                let same = self.singles.get(&id).and_then(|it| single_entry(&tags::drain_key(&id), it));
                if same.is_some_and(|same| self.packs[&key].iter().any(|entry| entry.text == same)) {
                    self.singles.remove(&id);
                } else {
                    self.drop_from(&key, &id);
                }
            }
        }
    }

    /// Whether a drain has its own tag for certain before any write.
    fn is_certain(&self, id: &InstanceId) -> bool {
        self.base.get(&tags::drain_key(id)).is_some_and(|value| value != UNCERTAIN)
    }

    fn drop_from(&mut self, key: &str, id: &InstanceId) {
        let Some(entries) = self.packs.get_mut(key) else { return };
        entries.retain(|entry| !entry.is_of(id));
        // What names no instance goes with the last drain.
        if entries.iter().all(|entry| entry.id.is_none()) {
            entries.clear();
        }
    }

    fn set(&mut self, id: &InstanceId, drain: Drain, asked: Option<&Asked>) -> Result<(), Refusal> {
        let value = tags::drain_value(drain, asked);
        let packs = self.packs_of(id);
        // A single tag that is not there yet may not come to be.
        let is_there = self.is_certain(id);
        if let Some(single) = self.singles.get_mut(id) {
            *single = value;
            for key in packs.iter().filter(|key| is_there && (self.is_settled)(key)) {
                self.drop_from(key, id);
            }
            return Ok(());
        }
        let plain = single_entry(&tags::drain_key(id), &value);
        let is_tight = self.is_many || self.taken() + 1 >= self.room;
        match (plain, packs.first()) {
            (Some(text), Some(key)) => self.replace(&packs, key, id, &text),
            (Some(text), None) if is_tight => self.pack(&text),
            // What a pack holds of the same drain counts less than a single tag.
            _ if self.taken() < self.room => {
                self.singles.insert(id.clone(), value);
                Ok(())
            }
            _ => Err(self.full()),
        }
    }

    /// Why no tag is left: a tag that is not known for certain may have room, or may not be there.
    fn full(&self) -> Refusal {
        let is_certain = |(key, value): (&String, &String)| (self.is_settled)(key) && value != UNCERTAIN;
        if self.base.iter().all(is_certain) { Refusal::Full } else { Refusal::Unsettled }
    }

    fn replace(&mut self, packs: &[String], first: &str, id: &InstanceId, text: &str) -> Result<(), Refusal> {
        if !packs.iter().all(|key| (self.is_settled)(key)) {
            return Err(Refusal::Unsettled);
        }
        for key in packs {
            let Some(entries) = self.packs.get_mut(key) else { continue };
            entries.retain(|entry| !entry.is_of(id));
            if key == first {
                entries.push(Entry { id: Some(id.clone()), text: text.to_owned() });
            }
        }
        Ok(())
    }

    /// Puts a drain into a pack that has room, or into a new one.
    fn pack(&mut self, text: &str) -> Result<(), Refusal> {
        let open = self.packs.iter_mut().find(|(key, it)| (self.is_settled)(key) && has_room(it, text));
        if let Some((_, entries)) = open {
            entries.push(Entry::new(text));
            return Ok(());
        }
        if self.taken() >= self.room {
            return Err(self.full());
        }
        let is_free = |key: &String| (self.is_settled)(key) && !self.packs.contains_key(key);
        let key = (0..NUMBERS).map(pack_key).find(is_free).ok_or(Refusal::Unsettled)?;
        self.packs.insert(key.clone(), vec![Entry::new(text)]);
        if self.taken() == self.room {
            self.fill(&key);
        }
        Ok(())
    }

    /// Moves drains with tags of their own into a pack: the group has no tag left.
    fn fill(&mut self, key: &str) {
        let movable = |(id, value): (&InstanceId, &String)| {
            let own = tags::drain_key(id);
            // What another pack holds of it may be older, and would count.
            let may_move = self.base.get(&own) == Some(value) && self.packs_of(id).is_empty();
            Some((id.clone(), single_entry(&own, value).filter(|_| may_move)?))
        };
        let movable: Vec<_> = self.singles.iter().filter_map(movable).collect();
        for (id, text) in movable {
            let Some(entries) = self.packs.get_mut(key).filter(|it| has_room(it, &text)) else { return };
            entries.push(Entry::new(&text));
            self.singles.remove(&id);
        }
    }

    fn clear(&mut self, id: &InstanceId) -> Result<(), Refusal> {
        let packs = self.packs_of(id);
        if !packs.iter().all(|key| (self.is_settled)(key)) {
            return Err(Refusal::Unsettled);
        }
        for key in &packs {
            self.drop_from(key, id);
        }
        self.singles.remove(id);
        Ok(())
    }

    /// What differs from the tags as they are.
    fn writes(&self, notes: &[Note], refused: &BTreeMap<usize, Refusal>) -> [Vec<Write>; 3] {
        let serving = |ids: &BTreeSet<InstanceId>| {
            let all = notes.iter().enumerate().filter(|(place, _)| !refused.contains_key(place));
            all.filter(|(_, note)| ids.contains(&note.id)).map(|(place, _)| place).collect::<BTreeSet<_>>()
        };
        let mut steps: [Vec<Write>; 3] = Default::default();
        // The packs that a drain enters or leaves.
        let mut moved: BTreeMap<InstanceId, Vec<String>> = BTreeMap::new();
        for (key, pack) in &self.packs {
            let now = pack.iter().map(|entry| entry.text.as_str()).collect::<Vec<_>>().join(" ");
            let before = self.base.get(key).map(String::as_str).unwrap_or_default();
            // What may be in one that is not settled is not to be written.
            if entries(&now).eq(entries(before)) || !(self.is_settled)(key) {
                continue;
            }
            let (was, is): (BTreeSet<_>, BTreeSet<_>) = (entries(before).collect(), entries(&now).collect());
            let ids: BTreeSet<_> = was.symmetric_difference(&is).filter_map(|text| parse(text).0).collect();
            for id in &ids {
                moved.entry(id.clone()).or_default().push(key.clone());
            }
            let value = (!now.is_empty()).then_some(now);
            let step = usize::from(value.is_none());
            steps[step].push(Write { key: key.clone(), value, serves: serving(&ids), after: Vec::new() });
        }
        // An answer may be old: what it shows of an own tag is written or removed all the same.
        let kept = notes.iter().enumerate().filter(|(place, _)| !refused.contains_key(place));
        let own = kept.filter(|(_, note)| note.drain.is_some() || !moved.contains_key(&note.id));
        let own: BTreeSet<_> = own.map(|(_, note)| tags::drain_key(&note.id)).collect();
        let all = self.singles.keys().map(tags::drain_key);
        let before = self.base.keys().filter(|key| key.starts_with(DRAIN)).cloned();
        for key in all.chain(before).chain(own.iter().cloned()).collect::<BTreeSet<_>>() {
            let id = InstanceId::new(key.strip_prefix(DRAIN).unwrap_or_default());
            let value = self.singles.get(&id);
            let is_packed = value.is_none() && !self.packs_of(&id).is_empty();
            if value == self.base.get(&key) && (is_packed || !own.contains(&key)) {
                continue;
            }
            let (step, after) = match value {
                Some(_) => (0, Vec::new()),
                None => (2, moved.remove(&id).unwrap_or_default()),
            };
            let serves = serving(&BTreeSet::from([id]));
            steps[step].push(Write { key, value: value.cloned(), serves, after });
        }
        steps
    }
}

/// Whether a pack has room for another drain.
fn has_room(entries: &[Entry], text: &str) -> bool {
    entries.iter().map(|entry| entry.text.len() + 1).sum::<usize>() + text.len() <= LONGEST
}

#[cfg(test)]
mod tests;
