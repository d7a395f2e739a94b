//! Jicofo: conferences, and whom it can give them to.

use crate::model::{Dashboard, Panel, Row, Variable};
use crate::promql::bars_by;
use crate::tables::WELL;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-jicofo",
        title: "Jitsi / Jicofo",
        description: "Conferences, the bridges and Jibris that Jicofo knows, and what failed.",
        variables: vec![
            Variable::of("jicofo_job", "Job", "job", "jicofo_up"),
            Variable::of("jicofo_instance", "Instance", "instance", r#"jicofo_up{job=~"$jicofo_job"}"#),
        ],
        filter: r#"job=~"$jicofo_job", instance=~"$jicofo_instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Conferences", conferences()),
            Row::open("Bridges", bridges()),
            Row::open("Jibris", jibris()),
            Row::closed("Details", details()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::verdict(
            ["Not answering", "short", "Jicofos whose statistics do not come."],
            crate::model::NONE_IS_WELL,
            "sum(jicofo_up{@} == bool 0)",
        ),
        Panel::verdict(
            [
                "Ill",
                "short",
                "Jicofos that call themselves unhealthy; without a working bridge each does. Unknown where health checks \
                 are off.",
            ],
            crate::model::NONE_IS_WELL,
            "sum(jicofo_healthy{@} == bool 0)",
        ),
        Panel::stat(["Conferences", "short", "Conferences that go on."], "sum(jicofo_conferences{@})")
            .sparkline(),
        Panel::stat(["People", "short", "People in them, visitors included."], "sum(jicofo_participants{@})")
            .sparkline(),
        Panel::stat(
            ["Working bridges", "short", "Bridges that Jicofo can use, of all shards."],
            "sum(max by (shard) (jicofo_operational_bridges{@}))",
        )
        .sparkline(),
        Panel::stat(
            ["Free Jibris", "short", "Jibris that Jicofo can use, of all shards."],
            "sum(max by (shard) (jicofo_jibri_available{@}))",
        )
        .sparkline(),
    ]
}

fn conferences() -> Vec<Panel> {
    // A quantile is interpolated within a bucket, and the bucket of the largest conference is wider than that.
    let quantile = |share: &str| {
        let of = format!("histogram_quantile({share}, sum by (le) (jicofo_conference_size_bucket{{@}}))");
        format!(
            "{of} <= on () max(jicofo_largest_conference{{@}}) or on () max(jicofo_largest_conference{{@}})"
        )
    };
    vec![
        Panel::graph(
            ["Conferences", "short", "Conferences of each Jicofo."],
            [("jicofo_conferences{@}", "{{instance}}")],
        )
        .link("This Jicofo alone", "jitsi-jicofo", "jicofo_instance", "instance"),
        Panel::graph(
            ["People", "short", "People in them, visitors included."],
            [("jicofo_participants{@}", "{{instance}}")],
        ),
        Panel::graph(
            [
                "Size of conferences",
                "short",
                "The largest, and what half and nineteen of twenty do not exceed, to the precision of the buckets.",
            ],
            [
                ("max(jicofo_largest_conference{@})".to_owned(), "largest"),
                (quantile("0.95"), "95 %"),
                (quantile("0.5"), "half"),
            ],
        ),
        Panel::bars(
            ["Begun and joined", "short", "Conferences begun and participants joined in each interval."],
            [
                (bars_by("", "jicofo_conferences_created_total{@}"), "conferences"),
                (bars_by("", "jicofo_participants_created_total{@}"), "participants"),
            ],
        ),
    ]
}

fn bridges() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Working bridges: Jicofo's view beside ours",
                "short",
                "Where they differ for long, bridges are not used, or are gone without Jicofo knowing.",
            ],
            [
                ("shard:jicofo_operational_bridges:max", "Jicofo {{shard}}"),
                ("shard:jvb_operational:sum", "exporters {{shard}}"),
            ],
        ),
        Panel::graph(
            ["Bridges known", "short", "All, and those in graceful shutdown."],
            [
                ("max by (shard) (jicofo_bridges{@})", "{{shard}} known"),
                ("max by (shard) (jicofo_bridges_in_shutdown{@})", "{{shard}} in shutdown"),
            ],
        ),
        Panel::bars(
            [
                "Bridges lost",
                "short",
                "Bridges that went before Jicofo heard of a shutdown, and those taken out of a conference.",
            ],
            [
                (bars_by("", "jicofo_bridges_lost_total{@}"), "lost"),
                (bars_by("", "jicofo_bridges_removed_total{@}"), "taken out"),
            ],
        )
        .without("No loss is known."),
        Panel::bars(
            [
                "Participants moved",
                "short",
                "Participants moved off a bridge that failed, and those that asked for a restart or failed to connect.",
            ],
            [
                (bars_by("", "jicofo_participants_moved_total{@}"), "moved"),
                (bars_by("", "jicofo_participants_restart_requested_total{@}"), "restart"),
                (bars_by("", "jicofo_participants_ice_failed_total{@}"), "ICE failed"),
            ],
        )
        .without("No move is known."),
    ]
}

fn jibris() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Free Jibris: Jicofo's view beside ours",
                "short",
                "Recordings are refused by Jicofo's count, and the scaler keeps free ones by ours.",
            ],
            [
                ("shard:jicofo_jibri_available:max", "Jicofo {{shard}}"),
                ("shard:jibri_available:sum", "exporters {{shard}}"),
            ],
        ),
        Panel::graph(
            [
                "Sessions",
                "short",
                "Sessions of Jibris that Jicofo runs, by type; and the Jibris that it knows.",
            ],
            [
                ("sum by (type) (jicofo_jibri_sessions_active{@})", "{{type}}"),
                ("sum(max by (shard) (jicofo_jibris{@}))", "Jibris known"),
            ],
        ),
        Panel::bars(
            [
                "Sessions failed",
                "short",
                "Sessions that failed, by type; those that were refused are among them.",
            ],
            [(bars_by("type", "jicofo_jibri_failures_total{@}"), "{{type}}")],
        )
        .wide()
        .without("No failure is known."),
    ]
}

fn details() -> Vec<Panel> {
    vec![
        Panel::states(
            ["Healthy", "Each Jicofo's own verdict."],
            WELL,
            "max by (instance) (jicofo_healthy{@})",
            "{{instance}}",
        ),
        Panel::bars(
            ["Slow health checks", "short", "Health checks that took too long."],
            [(bars_by("instance", "jicofo_slow_health_checks_total{@}"), "{{instance}}")],
        )
        .without("No slow health check is known."),
        Panel::graph(
            ["Threads", "short", "Threads of the Java virtual machine."],
            [("jicofo_threads{@}", "{{instance}}")],
        ),
        Panel::graph(
            ["Signalling", "mps", "Jingle messages per second, by action."],
            [
                ("sum by (action) (rate(jicofo_jingle_sent_total{@}[$__rate_interval]))", "sent {{action}}"),
                (
                    "sum by (action) (rate(jicofo_jingle_received_total{@}[$__rate_interval]))",
                    "received {{action}}",
                ),
            ],
        )
        .wide(),
    ]
}
