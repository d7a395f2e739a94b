//! The election by a lease, with the rules of client-go's leaderelection: what a candidate knows, and what it does next.
//!
//! This module has the rules and no I/O: its caller reports what it read and wrote, with the local monotonic time. A
//! lease expires when its record has not been seen to change for the duration that the record states. The wall-clock
//! times in a record are for people; no decision compares the clocks of two computers.
//!
//! Two rules are stricter than client-go's. An identity belongs to one process only, so that no process takes the lease
//! of another one for its own. And a candidate that creates a lease acts on it only after the lease duration: somebody may
//! have deleted an earlier lease whose leader still acts, and that leader has stopped by then.

use std::time::Duration;

use tokio::time::Instant;

use super::{Standing, Times};

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
    /// Wait: another candidate holds the lease.
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
}

/// The lease as this process holds it.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// When the newest successful renewal was sent.
    sent: Instant,
    /// From when on this process may act on it.
    acts_from: Instant,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Election {
    identity: String,
    times: Times,
    known: Known,
    seen: Option<Seen>,
    held: Option<Held>,
    /// Where this process created the lease in `seen`: when it knew of that. `None` where it took the lease over.
    created: Option<Instant>,
    /// Whether it has led by what it holds.
    leads: bool,
    term: u64,
}

impl Election {
    /// A candidate that knows nothing yet. No other process may have the same `identity`.
    #[must_use]
    pub fn new(identity: String, times: Times) -> Self {
        let (known, seen, held, created) = (Known::Nothing, None, None, None);
        Self { identity, times, known, seen, held, created, leads: false, term: 0 }
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
        };
        match (self.known, &self.seen) {
            (Known::Nothing, _) | (Known::Present, None) => Move::Read,
            (Known::Absent, _) => Move::Create(own(wall, 0)),
            (Known::Present, Some(Seen { record, version, .. })) if record.holder == self.identity => {
                let renewal = own(record.acquired.unwrap_or(wall), record.transitions);
                // Other candidates must see a change at every renewal, even after this computer's clock was set back.
                let later = record.renewed.unwrap_or_default() + Duration::from_micros(1);
                let renewed = later.max(wall);
                Move::Replace(Record { renewed: Some(renewed), ..renewal }, version.clone())
            }
            (Known::Present, Some(seen)) => {
                if !seen.record.holder.is_empty() && now < self.expires(seen) {
                    return Move::Wait;
                }
                let transitions = seen.record.transitions.saturating_add(1);
                Move::Replace(own(wall, transitions), seen.version.clone())
            }
        }
    }

    /// When the lease is free unless its record is seen to change before.
    fn expires(&self, seen: &Seen) -> Instant {
        // A record of another program may lack a duration; then ours applies.
        let duration =
            if seen.record.duration.is_zero() { self.times.duration } else { seen.record.duration };
        seen.at + duration
    }

    /// Takes in the lease as it was read; `None` where there is none. `now` is when the answer came.
    pub fn read(&mut self, found: Option<(Record, String)>, now: Instant) {
        let Some((record, version)) = found else {
            self.known = Known::Absent;
            self.created = None;
            return;
        };
        self.known = Known::Present;
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
        }
        match &mut self.seen {
            // A change of labels, for example, is no renewal.
            Some(seen) if seen.record == record => seen.version = version,
            seen => *seen = Some(Seen { record, version, at: now }),
        }
    }

    /// Takes in that the record was written and has this version now. The request was sent at `sent`, and its answer came
    /// at `answered`.
    pub fn written(&mut self, record: Record, version: String, sent: Instant, answered: Instant) {
        if self.known == Known::Absent {
            // The earlier lease may have been deleted as late as just before the answer.
            self.created = Some(answered);
        }
        self.known = Known::Present;
        self.seen = Some(Seen { record, version, at: sent });
        let acts_from = self.created.map_or(sent, |created| created + self.times.duration);
        self.held = Some(Held { sent, acts_from });
    }

    /// Takes in that a request failed, or may have failed. The next step is to read.
    pub fn unsure(&mut self) {
        self.known = Known::Nothing;
    }

    /// Takes in that time has passed: what is known of a lease that this process does not hold is out of date.
    pub fn waited(&mut self) {
        if self.held.is_none() {
            self.known = Known::Nothing;
        }
    }

    /// The standing at `now`. A leader that did not renew in time stops leading; if it leads again, that is another term.
    pub fn standing(&mut self, now: Instant) -> Standing {
        if self.held.is_some_and(|held| now >= held.sent + self.times.renew_deadline) {
            self.stop_leading();
        }
        let led = self.held.filter(|held| now >= held.acts_from);
        if led.is_some() && !self.leads {
            self.term += 1;
        }
        self.leads = led.is_some();
        let holder = self.seen.as_ref().map(|seen| seen.record.holder.clone());
        Standing {
            term: self.term,
            until: led.map(|held| held.sent + self.times.renew_deadline),
            holder: holder.filter(|holder| !holder.is_empty()),
        }
    }

    /// When to take the next step after `now`: after the retry period, or earlier if the lease expires or may be acted on
    /// before that.
    #[must_use]
    pub fn next_attempt(&self, now: Instant) -> Instant {
        let retry = now + self.times.retry_period;
        let expires = self.seen.as_ref().filter(|_| self.held.is_none()).map(|seen| self.expires(seen));
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

    /// The longest time to wait for one answer.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        self.times.request_timeout()
    }

    /// Stops leading, and returns the record with which another candidate can lead at once, and the version to replace.
    /// `None` where this process does not lead: a lease that is too new to be acted on must be too new for others as well.
    pub fn resign(&mut self, wall: Duration) -> Option<(Record, String)> {
        let led = self.leads;
        self.stop_leading();
        if !led {
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
        };
        Some((record, seen.version.clone()))
    }

    fn stop_leading(&mut self) {
        self.held = None;
        self.leads = false;
    }
}

/// A time as a lease can hold it.
fn whole_micros(time: Duration) -> Duration {
    Duration::from_micros(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
