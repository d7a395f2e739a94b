//! `POST /api/v1/fleets/{fleet}/{asg}/pause` and `…/resume`: an operator keeps the scaler from a group for a time.
//!
//! Owns what a pause must say, and the answers. The pause itself is a tag on the group, which the fleet's loop writes.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jitsi_web::User;
use serde::Deserialize;
use serde_json::json;

use super::change::{self, Refusal};
use super::served::{Served, Where, answer};
use crate::cloud::tags::{Asked, Pause};
use crate::report::Paused;
use crate::telemetry::chain;
use crate::units::Time;

/// A pause as requested.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) reason: String,
    pub(super) until: Option<String>,
    #[serde(rename = "for")]
    pub(super) length: Option<String>,
}

impl Wanted {
    fn read(body: &[u8], now: Time) -> Result<(Time, String), Refusal> {
        let example = r#"{"reason": "new image", "for": "2h"}, or "until": "2026-11-20T09:00:00Z""#;
        let wanted = change::members::<Self>(body).map_err(|error| error.to_string());
        wanted
            .and_then(|wanted| wanted.pause(now))
            .map_err(|text| Refusal(StatusCode::BAD_REQUEST, format!("{text}; write for example {example}")))
    }

    /// The end and the reason, or what is wrong.
    pub(super) fn pause(&self, now: Time) -> Result<(Time, String), String> {
        let until = match (&self.until, &self.length) {
            (Some(until), None) => Time::parse(until).ok_or_else(|| format!("\"{until}\" is not a time"))?,
            (None, Some(length)) => {
                let length = humantime::parse_duration(length)
                    .map_err(|error| format!("\"{length}\" is not a duration: {error}"))?;
                now.after(length)
            }
            _ => return Err("write either `until` or `for`, to say when the pause ends".to_owned()),
        };
        if until <= now {
            return Err(format!("{until} is in the past"));
        }
        if until.since(now) > Pause::LONGEST {
            return Err("a pause may last 30 days at most".to_owned());
        }
        Ok((until, change::reason(&self.reason, Pause::LONGEST_REASON)?))
    }
}

pub(super) async fn pause(
    State(served): State<Served>,
    Path(group): Path<(String, String)>,
    Query(place): Query<Where>,
    user: Option<Extension<User>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    change::authenticated(&served)?;
    change::declared_as_json(&headers)?;
    let (until, reason) = Wanted::read(&change::read(body).await?, served.now())?;
    set(&served, &group, &place, (Some(until), Asked::new(change::asker(user.as_deref()), &reason))).await
}

pub(super) async fn resume(
    State(served): State<Served>,
    Path(group): Path<(String, String)>,
    Query(place): Query<Where>,
    user: Option<Extension<User>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    change::authenticated(&served)?;
    change::declared_as_json(&headers)?;
    set(&served, &group, &place, (None, Asked::new(change::asker(user.as_deref()), ""))).await
}

/// Pauses a group until a time; without one, resumes it.
pub(super) async fn set(
    served: &Served,
    group: &(String, String),
    place: &Where,
    (until, asked): (Option<Time>, Asked),
) -> Result<Response, Refusal> {
    let (handle, group) = change::find(served, group, place)?;
    if handle.dry_run {
        let text = "the fleet is in a dry run, which changes nothing, not even by a pause";
        return Err(Refusal(StatusCode::CONFLICT, text.to_owned()));
    }
    let paused = until.map(|until| Paused::new(Some(until), &asked));
    match change::outcome(handle.pause(group, until, asked)).await? {
        Some(Ok(())) => Ok(answer(StatusCode::OK, json!({"paused": paused}))),
        Some(Err(error)) => Err(Refusal(StatusCode::BAD_GATEWAY, format!("failed to {}", chain(&error)))),
        None => {
            let text = "the fleet is being evaluated; the change follows right after that, see the status";
            Ok(answer(StatusCode::ACCEPTED, json!({"paused": paused, "text": text})))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        assert!(Wanted::read(body(160).as_bytes(), NOW).is_ok());
        assert!(Wanted::read(body(161).as_bytes(), NOW).is_err());
    }
}
