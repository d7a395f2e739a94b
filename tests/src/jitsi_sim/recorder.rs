//! A Jibri: what it is doing, and whether it leaves afterwards.

use super::{focus::JibriPresence, instance::RecordingId};

/// The state of one Jibri process.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub(super) healthy: bool,
    /// Its Chrome does not start; neither the status nor the presence shows it.
    pub(super) broken_chrome: bool,
    /// A graceful shutdown was accepted; neither the status nor the presence shows it.
    pub(super) leaving: bool,
    /// The recording that runs or uploads: BUSY covers both.
    pub(super) session: Option<RecordingId>,
    /// When Jicofo last chose it, in order of choices; 0 is never.
    pub(super) last_selected: u64,
}

impl Recorder {
    pub(super) fn new() -> Self {
        Self { healthy: true, broken_chrome: false, leaving: false, session: None, last_selected: 0 }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.session.is_none()
    }

    /// A Jibri that is busy, that is leaving, or whose Chrome is broken takes no work.
    pub(super) fn takes_work(&self) -> bool {
        self.is_idle() && !self.leaving && !self.broken_chrome
    }

    pub(super) fn presence(&self) -> JibriPresence {
        JibriPresence { healthy: self.healthy, idle: self.is_idle() }
    }
}
