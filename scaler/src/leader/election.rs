//! The election by a lease, as client-go's leaderelection holds it: what is known, what is to be done next.
//!
//! Owns the rules, and no I/O: what was read and written is told to it, with the local monotonic time. A lease is over
//! when its record was not seen to change for as long as the record says; the times in the record are for people, and
//! nobody's clock is compared with another's.
//!
//! Stricter than client-go in two points. A process is told apart from any other of its name, so that nobody takes
//! another's lease for its own. And whoever finds no lease where one may have been deleted makes a new one, but acts only
//! after it has held that for the whole duration: the leader by the old one has stopped by then.

use std::time::Duration;

use tokio::time::Instant;

use super::{Standing, Times};

/// What is written in a lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Who holds it; empty after it was given up.
    pub holder: String,
    /// For how long others leave it alone after it was renewed.
    pub duration: Duration,
    /// When it was acquired, since 1970 by the holder's clock.
    pub acquired: Option<Duration>,
    /// When it was renewed, likewise.
    pub renewed: Option<Duration>,
    /// How often it has gone from one holder to another.
    pub transitions: u32,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Read the lease.
    Read,
    /// Make a lease with this record; it is refused if there is one meanwhile.
    Create(Record),
    /// Write this record; it is refused if the lease is of another version meanwhile.
    Replace(Record, String),
    /// Wait: somebody else leads.
    Wait,
}

/// What was read of the lease, and is good enough to write on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sure {
    Nothing,
    Absent,
    Present,
}

/// The newest record of the lease.
#[derive(Clone, Debug)]
struct Seen {
    record: Record,
    version: String,
    /// When the record was first seen as it is.
    at: Instant,
}

/// The lease as this process holds it.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// When the newest renewal that succeeded was sent.
    sent: Instant,
    /// From when on it may be acted on.
    from: Instant,
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Election {
    identity: String,
    times: Times,
    sure: Sure,
    seen: Option<Seen>,
    held: Option<Held>,
    /// When this process made the lease that it holds, if it did.
    made: Option<Instant>,
    /// Whether it has led by what it holds.
    leads: bool,
    term: u64,
}

impl Election {
    /// A candidate that knows nothing yet. `identity` is no other process's.
    #[must_use]
    pub fn new(identity: String, times: Times) -> Self {
        let (sure, seen, held, made) = (Sure::Nothing, None, None, None);
        Self { identity, times, sure, seen, held, made, leads: false, term: 0 }
    }

    /// Its name.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What is to be done at `now`, which is `wall` since 1970 for whoever reads the record.
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
        match (self.sure, &self.seen) {
            (Sure::Nothing, _) | (Sure::Present, None) => Move::Read,
            (Sure::Absent, _) => Move::Create(own(wall, 0)),
            (Sure::Present, Some(Seen { record, version, .. })) if record.holder == self.identity => {
                let renewal = own(record.acquired.unwrap_or(wall), record.transitions);
                // Whoever looks now and then must see that it was renewed, whatever this computer's clock does.
                let later = record.renewed.unwrap_or_default() + Duration::from_micros(1);
                let renewed = later.max(wall);
                Move::Replace(Record { renewed: Some(renewed), ..renewal }, version.clone())
            }
            (Sure::Present, Some(seen)) => {
                if !seen.record.holder.is_empty() && now < self.over(seen) {
                    return Move::Wait;
                }
                let transitions = seen.record.transitions.saturating_add(1);
                Move::Replace(own(wall, transitions), seen.version.clone())
            }
        }
    }

    /// When nobody holds the lease any more unless it is seen to change.
    fn over(&self, seen: &Seen) -> Instant {
        // What somebody else wrote without a duration gets ours.
        let duration =
            if seen.record.duration.is_zero() { self.times.duration } else { seen.record.duration };
        seen.at + duration
    }

    /// The lease was read; `None`: there is none.
    pub fn read(&mut self, found: Option<(Record, String)>, now: Instant) {
        let Some((record, version)) = found else {
            self.sure = Sure::Absent;
            self.made = None;
            return;
        };
        self.sure = Sure::Present;
        if record.holder != self.identity {
            self.lose();
            self.made = None;
        } else if record.transitions == 0 && self.made.is_none() {
            // The answer to our own request for it was lost.
            self.made = Some(now);
        }
        match &mut self.seen {
            // Somebody may have put a label on it, which renews nothing.
            Some(seen) if seen.record == record => seen.version = version,
            seen => *seen = Some(Seen { record, version, at: now }),
        }
    }

    /// The record was written with a request that was sent at `sent`, and is of this version now.
    pub fn written(&mut self, record: Record, version: String, sent: Instant) {
        if self.sure == Sure::Absent {
            self.made = Some(sent);
        }
        self.sure = Sure::Present;
        self.seen = Some(Seen { record, version, at: sent });
        let from = self.made.map_or(sent, |made| made + self.times.duration);
        self.held = Some(Held { sent, from });
    }

    /// What was tried did not succeed, or nobody knows whether it did. The next thing is to read.
    pub fn unsure(&mut self) {
        self.sure = Sure::Nothing;
    }

    /// The candidate has waited: what it knows of the lease is old, unless it is its own.
    pub fn waited(&mut self) {
        if self.held.is_none() {
            self.sure = Sure::Nothing;
        }
    }

    /// How it stands at `now`. Whoever could not renew in time leads no more, and begins another term if it ever does.
    pub fn standing(&mut self, now: Instant) -> Standing {
        if self.held.is_some_and(|held| now >= held.sent + self.times.renew_deadline) {
            self.lose();
        }
        let led = self.held.filter(|held| now >= held.from);
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

    /// When it is to be tried again after `now`: before the next retry where something is over sooner.
    #[must_use]
    pub fn again(&self, now: Instant) -> Instant {
        let retry = now + self.times.retry_period;
        let over = self.seen.as_ref().filter(|_| self.held.is_none()).map(|seen| self.over(seen));
        let from = self.held.map(|held| held.from);
        [over, from].into_iter().flatten().filter(|it| *it > now).fold(retry, Instant::min)
    }

    /// When a request that is sent at `now` is given up: so soon that another one fits into the renew deadline, and never
    /// after the end of the term, of which others are to be told.
    #[must_use]
    pub fn limit(&self, now: Instant) -> Instant {
        let limit = now + self.patience();
        self.held.map_or(limit, |held| limit.min(held.sent + self.times.renew_deadline))
    }

    /// How long one request is waited for.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.times.request()
    }

    /// Gives the lease up, and the record that tells others that they need not wait. `None` where it is not held, and where
    /// it is too new to be acted on: then they must wait as well.
    pub fn resign(&mut self, wall: Duration) -> Option<(Record, String)> {
        let led = self.leads;
        self.lose();
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

    fn lose(&mut self) {
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
