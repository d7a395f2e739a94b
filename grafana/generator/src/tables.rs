//! Tables that two dashboards show: instances, and what the scaler runs as.

use crate::model::{Cell, NONE_IS_BEST, NONE_IS_WELL, Panel, STRESS, States};
use crate::promql::instances;

/// 0 and 1 as words, where 1 is well.
pub(crate) const WELL: States = &[("0", "no", "red"), ("1", "yes", "green")];
/// What a bridge does, as a number of [`bridge_state`].
pub(crate) const BRIDGE: States = &[
    ("0", "does not answer", "red"),
    ("1", "ill", "orange"),
    ("2", "serves", "green"),
    ("3", "drains", "blue"),
    ("4", "leaves", "purple"),
];
/// What a Jibri does, as a number of [`jibri_state`].
pub(crate) const JIBRI: States = &[
    ("0", "does not answer", "red"),
    ("1", "ill", "orange"),
    ("2", "free", "green"),
    ("3", "busy", "blue"),
    ("4", "expired", "purple"),
];

const INSTANCE: &[(&str, &str)] =
    &[("asg", "Group"), ("instance", "Address"), ("instance_id", "Instance"), ("zone", "Zone")];
const BY: &str = "asg, instance, instance_id, zone";

/// One number for each bridge: the first that applies of leaving, draining, ill, serving, silent.
pub(crate) fn bridge_state(by: &str) -> String {
    format!(
        "max by ({by}) (
  4 * (jvb_graceful_shutdown{{@}} == 1) or 4 * (jvb_shutting_down{{@}} == 1) or 3 * (jvb_draining{{@}} == 1)
  or (jvb_healthy{{@}} == bool 0) == 1 or 2 * (jvb_up{{@}} == 1) or jvb_up{{@}}
)"
    )
}

/// One number for each Jibri: the first that applies of ill, free, busy, expired, silent.
pub(crate) fn jibri_state(by: &str) -> String {
    format!(
        r#"max by ({by}) (
  (jibri_healthy{{@}} == bool 0) == 1 or 2 * (jibri_available{{@}} == 1)
  or ignoring (status) 3 * (jibri_status{{@, status="busy"}} == 1)
  or ignoring (status) 4 * (jibri_status{{@, status="expired"}} == 1) or 0 * (jibri_up{{@}} == 0)
)"#
    )
}

/// The bridges, the most stressed first.
pub(crate) fn bridges() -> Panel {
    let max = |metric: &str| format!("max by ({BY}) ({metric}{{@}})");
    Panel::table(
        [
            "Bridges",
            "short",
            "The most stressed first. From a stress of 80 % on Jicofo regards a bridge as overloaded. An address leads to \
             that bridge alone.",
        ],
        INSTANCE,
        [
            (max("jvb_stress_ratio"), "Stress"),
            (max("jvb_local_endpoints"), "People"),
            (max("jvb_conferences"), "Conferences"),
            (bridge_state(BY), "State"),
            (max("jvb_rtt_seconds"), "Round trip"),
            (max("jvb_overall_loss_ratio"), "Packets lost"),
        ],
    )
    .cell("Stress", Cell::Gauge("percentunit", STRESS))
    .cell("State", Cell::Word(BRIDGE))
    .cell("Round trip", Cell::Number("s"))
    .cell("Packets lost", Cell::Number("percentunit"))
    .sorted_by("Stress")
    .link("This bridge alone", "jitsi-jvb", "jvb_instance", "instance")
    .without("No bridge reports.")
}

/// The Jibris, those busy for longest first.
pub(crate) fn jibris() -> Panel {
    let idle = format!("max by ({BY}) (time() - instance:jibri_idle_start_seconds:last{{@}})");
    Panel::table(
        [
            "Jibris",
            "short",
            "What each does, and for how long it has been free. An address leads to that Jibri alone.",
        ],
        INSTANCE,
        [(jibri_state(BY), "State"), (idle, "Free for")],
    )
    .cell("State", Cell::Word(JIBRI))
    .cell("Free for", Cell::Number("s"))
    .sorted_by("State")
    .link("This Jibri alone", "jitsi-jibri", "jibri_instance", "instance")
    .without("No Jibri reports.")
}

/// The groups: instances by state. Each name leads to its bridges or its Jibris, and to what the scaler thinks.
pub(crate) fn groups() -> Panel {
    let state = |state| instances(r#"fleet=~"$fleet", asg=~"$asg""#, state);
    let component = r#"max by (asg, component, fleet) (
  label_replace(sum by (asg) (asg:jvb_up:sum{@}) * on (asg) group_right () group by (asg, fleet) (jitsi_scaler_group_instances{fleet=~"$fleet", @}), "component", "jvb", "", "")
  or label_replace(sum by (asg) (asg:jibri_up:sum{@}) * on (asg) group_right () group by (asg, fleet) (jitsi_scaler_group_instances{fleet=~"$fleet", @}), "component", "jibri", "", "")
)"#;
    Panel::table(
        [
            "Groups",
            "short",
            "Instances of each group. Demand is the load in instances: bridges at a stress of 1, busy Jibris. Headroom \
             is what would still find a place. A name leads to its instances, the fleet to the scaler and its page.",
        ],
        &[("asg", "Group"), ("component", "Component"), ("fleet", "Fleet")],
        [
            (component.to_owned(), "Answering"),
            (state("wanted"), "Wanted"),
            (state("desired"), "Desired"),
            (state("ready"), "Ready"),
            (state("warming"), "Warming"),
            (state("draining"), "Draining"),
            (state("reporting"), "Reporting"),
            (state("min"), "Min"),
            (state("max"), "Max"),
            ("sum by (asg) (asg:jitsi_demand:sum{@})".to_owned(), "Demand"),
            ("sum by (asg) (asg:jitsi_headroom:sum{@})".to_owned(), "Headroom"),
        ],
    )
    .link("Instances of this group", "jitsi-${__data.fields.component}", "${__data.fields.component}_asg", "asg")
    .link("Scaler on this fleet", "jitsi-scaler", "fleet", "fleet")
    .link_out("The scaler's page of this group", "fleet", "${page}/fleets/{fleet}/{asg}")
    .cell("Demand", Cell::Number("short"))
    .cell("Headroom", Cell::Number("short"))
    .high(6)
    .without("No scaler reports a group.")
}

/// Builds of the scaler, with links to its page.
pub(crate) fn scaler_builds() -> Panel {
    Panel::table(
        [
            "Builds",
            "none",
            "Which build runs where, and which of them leads. An address leads to the scaler's page, if this browser \
             reaches the address that Prometheus scrapes.",
        ],
        &[("instance", "Address"), ("version", "Version"), ("revision", "Revision")],
        [(
            "max by (instance, version, revision) (jitsi_scaler_build_info{@} * on (job, instance) group_left () jitsi_scaler_leader{@})",
            "Leads",
        )],
    )
    .cell("Leads", Cell::Word(&[("0", "stands by", "blue"), ("1", "leads", "green")]))
    .link_out("The scaler's page", "instance", "http://{instance}/")
    .high(5)
}

/// Builds of the exporter.
pub(crate) fn exporter_builds() -> Panel {
    Panel::table(
        ["Builds", "none", "How many exporters run each build."],
        &[("version", "Version"), ("revision", "Revision")],
        [("count by (version, revision) (jitsi_exporter_build_info{@})", "Exporters")],
    )
    .high(5)
}

/// The alerts that fire, critical ones first.
pub(crate) fn alerts() -> Panel {
    let by = "alertname, namespace, job, fleet, asg, region, zone, shard, instance";
    let names = crate::promql::ALERTNAMES;
    let of = |severity: &str, rank: u8| {
        format!(r#"{rank} * max by ({by}) (ALERTS{{alertstate="firing", severity="{severity}", {names}}})"#)
    };
    let rank = [of("critical", 3), of("warning", 2), of("info", 1)].join("\nor ");
    let since = format!(
        "max by ({by}) (time() - ALERTS_FOR_STATE{{{names}}})\nand max by ({by}) (ALERTS{{alertstate=\"firing\", {names}}})"
    );
    Panel::table(
        ["Alerts", "none", "Alerts that fire, critical ones first; the runbook has a section for each."],
        &[
            ("alertname", "Alert"),
            ("fleet", "Fleet"),
            ("asg", "Group"),
            ("region", "Region"),
            ("zone", "Zone"),
            ("shard", "Shard"),
            ("instance", "Instance"),
            ("job", "Job"),
            ("namespace", "Namespace"),
        ],
        [(rank, "Severity"), (since, "For")],
    )
    .cell(
        "Severity",
        Cell::Word(&[("1", "info", "blue"), ("2", "warning", "orange"), ("3", "critical", "red")]),
    )
    .cell("For", Cell::Number("s"))
    .sorted_by("Severity")
    .high(7)
    .without("No alert is known to fire; the panels at the top say whether the rules are loaded.")
}

/// Targets of the exporters that do not answer Prometheus.
pub(crate) fn silent() -> Panel {
    let up = r#"up{job=~"(jitsi|jvb|jicofo|jibri).*", job!~".*scaler.*"}"#;
    Panel::table(
        ["Targets that do not answer", "none", "Targets of which Prometheus gets nothing, and for how long, up to a day."],
        &[("job", "Job"), ("instance", "Target"), ("asg", "Group"), ("zone", "Zone")],
        [(
            format!(
                "max by (job, instance, asg, zone) ({up} == 0) + 300 * sum by (job, instance, asg, zone) (sum_over_time(({up} == bool 0)[1d:5m]) and {up} == 0)"
            ),
            "Silent for",
        )],
    )
    .cell("Silent for", Cell::Number("s"))
    .sorted_by("Silent for")
    .high(6)
    .without("No silent target is known.")
}

/// A policy against its thresholds.
pub(crate) fn policy() -> Panel {
    use crate::model::Look;
    let threshold = |direction: &str| {
        format!(
            r#"max(jitsi_scaler_policy_threshold{{direction="{direction}"}} and on (fleet, policy) (jitsi_scaler_policy_value{{${{policy:raw}}}} or jitsi_scaler_policy_verdict{{${{policy:raw}}}}))"#
        )
    };
    Panel::graph(
        [
            "$policy",
            "short",
            "What the policy reads, in the unit of its expression, against its thresholds. A gap is missing data, which \
             never scales in.",
        ],
        [
            ("max(jitsi_scaler_policy_value{${policy:raw}})".to_owned(), "value"),
            (threshold("out"), "scales out at"),
            (threshold("in"), "scales in at"),
        ],
    )
    .line("value", Look::Line("green"))
    .line("scales out at", Look::Dashed("red"))
    .line("scales in at", Look::Dashed("blue"))
    .fractional()
    .per("policy")
}

/// Capacity of each group: what is stacked is there, the lines are what is wanted, what is carried, and the bounds.
pub(crate) fn capacity() -> Panel {
    use crate::model::Look;
    let state = |state| instances(r#"fleet=~"$fleet", asg=~"$asg""#, state);
    Panel::graph(
        [
            "Capacity of $asg",
            "short",
            "Instances that are ready, warm up and drain; above them what the policies want, and the demand in instances \
             that they carry. Dashed: the bounds.",
        ],
        [
            (state("ready"), "ready"),
            (state("warming"), "warming"),
            (state("draining"), "draining"),
            (state("wanted"), "wanted"),
            (r#"sum by (asg) (asg:jitsi_demand:sum{asg=~"$asg"})"#.to_owned(), "demand"),
            (state("min"), "min"),
            (state("max"), "max"),
        ],
    )
    .line("ready", Look::Filled("green"))
    .line("warming", Look::Filled("yellow"))
    .line("draining", Look::Filled("blue"))
    .line("wanted", Look::Line("text"))
    .line("demand", Look::Line("orange"))
    .line("min", Look::Dashed("red"))
    .line("max", Look::Dashed("red"))
    .fractional()
    .per("asg")
}

/// A stat on something that should not be there.
pub(crate) fn bad(title: &'static str, description: &'static str, expr: impl Into<String>) -> Panel {
    Panel::verdict([title, "short", description], NONE_IS_WELL, expr)
}

/// A stat on something that had better not be there.
pub(crate) fn odd(title: &'static str, description: &'static str, expr: impl Into<String>) -> Panel {
    Panel::verdict([title, "short", description], NONE_IS_BEST, expr)
}
