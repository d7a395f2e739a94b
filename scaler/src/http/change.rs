//! What every request that changes something has in common: who may send it, which group it means, and its refusals.
//!
//! Owns the conditions. The change itself is made by the loop of the fleet.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jitsi_web::User;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::served::{Served, Where, answer};
use crate::control::{Busy, Handle};
use crate::telemetry::GroupRef;

/// How long a request waits until its tag is written; an evaluation may be under way.
const ANSWERING: Duration = Duration::from_secs(10);
/// Far more than a reason of 160 characters needs.
const MAX_BODY: usize = 16 * 1024;

/// The status and text of a request that changed nothing.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) String);

/// The refusal of a request that may succeed later.
pub(super) fn later(text: impl Into<String>) -> Refusal {
    Refusal(StatusCode::SERVICE_UNAVAILABLE, text.into())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(self.0, json!({"error": self.1}))
    }
}

/// Refuses a request unless every client is authenticated.
pub(super) fn authenticated(served: &Served) -> Result<(), Refusal> {
    if (served.authenticates)() {
        return Ok(());
    }
    let text = "this needs authentication, and none is configured; give --web.config.file a file with basic_auth_users or \
                required client certificates";
    Err(Refusal(StatusCode::FORBIDDEN, text.to_owned()))
}

/// Refuses a body that is not declared as JSON: a browser cannot send that type from another site's page without a
/// preflight request.
pub(super) fn declared_as_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let text = "send it as JSON, with Content-Type: application/json (curl --json)";
    Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, text.to_owned()))
}

/// A body, if it is not too long.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let body = to_bytes(body, MAX_BODY).await;
    let text = || format!("send at most {MAX_BODY} bytes");
    body.map(Into::into).map_err(|_| Refusal(StatusCode::PAYLOAD_TOO_LARGE, text()))
}

/// The members of a JSON object. An array would be taken for its members in their order.
pub(super) fn members<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let object: serde_json::Map<_, _> = serde_json::from_slice(body)?;
    T::deserialize(object)
}

/// Why a text cannot be the reason of a change.
pub(super) fn reason(text: &str, longest: usize) -> Result<String, String> {
    let reason = text.trim();
    if reason.is_empty() || reason.chars().any(char::is_control) {
        return Err("`reason` must be one line of text".to_owned());
    }
    if reason.chars().count() > longest {
        return Err(format!("`reason` has at most {longest} characters"));
    }
    Ok(reason.to_owned())
}

/// Who sends a request: the name of the user, or how it was authenticated otherwise.
pub(super) fn asker(user: Option<&User>) -> &str {
    user.map_or("a client certificate", |User(name)| name)
}

/// The group that a request names, and the way to its fleet.
pub(super) fn find(
    served: &Served,
    (fleet, asg): &(String, String),
    place: &Where,
) -> Result<(Handle, GroupRef), Refusal> {
    if let Some(leader) = served.elsewhere(Some(fleet)) {
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
        if board.handles.get(fleet).is_some_and(|handle| handle.pulses().any(|pulse| !pulse.has_begun())) {
            return Err(later(format!(
                "the fleet {fleet} has not been evaluated yet; try again in a few seconds"
            )));
        }
        let text = format!("there is no group {asg} in the fleet {fleet}; /api/v1/status lists the groups");
        return Err(Refusal(StatusCode::NOT_FOUND, text));
    };
    if found.next().is_some() {
        let text = format!("several regions have a group {asg}: name one, as in ?region={}", group.region);
        return Err(Refusal(StatusCode::CONFLICT, text));
    }
    let handle = handle.ok_or_else(|| later("the scaler reloads; try again in a few seconds"))?;
    Ok((handle.clone(), group.group_ref()))
}

/// Waits for the outcome of a command; `None` if it follows later.
pub(super) async fn outcome<T>(sent: Result<oneshot::Receiver<T>, Busy>) -> Result<Option<T>, Refusal> {
    let done = sent.map_err(|busy| later(format!("failed to {busy}")))?;
    match timeout(ANSWERING, done).await {
        Ok(Ok(outcome)) => Ok(Some(outcome)),
        Ok(Err(_)) => Err(later("the scaler reloads or stops and did nothing; try again in a few seconds")),
        Err(_) => Ok(None),
    }
}
