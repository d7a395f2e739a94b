use std::path::Path;
use std::sync::atomic::AtomicBool;

use test_case::test_case;

use super::*;
use crate::backtest::report::{Drawn, GroupReport, Names, Report};
use crate::backtest::tune::Search;
use crate::config;

const HOUR: i64 = 3600;

/// Scales out above 60 and in below 20, after two minutes; a floor of five from 02:00 to 04:00 in Berlin.
fn fleet(measures: &str) -> Fleet {
    let text = format!(
        "prometheus: {{url: 'http://127.0.0.1:9090'}}
fleets:
  - name: jvb
    component: jvb
    asg: {{regions: [us-east-1], names: [a]}}
    capacity: {{min: 1, max: 20}}
    warmup: 1m
    policies:
      - name: load
        expr: load
        measures: {measures}
        scale_out: {{when: '> 60', periods: 2, add: 1, cooldown: 2m}}
        scale_in: {{when: '< 20', periods: 2, remove: 1, cooldown: 2m}}
    schedules: [{{name: night, timezone: Europe/Berlin, from: '02:00', to: '04:00', min: 5}}]
    drain: {{via: 'http://{{private_ip}}:8080'}}
"
    );
    let config = config::parse(&text, Path::new("")).expect("a valid configuration");
    config.fleets.into_iter().next().expect("a fleet")
}

fn minute() -> Period {
    Period::try_new(Duration::from_mins(1)).expect("a period")
}

fn at(text: &str) -> Time {
    Time::parse(text).expect("a time")
}

/// A group of three of which each minute's load is `load`, from 12:00 on for `hours`.
fn history(start: Time, hours: i64, load: impl Fn(i64) -> Option<f64>) -> GroupHistory {
    let minutes = hours * 60;
    let column = || Column::new(start, minute());
    GroupHistory {
        name: GroupName::new("a"),
        region: Some(Region::new("us-east-1")),
        series: vec![column().with((0..=minutes).map(load))],
        serving: column().with((0..=minutes).map(|_| Some(3.0))),
        reporting: None,
        desired: None,
        bounds: None,
    }
}

fn span(start: Time, hours: i64) -> Span {
    Span { from: start, to: Time::from_unix(start.unix() + hours * HOUR) }
}

fn replay(fleet: &Fleet, history: &GroupHistory, span: Span) -> Outcome {
    let assumptions = Assumptions { price: Some(2.0), ..Assumptions::default() };
    history.replay(fleet, Yardstick::new(fleet, history), span, assumptions).expect("history suffices")
}

const NOON: &str = "2026-11-02T12:00:00Z";

#[test]
fn more_instances_share_the_load_that_there_was() {
    let start = at(NOON);
    // Three at 100 carry 300: with five of them each has 60.
    let history = history(start, 2, |_| Some(100.0));
    let fleet = fleet("load");
    let outcome = replay(&fleet, &history, span(start, 2));
    assert_eq!(outcome.simulated.last_capacity, Some(5));
    assert_eq!(outcome.simulated.scale_outs, 2);
    assert_eq!(outcome.decisions[0].from, 3);
    assert!(outcome.decisions[0].why.contains("load calls for a scale-out"), "{:?}", outcome.decisions);
    let had =
        history.had(Yardstick::new(&fleet, &history), span(start, 2), minute(), Some(2.0)).expect("known");
    assert_eq!((had.minutes_short, had.scale_outs, had.last_capacity), (121.0, 0, Some(3)));
    assert!(
        (had.instance_hours - 6.05).abs() < 1e-9 && had.cost == Some(had.instance_hours * 2.0),
        "{had:?}"
    );
    assert!(outcome.simulated.minutes_short < 10.0, "{:?}", outcome.simulated);
}

#[test]
fn a_policy_that_measures_something_else_is_replayed_as_it_was() {
    let start = at(NOON);
    let outcome = replay(&fleet("other"), &history(start, 2, |_| Some(100.0)), span(start, 2));
    assert_eq!(outcome.trust.open_loop, ["load"]);
    assert_eq!(outcome.simulated.last_capacity, Some(20), "nothing relieves it");
    assert!(outcome.trust.extrapolated_ratio > 0.5, "{:?}", outcome.trust);
}

#[test_case(None; "a gap")]
#[test_case(Some(f64::NAN); "not a number")]
fn what_is_missing_changes_nothing_and_is_told(value: Option<f64>) {
    let start = at(NOON);
    // A quiet group, a day without data, and quiet again.
    let history =
        history(start, 72, |minute| if (1440..2880).contains(&minute) { value } else { Some(40.0) });
    let outcome = replay(&fleet("load"), &history, span(start, 72));
    let during =
        |made: &&Made| made.time.as_str() > "2026-11-03T12:00" && made.time.as_str() < "2026-11-04T01:00";
    assert_eq!(outcome.decisions.iter().find(during).map(|made| &made.why), None);
    assert!((outcome.trust.missing_ratio - 1.0 / 3.0).abs() < 0.01, "{:?}", outcome.trust);
    assert_eq!(outcome.trust.missing_by_policy.len(), 1);
}

#[test]
fn a_group_that_appears_later_begins_there() {
    let (start, later) = (at(NOON), at("2026-11-02T18:00:00Z"));
    let history = history(later, 2, |_| Some(100.0));
    let whole = Span { from: start, to: span(later, 2).to };
    let outcome = replay(&fleet("load"), &history, whole);
    assert_eq!(outcome.levels.first().map(|level| (level.at, level.simulated)), Some((later, 3)));
    assert!(outcome.trust.missing_ratio.abs() < 1e-9, "{:?}", outcome.trust);
    assert!(history.suffices(&fleet("load"), whole).is_ok());
    let before = Span { from: start, to: at("2026-11-02T17:00:00Z") };
    let error = history.suffices(&fleet("load"), before).expect_err("nothing is known yet");
    assert!(error.contains("how many instances served"), "{error}");
}

/// The clocks go back at 03:00 on 2026-10-25 in Berlin: the night of the schedule lasts three hours.
#[test]
fn a_schedule_follows_the_clocks_of_its_zone() {
    let start = at("2026-10-24T20:00:00Z");
    let outcome = replay(&fleet("load"), &history(start, 12, |_| Some(20.0)), span(start, 12));
    let floor: Vec<_> =
        outcome.levels.iter().filter(|level| level.wanted == 5).map(|level| level.at).collect();
    assert_eq!(floor.first(), Some(&at("2026-10-25T00:00:00Z")));
    let ends =
        outcome.decisions.iter().find(|made| made.action == "scale_in").expect("a quiet group shrinks");
    assert!(ends.time.as_str() >= "2026-10-25T03:00", "{ends:?}");
}

#[test]
fn boots_and_drains_take_as_long_as_they_did() {
    let start = at(NOON);
    let column = |counts: &[f64]| Column::new(start, minute()).with(counts.iter().map(|count| Some(*count)));
    let history = GroupHistory {
        // One is launched between the first two minutes, and reports three minutes later; one drains for five.
        desired: Some(column(&[2., 3., 3., 3., 3., 3., 3., 3., 3., 2., 2.])),
        reporting: Some(column(&[2., 2., 2., 3., 3., 3., 3., 3., 3., 2., 2.])),
        serving: column(&[2., 2., 2., 3., 2., 2., 2., 2., 2., 2., 2.]),
        ..history(start, 1, |_| None)
    };
    let minutes = |of: &[(Time, Duration)]| {
        let minutes =
            |(at, length): &(Time, Duration)| (at.since(start).as_secs() / 60, length.as_secs() / 60);
        of.iter().map(minutes).collect::<Vec<_>>()
    };
    assert_eq!(minutes(&history.boots()), [(0, 3)]);
    // The last looks are not counted: the simulated group takes its own.
    assert_eq!(minutes(&history.drains().expect("known")), [(3, 3)]);
    assert_eq!(lengths(None, history.boots(), Duration::ZERO).usual, Duration::from_mins(3));
    let said = Duration::from_mins(9);
    assert_eq!(lengths(Some(said), history.boots(), Duration::ZERO), Lengths::always(said));
}

#[test]
fn a_drain_that_begins_as_another_ends_is_not_the_same() {
    let start = at(NOON);
    let column = |counts: &[f64]| Column::new(start, minute()).with(counts.iter().map(|count| Some(*count)));
    let history = GroupHistory {
        reporting: Some(column(&[4., 4., 4., 4., 4., 3., 3., 3., 3., 2., 2.])),
        serving: column(&[4., 3., 3., 3., 3., 2., 2., 2., 2., 2., 2.]),
        ..history(start, 1, |_| None)
    };
    let drains = history.drains().expect("known");
    assert_eq!(drains.iter().map(|(at, _)| at.since(start).as_secs() / 60).collect::<Vec<_>>(), [0, 4]);
}

#[test]
fn a_group_without_instances_is_short() {
    let start = at(NOON);
    let (mut history, fleet) = (history(start, 1, |_| Some(50.0)), fleet("load"));
    let served = |count| Column::new(start, minute()).with([Some(count)]);
    let yardstick = Yardstick::new(&fleet, &history);
    assert!(yardstick.is_short(start, Some(&served(0.0))));
    assert!(!yardstick.is_short(start, Some(&served(3.0))));
    // An average below one is an instance all the same.
    history.serving = Column::new(start, minute()).with((0..=60).map(|_| Some(0.7)));
    assert_eq!(replay(&fleet, &history, span(start, 1)).levels[0].simulated, 1);
}

#[test]
fn without_a_count_no_side_is_short() {
    let start = at(NOON);
    let mut history = history(start, 4, |_| Some(100.0));
    history.serving = Column::new(start, minute()).with((0..60).map(|_| Some(3.0)));
    let fleet = fleet("load");
    let had = history.had(Yardstick::new(&fleet, &history), span(start, 4), minute(), None).expect("known");
    // The last count stands for two more minutes.
    assert!((60.0..=62.0).contains(&had.minutes_short), "{had:?}");
    let outcome = replay(&fleet, &history, span(start, 4));
    assert!(outcome.trust.extrapolated_ratio > 0.7, "{:?}", outcome.trust);
}

#[test]
fn what_only_wants_a_capacity_says_nothing_of_shortage() {
    let start = at(NOON);
    let mut fleet = fleet("load");
    assert!(replay(&fleet, &history(start, 1, |_| Some(40.0)), span(start, 1)).trust.shortage_known);
    let target = crate::decide::policy::TargetRule { periods: 1, cooldown: Duration::ZERO };
    fleet.policy.policies[0].rules = Rules::Desired { scale_out: Some(target), scale_in: None };
    let outcome = replay(&fleet, &history(start, 1, |_| Some(4.0)), span(start, 1));
    assert!(!outcome.trust.shortage_known, "{:?}", outcome.trust);
    assert_eq!(outcome.simulated.last_capacity, Some(4));
}

#[test]
fn an_alert_that_does_not_fire_lacks_nothing() {
    let start = at(NOON);
    let mut fleet = fleet("load");
    let rule = fleet.policy.policies[0].rule(Direction::Out).expect("a rule").clone();
    fleet.policy.policies[0].rules = Rules::Alert { direction: Direction::Out, rule };
    let history = history(start, 1, |_| None);
    assert!(history.suffices(&fleet, span(start, 1)).is_ok());
    assert!(replay(&fleet, &history, span(start, 1)).trust.missing_by_policy.is_empty());
}

/// With a delay of five minutes a window ends five minutes ago, when there were fewer instances.
#[test]
fn a_delayed_value_is_that_of_the_capacity_of_its_moment() {
    let start = at(NOON);
    let (history, mut fleet) = (history(start, 2, |_| Some(100.0)), fleet("load"));
    fleet.prometheus.delay = Duration::from_mins(5);
    let outcome = replay(&fleet, &history, span(start, 2));
    // It goes on adding until it sees the relief, which its cooldown does not wait for.
    assert!(outcome.simulated.last_capacity > Some(5), "{:?}", outcome.decisions);
}

/// The load is that of four for an hour, then of less than one: any threshold up to 0.4 leaves two.
#[test]
fn a_search_finds_the_threshold_that_is_known_to_be_best() {
    let text = "prometheus: {url: 'http://127.0.0.1:9090'}
fleets:
  - name: jvb
    component: jvb
    asg: {regions: [us-east-1], names: [a]}
    capacity: {min: 1, max: 20}
    policies:
      - name: load
        expr: load
        measures: load
        scale_out: {when: '> 0.6', periods: 2, add: 1, cooldown: 2m}
        scale_in: {when: '< 0.1', periods: 2, remove: 1, cooldown: 2m}
    drain: {via: 'http://{private_ip}:8080'}
";
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scaler.yml");
    std::fs::write(&path, text).expect("a file");
    let variant = crate::config::variant::Variant::load(&path).expect("a configuration");
    let config = variant.config().expect("a valid configuration");
    let start = at(NOON);
    let mut history = history(start, 12, |minute| Some(if minute < 60 { 0.6 } else { 0.225 }));
    history.serving = Column::new(start, minute()).with((0..=720).map(|_| Some(4.0)));
    let groups = [(0, &history)];
    let assumptions = Assumptions::default();
    let search =
        Search { variant: &variant, present: &config, groups: &groups, span: span(start, 12), assumptions };
    let search = |axis: &str| {
        let axes = [axis.parse().expect("an axis")];
        search.run(&axes, &AtomicBool::new(false), |_, _| {})
    };
    let tuned = search("jvb.load.scale_in.when=0.1..0.5/0.1").expect("an answer");
    let recommended = tuned.recommended.expect("the present one wastes two");
    assert_eq!(recommended.set.values().collect::<Vec<_>>(), ["< 0.4"], "{:?}", tuned.front);
    assert!(recommended.saves.instance_hours > 15.0 && tuned.present.present, "{:?}", recommended.saves);

    // A value that changes what is read is refused wherever it stands in the list.
    let error = |axis: &str| search(axis).expect_err("refused").to_string();
    assert!(
        error("jvb.load.period=1m,5m").contains("it changes what is read"),
        "{}",
        error("jvb.load.period=1m,5m")
    );
    assert!(error("other.load.scale_in.when=0.1,0.2").contains("no `other`"));
}

/// Twenty groups of thirty restless days stay below 2 MB.
#[test]
fn the_page_of_a_month_is_small() {
    let start = at(NOON);
    let load = |minute: i64| Some(if minute / 90 % 2 == 0 { 90.0 } else { 10.0 } + (minute % 17) as f64);
    let (history, fleet) = (history(start, 30 * 24, load), fleet("load"));
    let span = span(start, 30 * 24);
    let yardstick = Yardstick::new(&fleet, &history);
    let had = history.had(yardstick, span, minute(), None).expect("known");
    let report = || {
        let drawn = Drawn { fleet: &fleet, history: &history, span };
        vec![GroupReport::new(had.clone(), replay(&fleet, &history, span), drawn)]
    };
    let report = Report {
        from: String::new(),
        to: String::new(),
        groups: report(),
        against: Some(report()),
        tuned: None,
        left_out: Vec::new(),
        names: Names::default(),
    };
    assert!(report.groups[0].decisions.len() > 300, "{} decisions", report.groups[0].decisions.len());
    let page = report.html();
    assert!(page.len() * 20 < 2_000_000, "{} bytes", page.len());
}
