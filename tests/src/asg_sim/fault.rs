//! Faults on request: which calls fail, how, and how often.

use serde::{Deserialize, Serialize};

use super::error::{ApiError, ErrorCode};

/// A fault, as the admin API takes it. One fault can delay a call and refuse it as well.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// The action that it affects; `*` or nothing for all. `stale_describe_seconds` affects only reads.
    pub action: Option<String>,
    /// Whether it leaves reads alone.
    pub changes_only: bool,
    /// The region that it affects; nothing for all.
    pub region: Option<String>,
    /// The error code of the refusal.
    pub error: Option<ErrorCode>,
    /// The text of the refusal, if not the default.
    pub message: Option<String>,
    /// How long the call waits first.
    pub delay_seconds: Option<f64>,
    /// The change takes effect, but the answer never arrives.
    pub apply_then_timeout: bool,
    /// Reads return the groups as of this long ago, but not from before the fault was set.
    pub stale_describe_seconds: Option<f64>,
    /// Answers end after this many bytes, as if a proxy lost the rest.
    pub cut_answer_bytes: Option<usize>,
    /// The number of calls that it lets pass first.
    pub skips: u64,
    /// The number of calls that it affects; nothing for all until the faults are deleted.
    pub times: Option<u64>,
}

impl Fault {
    /// Refuses this many calls of the action.
    #[must_use]
    pub fn error(action: &str, error: ErrorCode, times: u64) -> Self {
        Self { action: Some(action.into()), error: Some(error), times: Some(times), ..Self::default() }
    }

    fn befalls(&self, action: &str, region: &str) -> bool {
        let all_or = |wanted: &Option<String>, is: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == "*" || wanted == is)
        };
        let reads = action.starts_with("Describe");
        all_or(&self.action, action) && all_or(&self.region, region) && !(reads && self.changes_only)
    }

    fn does_something(&self) -> bool {
        self.error.is_some()
            || self.delay_seconds.is_some()
            || self.apply_then_timeout
            || self.stale_describe_seconds.is_some()
            || self.cut_answer_bytes.is_some()
    }
}

/// Why a fault is rejected.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// It has no effect.
    #[error(
        "fault does nothing: give `error`, `delay_seconds`, `apply_then_timeout`, `stale_describe_seconds` or \
         `cut_answer_bytes`"
    )]
    Nothing,
    /// An invalid time.
    #[error("seconds of a fault must be finite and not negative")]
    Seconds,
}

/// The effect of the faults on one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Injection {
    pub(super) delay: f64,
    pub(super) error: Option<ApiError>,
    pub(super) no_answer: bool,
    pub(super) stale: f64,
    pub(super) cut: Option<usize>,
}

/// The active faults.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) -> Result<(), FaultError> {
        if !fault.does_something() {
            return Err(FaultError::Nothing);
        }
        let seconds = fault.delay_seconds.iter().chain(&fault.stale_describe_seconds);
        if seconds.into_iter().any(|seconds| !seconds.is_finite() || *seconds < 0.0) {
            return Err(FaultError::Seconds);
        }
        self.0.push(fault);
        Ok(())
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The largest age of reads.
    pub(super) fn staleness(&self) -> f64 {
        self.0.iter().filter_map(|fault| fault.stale_describe_seconds).fold(0.0, f64::max)
    }

    /// The effect of the faults on this call. Each fault that applies is used once; of several refusals the first
    /// counts.
    pub(super) fn take(&mut self, action: &str, region: &str) -> Injection {
        let reads = action.starts_with("Describe");
        let mut injection = Injection::default();
        for fault in self.0.iter_mut().filter(|fault| fault.befalls(action, region)) {
            let refuses = fault.error.is_some();
            let only_stale = !refuses
                && fault.delay_seconds.is_none()
                && !fault.apply_then_timeout
                && fault.cut_answer_bytes.is_none();
            if (refuses && injection.error.is_some()) || (only_stale && !reads) {
                continue;
            }
            if fault.skips > 0 {
                fault.skips -= 1;
                continue;
            }
            if let Some(code) = fault.error {
                let message = fault.message.clone().unwrap_or_else(|| code.usual_message().to_owned());
                injection.error = Some(ApiError::new(code, message));
            }
            injection.delay += fault.delay_seconds.unwrap_or_default();
            injection.no_answer |= fault.apply_then_timeout;
            injection.stale = injection.stale.max(fault.stale_describe_seconds.unwrap_or_default());
            injection.cut = injection.cut.or(fault.cut_answer_bytes);
            if let Some(times) = &mut fault.times {
                *times = times.saturating_sub(1);
            }
        }
        self.0.retain(|fault| fault.times != Some(0));
        injection
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_by_the_calls_it_befalls() {
        let mut faults = Faults::default();
        faults.add(Fault::error("SetDesiredCapacity", ErrorCode::Throttling, 2)).expect("a good fault");
        assert_eq!(faults.take("DescribeTags", "us-east-1"), Injection::default());
        for _ in 0..2 {
            assert!(faults.take("SetDesiredCapacity", "us-east-1").error.is_some());
        }
        assert_eq!(faults.take("SetDesiredCapacity", "us-east-1"), Injection::default());
    }

    #[test]
    fn refusals_follow_one_another_and_delays_add_up() {
        let mut faults = Faults::default();
        faults.add(Fault::error("*", ErrorCode::Throttling, 1)).expect("a good fault");
        faults.add(Fault::error("*", ErrorCode::ExpiredToken, 1)).expect("a good fault");
        let delay = Fault { delay_seconds: Some(0.5), region: Some("eu-west-1".into()), ..Fault::default() };
        faults.add(delay.clone()).expect("a good fault");
        faults.add(delay).expect("a good fault");
        let first = faults.take("DescribeTags", "eu-west-1");
        assert_eq!(first.error.map(|error| error.code), Some(ErrorCode::Throttling));
        assert!((first.delay - 1.0).abs() < 1e-9);
        let second = faults.take("DescribeTags", "us-east-1");
        assert_eq!(second.error.map(|error| error.code), Some(ErrorCode::ExpiredToken));
        assert!(second.delay.abs() < 1e-9);
    }

    #[test]
    fn a_fault_that_does_nothing_is_refused() {
        assert!(Faults::default().add(Fault { times: Some(1), ..Fault::default() }).is_err());
        assert!(Faults::default().add(Fault { delay_seconds: Some(f64::NAN), ..Fault::default() }).is_err());
    }
}
