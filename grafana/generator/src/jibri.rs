//! Jibri: the pool of recorders.

use crate::model::{Dashboard, Panel, Row, Variable};

const WELL: &[(&str, &str, &str)] = &[("0", "no", "red"), ("1", "yes", "green")];
const BUSY: &[(&str, &str, &str)] = &[("0", "idle", "green"), ("1", "busy", "blue")];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-jibri",
        title: "Jitsi / Jibri",
        description: "How many Jibris are free, what each does, and which recordings failed.",
        variables: vec![
            Variable { name: "job", label: "Job", of: "jibri_up" },
            Variable { name: "asg", label: "Group", of: r#"jibri_up{job=~"$job"}"# },
            Variable { name: "instance", label: "Instance", of: r#"jibri_up{job=~"$job", asg=~"$asg"}"# },
        ],
        filter: r#"job=~"$job", asg=~"$asg", instance=~"$instance""#,
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
        Panel::stat(["Free", "short", "Healthy and idle."], "sum(jibri_available{@})"),
        Panel::stat(
            ["Busy", "short", "Recording, streaming or uploading."],
            r#"sum(jibri_status{@, status="busy"})"#,
        ),
        Panel::stat(
            ["Unhealthy", "short", "They stay so until they are restarted."],
            "sum(jibri_healthy{@} == bool 0)",
        ),
        Panel::stat(
            ["Not answering", "short", "Jibris whose status cannot be had, booting ones too."],
            "sum(jibri_up{@} == bool 0)",
        ),
        Panel::stat(
            ["Longest idle", "s", "How long the one has been free that is so for longest."],
            r#"max(asg:jibri_idle_seconds:max{asg=~"$asg"})"#,
        ),
        Panel::stat(
            ["Failed", "short", "Sessions that failed in the time shown, on any Jibri, by Jicofo's count."],
            "sum(increase(jicofo_jibri_failures_total[$__range]))",
        ),
    ]
}

fn pool() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Pool", "short", "Jibris by what they do."],
            &[
                ("sum(jibri_available{@})", "free"),
                (r#"sum(jibri_status{@, status="busy"})"#, "busy"),
                (r#"sum(jibri_status{@, status="expired"})"#, "expired"),
                ("sum(jibri_healthy{@} == bool 0)", "unhealthy"),
                ("sum(jibri_up{@} == bool 0)", "not answering"),
            ],
        )
        .stacked(),
        Panel::graph(
            ["Free by group", "short", "What the policy of a pool reads."],
            &[(r#"asg:jibri_available:sum{asg=~"$asg"}"#, "{{asg}}")],
        ),
        Panel::graph(
            ["Share that is busy", "percentunit", "Of those that answer."],
            &[(r#"asg:jibri_busy:sum{asg=~"$asg"} / (asg:jibri_up:sum{asg=~"$asg"} > 0)"#, "{{asg}}")],
        )
        .up_to(1.0),
        Panel::bars(
            [
                "Sessions failed",
                "short",
                "By type, on any Jibri, by Jicofo's count; refused ones are among them.",
            ],
            &[("sum by (type) (increase(jicofo_jibri_failures_total[$__interval]))", "{{type}}")],
        ),
    ]
}

fn each() -> Vec<Panel> {
    vec![
        Panel::states(
            ["Busy", "A Jibri is busy until its upload is done."],
            BUSY,
            &[(r#"jibri_status{@, status="busy"}"#, "{{instance}}")],
        )
        .link("This Jibri alone", "jitsi-jibri", "instance"),
        Panel::states(
            ["Healthy", "Each Jibri's own verdict."],
            WELL,
            &[("jibri_healthy{@}", "{{instance}}")],
        ),
        Panel::states(
            ["Answering", "Whether the status of each Jibri comes."],
            WELL,
            &[("jibri_up{@}", "{{instance}}")],
        ),
        Panel::graph(
            [
                "Idle for",
                "s",
                "How long each has been free; the scaler removes the longest idle first, if it is told to.",
            ],
            &[("time() - instance:jibri_idle_start_seconds:last{@}", "{{instance}}")],
        ),
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
            &[
                (r#"asg:jibri_busy:sum{asg=~"$asg"}"#, "{{asg}} now"),
                (r#"asg:jibri_busy:predict15m{asg=~"$asg"}"#, "{{asg}} trend"),
                (r#"asg:jibri_busy:max1h_offset1w{asg=~"$asg"}"#, "{{asg}} last week"),
            ],
        ),
        Panel::graph(
            ["Capacity foreseen", "short", "For the larger of trend and last week, and two that are free."],
            &[(r#"asg:jibri_wanted:forecast{asg=~"$asg"}"#, "{{asg}}")],
        ),
    ]
}
