//! Metrics that only the bridge's own `/metrics` has.

use crate::metric_row::Scale::Milli;
use crate::metric_row::{MetricRow, Read, counter, gauge, rows, text};
use crate::sample::Unit::Seconds;

pub(super) const ROWS: &[MetricRow] = rows! {
    /// Unix time at which the bridge started.
    gauge "" => "jvb_start_time_seconds", in_unit(Seconds, Milli), native("startup_time");
    /// XMPP connections lost.
    counter "" => "jvb_xmpp_disconnects_total", native("xmpp_disconnects_total");
    // No key provides it: it names the source of the other metrics.
    /// Source of the statistics: colibri is /colibri/stats, native is the bridge's own /metrics.
    text "" => "jvb_statistics_source_info", read_as(Read::Text("source"));
};
