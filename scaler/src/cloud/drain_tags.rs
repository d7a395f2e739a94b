//! What is known of the tags of drains beyond the answers of the cloud, which may be older than the last writes.
//!
//! Owns when a tag of several drains may be written: AWS writes it as a whole and has no conditional writes, so a drain that an
//! answer does not show yet would be lost. Without that knowledge a write waits for [`LAG`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{RwLock, oneshot};
use tokio::time::Instant;

use super::layout::{self, MOST_SINGLE, Note, Plan, UNCERTAIN, Write};
use super::{CloudError, GroupDescription, packs, tags};
use crate::units::{GroupName, Region};

/// How long after a write an answer may not show it yet. AWS names no figure; answers follow within seconds.
pub(super) const LAG: Duration = Duration::from_mins(1);
/// How long a write counts more than an answer: [`LAG`], and the time that the calls for both may take.
const KEPT: Duration = Duration::from_mins(2);

/// What is known of the groups during one term of leadership.
#[derive(Debug, Default)]
pub(super) struct DrainTags {
    /// From when on answers show all that was written before the term. Set by its first look: it may have been prepared while
    /// the term before still wrote.
    settled: OnceLock<Instant>,
    groups: Mutex<HashMap<(Region, GroupName), Arc<Known>>>,
}

/// A drain to keep, and who waits for that.
pub(super) type Waiting = (Note, oneshot::Sender<Result<(), CloudError>>);

/// What is known of a group.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Taken for reading by who writes a single tag, and for writing by who may write a tag of several drains.
    pub(super) turn: RwLock<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The tags of drains as they were described last.
    described: BTreeMap<String, String>,
    /// How many tags of others there were.
    others: usize,
    /// What was written lately while there were tags of several drains; `None` was removed. It counts more than an answer.
    written: BTreeMap<String, (Option<String>, Instant)>,
    /// The single tags that were written or removed lately while there were no others, or without success: an empty value is
    /// [`layout::UNCERTAIN`]. Answers may show them older.
    singles: BTreeMap<String, (Option<String>, Instant)>,
    /// The packs that were written without an answer: what may be in them, too, and until when.
    unsure: BTreeMap<String, (String, Instant)>,
    waiting: Vec<Waiting>,
}

impl DrainTags {
    /// From when on tags of several drains may be written.
    pub(super) fn settled(&self) -> Instant {
        *self.settled.get_or_init(|| Instant::now() + LAG)
    }

    /// What is known of a group.
    pub(super) fn of(&self, region: &Region, group: &GroupName) -> Arc<Known> {
        Arc::clone(self.all().entry((region.clone(), group.clone())).or_default())
    }

    /// Notes what was described, and shows in its place what was written lately.
    pub(super) fn note(&self, region: &Region, groups: &mut [GroupDescription]) {
        let now = Instant::now();
        self.settled();
        for group in groups {
            let key = (region.clone(), group.name.clone());
            let drains = group.tags.iter().any(|(key, _)| tags::is_drain(key));
            let mut all = self.all();
            // Of thousands of groups few have anything to remember.
            let known = match all.get(&key) {
                Some(known) => Arc::clone(known),
                None if drains || layout::most_single(layout::others(&group.tags)) < MOST_SINGLE => {
                    Arc::clone(all.entry(key).or_default())
                }
                None => continue,
            };
            drop(all);
            known.note(group, now);
        }
    }

    /// Whether a tag of several drains holds for certain what is known of it since the group was `described`.
    pub(super) fn is_settled(&self, known: &Known, key: &str, described: Instant) -> bool {
        described >= self.settled()
            && known.state().unsure.get(key).is_none_or(|(_, until)| described >= *until)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(Region, GroupName), Arc<Known>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, group: &mut GroupDescription, now: Instant) {
        let mut state = self.state();
        let is_recent = |at: Instant| now.duration_since(at) < KEPT;
        state.written.retain(|_, (_, at)| is_recent(*at));
        state.singles.retain(|_, (_, at)| is_recent(*at));
        state.unsure.retain(|_, (_, until)| now < *until);
        state.others = layout::others(&group.tags);
        state.described = group.tags.iter().filter(|(key, _)| tags::is_drain(key)).cloned().collect();
        if state.written.is_empty() {
            return;
        }
        group.tags.retain(|(key, _)| !state.written.contains_key(key));
        let written =
            state.written.iter().filter_map(|(key, (value, _))| Some((key.clone(), value.clone()?)));
        group.tags.extend(written);
    }

    /// Whether a note concerns its single tag only. If so, it is as if it was written already.
    pub(super) fn is_single(&self, note: &Note, now: Instant) -> bool {
        let mut state = self.state();
        let (base, others) = state.base();
        if base.keys().any(|key| packs::is_pack(key)) {
            return false;
        }
        let (key, value) = note.single();
        if value.is_some() && !base.contains_key(&key) && base.len() >= layout::most_single(others) {
            return false;
        }
        state.written.remove(&key);
        state.singles.insert(key, (value, now));
        true
    }

    /// Notes what came of the write of a single tag.
    pub(super) fn made_single(&self, note: &Note, outcome: &Result<(), CloudError>, now: Instant) {
        let mut state = self.state();
        let (key, value) = note.single();
        let value = if outcome.is_ok() { value } else { Some(UNCERTAIN.to_owned()) };
        state.singles.insert(key, (value, now));
    }

    /// Adds a note to those that the next writer keeps.
    pub(super) fn wait(&self, note: Note) -> oneshot::Receiver<Result<(), CloudError>> {
        let (answer, done) = oneshot::channel();
        self.state().waiting.push((note, answer));
        done
    }

    /// All notes that wait.
    pub(super) fn waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut self.state().waiting)
    }

    /// How many tags drains take.
    pub(super) fn tags(&self) -> usize {
        self.state().base().0.len()
    }

    /// The plan for notes.
    pub(super) fn plan(&self, notes: &[Note], is_settled: impl Fn(&str) -> bool) -> Plan {
        let (base, others) = self.state().base();
        Plan::of((&base, others), notes, is_settled)
    }

    /// Notes what came of a write.
    pub(super) fn made(&self, write: &Write, outcome: &Result<(), CloudError>, now: Instant) {
        let mut state = self.state();
        let key = write.key.clone();
        match outcome {
            Ok(()) => {
                state.singles.remove(&key);
                state.written.insert(key, (write.value.clone(), now));
            }
            Err(error) if packs::is_pack(&key) => {
                if is_unknown(error) {
                    state.unsure.insert(key, (write.value.clone().unwrap_or_default(), now + KEPT));
                }
            }
            Err(_) => {
                state.written.remove(&key);
                state.singles.insert(key, (Some(UNCERTAIN.to_owned()), now));
            }
        }
    }
}

impl State {
    /// The tags of drains as they are, and how many others there are.
    fn base(&self) -> (BTreeMap<String, String>, usize) {
        let mut base = self.described.clone();
        for (key, (value, _)) in self.singles.iter().chain(&self.written) {
            base.remove(key);
            base.extend(value.clone().map(|value| (key.clone(), value)));
        }
        for (key, (may_hold, _)) in &self.unsure {
            let value = base.entry(key.clone()).or_default();
            *value = format!("{value} {may_hold}");
        }
        (base, self.others)
    }
}

/// Whether a change may have been made although it failed.
fn is_unknown(error: &CloudError) -> bool {
    match error {
        CloudError::Timeout(_) | CloudError::Unreachable { .. } | CloudError::Refused { .. } => true,
        CloudError::Throttled(_)
        | CloudError::Credentials { .. }
        | CloudError::Denied { .. }
        | CloudError::NotHeld(_)
        | CloudError::Unsettled
        | CloudError::NotLeading(_) => false,
    }
}
