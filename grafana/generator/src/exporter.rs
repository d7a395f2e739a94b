//! Exporter: whether the statistics come, how fast, and what of them was of no use.

use crate::model::{Dashboard, Panel, Row, Variable};

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-exporter",
        title: "Jitsi / Exporter",
        description: "Whether the statistics of the components come, how fast, and what of them could not be used.",
        variables: vec![
            Variable { name: "job", label: "Job", of: "jitsi_exporter_build_info" },
            Variable { name: "instance", label: "Instance", of: r#"jitsi_exporter_build_info{job=~"$job"}"# },
        ],
        filter: r#"job=~"$job", instance=~"$instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Scrapes", scrapes()),
            Row::open("What could not be used", unusable()),
            Row::closed("Service", service()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::stat(["Exporters", "short", "Exporters that answer."], "sum(up{@})"),
        Panel::stat(
            ["Scrapes", "reqps", "Targets that they scrape or probe."],
            "sum(rate(jitsi_exporter_scrapes_total{@}[$__rate_interval]))",
        ),
        Panel::stat(
            ["Failing", "percentunit", "Share of the scrapes in the time shown that gave no statistics."],
            "(sum(increase(jitsi_exporter_scrape_failures_total{@}[$__range])) or vector(0)) / sum(increase(jitsi_exporter_scrapes_total{@}[$__range]))",
        ),
        Panel::stat(
            ["Slowest", "s", "The longest that a component takes to give its statistics, anywhere."],
            r#"max({__name__=~"(jvb|jicofo|jibri)_scrape_duration_seconds"})"#,
        ),
        Panel::stat(
            ["Memory", "bytes", "Resident memory of the largest."],
            "max(process_resident_memory_bytes{@})",
        ),
        Panel::stat(
            [
                "Configuration",
                "bool_yes_no",
                "Whether the configuration in force is that of the files, everywhere.",
            ],
            "min(jitsi_exporter_config_last_reload_successful{@})",
        ),
    ]
}

fn scrapes() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Scrapes", "reqps", "Targets scraped or probed, by component."],
            &[(
                "sum by (component) (rate(jitsi_exporter_scrapes_total{@}[$__rate_interval]))",
                "{{component}}",
            )],
        ),
        Panel::graph(
            ["Failures", "reqps", "Targets that gave no statistics, by component and reason."],
            &[(
                "sum by (component, reason) (rate(jitsi_exporter_scrape_failures_total{@}[$__rate_interval]))",
                "{{component}} {{reason}}",
            )],
        ),
        Panel::graph(
            [
                "Components that answer",
                "percentunit",
                "Share of all targets whose statistics come, through any exporter.",
            ],
            &[("avg(jvb_up)", "JVB"), ("avg(jicofo_up)", "Jicofo"), ("avg(jibri_up)", "Jibri")],
        )
        .up_to(1.0),
        Panel::graph(
            ["Time to fetch", "s", "What nineteen of twenty components do not exceed, through any exporter."],
            &[
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
            &[(
                "sum by (component, key) (increase(jitsi_exporter_unusable_values_total{@}[$__interval]))",
                "{{component}} {{key}}",
            )],
        ),
        Panel::graph(
            [
                "Unknown statistics",
                "short",
                "Targets that report a number that no table knows, by key: a newer Jitsi.",
            ],
            &[(r#"count by (key) ({__name__=~"(jvb|jicofo|jibri)_unknown"})"#, "{{key}}")],
        ),
    ]
}

fn service() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Relay", "reqps", "Requests passed on to the component on the host, by what became of them."],
            &[(
                "sum by (component, request, outcome) (rate(jitsi_exporter_relay_requests_total{@}[$__rate_interval]))",
                "{{component}} {{request}} {{outcome}}",
            )],
        ),
        Panel::graph(
            ["Requests refused", "reqps", "Before any work was done for them, by reason."],
            &[(
                "sum by (reason) (rate(jitsi_exporter_web_requests_refused_total{@}[$__rate_interval]))",
                "{{reason}}",
            )],
        ),
        Panel::graph(
            [
                "Passwords and handshakes",
                "cps",
                "Passwords compared with their hash (many are guesses), and TLS handshakes that failed.",
            ],
            &[
                ("sum(rate(jitsi_exporter_web_passwords_checked_total{@}[$__rate_interval]))", "passwords"),
                (
                    "sum(rate(jitsi_exporter_web_tls_handshakes_failed_total{@}[$__rate_interval]))",
                    "handshakes failed",
                ),
            ],
        ),
        Panel::graph(
            ["Open files", "short", "File descriptors, and how many there may be."],
            &[
                ("max by (instance) (process_open_fds{@})", "{{instance}}"),
                ("min(process_max_fds{@})", "limit"),
            ],
        ),
        Panel::graph(
            ["Memory", "bytes", "Resident memory."],
            &[("process_resident_memory_bytes{@}", "{{instance}}")],
        ),
        Panel::graph(
            ["Processor", "percentunit", "Of one processor."],
            &[("rate(process_cpu_seconds_total{@}[$__rate_interval])", "{{instance}}")],
        ),
        Panel::table(
            ["Builds", "none", "How many of each build run."],
            &[("count by (version, revision) (jitsi_exporter_build_info{@})", "Exporters")],
        ),
    ]
}
