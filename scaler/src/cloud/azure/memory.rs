//! What the client remembers of one scale set, so that it neither believes an answer that is too old nor asks for less
//! than there is.
//!
//! Owns what a capacity that was read counts as. Azure's answers lag behind its writes, a number that was read may be
//! absurd, and a patch below the capacity deletes machines of Azure's choice. Pure: times are arguments. Losing all of it
//! is safe, because the next answers tell.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::cloud::{ACTIVITIES, Activity, ActivityKind, ActivityOutcome};
use crate::units::{InstanceId, Time};

/// How long after a write answers may not show it yet. No figure is published; caches of Azure Resource Manager are up to
/// a minute old.
const LAG: Duration = Duration::from_mins(1);
/// How long a capacity that cannot be right is doubted before a second reading confirms it.
const DOUBT: Duration = Duration::from_secs(5);
/// For how long a machine that was not created, or a place without a machine, counts as one that may still come: what is
/// launched again at every evaluation would fail again.
const MAY_COME: Duration = Duration::from_mins(10);
/// How long a machine that was deleted may still be listed.
const LISTED: Duration = Duration::from_mins(10);

/// A machine, by what addresses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The number or name by which the set addresses it. A number may be used again.
    pub(super) number: String,
    /// The unique id of the machine.
    pub(super) vm_id: String,
}

/// The capacity that was written last.
#[derive(Clone, Copy, Debug)]
struct Written {
    capacity: u32,
    /// Whether the write lowered it, as a deletion does.
    lowers: bool,
    /// Whether the operation failed. Azure may keep the capacity all the same.
    failed: bool,
    until: Instant,
}

/// A capacity that is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the set reports a capacity of {read}, and {known} instances were known a moment ago; it counts once a later reading \
     confirms it"
)]
pub(super) struct Doubtful {
    read: u32,
    known: u32,
}

/// A patch that is not sent, because it would not raise the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoRaise {
    /// The set has this capacity already.
    #[error("the capacity is {0} already")]
    Already(u32),
    /// The set has more, or had a moment ago.
    #[error(
        "the capacity is {now}, or was a moment ago, and a patch to {to} would let Azure delete instances"
    )]
    Lower {
        /// The larger of what was read and what was written.
        now: u32,
        /// What was asked for.
        to: u32,
    },
}

/// What is remembered of one set.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Its machines when it was last described.
    pub(super) members: HashMap<InstanceId, Member>,
    /// The keys in Azure of drains when it was last described.
    pub(super) drains: HashMap<InstanceId, String>,
    /// The keys in Azure of drains of machines that are gone.
    pub(super) stale: Vec<String>,
    /// Its tags in Azure when it was last described, to name the value of one that is removed.
    pub(super) tags: HashMap<String, String>,
    /// The operation that Azure has accepted and not ended.
    running: Option<(u64, &'static str)>,
    /// How many operations were accepted.
    accepted: u64,
    written: Option<Written>,
    /// The capacity that was last believed.
    reported: Option<u32>,
    /// By how much the capacity is to rise again, because a machine is being replaced.
    owed: u32,
    /// The machines that the last description told of: when each was created, or why it was not.
    pub(super) launches: Vec<Activity>,
    doubted: Option<(u32, Instant)>,
    /// Since when machines that were not created have been listed, by their unique ids.
    failed: HashMap<String, Instant>,
    /// Since when the capacity has been larger than the list, while no operation ran.
    lacking: Option<Instant>,
    /// How many places of the capacity no machine fills that serves or may come.
    vacant: u32,
    /// The machines that were deleted by this client, by their unique ids, and when the operation succeeded.
    deleted: HashMap<String, Option<Instant>>,
    /// Tags that were written or removed lately.
    retagged: HashMap<String, (Option<String>, Instant)>,
    history: VecDeque<Activity>,
}

/// Capacity.
impl Memory {
    fn written(&self, now: Instant) -> Option<Written> {
        self.written.filter(|it| now < it.until || self.running.is_some())
    }

    /// What a capacity that was read counts as, where `living` machines were listed. Less than was known without a write
    /// that explains it is doubted until a later reading confirms it. A machine that is being replaced counts, as on AWS.
    pub(super) fn believe(&mut self, read: u32, living: u32, now: Instant) -> Result<u32, Doubtful> {
        let (capacity, least) = match self.written(now).filter(|it| !it.failed) {
            Some(Written { capacity, lowers: true, .. }) => (read.min(capacity), capacity),
            // The answer may be older than the raise.
            Some(Written { capacity, .. }) => (read.max(capacity), 0),
            None => (read, self.reported.unwrap_or(0)),
        };
        let known = least.max(living);
        let is_confirmed = self
            .doubted
            .is_some_and(|(doubted, since)| doubted == read && now.duration_since(since) >= DOUBT);
        if capacity < known && !is_confirmed {
            if self.doubted.is_none_or(|(doubted, _)| doubted != read) {
                self.doubted = Some((read, now));
            }
            return Err(Doubtful { read, known });
        }
        self.doubted = None;
        self.reported = Some(capacity);
        Ok(capacity + self.owed)
    }

    /// Whether a patch to `to` raises the capacity, of which `read` was read just now.
    pub(super) fn raises(&self, to: u32, read: u32, now: Instant) -> Result<(), NoRaise> {
        let written = self.written(now).map(|it| it.capacity);
        let before = written.into_iter().chain(self.reported);
        let known = before.clone().fold(read, u32::max);
        match to {
            to if to > known => Ok(()),
            to if to == read && before.clone().all(|before| before == to) => Err(NoRaise::Already(to)),
            to => Err(NoRaise::Lower { now: known, to }),
        }
    }

    /// Notes a raise that was sent. It counts from then on: without an answer it may have been made.
    pub(super) fn raised(&mut self, to: u32, now: Instant) {
        self.written = Some(Written { capacity: to, lowers: false, failed: false, until: now + LAG });
        self.reported = Some(to);
    }

    /// Notes a deletion that was sent, where `read` was read just before: Azure lowers the capacity by one.
    pub(super) fn deleting(&mut self, member: &Member, read: u32, now: Instant) {
        let capacity = self.reported.unwrap_or(read).min(read).saturating_sub(1);
        self.written = Some(Written { capacity, lowers: true, failed: false, until: now + LAG });
        self.reported = Some(capacity);
        self.deleted.insert(member.vm_id.clone(), None);
    }

    /// The capacity that the scaler was last given.
    pub(super) fn given(&self) -> Option<u32> {
        self.reported.map(|capacity| capacity + self.owed)
    }

    /// Notes that the machine that is being deleted is to be replaced, or that this has ended.
    pub(super) fn owes(&mut self, owes: bool) {
        self.owed = u32::from(owes);
    }

    /// Forgets what was believed, because a write has failed: the next answer tells. A raise stays what no patch goes below.
    fn forget_capacity(&mut self) {
        self.written = self.written.filter(|it| !it.lowers).map(|it| Written { failed: true, ..it });
        (self.reported, self.doubted) = (None, None);
    }
}

/// The machines that are listed, without those that this client deletes.
#[derive(Debug)]
pub(super) struct Listed<'a> {
    /// How many there are.
    pub(super) all: u32,
    /// How many of them do not run, although they were created.
    pub(super) standing: u32,
    /// The unique ids of those that were not created.
    pub(super) failed: Vec<&'a str>,
}

/// Places.
impl Memory {
    /// How much of a believed `capacity` counts. Nothing brings a set back to its capacity: a place whose machine was not
    /// created, does not run or is gone stays vacant, and would pass for one that boots.
    pub(super) fn filled(&mut self, capacity: u32, listed: &Listed<'_>, now: Instant) -> u32 {
        self.failed.retain(|vm_id, _| listed.failed.contains(&vm_id.as_str()));
        for vm_id in &listed.failed {
            self.failed.entry((*vm_id).to_owned()).or_insert(now);
        }
        let is_over = |since: &Instant| now.duration_since(*since) >= MAY_COME;
        let failed = self.failed.values().filter(|since| is_over(since)).count();
        let lacks = capacity.saturating_sub(self.owed).saturating_sub(listed.all);
        self.lacking = (lacks > 0 && self.running.is_none()).then(|| self.lacking.unwrap_or(now));
        let gone = if self.lacking.as_ref().is_some_and(is_over) { lacks } else { 0 };
        self.vacant = listed.standing + u32::try_from(failed).unwrap_or(u32::MAX) + gone;
        capacity.saturating_sub(self.vacant)
    }

    /// The capacity to patch for `to` machines, where `read` was read just now. Vacant places that are gone since count no
    /// longer.
    pub(super) fn with_vacant(&self, to: u32, read: u32) -> u32 {
        let gone = self.reported.map_or(0, |reported| reported.saturating_sub(read));
        to + self.vacant.saturating_sub(gone)
    }
}

/// Operations.
impl Memory {
    /// What Azure has accepted and not ended.
    pub(super) fn running(&self) -> Option<&'static str> {
        self.running.map(|(_, call)| call)
    }

    /// Notes that Azure has accepted an operation, and returns its number here.
    pub(super) fn accepted(&mut self, call: &'static str) -> u64 {
        self.accepted += 1;
        self.running = Some((self.accepted, call));
        self.accepted
    }

    /// Notes the end of an operation. One that was overtaken by a later one is no longer the one that runs.
    pub(super) fn ended(&mut self, number: u64, now: Instant) {
        if self.running.is_some_and(|(running, _)| running == number) {
            self.running = None;
            self.written = self.written.map(|it| Written { until: it.until.max(now + LAG), ..it });
        }
    }

    /// Notes that a raise failed.
    pub(super) fn not_raised(&mut self, message: String, at: Time) {
        self.forget_capacity();
        self.note(ActivityKind::Launch(None), ActivityOutcome::Failed, message, at);
    }

    /// Notes that a machine was deleted.
    pub(super) fn deleted(&mut self, id: &InstanceId, member: &Member, (at, now): (Time, Instant)) {
        self.deleted.insert(member.vm_id.clone(), Some(now));
        self.note(ActivityKind::Terminate(id.clone()), ActivityOutcome::Successful, String::new(), at);
    }

    /// Notes that a machine was not deleted, for a reason if that is known. It is in service as before, unless the next
    /// description tells otherwise.
    pub(super) fn not_deleted(&mut self, id: &InstanceId, member: &Member, why: Option<String>, at: Time) {
        self.deleted.remove(&member.vm_id);
        self.forget_capacity();
        if let Some(message) = why {
            self.note(ActivityKind::Terminate(id.clone()), ActivityOutcome::Failed, message, at);
        }
    }

    /// Whether this client has deleted the machine: answers may list it as if nothing was the matter.
    pub(super) fn is_deleted(&self, vm_id: &str) -> bool {
        self.deleted.contains_key(vm_id)
    }

    fn note(&mut self, kind: ActivityKind, outcome: ActivityOutcome, message: String, at: Time) {
        self.history.truncate(ACTIVITIES - 1);
        self.history.push_front(Activity { kind, ended: Some(at), outcome, message });
    }

    /// What became of operations and of machines, newest first.
    pub(super) fn activities(&self) -> Vec<Activity> {
        let mut all: Vec<_> = self.history.iter().chain(&self.launches).cloned().collect();
        all.sort_by_key(|activity| std::cmp::Reverse(activity.ended));
        all.truncate(ACTIVITIES);
        all
    }
}

/// Tags.
impl Memory {
    /// Notes a tag that was written, or removed: `None`.
    pub(super) fn retagged(&mut self, key: String, value: Option<String>, now: Instant) {
        self.retagged.insert(key, (value, now));
    }

    /// The tags of an answer, with what was written lately in place of what the answer may not show yet.
    pub(super) fn overlay(&self, tags: &mut BTreeMap<String, String>, now: Instant) {
        for (key, (value, at)) in &self.retagged {
            if now.duration_since(*at) < LAG {
                tags.retain(|other, _| !other.eq_ignore_ascii_case(key));
                tags.extend(value.clone().map(|value| (key.clone(), value)));
            }
        }
    }

    /// Forgets what answers show by now.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.retagged.retain(|_, (_, at)| now.duration_since(*at) < LAG);
        self.deleted.retain(|_, ended| ended.is_none_or(|ended| now.duration_since(ended) < LISTED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Time = Time::from_unix(1_790_000_000);

    fn member(vm_id: &str) -> Member {
        Member { number: "3".to_owned(), vm_id: vm_id.to_owned() }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_stays_vacant_does_not_count() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let listed =
            |all, standing, failed: &[&'static str]| Listed { all, standing, failed: failed.to_vec() };
        assert_eq!(memory.filled(6, &listed(6, 0, &[]), start), 6);
        assert_eq!(memory.filled(6, &listed(6, 1, &[]), start), 5, "deallocated");
        assert_eq!(memory.filled(6, &listed(6, 0, &["a"]), start), 6, "it may come");
        assert_eq!(memory.filled(6, &listed(5, 0, &["a"]), start + seconds(599)), 6, "one more is gone");
        assert_eq!(memory.filled(6, &listed(5, 0, &["a"]), start + seconds(600)), 5);
        assert_eq!(memory.filled(6, &listed(5, 0, &["a"]), start + seconds(1200)), 4);
        memory.reported = Some(6);
        assert_eq!(
            (memory.with_vacant(5, 6), memory.with_vacant(5, 5)),
            (7, 6),
            "Azure removes the failed one"
        );
        let number = memory.accepted("DeleteInstances");
        assert_eq!(memory.filled(6, &listed(5, 0, &[]), start + seconds(1300)), 6, "an operation runs");
        memory.ended(number, start);
        assert_eq!(memory.filled(6, &listed(5, 0, &[]), start + seconds(1400)), 6, "it has just ended");
        assert_eq!(memory.filled(6, &listed(6, 0, &[]), start + seconds(9000)), 6);
    }

    /// A controller that believed such a number scaled a set of ninety machines to one.
    #[tokio::test(start_paused = true)]
    async fn a_capacity_that_falls_without_a_reason_is_doubted_until_it_is_read_again() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        assert_eq!(memory.believe(90, 90, start), Ok(90));
        assert_eq!(memory.believe(0, 90, start + seconds(60)), Err(Doubtful { read: 0, known: 90 }));
        assert!(memory.believe(0, 90, start + seconds(62)).is_err(), "too soon");
        assert_eq!(memory.believe(90, 90, start + seconds(120)), Ok(90));
        assert!(memory.believe(89, 89, start + seconds(180)).is_err());
        assert_eq!(memory.believe(89, 89, start + seconds(240)), Ok(89), "somebody lowered it");
        assert!(Memory::default().believe(3, 7, start).is_err(), "more live than it has");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_older_than_a_write_is_read_as_of_the_write() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        assert_eq!(memory.believe(4, 4, start), Ok(4));
        memory.raised(6, start);
        assert_eq!(memory.believe(4, 4, start + seconds(10)), Ok(6));
        assert_eq!(memory.believe(6, 5, start + seconds(20)), Ok(6));
        memory.deleting(&member("a"), 6, start + seconds(100));
        assert_eq!(memory.believe(6, 5, start + seconds(110)), Ok(5));
        assert_eq!(memory.believe(5, 5, start + seconds(120)), Ok(5));
        assert!(memory.is_deleted("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn no_patch_lowers_what_was_read_or_written() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        assert_eq!(memory.raises(5, 4, start), Ok(()));
        memory.raised(6, start);
        // The answer is older than the raise to six.
        assert_eq!(memory.raises(5, 4, start), Err(NoRaise::Lower { now: 6, to: 5 }));
        assert_eq!(memory.raises(6, 6, start), Err(NoRaise::Already(6)));
        memory.deleting(&member("a"), 6, start);
        // Whether six is old, or somebody has raised it since, cannot be told.
        assert_eq!(memory.raises(6, 6, start), Err(NoRaise::Lower { now: 6, to: 6 }));
        assert_eq!(memory.raises(6, 5, start), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deletion_that_was_preempted_gives_the_instance_back() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        assert_eq!(memory.believe(4, 4, now), Ok(4));
        memory.deleting(&member("a"), 4, now);
        let number = memory.accepted("DeleteInstances");
        assert_eq!(memory.running(), Some("DeleteInstances"));
        memory.ended(number, now);
        let id = InstanceId::new("jvb_3");
        memory.not_deleted(&id, &member("a"), Some("OperationPreempted".to_owned()), AT);
        assert!(!memory.is_deleted("a") && memory.running().is_none());
        assert_eq!(memory.believe(4, 4, now), Ok(4));
        let last = memory.history.front().expect("an activity");
        assert_eq!((&last.kind, last.outcome), (&ActivityKind::Terminate(id), ActivityOutcome::Failed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_raise_that_failed_is_an_activity_and_its_capacity_is_forgotten() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.raised(6, now);
        memory.not_raised("QuotaExceeded: none left".to_owned(), AT);
        assert_eq!(memory.believe(4, 4, now), Ok(4));
        let last = memory.history.front().expect("an activity");
        assert_eq!(
            (last.outcome, last.message.as_str()),
            (ActivityOutcome::Failed, "QuotaExceeded: none left")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_that_a_later_one_overtook_does_not_end_the_later_one() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let first = memory.accepted("DeleteInstances");
        let second = memory.accepted("Update");
        memory.ended(first, now);
        assert_eq!(memory.running(), Some("Update"));
        memory.ended(second, now);
        assert_eq!(memory.running(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tag_that_was_written_is_read_at_once_and_one_that_was_removed_is_gone() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        memory.retagged("jitsi-scaler:paused".to_owned(), Some("new".to_owned()), now);
        memory.retagged("Jitsi-Scaler:recycling".to_owned(), None, now);
        let old = [("Jitsi-Scaler:paused", "old"), ("jitsi-scaler:recycling", "x"), ("team", "a")];
        let mut tags: BTreeMap<_, _> =
            old.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let stale = tags.clone();
        memory.overlay(&mut tags, now + seconds(30));
        let shown: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(shown, ["jitsi-scaler:paused=new", "team=a"]);
        let mut later = stale.clone();
        memory.overlay(&mut later, now + seconds(61));
        assert_eq!(later, stale);
        memory.tidy(now + seconds(61));
        assert!(memory.retagged.is_empty());
    }
}
