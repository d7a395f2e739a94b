//! What only the bridge's own metrics have.

use crate::row::{Row, Scale, counter, gauge};
use crate::sample::{Kind, Unit};

pub(super) const ROWS: &[Row] = &[
    gauge("", "jvb_start_time_seconds", "Unix time at which the bridge started.")
        .in_unit(Unit::Seconds, Scale::Milli)
        .native("startup_time"),
    counter("", "jvb_xmpp_disconnects_total", "XMPP connections lost.").native("xmpp_disconnects_total"),
    // Nothing fills it: it says what filled the others.
    Row::new(
        Kind::Info,
        "",
        "jvb_statistics_source_info",
        "What the statistics were read from: colibri is /colibri/stats, native the bridge's own /metrics.",
    )
    .by("source"),
];
