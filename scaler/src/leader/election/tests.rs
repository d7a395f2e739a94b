use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use test_case::test_case;
use tokio::time::Instant;

use super::*;
use crate::leader::stage::{Server, WALL, candidate, seconds};

/// The record of a holder that acquired the lease at `wall` and renewed it then.
fn held(holder: &str, duration: Duration, wall: Duration, transitions: u32) -> Record {
    Record {
        holder: holder.to_owned(),
        duration,
        acquired: Some(wall),
        renewed: Some(wall),
        transitions,
        wish: None,
    }
}

/// What happens to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It is done, and its answer is lost.
    AnswerLost,
    /// It does not arrive.
    Lost,
}

/// Has a candidate take its steps at `now`; returns whether it leads then.
fn turn(election: &mut Election, server: &mut Server, now: Instant, fate: Fate) -> bool {
    turn_at(election, server, (now, WALL), fate)
}

fn turn_at(
    election: &mut Election,
    server: &mut Server,
    (now, wall): (Instant, Duration),
    fate: Fate,
) -> bool {
    election.waited();
    election.standing(now);
    for _ in 0..4 {
        match election.next(now, wall) {
            Move::Wait => break,
            Move::Read if fate == Fate::Lost => {
                election.unsure();
                break;
            }
            Move::Read => election.read(server.read(), now, now),
            write => {
                let written = if fate == Fate::Lost { None } else { server.write(&write) };
                match written.filter(|_| fate == Fate::Answered) {
                    Some((record, version)) => {
                        election.written(record, version, now, now);
                        break;
                    }
                    None => election.unsure(),
                }
                if fate != Fate::Answered {
                    break;
                }
            }
        }
    }
    election.standing(now).leads(now)
}

/// A candidate that leads since now, by a lease that another one held before.
fn leading() -> (Election, Server, Instant) {
    let free = Record { transitions: 4, ..Record::default() };
    let (mut server, now) = (Server { lease: Some((free, 1)), given: 0 }, Instant::now());
    let mut election = candidate("a");
    assert!(turn(&mut election, &mut server, now, Fate::Answered));
    (election, server, now)
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_free_is_taken_at_once() {
    let (mut election, server, now) = leading();
    let (record, version) = server.lease.clone().expect("a lease");
    assert_eq!((record, version), (held("a", seconds(15), WALL, 5), 2));
    assert_eq!(election.standing(now).until(), Some(now + seconds(10)));
    assert_eq!(election.standing(now).holder(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_keeps_when_it_was_acquired_and_needs_no_reading() {
    let (mut election, _, now) = leading();
    let later = now + seconds(2);
    election.waited();
    let Move::Replace(record, version) = election.next(later, WALL + seconds(2)) else { panic!("a renewal") };
    assert_eq!((record.acquired, record.renewed), (Some(WALL), Some(WALL + seconds(2))));
    assert_eq!((record.transitions, version.as_str()), (5, "2"));
    election.written(record, "3".to_owned(), later, later);
    assert_eq!(election.standing(later).until(), Some(later + seconds(10)));
    assert_eq!(election.standing(later).term, 1);
}

/// The deadline counts from when a renewal was sent, as its answer may take long.
#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_before_another_one_begins() {
    let (mut a, mut server, now) = leading();
    let mut b = candidate("b");
    // It sees the lease for the first time just after the renewal, which is as early as it can.
    assert!(!turn(&mut b, &mut server, now, Fate::Answered));
    let mut changes = Vec::new();
    let mut before = (true, false);
    for tenth in 1..200 {
        let at = now + Duration::from_millis(100 * tenth);
        if tenth % 20 == 0 {
            turn(&mut a, &mut server, at, Fate::Lost);
        }
        let b_leads = turn(&mut b, &mut server, at, Fate::Answered);
        let leads = (a.standing(at).leads(at), b_leads);
        assert_ne!(leads, (true, true), "after {tenth} tenths");
        if leads != before {
            changes.push((tenth, leads));
            before = leads;
        }
    }
    assert_eq!(changes, [(100, (false, false)), (150, (false, true))]);
    let (record, _) = server.lease.expect("a lease");
    assert_eq!((record.holder.as_str(), record.transitions), ("b", 6));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_is_not_taken() {
    let (mut a, mut server, now) = leading();
    let mut b = candidate("b");
    for second in 0..100 {
        let at = now + seconds(second);
        // Within the deadline a renewal may fail in any way.
        let fate = match second % 9 {
            0 => Fate::Answered,
            1..=4 => Fate::Lost,
            _ => Fate::AnswerLost,
        };
        assert!(turn(&mut a, &mut server, at, fate), "after {second} s");
        assert!(!turn(&mut b, &mut server, at, Fate::Answered));
        assert_eq!(b.standing(at).holder(), Some("a"));
    }
    assert_eq!(a.standing(now + seconds(99)).term, 1);
    assert_eq!(server.lease.expect("a lease").0.transitions, 5);
}

#[test_case(0; "of 1970")]
#[test_case(1_790_000_000 - 86_400; "of yesterday")]
#[test_case(1_790_000_000 + 86_400; "of tomorrow")]
#[tokio::test(start_paused = true)]
async fn the_holders_clock_does_not_matter(renewed: u64) {
    let now = Instant::now();
    let record = held("a", seconds(15), seconds(renewed), 1);
    let mut server = Server { lease: Some((record, 7)), given: 7 };
    let mut b = candidate("b");
    for tenth in 0..150 {
        let at = now + Duration::from_millis(100 * tenth);
        assert!(!turn(&mut b, &mut server, at, Fate::Answered), "after {tenth} tenths");
    }
    assert!(turn(&mut b, &mut server, now + seconds(15), Fate::Answered));
}

/// The holder's duration counts, as other candidates may be configured with other durations.
#[tokio::test(start_paused = true)]
async fn a_lease_lasts_as_long_as_its_holder_says() {
    let now = Instant::now();
    for (duration, expected) in [(seconds(60), 60), (seconds(3), 3), (Duration::ZERO, 15)] {
        let mut server = Server { lease: Some((held("a", duration, WALL, 1), 7)), given: 7 };
        let mut b = candidate("b");
        let taken = (0..100).find(|second| turn(&mut b, &mut server, now + seconds(*second), Fate::Answered));
        assert_eq!(taken, Some(expected), "{duration:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_is_no_renewal() {
    let now = Instant::now();
    let record = held("a", seconds(15), WALL, 1);
    let mut server = Server { lease: Some((record.clone(), 7)), given: 7 };
    let mut b = candidate("b");
    for second in 0..15 {
        server.lease = Some((record.clone(), 7 + second));
        assert!(!turn(&mut b, &mut server, now + seconds(second.into()), Fate::Answered));
    }
    assert!(turn(&mut b, &mut server, now + seconds(15), Fate::Answered));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_write_at_once_one_wins() {
    let now = Instant::now();
    let mut server = Server { lease: Some((Record { transitions: 1, ..Record::default() }, 3)), given: 3 };
    let (mut a, mut b) = (candidate("a"), candidate("b"));
    for election in [&mut a, &mut b] {
        assert_eq!(election.next(now, WALL), Move::Read);
        election.read(server.read(), now, now);
    }
    let (first, second) = (a.next(now, WALL), b.next(now, WALL));
    let (record, version) = server.write(&first).expect("written");
    a.written(record, version, now, now);
    assert_eq!(server.write(&second), None, "a conflict");
    b.unsure();
    assert_eq!(b.next(now, WALL), Move::Read);
    b.read(server.read(), now, now);
    assert_eq!(b.next(now, WALL), Move::Wait);
    assert_eq!((a.standing(now).leads(now), b.standing(now).leads(now)), (true, false));
}

#[tokio::test(start_paused = true)]
async fn a_candidate_whose_takeover_is_not_answered_leads_after_the_next_renewal() {
    let (mut server, now) = (Server::default(), Instant::now());
    server.lease = Some((Record { transitions: 1, ..Record::default() }, 1));
    let mut a = candidate("a");
    assert!(!turn(&mut a, &mut server, now, Fate::AnswerLost));
    assert_eq!(server.lease.as_ref().expect("a lease").0.holder, "a");
    let later = now + seconds(2);
    assert!(turn(&mut a, &mut server, later, Fate::Answered));
    assert_eq!(a.standing(later).until(), Some(later + seconds(10)));
    assert_eq!(server.lease.expect("a lease").0.transitions, 2);
}

/// The lease of a leader is deleted; the leader notices that with its next renewal.
#[test_case(Fate::Answered; "its creation is answered")]
#[test_case(Fate::AnswerLost; "its creation is not answered")]
#[tokio::test(start_paused = true)]
async fn a_new_lease_is_acted_on_when_the_leader_by_an_older_one_has_stopped(fate: Fate) {
    let (mut a, mut server, now) = leading();
    server.lease = None;
    let mut b = candidate("b");
    assert!(!turn(&mut b, &mut server, now, fate));
    assert!(a.standing(now).leads(now));
    let mut led = None;
    for second in 1..20 {
        let at = now + seconds(second);
        // It does not reach the API server.
        turn(&mut a, &mut server, at, Fate::Lost);
        let b_leads = turn(&mut b, &mut server, at, Fate::Answered);
        assert!(!(b_leads && a.standing(at).leads(at)), "after {second} s");
        led = led.or(b_leads.then_some(second));
    }
    let expected = if fate == Fate::Answered { 15 } else { 16 };
    assert_eq!(led, Some(expected));
    assert_eq!(b.standing(now + seconds(19)).term, 1);
}

/// A request to create a lease may wait in the network until the lease that it was meant for, and later ones, are gone.
#[tokio::test(start_paused = true)]
async fn a_lease_that_an_old_request_creates_is_acted_on_after_its_whole_duration() {
    let (mut server, now) = (Server::default(), Instant::now());
    let mut b = candidate("b");
    b.read(server.read(), now, now);
    let late = b.next(now, WALL);
    b.unsure();
    let sent = WALL + Duration::from_micros(1);
    assert!(!turn_at(&mut b, &mut server, (now, sent), Fate::Answered), "the lease is too new");

    // Another candidate takes over what the first does not renew, and leads by it when it is deleted.
    let mut a = candidate("a");
    assert!(!turn(&mut a, &mut server, now, Fate::Answered));
    let taken = now + seconds(15);
    assert!(turn(&mut a, &mut server, taken, Fate::Answered));
    server.lease = None;
    server.write(&late).expect("there is no lease");

    for second in 0..20 {
        let at = taken + seconds(second);
        let b_leads = turn(&mut b, &mut server, at, Fate::Answered);
        assert_eq!(b_leads, second >= 15, "after {second} s");
        assert_eq!(a.standing(at).leads(at), second < 10, "after {second} s");
    }
}

/// The leader by a lease that was deleted just before the answer may have renewed just before that.
#[tokio::test(start_paused = true)]
async fn the_duration_of_a_new_lease_counts_from_the_answer() {
    let (mut server, now) = (Server::default(), Instant::now());
    let mut a = candidate("a");
    a.read(server.read(), now, now);
    let (record, version) = server.write(&a.next(now, WALL)).expect("there is no lease");
    let answered = now + seconds(2);
    a.written(record, version, now, answered);
    let mut led = None;
    for second in 2..20 {
        let at = now + seconds(second);
        led = led.or(turn(&mut a, &mut server, at, Fate::Answered).then_some(second));
    }
    assert_eq!(led, Some(17));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_finds_another_holder_stops() {
    let (mut a, mut server, now) = leading();
    server.lease = Some((held("b", seconds(15), WALL, 5), 9));
    assert!(!turn(&mut a, &mut server, now + seconds(2), Fate::Answered));
    assert_eq!(a.standing(now + seconds(2)).holder(), Some("b"));
}

#[tokio::test(start_paused = true)]
async fn leading_again_begins_another_term() {
    let (mut a, mut server, now) = leading();
    let first = a.standing(now);
    let late = now + seconds(10);
    assert!(!a.standing(late).leads(late));
    assert!(turn(&mut a, &mut server, late, Fate::Answered), "no other candidate has taken it");
    assert_eq!((first.term, a.standing(late).term), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn after_a_resignation_the_next_candidate_leads_at_once() {
    let (mut a, mut server, now) = leading();
    let (mut b, later) = (candidate("b"), now + seconds(1));
    assert!(!turn(&mut b, &mut server, later, Fate::Answered));
    assert_eq!(b.resign(WALL), None, "only a leader resigns");
    let (record, version) = a.resign(WALL).expect("held");
    assert!(!a.standing(later).leads(later), "before anything is written");
    assert_eq!((record.holder.as_str(), record.duration, record.transitions), ("", seconds(1), 5));
    server.write(&Move::Replace(record, version)).expect("written");
    assert!(turn(&mut b, &mut server, later, Fate::Answered));
    assert_eq!(server.lease.expect("a lease").0.transitions, 6);
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_comes_early_where_something_is_due() {
    let (a, mut server, now) = leading();
    assert_eq!(a.next_attempt(now), now + seconds(2));
    let mut b = candidate("b");
    turn(&mut b, &mut server, now, Fate::Answered);
    assert_eq!(b.next_attempt(now), now + seconds(2));
    assert_eq!(b.next_attempt(now + seconds(14)), now + seconds(15));
    let mut c = candidate("c");
    turn(&mut c, &mut Server::default(), now, Fate::Answered);
    assert_eq!(c.next_attempt(now + Duration::from_millis(14_500)), now + seconds(15));
}

#[tokio::test(start_paused = true)]
async fn a_request_ends_with_the_term() {
    let (a, _, now) = leading();
    assert_eq!(a.request_deadline(now), now + seconds(8) / 3);
    assert_eq!(a.request_deadline(now + seconds(8)), now + seconds(10));
    assert_eq!(candidate("b").request_deadline(now), now + seconds(8) / 3);
}

/// One step of three candidates and an API server that loses, delays and forgets.
#[derive(Clone, Copy, Debug)]
struct Step {
    who: usize,
    after: u64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Turn(Fate),
    /// The request of this turn arrives some steps later, and its answer is lost.
    Delayed(usize),
    /// The lease is deleted.
    Deleted,
    Resigns,
}

fn step(candidates: usize) -> impl Strategy<Value = Step> {
    let what = prop_oneof![
        12 => Just(What::Turn(Fate::Answered)),
        2 => Just(What::Turn(Fate::AnswerLost)),
        2 => Just(What::Turn(Fate::Lost)),
        2 => (1_usize..20).prop_map(What::Delayed),
        1 => Just(What::Deleted),
        1 => Just(What::Resigns),
    ];
    (0..candidates, 0_u64..3_000, what).prop_map(|(who, after, what)| Step { who, after, what })
}

/// How many cases of a property, unless `PROPTEST_CASES` says otherwise.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

/// A lease that several processes hold together.
#[tokio::test(start_paused = true)]
async fn those_of_one_identity_hold_the_lease_together_and_write_seldom() {
    let (mut server, now) = (Server::default(), Instant::now());
    let mut all = [0; 3].map(|_| shared("8-shards", 15, 10));
    let mut other = shared("4-shards", 15, 10);
    let mut writes = Vec::new();
    for tick in 0..60_u64 {
        let (at, before) = (now + seconds(tick), server.given);
        // Each takes a step every other second, the second one half-way between those of the others.
        for (number, election) in all.iter_mut().enumerate() {
            if tick % 2 == u64::from(number == 1) {
                let leads = turn_at(election, &mut server, (at, WALL + seconds(tick)), Fate::Answered);
                assert_eq!(leads, tick >= 16, "{number} after {tick} s");
            }
        }
        assert!(!turn(&mut other, &mut server, at, Fate::Answered));
        writes.push(server.given - before);
    }
    assert!(writes[2..].iter().all(|writes| *writes <= 1), "{writes:?}");
    // One that comes later leads at once, and does not resign for the others.
    let late = now + seconds(60);
    let mut fourth = shared("8-shards", 15, 10);
    assert!(turn_at(&mut fourth, &mut server, (late, WALL + seconds(60)), Fate::Answered));
    assert_eq!(fourth.resign(WALL), None);
    assert!(all[0].standing(late).leads(late));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn never_do_two_lead(steps in prop::collection::vec(step(3), 1..200)) {
        let mut server = Server::default();
        let mut candidates = ["a", "b", "c"].map(candidate);
        never(&mut server, &mut candidates, steps)?;
    }

    /// Those of one identity may lead together, and no two identities may.
    #[test]
    fn never_do_two_numbers_of_shards_lead(steps in prop::collection::vec(step(5), 1..300)) {
        let mut server = Server::default();
        let mut candidates = [
            shared("8-shards", 15, 10),
            shared("8-shards", 15, 10),
            shared("8-shards", 20, 14),
            shared("4-shards", 15, 10),
            candidate("a"),
        ];
        never(&mut server, &mut candidates, steps)?;
    }
}

fn shared(identity: &str, duration: u64, renew_deadline: u64) -> Election {
    let times = Times::try_new(seconds(duration), seconds(renew_deadline), seconds(2)).expect("good times");
    Election::shared(identity.to_owned(), times)
}

/// Takes the steps, and checks that at no moment two candidates of different identities lead.
fn never(server: &mut Server, candidates: &mut [Election], steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut in_flight: Vec<(usize, Move)> = Vec::new();
    let mut now = Instant::now();
    let mut wall = WALL;
    for (number, Step { who, after, what }) in steps.into_iter().enumerate() {
        // Leases expire between two steps, too: at no moment may two candidates lead.
        for _ in 0..3 {
            now += Duration::from_millis(after) / 3;
            wall += Duration::from_millis(after) / 3;
            let leading = who_leads(candidates, now);
            prop_assert!(leading.len() <= 1, "before step {number}: {leading:?}");
        }
        in_flight.retain(|(due, wanted)| {
            let arrives = *due <= number;
            if arrives {
                server.write(wanted);
            }
            !arrives
        });
        // No two requests are sent in the same microsecond.
        wall += Duration::from_micros(1);
        let candidate = &mut candidates[who];
        match what {
            What::Turn(fate) => {
                turn_at(candidate, server, (now, wall), fate);
            }
            What::Delayed(by) => {
                candidate.waited();
                candidate.standing(now);
                if candidate.next(now, wall) == Move::Read {
                    candidate.read(server.read(), now, now);
                }
                in_flight.push((number + by, candidate.next(now, wall)));
                candidate.unsure();
            }
            What::Deleted => server.lease = None,
            What::Resigns => {
                if let Some((record, version)) = candidate.resign(wall) {
                    server.write(&Move::Replace(record, version));
                    candidate.unsure();
                }
            }
        }
        let leading = who_leads(candidates, now);
        prop_assert!(leading.len() <= 1, "after step {number}: {leading:?}");
    }
    Ok(())
}

/// The identities that lead.
fn who_leads(candidates: &mut [Election], now: Instant) -> BTreeSet<String> {
    candidates
        .iter_mut()
        .filter_map(|it| it.standing(now).leads(now).then(|| it.identity().to_owned()))
        .collect()
}
