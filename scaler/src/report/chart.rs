//! Charts over time, as SVG inside a page.
//!
//! Owns ticks and colours. All other text is the page's, and a chart has no style of its own: the page's style sheet maps its colours for dark screens, by [`dark`].

use std::ops::Range;

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{PathElement, Polygon, TriangleMarker};
use plotters::prelude::{Cartesian2d, SVGBackend};
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle};

use crate::units::Time;

/// The size of a chart, in the units of its `viewBox`.
const SIZE: (u32, u32) = (760, 230);
/// The largest value of an axis.
const HUGE: f64 = 1e15;
/// The most ticks of the axis of time.
const MOST_TICKS: i64 = 8;

/// The colour of a part of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// What was.
    Had,
    /// What is simulated, or meant.
    Simulated,
    /// What it is compared with.
    Other,
    /// A limit, or a threshold.
    Limit,
    /// A change upwards.
    Out,
    /// A change downwards.
    In,
    /// Axes and their texts.
    Axis,
    /// Lines behind everything.
    Grid,
}

/// All inks: on light screens, and on dark ones.
const INKS: [(Ink, (u8, u8, u8), &str); 8] = [
    (Ink::Had, (0x5b, 0x65, 0x70), "#9da7b3"),
    (Ink::Simulated, (0x0b, 0x57, 0xa4), "#79b8ff"),
    (Ink::Other, (0x8a, 0x3f, 0xa0), "#d2a8ff"),
    (Ink::Limit, (0x7a, 0x4b, 0x00), "#ffd580"),
    (Ink::Out, (0xb4, 0x23, 0x18), "#ff9d94"),
    (Ink::In, (0x1a, 0x7f, 0x37), "#6fdd8b"),
    (Ink::Axis, (0x59, 0x63, 0x6e), "#9da7b4"),
    (Ink::Grid, (0xd0, 0xd7, 0xde), "#30363d"),
];

impl Ink {
    fn colour(self) -> RGBColor {
        let (_, (red, green, blue), _) = INKS[self as usize];
        RGBColor(red, green, blue)
    }

    /// The colour on light screens, as CSS writes it.
    #[must_use]
    pub fn css(self) -> String {
        let RGBColor(red, green, blue) = self.colour();
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The rules of a style sheet that change the colours of charts on dark screens.
#[must_use]
pub fn dark() -> String {
    let rules = INKS.iter().map(|(ink, _, dark)| {
        let light = ink.css().to_uppercase();
        format!("[stroke=\"{light}\"]{{stroke:{dark}}}[fill=\"{light}\"]{{fill:{dark}}}")
    });
    format!("@media (prefers-color-scheme:dark){{{}}}", rules.collect::<String>())
}

/// The rules of a style sheet that put a piece of an ink before each text of a class.
#[must_use]
pub fn legend(classes: &[(Ink, &str)]) -> String {
    let rules = |colour: fn(Ink) -> String| -> String {
        classes
            .iter()
            .map(|(ink, class)| format!(".{class}::before{{background:{}}}", colour(*ink)))
            .collect()
    };
    let dark = |ink: Ink| INKS[ink as usize].2.to_owned();
    format!("{}@media (prefers-color-scheme:dark){{{}}}", rules(Ink::css), rules(dark))
}

/// A line.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its colour.
    pub ink: Ink,
    /// How wide it is.
    pub width: u32,
    /// Seconds since 1970 and values; a gap where nothing is known.
    pub points: Vec<(f64, Option<f64>)>,
}

/// The range of values between two lines.
#[derive(Clone, Debug)]
pub struct Band {
    /// Its colour, which is thinned.
    pub ink: Ink,
    /// Seconds since 1970, and the lowest and the highest value.
    pub points: Vec<(f64, Option<(f64, f64)>)>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Chart {
    /// From when to when.
    pub time: Range<Time>,
    /// Behind the lines.
    pub bands: Vec<Band>,
    /// Later ones are above earlier ones.
    pub lines: Vec<Line>,
    /// Values that are marked over the whole time.
    pub limits: Vec<f64>,
    /// Moments of changes, and whether they are upwards.
    pub marks: Vec<(Time, bool)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Context<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Hours, RangedCoordf64>>;

impl Chart {
    /// The chart as an `<svg>` element.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            // Writing into a string does not fail, and neither does what plotters computes from finite numbers.
            let drawn = self.draw(&area).and_then(|()| area.present().map_err(|error| error.to_string()));
            debug_assert!(drawn.is_ok(), "{drawn:?}");
        }
        svg
    }

    /// The values of the axis: all that are drawn and 0, with a little room. What no axis can have is cut off.
    fn range(&self) -> Range<f64> {
        let lines = self.lines.iter().flat_map(|line| line.points.iter().filter_map(|(_, value)| *value));
        let bands = self.bands.iter().flat_map(|band| band.points.iter().filter_map(|(_, range)| *range));
        let values =
            lines.chain(bands.flat_map(|(low, high)| [low, high])).chain(self.limits.iter().copied());
        let (low, high) = values
            .map(drawable)
            .fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        // Ticks of a tiny range would not fit their numbers.
        if high - low > 1e-9 { low * 1.08..high * 1.08 } else { 0.0..1.0 }
    }

    fn draw(&self, area: &Area<'_>) -> Result<(), String> {
        let hours = Hours::new(&self.time);
        let (length, count, range) = (hours.to - hours.from, hours.ticks.len(), self.range());
        let highest = range.end;
        let error = |error: &dyn std::fmt::Display| error.to_string();
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .margin_right(16)
            .x_label_area_size(24)
            .y_label_area_size(56)
            .build_cartesian_2d(hours, range)
            .map_err(|it| error(&it))?;
        let axis = Ink::Axis.colour();
        let text = TextStyle::from(("sans-serif", 14)).color(&axis);
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(ShapeStyle::from(&Ink::Grid.colour().mix(0.0)))
            .bold_line_style(Ink::Grid.colour())
            .axis_style(axis)
            .label_style(text)
            .x_labels(count)
            .y_labels(5)
            .y_label_formatter(&|value| super::humane(*value))
            .draw()
            .map_err(|it| error(&it))?;
        self.draw_parts(&mut chart, length, highest)
    }

    fn draw_parts(&self, chart: &mut Context<'_, '_>, length: f64, highest: f64) -> Result<(), String> {
        let error = |error: &dyn std::fmt::Display| error.to_string();
        for band in &self.bands {
            for piece in pieces(&band.points) {
                let up = piece.iter().map(|(at, (_, high))| (*at, drawable(*high)));
                let back = piece.iter().rev().map(|(at, (low, _))| (*at, drawable(*low)));
                let shape = Polygon::new(up.chain(back).collect::<Vec<_>>(), band.ink.colour().mix(0.25));
                chart.draw_series([shape]).map_err(|it| error(&it))?;
            }
        }
        for limit in &self.limits {
            // Dashes, so that a limit is not taken for a line without colours either.
            let dash = length / 96.0;
            let from = self.time.start.unix() as f64;
            let dashes = (0..48).map(|place| from + f64::from(place) * 2.0 * dash);
            let dashes = dashes.map(|start| {
                PathElement::new([(start, *limit), (start + dash, *limit)], Ink::Limit.colour())
            });
            chart.draw_series(dashes).map_err(|it| error(&it))?;
        }
        for line in &self.lines {
            let style = line.ink.colour().stroke_width(line.width);
            let drawn = |piece: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
                piece.into_iter().map(|(at, value)| (at, drawable(value))).collect()
            };
            let paths = pieces(&line.points).into_iter().map(|piece| PathElement::new(drawn(piece), style));
            chart.draw_series(paths).map_err(|it| error(&it))?;
        }
        let marks = self.marks.iter().map(|(at, is_out)| {
            let (ink, size) = if *is_out { (Ink::Out, 5) } else { (Ink::In, -5) };
            TriangleMarker::new((at.unix() as f64, highest * 0.97), size, ink.colour().filled())
        });
        chart.draw_series(marks).map_err(|it| error(&it)).map(|_| ())
    }
}

/// An axis of time.
#[derive(Clone, Debug)]
struct Hours {
    from: f64,
    to: f64,
    ticks: Vec<f64>,
    written: Written,
}

impl Hours {
    fn new(time: &Range<Time>) -> Self {
        let (ticks, written) = ticks(time.start, time.end);
        let from = time.start.unix() as f64;
        let to = (time.end.unix() as f64).max(from + 1.0);
        Self { from, to, ticks: ticks.into_iter().map(|tick| tick.unix() as f64).collect(), written }
    }
}

impl Ranged for Hours {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<H: KeyPointHint>(&self, _: H) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

impl ValueFormatter<f64> for Hours {
    fn format(value: &f64) -> String {
        moment(*value, Written::Day)
    }

    fn format_ext(&self, value: &f64) -> String {
        moment(*value, self.written)
    }
}

/// The nearest value that an axis can have.
fn drawable(value: f64) -> f64 {
    value.clamp(-HUGE, HUGE)
}

/// The parts of a line without a gap.
fn pieces<V: Copy>(points: &[(f64, Option<V>)]) -> Vec<Vec<(f64, V)>> {
    let known = points.split(|(_, value)| value.is_none()).filter(|piece| !piece.is_empty());
    known.map(|piece| piece.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect()).collect()
}

/// How a tick is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Hour,
    Day,
}

/// Whole minutes, hours or days, as many as there is room for, and how they are written.
fn ticks(from: Time, to: Time) -> (Vec<Time>, Written) {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const STEPS: [i64; 16] = [
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        3 * DAY,
        7 * DAY,
        14 * DAY,
        30 * DAY,
        90 * DAY,
    ];
    let length = to.unix() - from.unix();
    let step = STEPS.into_iter().find(|step| length <= step * MOST_TICKS).unwrap_or(365 * DAY);
    let first = from.unix().div_euclid(step) * step;
    let ticks = (0..).map(|place| first + place * step).skip_while(|tick| *tick < from.unix());
    let ticks = ticks.take_while(|tick| *tick <= to.unix()).map(Time::from_unix).collect();
    (ticks, if step < DAY { Written::Hour } else { Written::Day })
}

/// A tick in UTC.
fn moment(unix: f64, written: Written) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit by far")]
    let seconds = unix.round() as i64;
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    let format = match written {
        Written::Hour if seconds % 86_400 == 0 => "%b %d",
        Written::Hour => "%H:%M",
        Written::Day => "%b %d",
    };
    at.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ink_stands_at_its_place() {
        for (place, (ink, ..)) in INKS.iter().enumerate() {
            assert_eq!(*ink as usize, place);
        }
    }

    #[test]
    fn an_axis_has_all_values_and_zero() {
        let range = |values: &[f64]| {
            let points = values.iter().map(|value| (0.0, Some(*value))).collect();
            let lines = vec![Line { ink: Ink::Had, width: 1, points }];
            let time = Time::from_unix(0)..Time::from_unix(1);
            Chart { time, bands: Vec::new(), lines, limits: Vec::new(), marks: Vec::new() }
        };
        let ends = |values: &[f64]| (range(values).range().start, range(values).range().end);
        assert_eq!(ends(&[-20.0, 10.0]), (-20.0 * 1.08, 10.0 * 1.08));
        assert_eq!(ends(&[]), (0.0, 1.0));
        assert!(range(&[f64::MAX, f64::MIN]).svg().contains("</svg>"));
    }

    #[test]
    fn a_gap_parts_a_line() {
        let points = [(0.0, Some(1.0)), (1.0, None), (2.0, Some(3.0)), (3.0, Some(4.0))];
        assert_eq!(pieces(&points), [vec![(0.0, 1.0)], vec![(2.0, 3.0), (3.0, 4.0)]]);
    }

    #[test]
    fn ticks_are_whole_minutes_hours_or_days() {
        let texts = |from: &str, to: &str| {
            let (ticks, written) =
                ticks(Time::parse(from).expect("a time"), Time::parse(to).expect("a time"));
            ticks.iter().map(|tick| moment(tick.unix() as f64, written)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            texts("2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"),
            "Nov 02 03:00 06:00 09:00 12:00 15:00 18:00 21:00 Nov 03"
        );
        assert_eq!(
            texts("2026-11-02T23:25:00Z", "2026-11-03T00:25:00Z"),
            "23:30 23:40 23:50 Nov 03 00:10 00:20"
        );
        assert_eq!(
            texts("2026-11-02T05:00:00Z", "2026-11-09T05:00:00Z"),
            "Nov 03 Nov 04 Nov 05 Nov 06 Nov 07 Nov 08 Nov 09"
        );
    }

    #[test]
    fn a_chart_has_its_parts_and_nothing_that_runs() {
        let at = |minute: i64| Time::from_unix(minute * 60);
        let chart = Chart {
            time: at(0)..at(60),
            bands: vec![Band {
                ink: Ink::Had,
                points: vec![(0.0, Some((1.0, 2.0))), (60.0, Some((1.0, 3.0)))],
            }],
            lines: vec![Line {
                ink: Ink::Simulated,
                width: 2,
                points: vec![(0.0, Some(1.0)), (3600.0, Some(2.0))],
            }],
            limits: vec![2.5],
            marks: vec![(at(5), true), (at(9), false)],
        };
        let svg = chart.svg();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
        for ink in [Ink::Had, Ink::Simulated, Ink::Limit, Ink::Out, Ink::In] {
            assert!(svg.contains(&ink.css().to_uppercase()), "{ink:?}: {svg}");
        }
        assert!(!svg.contains("style=") && !svg.contains("<script"), "{svg}");
        // Without anything known it is drawn all the same.
        let empty = Chart {
            time: at(0)..at(0),
            bands: Vec::new(),
            lines: Vec::new(),
            limits: Vec::new(),
            marks: Vec::new(),
        };
        assert!(empty.svg().contains("</svg>"));
    }
}
