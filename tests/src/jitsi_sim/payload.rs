//! The components' state as the JSON that the real ones answer with.
//!
//! JVB 2.3-312, Jicofo 1.0-1196 and Jibri 8.0, with every key of these versions. What is not simulated (loss,
//! relays, visitors, …) is 0 as on a bridge where it never happens; counters of messages, packets and frames
//! follow from people and bytes.

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{
    bridge::{Bridge, Shutdown},
    calls::Phase,
    focus::Jicofo,
    instance::{Component, Process},
    recorder::Recorder,
    world::{World, WorldError},
};

/// The version that bridges report.
pub const JVB_VERSION: &str = "2.3.312-ga29d97d1";
/// The version that Jicofos report.
pub const JICOFO_VERSION: &str = "1.0-1196";

/// What the instance answers when it is scraped, for a world without sockets. Faults of the HTTP interface are not
/// applied.
pub fn statistics(world: &World, id: &str) -> Result<Value, WorldError> {
    let instance = world.instance(id)?;
    if instance.process != Process::Running {
        return Err(WorldError::NotRunning(id.to_owned()));
    }
    Ok(match &instance.component {
        Component::Jvb(bridge) => colibri_stats(world, bridge, &instance.spec.region).into(),
        Component::Jicofo(jicofo) => jicofo_stats(world, jicofo),
        Component::Jibri(jibri) => jibri_health(world, jibri),
    })
}

/// The endpoints of a conference on a bridge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conference {
    pub(super) endpoints: u32,
    pub(super) audio_senders: u32,
    pub(super) video_senders: u32,
}

/// The conferences of a bridge: in each two speak, three in four show themselves, and the others only watch.
pub(super) fn conferences(bridge: &Bridge) -> Vec<Conference> {
    let conference = |endpoints: u32| Conference {
        endpoints,
        audio_senders: endpoints.min(2),
        video_senders: (endpoints * 3).div_ceil(4),
    };
    bridge.sizes().map(conference).collect()
}

/// `GET /colibri/stats` of a bridge.
#[must_use]
pub(super) fn colibri_stats(world: &World, bridge: &Bridge, region: &str) -> Map<String, Value> {
    let conferences = conferences(bridge);
    let local = bridge.local_endpoints();
    let empty = conferences.iter().filter(|it| it.endpoints == 0).count();
    let audio: u32 = conferences.iter().map(|it| it.audio_senders).sum();
    let video: u32 = conferences.iter().map(|it| it.video_senders).sum();
    let receive_only: u32 =
        conferences.iter().map(|it| it.endpoints - it.video_senders.max(it.audio_senders)).sum();

    let (received, sent) = (bridge.incoming().bytes(world.now()), bridge.outgoing().bytes(world.now()));
    let (download, upload) = (bridge.incoming().bits_per_second(), bridge.outgoing().bits_per_second());
    let totals = &bridge.totals;
    let shutting_down = bridge.shutdown == Shutdown::ShuttingDown;
    let timestamp = world.time_of_day().to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string();

    let mut stats = zeros();
    let values = [
        ("average_participant_stress", json!(world.settings.participant_stress())),
        ("bit_rate_download", json!(download / 1000)),
        ("bit_rate_upload", json!(upload / 1000)),
        ("conferences", json!(conferences.len())),
        ("current_timestamp", json!(timestamp)),
        ("drain", json!(bridge.drain)),
        ("endpoints", json!(local)),
        ("endpoints_sending_audio", json!(audio)),
        ("endpoints_sending_video", json!(video)),
        ("graceful_shutdown", json!(bridge.in_graceful_shutdown())),
        ("healthy", json!(bridge.healthy)),
        ("inactive_conferences", json!(empty)),
        ("incoming_loss", json!(0.0)),
        ("largest_conference", json!(conferences.iter().map(|it| it.endpoints).max().unwrap_or(0))),
        ("local_active_endpoints", json!(local)),
        ("local_endpoints", json!(local)),
        ("muc_clients_configured", json!(1)),
        ("muc_clients_connected", json!(1)),
        ("mucs_configured", json!(1)),
        ("mucs_joined", json!(1)),
        ("outgoing_loss", json!(0.0)),
        ("overall_loss", json!(0.0)),
        ("packet_rate_download", json!(download / 8 / BYTES_PER_PACKET)),
        ("packet_rate_upload", json!(upload / 8 / BYTES_PER_PACKET)),
        ("participants", json!(local)),
        ("receive_only_endpoints", json!(receive_only)),
        ("region", json!(region)),
        ("rtt_aggregate", json!(if local == 0 { 0.0 } else { 42.5 })),
        ("shutting_down", json!(shutting_down)),
        ("stress_level", json!(bridge.stress(&world.settings))),
        ("threads", json!(41 + u64::from(local))),
        ("total_bytes_received", json!(received)),
        ("total_bytes_sent", json!(sent)),
        ("total_colibri_web_socket_messages_received", json!(totals.participants * 12)),
        ("total_colibri_web_socket_messages_sent", json!(totals.participants * 18)),
        ("total_conference_seconds", json!(totals.conference_time.as_secs())),
        ("total_conferences_completed", json!(totals.conferences_completed)),
        ("total_conferences_created", json!(totals.conferences_created)),
        ("total_dominant_speaker_changes", json!(totals.participants * 3)),
        ("total_ice_succeeded", json!(totals.participants)),
        ("total_keyframes_received", json!(totals.participants_left * 4)),
        ("total_layering_changes_received", json!(totals.participants_left * 2)),
        ("total_packets_received", json!(received / BYTES_PER_PACKET)),
        ("total_packets_sent", json!(sent / BYTES_PER_PACKET)),
        ("total_participants", json!(totals.participants)),
        ("total_video_stream_milliseconds_received", json!(totals.participants_left * 9000)),
        ("version", json!(JVB_VERSION)),
    ];
    stats.extend(values.map(|(key, value)| (key.to_owned(), value)));
    stats
}

/// When the process of a bridge came up, in Unix milliseconds.
pub(super) fn startup_millis(world: &World, bridge: &Bridge) -> i64 {
    let age = world.now().saturating_sub(bridge.up_since);
    world.time_of_day().checked_sub(age).unwrap_or_default().as_millisecond()
}

const BYTES_PER_PACKET: u64 = 950;

/// The keys that stay at 0 here.
fn zeros() -> Map<String, Value> {
    const KEYS: [&str; 34] = [
        "dtls_failed_endpoints",
        "dtls_failed_relays",
        "endpoints_disconnected",
        "endpoints_ice_failed",
        "endpoints_reconnected",
        "endpoints_with_high_outgoing_loss",
        "endpoints_with_spurious_remb",
        "endpoints_with_suspended_sources",
        "inactive_endpoints",
        "num_eps_no_msg_transport_after_delay",
        "num_eps_oversending",
        "num_relays_no_msg_transport_after_delay",
        "octo_conferences",
        "octo_endpoints",
        "octo_receive_bitrate",
        "octo_receive_packet_rate",
        "octo_send_bitrate",
        "octo_send_packet_rate",
        "p2p_conferences",
        "preemptive_kfr_sent",
        "preemptive_kfr_suppressed",
        "relays_ice_failed",
        "tcc_unmatched_feedback",
        "total_bytes_received_octo",
        "total_bytes_sent_octo",
        "total_data_channel_messages_received",
        "total_data_channel_messages_sent",
        "total_ice_failed",
        "total_ice_succeeded_relayed",
        "total_packets_received_octo",
        "total_packets_sent_octo",
        "total_relays",
        "total_visitors",
        "visitors",
    ];
    KEYS.into_iter().map(|key| (key.to_owned(), json!(0))).collect()
}

/// `GET /stats` of a Jicofo.
#[must_use]
pub(super) fn jicofo_stats(world: &World, jicofo: &Jicofo) -> Value {
    let sizes: Vec<u32> = jicofo.conferences.values().copied().collect();
    let participants: u32 = sizes.iter().sum();
    let bridges = world.focus.bridge_counts();
    let health = jicofo_health(world, jicofo);
    let created = jicofo.total_conferences_created;
    json!({
        "bridge_failures": {
            "bridges_removed": 0,
            "participants_moved": jicofo.participants_moved,
        },
        "bridge_selector": {
            "bridge_count": bridges.known,
            "bridge_version_count": usize::from(bridges.known > 0),
            "in_shutdown_bridge_count": bridges.in_shutdown,
            "lost_bridges": world.focus.lost_bridges,
            "operational_bridge_count": bridges.operational,
        },
        "conference_sizes": buckets(&sizes),
        "conferences": sizes.len(),
        "conferences_with_visitors": 0,
        "endpoint_pairs": sizes.iter().map(|size| size * size).sum::<u32>(),
        "health": {
            // A default, which says something only of a failed check.
            "hardFailure": true,
            "message": health.as_ref().err(),
            "responseCode": null,
            "sticky": false,
            "success": health.is_ok(),
        },
        "healthy": health.is_ok(),
        "jibri": {
            "live_streaming_active": 0,
            "recording_active": jicofo.recordings.len(),
            "sip_call_active": 0,
            "total_live_streaming_failures": 0,
            "total_recording_failures": jicofo.recording_failures,
            "total_sip_call_failures": 0,
        },
        "jibri_detector": {
            "available": world.focus.available_jibris().count(),
            "count": world.focus.jibri_count(),
        },
        "jigasi": {},
        "jingle": {
            "received": { "SESSION_ACCEPT": jicofo.total_participants },
            "sent": { "SESSION_INITIATE": jicofo.total_participants },
        },
        "largest_conference": sizes.iter().max().unwrap_or(&0),
        "participant_notifications": { "ice_failed": 0, "request_restart": 0 },
        "participants": participants,
        "queues": {},
        "sip_jibri_detector": { "available": 0, "count": 0 },
        "slow_health_check": 0,
        "threads": 34,
        "total_conferences_created": created,
        "total_participants": jicofo.total_participants,
        "version": JICOFO_VERSION,
        "visitors": 0,
    })
}

/// Jicofo's own verdict: the message if it is unhealthy.
pub(super) fn jicofo_health(world: &World, jicofo: &Jicofo) -> Result<(), String> {
    let bridges = world.focus.bridge_counts();
    if jicofo.unhealthy {
        Err("Internal health check failed".to_owned())
    } else if bridges.serving == 0 {
        Err(format!("No operational bridges available (total bridge count: {})", bridges.known))
    } else {
        Ok(())
    }
}

/// Jitsi's `BucketStats`: half-open buckets that are not cumulative. The average of nothing is the text "NaN".
fn buckets(sizes: &[u32]) -> Value {
    const BOUNDS: [u32; 13] = [0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 300, 400, 500];
    let mut buckets = Map::new();
    for (index, from) in BOUNDS.iter().enumerate() {
        let to = BOUNDS.get(index + 1);
        let inside = sizes.iter().filter(|size| *size >= from && to.is_none_or(|to| *size < to)).count();
        let name = to.map_or_else(|| format!("{from}_to_max"), |to| format!("{from}_to_{to}"));
        buckets.insert(name, json!(inside));
    }
    // -1: too little data for a percentile.
    buckets.insert("p99_upper_bound".to_owned(), json!(-1));
    buckets.insert("p999_upper_bound".to_owned(), json!(-1));
    let total: u32 = sizes.iter().sum();
    json!({
        "average": if sizes.is_empty() { json!("NaN") } else { json!(f64::from(total) / sizes.len() as f64) },
        "buckets": buckets,
        "discarded": 0,
        "max": sizes.iter().max().unwrap_or(&0),
        "min": sizes.iter().min().unwrap_or(&0),
        "total_count": sizes.len(),
        "total_value": total,
    })
}

/// `GET /jibri/api/v1.0/health` of a Jibri.
#[must_use]
pub(super) fn jibri_health(world: &World, jibri: &Recorder) -> Value {
    let (verdict, details) = if jibri.healthy {
        ("HEALTHY", json!({}))
    } else {
        ("UNHEALTHY", json!({"JibriManager": {"healthStatus": "UNHEALTHY", "detail": ""}}))
    };
    let mut health = json!({
        "status": {
            "busyStatus": if jibri.is_idle() { "IDLE" } else { "BUSY" },
            "health": {"healthStatus": verdict, "details": details},
        },
    });
    let session = jibri.session.and_then(|id| world.recordings.get(&id));
    if session.is_some_and(|recording| recording.over_xmpp) {
        health["environmentContext"] = json!({"name": "sim"});
    }
    health
}

/// The state of a Jibri in one word, for the status of the simulation.
pub(super) fn jibri_state(world: &World, jibri: &Recorder) -> &'static str {
    match jibri.session.and_then(|id| world.recordings.get(&id)).map(|recording| recording.phase) {
        None => "idle",
        Some(Phase::Running) => "recording",
        Some(Phase::Uploading) => "uploading",
    }
}
