//! `POST /api/v1/alertmanager`: alerts that fire wake the evaluation of the groups that they name.
//!
//! Owns the answers. A notification that can never be used gets 2xx, because Alertmanager repeats one that got 4xx at its
//! next group interval. One that may be accepted later gets 503, and Alertmanager repeats it soon. Delivery is at least
//! once, and a pair of Alertmanagers sends everything twice. Nothing here decides about capacity.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures::StreamExt as _;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::served::{Served, answer};
use crate::control::{Board, Handle};
use crate::observe::alertmanager::{Labels, Notification};
use crate::telemetry::{GroupRef, Webhook, chain};
use crate::units::{FleetName, Region};

/// The longest notification: some thousand alerts.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// How many woken groups an answer names.
const SHOWN: usize = 20;
/// What a sender is told whose alert another replica can use.
const AGAIN: &str = "Send it there, or again to the service of all replicas";

pub(super) async fn receive(State(served): State<Served>, body: Body) -> Response {
    let (outcome, text) = handle(&served, body).await;
    served.telemetry.webhook(outcome, &text);
    let status = match outcome {
        Webhook::Limited | Webhook::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    answer(status, json!({"outcome": outcome.as_str(), "text": text}))
}

async fn handle(served: &Served, body: Body) -> (Webhook, String) {
    let mut whole = Vec::new();
    let mut room: Option<OwnedSemaphorePermit> = None;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Some(chunk) = chunk.ok().filter(|chunk| whole.len() + chunk.len() <= MAX_BODY) else {
            let text = format!("the notification ends early, or is longer than {MAX_BODY} bytes");
            return (Webhook::Invalid, text);
        };
        let Some(more) = served.notifications.room(chunk.len()) else { return limited() };
        match &mut room {
            Some(room) => room.merge(more),
            None => room = Some(more),
        }
        whole.extend_from_slice(&chunk);
    }
    // A notification may have as many alerts as fit into its length, so it is read on a thread that serves nothing else.
    let turn = served.notifications.turn().await;
    let served = served.clone();
    let read = move || {
        let _held = (room, turn);
        read(&served, &whole, Instant::now())
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| limited())
}

fn limited() -> (Webhook, String) {
    (Webhook::Limited, "too many notifications; send it again later".to_owned())
}

fn read(served: &Served, body: &[u8], now: Instant) -> (Webhook, String) {
    let Notification { firing, left_out } = match Notification::parse(body) {
        Ok(notification) => notification,
        Err(error) => return (Webhook::Invalid, format!("failed to {}", chain(&error))),
    };
    if firing.is_empty() && left_out.is_none() {
        return (Webhook::Resolved, "no alert in it fires".to_owned());
    }
    let news = served.notifications.news(firing, now);
    if news.is_empty() && left_out.is_none() {
        return (Webhook::Duplicate, "an earlier notification said the same".to_owned());
    }
    if let Some(leader) = served.stands_by() {
        return (Webhook::Busy, format!("{leader} {AGAIN}"));
    }
    let Some(directory) = Directory::of(&served.board()) else {
        return (Webhook::Busy, "nothing has been evaluated yet; send it again later".to_owned());
    };
    let wanted = directory.named(news.iter().map(|alert| &alert.labels).chain(&left_out));
    if wanted.is_empty() {
        // What an alert without a fleet names is unknown here while another replica leads a shard.
        let elsewhere = |labels: &Labels| served.elsewhere(labels.get("fleet"));
        if let Some(leader) = news.iter().map(|alert| &alert.labels).chain(&left_out).find_map(elsewhere) {
            return (Webhook::Busy, format!("{leader} {AGAIN}"));
        }
        let text =
            "it names no known group: an alert needs the label asg, with the name of a group, or fleet";
        return (Webhook::Unmatched, text.to_owned());
    }
    // What wakes no group uses up nothing of what others may send.
    if !served.notifications.accept(now) {
        return limited();
    }
    let mut woken = Vec::new();
    for (fleet, groups) in wanted {
        woken.extend(groups.iter().map(|group| format!("{} in {}", group.name, group.region)));
        if let Some(Err(error)) = directory.handles.get(fleet.as_str()).map(|handle| handle.wake(groups)) {
            return (Webhook::Busy, format!("failed to {error}"));
        }
    }
    served.notifications.remember(&news, now);
    let (named, more) = (woken.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "), woken.len());
    let more = more.checked_sub(SHOWN + 1).map(|more| format!(" and {} more", more + 1)).unwrap_or_default();
    (Webhook::Woken, format!("evaluated now: {named}{more}"))
}

/// The groups on the board, by what an alert may name. Looking one up takes as long as there are groups of its name.
struct Directory {
    handles: BTreeMap<String, Handle>,
    by_name: HashMap<String, Vec<GroupRef>>,
    by_fleet: HashMap<(FleetName, Option<Region>), Vec<GroupRef>>,
}

impl Directory {
    /// `None` before the first evaluation.
    fn of(board: &Board) -> Option<Self> {
        board.status.time.as_ref()?;
        let mut directory =
            Self { handles: board.handles.clone(), by_name: HashMap::new(), by_fleet: HashMap::new() };
        for group in board.status.groups.iter().filter(|group| board.handles.contains_key(&group.fleet)) {
            let group = group.group_ref();
            for region in [None, Some(group.region.clone())] {
                directory.by_fleet.entry((group.fleet.clone(), region)).or_default().push(group.clone());
            }
            directory.by_name.entry(group.name.to_string()).or_default().push(group);
        }
        Some(directory)
    }

    /// The groups that these labels name, by fleet.
    fn named<'a>(&self, labels: impl Iterator<Item = &'a Labels>) -> BTreeMap<FleetName, BTreeSet<GroupRef>> {
        let mut wanted: BTreeMap<FleetName, BTreeSet<GroupRef>> = BTreeMap::new();
        // Fleets differ in the labels that carry the name and the region of a group, and most do not.
        let conventions: BTreeSet<_> =
            self.handles.values().map(|it| (it.label.as_str(), it.region_label.as_deref())).collect();
        let mut seen = HashSet::new();
        for labels in labels {
            for &convention in &conventions {
                let query = Query::of(labels, convention);
                if seen.insert((convention, query)) {
                    for group in self.found(convention, query) {
                        wanted.entry(group.fleet.clone()).or_default().insert(group.clone());
                    }
                }
            }
        }
        wanted
    }

    /// The groups that a query names, of the fleets with this convention.
    fn found<'s>(
        &'s self,
        convention: (&'s str, Option<&'s str>),
        query: Query<'s>,
    ) -> impl Iterator<Item = &'s GroupRef> {
        let groups = match query {
            Query { name: Some(name), .. } => self.by_name.get(name),
            Query { fleet: Some(fleet), region, .. } => {
                self.by_fleet.get(&(FleetName::new(fleet), region.map(Region::new)))
            }
            _ => None,
        };
        groups.into_iter().flatten().filter(move |group| {
            let handle = self.handles.get(group.fleet.as_str());
            handle.is_some_and(|it| (it.label.as_str(), it.region_label.as_deref()) == convention)
                && query.fleet.is_none_or(|fleet| fleet == group.fleet.as_str())
                && query.region.is_none_or(|region| region == group.region.as_str())
        })
    }
}

/// What the labels of an alert name: a group, or all groups of a fleet. A fleet or region beside the name must match too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Query<'a> {
    name: Option<&'a str>,
    fleet: Option<&'a str>,
    region: Option<&'a str>,
}

impl<'a> Query<'a> {
    /// `convention`: the labels that carry the name of a group and its region.
    fn of(labels: &'a Labels, convention: (&str, Option<&str>)) -> Self {
        let label = |name: &str| labels.get(name);
        let (name, region) = convention;
        Self {
            name: label(name).or_else(|| label("asg")),
            fleet: label("fleet"),
            region: region.and_then(label).or_else(|| label("region")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    use crate::report::{GroupStatus, Status, sample};

    #[test_case(&[("asg", "prod-jvb")], true; "by name")]
    #[test_case(&[("asg", "other")], false; "another group")]
    #[test_case(&[("group", "prod-jvb"), ("asg", "x")], true; "by the label of the fleet, before asg")]
    #[test_case(&[("fleet", "jvb")], true; "by fleet")]
    #[test_case(&[("fleet", "jibri"), ("asg", "prod-jvb")], false; "of another fleet")]
    #[test_case(&[("asg", "prod-jvb"), ("region", "us-east-1")], true; "by name and region")]
    #[test_case(&[("asg", "prod-jvb"), ("region", "eu-west-1")], false; "in another region")]
    #[test_case(&[("region", "us-east-1")], false; "a region alone is too much")]
    #[test_case(&[], false; "no label")]
    fn a_group_is_named(labels: &[(&str, &str)], expected: bool) {
        let labels: Labels = labels.iter().copied().collect();
        let (handle, _queue) = Handle::for_tests(&FleetName::new("jvb"), ("group", None));
        let status = Status { time: Some(String::new()), groups: vec![sample::group()], ..Status::default() };
        let handles = [("jvb".to_owned(), handle)].into();
        let directory = Directory::of(&Board { status, handles, ..Board::default() }).expect("an evaluation");
        let named = directory.named([&labels].into_iter());
        let expected = if expected { vec![sample::group().group_ref()] } else { Vec::new() };
        assert_eq!(named.into_values().flatten().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn many_alerts_wake_each_of_many_groups_once_and_no_other() {
        let fleet = FleetName::new("jvb");
        let (handle, _queue) = Handle::for_tests(&fleet, ("asg", Some("region")));
        let group = |number: u32| GroupStatus { asg: format!("group-{number}"), ..sample::group() };
        let groups = (0..1000).map(group).collect();
        let status = Status { time: Some(String::new()), groups, ..Status::default() };
        let handles = [("jvb".to_owned(), handle)].into();
        let directory = Directory::of(&Board { status, handles, ..Board::default() }).expect("an evaluation");
        let alert = |number: u32| -> Labels {
            let region = format!("region-{number}");
            [("fleet", "jvb"), ("region", region.as_str())].into_iter().collect()
        };
        let by_name =
            |number: u32| -> Labels { [("asg", format!("group-{}", number % 2000))].into_iter().collect() };
        let alerts: Vec<_> = (0..60_000).map(alert).chain((0..60_000).map(by_name)).collect();
        let named = directory.named(alerts.iter());
        assert_eq!(named[&fleet].len(), 1000);
    }
}
