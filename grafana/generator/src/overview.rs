//! Fleet overview: a verdict, then capacity and why, what the scaler does, the alerts, and each instance.

use crate::model::{Dashboard, NEUTRAL, PAGE, POLICY, Panel, Row, Values, Variable};
use crate::promql::{
    GROUP_STATES, SCALER_STATES, bars_by, counted_in_range, firing, group_state, or_zero, scaler_state,
};
use crate::tables;

/// The groups of the chosen fleets, in the scaler's metrics.
const GROUP: &str = r#"fleet=~"$fleet", asg=~"$asg""#;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-overview",
        title: "Jitsi / Fleet overview",
        description: "Whether all is well; what the fleets hold and carry, what the scaler does, and why.",
        variables: vec![
            Variable::of("fleet", "Fleet", "fleet", "jitsi_scaler_group_instances"),
            Variable::of("asg", "Group", "asg", r#"jitsi_scaler_group_instances{fleet=~"$fleet"}"#),
            POLICY,
            PAGE,
            Variable { name: "price", label: "Price of an instance-hour", values: Values::Text("0.17") },
        ],
        filter: r#"asg=~"$asg""#,
        rows: vec![
            Row::open("Is all well?", verdict()),
            Row::open("Capacity", vec![tables::capacity()]),
            Row::open("Why", vec![tables::policy()]),
            Row::open("What the scaler does", doing()),
            Row::open("Alerts", vec![tables::alerts()]),
            Row::open("Load", load()),
            Row::open("Instances", vec![tables::groups(), tables::bridges(), tables::jibris()]),
            Row::closed("Zones", zones()),
            Row::closed("Cost", cost()),
            Row::closed("Forecasts", forecasts()),
        ],
    }
}

fn verdict() -> Vec<Panel> {
    let refused = |counter: &str| format!("sum({})", counted_in_range(counter));
    vec![
        tables::bad("Critical alerts", "Critical alerts of these rules that fire now.", firing("critical")),
        tables::odd("Warnings", "Warnings of these rules that fire now.", firing("warning")),
        Panel::word(
            ["Scaler", "What the scaler does; dry run and paused: at least one fleet or group is."],
            SCALER_STATES,
            scaler_state(GROUP),
        ),
        tables::bad(
            "At the maximum",
            "Groups that want to grow and may not: at the maximum, suspended, or AWS launches none.",
            format!(
                "sum(max by (fleet, asg, region) (jitsi_scaler_group_blocked{{{GROUP}, \
                 reason=~\"maximum|launch_suspended|launch_failing\"}})) or {}",
                or_zero(GROUP)
            ),
        ),
        tables::odd(
            "Not reporting",
            "Ready instances whose statistics do not reach Prometheus. Their load is unknown.",
            format!(
                "sum(jitsi_scaler_group_instances{{{GROUP}, state=\"ready\"}})
- sum(jitsi_scaler_group_instances{{{GROUP}, state=\"reporting\"}})"
            ),
        ),
        Panel::verdict(
            ["Draining", "short", "Instances that the scaler drains."],
            NEUTRAL,
            format!("sum(jitsi_scaler_group_instances{{{GROUP}, state=\"draining\"}}) or {}", or_zero(GROUP)),
        ),
        Panel::verdict(
            ["Oldest drain", "s", "How long the oldest drain has been under way; 0 without one."],
            &[(None, "blue"), (Some(43200.0), "orange")],
            format!("max(jitsi_scaler_oldest_drain_seconds{{{GROUP}}}) or {}", or_zero(GROUP)),
        ),
        tables::bad(
            "Recordings refused",
            "Recordings that did not start in the time shown because no Jibri was free. Jicofo before 1.0-1196 does not \
             count these: then all sessions that failed.",
            format!(
                "{} or {}",
                refused("jicofo_jibri_no_instance_failures_total"),
                refused("jicofo_jibri_failures_total")
            ),
        ),
    ]
}

fn doing() -> Vec<Panel> {
    let decisions = |dry_run: &str| {
        let of = format!(r#"jitsi_scaler_decisions_total{{{GROUP}, action!="hold", dry_run="{dry_run}"}}"#);
        bars_by("asg, action", &of)
    };
    vec![
        Panel::states(
            [
                "State of each group",
                "What the scaler does with each group, or what keeps it from doing more.",
            ],
            GROUP_STATES,
            group_state(GROUP),
            "{{asg}} {{region}}",
        )
        .high(6),
        Panel::bars(
            [
                "Decisions",
                "short",
                "Decisions to scale, by direction; those of a dry run are not carried out.",
            ],
            [(decisions("false"), "{{asg}} {{action}}"), (decisions("true"), "{{asg}} {{action}} (dry run)")],
        )
        .without("No decision to scale is known."),
        Panel::states(
            ["What holds a group", "Reasons that keep a group from scaling further, while they hold."],
            &[("1", "holds", "orange")],
            format!("max by (asg, reason) (jitsi_scaler_group_blocked{{{GROUP}}}) == 1"),
            "{{asg}} {{reason}}",
        )
        .wide_by(12)
        .high(8)
        .without("Nothing is known to hold a group."),
    ]
}

fn load() -> Vec<Panel> {
    vec![
        Panel::stat(["People", "short", "People on the bridges."], "sum(asg:jvb_participants:sum{@})")
            .sparkline(),
        Panel::stat(
            ["Conferences", "short", "Conferences on the bridges."],
            "sum(asg:jvb_conferences:sum{@})",
        )
        .sparkline(),
        Panel::stat(
            ["Recordings", "short", "Jibris that record, stream or upload."],
            "sum(asg:jibri_busy:sum{@})",
        )
        .sparkline(),
        Panel::stat(["Free Jibris", "short", "Healthy and idle."], "sum(asg:jibri_available:sum{@})")
            .sparkline(),
        Panel::stat(
            [
                "Mean stress",
                "percentunit",
                "Of the groups' bridges that take conferences, as policies read it.",
            ],
            "avg(asg:jvb_stress:avg{@})",
        )
        .sparkline(),
        Panel::stat(
            ["Highest stress", "percentunit", "Of the bridges that take conferences."],
            "max(asg:jvb_stress:max{@})",
        )
        .sparkline(),
    ]
}

fn zones() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Instances that answer, by zone",
                "short",
                "Bridges and Jibris whose statistics come: a zone that has lost its instances is missing in the pile.",
            ],
            [(r#"sum by (asg, zone) ({__name__=~"jvb_up|jibri_up", @})"#, "{{asg}} {{zone}}")],
        )
        .stacked(),
        Panel::graph(
            [
                "Not answering, by zone",
                "short",
                "Bridges and Jibris whose exporter answers and who do not, booting ones too.",
            ],
            [(r#"sum by (asg, zone) ({__name__=~"jvb_up|jibri_up", @} == bool 0)"#, "{{asg}} {{zone}}")],
        )
        .stacked()
        .at_least_to(1.0),
    ]
}

fn cost() -> Vec<Panel> {
    // A minute in which the scaler was not seen is not counted: what it held then is unknown.
    let hours = format!(
        "sum by (asg) (sum_over_time(jitsi_scaler_group_instances{{{GROUP}, state=\"desired\"}}[$__range:1m])) / 60"
    );
    let total = format!(
        "sum(sum_over_time(jitsi_scaler_group_instances{{{GROUP}, state=\"desired\"}}[$__range:1m])) / 60"
    );
    vec![
        Panel::stat(
            [
                "Instance-hours",
                "short",
                "Hours of instances in the time shown, by desired capacity. Minutes in which the scaler was not seen are \
                 left out.",
            ],
            format!("{total} and on () sum(jitsi_scaler_group_instances{{{GROUP}, state=\"desired\"}})"),
        )
        .fractional(),
        Panel::stat(
            ["Cost", "none", "Instance-hours at the price above."],
            format!(
                "$price * {total} and on () sum(jitsi_scaler_group_instances{{{GROUP}, state=\"desired\"}})"
            ),
        ),
        Panel::table(
            [
                "Instance-hours by group",
                "short",
                "Hours of instances in the time shown, and their cost at the price above.",
            ],
            &[("asg", "Group")],
            [(hours.clone(), "Instance-hours"), (format!("$price * {hours}"), "Cost")],
        )
        .high(6),
    ]
}

fn forecasts() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Load of the bridges",
                "short",
                "In bridges: now, in a quarter of an hour by the trend, and the coming hour's peak a week ago.",
            ],
            [
                ("asg:jvb_load:sum{@}", "{{asg}} now"),
                ("asg:jvb_load:predict15m{@}", "{{asg}} trend"),
                ("asg:jvb_load:max1h_offset1w{@}", "{{asg}} last week"),
            ],
        )
        .fractional(),
        Panel::graph(
            [
                "Busy Jibris",
                "short",
                "Now, in a quarter of an hour by the trend, and the coming hour's peak a week ago.",
            ],
            [
                ("asg:jibri_busy:sum{@}", "{{asg}} now"),
                ("asg:jibri_busy:predict15m{@}", "{{asg}} trend"),
                ("asg:jibri_busy:max1h_offset1w{@}", "{{asg}} last week"),
            ],
        ),
        Panel::graph(
            [
                "People",
                "short",
                "Now, in a quarter of an hour by the trend, and the coming hour's peak a week ago.",
            ],
            [
                ("asg:jvb_participants:sum{@}", "{{asg}} now"),
                ("asg:jvb_participants:predict15m{@}", "{{asg}} trend"),
                ("asg:jvb_participants:max1h_offset1w{@}", "{{asg}} last week"),
            ],
        ),
        Panel::graph(
            [
                "Capacity foreseen",
                "short",
                "Instances for what is foreseen: bridges at half of their load, two free Jibris.",
            ],
            [("asg:jvb_wanted:forecast{@}", "{{asg}}"), ("asg:jibri_wanted:forecast{@}", "{{asg}}")],
        ),
        Panel::graph(
            [
                "Headroom",
                "short",
                "Instances' worth of load that would still find a place: bridges and free Jibris.",
            ],
            [("asg:jitsi_headroom:sum{@}", "{{asg}}")],
        )
        .fractional(),
    ]
}
