//! Leader election: of several scalers, only the one that holds a lease acts. Where the fleets are spread over shards, each
//! shard has a lease of its own, and one more says how many shards there are.
//!
//! A [`Lead`] is the right to act during one term. Every call that changes something passes through it, and is dropped
//! unsent when the term has ended. A term ends by the monotonic clock of the leader itself, counted from when it sent its
//! newest renewal. The next leader begins later than that, by the difference between the lease duration and the renew
//! deadline, so a leader stops in time without hearing from anyone. Wall clocks play no part.
//!
//! One thing cannot be prevented: a request that is already in the kernel's buffers when the process is stopped takes
//! effect later.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::future::select_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

pub mod balance;
pub mod election;
pub mod elector;
#[cfg_attr(not(feature = "kubernetes"), path = "kubernetes_absent.rs")]
pub mod kubernetes;
pub mod part;
#[cfg(test)]
mod stage;

/// The standing of a scaler in the election.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many times this process has begun to lead.
    term: u64,
    /// When its lead ends unless the lease is renewed; `None` while it does not lead.
    until: Option<Instant>,
    /// The holder of the lease, as last seen.
    holder: Option<String>,
    /// Whether it hands the lease over as soon as nothing acts on it.
    leaving: bool,
}

impl Standing {
    /// Whether this scaler leads at `now`.
    #[must_use]
    pub fn leads(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// The holder of the lease, as last seen.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_deref()
    }

    /// When its lead ends unless the lease is renewed.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

/// The term has ended, or never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("act: this scaler does not lead any more; the new leader continues from the groups' tags")]
pub struct NotLeading;

/// How this process becomes the leader. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leadership {
    /// It leads while all of these say so; none without an election.
    standings: Vec<watch::Receiver<Standing>>,
    turn: Arc<Semaphore>,
}

/// Proof that something acts, so that the lease is not handed over yet.
#[derive(Debug)]
pub struct Turn {
    _permit: OwnedSemaphorePermit,
}

/// Of what acts and what hands the lease over, one at a time.
#[must_use]
pub(crate) fn one_turn() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(1))
}

impl Leadership {
    /// Leadership of the only scaler.
    #[must_use]
    pub fn alone() -> Self {
        Self { standings: Vec::new(), turn: one_turn() }
    }

    /// Leadership by election, as `standing` reports.
    #[must_use]
    pub fn by(standing: watch::Receiver<Standing>) -> Self {
        Self { standings: vec![standing], turn: one_turn() }
    }

    /// Leadership of a shard, which needs the agreement on their number as well. Whoever takes the `turn` may hand the lease
    /// over.
    #[must_use]
    pub fn of_shard(
        agreement: watch::Receiver<Standing>,
        shard: watch::Receiver<Standing>,
        turn: Arc<Semaphore>,
    ) -> Self {
        Self { standings: vec![agreement, shard], turn }
    }

    /// The present term. Outside of a term it permits nothing.
    #[must_use]
    pub fn lead(&self) -> Lead {
        let term = |standing: &watch::Receiver<Standing>| {
            let number = standing.borrow().term;
            Term { number, standing: standing.clone() }
        };
        Lead { terms: self.standings.iter().map(term).collect(), turn: Arc::clone(&self.turn) }
    }

    /// Waits until this process leads, and returns that term; `None` once the election has ended.
    pub async fn won(&self) -> Option<Lead> {
        let mut standings = self.standings.clone();
        loop {
            for standing in &mut standings {
                let is_won = |standing: &Standing| standing.leads(Instant::now()) && !standing.leaving;
                standing.wait_for(is_won).await.ok()?;
            }
            let lead = self.lead();
            if lead.holds() {
                return Some(lead);
            }
        }
    }

    /// Whether this process leads, until when unless a lease is renewed, and the holder of the last of its leases.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let standings: Vec<Standing> = self.standings.iter().map(|it| it.borrow().clone()).collect();
        let until: Option<Vec<Instant>> =
            standings.iter().map(|it| it.until.filter(|it| now < *it)).collect();
        Standing {
            until: until.and_then(|it| it.into_iter().min()),
            ..standings.last().cloned().unwrap_or_default()
        }
    }

    /// Waits until one of its leases is held otherwise; for ever once the election has ended.
    pub async fn changed(&mut self) {
        let changes = self.standings.iter_mut().map(|standing| {
            Box::pin(async {
                if standing.changed().await.is_err() {
                    pending::<()>().await;
                }
            })
        });
        let changes: Vec<_> = changes.collect();
        if changes.is_empty() {
            return pending().await;
        }
        select_all(changes).await;
    }
}

/// The right to act during one term. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lead {
    /// It lasts while all of these last; none without an election.
    terms: Vec<Term>,
    turn: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
struct Term {
    number: u64,
    standing: watch::Receiver<Standing>,
}

impl Term {
    fn lasts(&self) -> bool {
        let standing = self.standing.borrow();
        standing.term == self.number && standing.leads(Instant::now())
    }

    async fn over(&self) {
        let Self { number, mut standing } = self.clone();
        loop {
            let until = {
                let standing = standing.borrow_and_update();
                standing.until.filter(|until| standing.term == number && Instant::now() < *until)
            };
            let Some(until) = until else { return };
            tokio::select! {
                () = sleep_until(until) => {}
                changed = standing.changed() => if changed.is_err() { return },
            }
        }
    }
}

impl Lead {
    /// The right of the only scaler, which never ends.
    #[must_use]
    pub fn always() -> Self {
        Self { terms: Vec::new(), turn: one_turn() }
    }

    /// Whether this term still lasts.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.terms.iter().all(Term::lasts)
    }

    /// Waits for the end of the term.
    pub async fn lost(&self) {
        if self.terms.is_empty() {
            return pending().await;
        }
        select_all(self.terms.iter().map(|term| Box::pin(term.over()))).await;
    }

    /// Begins to act; `None` if the term has ended or its lease is being handed over. Only one acts at a time.
    pub async fn begin(&self) -> Option<Turn> {
        let permit = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        let is_left = self.terms.iter().any(|term| term.standing.borrow().leaving);
        (self.holds() && !is_left).then_some(Turn { _permit: permit })
    }

    /// Waits until the lease is to be handed over: whatever acts ends in good order, and then drops its [`Turn`].
    pub async fn leaving(&self) {
        let left = self.terms.iter().map(|term| {
            let mut standing = term.standing.clone();
            Box::pin(async move {
                if standing.wait_for(|standing| standing.leaving).await.is_err() {
                    pending::<()>().await;
                }
            })
        });
        let left: Vec<_> = left.collect();
        if left.is_empty() {
            return pending().await;
        }
        select_all(left).await;
    }

    /// Runs a call that changes something, for as long as the term lasts. Each poll of the call checks the term first,
    /// because the process may be stopped between two polls for any length of time, and a call that waits for credentials
    /// or a connection has sent nothing yet.
    pub async fn permit<T>(&self, call: impl Future<Output = T>) -> Result<T, NotLeading> {
        if self.terms.is_empty() {
            return Ok(call.await);
        }
        let (mut call, mut lost) = (pin!(call), pin!(self.lost()));
        poll_fn(|context| {
            // Polling it wakes this task at the end of the term.
            if lost.as_mut().poll(context).is_ready() || !self.holds() {
                return Poll::Ready(Err(NotLeading));
            }
            call.as_mut().poll(context).map(Ok)
        })
        .await
    }
}

/// The name of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl LeaseName {
    /// The lease of a shard, beside this one.
    #[must_use]
    pub fn of_shard(&self, number: u16) -> Self {
        Self { namespace: self.namespace.clone(), name: format!("{}-{number}", self.name) }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The text is no name of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write NAMESPACE/NAME in lower case letters, digits and hyphens, such as jitsi/jitsi-scaler")]
pub struct NoLeaseName;

impl FromStr for LeaseName {
    type Err = NoLeaseName;

    fn from_str(text: &str) -> Result<Self, NoLeaseName> {
        let (namespace, name) = text.split_once('/').ok_or(NoLeaseName)?;
        let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let ends = |part: &str| !part.starts_with(['-', '.']) && !part.ends_with(['-', '.']);
        let label = !namespace.is_empty() && namespace.len() <= 63 && namespace.chars().all(usual);
        let path = !name.is_empty() && name.len() <= 253 && name.chars().all(|c| usual(c) || c == '.');
        if !label || !path || !ends(namespace) || !ends(name) {
            return Err(NoLeaseName);
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

/// The times of an election, named as in client-go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// The times do not fit each other; one text per mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use these times for the lease: {}", .0.join("; "))]
pub struct WrongTimes(Vec<String>);

impl Times {
    /// Checks the times against each other, and reports every mistake.
    pub fn try_new(
        duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, WrongTimes> {
        let mut wrong = Vec::new();
        let whole = duration.subsec_nanos() == 0 && !duration.is_zero();
        if !whole || i32::try_from(duration.as_secs()).is_err() {
            wrong.push(format!("--leader.lease-duration is {duration:?}; give whole seconds, such as 15s"));
        }
        if renew_deadline >= duration {
            wrong.push(format!(
                "--leader.renew-deadline is {renew_deadline:?}; it must be shorter than --leader.lease-duration \
                 ({duration:?}), so that a leader stops before another one begins"
            ));
        }
        if retry_period.is_zero() || retry_period >= renew_deadline {
            wrong.push(format!(
                "--leader.retry-period is {retry_period:?}; it must be longer than 0s and shorter than \
                 --leader.renew-deadline ({renew_deadline:?}), so that a renewal can be tried again in time"
            ));
        }
        if wrong.is_empty() {
            Ok(Self { duration, renew_deadline, retry_period })
        } else {
            Err(WrongTimes(wrong))
        }
    }

    /// The longest time to wait for one answer: a renewal whose answer is lost can be read and sent again before the renew
    /// deadline.
    fn request_timeout(&self) -> Duration {
        self.renew_deadline.saturating_sub(self.retry_period) / 3
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use test_case::test_case;
    use tokio::time::{advance, sleep};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn leading(term: u64, left: Duration) -> Standing {
        Standing { term, until: Some(Instant::now() + left), ..Standing::default() }
    }

    /// A term that ends in two seconds unless its standing is renewed.
    async fn won() -> (watch::Sender<Standing>, Lead) {
        let (tell, standing) = watch::channel(leading(1, SECOND * 2));
        (tell, Leadership::by(standing).won().await.expect("a term"))
    }

    #[test_case("jitsi/jitsi-scaler", true; "a name")]
    #[test_case("jitsi/a.b-c1", true; "a name with dots")]
    #[test_case("jitsi-scaler", false; "no namespace")]
    #[test_case("/jitsi-scaler", false; "an empty namespace")]
    #[test_case("jitsi/", false; "an empty name")]
    #[test_case("a/b/c", false; "a path")]
    #[test_case("jitsi/Scaler", false; "upper case")]
    #[test_case("a.b/c", false; "a namespace with a dot")]
    #[test_case("jitsi/-a", false; "a hyphen at the end")]
    fn a_lease_has_a_namespace_and_a_name(text: &str, valid: bool) {
        let parsed = text.parse::<LeaseName>();
        assert_eq!(parsed.is_ok(), valid);
        if let Ok(name) = parsed {
            assert_eq!(name.to_string(), text);
        }
    }

    #[test]
    fn times_must_fit_each_other() {
        let times = |a, b, c| {
            Times::try_new(Duration::from_millis(a), Duration::from_millis(b), Duration::from_millis(c))
        };
        assert!(times(15_000, 10_000, 2_000).is_ok());
        let texts = [times(1_500, 1_500, 1_500), times(10_000, 15_000, 0), times(0, 0, 0)]
            .map(|wrong| format!("failed to {}\n", wrong.expect_err("wrong")));
        insta::assert_snapshot!(texts.concat(), @"
        failed to use these times for the lease: --leader.lease-duration is 1.5s; give whole seconds, such as 15s; --leader.renew-deadline is 1.5s; it must be shorter than --leader.lease-duration (1.5s), so that a leader stops before another one begins; --leader.retry-period is 1.5s; it must be longer than 0s and shorter than --leader.renew-deadline (1.5s), so that a renewal can be tried again in time
        failed to use these times for the lease: --leader.renew-deadline is 15s; it must be shorter than --leader.lease-duration (10s), so that a leader stops before another one begins; --leader.retry-period is 0ns; it must be longer than 0s and shorter than --leader.renew-deadline (15s), so that a renewal can be tried again in time
        failed to use these times for the lease: --leader.lease-duration is 0ns; give whole seconds, such as 15s; --leader.renew-deadline is 0ns; it must be shorter than --leader.lease-duration (0ns), so that a leader stops before another one begins; --leader.retry-period is 0ns; it must be longer than 0s and shorter than --leader.renew-deadline (0ns), so that a renewal can be tried again in time
        ");
    }

    #[tokio::test(start_paused = true)]
    async fn the_only_scaler_always_leads() {
        let lead = Leadership::alone().won().await.expect("a term");
        assert!(lead.holds());
        assert_eq!(lead.permit(sleep(SECOND * 1_000)).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_goes_on_for_as_long_as_the_lease_is_renewed() {
        let (tell, lead) = won().await;
        let call = tokio::spawn(async move { lead.permit(sleep(SECOND * 5)).await });
        for _ in 0..4 {
            sleep(SECOND).await;
            tell.send_replace(leading(1, SECOND * 2));
        }
        assert_eq!(call.await.expect("no panic"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_dropped_when_the_lease_runs_out() {
        let (_tell, lead) = won().await;
        let began = Instant::now();
        assert_eq!(lead.permit(sleep(SECOND * 5)).await, Err(NotLeading));
        assert_eq!(began.elapsed().as_secs(), 2);
        assert!(!lead.holds());
    }

    /// A process that was stopped finds the awaited answer and the end of its term at the same moment.
    #[tokio::test(start_paused = true)]
    async fn a_process_that_was_stopped_for_too_long_sends_nothing() {
        let (_tell, lead) = won().await;
        let sent = Arc::new(AtomicU32::new(0));
        let sending = Arc::clone(&sent);
        let (connected, connecting) = tokio::sync::oneshot::channel::<()>();
        let call = async move {
            let _ = connecting.await;
            sending.fetch_add(1, Ordering::Relaxed);
        };
        let call = tokio::spawn(async move { lead.permit(call).await });
        tokio::task::yield_now().await;
        // The process is stopped only after the connection is there, so its call wakes first.
        connected.send(()).expect("it waits");
        advance(SECOND * 3).await;
        assert_eq!(call.await.expect("no panic"), Err(NotLeading));
        assert_eq!(sent.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_term_permits_no_call_of_the_old_one() {
        let (tell, standing) = watch::channel(leading(1, SECOND * 2));
        let leadership = Leadership::by(standing);
        let old = leadership.won().await.expect("a term");
        tell.send_replace(Standing::default());
        tell.send_replace(leading(2, SECOND * 2));
        let new = leadership.won().await.expect("a term");
        assert_eq!((old.holds(), new.holds()), (false, true));
        assert_eq!(old.permit(async {}).await, Err(NotLeading));
        old.lost().await;
        assert_eq!(new.permit(async {}).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_led_while_both_of_its_leases_last() {
        let (agree, agreement) = watch::channel(leading(1, SECOND * 2));
        let (tell, shard) = watch::channel(leading(1, SECOND * 3));
        let leadership = Leadership::of_shard(agreement, shard, one_turn());
        let began = Instant::now();
        let lead = leadership.won().await.expect("a term");
        assert_eq!(leadership.standing().until(), Some(began + SECOND * 2));
        lead.lost().await;
        assert_eq!(began.elapsed(), SECOND * 2);
        assert_eq!(lead.permit(async {}).await, Err(NotLeading));
        agree.send_replace(leading(2, SECOND * 9));
        let lead = leadership.won().await.expect("another term");
        lead.lost().await;
        assert_eq!((began.elapsed(), leadership.standing().until()), (SECOND * 3, None));
        tell.send_replace(leading(2, SECOND));
        assert!(leadership.won().await.expect("another term").holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shard_is_handed_over_once_nothing_acts_on_it() {
        let (_agree, agreement) = watch::channel(leading(1, SECOND * 9));
        let (tell, shard) = watch::channel(leading(1, SECOND * 9));
        let turn = one_turn();
        let leadership = Leadership::of_shard(agreement, shard, Arc::clone(&turn));
        let lead = leadership.won().await.expect("a term");
        let acting = lead.begin().await.expect("it leads");
        tell.send_modify(|standing| standing.leaving = true);
        lead.leaving().await;
        assert!(turn.try_acquire().is_err() && lead.holds(), "what acts may still end");
        drop(acting);
        drop(turn.try_acquire().expect("nothing acts"));
        assert!(lead.begin().await.is_none(), "nothing begins any more");
    }

    #[tokio::test(start_paused = true)]
    async fn a_scaler_that_does_not_lead_changes_nothing() {
        let (_tell, standing) = watch::channel(Standing::default());
        let lead = Leadership::by(standing).lead();
        assert!(!lead.holds());
        assert_eq!(lead.permit(async {}).await, Err(NotLeading));
    }
}
