//! Beside the AWS API: the admin API, the Jitsi simulator, the binary.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use aws_sdk_autoscaling::types::LifecycleState;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::put;
use axum::{Json, Router};
use jitsi_tests::asg_sim::{AsgSim, Config, GroupEntry, GroupKey, GroupSpec};
use jitsi_tests::jitsi_sim::{self, JitsiSim};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::{NAME, REGION, SOON, client, code, in_service, in_state, simulator, sized};

/// The calls to the stand-in for jitsi-sim, in order.
#[derive(Debug, Clone, Default)]
struct Heard {
    calls: Arc<Mutex<Vec<(String, String, Value)>>>,
    refusals: Arc<Mutex<u32>>,
}

impl Heard {
    fn all(&self) -> Vec<(String, String, Value)> {
        self.calls.lock().expect("no panic while it is held").clone()
    }

    /// Whether to refuse this call; otherwise records it.
    fn refuses(&self, method: &str, id: String, body: Value) -> bool {
        let mut refusals = self.refusals.lock().expect("no panic while it is held");
        if *refusals > 0 {
            *refusals -= 1;
            return true;
        }
        self.calls.lock().expect("no panic while it is held").push((method.into(), id, body));
        false
    }
}

async fn appear(
    State(heard): State<Heard>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if heard.refuses("PUT", id, body) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({})));
    }
    (StatusCode::CREATED, Json(json!({"private_ip": "127.83.0.7"})))
}

async fn vanish(State(heard): State<Heard>, Path(id): Path<String>) -> (StatusCode, Json<Value>) {
    if heard.refuses("DELETE", id, Value::Null) {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({})));
    }
    (StatusCode::OK, Json(json!({"cut_recordings": 1, "cut_conferences": 2, "cut_participants": 7})))
}

#[tokio::test]
async fn instances_appear_in_jitsi_sim_and_vanish_from_it_through_failures() {
    let heard = Heard { refusals: Arc::new(Mutex::new(2)), ..Heard::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let routes =
        Router::new().route("/sim/v1/instances/{id}", put(appear).delete(vanish)).with_state(heard.clone());
    let stand_in = tokio::spawn(async move { axum::serve(listener, routes).await });

    let spec = GroupSpec { boot_seconds: Some(2.5), ..sized(1) };
    let config = Config {
        jitsi_sim: Some(format!("http://{address}/").parse().expect("a url")),
        groups: vec![GroupEntry { key: GroupKey::new(REGION, NAME), spec }],
        ..Config::default()
    };
    let sim = AsgSim::start(config).await.expect("a free port");
    in_service(&sim, 1).await;
    let address_known = async || {
        sim.group(REGION, NAME)
            .is_some_and(|group| group.instances[0].private_ip.as_deref() == Some("127.83.0.7"))
    };
    wait_until(SOON, address_known).await.expect("the address is told, after two refusals");
    let (method, launched, body) = heard.all()[0].clone();
    assert_eq!(method, "PUT");
    assert_eq!(
        body,
        json!({
            "component": "jvb", "group": NAME, "region": REGION, "zone": "us-east-1a", "boot_seconds": 2.5,
        })
    );

    *heard.refusals.lock().expect("no panic while it is held") = 3;
    let client = client(&sim, REGION);
    client
        .terminate_instance_in_auto_scaling_group()
        .instance_id(&launched)
        .should_decrement_desired_capacity(false)
        .send()
        .await
        .expect("terminated");
    wait_until(SOON, async || sim.counters().cut_participants == 7).await.expect("the cuts are counted");
    let counters = sim.counters();
    assert_eq!((counters.cut_recordings, counters.cut_conferences), (1, 2));
    assert_eq!(counters.by_cause["api"].cut_conferences, 2);
    wait_until(SOON, async || heard.all().len() == 3).await.expect("the replacement is told");
    let calls = heard.all();
    assert_eq!((calls[1].0.as_str(), &calls[1].1), ("DELETE", &launched), "before its replacement appears");
    assert_eq!(calls[2].0, "PUT");
    sim.stop().await;
    stand_in.abort();
}

#[tokio::test]
async fn the_admin_api_does_what_the_library_does() {
    let sim = simulator().await;
    let http = reqwest::Client::new();
    let at = |path: &str| format!("{}/sim/v1/{path}", sim.url());
    let group = "regions/us-east-1/groups/prod-jvb";

    let bad = http.put(at(group)).json(&json!({"mim": 1})).send().await.expect("an answer");
    assert_eq!(bad.status(), 400);
    assert!(bad.text().await.expect("a text").contains("mim"));
    let spec = json!({
        "min": 1, "max": 3, "desired": 2,
        "zones": ["us-east-1a", "us-east-1b"], "tags": {"jitsi-fleet": "jvb"},
        "component": "jvb", "launch_seconds": 0.05, "boot_seconds": 0.1, "terminate_seconds": 0.05,
        "new_instances_protected": false,
        "hooks": [{"name": "drain", "transition": "terminating", "heartbeat_timeout": 60}],
    });
    let created = http.put(at(group)).json(&spec).send().await.expect("an answer");
    assert_eq!(created.status(), 200);
    in_service(&sim, 2).await;

    let groups: Value = http.get(at("groups")).send().await.expect("groups").json().await.expect("JSON");
    let first = groups[0]["instances"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(groups[0]["instances"][0]["state"], "InService");
    assert_eq!(groups[0]["tags"]["jitsi-fleet"]["value"], "jvb");

    for (path, body) in [
        (format!("{group}/instances/{first}/terminate"), json!({})),
        (format!("{group}/launch-failures"), json!({"times": 1, "message": "Your quota allows for 0 more."})),
        (format!("{group}/instance-refresh"), json!({"in_progress": true})),
        ("faults".to_owned(), json!({"action": "DescribeTags", "error": "Throttling", "times": 1})),
    ] {
        let answer = http.post(at(&path)).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), 204, "{path}");
    }
    let nothing = http.post(at("faults")).json(&json!({"times": 1})).send().await.expect("an answer");
    assert_eq!(nothing.status(), 400);
    let nobody = format!("{group}/instances/i-00000000000000000/terminate");
    assert_eq!(http.post(at(&nobody)).send().await.expect("an answer").status(), 404);

    let client = client(&sim, REGION);
    in_state(&client, &first, &LifecycleState::TerminatingWait).await;
    assert_eq!(code(client.describe_tags().send().await), "Throttling");
    let calls: Value = http.get(at("calls")).send().await.expect("calls").json().await.expect("JSON");
    let last = calls.as_array().and_then(|calls| calls.last()).expect("a call");
    assert_eq!((&last["action"], &last["outcome"]), (&json!("DescribeTags"), &json!("Throttling")));
    let writes: Value =
        http.get(at("calls?mutating=true")).send().await.expect("calls").json().await.expect("JSON");
    assert_eq!(writes, json!([]));
    let counters: Value =
        http.get(at("counters")).send().await.expect("counters").json().await.expect("JSON");
    assert_eq!(counters["terminated_by_aws"], 1);
    assert_eq!(counters["by_cause"]["aws"]["terminated"], 1);
    for path in ["calls", "faults", group] {
        assert_eq!(http.delete(at(path)).send().await.expect("an answer").status(), 204);
    }
    assert!(sim.calls(false).is_empty());
    wait_until(SOON, async || sim.groups().is_empty()).await.expect("the group goes");
}

#[tokio::test]
async fn what_an_instance_of_the_real_jitsi_sim_carries_is_counted_when_it_is_terminated() {
    let jitsi = JitsiSim::start(jitsi_sim::Config::compressed()).await.expect("a free port");
    let config = Config {
        jitsi_sim: Some(jitsi.control_url().parse().expect("a url")),
        groups: vec![GroupEntry {
            key: GroupKey::new(REGION, NAME),
            spec: GroupSpec { boot_seconds: Some(0.05), ..sized(2) },
        }],
        ..Config::default()
    };
    let sim = AsgSim::start(config).await.expect("a free port");
    in_service(&sim, 2).await;
    let ids: Vec<_> =
        sim.group(REGION, NAME).into_iter().flat_map(|group| group.instances).map(|one| one.id).collect();
    let placed = async || jitsi.place_conference(&ids[0], 3, 600.0).is_ok();
    wait_until(SOON, placed).await.expect("the bridge boots");

    let known =
        |id: &str| jitsi.targets(None).iter().any(|target| target.labels["__meta_ec2_instance_id"] == id);
    for (id, cut) in [(&ids[1], 0), (&ids[0], 3)] {
        assert!(known(id));
        sim.terminate_by_aws(REGION, NAME, id, false).expect("known");
        wait_until(SOON, async || !known(id)).await.expect("it vanishes");
        wait_until(SOON, async || sim.counters().cut_participants == cut).await.expect("counted");
    }
    assert_eq!(sim.counters().by_cause["aws"].cut_conferences, 1);
}

#[tokio::test]
async fn the_binary_says_where_it_listens_and_ends_on_sigterm() {
    let folder = tempfile::tempdir().expect("a folder");
    let groups = folder.path().join("groups.json");
    let list = json!([{"region": REGION, "name": NAME, "min": 1, "component": "jvb"}]);
    std::fs::write(&groups, list.to_string()).expect("written");
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_asg-sim"))
        .arg("--groups")
        .arg(&groups)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line =
        tokio::time::timeout(SOON, out.next_line()).await.expect("in time").expect("read").expect("a line");
    let url = line.strip_prefix("asg-sim listening on ").expect("the promised words").to_owned();
    let there: Value =
        reqwest::get(format!("{url}/sim/v1/groups")).await.expect("groups").json().await.expect("JSON");
    assert_eq!(there[0]["name"], NAME);

    let pid = child.id().expect("running").to_string();
    let killed =
        tokio::process::Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs");
    assert!(killed.success());
    let status = tokio::time::timeout(SOON, child.wait()).await.expect("it ends").expect("waited for");
    assert_eq!(status.code(), Some(0));
    assert_eq!(out.next_line().await.expect("read"), None, "one line and no more");
}
