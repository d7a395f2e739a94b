//! The pages for people: what each needs is gathered here, and drawn by `page`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use jitsi_web::User;
use serde::Deserialize;

use super::forms;
use super::page::{self, Asked, Selection, Token, View};
use super::past::{Span, Told};
use super::served::Served;
use crate::control::Board;
use crate::report::GroupStatus;
use crate::units::Time;

/// A page that may load its own style and script, and nothing else.
fn html(status: StatusCode, page: maud::Markup) -> Response {
    jitsi_web::page::answer(status, &page::CONTENT_POLICY, page.into_string())
}

/// The first page. `metrics` is the path of the metrics.
pub(super) async fn home(served: Served, asked: Asked, metrics: Arc<str>) -> Response {
    let (board, now) = (served.board(), served.now());
    let selection = Selection::new(&board.status, asked, now);
    let keys = selection.keys();
    let lines = if keys.is_empty() { Err("".into()) } else { served.past.lines(&keys, now).await };
    let lines = lines.as_deref().map_err(|why| &**why);
    html(StatusCode::OK, page::home(&board, (&selection, lines), now, &metrics))
}

/// What of a group is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct GroupAsked {
    region: Option<String>,
    range: Option<String>,
    /// `off` where the page has the charts already.
    charts: Option<String>,
}

/// The page of a group.
pub(super) async fn group(
    State(served): State<Served>,
    Path((fleet, asg)): Path<(String, String)>,
    Query(asked): Query<GroupAsked>,
    user: Option<Extension<User>>,
) -> Response {
    let (board, now) = (served.board(), served.now());
    let token = forms::token(&served, user.as_deref());
    let wanted = (&asked, token.as_deref());
    let groups = board.status.groups.iter().filter(|group| {
        group.fleet == fleet
            && group.asg == asg
            && asked.region.as_ref().is_none_or(|region| *region == group.region)
    });
    let views = futures::future::join_all(groups.map(|it| view(&served, &board, it, wanted, now))).await;
    if views.is_empty() {
        return html(StatusCode::NOT_FOUND, page::no_group(&board, (&fleet, &asg), now));
    }
    html(StatusCode::OK, page::group(&board, (&fleet, &asg), &views, (now, &served.links)))
}

async fn view<'a>(
    served: &Served,
    board: &Board,
    it: &'a GroupStatus,
    (asked, token): (&GroupAsked, Token<'a>),
    now: Time,
) -> View<'a> {
    let key = page::key(it);
    let span = asked.range.as_deref().and_then(Span::parse).unwrap_or_default();
    let (past, log) = futures::join!(served.past.group(&key, span, now), served.past.told(&key, span, now));
    let memory = board.journal.of(&it.fleet, &it.region, &it.asg).filter_map(|record| Told::of(record));
    View {
        it,
        memory: memory.collect(),
        log,
        has_log: served.past.has_log(),
        past,
        span,
        token,
        draws: asked.charts.as_deref() != Some("off"),
    }
}
