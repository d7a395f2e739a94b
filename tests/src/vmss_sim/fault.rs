//! Faults on request: which calls fail, how, and how often.

use serde::{Deserialize, Serialize};

use super::error::ArmError;

/// A fault, as the admin API takes it. One fault can delay a call and refuse it as well.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The call that it affects, as in `UpdateSet`; `*` or nothing for all.
    pub action: Option<String>,
    /// The name of the set that it affects; nothing for all.
    pub set: Option<String>,
    /// The status of the refusal.
    pub status: Option<u16>,
    /// The code of the refusal.
    pub code: Option<String>,
    /// The text of the refusal.
    pub message: Option<String>,
    /// Seconds that the refusal asks to wait.
    pub retry_after: Option<u64>,
    /// How long the call waits first.
    pub delay_seconds: Option<f64>,
    /// The change takes effect, but the answer never arrives.
    pub apply_then_timeout: bool,
    /// Reads show this `sku.capacity`, whatever it is.
    pub shown_capacity: Option<u32>,
    /// Reads show instances without their power state.
    pub hides_power: bool,
    /// Answers end after this many bytes, as if a proxy lost the rest.
    pub cut_answer_bytes: Option<usize>,
    /// The number of calls that it affects; nothing for all until the faults are deleted.
    pub times: Option<u64>,
}

impl Fault {
    /// Refuses this many calls of the action.
    #[must_use]
    pub fn error(action: &str, status: u16, code: &str, times: u64) -> Self {
        Self {
            action: Some(action.into()),
            status: Some(status),
            code: Some(code.into()),
            times: Some(times),
            ..Self::default()
        }
    }

    fn befalls(&self, action: &str, set: Option<&str>) -> bool {
        let of_action = self.action.as_deref().is_none_or(|wanted| wanted == "*" || wanted == action);
        of_action && self.set.as_deref().is_none_or(|wanted| Some(wanted) == set)
    }
}

/// The effect of the faults on one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Injection {
    pub(super) delay: f64,
    pub(super) error: Option<ArmError>,
    pub(super) no_answer: bool,
    pub(super) shown_capacity: Option<u32>,
    pub(super) hides_power: bool,
    pub(super) cut: Option<usize>,
}

/// The active faults.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The effect of the faults on this call. Each fault that applies is used once; of several refusals the first
    /// counts.
    pub(super) fn take(&mut self, action: &str, set: Option<&str>) -> Injection {
        let mut injection = Injection::default();
        for fault in self.0.iter_mut().filter(|fault| fault.befalls(action, set)) {
            if fault.status.is_some() && injection.error.is_some() {
                continue;
            }
            if let Some(status) = fault.status {
                let code = fault.code.as_deref().unwrap_or("InternalServerError");
                let message = fault.message.as_deref().unwrap_or("An error occurred.");
                injection.error =
                    Some(ArmError { retry_after: fault.retry_after, ..ArmError::new(status, code, message) });
            }
            injection.delay += fault.delay_seconds.unwrap_or_default().max(0.0);
            injection.no_answer |= fault.apply_then_timeout;
            injection.shown_capacity = injection.shown_capacity.or(fault.shown_capacity);
            injection.hides_power |= fault.hides_power;
            injection.cut = injection.cut.or(fault.cut_answer_bytes);
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
            }
        }
        self.0.retain(|fault| fault.times != Some(0));
        injection
    }
}
