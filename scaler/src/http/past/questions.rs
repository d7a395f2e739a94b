//! The queries for what the scaler has reported of its groups, and what their answers say.
//!
//! Owns the PromQL. Everything comes from the scaler's own metrics, by the labels that it gives them, so a page asks the
//! same few cheap queries whatever the policies read. What no sample tells is unknown, never zero.

use std::collections::BTreeMap;
use std::time::Duration;

use super::span::Grid;
use crate::observe::Labelled;
use crate::units::Time;

/// How long a sample counts: twice the default interval of scrapes.
const LASTING: Duration = Duration::from_mins(2);

/// Names one group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::http) struct GroupKey {
    /// Its fleet.
    pub(in crate::http) fleet: String,
    /// Its region.
    pub(in crate::http) region: String,
    /// Its name.
    pub(in crate::http) asg: String,
}

impl GroupKey {
    fn matchers(&self) -> String {
        let Self { fleet, region, asg } = self;
        format!("fleet={},asg={},region={}", quoted(fleet), quoted(asg), quoted(region))
    }
}

/// A text as PromQL writes it.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
    format!("\"{escaped}\"")
}

/// A text as a regular expression that matches it alone.
fn literally(text: &str) -> String {
    let escape = |letter: char| {
        if letter.is_alphanumeric() || matches!(letter, '-' | '_') {
            letter.to_string()
        } else {
            format!(r"\x{{{:x}}}", u32::from(letter))
        }
    };
    text.chars().map(escape).collect()
}

fn window(grid: &Grid) -> String {
    format!("[{}s]", grid.step.duration().max(LASTING).as_secs())
}

/// The figures of a group, by state. Between two points of the grid the worst counts: the fewest that were ready, the most
/// that drained.
pub(super) fn figures(group: &GroupKey, grid: &Grid) -> String {
    let (of, window) = (group.matchers(), window(grid));
    let part = |how: &str, over: &str, states: &str| {
        format!(
            r#"{how} by (state) ({over}_over_time(jitsi_scaler_group_instances{{{of},state=~"{states}"}}{window}))"#
        )
    };
    // Those that drain have no series while there are none.
    let none = format!(
        r#"label_replace(0 * max(last_over_time(jitsi_scaler_group_instances{{{of},state="desired"}}{window})), "state", "draining", "", "")"#
    );
    let parts = [
        part("max", "last", "desired|wanted|min|max"),
        part("min", "min", "ready"),
        part("max", "max", "draining"),
        none,
    ];
    parts.join(" or ")
}

/// The values of a group's policies: the lowest, the mean and the highest between two points of the grid.
pub(super) fn values(group: &GroupKey, grid: &Grid) -> String {
    let (of, window) = (group.matchers(), window(grid));
    let part = |how: &str| {
        let over = format!("{how}_over_time(jitsi_scaler_policy_value{{{of}}}{window})");
        format!(r#"label_replace({how} by (policy) ({over}), "of", "{how}", "", "")"#)
    };
    ["min", "avg", "max"].map(part).join(" or ")
}

/// What happened to a group: its decisions, the capacity that they wanted, and what held them back.
pub(super) fn events(group: &GroupKey) -> String {
    let of = group.matchers();
    format!(
        "sum by (action) (jitsi_scaler_decisions_total{{{of},action!=\"hold\"}}) \
         or max by (state) (jitsi_scaler_group_instances{{{of},state=\"wanted\"}}) \
         or max by (reason) (jitsi_scaler_group_blocked{{{of}}} == 1)"
    )
}

/// The capacity that decisions wanted in each of these groups.
pub(super) fn wanted(groups: &[GroupKey], grid: &Grid) -> String {
    let names: Vec<String> = groups.iter().map(|group| literally(&group.asg)).collect();
    let (names, window) = (quoted(&names.join("|")), window(grid));
    format!(
        r#"max by (fleet, asg, region) (last_over_time(jitsi_scaler_group_instances{{state="wanted",asg=~{names}}}{window}))"#
    )
}

/// The past of a group.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct GroupPast {
    /// The moments of `figures` and `values`.
    pub(in crate::http) grid: Grid,
    /// Figures in instances by state: `desired`, `wanted`, `min`, `max`, `ready` and `draining`.
    pub(in crate::http) figures: BTreeMap<String, Vec<Option<f64>>>,
    /// The values of each policy.
    pub(in crate::http) values: BTreeMap<String, Values>,
    /// Scale-outs and scale-ins, oldest first.
    pub(in crate::http) acts: Vec<Act>,
    /// Since when what holds the group back does so.
    pub(in crate::http) held: BTreeMap<String, Since>,
}

impl GroupPast {
    /// Whether Prometheus has anything of the group.
    pub(in crate::http) fn is_known(&self) -> bool {
        let known = |values: &Vec<Option<f64>>| values.iter().any(Option::is_some);
        self.figures.values().any(known)
    }
}

/// The values of a policy on a grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::http) struct Values {
    /// The lowest since the point before.
    pub(in crate::http) low: Vec<Option<f64>>,
    /// Their mean.
    pub(in crate::http) mean: Vec<Option<f64>>,
    /// The highest since the point before.
    pub(in crate::http) high: Vec<Option<f64>>,
}

/// Decisions to scale, as counters tell of them.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::http) struct Act {
    /// The first moment at which they were counted.
    pub(in crate::http) at: Time,
    /// Whether capacity was added.
    pub(in crate::http) is_out: bool,
    /// How many there were since the moment before.
    pub(in crate::http) count: u64,
    /// The capacity that was wanted before and after, if both are known.
    pub(in crate::http) wanted: Option<(f64, f64)>,
}

/// Since when something lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct Since {
    /// The first moment at which it was seen.
    pub(in crate::http) at: Time,
    /// Whether it may have begun earlier.
    pub(in crate::http) or_earlier: bool,
}

/// The answers to [`figures`], [`values`] and [`events`] on their grids, put together.
pub(super) fn assemble(
    (grid, figures, values): (Grid, Vec<Labelled>, Vec<Labelled>),
    (fine, events): (Grid, &[Labelled]),
) -> GroupPast {
    let state = |series: &Labelled| series.label("state").unwrap_or_default().to_owned();
    let figures = figures.iter().map(|series| (state(series), grid.place(&series.points))).collect();
    let mut policies: BTreeMap<String, Values> = BTreeMap::new();
    for series in &values {
        let policy = policies.entry(series.label("policy").unwrap_or_default().to_owned()).or_default();
        let place = match series.label("of") {
            Some("min") => &mut policy.low,
            Some("max") => &mut policy.high,
            _ => &mut policy.mean,
        };
        *place = grid.place(&series.points);
    }
    let wanted = events.iter().find(|series| series.label("state").is_some());
    let wanted = wanted.map_or_else(|| vec![None; fine.count()], |series| fine.place(&series.points));
    let mut acts = Vec::new();
    let mut held = BTreeMap::new();
    for series in events {
        let points = fine.place(&series.points);
        match (series.label("action"), series.label("reason")) {
            (Some(action), _) => acts.extend(increases(&fine, &points, &wanted, action == "scale_out")),
            (_, Some(reason)) => {
                held.extend(lasting(&fine, &points, &wanted).map(|at| (reason.to_owned(), at)));
            }
            _ => {}
        }
    }
    acts.sort_by_key(|act| act.at);
    GroupPast { grid, figures, values: policies, acts, held }
}

/// Where a counter grew. A smaller value is that of a scaler that was started meanwhile.
fn increases(grid: &Grid, counter: &[Option<f64>], wanted: &[Option<f64>], is_out: bool) -> Vec<Act> {
    let mut before: Option<f64> = None;
    let mut acts = Vec::new();
    for (place, value) in counter.iter().enumerate().filter_map(|(place, value)| Some((place, (*value)?))) {
        let grown = before.map_or(0.0, |before| if value < before { value } else { value - before });
        before = Some(value);
        if grown >= 1.0 {
            let pair = place.checked_sub(1).and_then(|last| Some((wanted[last]?, wanted[place]?)));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "one or more, and whole"
            )]
            let count = grown as u64;
            acts.push(Act { at: grid.at(place), is_out, count, wanted: pair });
        }
    }
    acts
}

/// Since when a reason has held without a break up to now. Where the scaler reported nothing at all, it is taken to have
/// held on.
fn lasting(grid: &Grid, reason: &[Option<f64>], reported: &[Option<f64>]) -> Option<Since> {
    let newest = reported.iter().rposition(Option::is_some)?;
    reason[newest]?;
    let ended = (0..newest).rev().find(|&place| reported[place].is_some() && reason[place].is_none());
    let first = reason.iter().skip(ended.map_or(0, |ended| ended + 1)).position(Option::is_some)?;
    let first = first + ended.map_or(0, |ended| ended + 1);
    Some(Since { at: grid.at(first), or_earlier: ended.is_none() })
}

/// The answer to [`wanted`].
pub(super) fn by_group(grid: &Grid, answer: &[Labelled]) -> BTreeMap<GroupKey, Vec<Option<f64>>> {
    let label = |series: &Labelled, name: &str| series.label(name).unwrap_or_default().to_owned();
    let key = |series: &Labelled| GroupKey {
        fleet: label(series, "fleet"),
        region: label(series, "region"),
        asg: label(series, "asg"),
    };
    answer.iter().map(|series| (key(series), grid.place(&series.points))).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observe::Labels;

    fn grid() -> Grid {
        Grid::new(Duration::from_mins(1), 4, Time::from_unix(60))
    }

    fn series(labels: &[(&str, &str)], values: &[Option<f64>]) -> Labelled {
        let points =
            (0_u32..).zip(values).filter_map(|(place, value)| Some((f64::from(place) * 15.0, (*value)?)));
        Labelled { labels: labels.iter().copied().collect::<Labels>(), points: points.collect() }
    }

    /// The line of a group in an overview.
    pub(in crate::http::past) fn line(key: &GroupKey) -> Vec<Labelled> {
        let labels = [("fleet", key.fleet.as_str()), ("asg", &key.asg), ("region", &key.region)];
        vec![series(&labels, &[Some(3.0)])]
    }

    #[test]
    fn queries_are_promql_whatever_a_group_is_called() {
        let key =
            |asg: &str| GroupKey { fleet: "a\"b".to_owned(), region: "r".to_owned(), asg: asg.to_owned() };
        let group = key("pröd (1)\\|.*\n{x}");
        let queries = [
            figures(&group, &grid()),
            values(&group, &grid()),
            events(&group),
            wanted(&[group.clone(), key("other")], &grid()),
        ];
        for query in &queries {
            if let Err(error) = promql_parser::parser::parse(query) {
                panic!("{query}: {error}");
            }
        }
        insta::assert_snapshot!(queries[3], @r#"max by (fleet, asg, region) (last_over_time(jitsi_scaler_group_instances{state="wanted",asg=~"pröd\\x{20}\\x{28}1\\x{29}\\x{5c}\\x{7c}\\x{2e}\\x{2a}\\x{a}\\x{7b}x\\x{7d}|other"}[120s]))"#);
    }

    #[test]
    fn a_counter_tells_when_it_grew_and_forgets_nothing_at_a_restart() {
        let counter = [Some(5.0), Some(6.0), None, Some(1.0), Some(1.0)];
        let wanted = [Some(3.0), Some(4.0), None, Some(5.0), Some(5.0)];
        let acts = increases(&grid(), &counter, &wanted, true);
        let told: Vec<_> = acts.iter().map(|act| (act.at.unix(), act.count, act.wanted)).collect();
        assert_eq!(told, [(15, 1, Some((3.0, 4.0))), (45, 1, None)]);
    }

    #[test]
    fn a_reason_lasts_since_it_was_first_seen_without_a_break() {
        let always = [Some(3.0); 5];
        let on = |places: [bool; 5]| places.map(|on| on.then_some(1.0));
        let since = |places, reported: &[Option<f64>]| {
            lasting(&grid(), &on(places), reported).map(|it| (it.at.unix(), it.or_earlier))
        };
        assert_eq!(since([true, false, true, true, true], &always), Some((30, false)));
        assert_eq!(since([true, true, true, true, true], &always), Some((0, true)));
        assert_eq!(since([true, true, true, true, false], &always), None);
        // The scaler was restarted, and Prometheus has not seen its newest figures.
        let gaps = [Some(3.0), None, Some(3.0), Some(3.0), None];
        assert_eq!(since([false, false, true, true, false], &gaps), Some((30, false)));
        assert_eq!(since([true, false, true, true, false], &gaps), Some((0, true)));
    }

    #[test]
    fn answers_become_the_past_of_a_group() {
        let figures = vec![series(&[("state", "ready")], &[Some(3.0), None, Some(2.0), None, None])];
        let values = vec![
            series(&[("policy", "stress"), ("of", "avg")], &[Some(0.5)]),
            series(&[("policy", "stress"), ("of", "max")], &[Some(0.75)]),
        ];
        let events = [
            series(&[("action", "scale_in")], &[Some(0.0), Some(0.0), Some(2.0), Some(2.0), Some(2.0)]),
            series(&[("state", "wanted")], &[Some(4.0), Some(4.0), Some(2.0), Some(2.0), Some(2.0)]),
            series(&[("reason", "minimum")], &[None, None, None, Some(1.0), Some(1.0)]),
        ];
        let past = assemble((grid(), figures, values), (grid(), &events));
        assert!(past.is_known());
        assert_eq!(past.figures["ready"], [Some(3.0), None, Some(2.0), None, None]);
        assert_eq!((past.values["stress"].mean[0], past.values["stress"].high[0]), (Some(0.5), Some(0.75)));
        assert_eq!(
            past.acts,
            [Act { at: Time::from_unix(30), is_out: false, count: 2, wanted: Some((4.0, 2.0)) }]
        );
        assert_eq!(past.held["minimum"], Since { at: Time::from_unix(45), or_earlier: false });
        let none = assemble((grid(), Vec::new(), Vec::new()), (grid(), &[]));
        assert!(!none.is_known() && none.acts.is_empty());
    }
}
