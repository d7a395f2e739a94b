//! Jibri: the pool of recorders.

use crate::model::{Dashboard, NEUTRAL, Panel, Row, Variable};
use crate::promql::{bars_by, counted_in_range};
use crate::tables;

/// The failures of the shards of the chosen Jibris: Jicofo does not say on which Jibri a session failed.
const FAILURES: &str = "jicofo_jibri_failures_total";
/// The shards of the chosen Jibris.
const SHARD: &str = "and on (shard) jibri_up{@}";

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-jibri",
        title: "Jitsi / Jibri",
        description: "How many Jibris are free, what each does, and which recordings failed.",
        variables: vec![
            Variable::of("jibri_job", "Job", "job", "jibri_up"),
            Variable::optional("jibri_asg", "Group", "asg", r#"jibri_up{job=~"$jibri_job"}"#),
            Variable::of(
                "jibri_instance",
                "Instance",
                "instance",
                r#"jibri_up{job=~"$jibri_job", asg=~"$jibri_asg"}"#,
            ),
        ],
        filter: r#"job=~"$jibri_job", asg=~"$jibri_asg", instance=~"$jibri_instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Pool", pool()),
            Row::open("Each Jibri", each()),
            Row::closed("Forecast", forecast()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::verdict(
            ["Free", "short", "Healthy and idle."],
            &[(None, "red"), (Some(1.0), "green")],
            "sum(jibri_available{@})",
        ),
        Panel::verdict(
            ["Busy", "short", "Recording, streaming or uploading."],
            NEUTRAL,
            r#"sum(jibri_status{@, status="busy"})"#,
        ),
        tables::odd("Ill", "They stay so until they are restarted.", "sum(jibri_healthy{@} == bool 0)"),
        tables::odd(
            "Not answering",
            "Jibris whose status cannot be had, booting ones too.",
            "sum(jibri_up{@} == bool 0)",
        ),
        Panel::verdict(
            [
                "Longest idle",
                "s",
                "How long the one has been free that is so for longest; 0 if none is free.",
            ],
            NEUTRAL,
            "max(time() - instance:jibri_idle_start_seconds:last{@}) or 0 * max(jibri_up{@})",
        ),
        tables::odd(
            "Failed",
            "Sessions that failed in the time shown in the shards of these Jibris, by Jicofo's count.",
            format!("sum({} {SHARD})", counted_in_range(FAILURES)),
        ),
        tables::odd(
            "Errors",
            "Sessions of these Jibris that ended in an error in the time shown. Unknown where their own metrics are not \
             scraped.",
            format!("sum({})", counted_in_range("jibri_errors_total{@}")),
        ),
    ]
}

fn pool() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Pool", "short", "Jibris by what they do."],
            [
                ("sum(jibri_available{@})", "free"),
                (r#"sum(jibri_status{@, status="busy"})"#, "busy"),
                (r#"sum(jibri_status{@, status="expired"})"#, "expired"),
                ("sum(jibri_healthy{@} == bool 0)", "ill"),
                ("sum(jibri_up{@} == bool 0)", "not answering"),
            ],
        )
        .stacked(),
        Panel::graph(
            ["Free by group", "short", "What the policy of a pool reads."],
            [(r#"asg:jibri_available:sum{asg=~"$jibri_asg"}"#, "{{asg}}")],
        ),
        Panel::graph(
            ["Share that is busy", "percentunit", "Of those that answer."],
            [(
                r#"asg:jibri_busy:sum{asg=~"$jibri_asg"} / (asg:jibri_up:sum{asg=~"$jibri_asg"} > 0)"#,
                "{{asg}}",
            )],
        )
        .up_to(1.0),
        Panel::bars(
            [
                "Sessions failed",
                "short",
                "By type, in the shards of these Jibris, by Jicofo's count; refused ones are among them.",
            ],
            [(format!("{} {SHARD}", bars_by("shard, type", FAILURES)), "{{shard}} {{type}}")],
        )
        .without("No failure is known."),
    ]
}

fn each() -> Vec<Panel> {
    vec![
        tables::jibris(),
        Panel::states(
            ["State of each Jibri", "A Jibri is busy until its upload is done."],
            tables::JIBRI,
            tables::jibri_state("instance"),
            "{{instance}}",
        )
        .high(12),
    ]
}

fn forecast() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Busy",
                "short",
                "Now, in a quarter of an hour by the trend, and the coming hour's peak a week ago.",
            ],
            [
                (r#"asg:jibri_busy:sum{asg=~"$jibri_asg"}"#, "{{asg}} now"),
                (r#"asg:jibri_busy:predict15m{asg=~"$jibri_asg"}"#, "{{asg}} trend"),
                (r#"asg:jibri_busy:max1h_offset1w{asg=~"$jibri_asg"}"#, "{{asg}} last week"),
            ],
        ),
        Panel::graph(
            ["Capacity foreseen", "short", "For the larger of trend and last week, and two that are free."],
            [(r#"asg:jibri_wanted:forecast{asg=~"$jibri_asg"}"#, "{{asg}}")],
        ),
    ]
}
