//! The charts of a group, each with its figures as a table, and the lines of the overview.

use maud::{Markup, PreEscaped, html};

use super::policies::value;
use super::table::table;
use super::times::written;
use crate::config::link::encoded;
use crate::http::past::{Grid, GroupPast, Span, Values};
use crate::report::chart::{Band, Chart, Ink, Line};
use crate::report::{GroupStatus, PolicyReport, humane};
use crate::units::Time;

/// How many rows the table of a chart has.
const ROWS: usize = 24;
/// The size of a line of the overview.
const LINE: (f64, f64) = (120.0, 24.0);

/// The lines of the chart of instances: the state, its words and its ink.
const FIGURES: [(&str, &str, Ink); 5] = [
    ("desired", "desired", Ink::Simulated),
    ("ready", "ready", Ink::In),
    ("draining", "draining", Ink::Other),
    ("min", "minimum", Ink::Limit),
    ("max", "maximum", Ink::Limit),
];

/// The links to the spans of time.
pub(super) fn spans(it: &GroupStatus, shown: Span) -> Markup {
    html! {
        nav .spans aria-label="How far back" {
            @for span in Span::ALL {
                a href=(format!("?region={}&range={}", encoded(&it.region), span.as_str())) aria-current=[(span == shown).then_some("true")] {
                    (span.as_str())
                }
            }
        }
    }
}

/// The charts, or why there is none. Without `draws` a place for those that the page already has.
pub(super) fn charts(
    it: &GroupStatus,
    past: Result<&GroupPast, &str>,
    (span, draws): (Span, bool),
    (marks, now): (Vec<(Time, bool)>, Time),
) -> Markup {
    html! {
        div .head { h3 { "The last " (span.text()) } (spans(it, span)) }
        @match past {
            Err(why) => p .note role="status" data-key="no-past" {
                "⚠ " (why) "; the figures on this page are those of the last evaluation."
            },
            Ok(past) if !past.is_known() => p data-key="no-past" {
                "No history: let Prometheus scrape the scaler, whose metrics the first page links to."
            },
            Ok(_) if !draws => div data-key="charts" data-keep {},
            Ok(past) => div data-key="charts" {
                (instances(past, span, marks, now))
                @for (name, policy) in it.policies.iter() {
                    @if let Some(values) = past.values.get(name) { (self::policy(name, policy, (past, values), now)) }
                }
            },
        }
    }
}

fn timed<V: Copy>(grid: &Grid, values: &[Option<V>]) -> Vec<(f64, Option<V>)> {
    values.iter().enumerate().map(|(place, value)| (grid.at(place).unix() as f64, *value)).collect()
}

fn line(grid: &Grid, ink: Ink, width: u32, values: &[Option<f64>]) -> Line {
    Line { ink, width, points: timed(grid, values) }
}

/// The smallest and the largest value, and the newest, in words.
fn range(values: &[Option<f64>], unit: impl Fn(f64) -> String) -> String {
    let known = || values.iter().flatten().copied();
    let (low, high) =
        known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| (low.min(it), high.max(it)));
    let Some(newest) = known().last() else { return "unknown".to_owned() };
    format!("{} to {}, now {}", unit(low), unit(high), unit(newest))
}

fn instances(past: &GroupPast, span: Span, mut marks: Vec<(Time, bool)>, now: Time) -> Markup {
    let grid = &past.grid;
    let known: Vec<_> = FIGURES
        .iter()
        .filter_map(|(state, words, ink)| Some((*state, *words, *ink, past.figures.get(*state)?)))
        .collect();
    let area = |values: &[Option<f64>]| -> Vec<(f64, Option<(f64, f64)>)> {
        timed(grid, &values.iter().map(|value| value.map(|value| (0.0, value))).collect::<Vec<_>>())
    };
    // One mark of each kind for each part of the chart: more cannot be told apart.
    marks.sort_by_key(|(at, is_out)| (*is_out, *at));
    marks.dedup_by_key(|(at, is_out)| (*is_out, at.floor(grid.step)));
    let width = |state: &str| if matches!(state, "min" | "max") { 1 } else { 2 };
    let chart = Chart {
        time: grid.start..grid.end.max(now),
        bands: past
            .figures
            .get("ready")
            .map(|ready| Band { ink: Ink::In, points: area(ready) })
            .into_iter()
            .collect(),
        lines: known.iter().map(|(state, _, ink, values)| line(grid, *ink, width(state), values)).collect(),
        limits: Vec::new(),
        marks,
    };
    let unit = |value: f64| humane(value);
    let told: Vec<String> =
        known.iter().map(|(_, words, _, values)| format!("{words} {}", range(values, unit))).collect();
    let alternative = format!("Instances in the last {}: {}", span.text(), told.join("; "));
    let columns: Vec<_> = known.iter().map(|(_, words, _, values)| (*words, values.as_slice())).collect();
    html! {
        figure {
            figcaption { "Instances"
                ul .legend {
                    @for (_, words, ink, _) in &known { @if *words != "maximum" { li .(class(*ink)) { @if *words == "minimum" { "bounds" } @else { (words) } } } }
                    li { "▲ scale-out, ▼ scale-in" }
                }
            }
            (drawing(&chart, &alternative))
            (figures("Instances as a table", grid, &columns, unit, now))
        }
    }
}

fn policy(name: &str, policy: &PolicyReport, (past, values): (&GroupPast, &Values), now: Time) -> Markup {
    let grid = &past.grid;
    let thresholds = [("more", &policy.scale_out), ("fewer", &policy.scale_in)]
        .into_iter()
        .filter_map(|(word, rule)| Some((word, rule.as_ref()?.threshold?)));
    let thresholds: Vec<_> = thresholds.collect();
    let band: Vec<_> =
        values.low.iter().zip(&values.high).map(|(low, high)| Some(((*low)?, (*high)?))).collect();
    let unit = |number: f64| value(policy, number);
    let chart = Chart {
        time: grid.start..grid.end.max(now),
        bands: vec![Band { ink: Ink::Had, points: timed(grid, &band) }],
        lines: vec![line(grid, Ink::Simulated, 2, &values.mean)],
        limits: thresholds.iter().map(|(_, threshold)| *threshold).collect(),
        marks: Vec::new(),
    };
    let limits: Vec<String> =
        thresholds.iter().map(|(word, threshold)| format!("wants {word} at {}", unit(*threshold))).collect();
    let limits = limits.join(", ");
    let alternative = format!("{name}: {}; {limits}", range(&values.mean, unit));
    let columns: [(&str, &[Option<f64>]); 3] =
        [("lowest", &values.low), ("mean", &values.mean), ("highest", &values.high)];
    html! {
        figure {
            figcaption { "Policy " (name)
                ul .legend {
                    li .own { "mean" } li .had { "lowest to highest" }
                    @if !limits.is_empty() { li .limit { (limits) } }
                }
            }
            (drawing(&chart, &alternative))
            (figures(&format!("{name} as a table"), grid, &columns, unit, now))
        }
    }
}

/// The class of an ink in a legend.
fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Simulated => "own",
        Ink::In => "ready",
        Ink::Other => "other",
        Ink::Limit => "limit",
        _ => "had",
    }
}

/// The inks of legends, by their classes.
pub(super) const LEGEND: [(Ink, &str); 5] = [
    (Ink::Had, "had"),
    (Ink::Simulated, "own"),
    (Ink::Other, "other"),
    (Ink::Limit, "limit"),
    (Ink::In, "ready"),
];

/// A chart, with what it shows in words for those who do not see it.
fn drawing(chart: &Chart, alternative: &str) -> Markup {
    html! { div .wide .chart role="img" aria-label=(alternative) { (PreEscaped(chart.svg())) } }
}

/// What a chart shows, as a table of some of its moments.
fn figures(
    title: &str,
    grid: &Grid,
    columns: &[(&str, &[Option<f64>])],
    unit: impl Fn(f64) -> String,
    now: Time,
) -> Markup {
    let count = columns.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let step = count.div_ceil(ROWS).max(1);
    let places = (0..count).rev().step_by(step);
    let heads: Vec<&str> = std::iter::once("Time").chain(columns.iter().map(|(name, _)| *name)).collect();
    let rows = html! {
        @for place in places {
            tr {
                th scope="row" { (written(grid.at(place), now)) }
                @for (_, values) in columns {
                    td { (values.get(place).copied().flatten().map_or_else(|| "unknown".to_owned(), &unit)) }
                }
            }
        }
    };
    html! { details id=(title) { summary { (title) } (table(Some("figures"), &heads, &rows)) } }
}

/// A line of the overview: how a value went, without axes.
pub(super) fn spark(values: &[Option<f64>]) -> Markup {
    let highest = values.iter().flatten().fold(1.0_f64, |highest, value| highest.max(*value));
    let (width, height) = LINE;
    let step = width / (values.len().max(2) - 1) as f64;
    let mut path = String::new();
    let mut draws = false;
    for (place, value) in values.iter().enumerate() {
        if let Some(value) = value {
            let (x, y) = (place as f64 * step, height - 2.0 - (height - 4.0) * value.max(0.0) / highest);
            path.push_str(&format!("{}{x:.0} {y:.0}", if draws { "L" } else { "M" }));
        }
        draws = value.is_some();
    }
    html! {
        @if path.is_empty() { small { "no history" } } @else {
            svg .spark viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(range(values, humane)) {
                path d=(path) fill="none" stroke=(Ink::Simulated.css().to_uppercase()) stroke-width="2" {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn now() -> Time {
        Time::parse("2026-11-20T07:00:10Z").expect("a time")
    }

    fn past(known: bool) -> GroupPast {
        let grid = Span::Day.grid(now());
        let values: Vec<Option<f64>> =
            (0..241_u32).map(|place| (place > 100).then(|| f64::from(place % 7))).collect();
        let of = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), values.clone())).collect();
        let policy = Values { low: values.clone(), mean: values.clone(), high: values.clone() };
        GroupPast {
            grid,
            figures: if known { of(&["desired", "ready", "draining", "min", "max"]) } else { [].into() },
            values: [("stress".to_owned(), policy)].into(),
            acts: Vec::new(),
            held: [].into(),
        }
    }

    fn drawn(past: Result<&GroupPast, &str>, draws: bool) -> String {
        let marks = vec![(Time::from_unix(now().unix() - 3600), true)];
        charts(&sample::group(), past, (Span::Day, draws), (marks, now())).into_string()
    }

    #[test]
    fn a_chart_has_words_a_table_and_bounded_size() {
        let page = drawn(Ok(&past(true)), true);
        for text in [
            "The last 24 hours",
            r#"href="?region=us-east-1&amp;range=7d""#,
            r#"aria-label="Instances in the last 24 hours: desired 0 to 6, now 2; ready 0 to 6, now 2;"#,
            r#"aria-label="stress: 0 to 6, now 2; wants more at 0.6, wants fewer at 0.2""#,
            "Instances as a table",
            "stress as a table",
            "<td>unknown</td>",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert_eq!(page.matches("<svg").count(), 2);
        assert!(page.len() < 80_000 && !page.contains("style="), "{}", page.len());
    }

    #[test]
    fn what_is_not_known_is_said() {
        let hangs = drawn(Err("Prometheus did not answer in 2 s"), true);
        let told =
            "Prometheus did not answer in 2 s; the figures on this page are those of the last evaluation.";
        assert!(hangs.contains(told) && !hangs.contains("<svg"), "{hangs}");
        let none = drawn(Ok(&past(false)), true);
        assert!(none.contains("No history: let Prometheus scrape the scaler"), "{none}");
        let kept = drawn(Ok(&past(true)), false);
        assert!(kept.contains("data-keep") && !kept.contains("<svg"), "{kept}");
    }

    #[test]
    fn a_line_has_gaps_and_words() {
        let page = spark(&[Some(0.0), Some(4.0), None, Some(2.0), Some(2.0)]).into_string();
        assert!(page.contains(r#"d="M0 22L30 2M90 12L120 12""#), "{page}");
        assert!(page.contains(r#"aria-label="0 to 4, now 2""#), "{page}");
        assert!(spark(&[None, None]).into_string().contains("no history"));
    }
}
