//! The picture of the morning on a terminal: a row for each thing that is counted, and the last decisions.

use std::io::{self, Write};

use super::record::Sample;

/// The columns and rows that the picture needs at least.
pub(crate) const SIZE: (usize, usize) = (80, 20);

/// The seconds that a column of a row stands for, so that the whole morning fits beside its labels.
const SECONDS_PER_COLUMN: usize = 2;

/// How many decisions it shows.
const DECISIONS: usize = 8;

const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The picture after these samples, one a second, and the sentences of decisions with the second of each; `width` is that of the
/// terminal.
pub(crate) fn lines(samples: &[Sample], decisions: &[(u64, String)], width: usize) -> Vec<String> {
    let last = samples.last().copied().unwrap_or_default();
    let row = |name: &str, value: usize, note: String, of: fn(&Sample) -> usize| {
        let bars = bars(&samples.iter().map(of).collect::<Vec<_>>());
        format!("{name:<11}{value:>4}  {bars:<54}{note}").trim_end().to_owned()
    };
    let leaving = |count: usize| if count == 0 { String::new() } else { format!("{count} leave") };
    let people = |sample: &Sample| usize::try_from(sample.people).unwrap_or(usize::MAX);
    let mut lines = vec![
        row("people", people(&last), format!("{} s", samples.len()), people),
        row("bridges", last.bridges.billed, leaving(last.bridges.leaving), |sample| sample.bridges.billed),
        row("recordings", last.recordings, String::new(), |sample| sample.recordings),
        row("jibris", last.jibris.billed, format!("{} free", last.free_jibris), |sample| {
            sample.jibris.billed
        }),
        String::new(),
    ];
    let shown = &decisions[decisions.len().saturating_sub(DECISIONS)..];
    lines.extend(shown.iter().map(|(second, text)| shortened(&format!("{second:>3} s  {text}"), width)));
    lines
}

/// A bar for each column: the most of its seconds, as a share of the most of all.
fn bars(values: &[usize]) -> String {
    let most = values.iter().copied().max().unwrap_or_default().max(1);
    let column = |seconds: &[usize]| {
        let value = seconds.iter().copied().max().unwrap_or_default();
        // What is not zero is seen.
        BARS[(value * (BARS.len() - 1)).div_ceil(most)]
    };
    values.chunks(SECONDS_PER_COLUMN).map(column).collect()
}

/// What fits into a line of the picture.
fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

/// Draws a picture over the one before.
#[derive(Debug, Default)]
pub(crate) struct Canvas {
    drawn: usize,
}

impl Canvas {
    pub(crate) fn draw(&mut self, out: &mut impl Write, lines: &[String]) -> io::Result<()> {
        if self.drawn > 0 {
            write!(out, "\x1b[{}A", self.drawn)?;
        }
        for line in lines {
            writeln!(out, "\x1b[2K{line}")?;
        }
        self.drawn = lines.len();
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Count;

    fn sample(people: u64, bridges: usize) -> Sample {
        Sample { people, bridges: Count { billed: bridges, leaving: 1, ready: 1 }, ..Sample::default() }
    }

    #[test]
    fn the_highest_bar_is_the_most_of_the_morning_and_a_little_is_seen() {
        assert_eq!(bars(&[0, 0, 1, 0, 100, 3, 50, 50]), " ▁█▄");
    }

    #[test]
    fn a_picture_has_the_figures_of_now_and_the_last_decisions_within_its_size() {
        let samples: Vec<_> = (0..105).map(|second| sample(second, 3)).collect();
        let decisions: Vec<_> = (0..20).map(|second| (second, "prod-jvb: ".repeat(20))).collect();
        let lines = lines(&samples, &decisions, SIZE.0);
        assert!(lines[0].starts_with("people      104  "), "{lines:#?}");
        assert!(lines[1].ends_with("█ 1 leave"), "{lines:#?}");
        assert!(
            lines.last().is_some_and(|line| line.starts_with(" 19 s  prod-jvb: ") && line.ends_with('…'))
        );
        assert!(lines.len() <= SIZE.1);
        assert!(lines.iter().all(|line| line.chars().count() <= SIZE.0), "{lines:#?}");
    }

    #[test]
    fn a_picture_is_drawn_over_the_one_before() {
        let mut out = Vec::new();
        let mut canvas = Canvas::default();
        for text in ["a", "b"] {
            canvas.draw(&mut out, &[text.to_owned(), String::new()]).expect("written");
        }
        assert_eq!(String::from_utf8_lossy(&out), "\x1b[2Ka\n\x1b[2K\n\x1b[2A\x1b[2Kb\n\x1b[2K\n");
    }
}
