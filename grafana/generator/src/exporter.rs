//! Exporter: whether the statistics come, how fast, and what of them was of no use.

use crate::model::{Dashboard, FAILING, Panel, Row, Variable};
use crate::promql::{bars_by, process, share};
use crate::tables;

const INFO: &str = "jitsi_exporter_build_info{@}";

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-exporter",
        title: "Jitsi / Exporter",
        description: "Whether the statistics of the components come, how fast, and what of them could not be used.",
        variables: vec![
            Variable::of("exporter_job", "Job", "job", "jitsi_exporter_build_info"),
            Variable::of(
                "exporter_instance",
                "Instance",
                "instance",
                r#"jitsi_exporter_build_info{job=~"$exporter_job"}"#,
            ),
        ],
        filter: r#"job=~"$exporter_job", instance=~"$exporter_instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Targets", vec![tables::silent()]),
            Row::open("Scrapes", scrapes()),
            Row::open("What could not be used", unusable()),
            Row::closed("Service", service()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::stat(
            ["Exporters", "short", "Exporters that answer; the table below has the targets that do not."],
            format!("count({})", process("up == 1", INFO)),
        ),
        Panel::stat(
            ["Scrapes", "reqps", "Targets that they scrape or probe."],
            "sum(rate(jitsi_exporter_scrapes_total{@}[$__rate_interval]))",
        )
        .sparkline(),
        Panel::verdict(
            ["Failing", "percentunit", "Share of the scrapes in the time shown that gave no statistics."],
            FAILING,
            share("jitsi_exporter_scrape_failures_total{@}", "jitsi_exporter_scrapes_total{@}"),
        )
        .wide_by(4),
        Panel::stat(
            ["Slowest", "s", "The longest that a component takes to give its statistics, anywhere."],
            r#"max({__name__=~"(jvb|jicofo|jibri)_scrape_duration_seconds"})"#,
        ),
        Panel::stat(
            ["Memory", "bytes", "Resident memory of the largest."],
            format!("max({})", process("process_resident_memory_bytes", INFO)),
        ),
        Panel::word(
            ["Configuration", "Whether the configuration in force is that of the files, everywhere."],
            &[("0", "rejected", "red"), ("1", "in force", "green")],
            "min(jitsi_exporter_config_last_reload_successful{@})",
        )
        .wide_by(4),
    ]
}

fn scrapes() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Scrapes", "reqps", "Targets scraped or probed, by component."],
            [(
                "sum by (component) (rate(jitsi_exporter_scrapes_total{@}[$__rate_interval]))",
                "{{component}}",
            )],
        ),
        Panel::bars(
            ["Failures", "short", "Scrapes that gave no statistics, by component and reason."],
            [(
                bars_by("component, reason", "jitsi_exporter_scrape_failures_total{@}"),
                "{{component}} {{reason}}",
            )],
        )
        .without("No failure is known."),
        Panel::graph(
            [
                "Components that answer",
                "percentunit",
                "Share of all targets whose statistics come, through any exporter.",
            ],
            [("avg(jvb_up)", "JVB"), ("avg(jicofo_up)", "Jicofo"), ("avg(jibri_up)", "Jibri")],
        )
        .up_to(1.0),
        Panel::graph(
            ["Time to fetch", "s", "What nineteen of twenty components do not exceed, through any exporter."],
            [
                ("quantile(0.95, jvb_scrape_duration_seconds)", "JVB"),
                ("quantile(0.95, jicofo_scrape_duration_seconds)", "Jicofo"),
                ("quantile(0.95, jibri_scrape_duration_seconds)", "Jibri"),
            ],
        ),
    ]
}

fn unusable() -> Vec<Panel> {
    vec![
        Panel::bars(
            [
                "Values of no use",
                "short",
                "Known statistics of another type than is known, by key; their metrics are missing.",
            ],
            [(bars_by("component, key", "jitsi_exporter_unusable_values_total{@}"), "{{component}} {{key}}")],
        )
        .without("No unusable value is known."),
        Panel::graph(
            [
                "Unknown statistics",
                "short",
                "Targets that report a number that no table knows, by key: a newer Jitsi.",
            ],
            [(r#"count by (key) ({__name__=~"(jvb|jicofo|jibri)_unknown"})"#, "{{key}}")],
        )
        .without("No unknown statistic is reported."),
    ]
}

fn service() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Relay", "reqps", "Requests passed on to the component on the host, by what became of them."],
            [(
                "sum by (component, request, outcome) (rate(jitsi_exporter_relay_requests_total{@}[$__rate_interval]))",
                "{{component}} {{request}} {{outcome}}",
            )],
        )
        .without("No relay."),
        Panel::bars(
            ["Requests refused", "short", "Before any work was done for them, by reason."],
            [(bars_by("reason", "jitsi_exporter_web_requests_refused_total{@}"), "{{reason}}")],
        )
        .without("No refusal is known."),
        Panel::bars(
            [
                "Passwords and handshakes",
                "short",
                "Passwords compared with their hash (many are guesses), and TLS handshakes that failed.",
            ],
            [
                (bars_by("", "jitsi_exporter_web_passwords_checked_total{@}"), "passwords"),
                (bars_by("", "jitsi_exporter_web_tls_handshakes_failed_total{@}"), "handshakes failed"),
            ],
        )
        .without("None is known."),
        Panel::graph(
            ["Open files", "percentunit", "Share of the file descriptors that each process may have."],
            [(
                process(
                    "process_open_fds / process_max_fds",
                    "jitsi_exporter_build_info{@}",
                ),
                "{{instance}}",
            )],
        )
        .at_least_to(0.1),
        Panel::graph(
            ["Memory", "bytes", "Resident memory."],
            [(process("process_resident_memory_bytes", INFO), "{{instance}}")],
        ),
        Panel::graph(
            ["Processor", "percentunit", "Of one processor."],
            [(process("rate(process_cpu_seconds_total[$__rate_interval])", INFO), "{{instance}}")],
        ),
        tables::exporter_builds(),
    ]
}
