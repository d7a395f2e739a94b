//! Looks at instances that drain: what their components answer, and what that proves.
//!
//! Owns the rule that one answer proves little. Jicofo hears of a bridge's state some seconds late, and a component that a
//! supervisor restarts refuses connections while it boots. A look therefore counts only if it was asked for at least
//! `drain.settle` after the request that it is to confirm was accepted, and two looks are two only if they are at least
//! `drain.settle` apart. Times are monotonic: setting the system clock cannot bring two looks closer together.

use std::time::Duration;

use tokio::time::Instant;

use crate::decide::observation::{Drain, Live, Looks, Reading};

/// The looks at one instance that drains. A process that starts anew knows of no look and of no request, so it takes
/// longer by `drain.settle`.
#[derive(Debug)]
pub(super) struct Watch {
    /// The drain at the newest look; `None` if a request was accepted since.
    drain: Option<Drain>,
    /// When the newest request was accepted, or when its effect was first seen.
    accepted: Instant,
    /// The answer to the newest look.
    latest: Option<Reading>,
    /// Since when looks that count have had that answer.
    since: Option<Instant>,
    looks: Looks,
}

impl Watch {
    /// Begins after a component has accepted a request at `accepted`: earlier looks do not confirm it.
    pub(super) fn begin(accepted: Instant) -> Self {
        Self { drain: None, accepted, latest: None, since: None, looks: Looks::TooEarly }
    }

    /// Notes the answer to a look that was asked for at `asked`, while the drain was as its tag says.
    pub(super) fn note(&mut self, drain: Drain, reading: Reading, asked: Instant, settle: Duration) {
        if self.drain.is_some_and(|before| before != drain) {
            // Another process made the request.
            *self = Self::begin(asked);
        }
        self.drain = Some(drain);
        let counts = asked >= self.accepted + settle;
        let since = self.since.filter(|_| self.latest == Some(reading)).unwrap_or(asked);
        self.latest = Some(reading);
        self.since = counts.then_some(since);
        self.looks = match counts {
            false => Looks::TooEarly,
            true if asked > since && asked >= since + settle => Looks::Two,
            true => Looks::One,
        };
    }

    /// The drain at the newest look; `None` if a request was accepted since.
    pub(super) fn drain(&self) -> Option<Drain> {
        self.drain
    }

    /// What the looks prove.
    pub(super) fn live(&self) -> Live {
        Live { latest: self.latest, looks: self.looks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::observation::DrainState::{self, Asked, Closed, Draining};
    use crate::decide::observation::Looks::{One, TooEarly, Two};
    use crate::decide::observation::Purpose;
    use crate::units::Time;

    const SETTLE: Duration = Duration::from_secs(10);
    const EMPTY: Reading = Reading::Answered { empty: true, draining: true, closing: false };
    const BUSY: Reading = Reading::Answered { empty: false, draining: true, closing: false };

    struct Table {
        watch: Watch,
        start: Instant,
        settle: Duration,
    }

    impl Table {
        /// A request was accepted at second 0.
        fn new() -> Self {
            let start = Instant::now();
            Self { watch: Watch::begin(start), start, settle: SETTLE }
        }

        fn look(&mut self, second: u64, state: DrainState, reading: Reading) -> Looks {
            let drain = Drain { state, ..Drain::begun(Purpose::ScaleIn, Time::from_unix(0)) };
            self.watch.note(drain, reading, self.start + Duration::from_secs(second), self.settle);
            assert_eq!(self.watch.live().latest, Some(reading));
            self.watch.live().looks
        }
    }

    #[test]
    fn two_looks_are_settle_apart_and_settle_after_the_request() {
        let mut table = Table::new();
        let looks = [1, 9, 10, 11, 19, 20].map(|second| table.look(second, Draining, EMPTY));
        assert_eq!(looks, [TooEarly, TooEarly, One, One, One, Two]);
    }

    #[test]
    fn a_look_between_that_says_otherwise_starts_again() {
        let mut table = Table::new();
        let looks = [(10, EMPTY), (15, BUSY), (20, EMPTY), (25, Reading::Unknown), (30, EMPTY), (40, EMPTY)]
            .map(|(second, reading)| table.look(second, Draining, reading));
        assert_eq!(looks, [One, One, One, One, One, Two]);
    }

    #[test]
    fn a_state_that_another_process_wrote_counts_from_when_it_was_seen() {
        let mut table = Table::new();
        let looks = [(20, Draining), (40, Draining), (41, Asked), (51, Asked), (61, Asked)]
            .map(|(second, state)| table.look(second, state, EMPTY));
        assert_eq!(looks, [One, Two, TooEarly, One, Two]);
    }

    #[test]
    fn the_first_look_after_an_own_request_may_be_the_first_with_its_state() {
        let mut table = Table::new();
        assert_eq!(table.look(10, Closed, Reading::Refused), One);
        assert_eq!(table.look(20, Closed, Reading::Refused), Two);
    }

    #[test]
    fn without_settle_two_looks_are_still_two() {
        let mut table = Table { settle: Duration::ZERO, ..Table::new() };
        assert_eq!([1, 1, 2].map(|second| table.look(second, Draining, EMPTY)), [One, One, Two]);
    }
}
