//! Scaler: its policies against their thresholds, its decisions and reasons, its drains, and the calls that it makes.

use crate::model::{Dashboard, FAILING, NEUTRAL, POLICY, Panel, Row, States, Variable};
use crate::promql::{SCALER_STATES, bars_by, or_zero, process, scaler_state, share};
use crate::tables;

const VERDICTS: States = &[("0", "ok", "green"), ("1", "unknown", "purple"), ("2", "alarm", "orange")];
const WAITS: States = &[("1", "cooldown", "super-light-blue"), ("2", "paused", "purple")];
const LEADS: States = &[("0", "stands by", "blue"), ("1", "leads", "green")];
const INFO: &str = "jitsi_scaler_build_info{@}";
/// The groups of the chosen fleets.
const GROUP: &str = r#"@, fleet=~"$fleet", asg=~"$asg""#;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-scaler",
        title: "Jitsi / Scaler",
        description: "What each policy says, what was decided and done, what holds, and how AWS and Prometheus answer.",
        variables: vec![
            Variable::of("scaler_job", "Job", "job", "jitsi_scaler_build_info"),
            Variable::of(
                "scaler_instance",
                "Instance",
                "instance",
                r#"jitsi_scaler_build_info{job=~"$scaler_job"}"#,
            ),
            Variable::of("fleet", "Fleet", "fleet", "jitsi_scaler_group_instances"),
            Variable::of("asg", "Group", "asg", r#"jitsi_scaler_group_instances{fleet=~"$fleet"}"#),
            POLICY,
        ],
        filter: r#"job=~"$scaler_job", instance=~"$scaler_instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Policies", vec![tables::policy()]),
            Row::open("Verdicts", verdicts()),
            Row::open("Decisions", decisions()),
            Row::open("Drains", drains()),
            Row::open("Trouble", trouble()),
            Row::open("AWS and Prometheus", calls()),
            Row::closed("Service", service()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::word(
            ["Scaler", "What the scaler does; dry run and paused: at least one fleet or group is."],
            SCALER_STATES,
            scaler_state(r#"fleet=~"$fleet", asg=~"$asg""#),
        ),
        Panel::verdict(
            ["Last evaluation", "s", "How long ago the fleet was evaluated that waits for longest."],
            &[(None, "green"), (Some(300.0), "orange"), (Some(600.0), "red")],
            r#"max(time() - jitsi_scaler_last_evaluation_timestamp_seconds{@, fleet=~"$fleet"})"#,
        ),
        Panel::verdict(
            ["Groups", "short", "Auto Scaling groups found."],
            NEUTRAL,
            r#"sum(jitsi_scaler_fleet_groups{@, fleet=~"$fleet"})"#,
        ),
        tables::bad(
            "Groups missing",
            "Groups that the configuration names and AWS does not have.",
            r#"sum(jitsi_scaler_fleet_groups_missing{@, fleet=~"$fleet"})"#,
        ),
        Panel::verdict(
            ["Failing calls", "percentunit", "Share of the calls to AWS that failed in the time shown."],
            FAILING,
            share(
                r#"jitsi_scaler_cloud_calls_total{@, outcome!~"ok|not_leading"}"#,
                r#"jitsi_scaler_cloud_calls_total{@, outcome!="not_leading"}"#,
            ),
        ),
        Panel::verdict(
            [
                "Failing queries",
                "percentunit",
                "Share of the queries to Prometheus that failed in the time shown.",
            ],
            FAILING,
            share(
                r#"jitsi_scaler_prometheus_queries_total{@, outcome!="ok"}"#,
                "jitsi_scaler_prometheus_queries_total{@}",
            ),
        ),
        Panel::verdict(
            ["Oldest drain", "s", "How long the oldest drain has been under way; 0 without one."],
            &[(None, "blue"), (Some(43200.0), "orange")],
            format!("max(jitsi_scaler_oldest_drain_seconds{{{GROUP}}}) or {}", or_zero(GROUP)),
        ),
        Panel::word(
            ["Configuration", "Whether the configuration in force is that of the files."],
            &[("0", "rejected", "red"), ("1", "in force", "green")],
            "min(jitsi_scaler_config_last_reload_successful{@})",
        ),
    ]
}

fn verdicts() -> Vec<Panel> {
    let by = "by (asg, region, policy, direction)";
    let verdict =
        |of: &str| format!("(max {by} (jitsi_scaler_policy_verdict{{{GROUP}, verdict=\"{of}\"}}) == 1)");
    let neither = |direction: &str| {
        format!(
            "0 * max {by} (group by (asg, region, fleet, policy) (jitsi_scaler_policy_value{{{GROUP}}}) * on (fleet, policy) \
             group_left (direction) group by (fleet, policy, direction) \
             (jitsi_scaler_policy_threshold{{direction=\"{direction}\"}}))"
        )
    };
    vec![
        Panel::states(
            [
                "Verdicts",
                "What each policy says of its window in each direction. Unknown: too few datapoints. A policy on an alert \
                 is shown while the alert fires.",
            ],
            VERDICTS,
            format!(
                "2 * {} or {} or {} or {}",
                verdict("alarm"),
                verdict("unknown"),
                neither("out"),
                neither("in")
            ),
            "{{asg}} {{region}} {{policy}} {{direction}}",
        )
        .high(8),
        Panel::states(
            ["What holds a group", "Reasons that keep a group from scaling further, while they hold."],
            &[("1", "holds", "orange")],
            format!("max by (asg, region, reason) (jitsi_scaler_group_blocked{{{GROUP}}}) == 1"),
            "{{asg}} {{region}} {{reason}}",
        )
        .wide_by(12)
        .high(8)
        .without("Nothing is known to hold a group."),
        Panel::states(
            ["Cooldowns and pauses", "While a group waits after a decision, or is paused by an operator."],
            WAITS,
            format!(
                "2 * (max by (asg, region) (jitsi_scaler_paused{{{GROUP}}}) == 1)
or (max by (asg, region, direction) (jitsi_scaler_cooldown_until_timestamp_seconds{{{GROUP}}}) > bool time()) == 1"
            ),
            "{{asg}} {{region}} {{direction}}",
        )
        .wide_by(12)
        .high(8)
        .without("No group is known to wait."),
    ]
}

fn decisions() -> Vec<Panel> {
    let taken = |dry_run: &str| {
        let of = format!(r#"jitsi_scaler_decisions_total{{{GROUP}, action!="hold", dry_run="{dry_run}"}}"#);
        bars_by("asg, action", &of)
    };
    vec![
        tables::capacity(),
        Panel::bars(
            ["Decisions", "short", "Decisions by what was decided, holds left out; a dry run does not carry them out."],
            [(taken("false"), "{{asg}} {{action}}"), (taken("true"), "{{asg}} {{action}} (dry run)")],
        )
        .without("No decision to scale is known."),
        Panel::bars(
            [
                "Steps",
                "short",
                "Steps that followed, by outcome; overtaken ones were left out because the world had changed.",
            ],
            [(
                bars_by("effect, outcome", r#"jitsi_scaler_effects_total{@, fleet=~"$fleet"}"#),
                "{{effect}} {{outcome}}",
            )],
        )
        .without("No step is known."),
        Panel::graph(
            [
                "Reporting",
                "percentunit",
                "Share of the ready instances that report; below its minimum nothing scales in.",
            ],
            [(
                format!(
                    "sum by (asg) (jitsi_scaler_group_instances{{{GROUP}, state=\"reporting\"}})
/ (sum by (asg) (jitsi_scaler_group_instances{{{GROUP}, state=\"ready\"}}) > 0)"
                ),
                "{{asg}}",
            )],
        )
        .up_to(1.0),
    ]
}

fn drains() -> Vec<Panel> {
    let worst = |metric: &str| format!("max by (asg) ({metric}{{{GROUP}}})");
    vec![
        Panel::heatmap(
            [
                "How long drains take",
                "s",
                "Drains that ended in each interval, by the time from their start to the removal of the instance.",
            ],
            bars_by("le", r#"jitsi_scaler_drain_duration_seconds_bucket{@, fleet=~"$fleet"}"#)
                .trim_end_matches(" > 0")
                .to_owned(),
        ),
        Panel::graph(
            ["Oldest drain", "s", "How long the oldest drain of each group has been under way."],
            [(worst("jitsi_scaler_oldest_drain_seconds"), "{{asg}}")],
        )
        .without("No drain is known."),
        Panel::graph(
            [
                "Drains in trouble",
                "short",
                "Longer than drain.timeout allows; and instances that do not report their load, which stay.",
            ],
            [
                (worst("jitsi_scaler_drains_overdue"), "{{asg}} overdue"),
                (worst("jitsi_scaler_drains_unreachable"), "{{asg}} unreachable"),
            ],
        )
        .at_least_to(1.0)
        .without("No drain in trouble is known."),
        Panel::graph(
            [
                "Limit of lifecycle hooks",
                "percentunit",
                "The largest share of a hook's time limit that has passed; at 100 % AWS ends the instance.",
            ],
            [(worst("jitsi_scaler_hook_limit_ratio"), "{{asg}}")],
        )
        .up_to(1.0)
        .without("No instance is known to be held by a hook."),
    ]
}

fn trouble() -> Vec<Panel> {
    let worst = |metric: &str| format!("max by (asg) ({metric}{{{GROUP}}})");
    vec![
        Panel::graph(
            [
                "Launches and illness",
                "short",
                "Launches that failed in a row, and instances that are found unhealthy for long enough to be replaced.",
            ],
            [
                (worst("jitsi_scaler_launch_failing"), "{{asg}} launches failing"),
                (worst("jitsi_scaler_ill_instances"), "{{asg}} ill"),
            ],
        )
        .at_least_to(1.0)
        .without("No failed launch and no ill instance is known."),
        Panel::graph(
            ["Desired, not reached", "s", "For how long a group has had fewer instances than desired."],
            [(worst("jitsi_scaler_unreached_seconds"), "{{asg}}")],
        )
        .at_least_to(60.0)
        .without("No group is known to lack instances."),
        Panel::bars(
            ["Looks that gave nothing", "short", "At groups, activities, instance refreshes, or an instance that drains."],
            [(bars_by("fleet, what", r#"jitsi_scaler_unseen_total{@, fleet=~"$fleet"}"#), "{{fleet}} {{what}}")],
        )
        .without("No failed look is known."),
        Panel::bars(
            ["Evaluations missed", "short", "Grid points that passed while an earlier evaluation was under way."],
            [(bars_by("fleet", r#"jitsi_scaler_evaluations_missed_total{@, fleet=~"$fleet"}"#), "{{fleet}}")],
        )
        .without("No missed evaluation is known."),
    ]
}

fn calls() -> Vec<Panel> {
    let quantile = |of: &str, by: &str, metric: &str| {
        format!("histogram_quantile({of}, sum by ({by}) (rate({metric}[$__rate_interval])))")
    };
    let queries = "jitsi_scaler_prometheus_query_duration_seconds_bucket{@}";
    vec![
        Panel::graph(
            ["Calls to AWS", "reqps", "By call and outcome."],
            [(
                "sum by (call, outcome) (rate(jitsi_scaler_cloud_calls_total{@}[$__rate_interval]))",
                "{{call}} {{outcome}}",
            )],
        )
        .stacked(),
        Panel::graph(
            ["Time of calls to AWS", "s", "What nineteen of twenty calls do not exceed."],
            [(quantile("0.95", "call, le", "jitsi_scaler_cloud_call_duration_seconds_bucket{@}"), "{{call}}")],
        ),
        Panel::graph(
            ["Queries to Prometheus", "reqps", "By fleet and outcome."],
            [(
                r#"sum by (fleet, outcome) (rate(jitsi_scaler_prometheus_queries_total{@, fleet=~"$fleet"}[$__rate_interval]))"#,
                "{{fleet}} {{outcome}}",
            )],
        )
        .stacked(),
        Panel::graph(
            ["Time of queries", "s", "What half and nineteen of twenty queries do not exceed."],
            [(quantile("0.95", "le", queries), "95 %"), (quantile("0.5", "le", queries), "half")],
        ),
        Panel::graph(
            ["Time of evaluations", "s", "From the grid point to the end of what was done, nineteen of twenty."],
            [(
                quantile(
                    "0.95",
                    "fleet, le",
                    r#"jitsi_scaler_evaluation_duration_seconds_bucket{@, fleet=~"$fleet"}"#,
                ),
                "{{fleet}}",
            )],
        ),
        Panel::graph(
            [
                "Series without a group",
                "short",
                "Series of a fleet's policies that fit no group (harmless), or one that others fit too (ambiguous: it counts as none).",
            ],
            [(
                r#"sum by (fleet, outcome) (jitsi_scaler_policy_series_unmatched{@, fleet=~"$fleet"})"#,
                "{{fleet}} {{outcome}}",
            )],
        )
        .at_least_to(1.0),
    ]
}

fn service() -> Vec<Panel> {
    vec![
        tables::scaler_builds(),
        Panel::states(
            ["Who leads", "Which scaler acts; one without a lease always does."],
            LEADS,
            "max by (instance) (jitsi_scaler_leader{@})",
            "{{instance}}",
        )
        .high(6),
        Panel::bars(
            ["Lease", "short", "Changes of the lead, and requests for the lease that failed, by reason."],
            [
                (bars_by("instance", "jitsi_scaler_leader_changes_total{@}"), "{{instance}} changes"),
                (bars_by("reason", "jitsi_scaler_lease_failures_total{@}"), "failed: {{reason}}"),
            ],
        )
        .without("No change of the lead is known."),
        Panel::bars(
            ["Notifications", "short", "Notifications of Alertmanager by outcome, and evaluations that they and others woke."],
            [
                (bars_by("outcome", "jitsi_scaler_webhooks_total{@}"), "notification {{outcome}}"),
                (bars_by("trigger", r#"jitsi_scaler_wakes_total{@, fleet=~"$fleet"}"#), "woken by {{trigger}}"),
            ],
        )
        .without("No notification is known."),
        Panel::bars(
            ["Requests refused", "short", "Before any work was done for them, by reason."],
            [(bars_by("reason", "jitsi_scaler_web_requests_refused_total{@}"), "{{reason}}")],
        )
        .without("No refusal is known."),
        Panel::bars(
            [
                "Decisions lost, tags unreadable",
                "short",
                "Decisions that could not be written to the file of --decision-log, and tags that could not be read.",
            ],
            [
                (bars_by("instance", "jitsi_scaler_decision_log_lost_total{@}"), "{{instance}} decisions lost"),
                (bars_by("asg", &format!("jitsi_scaler_unreadable_tags_total{{{GROUP}}}")), "{{asg}} tags"),
            ],
        )
        .without("None is known."),
        Panel::graph(
            ["Memory", "bytes", "Resident memory."],
            [(process("process_resident_memory_bytes", INFO), "{{instance}}")],
        ),
        Panel::graph(
            ["Processor", "percentunit", "Of one processor."],
            [(process("rate(process_cpu_seconds_total[$__rate_interval])", INFO), "{{instance}}")],
        ),
    ]
}
