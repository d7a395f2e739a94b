//! What a backtest found, as text, JSON or a page.

mod html;
mod text;

use serde::{Serialize, Serializer};

use super::figures::Figures;
use super::run::{GroupHistory, Level, Made, Outcome, Span, Trust};
use super::tune::Tuned;
use crate::config::Fleet;

/// What a backtest found.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The first moment of history.
    pub from: String,
    /// Its last moment.
    pub to: String,
    /// Each group under the configuration.
    pub groups: Vec<GroupReport<'a>>,
    /// Each group under the configuration that it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Vec<GroupReport<'a>>>,
    /// What came of a search.
    #[serde(flatten)]
    pub tuned: Option<Tuned>,
    /// Groups that could not be replayed.
    pub left_out: Vec<LeftOut>,
    /// What it is called by.
    #[serde(skip)]
    pub names: Names,
}

/// What a report calls things.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The configuration's file.
    pub config: String,
    /// The file that it is compared with.
    pub against: String,
    /// What costs are in.
    pub currency: String,
}

/// A group under a configuration.
#[derive(Debug, Serialize)]
pub struct GroupReport<'a> {
    /// Its fleet.
    pub fleet: String,
    /// Its name.
    pub asg: String,
    /// Its region, where it is known.
    pub region: Option<String>,
    /// What it cost and lacked.
    pub had: Figures,
    /// What it would have cost and lacked.
    pub simulated: Figures,
    /// How far to trust that.
    pub trust: Trust,
    /// The decisions that would have changed something.
    pub decisions: Vec<Made>,
    /// The capacity, at each moment at which it changed.
    #[serde(serialize_with = "capacity")]
    pub capacity: Vec<Level>,
    /// What charts are drawn from.
    #[serde(skip)]
    pub drawn: Drawn<'a>,
}

/// What a group was replayed with.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// Its fleet.
    pub fleet: &'a Fleet,
    /// Its past.
    pub history: &'a GroupHistory,
    /// What was replayed.
    pub span: Span,
}

/// A group that could not be replayed.
#[derive(Clone, Debug, Serialize)]
pub struct LeftOut {
    /// Its fleet.
    pub fleet: String,
    /// Its name; empty where no group of the fleet was found.
    pub asg: String,
    /// What is missing.
    pub why: String,
}

impl<'a> GroupReport<'a> {
    /// The report of one group.
    #[must_use]
    pub fn new(had: Figures, outcome: Outcome, drawn: Drawn<'a>) -> Self {
        let Drawn { fleet, history, .. } = drawn;
        Self {
            fleet: fleet.name.to_string(),
            asg: history.name.to_string(),
            region: history.region.as_ref().map(ToString::to_string),
            had,
            simulated: outcome.simulated,
            trust: outcome.trust,
            decisions: outcome.decisions,
            capacity: outcome.levels,
            drawn,
        }
    }

    fn title(&self) -> String {
        let place = self.region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
        format!("{} / {}{place}", self.fleet, self.asg)
    }
}

fn capacity<S: Serializer>(levels: &[Level], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct At {
        time: String,
        had: Option<f64>,
        simulated: u32,
        wanted: u32,
    }
    serializer.collect_seq(levels.iter().map(|level| At {
        time: level.at.to_string(),
        had: level.had,
        simulated: level.simulated,
        wanted: level.wanted,
    }))
}

/// A column of figures.
struct Side<'r> {
    name: &'r str,
    figures: &'r Figures,
}

impl Report<'_> {
    /// The report of the other configuration on the same group.
    fn other(&self, group: &GroupReport<'_>) -> Option<&GroupReport<'_>> {
        // Both lists have the same groups in the same order.
        let place = self.groups.iter().position(|own| std::ptr::eq(own, group))?;
        self.against.as_ref()?.get(place)
    }

    /// What stands side by side for a group.
    fn sides<'r>(&'r self, group: &'r GroupReport<'_>) -> Vec<Side<'r>> {
        let mut sides = vec![
            Side { name: "recorded", figures: &group.had },
            Side { name: &self.names.config, figures: &group.simulated },
        ];
        sides.extend(
            self.other(group).map(|other| Side { name: &self.names.against, figures: &other.simulated }),
        );
        sides
    }

    /// Whether any group has a condition that says when it is short.
    fn is_shortage_known(&self) -> bool {
        self.groups.iter().any(|group| group.trust.shortage_known)
    }

    /// All groups together, side by side. `None` for a single group.
    fn totals(&self) -> Option<Vec<(&str, Figures)>> {
        if self.groups.len() < 2 {
            return None;
        }
        let simulated =
            |groups: &[GroupReport<'_>]| Figures::sum(groups.iter().map(|group| &group.simulated));
        let mut totals = vec![
            ("recorded", Figures::sum(self.groups.iter().map(|group| &group.had))),
            (self.names.config.as_str(), simulated(&self.groups)),
        ];
        totals.extend(self.against.as_deref().map(|groups| (self.names.against.as_str(), simulated(groups))));
        Some(totals)
    }
}

/// The lines of a table of figures: the name of each line, and its figure on each side. A line without any known figure is
/// left out.
fn lines(sides: &[&Figures], currency: &str) -> Vec<(String, Vec<String>)> {
    /// What a line is called, its figure, and how that is written.
    type Line = (String, fn(&Figures) -> Option<f64>, fn(f64) -> String);
    let lines: [Line; 11] = [
        ("instance-hours".to_owned(), |it| Some(it.instance_hours), thousands),
        (format!("cost, {currency}"), |it| it.cost, thousands),
        ("minutes short".to_owned(), |it| Some(it.minutes_short), thousands),
        ("longest shortage, minutes".to_owned(), |it| Some(it.longest_short_minutes), thousands),
        ("minutes without a free Jibri".to_owned(), |it| it.minutes_without_free, thousands),
        ("minutes at the maximum".to_owned(), |it| it.minutes_at_maximum, thousands),
        ("scale-outs".to_owned(), |it| Some(f64::from(it.scale_outs)), thousands),
        ("scale-ins".to_owned(), |it| Some(f64::from(it.scale_ins)), thousands),
        ("drains".to_owned(), |it| it.drains.map(f64::from), thousands),
        (
            "shortest reversal".to_owned(),
            |it| Some(it.shortest_reversal_seconds.map_or(-1.0, |it| it as f64)),
            duration,
        ),
        ("instances at the end".to_owned(), |it| it.last_capacity.map(f64::from), thousands),
    ];
    let line = |(name, read, write): Line| {
        let figures: Vec<_> = sides.iter().map(|figures| read(figures)).collect();
        let known = figures.iter().any(Option::is_some);
        known.then(|| {
            (
                name,
                figures
                    .into_iter()
                    .map(|figure| figure.map_or_else(|| "unknown".to_owned(), write))
                    .collect(),
            )
        })
    };
    lines.into_iter().filter_map(line).collect()
}

/// What the second of two columns costs and saves beside the first, in a sentence. Without a known shortage it speaks of
/// hours only.
fn compare(
    (name, one): (&str, &Figures),
    (other_name, other): (&str, &Figures),
    shortage_known: bool,
) -> String {
    // As a reader subtracts the figures of the table.
    let shown = |hours: f64| if hours.abs() < 10.0 { hours } else { hours.round() };
    let hours = shown(other.instance_hours) - shown(one.instance_hours);
    let short = other.minutes_short - one.minutes_short;
    let share = if one.instance_hours > 0.0 {
        format!(" ({})", percent((hours / one.instance_hours).abs()))
    } else {
        String::new()
    };
    let direction = if hours < 0.0 { "less" } else { "more" };
    // Differences below 0.1 % of the hours, or below a minute, count as none.
    let (same_hours, same_short) = (hours.abs() <= one.instance_hours * 0.001, short.abs() < 1.0);
    let costs = if same_hours {
        format!("costs what {name} does")
    } else {
        format!("takes {} instance-hours{share} {direction} than {name}", thousands(hours.abs()))
    };
    if !shortage_known {
        return format!("{other_name} {costs}.");
    }
    let lasts = if same_short {
        "is short for as long".to_owned()
    } else {
        format!(
            "is short for {} minutes instead of {}",
            thousands(other.minutes_short),
            thousands(one.minutes_short)
        )
    };
    let gains = [(same_hours, hours), (same_short, short)].map(|(same, more)| !same && more < 0.0);
    let losses = [(same_hours, hours), (same_short, short)].map(|(same, more)| !same && more > 0.0);
    match (gains.contains(&true), losses.contains(&true)) {
        (true, false) => format!("{other_name} is better: it {costs}, and {lasts}."),
        (false, true) => format!("{other_name} is worse: it {costs}, and {lasts}."),
        (true, true) => {
            format!("{other_name} {costs}, and {lasts}. Which is better depends on what counts more.")
        }
        (false, false) => format!("{other_name} {costs}, and {lasts}."),
    }
}

/// A number without its fraction, or with one where it is small, in groups of three digits.
fn thousands(number: f64) -> String {
    if number.abs() >= 0.05 && number.abs() < 10.0 && number.fract().abs() > 1e-9 {
        return format!("{number:.1}");
    }
    let digits = format!("{:.0}", number.abs());
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if number <= -0.5 { format!("-{text}") } else { text }
}

/// A duration; none where it is negative.
fn duration(seconds: f64) -> String {
    if seconds < 0.0 {
        return "none".to_owned();
    }
    let duration = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    humantime::format_duration(duration).to_string()
}

/// A share as a percentage that never rounds something to nothing.
fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        small if small < 0.1 => "less than 0.1 %".to_owned(),
        small if small < 10.0 => format!("{small:.1} %"),
        large => format!("{large:.0} %"),
    }
}

impl Trust {
    /// Whether more than a tenth is missing, unknown or extrapolated.
    fn is_low(&self) -> bool {
        [self.missing_ratio, self.unknown_ratio, self.extrapolated_ratio].into_iter().any(|share| share > 0.1)
    }
}

/// What to say where little of the figures can be trusted.
const DIRECTION: &str =
    "More than a tenth of this is missing or extrapolated: take it as a direction, not as figures.";

/// How far the figures of a group can be trusted, in sentences.
fn caveats(trust: &Trust) -> Vec<String> {
    let mut caveats = Vec::new();
    for (policy, share) in trust.missing_by_policy.iter().filter(|(_, share)| **share > 0.0) {
        caveats.push(format!("{} of the points of {policy} are missing", percent(*share)));
    }
    if trust.unknown_ratio > 0.0 {
        caveats.push(format!(
            "for {} of the time it is unknown how many instances served; no hours are counted then, on either side",
            percent(trust.unknown_ratio)
        ));
    }
    if trust.extrapolated_ratio > 0.0 {
        caveats.push(format!(
            "for {} of the time the simulated capacity differs from what there was by more than half",
            percent(trust.extrapolated_ratio)
        ));
    }
    if !trust.open_loop.is_empty() {
        let names = trust.open_loop.join(", ");
        caveats.push(format!("{names}: replayed as measured, as if capacity had no influence on it"));
    }
    if !trust.shortage_known {
        caveats.push("no policy has a condition for scaling out, so no minute counts as short".to_owned());
    }
    if !trust.bounds_known {
        caveats.push(
            "the group's own minimum and maximum are unknown; only those of the configuration bound it"
                .to_owned(),
        );
    }
    caveats
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case(0.0, "0"; "nothing")]
    #[test_case(0.25, "0.2"; "a part")]
    #[test_case(-1234.6, "-1,235"; "a loss")]
    #[test_case(1_234_567.0, "1,234,567"; "millions")]
    #[test_case(-0.04, "0"; "hardly anything")]
    fn numbers_have_groups_of_three_digits(number: f64, expected: &str) {
        assert_eq!(thousands(number), expected);
    }

    #[test_case(-50.0, 0.0, "b takes 50 instance-hours (50 %) less than a, and is short for as long."; "cheaper")]
    #[test_case(0.0, 30.0, "b costs what a does, and is short for 60 minutes instead of 30."; "short for longer")]
    #[test_case(50.0, -30.0, "b takes 50 instance-hours (50 %) more than a, and is short for 0 minutes instead of 30. Which is better depends on what counts more."; "a trade")]
    #[test_case(0.05, 0.5, "b costs what a does, and is short for as long."; "the same")]
    fn two_columns_are_compared_in_a_sentence(hours: f64, short: f64, expected: &str) {
        let figures =
            |instance_hours, minutes_short| Figures { instance_hours, minutes_short, ..Figures::default() };
        let sentence =
            compare(("a", &figures(100.0, 30.0)), ("b", &figures(100.0 + hours, 30.0 + short)), true);
        let plain = sentence.replace(" is better: it", "").replace(" is worse: it", "");
        assert_eq!(plain, expected);
        assert_eq!(sentence.contains("better: "), hours < 0.0, "{sentence}");
        let hours_only = compare(("a", &figures(100.0, 30.0)), ("b", &figures(150.0, 0.0)), false);
        assert_eq!(hours_only, "b takes 50 instance-hours (50 %) more than a.");
    }

    #[test_case(0.0, "0 %")]
    #[test_case(0.000_1, "less than 0.1 %")]
    #[test_case(0.012, "1.2 %")]
    #[test_case(0.5, "50 %")]
    fn a_share_that_is_something_is_never_shown_as_nothing(share: f64, expected: &str) {
        assert_eq!(percent(share), expected);
    }
}
