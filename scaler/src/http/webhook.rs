//! `POST /api/v1/alertmanager`: alerts that fire wake the evaluation of the groups that they name.
//!
//! Owns the answers. A notification that can never be used gets 2xx, because Alertmanager repeats one that got 4xx at its
//! next group interval. One that may be accepted later gets 503, and Alertmanager repeats it soon. Delivery is at least
//! once, and a pair of Alertmanagers sends everything twice. Nothing here decides about capacity.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use tokio::time::Instant;

use super::served::{Served, answer};
use crate::control::{Board, Handle};
use crate::observe::alertmanager::{Labels, Notification};
use crate::report::GroupStatus;
use crate::telemetry::{GroupRef, Webhook, chain};

/// The longest notification: some thousand alerts.
const MAX_BODY: usize = 4 * 1024 * 1024;

pub(super) async fn receive(State(served): State<Served>, body: Body) -> Response {
    let (outcome, text) = handle(&served, body, Instant::now()).await;
    served.telemetry.webhook(outcome, &text);
    let status = match outcome {
        Webhook::Limited | Webhook::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    answer(status, json!({"outcome": outcome.as_str(), "text": text}))
}

async fn handle(served: &Served, body: Body, now: Instant) -> (Webhook, String) {
    if !served.notifications.accept(now) {
        return (Webhook::Limited, "too many notifications; send it again later".to_owned());
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let text = format!("the notification ends early, or is longer than {MAX_BODY} bytes");
        return (Webhook::Invalid, text);
    };
    let Notification { firing, left_out } = match Notification::parse(&body) {
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
        return (Webhook::Busy, format!("{leader} Send it there, or again to the service of all replicas"));
    }
    let wanted = {
        let board = served.board.borrow();
        if board.status.time.is_none() {
            return (Webhook::Busy, "nothing has been evaluated yet; send it again later".to_owned());
        }
        let labels = news.iter().map(|alert| &alert.labels).chain(&left_out);
        named(&board, labels)
    };
    if wanted.is_empty() {
        let text =
            "it names no known group: an alert needs the label asg, with the name of a group, or fleet";
        return (Webhook::Unmatched, text.to_owned());
    }
    let mut woken = Vec::new();
    for (handle, groups) in wanted.into_values() {
        woken.extend(groups.iter().map(|group| format!("{} in {}", group.name, group.region)));
        if let Err(error) = handle.wake(groups) {
            return (Webhook::Busy, format!("failed to {error}"));
        }
    }
    served.notifications.remember(news, now);
    (Webhook::Woken, format!("evaluated now: {}", woken.join(", ")))
}

/// The groups that these labels name, by fleet.
fn named<'a>(
    board: &Board,
    labels: impl Iterator<Item = &'a Labels>,
) -> BTreeMap<String, (Handle, BTreeSet<GroupRef>)> {
    let mut wanted: BTreeMap<String, (Handle, BTreeSet<GroupRef>)> = BTreeMap::new();
    for labels in labels {
        for group in &board.status.groups {
            let Some(handle) = board.handles.get(&group.fleet) else { continue };
            if !names(labels, handle, group) {
                continue;
            }
            let (_, groups) =
                wanted.entry(group.fleet.clone()).or_insert_with(|| (handle.clone(), BTreeSet::new()));
            groups.insert(group.group_ref());
        }
    }
    wanted
}

/// Whether labels name a group, by its name or by its fleet. A fleet or region beside the name must match too.
fn names(labels: &Labels, handle: &Handle, group: &GroupStatus) -> bool {
    let label = |name: &str| labels.get(name).map(String::as_str);
    let name = label(&handle.label).or_else(|| label("asg"));
    let fleet = label("fleet");
    let region = handle.region_label.as_deref().and_then(label).or_else(|| label("region"));
    (name.is_some() || fleet.is_some())
        && name.is_none_or(|name| name == group.asg)
        && fleet.is_none_or(|fleet| fleet == group.fleet)
        && region.is_none_or(|region| region == group.region)
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    use crate::report::sample;
    use crate::units::FleetName;

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
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (handle, _) = Handle::for_tests(&FleetName::new("jvb"), ("group", None));
        assert_eq!(names(&labels, &handle, &sample::group()), expected);
    }
}
