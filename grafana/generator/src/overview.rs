//! Fleet overview: what the fleets carry, what they hold, and what the scaler makes of it.

use crate::model::{Dashboard, Panel, Row, Variable};

/// What the alerts of this repository are called.
const ALERTS: &str = r#"sum by (alertname, severity, alertstate, fleet, asg, zone, instance) (
  ALERTS{alertname=~"J(itsi|vb|icofo|ibri).+"}
)"#;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-overview",
        title: "Jitsi / Fleet overview",
        description: "What the fleets carry and hold, what the scaler did, and what keeps it from more.",
        variables: vec![
            Variable { name: "fleet", label: "Fleet", of: "jitsi_scaler_group_instances" },
            Variable { name: "asg", label: "Group", of: r#"jitsi_scaler_group_instances{fleet=~"$fleet"}"# },
        ],
        filter: r#"asg=~"$asg""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Groups", vec![groups()]),
            Row::open("Capacity", vec![capacity()]),
            Row::open("Why", why()),
            Row::open("Trouble", trouble()),
            Row::closed("Forecasts", forecasts()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::stat(["Participants", "short", "People on the bridges."], "sum(asg:jvb_participants:sum{@})"),
        Panel::stat(
            ["Conferences", "short", "Conferences on the bridges."],
            "sum(asg:jvb_conferences:sum{@})",
        ),
        Panel::stat(
            ["Recordings", "short", "Jibris that record, stream or upload."],
            "sum(asg:jibri_busy:sum{@})",
        ),
        Panel::stat(
            [
                "Recordings failed",
                "short",
                "Sessions of Jibris that failed in the time shown, by Jicofo's count.",
            ],
            "sum(increase(jicofo_jibri_failures_total[$__range]))",
        ),
        Panel::stat(
            [
                "Groups held up",
                "short",
                "Groups that want to grow and may not: at the maximum, or suspended.",
            ],
            r#"count(max by (fleet, asg, region) (
  jitsi_scaler_group_blocked{fleet=~"$fleet", @, reason=~"maximum|launch_suspended"}
) == 1) or vector(0)"#,
        ),
        Panel::stat(
            ["Alerts firing", "short", "Alerts of these rules that fire now; the table below names them."],
            r#"count(ALERTS{alertstate="firing", alertname=~"J(itsi|vb|icofo|ibri).+"}) or vector(0)"#,
        ),
    ]
}

fn groups() -> Panel {
    Panel::table(
        [
            "Groups",
            "short",
            "Instances of each group. Demand is the load in instances: bridges at a stress of 1, busy Jibris. Headroom \
             is what would still find a place. A name leads to its bridges, its Jibris, or what the scaler thinks.",
        ],
        &[
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="wanted"})"#, "Wanted"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="desired"})"#, "Desired"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="ready"})"#, "Ready"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="warming"})"#, "Warming"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="draining"})"#, "Draining"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="reporting"})"#, "Reporting"),
            ("sum by (asg) (asg:jitsi_demand:sum{@})", "Demand"),
            ("sum by (asg) (asg:jitsi_headroom:sum{@})", "Headroom"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="min"})"#, "Min"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{fleet=~"$fleet", @, state="max"})"#, "Max"),
        ],
    )
    .link("Bridges of this group", "jitsi-jvb", "asg")
    .link("Jibris of this group", "jitsi-jibri", "asg")
    .link("Scaler on this group", "jitsi-scaler", "asg")
}

fn capacity() -> Panel {
    Panel::graph(
        [
            "Capacity of $asg",
            "short",
            "Instances between the bounds: what the policies want, what AWS is asked to hold, what is ready or drains, \
             and the demand, in instances, that they carry.",
        ],
        &[
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="wanted"})"#, "wanted"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="desired"})"#, "desired"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="ready"})"#, "ready"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="warming"})"#, "warming"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="draining"})"#, "draining"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="min"})"#, "min"),
            (r#"sum by (asg) (jitsi_scaler_group_instances{@, state="max"})"#, "max"),
            ("sum by (asg) (asg:jitsi_demand:sum{@})", "demand"),
        ],
    )
    .per("asg")
    .link("Scaler on this group", "jitsi-scaler", "asg")
}

fn why() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Stress", "percentunit", "Mean and highest stress of the bridges that take conferences."],
            &[("asg:jvb_stress:avg{@}", "{{asg}} mean"), ("asg:jvb_stress:max{@}", "{{asg}} highest")],
        )
        .link("Bridges of this group", "jitsi-jvb", "asg"),
        Panel::graph(
            [
                "Headroom",
                "short",
                "Instances' worth of load that would still find a place: bridges and free Jibris.",
            ],
            &[("asg:jitsi_headroom:sum{@}", "{{asg}}")],
        ),
        Panel::bars(
            ["Decisions", "short", "Decisions to scale, by direction."],
            &[(
                r#"sum by (asg, action) (
  increase(jitsi_scaler_decisions_total{fleet=~"$fleet", @, action!="hold"}[$__interval])
)"#,
                "{{asg}} {{action}}",
            )],
        ),
        Panel::states(
            ["What holds a group", "Reasons that keep a group from scaling further, while they hold."],
            &[("1", "holds", "orange")],
            &[(
                r#"max by (asg, reason) (jitsi_scaler_group_blocked{fleet=~"$fleet", @}) == 1"#,
                "{{asg}} {{reason}}",
            )],
        ),
    ]
}

fn trouble() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Instances that answer, by zone",
                "short",
                "Bridges and Jibris whose statistics come: a zone that has lost its instances is missing in the pile.",
            ],
            &[(r#"sum by (asg, zone) ({__name__=~"jvb_up|jibri_up", @})"#, "{{asg}} {{zone}}")],
        )
        .stacked()
        .wide(),
        Panel::graph(
            [
                "Answering, by zone",
                "percentunit",
                "Share of the bridges and Jibris of a zone whose statistics come.",
            ],
            &[(r#"avg by (asg, zone) ({__name__=~"jvb_up|jibri_up", @})"#, "{{asg}} {{zone}}")],
        )
        .up_to(1.0),
        Panel::graph(
            [
                "Not answering, by zone",
                "short",
                "Bridges and Jibris whose exporter answers and who do not, booting ones too.",
            ],
            &[(r#"sum by (asg, zone) ({__name__=~"jvb_up|jibri_up", @} == bool 0)"#, "{{asg}} {{zone}}")],
        )
        .stacked(),
        Panel::graph(
            [
                "Bridges: Jicofo's view beside ours",
                "short",
                "Working bridges, those in graceful shutdown among them.",
            ],
            &[
                ("shard:jicofo_operational_bridges:max", "Jicofo {{shard}}"),
                ("shard:jvb_operational:sum", "exporters {{shard}}"),
            ],
        ),
        Panel::graph(
            ["Free Jibris: Jicofo's view beside ours", "short", "Recordings are refused by Jicofo's count."],
            &[
                ("shard:jicofo_jibri_available:max", "Jicofo {{shard}}"),
                ("shard:jibri_available:sum", "exporters {{shard}}"),
            ],
        ),
        Panel::table(
            ["Alerts", "none", "Alerts that fire, and those that will if what they see goes on (pending)."],
            &[(ALERTS, "Series")],
        ),
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
            &[
                ("asg:jvb_load:sum{@}", "{{asg}} now"),
                ("asg:jvb_load:predict15m{@}", "{{asg}} trend"),
                ("asg:jvb_load:max1h_offset1w{@}", "{{asg}} last week"),
            ],
        ),
        Panel::graph(
            [
                "Busy Jibris",
                "short",
                "Now, in a quarter of an hour by the trend, and the coming hour's peak a week ago.",
            ],
            &[
                ("asg:jibri_busy:sum{@}", "{{asg}} now"),
                ("asg:jibri_busy:predict15m{@}", "{{asg}} trend"),
                ("asg:jibri_busy:max1h_offset1w{@}", "{{asg}} last week"),
            ],
        ),
        Panel::graph(
            [
                "Participants",
                "short",
                "Now, in a quarter of an hour by the trend, and the coming hour's peak a week ago.",
            ],
            &[
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
            &[("asg:jvb_wanted:forecast{@}", "{{asg}}"), ("asg:jibri_wanted:forecast{@}", "{{asg}}")],
        ),
    ]
}
