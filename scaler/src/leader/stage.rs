//! An API server in memory, and candidates, for the tests of this folder.

use std::time::Duration;

use super::Times;
use super::election::{Election, Move, Record};

/// Since 1970, by the clock of the candidate that writes.
pub(super) const WALL: Duration = Duration::from_secs(1_790_000_000);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn candidate(name: &str) -> Election {
    let times = Times::try_new(seconds(15), seconds(10), seconds(2)).expect("good times");
    Election::new(name.to_owned(), times)
}

/// A lease as an API server keeps it: a write needs the version that it was read in.
#[derive(Debug, Default)]
pub(super) struct Server {
    pub(super) lease: Option<(Record, u32)>,
    /// The newest version that was ever given: none is given twice.
    pub(super) given: u32,
}

impl Server {
    pub(super) fn read(&self) -> Option<(Record, String)> {
        self.lease.clone().map(|(record, version)| (record, version.to_string()))
    }

    pub(super) fn write(&mut self, wanted: &Move) -> Option<(Record, String)> {
        let record = match (wanted, &self.lease) {
            (Move::Create(record), None) => record,
            (Move::Replace(record, of), Some((_, version))) if *of == version.to_string() => record,
            _ => return None,
        };
        self.given = self.lease.as_ref().map_or(self.given, |(_, version)| self.given.max(*version)) + 1;
        self.lease = Some((record.clone(), self.given));
        self.read()
    }
}
