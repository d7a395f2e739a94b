//! `POST /fleets/{fleet}/{asg}/pause`, `…/resume`, `…/drain` and `…/undrain`: the forms of a group's page.
//!
//! Owns the tokens of pages. A form is accepted only from a page that this process gave to the same user: the token is a
//! signature of the user's name, by a key that is new with each process. That no other site makes a browser send the request
//! is checked before any route. The changes are those of the API.

use std::sync::LazyLock;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256, Key};
use aws_lc_rs::rand::SystemRandom;
use axum::extract::rejection::FormRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use jitsi_web::User;
use serde::Deserialize;

use super::change::{self, Refusal};
use super::page::{self, CONTENT_POLICY};
use super::served::{Served, Where};
use super::{orders, pause};
use crate::cloud::tags::Asked;
use crate::config::link::encoded;
use crate::control::Wanted;

/// The key of every token of this process.
static KEY: LazyLock<Key> = LazyLock::new(|| {
    Key::generate(HMAC_SHA256, &SystemRandom::new()).expect("the system provides random bytes")
});

/// The token that a page gives the forms of this user; `None` while a form would be refused.
pub(super) fn token(served: &Served, user: Option<&User>) -> Option<String> {
    (served.authenticates)().then(|| token_of(change::asker(user)))
}

fn token_of(asker: &str) -> String {
    hmac::sign(&KEY, asker.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a form sends; each form has some of these.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    token: Option<String>,
    reason: Option<String>,
    #[serde(rename = "for")]
    length: Option<String>,
    instance: Option<String>,
    then: Option<String>,
}

/// Does what a form asks for, and leads back to the page of the group.
pub(super) async fn submit(
    State(served): State<Served>,
    Path((fleet, asg, action)): Path<(String, String, String)>,
    Query(place): Query<Where>,
    user: Option<Extension<User>>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let group = (fleet, asg);
    let done = match form {
        Ok(Form(fields)) => act(&served, &group, &place, (&action, fields, user.as_deref())).await,
        Err(error) => Err(Refusal(StatusCode::BAD_REQUEST, error.body_text())),
    };
    let region = place.region.map(|region| format!("?region={}", encoded(&region)));
    let back = format!("../{}{}", encoded(&group.1), region.unwrap_or_default());
    match done {
        Ok(answer) if answer.status().is_success() => {
            (StatusCode::SEE_OTHER, [(LOCATION, back)]).into_response()
        }
        Ok(answer) => answer,
        Err(Refusal(status, text)) => {
            jitsi_web::page::answer(status, &CONTENT_POLICY, page::refused(&text, &back).into_string())
        }
    }
}

async fn act(
    served: &Served,
    group: &(String, String),
    place: &Where,
    (action, fields, user): (&str, Fields, Option<&User>),
) -> Result<Response, Refusal> {
    change::authenticated(served)?;
    let (sent, own) = (fields.token.unwrap_or_default(), token_of(change::asker(user)));
    if verify_slices_are_equal(sent.as_bytes(), own.as_bytes()).is_err() {
        let text = "the form is of another user or page, or older than the scaler, which has been restarted; reload the \
                    page and try again";
        return Err(Refusal(StatusCode::FORBIDDEN, text.to_owned()));
    }
    let wrong = |text| Refusal(StatusCode::BAD_REQUEST, text);
    let reason = fields.reason.unwrap_or_default();
    let asked = |reason: &str| Asked::new(change::asker(user), reason);
    let id = fields.instance.as_deref().map(str::trim).unwrap_or_default();
    match action {
        "pause" => {
            let wanted = pause::Wanted { reason, until: None, length: fields.length };
            let (until, reason) = wanted.pause(served.now()).map_err(wrong)?;
            pause::set(served, group, place, (Some(until), asked(&reason))).await
        }
        "resume" => pause::set(served, group, place, (None, asked(""))).await,
        "drain" => {
            let wanted = Wanted::Drain(orders::then(fields.then.as_deref()).map_err(wrong)?);
            let reason = change::reason(&reason, Asked::LONGEST_REASON).map_err(wrong)?;
            orders::send(served, group, place, (id, wanted, asked(&reason))).await
        }
        "undrain" => {
            orders::send(served, group, place, (id, Wanted::Undrain { by_hand: false }, asked(""))).await
        }
        _ => Err(Refusal(StatusCode::NOT_FOUND, "there is no such form".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use prometheus_client::registry::Registry;
    use test_case::test_case;
    use tokio::sync::watch;

    use super::*;
    use crate::control::Board;
    use crate::telemetry::Telemetry;

    /// A form with a reason, for the instance i-0.
    fn form(token: Option<&str>, length: &str, reason: &str, then: &str) -> Fields {
        Fields {
            token: token.map(str::to_owned),
            reason: Some(reason.to_owned()),
            length: Some(length.to_owned()),
            instance: Some("i-0".to_owned()),
            then: Some(then.to_owned()),
        }
    }

    /// The token of a user, or of a client without a name.
    fn own(user: Option<&str>) -> String {
        token_of(change::asker(user.map(|name| User(name.to_owned())).as_ref()))
    }

    async fn answer(authenticates: bool, user: Option<&str>, action: &str, fields: Fields) -> u16 {
        let (_publish, board) = watch::channel(Arc::<Board>::default());
        let telemetry = Telemetry::register(&mut Registry::default());
        let served =
            Served::new(Registry::default(), board, || Duration::ZERO, move || authenticates, telemetry);
        let path = Path(("jvb".to_owned(), "a".to_owned(), action.to_owned()));
        let user = user.map(|name| Extension(User(name.to_owned())));
        let sent = submit(State(served), path, Query(Where::default()), user, Ok(Form(fields))).await;
        sent.status().as_u16()
    }

    #[test_case(None; "no token")]
    #[test_case(Some(""); "an empty token")]
    #[test_case(Some(&"0123456789abcdef".repeat(4)); "the token of an earlier process")]
    #[test_case(Some(&own(Some("bob"))); "the token of another user")]
    #[test_case(Some(&own(None)); "the token of a client certificate")]
    #[tokio::test]
    async fn a_form_without_the_token_of_its_user_changes_nothing(token: Option<&str>) {
        for action in ["pause", "resume", "drain", "undrain"] {
            let sent = form(token, "2h", "image", "keep");
            assert_eq!(answer(true, Some("alice"), action, sent).await, 403, "{action}");
        }
    }

    #[tokio::test]
    async fn without_users_no_form_is_accepted() {
        for action in ["pause", "resume", "drain", "undrain"] {
            let sent = form(Some(&own(None)), "2h", "image", "keep");
            assert_eq!(answer(false, None, action, sent).await, 403, "{action}");
        }
    }

    #[test_case("destroy", "2h", "image", "keep", 404; "an unknown form")]
    #[test_case("pause", "soon", "image", "keep", 400; "a wrong duration")]
    #[test_case("drain", "2h", " ", "keep", 400; "no reason")]
    #[test_case("drain", "2h", "image", "destroy", 400; "an unknown end")]
    // All is right, and nothing has been evaluated yet.
    #[test_case("pause", "2h", "image", "keep", 503; "a pause")]
    #[test_case("resume", "2h", "image", "keep", 503; "its end")]
    #[test_case("drain", "2h", "image", "keep", 503; "a drain")]
    #[test_case("undrain", "2h", "image", "keep", 503; "the end of a drain")]
    #[tokio::test]
    async fn a_form_of_the_page_is_read(action: &str, length: &str, reason: &str, then: &str, expected: u16) {
        for user in [None, Some("alice")] {
            let sent = form(Some(&own(user)), length, reason, then);
            assert_eq!(answer(true, user, action, sent).await, expected, "{user:?}");
        }
    }
}
