use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::leader::Leadership;
use crate::leader::stage::{Server, WALL, candidate, seconds};

mod spread;

/// How the requests of one candidate fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trouble {
    #[default]
    None,
    /// No request arrives and none is answered.
    Silence,
    /// Writes happen, and their answers are lost.
    AnswersLost,
    Refused,
}

/// One candidate's access to a lease in memory.
#[derive(Clone, Debug, Default)]
struct Memory {
    state: Arc<Mutex<Server>>,
    trouble: Arc<Mutex<Trouble>>,
}

impl Memory {
    fn of_another(&self) -> Self {
        Self { state: Arc::clone(&self.state), trouble: Arc::default() }
    }

    fn trouble(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn state(&self) -> MutexGuard<'_, Server> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lease(&self) -> Record {
        self.state().lease.clone().expect("a lease").0
    }

    async fn ask<T>(&self, work: impl FnOnce(&mut Server) -> Result<T, LeaseError>) -> Result<T, LeaseError> {
        sleep(Duration::from_millis(20)).await;
        let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble == Trouble::Silence {
            std::future::pending::<()>().await;
        }
        if trouble == Trouble::Refused {
            return Err(LeaseError::Refused { call: "read", code: 500, message: "etcd".to_owned() });
        }
        let before = self.state().given;
        let done = work(&mut self.state());
        let wrote = self.state().given != before;
        if wrote && trouble == Trouble::AnswersLost {
            std::future::pending::<()>().await;
        }
        done
    }

    async fn write(&self, wanted: Move) -> Result<String, LeaseError> {
        let written = |state: &mut Server| state.write(&wanted).map(|(_, version)| version);
        self.ask(|state| written(state).ok_or(LeaseError::Conflict)).await
    }
}

impl Leases for Memory {
    async fn read(&self) -> Result<Option<(Record, String)>, LeaseError> {
        self.ask(|state| Ok(state.read())).await
    }

    async fn create(&self, record: &Record) -> Result<String, LeaseError> {
        self.write(Move::Create(record.clone())).await
    }

    async fn replace(&self, record: &Record, version: &str) -> Result<String, LeaseError> {
        self.write(Move::Replace(record.clone(), version.to_owned())).await
    }
}

struct Candidate {
    memory: Memory,
    standing: watch::Receiver<Standing>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Candidate {
    fn start(name: &str, memory: Memory) -> Self {
        let telemetry = Telemetry::register(&mut Registry::default());
        let (elector, standing) =
            Elector::new((memory.clone(), Part::Whole), candidate(name), || WALL, telemetry);
        let stop = CancellationToken::new();
        let task = tokio::spawn(elector.run(stop.clone()));
        Self { memory, standing, stop, task }
    }

    fn leads(&self) -> bool {
        self.standing.borrow().leads(Instant::now())
    }

    async fn won(&self) -> Duration {
        let began = Instant::now();
        Leadership::by(self.standing.clone()).won().await.expect("an election");
        began.elapsed()
    }
}

/// Two candidates, of which the first leads.
async fn two() -> (Candidate, Candidate) {
    let memory = Memory::default();
    memory.state().lease = Some((Record { transitions: 1, ..Record::default() }, 1));
    let a = Candidate::start("a", memory.clone());
    assert!(a.won().await < seconds(1));
    let b = Candidate::start("b", memory.of_another());
    sleep(seconds(30)).await;
    assert_eq!((a.leads(), b.leads()), (true, false));
    assert_eq!(b.standing.borrow().holder(), Some("a"));
    (a, b)
}

#[tokio::test(start_paused = true)]
async fn the_next_candidate_leads_when_a_leader_dies() {
    let (a, b) = two().await;
    a.task.abort();
    let took = b.won().await;
    assert!(seconds(13) < took && took < seconds(17) + Duration::from_millis(200), "{took:?}");
    assert_eq!(b.memory.lease().transitions, 3);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_requests_hang_stops_in_time_and_is_a_candidate_again() {
    let (a, b) = two().await;
    let lead = Leadership::by(a.standing.clone()).lead();
    a.memory.trouble(Trouble::Silence);
    let began = Instant::now();
    lead.lost().await;
    assert!(began.elapsed() <= seconds(10), "{:?}", began.elapsed());
    assert!(!a.leads() && !b.leads());
    b.won().await;
    assert!(!a.leads());
    a.memory.trouble(Trouble::None);
    sleep(seconds(10)).await;
    assert_eq!(a.standing.borrow().holder(), Some("b"));
    b.task.abort();
    a.won().await;
    assert!(!lead.holds(), "its old term has ended");
}

#[tokio::test(start_paused = true)]
async fn failures_shorter_than_the_deadline_change_nothing() {
    let (a, b) = two().await;
    for trouble in [Trouble::Silence, Trouble::Refused, Trouble::AnswersLost] {
        a.memory.trouble(trouble);
        sleep(seconds(6)).await;
        assert!(a.leads() && !b.leads(), "{trouble:?}");
        a.memory.trouble(Trouble::None);
        sleep(seconds(20)).await;
        assert!(a.leads() && !b.leads(), "{trouble:?}");
    }
    assert_eq!((a.standing.borrow().term, a.memory.lease().transitions), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn the_next_candidate_leads_at_once_when_a_leader_is_stopped() {
    for answered in [true, false] {
        let (a, b) = two().await;
        if !answered {
            // A renewal gets no answer.
            a.memory.trouble(Trouble::AnswersLost);
            let given = a.memory.state().given;
            while a.memory.state().given == given {
                sleep(Duration::from_millis(1)).await;
            }
            a.memory.trouble(Trouble::None);
        }
        a.stop.cancel();
        a.task.await.expect("no panic");
        assert!(!a.standing.borrow().leads(Instant::now()));
        let took = b.won().await;
        assert!(took < seconds(3), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_does_not_lead_resigns_nothing() {
    let (a, b) = two().await;
    b.stop.cancel();
    b.task.await.expect("no panic");
    assert!(a.leads());
    assert_eq!(a.memory.lease().holder, "a");
}

#[test]
fn the_texts_of_failures() {
    let refused =
        |code| LeaseError::Refused { call: "update", code, message: "the server's words".to_owned() };
    let source = Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
    let errors = [
        LeaseError::Conflict,
        LeaseError::Timeout,
        refused(403),
        refused(401),
        refused(404),
        refused(500),
        LeaseError::Unreachable { call: "read", source },
    ];
    let texts =
        errors.map(|error| format!("{}: failed to {}\n", error.as_str(), crate::telemetry::chain(&error)));
    insta::assert_snapshot!(texts.concat(), @"
    conflict: failed to write the lease: it has changed meanwhile
    timeout: failed to get an answer from the API server in time; the next read shows whether the lease was written
    refused: failed to update the lease: the server's words; allow get, create and update of leases in its namespace by a Role and a RoleBinding
    refused: failed to update the lease: the server's words; mount the token of the service account (automountServiceAccountToken); it is read again every minute
    refused: failed to update the lease: the server's words; create its namespace
    refused: failed to update the lease: the server's words
    unreachable: failed to read the lease: cannot reach the API server: connection refused
    ");
}
