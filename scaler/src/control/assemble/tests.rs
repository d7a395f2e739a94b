//! What answers mean, on made-up facts.

use std::time::Duration;

use test_case::test_case;
use tokio::time::Instant;

use super::*;
use crate::cloud::{GroupDescription, MOST_ACTIVITIES};
use crate::config::sample;
use crate::control::execute::Done;
use crate::control::facts::{Ages, Answers, was_detached};
use crate::control::stage::{answers, facts, group_ref};
use crate::decide::decide;
use crate::decide::observation::{Live, Purpose};
use crate::observe::QueryError;
use crate::observe::prepared::labelled;
use crate::observe::questions::{Grid, Ill, InstanceReport, Windows};
use crate::units::{Period, Region, Time};

mod description;
mod points;

const NOW: Time = Time::from_unix(1_000_000_020);
const MINUTE: Duration = Duration::from_mins(1);
const EMPTY: Reading = Reading::Answered { empty: true, draining: true, closing: false };
const DRAINING: (&str, &str) = ("jitsi-scaler/drain/i-0", "2001-09-09T01:40:00Z draining scale-in");

/// A fleet with further keys, and further keys of its `asg`.
fn fleet(keys: &str, asg: &str) -> Fleet {
    let policy = "expr: x\n        scale_out: {when: '> 1', periods: 1, add: 1}";
    sample::config(&format!("asg: {{names: [a, b]{asg}}}\n{keys}"), policy).fleets.remove(0)
}

/// A group with a desired capacity of two, whose instances stand in the given states.
fn group(region: &str, name: &str, states: &[&str], tags: &[(&str, &str)]) -> GroupFacts {
    let description = GroupDescription {
        suspended: vec!["Launch".to_owned()],
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..GroupDescription::with(name, 2, states)
    };
    GroupFacts::new(group_ref(region, name), description, NOW)
}

/// One group "a" with these instances, and its facts at a time.
fn one(at: Time, states: &[&str], tags: &[(&str, &str)]) -> Facts {
    facts(at, vec![group("r", "a", states, tags)])
}

/// The answer to the fleet's policy: series by their labels, each with a value at the newest point.
fn answer(fleet: &Fleet, grid: &Grid, series: &[(&[(&str, &str)], f64)]) -> Windows {
    let template = questions::without_answer(&fleet.policy.policies[0], grid);
    let at = template.end.unix() as f64;
    let series = series.iter().map(|(labels, value)| labelled(labels, &[(at, *value)]));
    Windows::new(series.collect(), fleet, template)
}

fn failed() -> QueryError {
    QueryError::Timeout(10.0)
}

fn id(number: u8) -> InstanceId {
    InstanceId::new(&format!("i-{number}"))
}

/// What a controller does with facts before it decides.
fn observe(fleet: &Fleet, facts: &Facts, ledger: &mut Ledger) -> Vec<GroupView> {
    ledger.note_facts(facts, fleet.settle);
    assemble(fleet, facts, ledger).views
}

/// [`observe`] as a part of an evaluation of the whole fleet.
fn evaluate(fleet: &Fleet, facts: &Facts, ledger: &mut Ledger) -> Vec<GroupView> {
    let views = observe(fleet, facts, ledger);
    ledger.note_evaluated(facts);
    views
}

fn instance(views: &[GroupView], number: usize) -> &Instance {
    &views[0].observation.group.instances[number]
}

#[test]
fn a_component_without_an_answer_is_unknown_and_not_gone() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let seen = one(NOW, &["InService", "InService"], &[DRAINING]);
    let views = evaluate(&fleet, &seen, &mut ledger);
    assert_eq!(instance(&views, 0).live, Live { latest: Some(Reading::Unknown), looks: Looks::TooEarly });
    assert_eq!(instance(&views, 1).live, Live::default());
    assert!(views[0].addresses.is_empty());
}

#[test]
fn looks_are_counted_while_an_instance_drains() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let start = Instant::now();
    let mut look = |second: u64, reading: Option<Reading>, tags: &[(&str, &str)], named: bool| {
        let mut facts = one(NOW, &["InService", "InService"], tags);
        facts.readings = reading.into_iter().map(|reading| (id(0), reading)).collect();
        facts.looked = start + Duration::from_secs(second);
        if named {
            (facts.again, facts.named) = (true, Some([group_ref("r", "a")].into()));
            return instance(&observe(&fleet, &facts, &mut ledger), 0).live;
        }
        instance(&evaluate(&fleet, &facts, &mut ledger), 0).live
    };
    let live = |latest, looks| Live { latest, looks };
    // A process that has just started knows of no request, so the first look is too early.
    assert_eq!(look(0, Some(EMPTY), &[DRAINING], false), live(Some(EMPTY), Looks::TooEarly));
    assert_eq!(look(10, Some(EMPTY), &[DRAINING], false), live(Some(EMPTY), Looks::One));
    // A look between two grid points counts as well, if it comes `drain.settle` later.
    assert_eq!(look(11, Some(EMPTY), &[DRAINING], true), live(Some(EMPTY), Looks::One));
    assert_eq!(look(20, Some(EMPTY), &[DRAINING], true), live(Some(EMPTY), Looks::Two));
    let unknown = Some(Reading::Unknown);
    assert_eq!(look(40, None, &[DRAINING], true), live(unknown, Looks::One));
    assert_eq!(look(50, Some(EMPTY), &[DRAINING], false), live(Some(EMPTY), Looks::One));
    // While it did not drain it was not asked, and what it answered before that is too old.
    assert_eq!(look(70, None, &[], false), Live::default());
    assert_eq!(look(90, Some(EMPTY), &[DRAINING], false), live(Some(EMPTY), Looks::TooEarly));
}

#[test]
fn looks_before_a_request_was_accepted_do_not_confirm_it() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let look = |ledger: &mut Ledger, second: u64| {
        let mut facts = one(NOW, &["InService", "InService"], &[DRAINING]);
        facts.readings = [(id(0), EMPTY)].into();
        facts.looked = Instant::now() + Duration::from_secs(second);
        instance(&evaluate(&fleet, &facts, ledger), 0).live.looks
    };
    let expected = [Looks::TooEarly, Looks::One, Looks::Two];
    assert_eq!([0, 10, 20].map(|second| look(&mut ledger, second)), expected);
    let accepted = Done { accepted: vec![id(0)], ..Done::default() };
    ledger.note_done(&group_ref("r", "a"), accepted, NOW);
    assert_eq!([1, 12, 23].map(|second| look(&mut ledger, second)), expected);
}

#[test]
fn an_instance_that_several_series_name_has_no_address() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let start = Instant::now();
    let mut look = |minute: u32, reports: Option<bool>| {
        // The clock is set ahead by hours.
        let at = NOW.after(MINUTE * 60 * minute);
        let mut facts = one(at, &["InService", "InService"], &[DRAINING]);
        facts.looked = start + MINUTE * minute;
        let of = |ambiguous| [0, 1].map(|number| (id(number), report(ambiguous && number == 0))).into();
        answers(&mut facts).reports = Ok(reports.map(of).unwrap_or_default());
        facts.readings = [(id(0), EMPTY)].into();
        let views = evaluate(&fleet, &facts, &mut ledger);
        (instance(&views, 0).reported.ambiguous, views[0].addresses.contains_key(&id(0)))
    };
    assert_eq!(look(0, Some(true)), (true, false));
    // One of them may only have stopped to report, or Prometheus does not see any.
    assert_eq!(look(59, Some(false)), (true, false));
    assert_eq!(look(60, None), (true, false));
    assert_eq!(look(61, Some(false)), (false, true));
}

fn report(ambiguous: bool) -> InstanceReport {
    let labels = [("private_ip", "10.0.0.7")].into_iter().collect();
    InstanceReport { reported: Reported { up: true, ambiguous, ..Reported::default() }, labels }
}

#[test_case(&Ok([(id(9), report(false))].into()), None, Some(false), Lifecycle::Gone; "neither reports nor answers")]
#[test_case(&Ok([(id(9), report(false))].into()), None, Some(true), Lifecycle::Detached; "it hangs and was detached")]
#[test_case(&Ok([(id(9), report(false))].into()), None, None, Lifecycle::Detached; "it hangs, and AWS does not tell")]
#[test_case(&Ok([(id(9), report(false))].into()), Some(EMPTY), Some(false), Lifecycle::Detached; "it answers, without its series")]
#[test_case(&Ok([].into()), None, Some(false), Lifecycle::Detached; "prometheus sees no instance")]
#[test_case(&Ok([(id(0), report(false))].into()), None, Some(false), Lifecycle::Detached; "it reports")]
#[test_case(&Err(failed()), None, Some(false), Lifecycle::Detached; "prometheus does not answer")]
fn a_drain_tag_without_its_instance_is_of_one_that_is_gone_or_was_detached(
    reports: &Result<HashMap<InstanceId, InstanceReport>, QueryError>,
    reading: Option<Reading>,
    detached: Option<bool>,
    expected: Lifecycle,
) {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let start = Instant::now();
    let seen = [0, 60, 120].map(|second| {
        let mut facts = one(NOW, &[], &[DRAINING]);
        answers(&mut facts).reports = reports.clone();
        facts.detached = detached.map(|detached| (id(0), detached)).into_iter().collect();
        facts.readings = reading.map(|reading| (id(0), reading)).into_iter().collect();
        facts.looked = start + Duration::from_secs(second);
        instance(&evaluate(&fleet, &facts, &mut ledger), 0).lifecycle
    });
    assert_eq!(seen, [Lifecycle::Detached, Lifecycle::Detached, expected]);
}

#[test]
fn how_an_instance_left_is_known_after_a_hundred_more_activities() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let start = Instant::now();
    let seen = [(0, Some(true)), (60, None), (120, Some(false)), (180, None)].map(|(second, detached)| {
        let mut facts = one(NOW, &[], &[DRAINING]);
        facts.looked = start + Duration::from_secs(second);
        answers(&mut facts).reports = Ok([(id(9), report(false))].into());
        facts.detached = detached.map(|detached| (id(0), detached)).into_iter().collect();
        instance(&evaluate(&fleet, &facts, &mut ledger), 0).lifecycle
    });
    assert_eq!(seen, [Lifecycle::Detached; 4]);
}

#[test_case(&[ActivityKind::Terminate(id(0))], 2, Some(false); "terminated")]
#[test_case(&[ActivityKind::Detach(id(0))], 2, Some(true); "detached")]
#[test_case(&[ActivityKind::Detach(id(1))], 2, Some(false); "neither, and these are all")]
#[test_case(&[ActivityKind::Terminate(id(0)), ActivityKind::Detach(id(0))], MOST_ACTIVITIES, Some(false); "detached, attached again, and terminated")]
#[test_case(&[], MOST_ACTIVITIES - 1, Some(false); "not since its drain began")]
#[test_case(&[], MOST_ACTIVITIES, None; "not among the newest")]
fn activities_tell_how_an_instance_left(departures: &[ActivityKind], count: usize, expected: Option<bool>) {
    let other = Activity {
        kind: ActivityKind::Launch(None),
        ended: Some(NOW),
        outcome: ActivityOutcome::Failed,
        message: String::new(),
    };
    let departures = departures.iter().map(|kind| Activity {
        kind: kind.clone(),
        outcome: ActivityOutcome::Successful,
        ..other.clone()
    });
    let activities: Vec<_> = departures.chain(std::iter::repeat_with(|| other.clone())).take(count).collect();
    assert_eq!(was_detached(&id(0), &activities), expected);
}

/// The values of the policy in group "a" of region "r" and in a second group.
#[test_case(("", 1), &[], &[], &[(&[], 3.0)], &[Some(3.0)]; "no label, one group")]
#[test_case(("", 1), &[("r", "b")], &[], &[(&[], 3.0)], &[None, None]; "no label, two groups")]
#[test_case((", region_label: region", 2), &[], &["s"], &[(&[], 3.0)], &[None]; "no label, a region unseen")]
#[test_case(("", 2), &[], &["s"], &[(&[("asg", "a")], 3.0)], &[None]; "no region, a region unseen")]
#[test_case(("", 2), &[], &[], &[(&[("asg", "a")], 3.0)], &[Some(3.0)]; "no region, every region seen")]
#[test_case((", region_label: region", 2), &[], &["s"], &[(&[("asg", "a"), ("region", "r")], 3.0)],
    &[Some(3.0)]; "a region label, a region unseen")]
#[test_case(("", 2), &[("s", "a")], &[], &[(&[("asg", "a")], 3.0)], &[None, None]; "one name in two regions")]
#[test_case((", region_label: region", 2), &[("s", "a")], &[], &[(&[("asg", "a"), ("region", "s")], 3.0)],
    &[None, Some(3.0)]; "one name in two regions, told apart")]
fn a_series_is_only_matched_when_it_is_certain_whose_it_is(
    (asg, regions): (&str, usize),
    others: &[(&str, &str)],
    unseen: &[&str],
    series: &[(&[(&str, &str)], f64)],
    expected: &[Option<f64>],
) {
    let fleet = fleet("", asg);
    let groups = [("r", "a")].iter().chain(others).map(|(region, name)| group(region, name, &[], &[]));
    let mut facts = facts(NOW, groups.collect());
    facts.regions = regions;
    facts.unseen = unseen.iter().map(|region| Region::new(region)).collect();
    answers(&mut facts).windows = vec![Ok(answer(&fleet, &facts.grid, series))];
    let views = assemble(&fleet, &facts, &Ledger::default()).views;
    let values: Vec<_> = views.iter().map(|view| view.observation.windows[0].last()).collect();
    assert_eq!(values, expected);
}

#[test]
fn series_and_groups_that_do_not_match_are_named() {
    let plain = fleet("", "");
    let groups = || vec![group("r", "a", &[], &[]), group("s", "a", &[], &[]), group("r", "b", &[], &[])];
    let mut seen = facts(NOW, groups());
    let series: &[(&[(&str, &str)], f64)] = &[
        (&[("asg", "z")], 1.0),
        (&[("asg", "y")], 1.0),
        (&[("asg", "b")], 1.0),
        (&[("asg", "b"), ("job", "x")], 2.0),
    ];
    answers(&mut seen).windows = vec![Ok(answer(&plain, &seen.grid, series)), Err(failed())];
    let assembled = assemble(&plain, &seen, &Ledger::default());
    assert_eq!(assembled.unmatched, ["y", "z"]);
    let told =
        ["load: several series of b differ in job", "several groups are called a: set asg.region_label"];
    assert_eq!(assembled.ambiguous, told);
    let labelled = fleet("", ", region_label: region");
    answers(&mut seen).windows = Vec::new();
    assert!(assemble(&labelled, &seen, &Ledger::default()).ambiguous.is_empty());
}

#[test]
fn failed_queries_are_missing_data() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let mut facts = one(NOW, &["InService"], &[]);
    *answers(&mut facts) =
        Answers { windows: vec![Err(failed())], reports: Err(failed()), ill: Err(failed()) };
    let failures: Vec<_> = facts.failures(&fleet.policy).into_iter().map(|(what, _)| what).collect();
    assert_eq!(failures, ["load", "instances", "replace_unhealthy"]);
    let views = evaluate(&fleet, &facts, &mut ledger);
    let series = &views[0].observation.windows[0];
    assert!(!series.answered && series.points.iter().all(Option::is_none));
    let instance = instance(&views, 0);
    assert_eq!((instance.reported, instance.ill, instance.looks_ill), (Reported::default(), false, false));
}

#[test]
fn reports_health_and_labels_go_to_their_instances() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let reported = Reported { up: true, load: Some(7.0), ..Reported::default() };
    let labels = [("private_ip", "10.0.0.7")].into_iter().collect();
    let mut seen = one(NOW, &["InService", "InService"], &[DRAINING]);
    answers(&mut seen).reports = Ok([(id(1), InstanceReport { reported, labels })].into());
    // Without a report it is unknown whether the first one runs several components.
    answers(&mut seen).ill = Ok(Ill { always: [id(0), id(1)].into(), now: [id(0), id(1)].into() });
    let views = evaluate(&fleet, &seen, &mut ledger);
    let (first, second) = (instance(&views, 0), instance(&views, 1));
    assert_eq!((first.reported, second.reported), (Reported::default(), reported));
    assert_eq!((first.ill, first.looks_ill, second.ill, second.looks_ill), (false, true, true, true));
    // The address stays known when Prometheus does not.
    let mut seen = one(NOW.after(MINUTE), &["InService", "InService"], &[]);
    answers(&mut seen).reports = Err(failed());
    let views = evaluate(&fleet, &seen, &mut ledger);
    let addresses = &views[0].addresses;
    assert_eq!(addresses.keys().collect::<Vec<_>>(), [&id(1)]);
    assert_eq!(addresses[&id(1)].external(), "http://10.0.0.7:8080");
}

#[test]
fn the_later_of_tag_and_ledger_begins_a_cooldown() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let done = |scaled_out, scaled_in| Done { scaled_out, scaled_in, ..Done::default() };
    let later = NOW.after(MINUTE);
    ledger.note_done(&group_ref("r", "a"), done(true, false), NOW);
    ledger.note_done(&group_ref("r", "a"), done(false, true), later);
    let tags = [("jitsi-scaler/scaled-out", "2001-09-09T01:30:00Z")];
    let views = evaluate(&fleet, &one(later, &[], &tags), &mut ledger);
    let seen = &views[0].observation.group;
    assert_eq!((seen.scaled_out, seen.scaled_in), (Some(NOW), Some(later)));
}

/// The tags and the activity of a clock that was an hour fast. The view ten minutes later, and the one after that hour,
/// say the same: what counts from now must not begin again.
#[test]
fn times_that_lie_ahead_count_from_when_they_were_first_seen() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let ahead = NOW.after(MINUTE * 60).to_string();
    let value = |more: &str| format!("{ahead}{more}");
    let (drain, recycling) = (value(" draining scale-in"), value(" 3"));
    let tags = [
        ("jitsi-scaler/drain/i-0", drain.as_str()),
        ("jitsi-scaler/recycling", &recycling),
        ("jitsi-scaler/scaled-out", &ahead),
        ("jitsi-scaler/scaled-in", &ahead),
    ];
    let failed = Activity {
        kind: ActivityKind::Launch(None),
        ended: Time::parse(&ahead),
        outcome: ActivityOutcome::Failed,
        message: String::new(),
    };
    let start = Instant::now();
    for minutes in [0, 10, 70] {
        let mut facts = one(NOW.after(MINUTE * minutes), &["InService"], &tags);
        facts.looked = start + MINUTE * minutes;
        facts.activities = [(group_ref("r", "a"), vec![failed.clone()])].into();
        let views = evaluate(&fleet, &facts, &mut ledger);
        let group = &views[0].observation.group;
        let times = [
            group.instances[0].drain.map(|drain| drain.since),
            group.recycling.map(|recycling| recycling.since),
            group.scaled_out,
            group.scaled_in,
            group.launch_failures.as_ref().map(|failures| failures.last),
        ];
        assert_eq!(times, [Some(NOW); 5]);
    }
}

#[test]
fn a_drain_lasts_as_long_as_this_process_has_seen_it() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let start = Instant::now();
    let mut lasted = |by_clock: u32, passed: u32, tag: &str| {
        let tags = [("jitsi-scaler/drain/i-0", tag)];
        let mut facts = one(NOW.after(MINUTE * by_clock), &["InService"], &tags);
        facts.looked = start + MINUTE * passed;
        instance(&evaluate(&fleet, &facts, &mut ledger), 0).drains_for
    };
    let (first, next) = ("2001-09-09T01:40:00Z draining scale-in", "2001-09-09T01:40:00Z asked scale-in");
    assert_eq!(lasted(0, 0, first), Duration::ZERO);
    // The clock is set forward by hours, and another process takes the drain further.
    assert_eq!([lasted(301, 1, first), lasted(302, 2, next)], [MINUTE, MINUTE * 2]);
    // Another drain begins.
    assert_eq!(lasted(303, 3, "2001-09-09T06:48:00Z draining scale-in"), Duration::ZERO);
}

#[test]
fn what_this_process_noted_before_the_clock_was_set_back_counts_from_now() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let ahead = NOW.after(MINUTE * 60);
    let mut facts = one(ahead, &["InService"], &[]);
    facts.ages.new = vec![id(0)];
    evaluate(&fleet, &facts, &mut ledger);
    evaluate(&fleet, &one(ahead, &["Terminating:Wait"], &[]), &mut ledger);
    let done = Done { scaled_out: true, scaled_in: true, ..Done::default() };
    ledger.note_done(&group_ref("r", "a"), done, ahead);
    for minutes in [0, 10] {
        let views = evaluate(&fleet, &one(NOW.after(MINUTE * minutes), &["InService"], &[]), &mut ledger);
        let (group, instance) = (&views[0].observation.group, instance(&views, 0));
        let times = [
            group.scaled_out,
            group.scaled_in,
            views[0].lacking_since,
            instance.in_service_since,
            instance.held_since,
        ];
        assert_eq!(times, [Some(NOW); 5]);
    }
}

#[test]
fn ages_come_from_activities_then_reports_then_the_first_view() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let ago = |minutes: u32| NOW.before(MINUTE * minutes);
    let states = ["InService"; 4];
    let new = |launched: &[(u8, Time)], reported| Ages {
        new: (0..4).map(id).collect(),
        launched: launched.iter().map(|(number, at)| (id(*number), *at)).collect(),
        reported,
    };
    let since = |views: &[GroupView]| -> Vec<Option<Time>> {
        views[0].observation.group.instances.iter().map(|it| it.in_service_since).collect()
    };
    let mut seen = one(ago(1), &states, &[]);
    seen.ages = new(&[(0, ago(9))], Err(failed()));
    assert_eq!(since(&evaluate(&fleet, &seen, &mut ledger)), [9, 1, 1, 1].map(|it| Some(ago(it))));
    assert!(ledger.knows_age(&id(0)) && !ledger.knows_age(&id(1)));
    let mut seen = one(NOW, &states, &[]);
    let reported = Ok([(id(0), ago(2)), (id(1), ago(5)), (id(2), NOW)].into());
    seen.ages = new(&[(0, ago(9))], reported);
    assert_eq!(since(&evaluate(&fleet, &seen, &mut ledger)), [9, 5, 1, 1].map(|it| Some(ago(it))));
    assert!((0..4).all(|number| ledger.knows_age(&id(number))));
}

#[test]
fn a_hold_begins_when_it_is_seen_to() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let mut serving = one(NOW, &["InService", "Pending"], &[]);
    serving.ages.new = vec![id(0)];
    evaluate(&fleet, &serving, &mut ledger);
    let later = NOW.after(MINUTE);
    for at in [later, later.after(MINUTE)] {
        let views = evaluate(&fleet, &one(at, &["Terminating:Wait"; 2], &[]), &mut ledger);
        assert_eq!([0, 1].map(|number| instance(&views, number).held_since), [Some(later), None]);
    }
}

#[test]
fn lacking_instances_and_failing_launches_are_seen() {
    let (fleet, mut ledger) = (fleet("", ""), Ledger::default());
    let activity = Activity {
        kind: ActivityKind::Launch(None),
        ended: Some(NOW),
        outcome: ActivityOutcome::Failed,
        message: "no capacity".to_owned(),
    };
    for minutes in [0, 1] {
        let mut lacking = one(NOW.after(MINUTE * minutes), &["InService", "Terminating"], &[]);
        lacking.activities = [(group_ref("r", "a"), vec![activity.clone()])].into();
        let views = evaluate(&fleet, &lacking, &mut ledger);
        assert_eq!(views[0].lacking_since, Some(NOW));
        assert_eq!(views[0].observation.group.launch_failures.as_ref().map(|it| it.count), Some(1));
    }
    let complete = one(NOW.after(MINUTE * 2), &["InService", "Pending:Wait"], &[]);
    let views = evaluate(&fleet, &complete, &mut ledger);
    assert_eq!((views[0].lacking_since, &views[0].observation.group.launch_failures), (None, &None));
}

#[test]
fn only_the_named_groups_are_looked_at_again() {
    let (fleet, ledger) = (fleet("", ""), Ledger::default());
    let mut facts = facts(NOW, vec![group("r", "a", &[], &[]), group("r", "b", &[], &[])]);
    facts.named = Some([group_ref("r", "b")].into());
    let views = assemble(&fleet, &facts, &ledger).views;
    assert_eq!(views.iter().map(|view| view.group.name.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn failures_count_since_the_last_success() {
    let launch = |outcome, minute: i64, message: &str| Activity {
        kind: ActivityKind::Launch(None),
        ended: (outcome != ActivityOutcome::UnderWay).then(|| Time::from_unix(minute * 60)),
        outcome,
        message: message.to_owned(),
    };
    let other = Activity { kind: ActivityKind::Other, ..launch(ActivityOutcome::Failed, 9, "not a launch") };
    let (failed, well, going) =
        (ActivityOutcome::Failed, ActivityOutcome::Successful, ActivityOutcome::UnderWay);
    let activities = [
        launch(going, 0, ""),
        other.clone(),
        launch(failed, 8, "no capacity"),
        launch(failed, 7, "limit"),
        launch(well, 6, ""),
        launch(failed, 5, "long ago"),
    ];
    let expected = LaunchFailures { count: 2, last: Time::from_unix(480), message: "no capacity".to_owned() };
    assert_eq!(failed_in_a_row(&activities), Some(expected));
    assert_eq!(failed_in_a_row(&activities[3..][1..]), None);
    assert_eq!(failed_in_a_row(&[other]), None);
}
