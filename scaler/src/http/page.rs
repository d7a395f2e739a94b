//! The status page: what each group does and waits for, what the scaler did, and why.
//!
//! Owns the HTML. Colour is never the only sign, and everything is there without scripts; the script counts down and renews
//! the page in place.

use std::sync::LazyLock;

use jitsi_web::page::Policy;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::past::Lines;
use super::served::{DECISIONS, DESCRIPTION, STATUS};
use crate::config::link::Link;
use crate::control::Board;
use crate::report::{FleetProblem, chart};
use crate::units::Time;

mod charts;
mod decisions;
mod group;
mod hands;
mod instances;
mod overview;
mod policies;
mod table;
mod times;
mod troubles;
mod words;

pub(super) use group::View;
pub(super) use hands::Token;
pub(super) use overview::{Asked, Selection, key};

use times::elapsed;

static STYLE: LazyLock<String> = LazyLock::new(|| {
    format!("{}{}{}", include_str!("page.css"), chart::legend(&charts::LEGEND), chart::dark())
});
const SCRIPT: &str = include_str!("page.js");

static POLICY: LazyLock<Policy> =
    LazyLock::new(|| Policy { style: &STYLE, script: Some(SCRIPT), has_forms: true });

/// The content security policy of a page.
pub(super) static CONTENT_POLICY: LazyLock<String> = LazyLock::new(|| POLICY.header());

/// A page around `main`; `root` leads from it to the first page. A page that shows a moment renews itself.
fn frame(title: &str, root: &str, (at, metrics): (Option<Time>, Option<&str>), main: &Markup) -> Markup {
    let api = |path: &str| format!("{root}{}", path.trim_start_matches('/'));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Without an icon here, a browser requests one at the top of the site.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE.as_str())) }
                @if at.is_some() { noscript { meta http-equiv="refresh" content="10"; } }
            }
            body {
                header {
                    h1 { @if metrics.is_some() { "jitsi-scaler" } @else { a href=(root) { "jitsi-scaler" } } }
                    nav aria-label="Pages of the scaler" {
                        @if metrics.is_none() { a href=(root) { "All groups" } }
                        a href=(api(STATUS)) { "Status as JSON" }
                        a href=(api(DECISIONS)) { "Decisions" }
                        a href=(api(DESCRIPTION)) { "API" }
                        @if let Some(metrics) = metrics { a href=(metrics) { "Metrics" } }
                    }
                }
                @if let Some(at) = at {
                    div id="lost" .note role="alert" hidden { p {} }
                    main data-now=(at.unix()) { (main) }
                    script { (PreEscaped(SCRIPT)) }
                } @else {
                    main { (main) }
                }
            }
        }
    }
}

/// The first page.
pub(super) fn home(
    board: &Board,
    (selection, lines): (&Selection<'_>, Result<&Lines, &str>),
    now: Time,
    metrics: &str,
) -> Markup {
    let status = &board.status;
    let main = html! {
        (as_of(board, now))
        // A Prometheus that does not answer explains what is wrong with the groups.
        (problems(&status.problems, None))
        @if !status.groups.is_empty() || !status.problems.is_empty() {
            (overview::verdict(selection, &status.problems, now))
        }
        @if status.time.is_some() && status.groups.is_empty() { p { "There is no group." } }
        (overview::rows(selection, lines, now))
        (policies::legend())
    };
    frame(&overview::title(selection), "./", (Some(now), Some(metrics)), &main)
}

/// The page of a group, or of all groups of that name where no region is named.
pub(super) fn group(
    board: &Board,
    (fleet, asg): (&str, &str),
    views: &[View<'_>],
    (now, links): (Time, &[Link]),
) -> Markup {
    let main = html! {
        (as_of(board, now))
        (problems(&board.status.problems, Some(fleet)))
        @for view in views { (group::group(view, (now, links))) }
        (policies::legend())
        (group::meanings())
    };
    frame(&format!("{asg} · jitsi-scaler"), "../../", (Some(now), None), &main)
}

/// The page of a group that does not exist.
pub(super) fn no_group(board: &Board, (fleet, asg): (&str, &str), now: Time) -> Markup {
    let main = html! {
        (as_of(board, now))
        p { "There is no group " strong { (asg) } " in the fleet " strong { (fleet) }
            ": it was deleted, or has not been read since the scaler was started or reloaded." }
        p { a href="../../" { "All groups" } }
    };
    frame("no such group · jitsi-scaler", "../../", (Some(now), None), &main)
}

/// The page of a form that changed nothing; `back` leads to that of its group.
pub(super) fn refused(text: &str, back: &str) -> Markup {
    let main = html! {
        h2 { "Not done" }
        p role="alert" { (text) }
        p { a href=(back) { "Back to the group" } }
    };
    frame("not done · jitsi-scaler", "../../../", (None, None), &main)
}

/// The problems of all fleets, or of one.
fn problems(problems: &[FleetProblem], fleet: Option<&str>) -> Markup {
    html! {
        @for problem in problems.iter().filter(|problem| fleet.is_none_or(|fleet| problem.fleet == fleet)) {
            div .note role="status" data-key=(format!("problem-{}", problem.fleet)) {
                p { strong { "⚠ " (problem.fleet) ": " } (problem.text) }
            }
        }
    }
}

fn as_of(board: &Board, now: Time) -> Markup {
    let newest = board.status.time.as_deref().and_then(Time::parse);
    let stands_by = board.status.leader.as_ref().is_some_and(|leader| !leader.leading);
    html! {
        @if let Some(leader) = &board.status.leader { p data-key="leader" { (leader.text()) } }
        p .soft data-key="newest" {
            @match newest {
                Some(newest) => { "Newest evaluation " (elapsed(newest, now)) ", at " (times::moment(newest, now)) " UTC." },
                None if stands_by => "A replica that stands by evaluates nothing.",
                None => "Nothing has been evaluated yet: the first evaluation of each fleet is under way.",
            }
            " This page renews itself."
        }
    }
}

#[cfg(test)]
mod tests;
