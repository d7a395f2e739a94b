//! Keys of older versions.

use crate::metric_row::{MetricRow, Read, Scale, boolean, counter, gauge, ratio, silent, sizes};
use crate::sample::Unit;

pub(super) const ROWS: &[MetricRow] = &[
    // Until 2.3-94
    boolean("colibri2", "jvb_colibri2", "Whether the bridge speaks Colibri 2; from 2.1-609 to 2.3-94.")
        .of("2.1-609, gone in 2.3-95"),
    sizes(
        "conference_sizes",
        "jvb_conference_size",
        "Current conferences, by number of endpoints; until 2.3-94. \
         Without a sum while a conference is in the last bucket.",
    )
    .native("conferences_by_size")
    .of("1.x, gone in 2.3-95"),
    sizes(
        "conferences_by_audio_senders",
        "jvb_conference_audio_senders",
        "Current conferences, by number of local endpoints that send audio; until 2.3-94.",
    )
    .native("conferences_by_audio_sender")
    .of("2.1-137, gone in 2.3-95"),
    sizes(
        "conferences_by_video_senders",
        "jvb_conference_video_senders",
        "Current conferences, by number of local endpoints that send video; until 2.3-94.",
    )
    .native("conferences_by_video_sender")
    .of("2.1-137, gone in 2.3-95"),
    gauge("jitter_aggregate", "jvb_jitter_seconds", "Mean jitter, unreliable; until 2.3-94.")
        .in_unit(Unit::Seconds, Scale::Milli)
        .of("1.x, gone in 2.3-95"),
    counter(
        "total_aimd_bwe_expirations",
        "jvb_aimd_bwe_expirations_total",
        "Expirations of the incoming bitrate estimate; until 2.3-94.",
    )
    .native("incoming_bitrate_expirations_total")
    .of("2.1-516, gone in 2.3-95"),
    counter("aimd_bwe_expirations", "jvb_aimd_bwe_expirations_total", "").of("2.1-513, gone in 2.1-516"),
    counter(
        "total_failed_conferences",
        "jvb_failed_conferences_total",
        "Conferences in which every endpoint failed; until 2.3-94.",
    )
    .native("failed_conferences_total")
    .of("1.x, gone in 2.3-95"),
    counter(
        "total_partially_failed_conferences",
        "jvb_partially_failed_conferences_total",
        "Conferences in which an endpoint failed; until 2.3-94.",
    )
    .native("partially_failed_conferences_total")
    .of("1.x, gone in 2.3-95"),
    counter(
        "total_loss_controlled_participant_seconds",
        "jvb_loss_controlled_participant_seconds_total",
        "Participants' time with loss under control; until 2.3-94.",
    )
    .in_unit(Unit::Seconds, Scale::One)
    .of("1.x, gone in 2.3-95"),
    counter(
        "total_loss_degraded_participant_seconds",
        "jvb_loss_degraded_participant_seconds_total",
        "Participants' time with quality degraded by loss; until 2.3-94.",
    )
    .in_unit(Unit::Seconds, Scale::One)
    .of("1.x, gone in 2.3-95"),
    counter(
        "total_loss_limited_participant_seconds",
        "jvb_loss_limited_participant_seconds_total",
        "Participants' time with bitrate limited by loss; until 2.3-94.",
    )
    .in_unit(Unit::Seconds, Scale::One)
    .of("1.x, gone in 2.3-95"),
    gauge(
        "videochannels",
        "jvb_videochannels",
        "Local endpoints that accept video, in 1.x video channels; until 2.3-94.",
    )
    .of("1.x, gone in 2.3-95"),
    // Until 2.3-157
    counter(
        "total_ice_succeeded_tcp",
        "jvb_ice_succeeded_tcp_total",
        "ICE agents that succeeded over TCP; until 2.3-157.",
    )
    .native("ice_succeeded_tcp_total")
    .of("2.0, gone in 2.3-158"),
    // Until 2.2-1
    counter(
        "total_packets_dropped_octo",
        "jvb_octo_packets_dropped_total",
        "Packets of relays dropped; until 2.2-1.",
    )
    .of("2.0, gone in 2.2-2"),
    // 2.1
    gauge(
        "octo_version",
        "jvb_octo_version",
        "Version of the protocol between relays; from 2.1-242 to 2.1-608.",
    )
    .of("2.1-242, gone in 2.1-609"),
    sizes(
        "tossedPacketsEnergy",
        "jvb_tossed_packets_energy",
        "Packets discarded, by energy of their audio; from 2.1-522 to 2.1-606.",
    )
    .native("tossed_packets_energy")
    .of("2.1-522, gone in 2.1-607"),
    gauge(
        "tossedPacketsEnergy.max",
        "jvb_tossed_packets_energy_max",
        "Greatest energy of a packet discarded; from 2.1-522 to 2.1-606.",
    )
    .of("2.1-522, gone in 2.1-607"),
    gauge(
        "tossedPacketsEnergy.min",
        "jvb_tossed_packets_energy_min",
        "Least energy of a packet discarded; from 2.1-522 to 2.1-606.",
    )
    .of("2.1-522, gone in 2.1-607"),
    gauge(
        "tossedPacketsEnergy.discarded",
        "jvb_tossed_packets_energy_discarded",
        "Energies that were out of range; from 2.1-522 to 2.1-606.",
    )
    .of("2.1-522, gone in 2.1-607"),
    silent("tossedPacketsEnergy.average", Read::Opaque).of("2.1-522, gone in 2.1-607"),
    ratio(
        "loss_rate_download",
        "jvb_download_loss_ratio",
        "Loss of what is received, counted as before 2.1-355.",
    )
    .of("1.x, gone in 2.1-355"),
    ratio("loss_rate_upload", "jvb_upload_loss_ratio", "Loss of what is sent, counted as before 2.1-355.")
        .of("1.x, gone in 2.1-355"),
    ratio(
        "rtp_loss",
        "jvb_rtp_loss_ratio",
        "Sum of the losses in both directions, counted as before 2.1-355.",
    )
    .of("1.x, gone in 2.1-355"),
    gauge("videostreams", "jvb_videostreams", "Estimate of the video streams that flow; until 2.1-280.")
        .of("1.x, gone in 2.1-281"),
    gauge("muc_clients", "jvb_muc_clients", "XMPP clients; 2.1-139 and 2.1-140.")
        .of("2.1-139, gone in 2.1-141"),
    // 2.0
    ratio("cpu_usage", "jvb_host_cpu_usage_ratio", "Use of the host's processors; until 2.0-49.")
        .read_as(Read::Measured(Scale::One))
        .of("1.x, gone in 2.0-50"),
    gauge("total_memory", "jvb_host_memory_bytes", "Memory of the host; until 2.0-49.")
        .read_as(Read::Measured(Scale::One))
        .in_unit(Unit::Bytes, Scale::Mega)
        .of("1.x, gone in 2.0-50"),
    gauge("used_memory", "jvb_host_used_memory_bytes", "Memory of the host in use; until 2.0-49.")
        .read_as(Read::Measured(Scale::One))
        .in_unit(Unit::Bytes, Scale::Mega)
        .of("1.x, gone in 2.0-50"),
    // 1.x
    counter("total_conferences", "jvb_conferences_created_total", "").of("1.x of 2016"),
    gauge("audiochannels", "jvb_audiochannels", "Audio channels; 1.x.").of("1.x, gone in 2.0"),
    counter("total_channels", "jvb_channels_created_total", "Channels created; 1.x.").of("1.x, gone in 2.0"),
    counter(
        "total_no_payload_channels",
        "jvb_channels_without_payload_total",
        "Channels that never saw payload; 1.x.",
    )
    .of("1.x, gone in 2.0"),
    counter(
        "total_no_transport_channels",
        "jvb_channels_without_transport_total",
        "Channels whose transport never came up; 1.x.",
    )
    .of("1.x, gone in 2.0"),
    counter("total_tcp_connections", "jvb_tcp_connections_total", "ICE connections over TCP; 1.x.")
        .of("1.x, gone in 2.0"),
    counter("total_udp_connections", "jvb_udp_connections_total", "ICE connections over UDP; 1.x.")
        .of("1.x, gone in 2.0"),
];
