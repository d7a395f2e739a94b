//! JVB: the bridges of the chosen groups, one by one.

use crate::model::{Dashboard, Panel, Row, Variable};

/// 0 and 1 as words, where 1 is well.
const WELL: &[(&str, &str, &str)] = &[("0", "no", "red"), ("1", "yes", "green")];
/// 0 and 1 as words, where neither is bad.
const LEAVING: &[(&str, &str, &str)] =
    &[("0", "serves", "green"), ("1", "drains", "blue"), ("2", "leaves", "purple")];

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-jvb",
        title: "Jitsi / JVB",
        description: "What each bridge carries, how well, and in which state it is.",
        variables: vec![
            Variable { name: "job", label: "Job", of: "jvb_up" },
            Variable { name: "asg", label: "Group", of: r#"jvb_up{job=~"$job"}"# },
            Variable { name: "instance", label: "Instance", of: r#"jvb_up{job=~"$job", asg=~"$asg"}"# },
        ],
        filter: r#"job=~"$job", asg=~"$asg", instance=~"$instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Load", load()),
            Row::open("State", state()),
            Row::open("Quality", quality()),
            Row::closed("Network", network()),
            Row::closed("Details", details()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::stat(
            ["Serving", "short", "Bridges that take conferences: neither ill nor on their way out."],
            "sum(instance:jvb_serving:bool{@})",
        ),
        Panel::stat(
            ["Not answering", "short", "Bridges whose statistics cannot be had."],
            "sum(jvb_up{@} == bool 0)",
        ),
        Panel::stat(["Draining", "short", "Bridges that take no new conferences."], "sum(jvb_draining{@})"),
        Panel::stat(
            ["Participants", "short", "People connected to these bridges."],
            "sum(jvb_local_endpoints{@})",
        ),
        Panel::stat(
            [
                "Mean stress",
                "percentunit",
                "Over all of these bridges; 100 % is the configured load threshold.",
            ],
            "avg(jvb_stress_ratio{@})",
        ),
        Panel::stat(
            ["Sent", "bps", "RTP that they send to participants now."],
            "sum(jvb_outgoing_bits_per_second{@})",
        ),
    ]
}

fn load() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Stress by bridge",
                "percentunit",
                "From 80 % on Jicofo regards a bridge as overloaded. A click shows one bridge alone.",
            ],
            &[("jvb_stress_ratio{@}", "{{instance}}")],
        )
        .link("This bridge alone", "jitsi-jvb", "instance"),
        Panel::graph(
            ["Participants by bridge", "short", "People connected to each bridge."],
            &[("jvb_local_endpoints{@}", "{{instance}}")],
        )
        .stacked()
        .link("This bridge alone", "jitsi-jvb", "instance"),
        Panel::graph(
            ["Conferences by bridge", "short", "Conferences on each bridge; a large one counts on several."],
            &[("jvb_conferences{@}", "{{instance}}")],
        )
        .stacked(),
        Panel::graph(
            ["Largest conference", "short", "Participants of the largest conference that a bridge knows."],
            &[("max by (asg) (jvb_largest_conference{@})", "{{asg}}")],
        ),
    ]
}

fn state() -> Vec<Panel> {
    vec![
        Panel::states(
            ["Answering", "Whether the statistics of each bridge come."],
            WELL,
            &[("jvb_up{@}", "{{instance}}")],
        ),
        Panel::states(
            ["Healthy", "Each bridge's own verdict; Jicofo sends nothing to an ill one."],
            WELL,
            &[("jvb_healthy{@}", "{{instance}}")],
        ),
        Panel::states(
            [
                "On its way out",
                "Draining: no new conferences, can be taken back. Leaving: ends as soon as it is empty.",
            ],
            LEAVING,
            &[(
                "jvb_draining{@} unless jvb_graceful_shutdown{@} == 1 or 2 * jvb_graceful_shutdown{@}",
                "{{instance}}",
            )],
        ),
        Panel::graph(
            ["Versions", "short", "Bridges by version."],
            &[("count by (asg, version) (jvb_version_info{@})", "{{asg}} {{version}}")],
        )
        .stacked(),
    ]
}

fn quality() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Packets lost", "percentunit", "Between participants and bridge, worst bridge of each group."],
            &[
                ("max by (asg) (jvb_incoming_loss_ratio{@})", "{{asg}} received"),
                ("max by (asg) (jvb_outgoing_loss_ratio{@})", "{{asg}} sent"),
            ],
        ),
        Panel::graph(
            ["Round-trip time", "s", "Mean over the participants of each bridge."],
            &[("jvb_rtt_seconds{@}", "{{instance}}")],
        ),
        Panel::graph(
            ["Connections", "cps", "ICE agents that connected and that failed, per second."],
            &[
                ("sum by (asg) (rate(jvb_ice_succeeded_total{@}[$__rate_interval]))", "{{asg}} connected"),
                ("sum by (asg) (rate(jvb_ice_failed_total{@}[$__rate_interval]))", "{{asg}} failed"),
            ],
        ),
        Panel::graph(
            [
                "Participants with trouble",
                "short",
                "With sources suspended for lack of bandwidth, with more than a tenth lost, sent more than they can take.",
            ],
            &[
                ("sum by (asg) (jvb_endpoints_with_suspended_sources{@})", "{{asg}} suspended sources"),
                ("sum by (asg) (jvb_endpoints_with_high_outgoing_loss{@})", "{{asg}} high loss"),
                ("sum by (asg) (jvb_endpoints_oversending{@})", "{{asg}} oversent"),
            ],
        ),
    ]
}

fn network() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Sent", "bps", "RTP to participants, relays not included."],
            &[("jvb_outgoing_bits_per_second{@}", "{{instance}}")],
        ),
        Panel::graph(
            ["Received", "bps", "RTP from participants, relays not included."],
            &[("jvb_incoming_bits_per_second{@}", "{{instance}}")],
        ),
        Panel::graph(
            [
                "Sent per minute and bridge",
                "decbytes",
                "What the network-out policy reads, as CloudWatch's NetworkOut.",
            ],
            &[(r#"asg:jvb_network_out_bytes:avg1m{asg=~"$asg"}"#, "{{asg}}")],
        ),
        Panel::graph(
            ["Packets", "pps", "RTP packets of the group."],
            &[
                ("sum by (asg) (jvb_outgoing_packets_per_second{@})", "{{asg}} sent"),
                ("sum by (asg) (jvb_incoming_packets_per_second{@})", "{{asg}} received"),
            ],
        ),
        Panel::graph(
            ["Between bridges", "bps", "To and from relays, where conferences spread over bridges."],
            &[
                ("sum by (asg) (jvb_octo_outgoing_bits_per_second{@})", "{{asg}} sent"),
                ("sum by (asg) (jvb_octo_incoming_bits_per_second{@})", "{{asg}} received"),
            ],
        ),
    ]
}

fn details() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Conferences begun and ended", "cps", "Per second."],
            &[
                ("sum by (asg) (rate(jvb_conferences_created_total{@}[$__rate_interval]))", "{{asg}} begun"),
                (
                    "sum by (asg) (rate(jvb_conferences_completed_total{@}[$__rate_interval]))",
                    "{{asg}} ended",
                ),
            ],
        ),
        Panel::graph(
            ["Joining", "cps", "Participants that join, per second."],
            &[("sum by (asg) (rate(jvb_endpoints_created_total{@}[$__rate_interval]))", "{{asg}}")],
        ),
        Panel::graph(
            ["What participants send", "short", "Participants that send audio, video, or only receive."],
            &[
                ("sum by (asg) (jvb_endpoints_sending_audio{@})", "{{asg}} audio"),
                ("sum by (asg) (jvb_endpoints_sending_video{@})", "{{asg}} video"),
                ("sum by (asg) (jvb_receive_only_endpoints{@})", "{{asg}} nothing"),
            ],
        ),
        Panel::graph(
            ["XMPP", "short", "XMPP clients of the bridges: configured and connected."],
            &[
                ("sum by (asg) (jvb_muc_clients_configured{@})", "{{asg}} configured"),
                ("sum by (asg) (jvb_muc_clients_connected{@})", "{{asg}} connected"),
            ],
        ),
        Panel::graph(
            ["Threads", "short", "Threads of the Java virtual machine."],
            &[("jvb_threads{@}", "{{instance}}")],
        ),
        Panel::graph(
            [
                "Age of the statistics",
                "s",
                "By the bridge's own clock; it grows where a bridge repeats old ones.",
            ],
            &[("time() - jvb_statistics_timestamp_seconds{@}", "{{instance}}")],
        ),
    ]
}
