//! `POST /api/v1/fleets/{fleet}/{asg}/pause` and `…/resume`: an operator keeps the scaler from a group for a time.
//!
//! Owns the conditions and the answers. The pause itself is a tag on the group, which the fleet's loop writes.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::served::{Served, Where, answer};
use crate::cloud::tags::Pause;
use crate::control::Handle;
use crate::telemetry::{GroupRef, chain};
use crate::units::Time;

/// How long a request waits until the tag is written; an evaluation may be under way.
const ANSWERING: Duration = Duration::from_secs(10);
/// The longest pause. A group that needs a longer one should leave the configuration.
const LONGEST: Duration = Duration::from_hours(30 * 24);
/// Far more than a reason of 200 characters needs.
const MAX_BODY: usize = 16 * 1024;

/// A pause as requested.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    reason: String,
    until: Option<String>,
    #[serde(rename = "for")]
    length: Option<String>,
}

impl Wanted {
    fn read(body: &[u8], now: Time) -> Result<(Time, String), Refusal> {
        let example = r#"{"reason": "new image", "for": "2h"}, or "until": "2026-11-20T09:00:00Z""#;
        let wrong =
            |text: String| Refusal(StatusCode::BAD_REQUEST, format!("{text}; write for example {example}"));
        // An array would be taken for its members in their order.
        let object: serde_json::Map<_, _> =
            serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
        let wanted = Self::deserialize(object).map_err(|error| wrong(error.to_string()))?;
        let until = match (&wanted.until, &wanted.length) {
            (Some(until), None) => {
                Time::parse(until).ok_or_else(|| wrong(format!("\"{until}\" is not a time")))?
            }
            (None, Some(length)) => {
                let length = humantime::parse_duration(length)
                    .map_err(|error| wrong(format!("\"{length}\" is not a duration: {error}")))?;
                now.after(length)
            }
            _ => return Err(wrong("write either `until` or `for`, to say when the pause ends".to_owned())),
        };
        if until <= now {
            return Err(wrong(format!("{until} is in the past")));
        }
        if until.since(now) > LONGEST {
            return Err(wrong("a pause may last 30 days at most".to_owned()));
        }
        let reason = wanted.reason.trim();
        if reason.is_empty() || reason.chars().any(char::is_control) {
            return Err(wrong("`reason` must be one line of text".to_owned()));
        }
        if reason.chars().count() > Pause::LONGEST_REASON {
            return Err(wrong(format!("`reason` has at most {} characters", Pause::LONGEST_REASON)));
        }
        Ok((until, reason.to_owned()))
    }
}

/// The status and text of a request that changed nothing.
#[derive(Debug)]
pub(super) struct Refusal(StatusCode, String);

/// The refusal of a request that may succeed later.
fn later(text: impl Into<String>) -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, text.into())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.0, json!({"error": self.1}))
    }
}

pub(super) async fn pause(
    State(served): State<Served>,
    Path(group): Path<(String, String)>,
    Query(place): Query<Where>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    change(&served, &group, &place, &headers, Some(body)).await
}

pub(super) async fn resume(
    State(served): State<Served>,
    Path(group): Path<(String, String)>,
    Query(place): Query<Where>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    change(&served, &group, &place, &headers, None).await
}

async fn change(
    served: &Served,
    group: &(String, String),
    place: &Where,
    headers: &HeaderMap,
    body: Option<Body>,
) -> Result<Response, Refusal> {
    if !(served.authenticates)() {
        let text = "this needs authentication, and none is configured; give --web.config.file a file with basic_auth_users or \
                    required client certificates";
        return Err(Refusal(StatusCode::FORBIDDEN, text.to_owned()));
    }
    // A browser cannot send this type from another site's page without a preflight request.
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let text = "send it as JSON, with Content-Type: application/json (curl --json)";
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, text.to_owned()));
    }
    let wanted = match body {
        Some(body) => {
            let body = to_bytes(body, MAX_BODY).await.map_err(|_| {
                Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("send at most {MAX_BODY} bytes"))
            })?;
            Some(Wanted::read(&body, served.now())?)
        }
        None => None,
    };
    let (handle, group) = find(served, group, place)?;
    let paused = wanted.as_ref().map(|(until, reason)| json!({"until": until.to_string(), "reason": reason}));
    let done = handle.pause(group, wanted).map_err(|busy| later(format!("failed to {busy}")))?;
    match timeout(ANSWERING, done).await {
        Ok(Ok(Ok(()))) => Ok(answer(StatusCode::OK, json!({"paused": paused}))),
        Ok(Ok(Err(error))) => Err(Refusal(StatusCode::BAD_GATEWAY, format!("failed to {}", chain(&error)))),
        Ok(Err(_)) => Err(later("the scaler reloads or stops and did nothing; try again in a few seconds")),
        Err(_) => {
            let text = "the fleet is being evaluated; the change follows right after that, see the status";
            Ok(answer(StatusCode::ACCEPTED, json!({"paused": paused, "text": text})))
        }
    }
}

fn find(
    served: &Served,
    (fleet, asg): &(String, String),
    place: &Where,
) -> Result<(Handle, GroupRef), Refusal> {
    if let Some(leader) = served.stands_by() {
        return Err(later(format!("{leader} Send the request there")));
    }
    let board = served.board();
    if board.status.time.is_none() {
        return Err(later("nothing has been evaluated yet; try again in a minute"));
    }
    let mut found = board.status.groups.iter().filter(|group| {
        group.fleet == *fleet
            && group.asg == *asg
            && place.region.as_ref().is_none_or(|it| *it == group.region)
    });
    let (Some(group), handle) = (found.next(), board.handles.get(fleet)) else {
        let text = format!("there is no group {asg} in the fleet {fleet}; /api/v1/status lists the groups");
        return Err(Refusal(StatusCode::NOT_FOUND, text));
    };
    if found.next().is_some() {
        let text = format!("several regions have a group {asg}: name one, as in ?region={}", group.region);
        return Err(Refusal(StatusCode::CONFLICT, text));
    }
    let handle = handle.ok_or_else(|| later("the scaler reloads; try again in a few seconds"))?;
    if handle.dry_run {
        let text = "the fleet is in a dry run, which changes nothing, not even by a pause";
        return Err(Refusal(StatusCode::CONFLICT, text.to_owned()));
    }
    Ok((handle.clone(), group.group_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use test_case::test_case;

    const NOW: Time = Time::from_unix(1_790_000_000);

    #[test_case(r#"{"reason": " image ", "for": "2h"}"#, 7200; "for a time")]
    #[test_case(r#"{"reason": "image", "until": "2026-09-21T14:14:20Z"}"#, 60; "until a time")]
    #[test_case(r#"{"reason": "image", "for": "30d"}"#, 2_592_000; "as long as may be")]
    fn a_pause_ends(body: &str, seconds: u64) {
        let (until, reason) = Wanted::read(body.as_bytes(), NOW).expect("a pause");
        assert_eq!((until, reason.as_str()), (NOW.after(Duration::from_secs(seconds)), "image"));
    }

    #[test_case(r#"["a", null, "2h"]"#, "invalid type: sequence"; "an array")]
    #[test_case(r#"{"for": "2h"}"#, "missing field `reason`"; "no reason")]
    #[test_case(r#"{"reason": " ", "for": "2h"}"#, "one line"; "an empty reason")]
    #[test_case(r#"{"reason": "a\nb", "for": "2h"}"#, "one line"; "two lines")]
    #[test_case(r#"{"reason": "a"}"#, "either `until` or `for`"; "no end")]
    #[test_case(r#"{"reason": "a", "for": "2h", "until": "2026-09-21T14:14:20Z"}"#, "either"; "two ends")]
    #[test_case(r#"{"reason": "a", "for": "soon"}"#, "not a duration"; "no duration")]
    #[test_case(r#"{"reason": "a", "until": "soon"}"#, "is not a time"; "no time")]
    #[test_case(r#"{"reason": "a", "until": "2026-09-21T14:13:20Z"}"#, "in the past"; "an end that is over")]
    #[test_case(r#"{"reason": "a", "for": "31d"}"#, "30 days"; "too long")]
    #[test_case(r#"{"reason": "a", "for": "1h", "by": "me"}"#, "unknown field"; "a key that is not known")]
    fn a_wrong_pause_is_refused_with_an_example(body: &str, expected: &str) {
        let Refusal(status, text) = Wanted::read(body.as_bytes(), NOW).expect_err("no pause");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(text.contains(expected) && text.contains("write for example"), "{text}");
    }

    #[test]
    fn a_reason_has_a_limit() {
        let body = |length| format!(r#"{{"reason": "{}", "for": "1h"}}"#, "ä".repeat(length));
        assert!(Wanted::read(body(200).as_bytes(), NOW).is_ok());
        assert!(Wanted::read(body(201).as_bytes(), NOW).is_err());
    }
}
