//! The report as a page: one file, with charts, without scripts.

use std::sync::LazyLock;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::text::{averages, recommendation, settings};
use super::{DIRECTION, GroupReport, Names, Report, caveats, compare, lines, thousands};
use crate::backtest::figures::Figures;
use crate::backtest::replay::with_capacity;
use crate::backtest::run::{Level, Made};
use crate::backtest::tune::{Point, Tuned};
use crate::decide::policy::{Direction, Policy};
use crate::report::chart::{self, Band, Chart, Ink, Line};
use crate::report::humane;
use crate::units::Time;

/// In how many parts a chart shows a span.
const PARTS: usize = 240;
/// The most decisions of a group that are listed; JSON has all.
const LISTED: usize = 50;

static STYLE: LazyLock<String> = LazyLock::new(|| {
    let legend = [(Ink::Had, "had"), (Ink::Simulated, "own"), (Ink::Other, "other"), (Ink::Limit, "limit")];
    format!("{}{}{}", include_str!("report.css"), chart::legend(&legend), chart::dark())
});

impl Report<'_> {
    /// The report as a page.
    #[must_use]
    pub fn html(&self) -> String {
        let title = "Backtest";
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                    link rel="icon" href="data:,";
                    title { (title) " " (self.from) " to " (self.to) }
                    style { (PreEscaped(STYLE.as_str())) }
                }
                body {
                    header {
                        h1 { (title) }
                        p .soft { (self.from) " to " (self.to) ", UTC. " (explained(&self.names)) }
                    }
                    main {
                        (self.summary())
                        @if let Some(tuned) = &self.tuned { (front(tuned)) }
                        @for group in &self.groups { (self.group(group)) }
                        @if !self.left_out.is_empty() {
                            section {
                                h2 { "Left out" }
                                ul {
                                    @for left in &self.left_out {
                                        li { (left.fleet) " / " (left.asg) ": " (left.why) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        };
        page.into_string()
    }

    /// The answer first: what all groups together had and would have had.
    fn summary(&self) -> Markup {
        let Some(first) = self.groups.first() else {
            return html! { section { p { "History does not suffice for any group." } } };
        };
        let totals = self.totals().unwrap_or_else(|| {
            self.sides(first).into_iter().map(|side| (side.name, side.figures.clone())).collect()
        });
        html! {
            section {
                h2 {
                    @match self.groups.len() { 1 => { (first.title()) } count => { "All " (count) " groups" } }
                }
                @for sentence in verdicts(&totals, self.is_shortage_known()) { p .verdict { (sentence) } }
                (table(&totals, &self.names.currency))
            }
        }
    }

    fn group(&self, group: &GroupReport<'_>) -> Markup {
        let other = self.other(group);
        let sides: Vec<_> =
            self.sides(group).into_iter().map(|side| (side.name, side.figures.clone())).collect();
        let policies = &group.drawn.fleet.policy.policies;
        html! {
            section {
                @if self.groups.len() > 1 {
                    h2 { (group.title()) }
                    @for sentence in verdicts(&sides, group.trust.shortage_known) { p .verdict { (sentence) } }
                    (table(&sides, &self.names.currency))
                }
                figure {
                    figcaption {
                        "Instances that take new work"
                        (self.legend("recorded", other.is_some(), group.drawn.history.bounds.is_some().then_some("the group's bounds")))
                        span .soft { "▲ ▼ scale-outs and scale-ins of " (self.names.config) }
                    }
                    (drawing(&capacity(group, other), &format!(
                        "Instances that served in history and under {}: see the table of figures", self.names.config
                    )))
                }
                @for (place, policy) in policies.iter().enumerate() {
                    figure {
                        figcaption {
                            (policy.name)
                            (self.legend("recorded, least to most", other.is_some(), Some(&format!("{}: {}", self.names.config, limits(policy)))))
                        }
                        (drawing(&demand(group, other, place), &format!(
                            "The value of {} in history and as it would have been: see the decisions", policy.name
                        )))
                    }
                }
                @let own = caveats(&group.trust);
                @let others = other.map(|other| caveats(&other.trust)).unwrap_or_default();
                @if !own.is_empty() || !others.is_empty() {
                    h3 { "How far to trust this" }
                    @if group.trust.is_low() || other.is_some_and(|other| other.trust.is_low()) { p .verdict { (DIRECTION) } }
                    ul {
                        @for caveat in &own { li { (caveat) } }
                        @for caveat in others.iter().filter(|caveat| !own.contains(caveat)) {
                            li { (self.names.against) ": " (caveat) }
                        }
                    }
                }
                (decisions(&self.names.config, &group.decisions))
                @if let Some(other) = other { (decisions(&self.names.against, &other.decisions)) }
            }
        }
    }

    fn legend(&self, recorded: &str, compares: bool, limit: Option<&str>) -> Markup {
        html! {
            ul .legend {
                li .had { (recorded) }
                li .own { (self.names.config) }
                @if compares { li .other { (self.names.against) } }
                @if let Some(limit) = limit { li .limit { (limit) } }
            }
        }
    }
}

fn explained(names: &Names) -> Markup {
    html! {
        "“Recorded” is what there was; "
        @if names.against.is_empty() { "the other column is" } @else { "the other columns are" }
        " what would have been. A group is short while a policy of " (names.config)
        " would scale out with the instances of the column. The same conditions measure every column, so a configuration "
        "that scales out earlier is short for less."
    }
}

/// What to make of the figures: each column beside the one before it.
fn verdicts(sides: &[(&str, Figures)], shortage_known: bool) -> Vec<String> {
    sides
        .windows(2)
        .map(|pair| compare((pair[0].0, &pair[0].1), (pair[1].0, &pair[1].1), shortage_known))
        .collect()
}

fn table(sides: &[(&str, Figures)], currency: &str) -> Markup {
    let figures: Vec<_> = sides.iter().map(|(_, figures)| figures).collect();
    html! {
        div .wide {
            table {
                thead { tr { th {} @for (name, _) in sides { th scope="col" { (name) } } } }
                tbody {
                    @for (name, cells) in lines(&figures, currency) {
                        tr { th scope="row" { (name) } @for cell in cells { td { (cell) } } }
                    }
                }
            }
        }
    }
}

/// A chart, which tells a screen reader where its figures are.
fn drawing(chart: &Chart, alternative: &str) -> Markup {
    html! { div .wide role="img" aria-label=(alternative) { (PreEscaped(chart.svg())) } }
}

fn capacity(group: &GroupReport<'_>, other: Option<&GroupReport<'_>>) -> Chart {
    let span = group.drawn.span;
    let line = |ink, width, levels: &[Level], of: fn(&Level) -> Option<f64>| Line {
        ink,
        width,
        points: timed(group, averages(levels, span, PARTS, of)),
    };
    let simulated = |level: &Level| Some(f64::from(level.simulated));
    let mut lines = vec![line(Ink::Had, 2, &group.capacity, |level| level.had)];
    lines.extend(other.map(|other| line(Ink::Other, 2, &other.capacity, simulated)));
    lines.push(line(Ink::Simulated, 2, &group.capacity, simulated));
    let bounds = group.drawn.history.bounds;
    let marks = group
        .decisions
        .iter()
        .filter_map(|made| Some((Time::parse(&made.time)?, made.action == "scale_out")));
    Chart {
        time: span.from..span.to,
        bands: Vec::new(),
        lines,
        limits: bounds.map(|(min, max)| vec![f64::from(min.get()), f64::from(max.get())]).unwrap_or_default(),
        marks: spaced(group, marks.collect()),
    }
}

/// The marks that can be told apart: one of each kind in each part of the chart.
fn spaced(group: &GroupReport<'_>, marks: Vec<(Time, bool)>) -> Vec<(Time, bool)> {
    let span = group.drawn.span;
    let part = (span.to.since(span.from).as_secs() / PARTS as u64).max(1);
    let mut marks = marks;
    marks.sort_by_key(|(at, is_out)| (*is_out, *at));
    marks.dedup_by_key(|(at, is_out)| (*is_out, at.since(span.from).as_secs() / part));
    marks
}

/// Values at the middles of equal parts of the span.
fn timed<V>(group: &GroupReport<'_>, values: Vec<Option<V>>) -> Vec<(f64, Option<V>)> {
    let span = group.drawn.span;
    let length = span.to.since(span.from).as_secs_f64() / values.len().max(1) as f64;
    let from = span.from.unix() as f64;
    (0_u32..).zip(values).map(|(place, value)| (from + length * (f64::from(place) + 0.5), value)).collect()
}

/// The value of a policy: the range in history, and the averages that each configuration would have read.
fn demand(group: &GroupReport<'_>, other: Option<&GroupReport<'_>>, place: usize) -> Chart {
    let span = group.drawn.span;
    let policy = &group.drawn.fleet.policy.policies[place];
    let column = &group.drawn.history.series[place];
    let from = span.from.unix() as f64;
    let length = (span.to.unix() as f64 + 1.0 - from) / PARTS as f64;
    let part_of = |at: Time| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the place of a part")]
        let part = ((at.unix() as f64 - from) / length) as usize;
        part.min(PARTS - 1)
    };
    let known = || column.known().filter(|(at, _)| *at >= span.from && *at <= span.to);
    let mut ranges: Vec<Option<(f64, f64)>> = vec![None; PARTS];
    for (at, value) in known() {
        let range = ranges[part_of(at)].get_or_insert((value, value));
        *range = (range.0.min(value), range.1.max(value));
    }
    let simulated = |levels: &[Level], ink| {
        let mut sums = vec![(0.0, 0_u32); PARTS];
        let mut levels = levels.iter().peekable();
        let mut current: Option<&Level> = None;
        for (at, value) in known() {
            while let Some(level) = levels.next_if(|level| level.at <= at) {
                current = Some(level);
            }
            let Some(level) = current else { continue };
            if let Some(value) = with_capacity(policy, value, level.had, f64::from(level.simulated)) {
                let sum = &mut sums[part_of(at)];
                *sum = (sum.0 + value, sum.1 + 1);
            }
        }
        let averages = sums.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)));
        Line { ink, width: 2, points: timed(group, averages.collect()) }
    };
    let mut lines = Vec::new();
    lines.extend(other.map(|other| simulated(&other.capacity, Ink::Other)));
    lines.push(simulated(&group.capacity, Ink::Simulated));
    Chart {
        time: span.from..span.to,
        bands: vec![Band { ink: Ink::Had, points: timed(group, ranges) }],
        lines,
        limits: thresholds(policy).into_iter().map(|(_, limit)| limit).collect(),
        marks: Vec::new(),
    }
}

fn thresholds(policy: &Policy) -> Vec<(Direction, f64)> {
    let rules = [Direction::Out, Direction::In]
        .map(|direction| Some((direction, policy.rule(direction)?.when.threshold())));
    rules.into_iter().flatten().collect()
}

/// What the limits of a policy are.
fn limits(policy: &Policy) -> String {
    let texts =
        thresholds(policy).into_iter().map(|(direction, limit)| format!("{direction} at {}", humane(limit)));
    texts.collect::<Vec<_>>().join(", ")
}

fn decisions(name: &str, decisions: &[Made]) -> Markup {
    html! {
        details {
            summary { (name) ": " (decisions.len()) " decisions" }
            @if decisions.len() > LISTED { p .soft { "The first " (LISTED) " are listed; --output json has all." } }
            div .wide {
                table {
                    thead { tr { th { "When" } th { "From" } th { "To" } th { "Why" } } }
                    tbody {
                        @for made in decisions.iter().take(LISTED) {
                            tr { td { (made.time) } td { (made.from) } td { (made.to) } td .why { (made.why) } }
                        }
                    }
                }
            }
        }
    }
}

/// What a search found: the front as a table and as points.
fn front(tuned: &Tuned) -> Markup {
    let has_present = tuned.front.iter().any(|point| point.present);
    let points: Vec<&Point> = tuned.front.iter().chain((!has_present).then_some(&tuned.present)).collect();
    html! {
        section {
            h2 { "Which values are best" }
            @for line in recommendation(tuned).lines() { p .verdict { (line.trim()) } }
            p .soft {
                (thousands(tuned.tried as f64)) " combinations were tried"
                @if tuned.refused > 0 { ", " (tuned.refused) " more were left out because check would refuse them" }
                @if tuned.left > 0 { ", " (tuned.left) " were not tried because it was interrupted" }
                ". No combination is cheaper than one of these without being short for longer."
            }
            (scatter(&points))
            div .wide {
                table {
                    thead { tr { th { "Values" } th { "Instance-hours" } th { "Minutes short" } } }
                    tbody {
                        @for point in points {
                            tr {
                                td .why {
                                    @if point.set.is_empty() { "the configuration as it is" } @else { (settings(point)) }
                                    @if point.present { " (present)" }
                                }
                                td { (thousands(point.instance_hours)) }
                                td { (thousands(point.minutes_short)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The points, from cheap to dear and from short to not short. Drawn by hand: a dot has no time.
fn scatter(points: &[&Point]) -> Markup {
    let range = |of: fn(&Point) -> f64| {
        let least = points.iter().map(|point| of(point)).fold(f64::INFINITY, f64::min);
        let most = points.iter().map(|point| of(point)).fold(f64::NEG_INFINITY, f64::max);
        (least, if most > least { most - least } else { 1.0 })
    };
    let (hours, short) = (range(|point| point.instance_hours), range(|point| point.minutes_short));
    let place = |point: &Point| {
        let x = 60.0 + 660.0 * (point.instance_hours - hours.0) / hours.1;
        let y = 190.0 - 160.0 * (point.minutes_short - short.0) / short.1;
        (format!("{x:.0}"), format!("{y:.0}"))
    };
    let axis = Ink::Axis.css().to_uppercase();
    html! {
        div .wide role="img" aria-label="Instance-hours against minutes short: the table below has the figures" {
            svg viewBox="0 0 760 230" xmlns="http://www.w3.org/2000/svg" {
                path d="M50 20V200H730" fill="none" stroke=(axis) {}
                text x="390" y="224" font-size="14" text-anchor="middle" fill=(axis) {
                    "instance-hours, " (thousands(hours.0)) " to " (thousands(hours.0 + hours.1))
                }
                text x="56" y="16" font-size="14" fill=(axis) {
                    "minutes short, " (thousands(short.0)) " to " (thousands(short.0 + short.1))
                }
                @for point in points {
                    @let (x, y) = place(point);
                    @let (ink, size) = if point.present { (Ink::Out, "7") } else { (Ink::Simulated, "5") };
                    circle cx=(x) cy=(y) r=(size) fill=(ink.css().to_uppercase()) {}
                    @if point.present { text x=(x) y=(y) dy="-10" font-size="14" text-anchor="middle" fill=(axis) { "present" } }
                }
            }
        }
    }
}
