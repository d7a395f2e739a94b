//! The status page: what each group does and waits for, what the scaler did, and why.
//!
//! Owns the HTML. The page says nothing that the JSON of the API lacks, colour is never the only sign, and everything is
//! there without scripts; the script counts down and renews the page in place.

use std::sync::LazyLock;

use jitsi_web::page::Policy;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::served::{DECISIONS, DESCRIPTION, STATUS};
use crate::config::link::Link;
use crate::control::Board;
use crate::report::{FleetProblem, GroupStatus};
use crate::units::Time;

mod parts;
mod times;

use parts::path;
use times::elapsed;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// With more groups than this, the first page has one line for each, and details are on the groups' own pages.
const MANY: usize = 12;

const POLICY: Policy = Policy { style: STYLE, script: Some(SCRIPT), has_forms: false };

/// The content security policy of a page.
pub(super) static CONTENT_POLICY: LazyLock<String> = LazyLock::new(|| POLICY.header());

/// A page around `main`; `root` leads from it to the first page.
fn frame(title: &str, root: &str, (at, metrics): (Time, Option<&str>), main: &Markup) -> Markup {
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
                style { (PreEscaped(STYLE)) }
                noscript { meta http-equiv="refresh" content="10"; }
            }
            body {
                header {
                    h1 { @if metrics.is_some() { "jitsi-scaler" } @else { a href=(root) { "jitsi-scaler" } } }
                    nav {
                        a href=(api(STATUS)) { "Status as JSON" }
                        a href=(api(DECISIONS)) { "Decisions" }
                        a href=(api(DESCRIPTION)) { "API" }
                        @if let Some(metrics) = metrics { a href=(metrics) { "Metrics" } }
                    }
                }
                div id="lost" .note role="alert" hidden { p {} }
                main data-now=(at.unix()) { (main) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

/// The first page.
pub(super) fn home(board: &Board, (now, links): (Time, &[Link]), metrics: &str) -> Markup {
    let status = &board.status;
    let main = html! {
        (as_of(board, now))
        (problems(&status.problems, None))
        @if status.time.is_some() && status.groups.is_empty() { p { "There is no group." } }
        @if status.groups.len() > MANY {
            (rows(board, now))
        } @else {
            @for group in &status.groups {
                (parts::group(group, &board.journal, (now, links), Some(&path(group))))
            }
        }
        (parts::legend())
    };
    frame("jitsi-scaler", "./", (now, Some(metrics)), &main)
}

/// The page of a group, or of all groups of that name where no region is named. `None` where there is none.
pub(super) fn group(
    board: &Board,
    (fleet, asg, region): (&str, &str, Option<&str>),
    (now, links): (Time, &[Link]),
) -> Option<Markup> {
    let groups = board.status.groups.iter().filter(|group| {
        group.fleet == fleet && group.asg == asg && region.is_none_or(|region| region == group.region)
    });
    let groups: Vec<_> = groups.collect();
    if groups.is_empty() {
        return None;
    }
    let main = html! {
        (as_of(board, now))
        (problems(&board.status.problems, Some(fleet)))
        @for group in groups {
            (parts::group(group, &board.journal, (now, links), None))
        }
        (parts::legend())
    };
    Some(frame(&format!("{asg} · jitsi-scaler"), "../../", (now, None), &main))
}

/// The page of a group that does not exist.
pub(super) fn no_group(board: &Board, (fleet, asg): (&str, &str), now: Time) -> Markup {
    let main = html! {
        (as_of(board, now))
        p { "There is no group " strong { (asg) } " in the fleet " strong { (fleet) }
            ": it was deleted, or has not been read since the scaler was started or reloaded." }
        p { a href="../../" { "All groups" } }
    };
    frame("no such group · jitsi-scaler", "../../", (now, None), &main)
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
                Some(newest) => { "Newest evaluation " (elapsed(newest, now)) ", at " (newest) "." },
                None if stands_by => "A replica that stands by evaluates nothing.",
                None => "Nothing has been evaluated yet: each fleet waits for its next grid point.",
            }
            " This page renews itself."
        }
    }
}

/// A line for each group; groups that need attention come first.
fn rows(board: &Board, now: Time) -> Markup {
    let mut groups: Vec<&GroupStatus> = board.status.groups.iter().collect();
    groups.sort_by_key(|group| !parts::needs_attention(group, now));
    let rows = html! {
        @for group in groups {
            tr data-key=(path(group)) {
                td { a href=(path(group)) { (group.asg) } " " small { (group.fleet) " · " (group.region) } }
                td { (parts::state(group, now)) }
                td { (group.current.ready) " / " (group.desired) }
                td { (group.current.min) " to " (group.current.max) }
                td { (group.text) }
            }
        }
    };
    parts::table(Some("rows"), &["Group", "State", "Ready / wanted", "Bounds", "Why"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::report::{LeaderReport, Paused, Status};

    fn board() -> Board {
        let mut board = Board::default();
        let group = sample::group();
        board.journal.note(&group);
        board.status = Status { time: Some(group.time.clone()), groups: vec![group], ..Status::default() };
        board
    }

    fn now() -> Time {
        Time::parse("2026-11-20T07:00:10Z").expect("a time")
    }

    #[test]
    fn text_on_a_page_is_never_markup() {
        let mut board = board();
        let evil = "<script>alert(1)</script>\"'&";
        let group = &mut board.status.groups[0];
        group.asg = evil.to_owned();
        group.text = evil.to_owned();
        group.blocked[0].text = evil.to_owned();
        let mut stays = sample::no_victim(1);
        (stays.instances[0].instance, stays.instances[0].text) = (evil.to_owned(), evil.to_owned());
        stays.instances[0].until = Some(evil.to_owned());
        group.blocked.push(stays);
        group.drains[0].instance = evil.to_owned();
        group.drained_by_hand = vec![evil.to_owned()];
        group.zones[0].zone = evil.to_owned();
        group.zones[0].silent = vec![evil.to_owned()];
        group.effects[0].text = evil.to_owned();
        group.schedule.names = vec![evil.to_owned()];
        let policy = group.policies.remove("stress").expect("a policy");
        group.policies.insert(evil.to_owned(), policy);
        let window = group.windows.remove("stress").expect("a window");
        group.windows.insert(evil.to_owned(), window);
        group.paused = Some(Paused { until: None, reason: evil.to_owned() });
        group.failed_steps[0].error = evil.to_owned();
        let group = group.clone();
        board.journal.note(&group);
        board.status.problems = vec![FleetProblem { fleet: evil.to_owned(), text: evil.to_owned() }];
        let links = ["<script>alert(1)</script>\"'&=https://logs/{asg}".parse::<Link>().expect("a link")];
        for page in [
            home(&board, (now(), &links), "metrics"),
            super::group(&board, ("jvb", evil, None), (now(), &links)).expect("a page"),
            no_group(&board, (evil, evil), now()),
        ] {
            let page = page.into_string();
            assert!(!page.contains("<script>alert"), "{page}");
            assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{page}");
        }
    }

    #[test]
    fn a_group_has_a_page_that_its_name_leads_to() {
        let mut group = sample::group();
        group.asg = "a/b ?#%é".to_owned();
        assert_eq!(path(&group), "fleets/jvb/a%2Fb%20%3F%23%25%C3%A9?region=us-east-1");
        assert!(super::group(&board(), ("jvb", "prod-jvb", Some("us-east-1")), (now(), &[])).is_some());
        assert!(super::group(&board(), ("jvb", "prod-jvb", Some("eu-west-1")), (now(), &[])).is_none());
        assert!(super::group(&board(), ("jibri", "prod-jvb", None), (now(), &[])).is_none());
    }

    #[test]
    fn many_groups_have_a_line_each_and_those_that_need_attention_come_first() {
        let mut board = board();
        let fine = GroupStatus { blocked: vec![], failed_steps: vec![], zones: vec![], ..sample::group() };
        board.status.groups = (0..20).map(|n| GroupStatus { asg: format!("g{n}"), ..fine.clone() }).collect();
        board.status.groups[15].paused = Some(Paused { until: None, reason: "image".to_owned() });
        let page = home(&board, (now(), &[]), "metrics").into_string();
        assert!(page.find(">g15<").expect("there") < page.find(">g0<").expect("there"));
        assert!(!page.contains("<article"));
    }

    #[test]
    fn the_content_policy_allows_only_the_style_and_script_of_the_page() {
        let page = home(&board(), (now(), &[]), "metrics").into_string();
        assert_eq!(page.matches("<style>").count(), 1);
        assert_eq!(page.matches("<script>").count(), 1);
        assert!(!page.contains("style=") && !page.contains("onclick"), "{page}");
        let inside = |tag: &str| {
            let (_, rest) = page.split_once(&format!("<{tag}>")).expect("the tag");
            rest.split_once(&format!("</{tag}>")).expect("its end").0.to_owned()
        };
        assert_eq!(
            (inside("style").as_str(), Some(inside("script").as_str())),
            (POLICY.style, POLICY.script)
        );
    }

    #[test]
    fn a_replica_that_stands_by_names_the_leader() {
        let mut board = Board::default();
        let leader = LeaderReport {
            lease: "jitsi/jitsi-scaler".to_owned(),
            identity: "scaler-b".to_owned(),
            leading: false,
            holder: Some("<scaler-a>".to_owned()),
        };
        board.status.leader = Some(leader.clone());
        let page = home(&board, (now(), &[]), "metrics").into_string();
        assert!(page.contains("&lt;scaler-a&gt; holds the lease jitsi/jitsi-scaler and leads"), "{page}");
        assert!(page.contains("A replica that stands by evaluates nothing"), "{page}");
        let texts = [
            leader.clone(),
            LeaderReport { leading: true, holder: Some(leader.identity.clone()), ..leader.clone() },
            LeaderReport { holder: Some(leader.identity.clone()), ..leader.clone() },
            LeaderReport { holder: None, ..leader },
        ]
        .map(|leader| leader.text() + "\n");
        insta::assert_snapshot!(texts.concat(), @"
        <scaler-a> holds the lease jitsi/jitsi-scaler and leads; its page has the decisions. This scaler, scaler-b, stands by.
        This scaler, scaler-b, holds the lease jitsi/jitsi-scaler and leads.
        This scaler, scaler-b, holds the lease jitsi/jitsi-scaler and leads once it has renewed it.
        The lease jitsi/jitsi-scaler has no holder, so no scaler leads. This scaler is scaler-b.
        ");
    }

    #[test]
    fn before_the_first_evaluation_it_says_so() {
        let page = home(&Board::default(), (now(), &[]), "metrics").into_string();
        assert!(page.contains("Nothing has been evaluated yet"), "{page}");
    }
}
