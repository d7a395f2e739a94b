//! One call from parameters to answer, without the network: faults, stale reads, the record of calls.

use std::collections::VecDeque;

use super::action::{Action, group_of};
use super::calls::Call;
use super::change::change;
use super::describe::describe;
use super::error::{ApiError, ErrorCode};
use super::fault::{Faults, Injection};
use super::ledger::{Cuts, Effect};
use super::model::{Cause, GroupKey};
use super::protocol::{Query, Xml, failure, success};
use super::state::{Cloud, Groups};
use crate::cloud_parts::calls::CallLog;
use crate::cloud_parts::shared::Core;

/// A signed request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) region: String,
    pub(super) access_key: String,
    pub(super) query: Query,
}

impl Request {
    pub(super) fn action(&self) -> &str {
        self.query.text("Action").unwrap_or_default()
    }
}

/// The answer, or its absence.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// Status, request id and XML.
    Answer { status: u16, request_id: String, xml: String },
    /// The caller gets no answer.
    Silence,
}

/// Everything behind the socket.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) cloud: Cloud,
    pub(super) faults: Faults,
    pub(super) calls: CallLog<Call>,
    past: VecDeque<(f64, Groups)>,
    answered: u64,
}

impl Service {
    pub(super) fn new(cloud: Cloud) -> Self {
        Self {
            cloud,
            faults: Faults::default(),
            calls: CallLog::default(),
            past: VecDeque::new(),
            answered: 0,
        }
    }

    /// Takes a snapshot for later reads, and drops those that no read can need.
    pub(super) fn remember(&mut self, now: f64) {
        let back = self.faults.staleness();
        if back <= 0.0 {
            self.past.clear();
            return;
        }
        self.past.push_back((now, self.cloud.groups().clone()));
        while self.past.get(1).is_some_and(|(taken, _)| *taken <= now - back) {
            self.past.pop_front();
        }
    }

    /// Performs a request after its delay, and records it.
    pub(super) fn answer(&mut self, request: &Request, injection: Injection, now: f64) -> Reply {
        self.answered += 1;
        let request_id = format!("00000000-0000-4000-a000-{:012x}", self.answered);
        let Request { region, query, .. } = request;
        let action = Action::parse(request.action());
        let group = group_of(query, region, self.cloud.groups());
        let result = match (injection.error, action) {
            (Some(error), _) => Err(error),
            (None, None) => Err(ApiError::new(
                ErrorCode::InvalidAction,
                format!("Could not find operation {} for version 2011-01-01", request.action()),
            )),
            (None, Some(action)) => self.apply(action, request, injection.stale, now),
        };
        let silent = injection.no_answer && result.is_ok();
        let cut = injection.cut.filter(|_| result.is_ok());
        let outcome = match &result {
            Ok(_) if silent => "timeout",
            Ok(_) if cut.is_some() => "cut",
            Ok(_) => "ok",
            Err(error) => error.code.as_str(),
        };
        self.calls.push(Call {
            time: now,
            region: region.clone(),
            access_key: request.access_key.clone(),
            action: request.action().to_owned(),
            group,
            parameters: query.parameters(),
            mutating: action.is_some_and(|action| !action.reads()),
            applied: result.is_ok(),
            outcome: outcome.to_owned(),
        });
        if silent {
            return Reply::Silence;
        }
        match result {
            Ok(xml) => {
                let mut xml = success(request.action(), xml, &request_id);
                xml.truncate(xml.floor_char_boundary(cut.unwrap_or(usize::MAX)));
                Reply::Answer { status: 200, request_id, xml }
            }
            Err(error) => refuse(&error, request_id),
        }
    }

    /// Refuses an unsigned request, which has no region for the record.
    pub(super) fn refuse_unsigned(&mut self, code: ErrorCode, query: &Query, now: f64) -> Reply {
        self.answered += 1;
        self.calls.push(Call {
            time: now,
            region: String::new(),
            access_key: String::new(),
            action: query.text("Action").unwrap_or_default().to_owned(),
            group: None,
            parameters: query.parameters(),
            mutating: false,
            applied: false,
            outcome: code.as_str().to_owned(),
        });
        refuse(&code.into(), format!("00000000-0000-4000-a000-{:012x}", self.answered))
    }

    fn apply(
        &mut self,
        action: Action,
        request: &Request,
        stale: f64,
        now: f64,
    ) -> Result<Option<Xml>, ApiError> {
        if action.reads() {
            return describe(action, self.seen(now - stale), &request.region, &request.query).map(Some);
        }
        change(action, &mut self.cloud, &request.region, &request.query, now)
    }

    /// The newest snapshot that is at least as old as `until`, or the oldest.
    fn seen(&self, until: f64) -> &Groups {
        let picture = self.past.iter().rev().find(|(taken, _)| *taken <= until).or(self.past.front());
        match picture {
            Some((_, groups)) if self.faults.staleness() > 0.0 => groups,
            _ => self.cloud.groups(),
        }
    }
}

impl Core for Service {
    type Cause = Cause;

    /// Keeps snapshots while a fault makes reads stale.
    fn step(&mut self, now: f64) {
        self.cloud.step(now);
        self.remember(now);
    }

    fn take_effects(&mut self) -> Vec<Effect> {
        self.cloud.take_effects()
    }

    fn set_private_ip(&mut self, group: &GroupKey, instance: &str, address: String) {
        self.cloud.set_private_ip(group, instance, address);
    }

    fn record_cuts(&mut self, cause: Cause, cuts: Cuts) {
        self.cloud.record_cuts(cause, cuts);
    }
}

fn refuse(error: &ApiError, request_id: String) -> Reply {
    let xml = failure(error, &request_id);
    Reply::Answer { status: error.code.status(), request_id, xml }
}
