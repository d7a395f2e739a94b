//! The command line and the routes.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::Component;
use jitsi_tests::harness::{Process, Scaler, ScalerEnvironment};
use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{GROUP, REGION, Scene, WANTING, bridges, field, group};

/// How long an operator waits patiently.
const PROMPT: Duration = Duration::from_secs(5);

const WRONG: &str = r#"prometheus: {url: "localhost:9090"}
fleets:
  - name: jvb
    component: bridge
    asg: {names: [prod]}
    polices: []
"#;

fn file(text: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("scaler.yml");
    std::fs::write(&path, text.replace("{prometheus}", "http://127.0.0.1:9090"))?;
    Ok((folder, path))
}

/// Runs a command that must need no other program.
async fn alone(arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let nobody = ScalerEnvironment { aws: "http://127.0.0.1:9".to_owned() };
    let Output { status, stdout, stderr } = Scaler::output(arguments, &nobody).await?;
    Ok((status.code(), String::from_utf8(stdout)?, String::from_utf8(stderr)?))
}

#[tokio::test]
async fn check_says_yes_to_a_good_file() -> Result<()> {
    let (_folder, path) = file(WANTING)?;
    let (code, stdout, stderr) = alone(&["check", "--config.file", path.to_str().context("a path")?]).await?;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert_eq!(
        stdout,
        "the configuration is valid: 1 fleet\n\
         wanting (jvb): the groups prod in us-east-1\n  \
         constant, scale-out: add 1 when >= 1 in 2 of 2 periods of 1 s, cooldown 300 s\n"
    );
    Ok(())
}

#[tokio::test]
async fn check_and_run_tell_every_mistake_with_its_line() -> Result<()> {
    let (_folder, path) = file(WRONG)?;
    let path = path.to_str().context("a path")?;
    let run = ["run", "--web.listen-address", "127.0.0.1:0", "--config.file", path];
    for arguments in [&["check", "--config.file", path], run.as_slice()] {
        let (code, stdout, stderr) = alone(arguments).await?;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(
            lines[0].starts_with("jitsi-scaler: failed to") && lines[0].ends_with("has 3 mistakes:"),
            "{stderr}"
        );
        let expected = [
            "  line 1: prometheus.url: must be an address that begins with http:// or https://",
            "  line 4: fleets[0].component: must be jvb or jibri",
            "  line 6: fleets[0]: there is no key `polices` here; did you mean `policies`?",
        ];
        for start in expected {
            assert!(lines.iter().any(|line| line.starts_with(start)), "{start} in\n{stderr}");
        }
        assert_eq!(lines.len(), 4, "a line for each mistake, and it has not listened:\n{stderr}");
    }
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_run_is_a_mistake_of_usage() -> Result<()> {
    let (_folder, path) = file(WANTING)?;
    let path = path.to_str().context("a path")?;
    let cases: [(&[&str], &str); 7] = [
        (&["check", "--config.file", "/nonexistent.yml"], "name an existing file with --config.file"),
        (&["run", "--config.file", "/nonexistent.yml"], "name an existing file with --config.file"),
        (&["check", "--config.file", path, "--onlin"], "--onlin"),
        (&["plan", "--config.file", path, "--output", "xml"], "xml"),
        (&["scale"], "scale"),
        (
            &["status", "--server=http://alice:good@127.0.0.1:1"],
            "give --username and --password-file instead",
        ),
        (&["pause", "jvb", "--for=2", "--reason=a"], "write a duration such as 2h, of 30d at most"),
    ];
    for (arguments, told) in cases {
        let (code, stdout, stderr) = alone(arguments).await?;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(told), "{arguments:?}: {stderr}");
    }
    Ok(())
}

/// One fleet that wants to scale in and one that wants to scale out, under a scaler with `--dry-run`, which the
/// configuration does not set.
async fn looking_on() -> Result<(Scene, PathBuf, [String; 2])> {
    let wanting = WANTING.split_once("fleets:\n").context("fleets")?.1.replace("[prod]", "[second]");
    let scaler = format!("{}{wanting}", bridges::SCALER);
    let dry = scaler.replace("    component: jvb\n", "    component: jvb\n    dry_run: true\n");
    let groups = [(GROUP, group(Component::Jvb, 1, 2, 6)), ("second", group(Component::Jvb, 1, 1, 6))];
    let scene = Scene::start(&groups, &dry).await?;
    let bridges = scene.serving(GROUP, 2).await?.try_into().ok().context("two bridges")?;
    scene.until_logged("action=scale_in").await;
    let path = scene.stage.folder.join("sharp.yml");
    std::fs::write(&path, scaler.replace("{prometheus}", &scene.stage.prometheus.url))?;
    Ok((scene, path, bridges))
}

fn assert_only_looked(scene: &Scene, bridges: &[String; 2]) {
    assert!(scene.stage.asg.calls(true).is_empty(), "no call that changes anything");
    for bridge in bridges {
        assert_eq!(scene.state(bridge), "running", "no bridge is asked for anything");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_would_be_done_and_does_nothing() -> Result<()> {
    let (scene, path, bridges) = looking_on().await?;
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let path = path.to_str().context("a path")?;
    let plan = async |form| {
        let output = Scaler::output(&["plan", "--config.file", path, "--output", form], &environment).await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let json: Value = serde_json::from_str(&plan("json").await?)?;
    let text = plan("text").await?;
    assert_only_looked(&scene, &bridges);

    assert!(json["time"].as_str().context("a time")?.parse::<jiff::Timestamp>().is_ok());
    let [in_, out] = json["groups"].as_array().context("groups")?.as_slice() else {
        panic!("two groups: {json:#}")
    };
    for (group, fleet, asg, policy) in [(in_, "jvb", GROUP, "stress"), (out, "wanting", "second", "constant")]
    {
        assert_shape(group, fleet, asg, policy)?;
    }
    assert_eq!((&in_["action"], &out["action"]), (&"scale_in".into(), &"scale_out".into()), "{json:#}");
    assert_eq!((&in_["desired"], &out["desired"]), (&1.into(), &2.into()));
    assert_eq!((&in_["wishes"]["stress"], &out["wishes"]["constant"]), (&1.into(), &2.into()));
    assert_eq!(in_["alarms"]["stress"], serde_json::json!({"scale_out": "ok", "scale_in": "alarm"}));
    assert_eq!(out["alarms"]["constant"], serde_json::json!({"scale_out": "alarm"}));
    let effects: Vec<&str> = in_["effects"]
        .as_array()
        .context("effects")?
        .iter()
        .filter_map(|effect| effect["effect"].as_str())
        .collect();
    assert_eq!(effects, ["mark_scaled", "mark_drain", "start_drain"]);

    for told in [
        "jvb / prod in us-east-1\n  scale in from 2 to 1: stress calls for a scale-in (<= 0.2 in 2 of 2 periods)\n",
        "  capacity: desired 2, ready 2, warming 0, draining 0, bounds 1 to 6\n",
        "  stress: scale-out ok, scale-in alarm, wants 1; datapoints, oldest first, _ is missing: ",
        "  would: ask i-",
        "wanting / second in us-east-1\n  scale out from 1 to 2: constant calls for a scale-out (>= 1 in 2 of 2 periods)\n",
        "  constant: scale-out alarm, scale-in -, wants 2; datapoints, oldest first, _ is missing: 1 1 1 1\n",
        "  would: set desired capacity from 1 to 2\n",
    ] {
        assert!(text.contains(told), "{told:?} is not in\n{text}");
    }
    Ok(())
}

/// The second fleet has a Prometheus of its own, which is down.
#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_whose_prometheus_is_down_leaves_the_others_alone() -> Result<()> {
    let (scene, path, bridges) = looking_on().await?;
    let own = "wanting\n    prometheus: {url: 'http://127.0.0.1:9'}";
    std::fs::write(&path, std::fs::read_to_string(&path)?.replacen("wanting", own, 1))?;
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let path = path.to_str().context("a path")?;
    let said = async |arguments: &[&str]| {
        let output = Scaler::output(&[arguments, &["--config.file", path]].concat(), &environment).await?;
        let text = String::from_utf8(output.stdout)?;
        Ok::<_, anyhow::Error>((output.status.code(), text))
    };

    let (code, plan) = said(&["plan", "--output", "json"]).await?;
    assert_eq!(code, Some(1), "{plan}");
    let plan: Value = serde_json::from_str(&plan)?;
    assert_eq!(plan["groups"][0]["action"], "scale_in", "{plan:#}");
    assert_eq!(plan["groups"][1]["action"], "hold", "{plan:#}");
    assert_eq!(plan["groups"][1]["alarms"]["constant"]["scale_out"], "unknown", "{plan:#}");

    let (code, check) = said(&["check", "--online", "--output", "json"]).await?;
    assert_eq!(code, Some(1), "{check}");
    let check: Value = serde_json::from_str(&check)?;
    let errors = check["findings"].as_array().context("findings")?.iter();
    let errors: Vec<_> = errors.filter(|finding| finding["severity"] == "error").collect();
    let [error] = errors.as_slice() else { panic!("one error: {check:#}") };
    assert_eq!((&error["check"], &error["fleet"]), (&"query".into(), &"wanting".into()), "{error:#}");
    assert!(error["text"].as_str().is_some_and(|text| text.contains("http://127.0.0.1:9")), "{error:#}");
    assert_only_looked(&scene, &bridges);
    Ok(())
}

/// The fields that other programs read exist under their names.
fn assert_shape(group: &Value, fleet: &str, asg: &str, policy: &str) -> Result<()> {
    assert_eq!(
        (&group["fleet"], &group["asg"], &group["region"]),
        (&fleet.into(), &asg.into(), &REGION.into()),
        "{group:#}"
    );
    for count in ["desired", "ready", "warming", "draining", "min", "max"] {
        assert!(group["current"][count].is_u64(), "current.{count} in {group:#}");
    }
    let window = group["windows"][policy].as_array().context("a window")?;
    assert_eq!(window.len(), 4);
    for point in window {
        let time = point["time"].as_str().context("a time")?;
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
        assert!(point["value"].is_number() || point["value"].is_null(), "{point}");
    }
    assert!(
        group["blocked"].is_array() && group["effects"].is_array() && group["text"].is_string(),
        "{group:#}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_decides_and_changes_nothing() -> Result<()> {
    let (scene, path, bridges) = looking_on().await?;
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let path = path.to_str().context("a path")?;
    // At info level only a decision that differs from the previous one has a line.
    let flags = ["run", "--dry-run", "--web.listen-address", "127.0.0.1:0", "--log.level", "debug"];
    let flags = [flags.as_slice(), &["--config.file", path]].concat();
    let mut dry = Scaler::command("dry", &scene.stage.folder, &flags, &environment)?;
    let both = |log: &str| {
        let mut decided = [0, 0];
        for line in log.lines() {
            decided[0] += u32::from(line.contains("action=scale_in"));
            decided[1] += u32::from(line.contains("action=scale_out"));
        }
        decided.iter().all(|&count| count >= 3)
    };
    dry.wait_for(async |log| both(log).then_some(())).await?;
    assert_only_looked(&scene, &bridges);
    let log = dry.output();
    let effects: Vec<&str> = log.lines().filter(|line| field(line, "effect").is_some()).collect();
    assert!(effects.iter().all(|line| line.contains("dry_run=true")), "{effects:#?}");
    for effect in ["set_desired", "start_drain"] {
        assert!(effects.iter().any(|line| field(line, "effect") == Some(effect)), "{effects:#?}");
    }
    dry.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_what_is_right_and_loses_nothing() -> Result<()> {
    let quiet = WANTING.replace("\">= 1\"", "\">= 2\"");
    let scene = Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 6))], &quiet).await?;
    scene.evaluations(2).await;
    let file = scene.stage.folder.join("scaler.yml");
    let written = std::fs::read_to_string(&file)?;
    let reload = async || {
        let url = format!("http://{}/-/reload", scene.stage.scaler.address);
        let answer = reqwest::Client::new().post(url).send().await?;
        anyhow::Ok((answer.status(), answer.text().await?))
    };

    std::fs::write(&file, written.replace("component: jvb", "component: bridge"))?;
    let (status, text) = reload().await?;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("must be jvb or jibri, not \"bridge\""), "{text}");
    let refused = scene.metric("jitsi_scaler_config_last_reload_successful", &[]).await;
    assert!(refused.abs() < 0.5, "{refused}");
    scene.evaluations(2).await;
    assert_eq!(scene.desired(GROUP), 1, "the old configuration stays in force");

    std::fs::write(&file, written.replace("\">= 2\"", "\">= 1\""))?;
    assert_eq!(reload().await?.0, StatusCode::OK);
    scene.until("the new configuration acts", async || scene.desired(GROUP) == 2).await;
    assert!(scene.metric("jitsi_scaler_config_last_reload_successful", &[]).await > 0.5);
    // The cooldown survives the reload.
    scene.until_logged("effect=mark_scaled").await;
    assert_eq!(reload().await?.0, StatusCode::OK);
    scene.evaluations(4).await;
    assert_eq!(scene.desired(GROUP), 2);
    assert!(scene.log().contains("the cooldown of constant allows no scale-out until"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_and_ends_when_it_is_told_to() -> Result<()> {
    let Scene { stage, _folder } =
        Scene::start(&[(GROUP, group(Component::Jvb, 1, 1, 6))], &WANTING.replace("[prod]", "[prod, gone]"))
            .await?;
    let base = format!("http://{}", stage.scaler.address);
    let get = async |path: &str| {
        let answer = reqwest::get(format!("{base}{path}")).await?.error_for_status()?;
        let kind = answer.headers()["content-type"].to_str()?.to_owned();
        anyhow::Ok((kind, answer.text().await?))
    };
    for path in ["/-/ready", "/-/healthy"] {
        get(path).await?;
        let head = reqwest::Client::new().head(format!("{base}{path}")).send().await?;
        assert_eq!(head.status(), StatusCode::OK, "{path}");
    }
    assert!(get("/").await?.1.contains("href=\"./api/v1/status\""));
    let mut status = Value::Null;
    let published = jitsi_tests::wait::wait_until(crate::SOON, async || {
        let answer = get("/api/v1/status").await;
        status = answer.ok().and_then(|(_, text)| serde_json::from_str(&text).ok()).unwrap_or_default();
        status["groups"][0].is_object()
    });
    published.await?;
    assert_shape(&status["groups"][0], "wanting", GROUP, "constant")?;
    let (kind, metrics) = get("/metrics").await?;
    assert!(kind.starts_with("text/plain"), "{kind}");
    for name in ["jitsi_scaler_build_info", "jitsi_scaler_decisions_total", "process_start_time_seconds"] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name}");
    }

    let told = Instant::now();
    let process: Process = stage.scaler.process;
    let log = stage.folder.join("jitsi-scaler.log");
    let status = process.stop().await?;
    assert!(status.success() && told.elapsed() < PROMPT, "{status} after {:?}", told.elapsed());
    assert!(std::fs::read_to_string(log)?.contains("go on at the next start"));
    Ok(())
}
