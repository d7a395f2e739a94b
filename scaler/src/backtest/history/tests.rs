use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::config;
use crate::observe::rules::Rules;
use crate::observe::{Labelled, Labels};

/// A server that computes what it answers, and refuses more than 11,000 points of a series as Prometheus does.
struct Server<F> {
    /// The series of a query, each with its value at a time.
    series: F,
    /// How many points an answer may have.
    most: usize,
    asked: Mutex<Vec<String>>,
}

/// The labels of a series, and its value at a time.
type One = (Vec<(&'static str, &'static str)>, fn(i64) -> Option<f64>);
type Each = Vec<One>;

impl<F: Fn(&str) -> Each + Send + Sync> Metrics for Server<F> {
    async fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> Result<Vec<Labelled>, QueryError> {
        let points = usize::try_from((end.unix() - start.unix()) / step.seconds()).expect("forwards") + 1;
        assert!(points <= 11_000, "exceeded maximum resolution of 11,000 points per timeseries");
        assert_eq!(
            (start.unix() % step.seconds(), end.unix() % step.seconds()),
            (0, 0),
            "beside the grid: {expr}"
        );
        self.asked.lock().expect("no panic").push(expr.to_owned());
        let series = (self.series)(expr);
        if points * series.len() > self.most {
            let size = crate::observe::metrics::Size::Points(points);
            return Err(QueryError::TooLarge { expr: expr.to_owned(), size });
        }
        let moments = || (0..).map(|place| start.unix() + place * step.seconds()).take(points);
        let labelled = |(labels, value): One| Labelled {
            labels: labels.into_iter().collect::<Labels>(),
            points: moments().filter_map(|at| Some((at as f64, value(at)?))).collect(),
        };
        Ok(series.into_iter().map(labelled).collect())
    }

    async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
        None
    }

    async fn instant(&self, expr: &str, _: Time) -> Result<Vec<Labelled>, QueryError> {
        panic!("nothing is asked about one moment: {expr}")
    }
}

fn fleet(selector: &str, period: &str) -> Fleet {
    let text = format!(
        "prometheus: {{url: 'http://127.0.0.1:9090'}}
fleets:
  - name: jvb
    component: jvb
    asg: {{{selector}}}
    policies:
      - name: load
        expr: load
        period: {period}
        measures: load
        scale_out: {{when: '> 60', periods: 2, add: 1}}
"
    );
    let config = config::parse(&text, Path::new("")).expect("a valid configuration");
    config.fleets.into_iter().next().expect("a fleet")
}

const START: i64 = 1_790_000_000;

fn span(seconds: i64) -> Span {
    Span { from: Time::from_unix(START), to: Time::from_unix(START + seconds) }
}

/// The groups, and the queries that were asked for them.
async fn read_from(
    fleet: &Fleet,
    span: Span,
    most: usize,
    series: impl Fn(&str) -> Each + Send + Sync,
) -> (Vec<GroupHistory>, Vec<String>) {
    let server = Server { series, most, asked: Mutex::default() };
    let mut seen = (0, 0);
    let groups = read(
        &server,
        fleet,
        |_| true,
        span,
        |done, total| {
            assert!(done > seen.0 && done <= total);
            seen = (done, total);
        },
    );
    let groups = groups.await.expect("an answer");
    assert_eq!(seen.0, seen.1, "the progress ends at its end");
    (groups, server.asked.into_inner().expect("no panic"))
}

fn alone(expr: &str) -> Each {
    match expr {
        _ if expr.starts_with("load") => vec![(vec![("asg", "a")], |at| Some(at as f64))],
        _ if expr.starts_with("count") && expr.contains("and on") => {
            vec![(vec![("asg", "a")], |_| Some(1.0))]
        }
        _ if expr.starts_with("count") => vec![(vec![("asg", "a")], |_| Some(4.0))],
        _ if expr.contains("\"min\"") => {
            vec![(vec![("asg", "a")], |at| Some(if at % 7 == 0 { 2.0 } else { 5.0 }))]
        }
        _ if expr.contains("\"max\"") => vec![(vec![("asg", "a")], |_| Some(9.0))],
        _ => Vec::new(),
    }
}

/// A history of 11,001 points and more comes in pieces, and no point is lost between two of them.
#[tokio::test]
async fn a_long_history_is_read_in_pieces_without_a_gap() {
    let fleet = fleet("regions: [us-east-1], names: [a]", "1s");
    let (groups, _) = read_from(&fleet, span(25_000), usize::MAX, alone).await;
    let [group] = groups.as_slice() else { panic!("{groups:?}") };
    let known: Vec<_> = group.series[0].known().filter(|(at, _)| at.unix() >= START).collect();
    assert_eq!(known.len(), 25_001);
    assert!(known.iter().all(|(at, value)| (at.unix() as f64).to_bits() == value.to_bits()));
    // Two points from before fill the first window.
    assert_eq!(group.series[0].at(Time::from_unix(START - 2)), Some((START - 2) as f64));
    let at = Time::from_unix(START + 20_000);
    assert_eq!(group.serving.at(at), Some(3.0), "without the one that drains");
    assert_eq!(group.reporting.as_ref().and_then(|column| column.at(at)), Some(4.0));
    assert_eq!(group.bounds.map(|(min, max)| (min.get(), max.get())), Some((2, 9)), "without any schedule");
    assert!(group.desired.is_none());
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_asked_for_in_halves() {
    let fleet = fleet("regions: [us-east-1], names: [a]", "1m");
    let (whole, few) = read_from(&fleet, span(86_400), usize::MAX, alone).await;
    let (halves, many) = read_from(&fleet, span(86_400), 400, alone).await;
    let known = |groups: &[GroupHistory]| groups[0].series[0].known().collect::<Vec<_>>();
    assert_eq!(known(&whole), known(&halves));
    assert!(many.len() > few.len());
}

#[tokio::test]
async fn groups_of_one_name_in_two_regions_are_told_apart() {
    let series = |expr: &str| -> Each {
        let of = |region, value| (vec![("asg", "a"), ("region", region)], value);
        match expr {
            _ if expr.starts_with("load") => {
                vec![
                    of("us-east-1", (|_| Some(1.0)) as fn(i64) -> Option<f64>),
                    of("eu-west-1", |_| Some(2.0)),
                ]
            }
            _ if expr.starts_with("count by (asg, region)") && !expr.contains("and on") => {
                vec![
                    of("us-east-1", (|_| Some(3.0)) as fn(i64) -> Option<f64>),
                    of("eu-west-1", |_| Some(4.0)),
                ]
            }
            _ => Vec::new(),
        }
    };
    for selector in [
        "regions: [us-east-1, eu-west-1], names: [a], region_label: region",
        "regions: [us-east-1, eu-west-1], tags: {fleet: jvb}, region_label: region",
    ] {
        let (groups, _) = read_from(&fleet(selector, "1m"), span(3600), usize::MAX, series).await;
        let figures = |group: &GroupHistory| {
            let at = Time::from_unix(START + 1800).floor(group.serving.period());
            (group.region.as_ref().map(ToString::to_string), group.series[0].at(at), group.serving.at(at))
        };
        let mut found: Vec<_> = groups.iter().map(figures).collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            found,
            [
                (Some("eu-west-1".to_owned()), Some(2.0), Some(4.0)),
                (Some("us-east-1".to_owned()), Some(1.0), Some(3.0))
            ],
            "{selector}"
        );
    }
}

#[tokio::test]
async fn groups_that_are_found_by_tags_are_those_that_series_name() {
    let series = |expr: &str| -> Each {
        let late = |at: i64| (at > START + 1800).then_some(2.0);
        match expr {
            _ if expr.starts_with("load") => {
                vec![(vec![("asg", "a")], |_| Some(1.0)), (vec![("asg", "b")], late)]
            }
            _ => Vec::new(),
        }
    };
    let (groups, _) =
        read_from(&fleet("regions: [us-east-1], tags: {fleet: jvb}", "1m"), span(3600), usize::MAX, series)
            .await;
    let names: Vec<_> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(groups[1].series[0].known().all(|(at, _)| at.unix() > START + 1800));
}
