//! The first page: whether all is well, and a row for each group.
//!
//! Owns which groups a page shows and in which order. From ten groups on they can be searched, chosen and sorted, and no
//! page has more than fifty rows, so that thousands of groups stay usable.

use std::cmp::Reverse;

use maud::{Markup, html};
use serde::Deserialize;

use super::charts::spark;
use super::group::{path, sentence};
use super::policies::brief;
use super::table::table;
use super::troubles::{Trouble, Weight, beginning, state, troubles};
use super::words::{count, said};
use crate::config::link::encoded;
use crate::http::past::{GroupKey, Lines};
use crate::report::{FleetProblem, GroupStatus, Status};
use crate::units::Time;

/// With so many groups they can be searched, and a row has no windows.
const MANY: usize = 10;
/// How many rows a page has.
const ROWS: usize = 50;
/// How many groups the verdict names.
const NAMED: usize = 5;
/// How many characters the verdict quotes of what happens in a group.
const LONGEST: usize = 220;

/// What of the groups is asked for. What is not understood asks for everything.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http) struct Asked {
    /// A part of the name of a group, its fleet or its region.
    q: String,
    /// `attention`, `changing` or everything.
    show: String,
    /// `name`, `wanted`, `ready`, `draining`, or those first that need attention.
    sort: String,
    /// The number of the page, from 1.
    page: String,
}

const SHOWS: [(&str, &str); 3] = [("", "all"), ("attention", "need attention"), ("changing", "change")];
const SORTS: [(&str, &str); 5] = [
    ("", "worst first"),
    ("name", "name"),
    ("wanted", "most wanted"),
    ("ready", "fewest ready"),
    ("draining", "most draining"),
];

impl Asked {
    /// The address of a page of the same list.
    fn address(&self, page: usize) -> String {
        let Self { q, show, sort, .. } = self;
        format!("?q={}&show={}&sort={}&page={page}", encoded(q), encoded(show), encoded(sort))
    }

    fn matches(&self, (group, troubles): &(&GroupStatus, Vec<Trouble>)) -> bool {
        let wanted = self.q.trim().to_lowercase();
        let is_named = [&group.asg, &group.fleet, &group.region]
            .iter()
            .any(|name| name.to_lowercase().contains(&wanted));
        let is_shown = match self.show.as_str() {
            "attention" => weight(troubles) > Weight::Usual,
            "changing" => changes(group),
            _ => true,
        };
        is_named && is_shown
    }
}

fn weight(troubles: &[Trouble]) -> Weight {
    troubles.first().map_or(Weight::Usual, |trouble| trouble.weight)
}

fn changes(group: &GroupStatus) -> bool {
    group.action != "hold" || group.current.draining > 0 || group.current.warming > 0
}

/// The groups that a page shows, with their troubles.
#[derive(Debug)]
pub(in crate::http) struct Selection<'a> {
    /// All groups.
    all: usize,
    /// How many of them change.
    changing: usize,
    /// Those that need attention, the worst first.
    troubled: Vec<(&'a GroupStatus, Trouble)>,
    /// How many are asked for.
    matching: usize,
    /// Those of this page.
    rows: Vec<&'a GroupStatus>,
    page: usize,
    asked: Asked,
}

impl<'a> Selection<'a> {
    /// Selects what is asked for.
    pub(in crate::http) fn new(status: &'a Status, asked: Asked, now: Time) -> Self {
        let groups = status.groups.iter().map(|group| (group, troubles(group, None, now)));
        let mut groups: Vec<_> = groups.collect();
        let (all, changing) = (groups.len(), groups.iter().filter(|(group, _)| changes(group)).count());
        groups.sort_by_key(|(_, troubles)| Reverse(weight(troubles)));
        let worst = groups.iter().filter_map(|(group, troubles)| Some((*group, troubles.first()?.clone())));
        let troubled = worst.collect();
        groups.retain(|group| asked.matches(group));
        match asked.sort.as_str() {
            "name" => groups.sort_by_key(|(group, _)| (&group.asg, &group.region)),
            "wanted" => groups.sort_by_key(|(group, _)| Reverse(group.desired)),
            "ready" => groups.sort_by_key(|(group, _)| group.current.ready),
            "draining" => groups.sort_by_key(|(group, _)| Reverse(group.current.draining)),
            _ => {}
        }
        let matching = groups.len();
        let pages = matching.div_ceil(ROWS).max(1);
        let page = asked.page.parse().unwrap_or(1).clamp(1, pages);
        let rows = groups.into_iter().skip((page - 1) * ROWS).take(ROWS).map(|(group, _)| group).collect();
        Self { all, changing, troubled, matching, rows, page, asked }
    }

    /// Names the groups of the page.
    pub(in crate::http) fn keys(&self) -> Vec<GroupKey> {
        self.rows.iter().map(|group| key(group)).collect()
    }

    fn pages(&self) -> usize {
        self.matching.div_ceil(ROWS).max(1)
    }
}

/// Names a group.
pub(in crate::http) fn key(group: &GroupStatus) -> GroupKey {
    GroupKey { fleet: group.fleet.clone(), region: group.region.clone(), asg: group.asg.clone() }
}

/// What a tab of a browser shows.
pub(super) fn title(selection: &Selection<'_>) -> String {
    match selection.troubled.len() {
        0 => "jitsi-scaler".to_owned(),
        troubled => format!("⚠ {troubled} of {} · jitsi-scaler", selection.all),
    }
}

/// Whether all is well, or what is not.
pub(super) fn verdict(selection: &Selection<'_>, problems: &[FleetProblem], now: Time) -> Markup {
    let Selection { all, changing, troubled, .. } = selection;
    let more = troubled.len().saturating_sub(NAMED);
    html! {
        section .verdict .(if troubled.is_empty() && problems.is_empty() { "fine" } else { "ill" }) data-key="verdict" role="status" {
            h2 {
                @if troubled.is_empty() && problems.is_empty() { "✓ All is well" }
                @else if troubled.is_empty() { "⚠ " (count(problems.len(), "fleet has a problem", "fleets have problems")) }
                @else { "⚠ " (troubled.len()) " of " (count(*all, "group needs", "groups need")) " attention" }
            }
            p .soft {
                (count(*all, "group", "groups")) "; "
                @match changing {
                    0 => "none changes its capacity now.",
                    1 => "1 changes its capacity now.",
                    more => { (more) " change their capacity now." },
                }
            }
            @if !troubled.is_empty() {
                ul {
                    @for (group, trouble) in troubled.iter().take(NAMED) {
                        li data-key=(path(group)) {
                            a href=(path(group)) { (group.asg) } ": " (said(&short(&trouble.what), now))
                            @if let Some(since) = trouble.since { (beginning(since, now)) }
                        }
                    }
                    @if more > 0 { li { a href="?show=attention" { (more) " more" } } }
                }
            }
        }
    }
}

/// The beginning of a text, which may quote a long message.
fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The rows of the groups. Without lines, why there are none.
pub(super) fn rows(selection: &Selection<'_>, lines: Result<&Lines, &str>, now: Time) -> Markup {
    let is_large = selection.all >= MANY;
    let rows = html! {
        @for group in &selection.rows {
            tr data-key=(path(group)) {
                th scope="row" { a href=(path(group)) { (group.asg) } " " small { (group.fleet) " · " (group.region) } }
                td { (state(group, now)) }
                td data-name="wanted" { (group.desired) }
                td data-name="ready" { (group.current.ready) }
                td data-name="draining" { (group.current.draining) }
                td data-name="bounds" { (group.current.min) " to " (group.current.max) }
                td { @if let Ok(lines) = lines { (spark(lines.wanted.get(&key(group)).map_or(&[][..], Vec::as_slice))) } @else { small { "unknown" } } }
                td {
                    div { (sentence(group, now)) }
                    @if !is_large { @for (name, policy) in group.policies.iter() { (brief(group, name, policy)) } }
                }
            }
        }
    };
    let heads = ["Group", "State", "Wanted", "Ready", "Draining", "Bounds", "Wanted in 6 h", "Why"];
    html! {
        @if is_large { (form(selection)) }
        @if selection.rows.is_empty() && selection.all > 0 { p { "No group matches." } }
        @if !selection.rows.is_empty() { (table(Some("rows groups"), &heads, &rows)) }
        @if let Err(why) = lines { p .soft data-key="no-past" { "⚠ " (why) "; the figures above are those of the last evaluation." } }
        (pages(selection))
    }
}

/// The search, which works without scripts.
fn form(selection: &Selection<'_>) -> Markup {
    let asked = &selection.asked;
    let options = |options: &[(&'static str, &'static str)], chosen: &str| {
        html! { @for (value, text) in options { option value=(value) selected[*value == chosen] { (text) } } }
    };
    html! {
        form method="get" role="search" data-key="search" {
            label { "Find " input type="search" name="q" value=(asked.q) placeholder="name, fleet or region"; }
            label { "Show " select name="show" { (options(&SHOWS, &asked.show)) } }
            label { "Sort by " select name="sort" { (options(&SORTS, &asked.sort)) } }
            button { "Apply" }
        }
    }
}

/// The links to the other pages of the list.
fn pages(selection: &Selection<'_>) -> Markup {
    let (page, pages, asked) = (selection.page, selection.pages(), &selection.asked);
    let first = (page - 1) * ROWS + 1;
    html! {
        @if pages > 1 {
            nav .pages aria-label="Pages" {
                span { "Groups " (first) " to " (first + selection.rows.len() - 1) " of " (selection.matching) }
                @if page > 1 { a href=(asked.address(page - 1)) rel="prev" { "Previous" } }
                @if page < pages { a href=(asked.address(page + 1)) rel="next" { "Next" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::time::Instant;

    use super::*;
    use crate::http::past::Span;
    use crate::report::{Paused, sample};

    fn now() -> Time {
        Time::parse("2026-11-20T07:00:10Z").expect("a time")
    }

    /// So many groups that are fine.
    fn status(count: u32) -> Status {
        let fine = GroupStatus {
            blocked: vec![],
            drains: vec![],
            zones: vec![],
            failed_steps: vec![],
            ..sample::group()
        };
        let group =
            |number: u32| GroupStatus { asg: format!("group-{number:05}"), desired: number, ..fine.clone() };
        let groups = (0..count).map(group).collect();
        Status { time: Some("2026-11-20T07:00:00Z".to_owned()), groups, ..Status::default() }
    }

    fn asked(q: &str, show: &str, sort: &str, page: &str) -> Asked {
        let [q, show, sort, page] = [q, show, sort, page].map(str::to_owned);
        Asked { q, show, sort, page }
    }

    fn names(selection: &Selection<'_>) -> Vec<String> {
        selection.rows.iter().map(|group| group.asg.clone()).collect()
    }

    fn page(selection: &Selection<'_>) -> String {
        let grid = Span::SixHours.grid(now());
        let line: Vec<_> = (0..73_u32).map(|place| Some(f64::from(place % 9))).collect();
        let wanted: BTreeMap<_, _> = selection.keys().into_iter().map(|key| (key, line.clone())).collect();
        let lines = Lines { grid, wanted };
        html! { (verdict(selection, &[], now())) (rows(selection, Ok(&lines), now())) }.into_string()
    }

    #[test]
    fn the_verdict_says_that_all_is_well_or_what_is_not_worst_first() {
        let mut status = status(3);
        let fine = page(&Selection::new(&status, Asked::default(), now()));
        assert!(
            fine.contains("✓ All is well") && fine.contains("3 groups; 3 change their capacity now."),
            "{fine}"
        );
        let onset = crate::report::Onset { since: "2026-11-20T06:00:00Z".to_owned(), or_earlier: false };
        status.groups[1].blocked = sample::no_victim(1).into_reason("maximum");
        status.groups[2].blocked = sample::no_victim(1).into_reason("data_quality");
        status.groups[2].since = [("data_quality".to_owned(), onset)].into();
        let selection = Selection::new(&status, Asked::default(), now());
        assert_eq!(names(&selection), ["group-00002", "group-00001", "group-00000"]);
        let ill = page(&selection);
        assert!(ill.contains("⚠ 2 of 3 groups need attention"), "{ill}");
        assert_eq!(title(&selection), "⚠ 2 of 3 · jitsi-scaler");
        assert!(ill.contains(">06:00</time>") && ill.contains(">1 h ago<"), "{ill}");
        let problems = [FleetProblem { fleet: "jvb".to_owned(), text: "no data".to_owned() }];
        let none = Status::default();
        let told = verdict(&Selection::new(&none, Asked::default(), now()), &problems, now()).into_string();
        assert!(told.contains("⚠ 1 fleet has a problem"), "{told}");
    }

    impl crate::report::Blocked {
        fn into_reason(self, reason: &'static str) -> Vec<Self> {
            vec![Self { reason, instances: Vec::new(), ..self }]
        }
    }

    #[test]
    fn a_row_of_a_few_groups_has_its_windows() {
        let few = page(&Selection::new(&status(2), Asked::default(), now()));
        for text in ["<svg", "Wanted in 6 h", "of 3 for more", r#"class="strip""#, "Scales out from 3 to 4"] {
            assert!(few.contains(text), "{text} in {few}");
        }
        assert!(!few.contains("<form"), "{few}");
    }

    #[test]
    fn groups_are_found_chosen_sorted_and_paged() {
        let mut status = status(300);
        status.groups[77].paused = Some(Paused { until: None, by: None, reason: "image".to_owned() });
        status.groups[77].blocked = sample::no_victim(1).into_reason("paused");
        status.groups[8].action = "hold";
        status.groups[8].current.draining = 0;
        let select = |q: &str, show: &str, sort: &str, page: &str| {
            names(&Selection::new(&status, asked(q, show, sort, page), now()))
        };
        assert_eq!(select("", "", "", "")[..2], ["group-00077", "group-00000"]);
        assert_eq!(select("", "attention", "", ""), ["group-00077"]);
        assert_eq!(select("GROUP-0012", "", "name", "").len(), 10);
        assert_eq!(select("nothing", "", "", ""), [""; 0]);
        assert_eq!(select("us-east", "", "wanted", "")[0], "group-00299");
        assert_eq!(select("", "", "name", "6")[49], "group-00299");
        assert_eq!(select("", "", "name", "99"), select("", "", "name", "6"));
        assert_eq!(select("", "", "name", "-1"), select("", "", "name", "1"));
        assert!(!select("", "changing", "name", "").contains(&"group-00008".to_owned()));
    }

    #[test]
    fn a_page_of_many_groups_is_small_and_quick() {
        for count in [300, 5000] {
            let status = status(count);
            let began = Instant::now();
            let selection = Selection::new(&status, asked("a\"<b>", "", "", ""), now());
            let empty = page(&selection);
            assert!(empty.contains("No group matches") && empty.contains("a&quot;&lt;b&gt;"), "{empty}");
            let full = page(&Selection::new(&status, asked("", "", "", "2"), now()));
            assert!(full.contains(&format!("Groups 51 to 100 of {count}")), "{full}");
            assert!(full.contains("?q=&amp;show=&amp;sort=&amp;page=3"), "{full}");
            assert!(full.len() < 300_000, "{}", full.len());
            assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        }
    }
}
