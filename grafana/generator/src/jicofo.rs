//! Jicofo: conferences, and whom it can give them to.

use crate::model::{Dashboard, Panel, Row, Variable};

const WELL: &[(&str, &str, &str)] = &[("0", "no", "red"), ("1", "yes", "green")];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-jicofo",
        title: "Jitsi / Jicofo",
        description: "Conferences, the bridges and Jibris that Jicofo knows, and what failed.",
        variables: vec![
            Variable { name: "job", label: "Job", of: "jicofo_up" },
            Variable { name: "instance", label: "Instance", of: r#"jicofo_up{job=~"$job"}"# },
        ],
        filter: r#"job=~"$job", instance=~"$instance""#,
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
        Panel::stat(["Answering", "short", "Jicofos whose statistics come."], "sum(jicofo_up{@})"),
        Panel::stat(
            ["Healthy", "short", "Jicofos that call themselves healthy; without a working bridge none does."],
            "sum(jicofo_healthy{@})",
        ),
        Panel::stat(["Conferences", "short", "Conferences that go on."], "sum(jicofo_conferences{@})"),
        Panel::stat(
            ["Participants", "short", "People in them, visitors included."],
            "sum(jicofo_participants{@})",
        ),
        Panel::stat(
            ["Working bridges", "short", "Bridges that Jicofo can use."],
            "max(jicofo_operational_bridges{@})",
        ),
        Panel::stat(
            ["Free Jibris", "short", "Jibris that Jicofo can use."],
            "max(jicofo_jibri_available{@})",
        ),
    ]
}

fn conferences() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Conferences", "short", "Conferences of each Jicofo."],
            &[("jicofo_conferences{@}", "{{instance}}")],
        )
        .link("This Jicofo alone", "jitsi-jicofo", "instance"),
        Panel::graph(
            ["Participants", "short", "People in them, visitors included."],
            &[("jicofo_participants{@}", "{{instance}}")],
        ),
        Panel::graph(
            [
                "Size of conferences",
                "short",
                "The largest, and what half and nineteen of twenty do not exceed.",
            ],
            &[
                ("max(jicofo_largest_conference{@})", "largest"),
                ("histogram_quantile(0.95, sum by (le) (jicofo_conference_size_bucket{@}))", "95 %"),
                ("histogram_quantile(0.5, sum by (le) (jicofo_conference_size_bucket{@}))", "half"),
            ],
        ),
        Panel::graph(
            ["Begun and joined", "cps", "Conferences begun and participants joined, per second."],
            &[
                ("sum(rate(jicofo_conferences_created_total{@}[$__rate_interval]))", "conferences"),
                ("sum(rate(jicofo_participants_created_total{@}[$__rate_interval]))", "participants"),
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
            &[
                ("shard:jicofo_operational_bridges:max", "Jicofo {{shard}}"),
                ("shard:jvb_operational:sum", "exporters {{shard}}"),
            ],
        ),
        Panel::graph(
            ["Bridges known", "short", "All, those that work, those in graceful shutdown."],
            &[
                ("max(jicofo_bridges{@})", "known"),
                ("max(jicofo_operational_bridges{@})", "working"),
                ("max(jicofo_bridges_in_shutdown{@})", "in shutdown"),
            ],
        ),
        Panel::bars(
            [
                "Bridges lost",
                "short",
                "Bridges that went without a graceful shutdown, and those taken out of a conference.",
            ],
            &[
                ("sum(increase(jicofo_bridges_lost_total{@}[$__interval]))", "lost"),
                ("sum(increase(jicofo_bridges_removed_total{@}[$__interval]))", "taken out"),
            ],
        ),
        Panel::bars(
            [
                "Participants moved",
                "short",
                "Participants moved off a bridge that failed, and those that asked for a restart or failed to connect.",
            ],
            &[
                ("sum(increase(jicofo_participants_moved_total{@}[$__interval]))", "moved"),
                ("sum(increase(jicofo_participants_restart_requested_total{@}[$__interval]))", "restart"),
                ("sum(increase(jicofo_participants_ice_failed_total{@}[$__interval]))", "ICE failed"),
            ],
        ),
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
            &[
                ("shard:jicofo_jibri_available:max", "Jicofo {{shard}}"),
                ("shard:jibri_available:sum", "exporters {{shard}}"),
            ],
        ),
        Panel::graph(
            ["Sessions", "short", "Sessions of Jibris that Jicofo runs, by type."],
            &[("sum by (type) (jicofo_jibri_sessions_active{@})", "{{type}}")],
        )
        .stacked(),
        Panel::bars(
            [
                "Sessions failed",
                "short",
                "Sessions that failed, by type; those that were refused are among them.",
            ],
            &[("sum by (type) (increase(jicofo_jibri_failures_total{@}[$__interval]))", "{{type}}")],
        ),
        Panel::graph(
            ["Jibris known", "short", "Jibris that Jicofo knows, and those that are free."],
            &[("max(jicofo_jibris{@})", "known"), ("max(jicofo_jibri_available{@})", "free")],
        ),
    ]
}

fn details() -> Vec<Panel> {
    vec![
        Panel::states(
            ["Healthy", "Each Jicofo's own verdict."],
            WELL,
            &[("jicofo_healthy{@}", "{{instance}}")],
        ),
        Panel::bars(
            ["Slow health checks", "short", "Health checks that took too long."],
            &[(
                "sum by (instance) (increase(jicofo_slow_health_checks_total{@}[$__interval]))",
                "{{instance}}",
            )],
        ),
        Panel::graph(
            ["Threads", "short", "Threads of the Java virtual machine."],
            &[("jicofo_threads{@}", "{{instance}}")],
        ),
        Panel::graph(
            ["Signalling", "mps", "Jingle messages per second, by action."],
            &[
                ("sum by (action) (rate(jicofo_jingle_sent_total{@}[$__rate_interval]))", "sent {{action}}"),
                (
                    "sum by (action) (rate(jicofo_jingle_received_total{@}[$__rate_interval]))",
                    "received {{action}}",
                ),
            ],
        ),
    ]
}
