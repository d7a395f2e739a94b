//! Metrics that only the bridge's own `/metrics` has.

use crate::metric_row::{MetricRow, Scale, counter, gauge};
use crate::sample::{Kind, Unit};

pub(super) const ROWS: &[MetricRow] = &[
    gauge("", "jvb_start_time_seconds", "Unix time at which the bridge started.")
        .in_unit(Unit::Seconds, Scale::Milli)
        .native("startup_time"),
    counter("", "jvb_xmpp_disconnects_total", "XMPP connections lost.").native("xmpp_disconnects_total"),
    // No key provides it: it names the source of the other metrics.
    MetricRow::new(
        Kind::Info,
        "",
        "jvb_statistics_source_info",
        "Source of the statistics: colibri is /colibri/stats, native is the bridge's own /metrics.",
    )
    .by("source"),
];
