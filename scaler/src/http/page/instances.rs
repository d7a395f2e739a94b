//! The instances of a group, one by one and by zone.

use maud::{Markup, html};

use super::hands::{self, Token};
use super::table::table;
use super::times::{since, until};
use super::words::said;
use crate::report::{GroupStatus, InstanceReport, InstanceState};
use crate::units::Time;

/// How many instances the page shows.
const SHOWN: usize = 50;

/// The state of an instance in words, its class, and its place: those that a person looks for come first.
fn state(it: &InstanceReport) -> (&'static str, &'static str, u8) {
    match InstanceState::parse(it.state) {
        Some(InstanceState::Silent) => ("⚠ does not report", "warn", 0),
        Some(InstanceState::Unhealthy) => ("⚠ unhealthy to the cloud", "warn", 0),
        Some(InstanceState::Held) => ("▽ terminates, held by a hook", "in", 1),
        Some(InstanceState::Draining) => ("▽ drains", "in", 1),
        Some(InstanceState::DrainedByHand) => ("▽ drained by hand", "warn", 1),
        Some(InstanceState::Terminating) => ("▽ terminates", "in", 2),
        Some(InstanceState::Booting) => ("△ boots", "out", 3),
        Some(InstanceState::Warming) => ("△ warms up", "out", 3),
        Some(InstanceState::Ready) | None => ("● serves", "ok", 4),
        Some(InstanceState::Aside) => ("◌ in standby or in the warm pool", "soft", 5),
        Some(InstanceState::Left) => ("◌ has left the group", "soft", 5),
    }
}

/// What an instance carries.
fn load(component: &str, load: Option<f64>) -> String {
    match (component, load) {
        (_, None) => "unknown".to_owned(),
        ("jibri", Some(0.0)) => "idle".to_owned(),
        ("jibri", Some(_)) => "records".to_owned(),
        (_, Some(1.0)) => "1 person".to_owned(),
        (_, Some(people)) => format!("{people} people"),
    }
}

/// Whether a scale-in may choose the instance, or why it stays.
fn leaving(it: &GroupStatus, instance: &InstanceReport, now: Time) -> Markup {
    html! {
        @match &instance.stays {
            Some(stay) => { "stays: " (said(&stay.text, now)) @if let Some(at) = &stay.until { ", " (until(at, now)) } }
            None if it.next_victim.as_deref() == Some(instance.instance.as_str()) => strong { "may go next" },
            None => "may go",
        }
    }
}

/// The instances, those first that need a look. Where a person may drain them, each has a form.
pub(super) fn instances(it: &GroupStatus, token: Token<'_>, now: Time) -> Markup {
    let mut shown: Vec<&InstanceReport> = it.instances.iter().collect();
    shown.sort_by_key(|instance| {
        let is_next = it.next_victim.as_deref() == Some(instance.instance.as_str());
        (state(instance).2, !is_next)
    });
    let rows = html! {
        @for instance in shown.iter().take(SHOWN) {
            @let (words, class, _) = state(instance);
            tr data-key=(instance.instance) {
                th scope="row" { (instance.instance) }
                td { (instance.zone) }
                td { span .(class) { (words) } }
                td { (load(it.component, instance.load)) }
                td { @match &instance.in_service_since { Some(at) => (since(at, now)), None => "unknown" } }
                td { (leaving(it, instance, now)) }
                @if token.is_some() { td { (hands::instance(it, &instance.instance, token)) } }
            }
        }
    };
    html! {
        @if !it.instances.is_empty() {
            h3 { "Instances" }
            @let heads = ["Instance", "Zone", "State", "Load", "In service", "At a scale-in", "By hand"];
            (table(Some("rows"), &heads[..heads.len() - usize::from(token.is_none())], &rows))
            @if shown.len() > SHOWN {
                p .soft { "These are the first " (SHOWN) " of " (shown.len()) ". The status as JSON, linked above, lists all." }
            }
        }
    }
}

/// The instances by zone, as AWS lists them, and whether they report.
pub(super) fn zones(it: &GroupStatus) -> Markup {
    // Requested instances have no zone yet.
    let placed: u32 = it.zones.iter().map(|zone| zone.booting).sum();
    let lacking = it.current.warming.saturating_sub(placed);
    let rows = html! {
        @for zone in &it.zones {
            tr data-key=(zone.zone) {
                th scope="row" { (zone.zone) }
                td { (zone.ready)
                    @if !zone.silent.is_empty() { " " span .badge .warn { "⚠ " (zone.silent.len()) " not reporting" } }
                }
                td { (zone.booting) }
                td { (zone.draining) }
                td { (zone.leaving) }
            }
        }
    };
    html! {
        @if !it.zones.is_empty() {
            h3 { "Instances by zone" }
            (table(Some("figures"), &["Zone", "Ready", "Booting", "Draining", "Leaving"], &rows))
            @if lacking > 0 { p { (lacking) " of the booting instances are requested and not launched yet." } }
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

    #[test]
    fn an_instance_says_what_it_does_and_whether_it_may_go() {
        let group = GroupStatus { next_victim: Some("i-0123456789abcdef3".to_owned()), ..sample::group() };
        let page = instances(&group, None, now()).into_string();
        for text in [
            "▽ drains",
            "12 people",
            ">11 h ago<",
            "stays: draining already",
            "● serves",
            "unknown",
            "may go next",
        ] {
            assert!(page.contains(text), "{text} in {page}");
        }
    }

    #[test]
    fn a_large_group_shows_those_that_need_a_look() {
        let one = sample::group().instances.remove(1);
        let many = (0..3000).map(|number| InstanceReport { instance: format!("i-{number}"), ..one.clone() });
        let mut group = GroupStatus { instances: many.collect(), ..sample::group() };
        group.instances[2999].state = "silent";
        let page = instances(&group, None, now()).into_string();
        assert!(page.find("i-2999").expect("there") < page.find("i-0").expect("there"), "{page}");
        assert!(page.contains("These are the first 50 of 3000.") && page.len() < 30_000, "{}", page.len());
    }

    #[test]
    fn a_load_is_said_in_the_words_of_the_component() {
        let loads = [
            ("jvb", Some(1.0)),
            ("jvb", Some(7.0)),
            ("jibri", Some(0.0)),
            ("jibri", Some(1.0)),
            ("jvb", None),
        ];
        let said = loads.map(|(component, amount)| load(component, amount));
        assert_eq!(said, ["1 person", "7 people", "idle", "records", "unknown"]);
    }
}
