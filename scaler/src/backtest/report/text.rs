//! The report for a terminal.

use super::{DIRECTION, GroupReport, Report, caveats, compare, lines, percent, thousands};
use crate::backtest::run::{Level, Span};
use crate::backtest::tune::{Point, Tuned};
use crate::units::Time;

/// How wide a sparkline is.
const WIDTH: usize = 72;
/// From almost nothing to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The most points of a front that are listed.
const LISTED: usize = 15;

impl Report<'_> {
    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} to {}; short: a condition of {} for scaling out holds\n",
            self.from, self.to, self.names.config
        );
        for group in &self.groups {
            text.push_str(&format!("\n{}\n", group.title()));
            let sides = self.sides(group);
            let names: Vec<&str> = sides.iter().map(|side| side.name).collect();
            let figures: Vec<_> = sides.iter().map(|side| side.figures).collect();
            text.push_str(&table(&names, &lines(&figures, &self.names.currency)));
            for pair in sides.windows(2) {
                let [one, other] = [&pair[0], &pair[1]];
                let sentence =
                    compare((one.name, one.figures), (other.name, other.figures), group.trust.shortage_known);
                text.push_str(&format!("  {sentence}\n"));
            }
            text.push_str(&self.sparklines(group));
            if group.trust.is_low() || self.other(group).is_some_and(|other| other.trust.is_low()) {
                text.push_str(&format!("  {DIRECTION}\n"));
            }
            let own = caveats(&group.trust);
            for caveat in &own {
                text.push_str(&format!("  trust: {caveat}\n"));
            }
            // What is said of both configurations is said once.
            for caveat in self.other(group).map(|other| caveats(&other.trust)).unwrap_or_default() {
                if !own.contains(&caveat) {
                    text.push_str(&format!("  trust of {}: {caveat}\n", self.names.against));
                }
            }
        }
        if let Some(totals) = self.totals() {
            let names: Vec<&str> = totals.iter().map(|(name, _)| *name).collect();
            let figures: Vec<_> = totals.iter().map(|(_, figures)| figures).collect();
            text.push_str(&format!("\nall {} groups\n", self.groups.len()));
            text.push_str(&table(&names, &lines(&figures, &self.names.currency)));
        }
        if let Some(tuned) = &self.tuned {
            text.push_str(&front(tuned));
        }
        text
    }

    fn sparklines(&self, group: &GroupReport<'_>) -> String {
        let span = group.drawn.span;
        let other = self.other(group);
        let levels = |of: fn(&Level) -> Option<f64>, levels: &[Level]| averages(levels, span, WIDTH, of);
        let simulated = |level: &Level| Some(f64::from(level.simulated));
        let mut all = vec![
            ("recorded", levels(|level| level.had, &group.capacity)),
            (self.names.config.as_str(), levels(simulated, &group.capacity)),
        ];
        all.extend(other.map(|other| (self.names.against.as_str(), levels(simulated, &other.capacity))));
        let most = all
            .iter()
            .flat_map(|(_, averages)| averages.iter().flatten())
            .fold(0.0_f64, |most, it| most.max(*it));
        let width = all.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let line = |(name, averages): &(&str, Vec<Option<f64>>)| {
            let bars: String =
                averages.iter().map(|average| average.map_or(' ', |it| bar(it, most))).collect();
            format!("  {name:width$}  {bars}\n")
        };
        all.iter().map(line).collect::<String>()
            + &format!("  {:width$}  0 to {} instances\n", "", thousands(most))
    }
}

fn bar(value: f64, most: f64) -> char {
    let share = if most > 0.0 { value / most } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 7")]
    let place = (share.clamp(0.0, 1.0) * 7.0).round() as usize;
    BARS[place]
}

/// The averages of a level that changes, over equal parts of a span. `None` for a part of which nothing is known.
pub(super) fn averages(
    levels: &[Level],
    span: Span,
    parts: usize,
    of: impl Fn(&Level) -> Option<f64>,
) -> Vec<Option<f64>> {
    let from = span.from.unix() as f64;
    let length = (span.to.unix() as f64 + 1.0 - from) / parts as f64;
    let mut sums = vec![(0.0, 0.0); parts];
    let ends = levels.iter().skip(1).map(|level| level.at).chain([Time::from_unix(span.to.unix() + 1)]);
    for (level, end) in levels.iter().zip(ends) {
        let Some(value) = of(level) else { continue };
        let (start, end) = (level.at.unix() as f64 - from, end.unix() as f64 - from);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places of parts")]
        let (first, last) = ((start / length).max(0.0) as usize, (end / length).max(0.0) as usize);
        for (part, (sum, weight)) in sums.iter_mut().enumerate().take(last + 1).skip(first) {
            let (begins, ends) = (part as f64 * length, (part + 1) as f64 * length);
            let inside = (end.min(ends) - start.max(begins)).max(0.0);
            *sum += value * inside;
            *weight += inside;
        }
    }
    sums.into_iter().map(|(sum, weight)| (weight > 0.0).then(|| sum / weight)).collect()
}

/// A table whose first column is aligned to the left and whose others are to the right.
fn table(names: &[&str], lines: &[(String, Vec<String>)]) -> String {
    let first = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = lines.iter().map(|(_, cells)| cells[column].chars().count());
        cells.chain([names[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let row = |name: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: String = cells.zip(&widths).map(|(cell, width)| format!("  {cell:>width$}")).collect();
        format!("  {name:first$}{cells}").trim_end().to_owned() + "\n"
    };
    let mut text = row("", &mut names.iter().copied());
    for (name, cells) in lines {
        text.push_str(&row(name, &mut cells.iter().map(String::as_str)));
    }
    text
}

/// What a search found.
fn front(tuned: &Tuned) -> String {
    let mut text =
        format!("\nof {} combinations, those that no other beats, and the present one\n", tuned.tried);
    let present = (!tuned.front.iter().any(|point| point.present)).then_some(&tuned.present);
    let step = tuned.front.len().div_ceil(LISTED).max(1);
    let last = tuned.front.len().saturating_sub(1);
    let is_shown = |(place, point): &(usize, &Point)| place % step == 0 || *place == last || point.present;
    let shown = tuned.front.iter().enumerate().filter(is_shown).map(|(_, point)| point).chain(present);
    let cells = |point: &Point| {
        let mark = if point.present { "present" } else { "" };
        let name =
            if point.set.is_empty() { "the configuration as it is".to_owned() } else { settings(point) };
        (name, vec![thousands(point.instance_hours), thousands(point.minutes_short), mark.to_owned()])
    };
    let lines: Vec<_> = shown.map(cells).collect();
    text.push_str(&table(&["instance-hours", "minutes short", ""], &lines));
    if step > 1 {
        text.push_str(&format!(
            "  one in {step} of {} is shown; JSON and HTML have all\n",
            tuned.front.len()
        ));
    }
    if tuned.refused > 0 {
        text.push_str(&format!("  {} combinations were left out: check would refuse them\n", tuned.refused));
    }
    if tuned.left > 0 {
        text.push_str(&format!("  {} combinations were not tried: it was interrupted\n", tuned.left));
    }
    text.push('\n');
    text.push_str(&recommendation(tuned));
    text
}

pub(super) fn settings(point: &Point) -> String {
    point.set.iter().map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
}

/// What to change, in lines.
pub(super) fn recommendation(tuned: &Tuned) -> String {
    let Some(recommended) = &tuned.recommended else {
        return "recommended: no change; no combination saves half a percent in one respect and is as good in the other\n"
            .to_owned();
    };
    let mut text = "recommended\n".to_owned();
    for (key, value) in &recommended.set {
        text.push_str(&format!("  {key}: {value}\n"));
    }
    let saves = recommended.saves;
    let share = if tuned.present.instance_hours > 0.0 {
        saves.instance_hours / tuned.present.instance_hours
    } else {
        0.0
    };
    text.push_str(&match saves.minutes_short {
        0.0 => format!(
            "  would have saved {} instance-hours ({}) with as many minutes short\n",
            thousands(saves.instance_hours),
            percent(share)
        ),
        minutes => format!(
            "  would have saved {} instance-hours ({}) and {} minutes short\n",
            thousands(saves.instance_hours),
            percent(share),
            thousands(minutes)
        ),
    });
    text
}
