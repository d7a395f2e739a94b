//! Scaler: its verdicts, decisions and reasons, and the calls that it makes.

use crate::model::{Dashboard, Panel, Row, Variable};

const VERDICTS: &[(&str, &str, &str)] =
    &[("0", "ok", "green"), ("1", "unknown", "purple"), ("2", "alarm", "orange")];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-scaler",
        title: "Jitsi / Scaler",
        description: "What each policy says, what was decided and done, what holds, and how AWS and Prometheus answer.",
        variables: vec![
            Variable { name: "job", label: "Job", of: "jitsi_scaler_build_info" },
            Variable { name: "instance", label: "Instance", of: r#"jitsi_scaler_build_info{job=~"$job"}"# },
            Variable { name: "fleet", label: "Fleet", of: r#"jitsi_scaler_group_instances{job=~"$job"}"# },
            Variable { name: "asg", label: "Group", of: r#"jitsi_scaler_group_instances{fleet=~"$fleet"}"# },
        ],
        filter: r#"job=~"$job", instance=~"$instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Policies", policies()),
            Row::open("Decisions", decisions()),
            Row::open("AWS and Prometheus", calls()),
            Row::closed("Service", service()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::stat(
            ["Last evaluation", "s", "How long ago the fleet was evaluated that waits for longest."],
            r#"max(time() - jitsi_scaler_last_evaluation_timestamp_seconds{@, fleet=~"$fleet"})"#,
        ),
        Panel::stat(
            ["Groups", "short", "Auto Scaling groups found."],
            r#"sum(jitsi_scaler_fleet_groups{@, fleet=~"$fleet"})"#,
        ),
        Panel::stat(
            ["Groups missing", "short", "Groups that the configuration names and AWS does not have."],
            r#"sum(jitsi_scaler_fleet_groups_missing{@, fleet=~"$fleet"})"#,
        ),
        Panel::stat(
            ["Failing calls", "percentunit", "Share of the calls to AWS that failed in the time shown."],
            r#"(sum(increase(jitsi_scaler_cloud_calls_total{@, outcome!="ok"}[$__range])) or vector(0))
/ sum(increase(jitsi_scaler_cloud_calls_total{@}[$__range]))"#,
        ),
        Panel::stat(
            [
                "Failing queries",
                "percentunit",
                "Share of the queries to Prometheus that failed in the time shown.",
            ],
            r#"(sum(increase(jitsi_scaler_prometheus_queries_total{@, outcome!="ok"}[$__range])) or vector(0))
/ sum(increase(jitsi_scaler_prometheus_queries_total{@}[$__range]))"#,
        ),
        Panel::stat(
            ["Configuration", "bool_yes_no", "Whether the configuration in force is that of the files."],
            "min(jitsi_scaler_config_last_reload_successful{@})",
        ),
    ]
}

fn policies() -> Vec<Panel> {
    vec![
        Panel::states(
            [
                "Verdicts",
                "What each policy says of its window in each direction. Unknown: too few datapoints.",
            ],
            VERDICTS,
            &[(
                r#"sum by (asg, policy, direction) (jitsi_scaler_policy_verdict{@, fleet=~"$fleet", asg=~"$asg", verdict="unknown"})
+ 2 * sum by (asg, policy, direction) (jitsi_scaler_policy_verdict{@, fleet=~"$fleet", asg=~"$asg", verdict="alarm"})"#,
                "{{asg}} {{policy}} {{direction}}",
            )],
        ),
        Panel::states(
            ["What holds a group", "Reasons that keep a group from scaling further, while they hold."],
            &[("1", "holds", "orange")],
            &[(
                r#"max by (asg, reason) (jitsi_scaler_group_blocked{@, fleet=~"$fleet", asg=~"$asg"}) == 1"#,
                "{{asg}} {{reason}}",
            )],
        ),
        Panel::graph(
            ["What stress policies read", "percentunit", "Mean stress of the bridges that take conferences."],
            &[(r#"asg:jvb_stress:avg{asg=~"$asg"}"#, "{{asg}}")],
        )
        .link("Bridges of this group", "jitsi-jvb", "asg"),
        Panel::graph(
            ["What pool policies read", "short", "Free Jibris."],
            &[(r#"asg:jibri_available:sum{asg=~"$asg"}"#, "{{asg}}")],
        )
        .link("Jibris of this group", "jitsi-jibri", "asg"),
    ]
}

fn decisions() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Instances", "short", "What is wanted, desired, ready, warming up and draining."],
            &[(r#"sum by (asg, state) (jitsi_scaler_group_instances{@, fleet=~"$fleet", asg=~"$asg", state!~"min|max|reporting"})"#, "{{asg}} {{state}}")],
        ),
        Panel::graph(
            ["Reporting", "percentunit", "Share of the ready instances that report; below its minimum nothing scales in."],
            &[(
                r#"sum by (asg) (jitsi_scaler_group_instances{@, fleet=~"$fleet", asg=~"$asg", state="reporting"})
/ (sum by (asg) (jitsi_scaler_group_instances{@, fleet=~"$fleet", asg=~"$asg", state="ready"}) > 0)"#,
                "{{asg}}",
            )],
        )
        .up_to(1.0),
        Panel::bars(
            ["Decisions", "short", "Decisions by what was decided, holds left out."],
            &[(r#"sum by (asg, action) (increase(jitsi_scaler_decisions_total{@, fleet=~"$fleet", asg=~"$asg", action!="hold"}[$__interval]))"#, "{{asg}} {{action}}")],
        ),
        Panel::bars(
            ["Steps", "short", "Steps that followed, by outcome; overtaken ones were left out because the world had changed."],
            &[(r#"sum by (effect, outcome) (increase(jitsi_scaler_effects_total{@, fleet=~"$fleet"}[$__interval]))"#, "{{effect}} {{outcome}}")],
        ),
    ]
}

fn calls() -> Vec<Panel> {
    vec![
        Panel::graph(["Calls to AWS", "reqps", "By call and outcome."], &[("sum by (call, outcome) (rate(jitsi_scaler_cloud_calls_total{@}[$__rate_interval]))", "{{call}} {{outcome}}")]).stacked(),
        Panel::graph(
            ["Time of calls to AWS", "s", "What nineteen of twenty calls do not exceed."],
            &[("histogram_quantile(0.95, sum by (call, le) (rate(jitsi_scaler_cloud_call_duration_seconds_bucket{@}[$__rate_interval])))", "{{call}}")],
        ),
        Panel::graph(["Queries to Prometheus", "reqps", "By fleet and outcome."], &[(r#"sum by (fleet, outcome) (rate(jitsi_scaler_prometheus_queries_total{@, fleet=~"$fleet"}[$__rate_interval]))"#, "{{fleet}} {{outcome}}")]).stacked(),
        Panel::graph(
            ["Time of queries", "s", "What half and nineteen of twenty queries do not exceed."],
            &[
                ("histogram_quantile(0.95, sum by (le) (rate(jitsi_scaler_prometheus_query_duration_seconds_bucket{@}[$__rate_interval])))", "95 %"),
                ("histogram_quantile(0.5, sum by (le) (rate(jitsi_scaler_prometheus_query_duration_seconds_bucket{@}[$__rate_interval])))", "half"),
            ],
        ),
        Panel::graph(
            ["Time of evaluations", "s", "From the grid point to the end of what was done, nineteen of twenty."],
            &[(r#"histogram_quantile(0.95, sum by (fleet, le) (rate(jitsi_scaler_evaluation_duration_seconds_bucket{@, fleet=~"$fleet"}[$__rate_interval])))"#, "{{fleet}}")],
        ),
        Panel::bars(
            ["Looks that gave nothing", "short", "At groups, activities, instance refreshes, or an instance that drains."],
            &[(r#"sum by (fleet, what) (increase(jitsi_scaler_unseen_total{@, fleet=~"$fleet"}[$__interval]))"#, "{{fleet}} {{what}}")],
        ),
    ]
}

fn service() -> Vec<Panel> {
    vec![
        Panel::bars(
            [
                "Evaluations missed",
                "short",
                "Grid points that passed while an earlier evaluation was under way.",
            ],
            &[(
                r#"sum by (fleet) (increase(jitsi_scaler_evaluations_missed_total{@, fleet=~"$fleet"}[$__interval]))"#,
                "{{fleet}}",
            )],
        ),
        Panel::graph(
            [
                "Series without a group",
                "short",
                "Series of a fleet's policies that fit no group (harmless), or one that others fit too (ambiguous: it counts as none).",
            ],
            &[(
                r#"sum by (fleet, outcome) (jitsi_scaler_policy_series_unmatched{@, fleet=~"$fleet"})"#,
                "{{fleet}} {{outcome}}",
            )],
        ),
        Panel::graph(
            ["Memory", "bytes", "Resident memory."],
            &[("process_resident_memory_bytes{@}", "{{instance}}")],
        ),
        Panel::graph(
            ["Processor", "percentunit", "Of one processor."],
            &[("rate(process_cpu_seconds_total{@}[$__rate_interval])", "{{instance}}")],
        ),
        Panel::graph(
            ["Requests refused", "reqps", "Before any work was done for them, by reason."],
            &[(
                "sum by (reason) (rate(jitsi_scaler_web_requests_refused_total{@}[$__rate_interval]))",
                "{{reason}}",
            )],
        ),
        Panel::bars(
            ["Decisions lost", "short", "Decisions that could not be written to the file of --decision-log."],
            &[(
                "sum by (instance) (increase(jitsi_scaler_decision_log_lost_total{@}[$__interval]))",
                "{{instance}}",
            )],
        ),
        Panel::table(
            ["Builds", "none", "Which build runs where."],
            &[("max by (instance, version, revision) (jitsi_scaler_build_info{@})", "Runs")],
        ),
    ]
}
