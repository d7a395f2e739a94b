//! JVB: the bridges of the chosen groups, together and one by one.

use crate::model::{Dashboard, NEUTRAL, Panel, Row, STRESS, Variable};
use crate::promql::bars_by;
use crate::tables;

pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "jitsi-jvb",
        title: "Jitsi / JVB",
        description: "What each bridge carries, how well, and in which state it is.",
        variables: vec![
            Variable::of("jvb_job", "Job", "job", "jvb_up"),
            Variable::optional("jvb_asg", "Group", "asg", r#"jvb_up{job=~"$jvb_job"}"#),
            Variable::of(
                "jvb_instance",
                "Instance",
                "instance",
                r#"jvb_up{job=~"$jvb_job", asg=~"$jvb_asg"}"#,
            ),
        ],
        filter: r#"job=~"$jvb_job", asg=~"$jvb_asg", instance=~"$jvb_instance""#,
        rows: vec![
            Row::open("Now", now()),
            Row::open("Bridges", vec![tables::bridges()]),
            Row::open("Load", load()),
            Row::open("State", state()),
            Row::open("Quality", quality()),
            Row::closed("Each bridge", each()),
            Row::closed("Network", network()),
            Row::closed("Details", details()),
        ],
    }
}

fn now() -> Vec<Panel> {
    vec![
        Panel::verdict(
            ["Serving", "short", "Bridges that take conferences: neither ill nor on their way out."],
            &[(None, "red"), (Some(1.0), "green")],
            "sum(instance:jvb_serving:bool{@})",
        ),
        tables::odd(
            "Not answering",
            "Bridges whose exporter answers and whose statistics cannot be had, booting ones too.",
            "sum(jvb_up{@} == bool 0)",
        ),
        tables::odd(
            "Ill",
            "Bridges that fail their own health check; Jicofo sends them nothing.",
            "sum(jvb_healthy{@} == bool 0)",
        ),
        Panel::verdict(
            ["Draining", "short", "Bridges that take no new conferences."],
            NEUTRAL,
            "sum(jvb_draining{@} == 1 or jvb_graceful_shutdown{@} == 1 or 0 * jvb_up{@})",
        ),
        Panel::verdict(
            [
                "Mean stress",
                "percentunit",
                "Of the bridges that take conferences, as policies read it; 100 % is the configured load threshold.",
            ],
            STRESS,
            "avg(jvb_stress_ratio{@} and instance:jvb_serving:bool{@} == 1)",
        ),
        Panel::verdict(
            ["Highest stress", "percentunit", "Of the bridges that take conferences."],
            STRESS,
            "max(jvb_stress_ratio{@} and instance:jvb_serving:bool{@} == 1)",
        ),
        Panel::stat(["People", "short", "People connected to these bridges."], "sum(jvb_local_endpoints{@})")
            .sparkline()
            .wide_by(3),
        Panel::stat(
            ["Sent", "bps", "RTP that they send to participants."],
            "sum(jvb_outgoing_bits_per_second{@})",
        )
        .sparkline()
        .wide_by(3),
    ]
}

fn load() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Stress", "percentunit", "Mean and highest of the bridges that take conferences."],
            [
                ("avg by (asg) (jvb_stress_ratio{@} and instance:jvb_serving:bool{@} == 1)", "{{asg}} mean"),
                (
                    "max by (asg) (jvb_stress_ratio{@} and instance:jvb_serving:bool{@} == 1)",
                    "{{asg}} highest",
                ),
            ],
        )
        .at_least_to(1.0),
        Panel::graph(
            ["People", "short", "People connected to the bridges of each group."],
            [("sum by (asg) (jvb_local_endpoints{@})", "{{asg}}")],
        )
        .stacked(),
        Panel::graph(
            [
                "Conferences",
                "short",
                "Conferences on the bridges of each group; a large one counts on several.",
            ],
            [("sum by (asg) (jvb_conferences{@})", "{{asg}}")],
        )
        .stacked(),
        Panel::graph(
            ["Largest conference", "short", "Participants of the largest conference that a bridge knows."],
            [("max by (asg) (jvb_largest_conference{@})", "{{asg}}")],
        ),
    ]
}

fn state() -> Vec<Panel> {
    vec![
        Panel::states(
            [
                "State of each bridge",
                "Ill: Jicofo sends it nothing. Drains: no new conferences, can be taken back. Leaves: ends as soon as it is \
                 empty.",
            ],
            tables::BRIDGE,
            tables::bridge_state("instance"),
            "{{instance}}",
        )
        .high(12),
        Panel::graph(
            ["Versions", "short", "Bridges by version."],
            [("count by (asg, version) (jvb_version_info{@})", "{{asg}} {{version}}")],
        )
        .stacked(),
        Panel::graph(
            ["XMPP clients", "short", "XMPP clients of the bridges: configured and connected."],
            [
                ("sum by (asg) (jvb_muc_clients_configured{@})", "{{asg}} configured"),
                ("sum by (asg) (jvb_muc_clients_connected{@})", "{{asg}} connected"),
            ],
        ),
    ]
}

fn quality() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Packets lost", "percentunit", "Between participants and bridge, worst bridge of each group."],
            [
                ("max by (asg) (jvb_incoming_loss_ratio{@})", "{{asg}} received"),
                ("max by (asg) (jvb_outgoing_loss_ratio{@})", "{{asg}} sent"),
            ],
        )
        .at_least_to(0.05),
        Panel::graph(
            ["Round-trip time", "s", "Mean over the people of a bridge: of all bridges of a group, and of the worst one."],
            [
                ("avg by (asg) (jvb_rtt_seconds{@} > 0)", "{{asg}} mean"),
                ("max by (asg) (jvb_rtt_seconds{@})", "{{asg}} worst"),
            ],
        ),
        Panel::graph(
            ["Connections", "cps", "ICE agents that connected and that failed, per second."],
            [
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
            [
                ("sum by (asg) (jvb_endpoints_with_suspended_sources{@})", "{{asg}} suspended sources"),
                ("sum by (asg) (jvb_endpoints_with_high_outgoing_loss{@})", "{{asg}} high loss"),
                ("sum by (asg) (jvb_endpoints_oversending{@})", "{{asg}} oversent"),
            ],
        )
        .at_least_to(1.0),
    ]
}

fn each() -> Vec<Panel> {
    vec![
        Panel::graph(
            [
                "Stress by bridge",
                "percentunit",
                "The twenty most stressed at each moment. A click shows one bridge alone.",
            ],
            [("topk(20, jvb_stress_ratio{@})", "{{instance}}")],
        )
        .link("This bridge alone", "jitsi-jvb", "jvb_instance", "instance"),
        Panel::graph(
            ["People by bridge", "short", "The twenty with the most people. A click shows one bridge alone."],
            [("topk(20, jvb_local_endpoints{@})", "{{instance}}")],
        )
        .link("This bridge alone", "jitsi-jvb", "jvb_instance", "instance"),
        Panel::graph(
            ["Threads", "short", "Threads of the Java virtual machine: the twenty with the most."],
            [("topk(20, jvb_threads{@})", "{{instance}}")],
        ),
        Panel::graph(
            [
                "Age of the statistics",
                "s",
                "By the bridge's own clock, the twenty oldest; it grows where a bridge repeats old ones.",
            ],
            [("topk(20, time() - jvb_statistics_timestamp_seconds{@})", "{{instance}}")],
        ),
    ]
}

fn network() -> Vec<Panel> {
    vec![
        Panel::graph(
            ["Sent and received", "bps", "RTP to and from participants, relays not included."],
            [
                ("sum by (asg) (jvb_outgoing_bits_per_second{@})", "{{asg}} sent"),
                ("sum by (asg) (jvb_incoming_bits_per_second{@})", "{{asg}} received"),
            ],
        ),
        Panel::graph(
            [
                "Sent per minute and bridge",
                "decbytes",
                "What the network-out policy reads, as CloudWatch's NetworkOut.",
            ],
            [(r#"asg:jvb_network_out_bytes:avg1m{asg=~"$jvb_asg"}"#, "{{asg}}")],
        ),
        Panel::graph(
            ["Packets", "pps", "RTP packets of the group."],
            [
                ("sum by (asg) (jvb_outgoing_packets_per_second{@})", "{{asg}} sent"),
                ("sum by (asg) (jvb_incoming_packets_per_second{@})", "{{asg}} received"),
            ],
        ),
        Panel::graph(
            ["Between bridges", "bps", "To and from relays, where conferences spread over bridges."],
            [
                ("sum by (asg) (jvb_octo_outgoing_bits_per_second{@})", "{{asg}} sent"),
                ("sum by (asg) (jvb_octo_incoming_bits_per_second{@})", "{{asg}} received"),
            ],
        ),
    ]
}

fn details() -> Vec<Panel> {
    vec![
        Panel::bars(
            ["Conferences begun and ended", "short", "In each interval."],
            [
                (bars_by("asg", "jvb_conferences_created_total{@}"), "{{asg}} begun"),
                (bars_by("asg", "jvb_conferences_completed_total{@}"), "{{asg}} ended"),
            ],
        ),
        Panel::bars(
            ["Joining", "short", "Participants that joined in each interval."],
            [(bars_by("asg", "jvb_endpoints_created_total{@}"), "{{asg}}")],
        ),
        Panel::graph(
            ["What participants send", "short", "Participants that send audio, video, or only receive."],
            [
                ("sum by (asg) (jvb_endpoints_sending_audio{@})", "{{asg}} audio"),
                ("sum by (asg) (jvb_endpoints_sending_video{@})", "{{asg}} video"),
                ("sum by (asg) (jvb_receive_only_endpoints{@})", "{{asg}} nothing"),
            ],
        ),
    ]
}
