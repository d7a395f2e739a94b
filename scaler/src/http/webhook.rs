//! `POST /api/v1/alertmanager`: alerts that fire wake the evaluation of the groups that they name.
//!
//! Owns how many are listened to, and what is answered: 2xx to whatever will never be better, because Alertmanager
//! sends what got a 4xx again with its next notification, and 503 to what may be heard later, which it tries again soon.
//! Delivery is at least once, and a pair of Alertmanagers sends all twice. Nothing here decides anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tokio::time::Instant;

use super::{Served, elsewhere};
use crate::control::{Board, Handle};
use crate::observe::alertmanager::{Firing, Labels, Notification};
use crate::report::GroupStatus;
use crate::telemetry::{GroupRef, Webhook, chain};
use crate::units::{GroupName, Region};

/// The longest notification: some thousand alerts.
const MAX_BODY: usize = 4 * 1024 * 1024;
/// So many notifications at once, and then one a second: more alerts than that are one trouble, and a group that is woken
/// looks at everything anyway.
const BURST: f64 = 20.0;
/// What says the same within this time is a duplicate: longer than a pair of Alertmanagers is apart, and shorter than
/// any reminder.
const SAME: Duration = Duration::from_secs(30);
/// How many alerts are remembered for that.
const REMEMBERED: usize = 10_000;

/// What is known of the notifications that came before.
#[derive(Debug)]
pub(super) struct Ears {
    state: Mutex<Heard>,
}

#[derive(Debug)]
struct Heard {
    tokens: f64,
    at: Instant,
    alerts: HashMap<Firing, Instant>,
}

impl Default for Ears {
    fn default() -> Self {
        let heard = Heard { tokens: BURST, at: Instant::now(), alerts: HashMap::new() };
        Self { state: Mutex::new(heard) }
    }
}

impl Ears {
    /// Whether one more notification is listened to at `now`.
    fn listen(&self, now: Instant) -> bool {
        let mut heard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(heard.at).as_secs_f64();
        heard.tokens = (heard.tokens + gained).min(BURST);
        heard.at = now;
        let listens = heard.tokens >= 1.0;
        if listens {
            heard.tokens -= 1.0;
        }
        listens
    }

    /// What of `firing` has not been heard lately.
    fn news(&self, firing: Vec<Firing>, now: Instant) -> Vec<Firing> {
        let mut heard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        heard.alerts.retain(|_, at| now.saturating_duration_since(*at) < SAME);
        firing.into_iter().filter(|alert| !heard.alerts.contains_key(alert)).collect()
    }

    fn remember(&self, firing: Vec<Firing>, now: Instant) {
        let mut heard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = REMEMBERED.saturating_sub(heard.alerts.len());
        heard.alerts.extend(firing.into_iter().take(room).map(|alert| (alert, now)));
    }
}

pub(super) async fn receive(State(served): State<Served>, body: Body) -> Response {
    let (outcome, text) = heed(&served, body, Instant::now()).await;
    served.telemetry.webhook(outcome, &text);
    let status = match outcome {
        Webhook::Limited | Webhook::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let told = Json(json!({"outcome": outcome.as_str(), "text": text}));
    match elsewhere(status) {
        Some(headers) => (status, headers, told).into_response(),
        None => (status, told).into_response(),
    }
}

async fn heed(served: &Served, body: Body, now: Instant) -> (Webhook, String) {
    if !served.ears.listen(now) {
        return (Webhook::Limited, "too many notifications: later ones are heard".to_owned());
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let text = format!("the notification is broken off, or longer than {MAX_BODY} bytes");
        return (Webhook::Invalid, text);
    };
    let Notification { firing, left_out } = match Notification::parse(&body) {
        Ok(notification) => notification,
        Err(error) => return (Webhook::Invalid, format!("failed to {}", chain(&error))),
    };
    if firing.is_empty() && left_out.is_none() {
        return (Webhook::Resolved, "nothing in it fires".to_owned());
    }
    let news = served.ears.news(firing, now);
    if news.is_empty() && left_out.is_none() {
        return (Webhook::Duplicate, "all of it was said before".to_owned());
    }
    if let Some(leader) = served.stands_by() {
        return (Webhook::Busy, format!("{leader} Send it there, or to the service of both again"));
    }
    let wanted = {
        let board = served.board.borrow();
        if board.status.time.is_none() {
            return (Webhook::Busy, "nothing has been evaluated yet: later ones are heard".to_owned());
        }
        let labels = news.iter().map(|alert| &alert.labels).chain(&left_out);
        named(&board, labels)
    };
    if wanted.is_empty() {
        let text =
            "it names no group that is known: alerts need a label with the name of a group (asg), or fleet";
        return (Webhook::Unmatched, text.to_owned());
    }
    let mut woken = Vec::new();
    for (handle, groups) in wanted.into_values() {
        woken.extend(groups.iter().map(|group| format!("{} in {}", group.name, group.region)));
        if let Err(error) = handle.wake(groups) {
            return (Webhook::Busy, format!("failed to {error}"));
        }
    }
    served.ears.remember(news, now);
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
            groups.insert(GroupRef {
                fleet: handle.fleet.clone(),
                region: Region::new(&group.region),
                name: GroupName::new(&group.asg),
            });
        }
    }
    wanted
}

/// Whether labels name a group: by its name, or all of its fleet. A fleet or a region that they name too must be its.
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
    #[test_case(&[], false; "nobody")]
    fn a_group_is_named(labels: &[(&str, &str)], expected: bool) {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (handle, _) = Handle::for_tests(&FleetName::new("jvb"), ("group", None));
        assert_eq!(names(&labels, &handle, &sample::group()), expected);
    }

    #[test]
    fn a_burst_is_heard_and_then_one_a_second() {
        let ears = Ears::default();
        let start = Instant::now() + Duration::from_secs(1);
        let heard = (0..100).filter(|_| ears.listen(start)).count();
        assert_eq!(heard, 20);
        assert!(!ears.listen(start + Duration::from_millis(900)));
        assert!(ears.listen(start + Duration::from_millis(1900)));
    }

    #[test]
    fn what_was_said_lately_is_no_news() {
        let alert = |since: &str| Firing { labels: Labels::new(), since: since.to_owned() };
        let (ears, now) = (Ears::default(), Instant::now());
        ears.remember(vec![alert("1")], now);
        let news = |after| ears.news(vec![alert("1"), alert("2")], now + Duration::from_secs(after));
        assert_eq!(news(29), [alert("2")]);
        assert_eq!(news(30), [alert("1"), alert("2")]);
    }
}
