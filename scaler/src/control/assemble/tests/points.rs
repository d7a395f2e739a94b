//! Which points of a policy are open.

use test_case::test_case;

use super::*;

/// The fleet with points three minutes apart, and the time of one of them.
fn slow_fleet() -> (Fleet, Time) {
    let mut fleet = fleet("", "");
    let period = Period::try_new(MINUTE * 3).expect("three minutes");
    fleet.policy.policies[0].period = period;
    (fleet, NOW.floor(period))
}

/// `value` is that of the first judgement of the point, if there was one.
#[test_case(None, NOW, false; "a point that was never judged")]
#[test_case(Some(0.0), NOW, true; "a point that called for nothing")]
#[test_case(Some(5.0), NOW, false; "a point that called for more")]
#[test_case(Some(0.0), NOW.before(MINUTE), true; "a point that came after the judged one")]
fn a_point_is_acted_on_once(value: Option<f64>, judged_at: Time, fresh: bool) {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let with = |at: Time, value: f64| {
        let mut facts = one(at, &["InService", "InService"], &[]);
        answers(&mut facts).windows = vec![Ok(answer(&fleet, &facts.grid, &[(&[("asg", "a")], value)]))];
        facts
    };
    if let Some(value) = value {
        let views = evaluate(&fleet, &with(judged_at, value), &mut ledger);
        ledger.note_judged(&views[0], &decide(&fleet.policy, &views[0].observation, judged_at));
    }
    for again in [fresh, false] {
        let mut facts = with(NOW, 5.0);
        (facts.again, facts.named) = (true, Some([group_ref("r", "a")].into()));
        let views = observe(&fleet, &facts, &mut ledger);
        assert_eq!(views[0].observation.windows[0].fresh, again);
        ledger.note_judged(&views[0], &decide(&fleet.policy, &views[0].observation, NOW));
    }
}

/// Minutes after the start, the delay in seconds, and whether the evaluation at the start was made.
#[test_case(0, 0, false, true; "just started, at a point")]
#[test_case(1, 0, false, false; "just started, between two points")]
#[test_case(1, 0, true, false; "between two points")]
#[test_case(3, 0, true, true; "the next point")]
#[test_case(4, 0, true, true; "the evaluation at the next point was missed")]
#[test_case(1, 90, true, false; "the delay is not over")]
#[test_case(2, 90, true, true; "the delay is over")]
fn a_point_is_judged_once(minutes: u32, delay: u64, is_started: bool, expected: bool) {
    let (fleet, start) = slow_fleet();
    let mut ledger = Ledger::default();
    let mut fresh = |at: Time| {
        let mut facts = one(at, &["InService", "InService"], &[]);
        facts.grid.delay = Duration::from_secs(delay);
        answers(&mut facts).windows = vec![Ok(answer(&fleet, &facts.grid, &[(&[("asg", "a")], 0.0)]))];
        let views = evaluate(&fleet, &facts, &mut ledger);
        ledger.note_judged(&views[0], &decide(&fleet.policy, &views[0].observation, at));
        views[0].observation.windows[0].fresh
    };
    if is_started {
        fresh(start);
    }
    assert_eq!(fresh(start.after(MINUTE * minutes)), expected);
}

/// A policy with points three minutes apart calls for a scale-out at its second point.
#[test_case(|facts| answers(facts).windows = vec![Err(failed())]; "its query")]
#[test_case(|facts| { facts.groups.clear(); facts.unseen.insert(Region::new("r")); }; "the description of its group")]
#[test_case(|facts| facts.groups.clear(); "the answer lacks its group")]
#[test_case(|facts| { facts.unseen.insert(Region::new("s")); facts.regions = 2; }; "it is unknown whose its series is")]
fn a_point_that_could_not_be_judged_stays_open(fail: fn(&mut Facts)) {
    let (fleet, start) = slow_fleet();
    let mut ledger = Ledger::default();
    let mut evaluation = |minutes: u32, named: bool, fails: bool| {
        let at = start.after(MINUTE * minutes);
        let mut facts = one(at, &["InService", "InService"], &[]);
        let value = if minutes < 3 { 0.0 } else { 5.0 };
        answers(&mut facts).windows = vec![Ok(answer(&fleet, &facts.grid, &[(&[("asg", "a")], value)]))];
        (facts.again, facts.named) = (named, named.then(|| [group_ref("r", "a")].into()));
        if fails {
            fail(&mut facts);
        }
        let views =
            if named { observe(&fleet, &facts, &mut ledger) } else { evaluate(&fleet, &facts, &mut ledger) };
        let fresh = views.first().map(|view| {
            ledger.note_judged(view, &decide(&fleet.policy, &view.observation, at));
            view.observation.windows[0].fresh
        });
        // A failed change opens the point again.
        if minutes == 5 && !named {
            ledger.reopen(&views[0]);
        }
        fresh
    };
    assert_eq!(evaluation(0, false, false), Some(true));
    evaluation(3, false, true);
    evaluation(3, true, true);
    evaluation(4, false, true);
    assert_eq!(
        evaluation(5, false, false),
        Some(true),
        "it is judged between two points, and its change fails"
    );
    assert_eq!(evaluation(5, true, false), Some(true), "so it is judged again, and this time in vain");
    assert_eq!(evaluation(5, true, false), Some(false));
    assert_eq!(evaluation(6, false, false), Some(true), "the next point");
    evaluation(7, false, true);
    assert_eq!(evaluation(8, false, false), Some(false), "a judged point stays judged");
}

#[test]
fn a_clock_that_is_set_back_closes_no_point() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    for at in [NOW, NOW.before(MINUTE * 60), NOW.before(MINUTE * 59)] {
        let mut facts = one(at, &["InService", "InService"], &[]);
        answers(&mut facts).windows = vec![Ok(answer(&fleet, &facts.grid, &[(&[("asg", "a")], 0.0)]))];
        let views = evaluate(&fleet, &facts, &mut ledger);
        assert!(views[0].observation.windows[0].fresh);
        ledger.note_judged(&views[0], &decide(&fleet.policy, &views[0].observation, at));
    }
}
