//! The election by a lease, with the rules of client-go's leaderelection: what a candidate knows, and what it does next.
//!
//! This module has the rules and no I/O: its caller reports what it read and wrote, with the local monotonic time. A
//! lease expires when its record has not been seen to change for the duration that the record states. The wall-clock
//! times in a record are for people; no decision compares the clocks of two computers.
//!
//! Two rules are stricter than client-go's. An identity belongs to one process only, so that no process takes the lease
//! of another one for its own. And a candidate that creates a lease acts on it only after the lease duration: somebody may
//! have deleted an earlier lease whose leader still acts, and that leader has stopped by then.
//!
//! The exception is a shared identity, under which several processes hold one lease together: see [`Election::shared`].

use std::time::Duration;

use tokio::time::Instant;

use super::{Standing, Times};

/// The request of another candidate that the holder hand a lease over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The identity of that candidate.
    pub by: String,
    /// When it was written, since 1970 by the candidate's clock.
    pub at: Duration,
}

/// What is written in a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The identity of the holder; empty after it resigned.
    pub holder: String,
    /// How long other candidates leave the lease alone after a renewal.
    pub duration: Duration,
    /// When the holder acquired it, since 1970 by the holder's clock.
    pub acquired: Option<Duration>,
    /// When the holder renewed it, since 1970 by the holder's clock.
    pub renewed: Option<Duration>,
    /// How often the lease has gone from one holder to another.
    pub transitions: u32,
    /// The wish for this lease. It is no part of a holding: to write one renews nothing.
    pub wish: Option<Wish>,
}

impl Record {
    /// Whether this is the same renewal as `other`, whatever is wished.
    fn is_same_renewal(&self, other: &Self) -> bool {
        let held = |record: &Self| Self { wish: None, ..record.clone() };
        held(self) == held(other)
    }
}

/// The next step of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Read the lease.
    Read,
    /// Create a lease with this record; the API server refuses that where a lease exists.
    Create(Record),
    /// Write this record over the lease of this version; the API server refuses that where the version differs.
    Replace(Record, String),
    /// Wait: another candidate holds the lease, or is about to take it, or one of the same identity has just renewed it.
    Wait,
}

/// What the candidate knows of the lease well enough to write on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    Absent,
    Present,
}

/// The newest record of the lease.
#[derive(Clone, Debug)]
struct Seen {
    record: Record,
    version: String,
    /// When the record was first seen with these values.
    at: Instant,
    /// When the newest request was sent whose answer shows this version: the next one was written later.
    current_at: Instant,
}

/// The lease as this process holds it.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// When the newest successful renewal was sent.
    sent: Instant,
    /// From when on this process may act on it.
    acts_from: Instant,
}

/// What a candidate does by the lease that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Nothing, or not yet.
    Follows,
    Leads,
    /// It leads, and hands the lease over once nothing acts on it any more.
    Leaves,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Election {
    identity: String,
    /// Whether other processes stand under the same identity.
    is_shared: bool,
    times: Times,
    known: Known,
    seen: Option<Seen>,
    held: Option<Held>,
    /// Where this process created the lease in `seen`: when it knew of that. `None` where it took the lease over.
    created: Option<Instant>,
    role: Role,
    /// Whether the newest reading showed a renewal by another process of the same identity, which counts.
    spared: bool,
    term: u64,
}

impl Election {
    /// A candidate that knows nothing yet. No other process may have the same `identity`.
    #[must_use]
    pub fn new(identity: String, times: Times) -> Self {
        let (known, seen, held, created) = (Known::Nothing, None, None, None);
        let (role, spared, is_shared) = (Role::Follows, false, false);
        Self { identity, is_shared, times, known, seen, held, created, role, spared, term: 0 }
    }

    /// A candidate whose `identity` other processes have as well: they hold the lease together, and keep out those of any
    /// other identity. Four rules differ:
    /// - It reads the lease before each renewal, as the others renew it too.
    /// - A renewal by another of them counts as if it had been sent when this one last knew that it was not there yet. So
    ///   those that renew at the same time need one write together.
    /// - A renewal never shortens the duration in the record, on which the others rely.
    /// - Whoever may act by a lease that one of them created writes a first transition: those that come later need not
    ///   wait. Nobody resigns, because the others act on.
    #[must_use]
    pub fn shared(identity: String, times: Times) -> Self {
        Self { is_shared: true, ..Self::new(identity, times) }
    }

    /// The name of this candidate in records.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The step to take at `now`; `wall` is the same moment since 1970, for the record.
    #[must_use]
    pub fn next(&self, now: Instant, wall: Duration) -> Move {
        let wall = whole_micros(wall);
        let own = |acquired, transitions| Record {
            holder: self.identity.clone(),
            duration: self.times.duration,
            acquired: Some(acquired),
            renewed: Some(wall),
            transitions,
            wish: None,
        };
        match (self.known, &self.seen) {
            (Known::Nothing, _) | (Known::Present, None) => Move::Read,
            (Known::Absent, _) => Move::Create(own(wall, 0)),
            (Known::Present, Some(Seen { record, version, .. })) if record.holder == self.identity => {
                if self.spared && self.has_time(now) {
                    return Move::Wait;
                }
                let renewal = own(record.acquired.unwrap_or(wall), record.transitions);
                // Other candidates must see a change at every renewal, even after this computer's clock was set back.
                let later = record.renewed.unwrap_or_default() + Duration::from_micros(1);
                let renewed = Some(later.max(wall));
                // A wish that is not granted is removed, so that its author may wish for another lease.
                let wish = record.wish.clone().filter(|_| self.is_leaving());
                let renewal = Record { renewed, wish, ..renewal };
                let renewal = if self.is_shared { self.together(renewal, record, now) } else { renewal };
                Move::Replace(renewal, version.clone())
            }
            (Known::Present, Some(seen)) => {
                if now < self.free_from(seen) {
                    return Move::Wait;
                }
                let transitions = seen.record.transitions.saturating_add(1);
                Move::Replace(own(wall, transitions), seen.version.clone())
            }
        }
    }

    /// The renewal of a lease that this process holds together with others, over the record `before`.
    fn together(&self, renewal: Record, before: &Record, now: Instant) -> Record {
        let is_old_enough = self.created.is_some_and(|created| created + self.times.duration <= now);
        Record {
            duration: renewal.duration.max(before.duration),
            transitions: renewal.transitions.max(u32::from(is_old_enough)),
            ..renewal
        }
    }

    /// Whether two further attempts fit before the renew deadline.
    fn has_time(&self, now: Instant) -> bool {
        self.held
            .is_some_and(|held| now + self.times.retry_period * 2 <= held.sent + self.times.renew_deadline)
    }

    /// From when on this candidate may take the lease of another one. One that was handed over is left to whom it was
    /// handed for a lease duration.
    fn free_from(&self, seen: &Seen) -> Instant {
        match &seen.record {
            record if !record.holder.is_empty() => self.expires(seen),
            Record { wish: Some(wish), .. } if wish.by != self.identity => seen.at + self.times.duration,
            _ => seen.at,
        }
    }

    /// When the lease is free unless its record is seen to change before.
    fn expires(&self, seen: &Seen) -> Instant {
        // A record of another program may lack a duration; then ours applies.
        let duration =
            if seen.record.duration.is_zero() { self.times.duration } else { seen.record.duration };
        seen.at + duration
    }

    /// Takes in the lease as it was read; `None` where there is none. The request was sent at `sent`, and `now` is when the
    /// answer came.
    pub fn read(&mut self, found: Option<(Record, String)>, sent: Instant, now: Instant) {
        let Some((record, version)) = found else {
            self.known = Known::Absent;
            self.created = None;
            return;
        };
        self.known = Known::Present;
        let renewed_after = self.renewed_after(&record);
        let seen = self.seen.as_ref().map(|seen| &seen.record);
        let same_holding =
            seen.is_some_and(|seen| (&seen.holder, seen.acquired) == (&record.holder, record.acquired));
        if record.holder != self.identity {
            self.stop_leading();
            self.created = None;
        } else if record.transitions == 0 {
            // A lease that this process created, perhaps by a request that it got no answer to. Such a request may arrive
            // late, after other leases were created and deleted: what was known of those says nothing of this one.
            self.created = self.created.filter(|_| same_holding).or(Some(now));
        } else {
            self.created = None;
        }
        if let Some(since) = renewed_after {
            self.holds_since(since);
            self.spared = true;
        }
        match &mut self.seen {
            // A change of labels, for example, is no renewal.
            Some(seen) if seen.record.is_same_renewal(&record) => {
                (seen.record, seen.version, seen.current_at) = (record, version, sent);
            }
            seen => *seen = Some(Seen { record, version, at: now, current_at: sent }),
        }
    }

    /// Where `record` is a renewal by another process of this identity that this one may count as its own: a moment before
    /// it was written. Whoever waits for the lease counts at least this process's duration from then.
    fn renewed_after(&self, record: &Record) -> Option<Instant> {
        let before = self.seen.as_ref().filter(|before| {
            before.record.holder == self.identity && !before.record.is_same_renewal(record)
        })?;
        let counts = self.is_shared && self.held.is_some() && record.holder == self.identity;
        (counts && record.duration >= self.times.duration).then_some(before.current_at)
    }

    /// Holds the lease by a renewal that was sent at `sent`, or counts as if.
    fn holds_since(&mut self, sent: Instant) {
        let sent = self.held.map_or(sent, |held| held.sent.max(sent));
        let acts_from = self.created.map_or(sent, |created| created + self.times.duration);
        self.held = Some(Held { sent, acts_from });
    }

    /// Takes in that the record was written and has this version now. The request was sent at `sent`, and its answer came
    /// at `answered`.
    pub fn written(&mut self, record: Record, version: String, sent: Instant, answered: Instant) {
        if self.known == Known::Absent {
            // The earlier lease may have been deleted as late as just before the answer.
            self.created = Some(answered);
        }
        self.known = Known::Present;
        self.seen = Some(Seen { record, version, at: sent, current_at: sent });
        self.holds_since(sent);
    }

    /// The record that wishes for the lease of another candidate, and the version to replace. It changes nothing else.
    #[must_use]
    pub fn wish(&self, wall: Duration) -> Option<(Record, String)> {
        let seen = self.seen.as_ref().filter(|_| self.known == Known::Present)?;
        let wish = Some(Wish { by: self.identity.clone(), at: whole_micros(wall) });
        Some((Record { wish, ..seen.record.clone() }, seen.version.clone()))
    }

    /// Takes in that a wish was written.
    pub fn wished(&mut self, record: Record, version: String) {
        if let Some(seen) = &mut self.seen {
            (seen.record, seen.version) = (record, version);
        }
    }

    /// The newest record.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.seen.as_ref().map(|seen| &seen.record)
    }

    /// Whether this process holds the lease, or has written that it does.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// Announces that this process hands the lease over to whoever wishes for it.
    pub fn leave(&mut self) {
        if self.role == Role::Leads {
            self.role = Role::Leaves;
        }
    }

    /// Whether this process is about to hand the lease over.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.role == Role::Leaves
    }

    /// Takes in that a request failed, or may have failed. The next step is to read.
    pub fn unsure(&mut self) {
        self.known = Known::Nothing;
    }

    /// Takes in that time has passed: what is known of a lease that this process does not hold is out of date.
    pub fn waited(&mut self) {
        self.spared = false;
        if self.held.is_none() || self.is_shared {
            self.known = Known::Nothing;
        }
    }

    /// The standing at `now`. A leader that did not renew in time stops leading; if it leads again, that is another term.
    pub fn standing(&mut self, now: Instant) -> Standing {
        if self.held.is_some_and(|held| now >= held.sent + self.times.renew_deadline) {
            self.stop_leading();
        }
        let led = self.held.filter(|held| now >= held.acts_from);
        if led.is_none() {
            self.role = Role::Follows;
        } else if self.role == Role::Follows {
            self.role = Role::Leads;
            self.term += 1;
        }
        let holder = self.seen.as_ref().map(|seen| seen.record.holder.clone());
        Standing {
            term: self.term,
            until: led.map(|held| held.sent + self.times.renew_deadline),
            holder: holder.filter(|holder| !holder.is_empty()),
            leaving: self.is_leaving(),
        }
    }

    /// When to take the next step after `now`: after the retry period, or earlier if the lease expires or may be acted on
    /// before that.
    #[must_use]
    pub fn next_attempt(&self, now: Instant) -> Instant {
        let retry = now + self.times.retry_period;
        let expires = self.seen.as_ref().filter(|_| self.held.is_none()).map(|seen| self.free_from(seen));
        let acts_from = self.held.map(|held| held.acts_from);
        [expires, acts_from].into_iter().flatten().filter(|it| *it > now).fold(retry, Instant::min)
    }

    /// When to give up a request that is sent at `now`: early enough for another one before the renew deadline, and at the
    /// end of the term at the latest, because that end must be published.
    #[must_use]
    pub fn request_deadline(&self, now: Instant) -> Instant {
        let deadline = now + self.request_timeout();
        self.held.map_or(deadline, |held| deadline.min(held.sent + self.times.renew_deadline))
    }

    /// How often it renews or reads the lease.
    #[must_use]
    pub fn retry_period(&self) -> Duration {
        self.times.retry_period
    }

    /// How long others leave a lease alone that this candidate has renewed.
    #[must_use]
    pub fn lease_duration(&self) -> Duration {
        self.times.duration
    }

    /// The longest time to wait for one answer.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.times.request_timeout()
    }

    /// Stops leading, and returns the record with which another candidate can lead at once, and the version to replace: one
    /// that wishes for the lease if this process leaves it, else any. `None` where this process does not lead: a lease that
    /// is too new to be acted on must be too new for others as well.
    pub fn resign(&mut self, wall: Duration) -> Option<(Record, String)> {
        let (resigns, leaving) = (self.role != Role::Follows && !self.is_shared, self.is_leaving());
        self.stop_leading();
        if !resigns {
            return None;
        }
        let wall = whole_micros(wall);
        let seen = self.seen.as_ref()?;
        let record = Record {
            holder: String::new(),
            duration: Duration::from_secs(1),
            acquired: Some(wall),
            renewed: Some(wall),
            transitions: seen.record.transitions,
            wish: seen.record.wish.clone().filter(|_| leaving),
        };
        Some((record, seen.version.clone()))
    }

    /// Takes in that the record of [`Self::resign`] was written and has this version now.
    pub fn resigned(&mut self, record: Record, version: String, now: Instant) {
        self.seen = Some(Seen { record, version, at: now, current_at: now });
    }

    fn stop_leading(&mut self) {
        self.held = None;
        self.role = Role::Follows;
    }
}

/// A time as a lease can hold it.
fn whole_micros(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
