//! A payload and the exposition that follows from it.

use jitsi_exporter::component::Component;

pub(super) struct Golden {
    pub(super) component: Component,
    pub(super) file: &'static str,
    /// Lines that the exposition must have.
    pub(super) lines: &'static str,
    /// Names that it must not have.
    pub(super) absent: &'static str,
    pub(super) unusable: &'static [&'static str],
}
