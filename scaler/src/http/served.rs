//! What all routes share: the state that they serve, paths, and the answer "try again later".

use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use super::notifications::Notifications;
use super::past::Past;
use crate::config::link::Link;
use crate::control::{Board, Clock};
use crate::report::LeaderReport;
use crate::telemetry::Telemetry;
use crate::units::Time;

/// The newest decisions.
pub(super) const STATUS: &str = "/api/v1/status";
/// Earlier decisions.
pub(super) const DECISIONS: &str = "/api/v1/decisions";
/// The description of the API.
pub(super) const DESCRIPTION: &str = "/api/v1/openapi.yml";
/// The receiver of Alertmanager's notifications.
pub(super) const WEBHOOK: &str = "/api/v1/alertmanager";
/// The paths of groups begin with this.
pub(super) const FLEETS: &str = "/fleets/";

/// What the routes serve.
#[derive(Clone)]
pub struct Served {
    /// The scaler's own metrics.
    pub registry: Arc<Registry>,
    /// The newest decisions, and the handles that take commands.
    board: watch::Receiver<Arc<Board>>,
    /// The time of day.
    pub clock: Clock,
    /// Whether the web configuration authenticates every client at this moment.
    pub authenticates: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where events of requests are written.
    pub telemetry: Telemetry,
    /// The links of every group.
    pub(super) links: Arc<[Link]>,
    /// What happened to the groups before.
    pub(super) past: Past,
    /// Earlier notifications of Alertmanager.
    pub(super) notifications: Arc<Notifications>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

impl Served {
    /// Everything that is served.
    pub fn new(
        registry: Registry,
        board: watch::Receiver<Arc<Board>>,
        clock: Clock,
        authenticates: impl Fn() -> bool + Send + Sync + 'static,
        telemetry: Telemetry,
    ) -> Self {
        let (registry, authenticates) = (Arc::new(registry), Arc::new(authenticates));
        let (links, past, notifications) = (Arc::default(), Past::default(), Arc::default());
        Self { registry, board, clock, authenticates, telemetry, links, past, notifications }
    }

    /// The same, with links that every group has.
    #[must_use]
    pub fn with_links(self, links: &[Link]) -> Self {
        Self { links: links.into(), ..self }
    }

    /// The same, with the past of its groups.
    #[must_use]
    pub fn with_past(self, past: Past) -> Self {
        Self { past, ..self }
    }

    /// The board at this moment. Nothing waits for a request that reads it: the loops go on with a copy.
    pub(super) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board.borrow())
    }

    /// Who leads, where this replica leads nothing.
    pub(super) fn stands_by(&self) -> Option<String> {
        self.board().status.leader.as_ref().filter(|leader| !leader.leading).map(LeaderReport::text)
    }

    /// Who leads what this replica does not lead: the fleet, or any other where none is named.
    pub(super) fn elsewhere(&self, fleet: Option<&str>) -> Option<String> {
        let board = self.board();
        let leader = board.status.leader.as_ref()?;
        fleet.map_or_else(|| leader.others(), |fleet| leader.elsewhere(fleet))
    }

    pub(super) fn now(&self) -> Time {
        Time::since_1970((self.clock)())
    }
}

/// The region of a group, needed where several regions have a group of one name.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Where {
    pub(super) region: Option<String>,
}

/// An answer in JSON. A client that is to try again gets its connection closed: the next one may reach another replica.
pub(super) fn answer(status: StatusCode, body: Value) -> Response {
    let close = (status == StatusCode::SERVICE_UNAVAILABLE).then_some((CONNECTION, "close"));
    (status, AppendHeaders(close), Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_reads_the_board_keeps_no_loop_from_publishing() {
        let (publish, board) = watch::channel(Arc::<Board>::default());
        let telemetry = Telemetry::register(&mut Registry::default());
        let served =
            Served::new(Registry::default(), board, || std::time::Duration::ZERO, || true, telemetry);
        let read = served.board();
        publish.send_modify(|board| Arc::make_mut(board).status.time = Some("now".to_owned()));
        assert_eq!((read.status.time.as_deref(), served.board().status.time.as_deref()), (None, Some("now")));
    }
}
