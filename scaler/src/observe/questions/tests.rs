//! What is asked, and what answers say of groups and instances.

use std::path::Path;
use std::sync::Arc;

use test_case::test_case;

use super::*;
use crate::config::sample::{GROUPS, OUT};
use crate::config::{self, sample};
use crate::decide::policy::{Rules, Window};
use crate::observe::prepared::{Prepared, labelled};

fn period(seconds: u64) -> Period {
    Period::try_new(Duration::from_secs(seconds)).expect("a period")
}

fn fleet() -> Fleet {
    sample::config("asg: {names: [a, b]}", &format!("expr: x\n        {OUT}")).fleets.remove(0)
}

/// A sample of an instance at a minute before now.
fn reading(name: &str, id: &str, value: f64) -> Labelled {
    labelled(&[("__name__", name), ("instance_id", id)], &[(540.0, value)])
}

type Answers = Vec<(&'static str, Vec<Labelled>)>;

async fn reports_of(fleet: &Fleet, answers: Answers) -> HashMap<InstanceId, InstanceReport> {
    reports(&Prepared { instant: answers, ..Prepared::default() }, fleet, Time::from_unix(600), period(60))
        .await
        .expect("an answer")
}

#[test_case("jibri_up", "port", true; "two exporters, two series of up")]
#[test_case("jibri_available", "target", true; "one exporter with two targets")]
#[tokio::test]
async fn an_id_that_several_series_carry_is_ambiguous(name: &str, label: &str, ambiguous: bool) {
    let twice = [("2222", 1.0), ("2223", 0.0)].map(|(value, available)| {
        let labels = [("__name__", name), ("instance_id", "i-1"), (label, value)];
        labelled(&labels, &[(540.0, available)])
    });
    let once = |name| vec![reading(name, "i-1", 1.0), reading(name, "i-2", 1.0)];
    let (mut up, mut states) = (once("jibri_up"), once("jibri_available"));
    if name == "jibri_up" {
        up.extend(twice);
    } else {
        states.extend(twice);
    }
    let mut fleet = fleet();
    fleet.policy.component = Component::Jibri;
    fleet.instances.series = "jibri_up".to_owned();
    let seen = reports_of(&fleet, vec![("jibri_up", up), ("{__name__", states)]).await;
    let is_ambiguous = |id| seen[&InstanceId::new(id)].reported.ambiguous;
    assert_eq!((is_ambiguous("i-1"), is_ambiguous("i-2")), (ambiguous, false));
}

#[test_case(&[], None; "none reported")]
#[test_case(&[("jvb_draining", 0.0), ("jvb_graceful_shutdown", 0.0), ("jvb_shutting_down", 0.0)], Some(false); "all off")]
#[test_case(&[("jvb_draining", 1.0), ("jvb_graceful_shutdown", 0.0), ("jvb_shutting_down", 0.0)], Some(true); "the first on")]
#[test_case(&[("jvb_draining", 0.0), ("jvb_graceful_shutdown", 1.0), ("jvb_shutting_down", 0.0)], Some(true); "the second on")]
#[test_case(&[("jvb_draining", 0.0), ("jvb_graceful_shutdown", 0.0), ("jvb_shutting_down", 1.0)], Some(true); "the last on")]
#[test_case(&[("jvb_healthy", 1.0), ("jvb_local_endpoints", 3.0)], None; "other statistics")]
#[tokio::test]
async fn a_bridge_drains_if_any_of_its_flags_is_on(flags: &[(&str, f64)], draining: Option<bool>) {
    let mut states: Vec<_> = flags.iter().map(|(name, value)| reading(name, "i-1", *value)).collect();
    states.push(reading("jvb_draining", "i-2", 1.0));
    let asked = r#"{__name__=~"jvb_local_endpoints|jvb_healthy|jvb_draining|jvb_graceful_shutdown|jvb_shutting_down"}"#;
    let server = vec![("jvb_up", vec![reading("jvb_up", "i-1", 1.0)]), (asked, states)];
    let found = reports_of(&fleet(), server).await;
    assert_eq!(found.len(), 1, "the operator's series names one instance");
    let reported = &found[&InstanceId::new("i-1")].reported;
    assert!(reported.up);
    assert_eq!(reported.draining, draining);
}

#[tokio::test]
async fn an_instance_reports_while_its_series_is_above_zero() {
    let up = [("i-1", 0.0), ("i-2", 1.0)].map(|(id, value)| reading("jvb_up", id, value)).to_vec();
    let found = reports_of(&fleet(), vec![("jvb_up", up), ("{__name__", Vec::new())]).await;
    assert_eq!(["i-1", "i-2"].map(|id| found[&InstanceId::new(id)].reported.up), [false, true]);
}

#[tokio::test]
async fn a_series_whose_rule_fails_is_not_trusted() {
    let rule = r#"{"groups":[{"name":"g","interval":30,"rules":[{"name":"asg:load:avg","type":"recording",
        "health":"err","lastError":"many-to-many","lastEvaluation":"1970-01-01T00:10:00Z"}]}]}"#;
    let raw: rules::RawRules = serde_json::from_str(rule).expect("rules");
    let server =
        Prepared { range: Some(Vec::new()), rules: Some(Arc::new(raw.into())), ..Prepared::default() };
    let (fleet, grid) = (fleet(), Grid { at: Time::from_unix(600), delay: Duration::ZERO, tick: period(60) });
    let policies = vec![fleet.policy.policies[0].clone(); 2];
    let expressions = ["asg:load:avg", "asg:other:avg"].map(str::to_owned).to_vec();
    let policy = FleetPolicy { policies, ..fleet.policy.clone() };
    let answers = windows(&server, &Fleet { policy, expressions, ..fleet }, &grid).await;
    let error = answers[0].as_ref().expect_err("its values may be old");
    assert!(error.to_string().contains("many-to-many"), "{error}");
    assert!(answers[1].is_ok(), "another rule says nothing of it");
}

/// Answers each range with a series for each expression, and keeps what it was asked.
#[derive(Debug, Default)]
struct Recorder(std::sync::Mutex<Vec<(Vec<String>, Time)>>);

impl Metrics for Recorder {
    async fn range(&self, _: &str, _: Time, _: Time, _: Period) -> Result<Vec<Labelled>, QueryError> {
        panic!("ranges are asked together")
    }

    async fn ranges(
        &self,
        exprs: &[&str],
        start: Time,
        end: Time,
        _: Period,
    ) -> Vec<Result<Vec<Labelled>, QueryError>> {
        let asked: Vec<_> =
            exprs.iter().map(|expr| expr.split(' ').next().unwrap_or_default().to_owned()).collect();
        let answer = |expr: &String| match expr.as_str() {
            "bad" => Err(QueryError::Timeout(1.0)),
            _ => Ok(vec![labelled(&[("asg", "a")], &[(end.unix() as f64, expr.len() as f64)])]),
        };
        let answers = asked.iter().map(answer).collect();
        self.0.lock().expect("no panic").push((asked, start));
        answers
    }

    async fn rules(&self, _: Duration) -> Option<Arc<rules::Rules>> {
        None
    }

    async fn instant(&self, _: &str, _: Time) -> Result<Vec<Labelled>, QueryError> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn policies_of_one_period_that_read_a_series_share_a_request() {
    let (fleet, grid) =
        (fleet(), Grid { at: Time::from_unix(6_000), delay: Duration::ZERO, tick: period(60) });
    let asked =
        [("xx", 60, 5), ("sum(x) by (asg)", 60, 5), ("bad", 60, 10), ("yyy", 300, 5), ("zzzz", 60, 5)];
    let policies = asked.iter().map(|(_, seconds, periods)| {
        let mut policy = fleet.policy.policies[0].clone();
        policy.period = period(*seconds);
        if let Rules::Threshold { scale_out: Some(rule), .. } = &mut policy.rules {
            rule.window = Window::try_new(*periods, *periods).expect("a window");
        }
        policy
    });
    let policy = FleetPolicy { policies: policies.collect(), ..fleet.policy.clone() };
    let expressions = asked.iter().map(|(expr, ..)| (*expr).to_owned()).collect();
    let server = Recorder::default();
    let answers = windows(&server, &Fleet { policy, expressions, ..fleet }, &grid).await;
    let newest =
        answers.iter().map(|it| it.as_ref().ok().map(|it| *of(it, "a", false).last().expect("a point")));
    assert_eq!(
        newest.collect::<Vec<_>>(),
        [Some(Some(2.0)), Some(Some(6.0)), None, Some(Some(3.0)), Some(Some(4.0))]
    );
    let requests: Vec<_> =
        server.0.lock().expect("no panic").iter().map(|(exprs, _)| exprs.join(" ")).collect();
    assert_eq!(requests, ["xx bad zzzz", "sum(x)", "yyy"]);
}

fn jibris(victims: &str) -> Fleet {
    let groups = format!("{GROUPS}\n    victims: {{{victims}}}");
    let text = sample::with(&groups, "expr: x\n        scale_in: {when: '> 1', periods: 3, remove: 1}");
    let via = "{health: 'http://{private_ip}:2222', internal: 'http://{private_ip}:3333'}";
    let text = text.replace("\"http://{private_ip}:8080\"", via).replace("jvb", "jibri");
    config::parse(&text, Path::new("")).expect("a configuration").fleets.remove(0)
}

#[test_case("order: longest_idle"; "by the order")]
#[test_case("order: newest, idle_for: 10m"; "by the shortest idle time")]
#[tokio::test]
async fn a_jibri_is_idle_since_it_was_busy_or_first_reported(victims: &str) {
    let since = |id: &str, at: f64| labelled(&[("instance_id", id)], &[(600.0, at)]);
    let up = ["i-1", "i-2", "i-3"].map(|id| reading("jibri_up", id, 1.0)).to_vec();
    let server = vec![
        ("jibri_up", up),
        ("{__name__", vec![reading("jibri_available", "i-1", 1.0), reading("jibri_available", "i-2", 0.0)]),
        ("max_over_time(timestamp({__name__=~\"jibri_available\"} == 0)", vec![since("i-1", 540.0)]),
        (
            "min_over_time(timestamp({__name__=~\"jibri_available\"})",
            vec![since("i-1", 60.0), since("i-2", 120.0), since("i-4", 60.0)],
        ),
    ];
    let found = reports_of(&jibris(victims), server).await;
    let reported = |id: &str| {
        let reported = &found[&InstanceId::new(id)].reported;
        (reported.load, reported.idle_for.map(|length| length.as_secs()))
    };
    assert_eq!(reported("i-1"), (Some(0.0), Some(60)));
    assert_eq!(reported("i-2"), (Some(1.0), Some(480)));
    assert_eq!(reported("i-3"), (None, None));
    assert_eq!(found.len(), 3);
}

#[tokio::test]
async fn an_expired_jibri_carries_nothing_although_it_is_not_available() {
    let states = vec![
        reading("jibri_available", "i-1", 0.0),
        reading("jibri_status", "i-1", 1.0),
        reading("jibri_available", "i-2", 0.0),
        reading("jibri_status", "i-2", 0.0),
    ];
    let query = r#"{__name__=~"jibri_available|jibri_healthy|jibri_status",status!~"idle|busy"} and"#;
    let up = vec![reading("jibri_up", "i-1", 1.0), reading("jibri_up", "i-2", 1.0)];
    let found = reports_of(&jibris("order: newest"), vec![("jibri_up", up), (query, states)]).await;
    let reported = |id: &str| {
        let reported = &found[&InstanceId::new(id)].reported;
        (reported.load, reported.expired)
    };
    assert_eq!((reported("i-1"), reported("i-2")), ((Some(0.0), true), (Some(1.0), false)));
}

#[tokio::test]
async fn idle_time_is_asked_for_only_where_it_counts() {
    let server = vec![("jibri_up", Vec::new()), ("{__name__", Vec::new())];
    assert!(reports_of(&jibris("order: newest"), server).await.is_empty());
}

#[tokio::test]
async fn ill_at_every_point_and_at_the_newest() {
    let series = |id: &str, minutes: &[f64]| {
        let points: Vec<_> = minutes.iter().map(|minute| (minute * 60.0, 0.0)).collect();
        labelled(&[("instance_id", id)], &points)
    };
    let answer = vec![series("i-1", &[8.0, 9.0, 10.0]), series("i-2", &[10.0]), series("i-3", &[8.0, 9.0])];
    let told = Prepared { range: Some(answer), ..Prepared::default() };
    let at = Time::from_unix(600);
    let found = ill(&told, &fleet(), "x == 0", 3, at, period(60)).await.expect("an answer");
    let ids = |ids: &[&str]| ids.iter().map(|id| InstanceId::new(id)).collect::<HashSet<_>>();
    assert_eq!(found, Ill { always: ids(&["i-1"]), now: ids(&["i-1", "i-2"]) });
}

fn sorted(answer: Vec<Labelled>) -> Windows {
    let fleet = fleet();
    let at = Time::from_unix(600);
    let grid = Grid { at, delay: Duration::ZERO, tick: period(60) };
    Windows::new(answer, &fleet, without_answer(&fleet.policy.policies[0], &grid))
}

fn of(windows: &Windows, group: &str, alone: bool) -> Vec<Option<f64>> {
    windows.of(&GroupName::new(group), &Region::new("us-east-1"), alone).points
}

#[test]
fn points_go_to_their_place_on_the_grid() {
    let windows = sorted(vec![labelled(&[("asg", "a")], &[(360.0, 1.0), (480.0, 2.0), (600.0, 3.0)])]);
    assert_eq!(of(&windows, "a", false), [Some(1.0), None, Some(2.0), None, Some(3.0)]);
    assert_eq!(of(&windows, "b", false), [None; 5]);
    let between = sorted(vec![labelled(&[("asg", "a")], &[(360.0, 1.0), (390.0, 9.0), (660.0, 9.0)])]);
    assert_eq!(of(&between, "a", false), [Some(1.0), None, None, None, None]);
}

#[test]
fn a_series_without_the_label_is_that_of_a_lone_group_only() {
    let windows = sorted(vec![labelled(&[], &[(600.0, 3.0)])]);
    assert_eq!(of(&windows, "a", true)[4], Some(3.0));
    assert_eq!(of(&windows, "a", false)[4], None);
}

#[test]
fn several_series_without_the_label_belong_to_no_group() {
    let windows =
        sorted(vec![labelled(&[("job", "x")], &[(600.0, 3.0)]), labelled(&[("job", "y")], &[(600.0, 4.0)])]);
    assert_eq!(of(&windows, "a", true)[4], None);
    let unlabelled = Ambiguous { group: None, differs: Vec::new() };
    assert_eq!(windows.ambiguous(), [unlabelled.clone(), unlabelled]);

    // Nor does one beside a series that has it.
    let windows = sorted(vec![labelled(&[], &[(600.0, 3.0)]), labelled(&[("asg", "b")], &[(600.0, 4.0)])]);
    assert_eq!(of(&windows, "a", true)[4], None);
    assert_eq!(of(&windows, "b", true)[4], Some(4.0));
}

#[test]
fn two_series_of_one_group_are_ambiguous() {
    let windows = sorted(vec![
        labelled(&[("asg", "a"), ("job", "x")], &[(600.0, 3.0)]),
        labelled(&[("asg", "a"), ("job", "y")], &[(600.0, 4.0)]),
        labelled(&[("asg", "b")], &[(600.0, 5.0)]),
    ]);
    assert_eq!(of(&windows, "a", false)[4], None);
    assert_eq!(of(&windows, "b", false)[4], Some(5.0));
    let a = Ambiguous { group: Some("a".to_owned()), differs: vec!["job".to_owned()] };
    assert_eq!(windows.ambiguous(), [a]);
}

#[test]
fn bare_names_are_asked_for_fresh_and_expressions_as_they_are() {
    assert_eq!(fresh_only(" asg:x:avg ", period(60)), "asg:x:avg and last_over_time(asg:x:avg[120s])");
    assert_eq!(fresh_only("x{a=\"}\"}", period(60)), "x{a=\"}\"} and last_over_time(x{a=\"}\"}[120s])");
    for expr in ["sum(x) by (asg)", "a{x=\"1\"} / b{x=\"2\"}", "a + b", "a[5m]"] {
        assert_eq!(fresh_only(expr, period(60)), expr);
    }
}

#[test]
fn the_matchers_of_the_operator_are_kept() {
    let series = |text: &str| InstanceSeries { series: text.to_owned(), id_label: String::new() };
    assert_eq!(selector(&series("jvb_up"), r#"__name__=~"a|b""#), r#"{__name__=~"a|b"}"#);
    let labelled = series("jvb_up{job=\"x\"}");
    assert_eq!(selector(&labelled, r#"__name__=~"a""#), r#"{__name__=~"a",job="x"}"#);
}
