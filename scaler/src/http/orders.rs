//! `POST /api/v1/fleets/{fleet}/{asg}/instances/{id}/drain` and `…/undrain`: an operator drains one instance, or gives it
//! back.
//!
//! Owns what an order must say, and the answers. The order itself is the tag of a drain, which the fleet's loop writes.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use jitsi_web::User;
use serde::Deserialize;

use super::change::{self, Refusal};
use super::served::{Served, Where, answer};
use crate::cloud::tags::Asked;
use crate::control::{Accepted, Order, OrderError, Then, Wanted};
use crate::report::OrderReport;
use crate::telemetry::{GroupRef, chain};
use crate::units::InstanceId;

/// A drain as requested.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    then: Option<String>,
    reason: String,
}

/// The end of a drain as requested.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Undrain {
    reason: Option<String>,
}

/// What is to follow a drain, by its word; the instance is replaced unless something else is asked for.
pub(super) fn then(word: Option<&str>) -> Result<Then, String> {
    let word = word.unwrap_or(Then::Replace.as_str());
    let words = Then::ALL.map(Then::as_str).join(", ");
    Then::parse(word).ok_or_else(|| format!("`then` is \"{word}\", and must be one of {words}"))
}

fn wrong(text: impl std::fmt::Display) -> Refusal {
    let example = r#"{"then": "replace", "reason": "new kernel"}"#;
    Refusal(StatusCode::BAD_REQUEST, format!("{text}; write for example {example}"))
}

pub(super) async fn drain(
    State(served): State<Served>,
    Path((fleet, asg, id)): Path<(String, String, String)>,
    Query(place): Query<Where>,
    user: Option<Extension<User>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    change::authenticated(&served)?;
    change::declared_as_json(&headers)?;
    let Drain { then: word, reason } = change::members(&change::read(body).await?).map_err(wrong)?;
    let wanted = Wanted::Drain(then(word.as_deref()).map_err(wrong)?);
    let reason = change::reason(&reason, Asked::LONGEST_REASON).map_err(wrong)?;
    let asked = Asked::new(change::asker(user.as_deref()), &reason);
    send(&served, &(fleet, asg), &place, (&id, wanted, asked)).await
}

pub(super) async fn undrain(
    State(served): State<Served>,
    Path((fleet, asg, id)): Path<(String, String, String)>,
    Query(place): Query<Where>,
    user: Option<Extension<User>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    change::authenticated(&served)?;
    change::declared_as_json(&headers)?;
    let body = change::read(body).await?;
    let Undrain { reason } =
        if body.is_empty() { Undrain::default() } else { change::members(&body).map_err(wrong)? };
    let reason = reason.map(|it| change::reason(&it, Asked::LONGEST_REASON)).transpose().map_err(wrong)?;
    let asked = Asked::new(change::asker(user.as_deref()), &reason.unwrap_or_default());
    send(&served, &(fleet, asg), &place, (&id, Wanted::Undrain { by_hand: false }, asked)).await
}

/// Sends an order to the loop of the group's fleet, and answers with what came of it.
pub(super) async fn send(
    served: &Served,
    group: &(String, String),
    place: &Where,
    (id, wanted, asked): (&str, Wanted, Asked),
) -> Result<Response, Refusal> {
    let (handle, group) = change::find(served, group, place)?;
    let wanted = match wanted {
        Wanted::Undrain { .. } => Wanted::Undrain { by_hand: is_drained_by_hand(served, &group, id) },
        drain @ Wanted::Drain(_) => drain,
    };
    let order = Order { instance: InstanceId::new(id), wanted, asked };
    let text = order.text();
    let report = |dry_run, text| {
        let report = OrderReport { instance: id.to_owned(), dry_run, text };
        serde_json::to_value(report).unwrap_or_default()
    };
    match change::outcome(handle.order(group, order)).await? {
        Some(Ok(Accepted::Noted)) => Ok(answer(StatusCode::OK, report(false, text))),
        Some(Ok(Accepted::WouldBe)) => {
            let text = format!("the fleet is in a dry run and would {text}");
            Ok(answer(StatusCode::OK, report(true, text)))
        }
        Some(Err(error)) => {
            let status = match error {
                OrderError::NotInGroup(_) => StatusCode::NOT_FOUND,
                OrderError::Refused(_) => StatusCode::CONFLICT,
                OrderError::Cloud(_) => StatusCode::BAD_GATEWAY,
            };
            Err(Refusal(status, format!("failed to {}", chain(&error))))
        }
        None => {
            let text = format!("the fleet is being evaluated, and follows right after that: {text}");
            Ok(answer(StatusCode::ACCEPTED, report(handle.dry_run, text)))
        }
    }
}

/// Whether the newest status shows that somebody drains an instance at its own interface.
fn is_drained_by_hand(served: &Served, group: &GroupRef, id: &str) -> bool {
    let board = served.board();
    let mut groups = board.status.groups.iter();
    groups.any(|it| it.group_ref() == *group && it.drained_by_hand.iter().any(|drained| drained == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_one_of_three_words() {
        assert_eq!(then(None), Ok(Then::Replace));
        assert_eq!(then(Some("keep")), Ok(Then::Keep));
        let expected = "`then` is \"destroy\", and must be one of replace, shrink, keep";
        assert_eq!(then(Some("destroy")), Err(expected.to_owned()));
    }
}
