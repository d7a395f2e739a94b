//! Keys of older versions.

use crate::metric_row::Scale::{Mega, Milli, One};
use crate::metric_row::{MetricRow, Read, boolean, counter, gauge, ratio, rows, silent, sizes};
use crate::sample::Unit::{Bytes, Seconds};

pub(super) const ROWS: &[MetricRow] = rows! {
    // Until 2.3-94, in the statistics
    /// Whether the bridge speaks Colibri 2; from 2.1-609 to 2.3-94.
    boolean "colibri2" => "jvb_colibri2", of("2.1-609, gone in 2.3-95");
    /// Current conferences, by number of endpoints; from 2.3-95 on only of the native metrics. Without a sum while a conference is in the last
    /// bucket.
    sizes "conference_sizes" => "jvb_conference_size", native("conferences_by_size"), of("1.x, gone in 2.3-95");
    /// Current conferences, by number of local endpoints that send audio; from 2.3-95 on only of the native metrics.
    sizes "conferences_by_audio_senders" => "jvb_conference_audio_senders", native("conferences_by_audio_sender"),
        of("2.1-137, gone in 2.3-95");
    /// Current conferences, by number of local endpoints that send video; from 2.3-95 on only of the native metrics.
    sizes "conferences_by_video_senders" => "jvb_conference_video_senders", native("conferences_by_video_sender"),
        of("2.1-137, gone in 2.3-95");
    /// Mean jitter, unreliable; until 2.3-94.
    gauge "jitter_aggregate" => "jvb_jitter_seconds", in_unit(Seconds, Milli), of("1.x, gone in 2.3-95");
    /// Expirations of the incoming bitrate estimate; until 2.3-94.
    counter "total_aimd_bwe_expirations" => "jvb_aimd_bwe_expirations_total",
        native("incoming_bitrate_expirations_total"), of("2.1-516, gone in 2.3-95");
    counter "aimd_bwe_expirations" => "jvb_aimd_bwe_expirations_total", of("2.1-513, gone in 2.1-516");
    /// Conferences in which every endpoint failed; until 2.3-94.
    counter "total_failed_conferences" => "jvb_failed_conferences_total", native("failed_conferences_total"),
        of("1.x, gone in 2.3-95");
    /// Conferences in which an endpoint failed; until 2.3-94.
    counter "total_partially_failed_conferences" => "jvb_partially_failed_conferences_total",
        native("partially_failed_conferences_total"), of("1.x, gone in 2.3-95");
    /// Participants' time with loss under control; until 2.3-94.
    counter "total_loss_controlled_participant_seconds" => "jvb_loss_controlled_participant_seconds_total",
        in_unit(Seconds, One), of("1.x, gone in 2.3-95");
    /// Participants' time with quality degraded by loss; until 2.3-94.
    counter "total_loss_degraded_participant_seconds" => "jvb_loss_degraded_participant_seconds_total",
        in_unit(Seconds, One), of("1.x, gone in 2.3-95");
    /// Participants' time with bitrate limited by loss; until 2.3-94.
    counter "total_loss_limited_participant_seconds" => "jvb_loss_limited_participant_seconds_total",
        in_unit(Seconds, One), of("1.x, gone in 2.3-95");
    /// Local endpoints that accept video, in 1.x video channels; until 2.3-94.
    gauge "videochannels" => "jvb_videochannels", of("1.x, gone in 2.3-95");
    // Until 2.3-157
    /// ICE agents that succeeded over TCP; until 2.3-157.
    counter "total_ice_succeeded_tcp" => "jvb_ice_succeeded_tcp_total", native("ice_succeeded_tcp_total"),
        of("2.0, gone in 2.3-158");
    // Until 2.2-1
    /// Packets of relays dropped; until 2.2-1.
    counter "total_packets_dropped_octo" => "jvb_octo_packets_dropped_total", of("2.0, gone in 2.2-2");
    // 2.1
    /// Version of the protocol between relays; from 2.1-242 to 2.1-608.
    gauge "octo_version" => "jvb_octo_version", of("2.1-242, gone in 2.1-609");
    /// Packets discarded, by energy of their audio; from 2.1-607 on only of the native metrics.
    sizes "tossedPacketsEnergy" => "jvb_tossed_packets_energy", native("tossed_packets_energy"),
        of("2.1-522, gone in 2.1-607");
    /// Greatest energy of a packet discarded; from 2.1-522 to 2.1-606.
    gauge "tossedPacketsEnergy.max" => "jvb_tossed_packets_energy_max", of("2.1-522, gone in 2.1-607");
    /// Least energy of a packet discarded; from 2.1-522 to 2.1-606.
    gauge "tossedPacketsEnergy.min" => "jvb_tossed_packets_energy_min", of("2.1-522, gone in 2.1-607");
    /// Energies that were out of range; from 2.1-522 to 2.1-606.
    gauge "tossedPacketsEnergy.discarded" => "jvb_tossed_packets_energy_discarded", of("2.1-522, gone in 2.1-607");
    silent "tossedPacketsEnergy.average" => "", of("2.1-522, gone in 2.1-607");
    /// Loss of what is received, counted as before 2.1-355.
    ratio "loss_rate_download" => "jvb_download_loss_ratio", of("1.x, gone in 2.1-355");
    /// Loss of what is sent, counted as before 2.1-355.
    ratio "loss_rate_upload" => "jvb_upload_loss_ratio", of("1.x, gone in 2.1-355");
    /// Sum of the losses in both directions, counted as before 2.1-355.
    ratio "rtp_loss" => "jvb_rtp_loss_ratio", of("1.x, gone in 2.1-355");
    /// Estimate of the video streams that flow; until 2.1-280.
    gauge "videostreams" => "jvb_videostreams", of("1.x, gone in 2.1-281");
    /// XMPP clients; 2.1-139 and 2.1-140.
    gauge "muc_clients" => "jvb_muc_clients", of("2.1-139, gone in 2.1-141");
    // 2.0
    /// Use of the host's processors; until 2.0-49.
    ratio "cpu_usage" => "jvb_host_cpu_usage_ratio", read_as(Read::Measured(One)), of("1.x, gone in 2.0-50");
    /// Memory of the host; until 2.0-49.
    gauge "total_memory" => "jvb_host_memory_bytes", read_as(Read::Measured(One)), in_unit(Bytes, Mega),
        of("1.x, gone in 2.0-50");
    /// Memory of the host in use; until 2.0-49.
    gauge "used_memory" => "jvb_host_used_memory_bytes", read_as(Read::Measured(One)), in_unit(Bytes, Mega),
        of("1.x, gone in 2.0-50");
    // 1.x
    counter "total_conferences" => "jvb_conferences_created_total", of("1.x of 2016");
    /// Audio channels; 1.x.
    gauge "audiochannels" => "jvb_audiochannels", of("1.x, gone in 2.0");
    /// Channels created; 1.x.
    counter "total_channels" => "jvb_channels_created_total", of("1.x, gone in 2.0");
    /// Channels that never saw payload; 1.x.
    counter "total_no_payload_channels" => "jvb_channels_without_payload_total", of("1.x, gone in 2.0");
    /// Channels whose transport never came up; 1.x.
    counter "total_no_transport_channels" => "jvb_channels_without_transport_total", of("1.x, gone in 2.0");
    /// ICE connections over TCP; 1.x.
    counter "total_tcp_connections" => "jvb_tcp_connections_total", of("1.x, gone in 2.0");
    /// ICE connections over UDP; 1.x.
    counter "total_udp_connections" => "jvb_udp_connections_total", of("1.x, gone in 2.0");
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The native metrics of a bridge whose statistics have lost all keys of this file.
    const NATIVE: &str = include_str!("../../../tests/fixtures/native_jvb_2.3.312.txt");

    #[test]
    fn what_the_native_metrics_still_have_is_not_called_gone() {
        let still = |row: &&MetricRow| {
            row.native.as_ref().is_some_and(|native| NATIVE.contains(&format!("jitsi_jvb_{}_", native.name)))
        };
        let rows: Vec<&MetricRow> = ROWS.iter().filter(still).collect();
        assert_eq!(rows.len(), 4, "{:?}", rows.iter().map(|row| row.name).collect::<Vec<_>>());
        for row in rows {
            let families = super::super::table().families();
            let family = families.iter().find(|family| family.name == row.name).expect("a family");
            assert!(family.help.contains("only of the native metrics"), "{}: {}", row.name, family.help);
        }
    }
}
