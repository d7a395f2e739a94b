//! Operations of operators and alerts: the API and its description, pauses, the webhook of real Alertmanager.

use std::fmt::Display;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::Component;
use jitsi_tests::harness::{Alertmanager, query};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::{GROUP, Scene, WANTING, group};

/// As [`WANTING`], with a distant next grid point.
fn slow() -> String {
    WANTING.replace("period: 1s", "period: 24h")
}

fn client() -> Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// Compares answers with the description that the scaler serves, which must name every field.
pub(crate) struct Description(Value);

impl Description {
    /// The description that `scaler` serves: its address, behind a user and a password where it has users.
    pub(crate) async fn fetch(scaler: impl Display) -> Result<Self> {
        let url = format!("http://{scaler}/api/v1/openapi.yml");
        let text = client()?.get(url).send().await?.error_for_status()?.text().await?;
        let mut description: Value = serde_saphyr::from_str(&text)?;
        close(&mut description);
        Ok(Self(description))
    }

    pub(crate) fn hold(&self, schema: &str, answer: &Value) -> Result<()> {
        self.holds(json!({"$ref": format!("#/components/schemas/{schema}")}), answer)
            .context(schema.to_owned())
    }

    /// Compares an answer of the POST request `path`: its status, the kind of its body, and the body if it is JSON.
    pub(crate) async fn hold_answer(&self, path: &str, answer: reqwest::Response) -> Result<String> {
        let status = answer.status().as_u16().to_string();
        let kind = answer.headers().get("content-type").map_or(Ok(""), |kind| kind.to_str())?;
        let kind = kind.split(';').next().unwrap_or_default().to_owned();
        let body = answer.text().await?;
        let described = &self.0["paths"][path]["post"]["responses"][&status];
        anyhow::ensure!(described.is_object(), "{path} does not describe {status}: {body}");
        let content = described.get("content").and_then(Value::as_object);
        let schema = content.and_then(|content| content.get(&kind));
        anyhow::ensure!(schema.is_some() || body.is_empty(), "{path} {status} is not {kind}: {body}");
        if let Some(schema) = schema.and_then(|it| it.get("schema")) {
            self.holds(schema.clone(), &serde_json::from_str(&body)?).context(format!("{path} {status}"))?;
        }
        Ok(body)
    }

    fn holds(&self, mut root: Value, answer: &Value) -> Result<()> {
        root["components"] = self.0["components"].clone();
        let validator = jsonschema::validator_for(&root).context("a schema")?;
        let mistakes: Vec<String> =
            validator.iter_errors(answer).map(|it| format!("{}: {it}", it.instance_path)).collect();
        anyhow::ensure!(mistakes.is_empty(), "{mistakes:#?} in {answer:#}");
        Ok(())
    }
}

/// Clients accept unknown fields; here the description must have every field.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.values_mut().for_each(close);
            if fields.get("type") == Some(&json!("object")) && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

async fn get(scene: &Scene, path: &str) -> Result<Value> {
    let url = format!("http://{}{path}", scene.stage.scaler.address);
    Ok(client()?.get(url).send().await?.error_for_status()?.json().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_they_are_described() -> Result<()> {
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 9))], WANTING).await?;
    scene.until_logged("effect=mark_scaled").await;
    scene.evaluations(2).await;
    let description = Description::fetch(scene.stage.scaler.address).await?;

    let status = get(&scene, "/api/v1/status").await?;
    description.hold("Status", &status)?;
    assert_eq!(status["groups"][0]["asg"], GROUP);
    assert!(
        description
            .hold("Status", &json!({"time": null, "groups": [], "problems": [], "leader": null, "new": 1}))
            .is_err()
    );

    let decisions = get(&scene, "/api/v1/decisions?asg=prod&limit=50").await?;
    description.hold("Decisions", &decisions)?;
    let kept = decisions["groups"][0]["decisions"].as_array().context("decisions")?;
    let scaled = kept.iter().filter(|it| it["action"] == "scale_out").count();
    assert_eq!(scaled, 1, "{decisions:#}");
    let limited = get(&scene, "/api/v1/decisions?limit=1").await?;
    assert_eq!(limited["groups"][0]["decisions"].as_array().map(Vec::len), Some(1));
    assert_eq!(get(&scene, "/api/v1/decisions?fleet=other").await?, json!({"groups": []}));

    // Without a password any client could pause.
    let url = format!("http://{}/api/v1/fleets/wanting/{GROUP}/pause", scene.stage.scaler.address);
    let refused = client()?.post(url).json(&json!({"reason": "a", "for": "1h"})).send().await?;
    assert_eq!(refused.status(), 403);
    let refused: Value = refused.json().await?;
    description.hold("Refusal", &refused)?;
    assert!(refused["error"].as_str().is_some_and(|text| text.contains("basic_auth_users")), "{refused}");

    let page = format!("http://{}/", scene.stage.scaler.address);
    let page = client()?.get(page).send().await?;
    assert!(page.headers()["content-security-policy"].to_str()?.contains("default-src 'none'"));
    assert!(page.text().await?.contains("fleets/wanting/prod?region=us-east-1"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_group_is_left_alone_until_it_is_resumed() -> Result<()> {
    // It wants one more every two seconds.
    let greedy = WANTING.replace("periods: 2", "periods: 1").replace("cooldown: 5m", "cooldown: 1s");
    let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 60))], &greedy).await?;
    let log = scene.stage.folder.join("decisions.jsonl");
    scene.guard(&["operator"], &["--decision-log", &log.display().to_string()]).await?;
    scene.until_logged("effect=set_desired").await;

    let at =
        |verb: &str| format!("http://{}/api/v1/fleets/wanting/{GROUP}/{verb}", scene.stage.scaler.address);
    let client = client()?;
    let asked = json!({"reason": "new image", "for": "1h"});
    let stranger = client.post(at("pause")).json(&asked).send().await?;
    assert_eq!(stranger.status(), 401);
    let form = client
        .post(at("pause"))
        .basic_auth("operator", Some("secret"))
        .body("reason=a&for=1h")
        .send()
        .await?;
    assert_eq!(form.status(), 415, "a page of another site must not be able to");
    let paused = client.post(at("pause")).basic_auth("operator", Some("secret")).json(&asked).send().await?;
    assert_eq!(paused.status(), 200, "{}", paused.text().await?);
    let tags = scene.group(GROUP)?.tags;
    let tag = tags.get("jitsi-scaler/paused").context("a tag")?;
    assert!(format!("{tag:?}").contains("Z by operator: new image"), "{tag:?}");

    let (desired, calls) = (scene.desired(GROUP), scene.applied("SetDesiredCapacity").len());
    let wishes = || scene.log().matches("action=scale_out").count();
    let before = wishes();
    scene.until("it goes on wishing", async || wishes() > before + 3).await;
    assert_eq!((scene.desired(GROUP), scene.applied("SetDesiredCapacity").len()), (desired, calls));

    let resumed =
        client.post(at("resume")).basic_auth("operator", Some("secret")).json(&json!({})).send().await?;
    assert_eq!(resumed.status(), 200, "{}", resumed.text().await?);
    scene.until("it does what it wished", async || scene.desired(GROUP) > desired).await;
    let lines = std::fs::read_to_string(&log)?;
    let records: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let would: Vec<_> = records.iter().filter(|it| it["paused"]["reason"] == "new image").collect();
    assert!((1..4).contains(&would.len()), "what it would do, once for all the times: {lines}");
    assert!(would.iter().any(|it| it["action"] == "scale_out"), "{lines}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_evaluation_alerts_are_to_come_again() -> Result<()> {
    // Prometheus does not answer, so the first evaluation lasts.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", silent.local_addr()?);
    let text = slow().replace("{prometheus}", &address).replace("timeout: 2s", "timeout: 10m");
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 9))], &text).await?;
    let url = format!("http://{}/api/v1/alertmanager", scene.stage.scaler.address);
    let alert = json!({"status": "firing", "labels": {"asg": GROUP}, "startsAt": "2026-11-20T07:00:00Z"});
    let early = client()?.post(&url).json(&json!({"version": "4", "alerts": [alert]})).send().await?;
    assert_eq!(early.status(), 503);
    let invalid = client()?.post(&url).body("{").send().await?;
    assert_eq!(invalid.status(), 200, "a 4xx would come again");
    assert!((scene.metric("jitsi_scaler_webhooks_total", &["outcome=\"busy\""]).await - 1.0).abs() < 0.1);
    assert!((scene.metric("jitsi_scaler_webhooks_total", &["outcome=\"invalid\""]).await - 1.0).abs() < 0.1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alertmanager_sends_is_followed_within_a_second() -> Result<()> {
    // Ten seconds are long enough to distinguish a wake from the grid.
    let scaler = WANTING.replace("period: 1s", "period: 10s").replace("periods: 2", "periods: 1");
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 9))], &scaler).await?;
    scene.evaluations(1).await;
    let config = format!(
        "route: {{receiver: scaler, group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}\n\
         receivers: [{{name: scaler, webhook_configs: [{{url: \"http://{}/api/v1/alertmanager\"}}]}}]\n",
        scene.stage.scaler.address
    );
    let alertmanager = Alertmanager::start(&scene.stage.folder, &config).await?;
    // Right after a grid point, so that the next one is distant.
    scene.evaluations(1).await;
    let evaluated = scene.metric("jitsi_scaler_evaluation_duration_seconds_count", &[]).await;
    let alerts = json!([{"labels": {"alertname": "Full", "asg": GROUP}}]);
    let sent = Instant::now();
    let answer = client()?.post(format!("{}/api/v2/alerts", alertmanager.url)).json(&alerts).send().await?;
    assert!(answer.status().is_success());
    let wakes = ["trigger=\"webhook\""];
    scene
        .until("the group is woken", async || scene.metric("jitsi_scaler_wakes_total", &wakes).await > 0.5)
        .await;
    let took = sent.elapsed();
    assert!(took < Duration::from_secs(2), "Alertmanager and the wake took {took:?}");
    let now = scene.metric("jitsi_scaler_evaluation_duration_seconds_count", &[]).await;
    assert!((now - evaluated).abs() < 0.1, "it was the wake and not the grid");
    // The first evaluation of the point added one instance; a second evaluation must not add another.
    scene.evaluations(1).await;
    assert_eq!(scene.applied("SetDesiredCapacity").len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_has_data_acted_on_that_came_too_late_for_the_grid() -> Result<()> {
    // Long enough for all of this to happen between two grid points.
    let scaler = WANTING
        .replace("expr: vector(1)", "expr: sum by (asg) (jvb_participants)")
        .replace("period: 1s", "period: 20s")
        .replace("when: \">= 1\", periods: 2", "when: \">= 10\", periods: 1");
    let mut scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 9))], &scaler).await?;
    let bridge = scene.serving(GROUP, 1).await?.pop().context("a bridge")?;
    scene.evaluations(1).await;
    scene.stage.jitsi.place_conference(&bridge, 30, 600.0)?;
    scene
        .until("Prometheus knows of the people", async || {
            let busy = query(&scene.stage.prometheus.url, "jvb_participants > 10", "instance_id").await;
            busy.is_ok_and(|busy| busy.len() == 1)
        })
        .await;
    scene.stage.stop_prometheus().await?;
    scene.evaluations(1).await;
    assert!(scene.is_blocked("unknown").await, "the point of the grid had no data");
    assert!(scene.applied("SetDesiredCapacity").is_empty());

    let evaluated = scene.metric("jitsi_scaler_evaluation_duration_seconds_count", &[]).await;
    scene.stage.start_prometheus().await?;
    let alert = json!({"status": "firing", "labels": {"alertname": "Full", "asg": GROUP},
                       "startsAt": "2026-11-20T07:00:00Z"});
    let url = format!("http://{}/api/v1/alertmanager", scene.stage.scaler.address);
    let heard = client()?.post(url).json(&json!({"version": "4", "alerts": [alert]})).send().await?;
    assert_eq!(heard.json::<Value>().await?["outcome"], "woken");
    scene.until("it acts", async || !scene.applied("SetDesiredCapacity").is_empty()).await;
    let now = scene.metric("jitsi_scaler_evaluation_duration_seconds_count", &[]).await;
    assert!((now - evaluated).abs() < 0.1, "it was the alert and not the grid");
    assert_eq!(scene.desired(GROUP), 2);
    Ok(())
}
