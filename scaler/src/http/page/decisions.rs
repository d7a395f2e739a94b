//! The decisions of a group that changed something, from everything that remembers them.
//!
//! The scaler's memory is exact and ends at its start. The decision log is exact too, where one is written. The counters in
//! Prometheus tell when and how many, and not why.

use maud::{Markup, html};

use super::table::table;
use super::times::{elapsed, moment};
use super::words::{clauses, count, said};
use crate::http::past::{Act, Told};
use crate::report::humane;
use crate::units::Time;

/// How many decisions the page lists.
const SHOWN: usize = 50;

/// Where a decision is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Memory,
    Log,
    Counters,
}

/// A decision as the page lists it.
#[derive(Debug)]
pub(super) struct Entry {
    at: Time,
    /// `None` for a decision to hold.
    is_out: Option<bool>,
    pub(super) text: String,
    steps: Vec<String>,
    source: Source,
}

impl Entry {
    fn of(told: &Told, source: Source) -> Self {
        let is_out = match told.action.as_str() {
            "scale_out" => Some(true),
            "scale_in" => Some(false),
            _ => None,
        };
        Self { at: told.at, is_out, text: told.text.clone(), steps: told.steps.clone(), source }
    }

    fn counted(act: &Act) -> Self {
        let what = if act.is_out { "Scaled out" } else { "Scaled in" };
        let times = match usize::try_from(act.count) {
            Ok(1) => String::new(),
            times => format!(" {}", count(times.unwrap_or(usize::MAX), "time", "times")),
        };
        let wanted = act.wanted.map(|(from, to)| format!(" from {} to {}", humane(from), humane(to)));
        let text = format!("{what}{times}{}", wanted.unwrap_or_default());
        Self { at: act.at, is_out: Some(act.is_out), text, steps: Vec::new(), source: Source::Counters }
    }
}

/// The decisions since `from`, newest first. Each source tells only of the time before the ones that know more.
pub(super) fn entries(memory: &[Told], log: &[Told], acts: &[Act], from: Time) -> Vec<Entry> {
    let mut entries: Vec<Entry> = memory.iter().map(|told| Entry::of(told, Source::Memory)).collect();
    let oldest = |entries: &[Entry]| entries.last().map(|entry| entry.at);
    let begin = oldest(&entries);
    // A scaler that is started again evaluates the newest grid point once more.
    let is_older = |told: &&Told| {
        begin.is_none_or(|begin| told.at < begin || (told.at == begin && !memory.contains(told)))
    };
    let older = log.iter().filter(is_older);
    entries.extend(older.map(|told| Entry::of(told, Source::Log)));
    let begin = oldest(&entries);
    let older = acts.iter().rev().filter(|act| begin.is_none_or(|begin| act.at < begin));
    entries.extend(older.map(Entry::counted));
    entries.retain(|entry| entry.at >= from);
    entries
}

/// When capacity was changed, and whether it was raised.
pub(super) fn marks(entries: &[Entry]) -> Vec<(Time, bool)> {
    entries.iter().filter_map(|entry| Some((entry.at, entry.is_out?))).collect()
}

/// What was done since a moment, in a sentence.
pub(super) fn done_since(entries: &[Entry], since: Time, now: Time) -> Markup {
    let changes: Vec<&Entry> =
        entries.iter().filter(|entry| entry.is_out.is_some() && entry.at >= since).collect();
    html! {
        @match changes.as_slice() {
            [] => { "Since " (moment(since, now)) " the scaler has not changed the capacity." }
            [newest, ..] => {
                "Since " (moment(since, now)) " the scaler has changed the capacity "
                @if changes.len() == 1 { "once" } @else { (changes.len()) " times" }
                ", last at " (moment(newest.at, now)) ": " (said(&clauses(&newest.text, true).0, now)) "."
            }
        }
    }
}

/// The list. `has_log` says whether decisions are appended to a file.
pub(super) fn list(entries: &[Entry], (span, has_log): (&str, bool), now: Time) -> Markup {
    let of =
        |source| entries.iter().take(SHOWN).filter(move |entry| entry.source == source).collect::<Vec<_>>();
    let (memory, log, counters) = (of(Source::Memory), of(Source::Log), of(Source::Counters));
    html! {
        h3 { "Decisions of the last " (span) }
        @if entries.is_empty() { p { "None is known." } }
        (rows(&memory, now))
        @if !log.is_empty() {
            p .soft { "Before the scaler was started, by the decision log:" }
            (rows(&log, now))
        }
        @if !counters.is_empty() {
            p .soft { "Before that, by Prometheus' counters, which tell neither reasons nor steps:" }
            (rows(&counters, now))
        }
        @if entries.len() > SHOWN { p .soft { "These are the newest " (SHOWN) " of " (entries.len()) "." } }
        @if !has_log {
            p .soft { "With --decision-log the scaler also keeps the reasons of decisions before its start." }
        }
    }
}

fn rows(entries: &[&Entry], now: Time) -> Markup {
    let rows = html! {
        @for entry in entries {
            @let (headline, reasons) = clauses(&entry.text, true);
            tr data-key=(entry.at) {
                td { (moment(entry.at, now)) " " small { (elapsed(entry.at, now)) } }
                td {
                    @match entry.is_out { Some(true) => "▲ ", Some(false) => "▼ ", None => "" }
                    strong { (headline) } @if !reasons.is_empty() { ": " (said(reasons, now)) }
                }
                td { @for step in &entry.steps { div { (said(step, now)) } } }
            }
        }
    };
    html! { @if !entries.is_empty() { (table(Some("rows"), &["When", "Decision", "Steps"], &rows)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Time {
        Time::from_unix(1_790_000_000 - 1_790_000_000 % 86_400 + minute * 60)
    }

    fn told(minute: i64, action: &str, text: &str) -> Told {
        Told {
            at: at(minute),
            action: action.to_owned(),
            text: text.to_owned(),
            steps: vec!["a <step>".to_owned()],
        }
    }

    fn history() -> Vec<Entry> {
        let memory = [told(60, "hold", "hold at 4: x"), told(50, "scale_out", "scale out from 3 to 4: x")];
        let log = [
            memory[1].clone(),
            told(50, "hold", "hold at 3: another scaler"),
            told(40, "scale_in", "scale in from 4 to 3: <y>"),
        ];
        let act = |minute, is_out, count, wanted| Act { at: at(minute), is_out, count, wanted };
        let acts = [act(10, true, 1, Some((2.0, 3.0))), act(20, false, 2, None), act(41, false, 1, None)];
        entries(&memory, &log, &acts, at(10))
    }

    #[test]
    fn each_source_tells_of_the_time_before_the_ones_that_know_more() {
        let history = history();
        let sources: Vec<_> =
            history.iter().map(|it| ((it.at.unix() - at(0).unix()) / 60, it.source)).collect();
        let (memory, log, counters) = (Source::Memory, Source::Log, Source::Counters);
        let all = [(60, memory), (50, memory), (50, log), (40, log), (20, counters), (10, counters)];
        assert_eq!(sources, all);
        assert_eq!(marks(&history), [(at(50), true), (at(40), false), (at(20), false), (at(10), true)]);
    }

    #[test]
    fn the_list_says_where_it_comes_from() {
        let page = list(&history(), ("6 hours", true), at(61)).into_string();
        for text in [
            "Decisions of the last 6 hours",
            "▲ <strong>Scaled out from 3 to 4</strong>: x",
            "by the decision log:",
            "<strong>Scaled in from 4 to 3</strong>: &lt;y&gt;",
            "a &lt;step&gt;",
            "which tell neither reasons nor steps:",
            "<strong>Scaled in 2 times</strong>",
            "<strong>Scaled out from 2 to 3</strong>",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
        assert!(!page.contains("--decision-log"), "{page}");
        let none = list(&[], ("hour", false), at(61)).into_string();
        assert!(none.contains("None is known") && none.contains("--decision-log"), "{none}");
    }

    #[test]
    fn what_was_done_since_a_moment_is_one_sentence() {
        let done = |since| done_since(&history(), at(since), at(61)).into_string();
        assert!(done(55).ends_with(">00:55</time> the scaler has not changed the capacity."), "{}", done(55));
        assert!(done(45).contains("has changed the capacity once, last at "), "{}", done(45));
        assert!(done(0).contains("4 times") && done(0).ends_with(": Scaled out from 3 to 4."), "{}", done(0));
    }
}
