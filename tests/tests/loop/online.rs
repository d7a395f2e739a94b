//! `check --online`: an environment without faults, and then one fault at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use jitsi_tests::asg_sim::{Component, ErrorCode, Fault, GroupSpec, HookSpec, Process};
use jitsi_tests::harness::{Scaler, ScalerEnvironment};
use jitsi_tests::wait::wait_until;
use serde_json::{Value, json};

use crate::{GROUP, REGION, SOON, Scene, group};

/// A dry run, so that the environment stays as the test arranges it.
const SCALER: &str = r#"
prometheus: {url: "{prometheus}", timeout: 2s}
fleets:
  - name: jvb
    component: jvb
    dry_run: true
    asg: {regions: [us-east-1], names: [prod]}
    warmup: 0s
    policies:
      - name: stress
        expr: asg:jvb_stress:avg
        measures: load
        period: 1s
        scale_out: {when: ">= 0.5", periods: 2, add: 1, cooldown: 5m}
        scale_in: {when: "<= 0.2", periods: 2, remove: 1, cooldown: 1s}
    drain: {via: "http://{private_ip}:8080", max_in_flight: 1}
"#;

/// A group without findings.
fn clean() -> GroupSpec {
    GroupSpec {
        new_instances_protected: true,
        suspended: vec![Process::AZRebalance],
        tags: managed(&[]),
        ..group(Component::Jvb, 1, 2, 6)
    }
}

/// The tag that the IAM policy of packaging/aws asks for, and others.
fn managed(others: &[(&str, &str)]) -> BTreeMap<String, String> {
    let tags = [("jitsi-scaler-managed", "true")].into_iter().chain(others.iter().copied());
    tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn hook(heartbeat_timeout: u32) -> Vec<HookSpec> {
    let hook = json!({"name": "drain", "transition": "terminating", "heartbeat_timeout": heartbeat_timeout});
    vec![serde_json::from_value(hook).expect("a hook")]
}

async fn world() -> Result<Scene> {
    let scene = Scene::start(&[(GROUP, clean())], SCALER).await?;
    scene.serving(GROUP, 2).await?;
    scene
        .until("all is well", async || checked(&scene, SCALER).await.is_ok_and(|found| found.is_empty()))
        .await;
    Ok(scene)
}

/// The command's output for `config` in this format, with its exit code.
async fn said(scene: &Scene, config: &str, form: &str) -> Result<(Option<i32>, String)> {
    let path = scene.stage.folder.join("checked.yml");
    std::fs::write(&path, config.replace("{prometheus}", &scene.stage.prometheus.url))?;
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let path = path.to_str().context("a path")?;
    let arguments = ["check", "--online", "--output", form, "--config.file", path];
    let output = Scaler::output(&arguments, &environment).await?;
    anyhow::ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), String::from_utf8(output.stdout)?))
}

/// Severity and check of every finding; the counts and the exit code must agree with them.
async fn checked(scene: &Scene, config: &str) -> Result<BTreeSet<String>> {
    let (code, json) = said(scene, config, "json").await?;
    let report: Value = serde_json::from_str(&json)?;
    let findings = report["findings"].as_array().context("findings")?;
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let errors = findings.iter().filter(|finding| finding["severity"] == "error").count();
    anyhow::ensure!(report["errors"] == errors && code == Some(i32::from(errors > 0)), "{code:?}: {json}");
    Ok(findings
        .iter()
        .map(|finding| format!("{} {}", word(finding, "severity"), word(finding, "check")))
        .collect())
}

/// Waits for exactly these findings, because Prometheus' data is always a moment old.
async fn finds(scene: &Scene, what: &str, config: &str, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|finding| (*finding).to_owned()).collect();
    let mut last = None;
    let same = wait_until(SOON, async || {
        let found = checked(scene, config).await;
        let same = found.as_ref().is_ok_and(|found| *found == expected);
        last = Some(found);
        same
    });
    let same = same.await.is_ok();
    assert!(same, "{what}: expected {expected:?}, found {last:?}");
}

// long: a table of cases, each with the findings that it must cause.
#[tokio::test(flavor = "multi_thread")]
async fn hazards_of_a_group_are_found_one_by_one() -> Result<()> {
    let scene = world().await?;
    let policy = |more: Value| {
        let mut policy = json!({"name": "cpu", "type": "TargetTrackingScaling", "alarms": ["high"]});
        policy.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        vec![serde_json::from_value(policy).expect("a policy")]
    };
    let action = json!({"name": "night", "recurrence": "0 22 * * *", "max": 2});
    let actions = vec![serde_json::from_value(action)?];
    let suspended = |more: &[Process]| [&[Process::AZRebalance], more].concat();
    let cases: [(&str, GroupSpec, &[&str]); 18] = [
        (
            "no permission to change it",
            GroupSpec { tags: BTreeMap::new(), ..clean() },
            &["warning managed_tag"],
        ),
        ("a policy", GroupSpec { policies: policy(json!({})), ..clean() }, &["warning scaling_policy"]),
        (
            "a policy asleep",
            GroupSpec {
                policies: policy(json!({})),
                suspended: suspended(&[Process::AlarmNotification]),
                ..clean()
            },
            &["note scaling_policy"],
        ),
        ("a policy switched off", GroupSpec { policies: policy(json!({"disabled": true})), ..clean() }, &[]),
        (
            "a scheduled action",
            GroupSpec { scheduled_actions: actions.clone(), ..clean() },
            &["warning scheduled_action"],
        ),
        (
            "a scheduled action asleep",
            GroupSpec {
                scheduled_actions: actions,
                suspended: suspended(&[Process::ScheduledActions]),
                ..clean()
            },
            &[],
        ),
        ("weights", GroupSpec { weight: Some(2), desired: Some(4), ..clean() }, &["error weighted_capacity"]),
        ("vcpus", GroupSpec { capacity_type: Some("vcpu".into()), ..clean() }, &["error weighted_capacity"]),
        ("a warm pool", GroupSpec { warm_pool: true, ..clean() }, &["warning warm_pool"]),
        ("rebalancing", GroupSpec { suspended: Vec::new(), ..clean() }, &["warning rebalance"]),
        ("rebalancing with a hook", GroupSpec { suspended: Vec::new(), hooks: hook(3600), ..clean() }, &[]),
        ("a short hook", GroupSpec { hooks: hook(60), ..clean() }, &["warning hook_limit"]),
        (
            "a hook that is hardly seen",
            GroupSpec { hooks: hook(2), ..clean() },
            &["error hook_limit", "warning hook_limit"],
        ),
        (
            "no launches",
            GroupSpec { suspended: suspended(&[Process::Launch]), ..clean() },
            &["error suspended_process"],
        ),
        (
            "no terminations",
            GroupSpec { suspended: suspended(&[Process::Terminate]), ..clean() },
            &["error suspended_process"],
        ),
        (
            "no protection",
            GroupSpec { new_instances_protected: false, ..clean() },
            &["warning scale_in_protection"],
        ),
        ("a lifetime", GroupSpec { max_instance_lifetime: 604_800, ..clean() }, &["warning max_lifetime"]),
        ("no range", GroupSpec { min: 2, max: Some(2), ..clean() }, &["warning bounds"]),
    ];
    for (what, spec, expected) in cases {
        scene.stage.asg.put_group(REGION, GROUP, &spec)?;
        finds(&scene, what, SCALER, expected).await;
    }
    scene.stage.asg.put_group(REGION, GROUP, &clean())?;
    scene.stage.asg.set_instance_refresh(REGION, GROUP, true)?;
    finds(&scene, "a refresh", SCALER, &["warning instance_refresh"]).await;
    scene.stage.asg.set_instance_refresh(REGION, GROUP, false)?;

    let denied = |action: &str| Fault {
        action: Some(action.to_owned()),
        error: Some(ErrorCode::AccessDenied),
        ..Fault::default()
    };
    for (action, expected) in [
        ("DescribeAutoScalingGroups", &["error permission"]),
        ("DescribeScalingActivities", &["error permission"]),
        ("DescribeInstanceRefreshes", &["error permission"]),
        ("DescribePolicies", &["warning permission"]),
        ("DescribeScheduledActions", &["warning permission"]),
        ("DescribeLifecycleHooks", &["warning permission"]),
    ] {
        scene.stage.asg.add_fault(denied(action))?;
        finds(&scene, action, SCALER, expected).await;
        scene.stage.asg.clear_faults();
    }

    scene.stage.asg.clear_calls();
    finds(&scene, "all is well again", SCALER, &[]).await;
    let calls = scene.stage.asg.calls(false);
    assert!(!calls.is_empty() && calls.iter().all(|call| call.action.starts_with("Describe")), "{calls:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_world_is_found_one_by_one() -> Result<()> {
    let scene = world().await?;
    let expr = |expr: &str| SCALER.replace("asg:jvb_stress:avg", &format!("'{expr}'"));
    let with = |from: &str, to: &str| {
        assert!(SCALER.contains(from), "{from}");
        SCALER.replace(from, to)
    };
    let alert = r"
      - name: full
        alert: BridgesFull
        scale_out: {add: 1}
    drain:";
    let late = r#"
      - name: late
        expr: asg:jvb_stress:avg
        period: 1d
        scale_out: {when: ">= 0.9", periods: 30, add: 1}
    drain:"#;
    let other = r#"
  - name: other
    component: jvb
    dry_run: true
    asg: {regions: [us-east-1], tags: {team: bridges}}
    policies: [{name: stress, expr: asg:jvb_stress:avg, period: 1s, scale_out: {when: ">= 0.5", periods: 2, add: 1}}]
"#;
    let cases: [(&str, String, &[&str]); 19] = [
        ("a lone series", expr("avg(jvb_stress_ratio)"), &["note group_label"]),
        ("a slip of the pen", expr("asg:jvb_stres:avg"), &["error no_data"]),
        ("a series for each instance", expr("jvb_stress_ratio"), &["error ambiguous_series"]),
        ("the label lost", expr("sum by (instance_id) (jvb_stress_ratio)"), &["error group_label"]),
        ("no number", expr("asg:jvb_stress:avg * (0 / 0)"), &["warning not_a_number"]),
        (
            "another group",
            expr(r#"label_replace(asg:jvb_stress:avg, "asg", "other", "", "")"#),
            &["error group_without_series", "note series_without_group"],
        ),
        (
            "refused by the server",
            expr(r#"label_replace(asg:jvb_stress:avg, "x", "$1", "asg", "(")"#),
            &["error query"],
        ),
        ("an unknown alert", with("\n    drain:", alert), &["error alert"]),
        ("a long window", with("\n    drain:", late), &["error retention"]),
        ("a missing group", with("[prod]", "[prod, gone]"), &["error missing_group"]),
        (
            "nothing tagged",
            with("names: [prod]", "tags: {nobody: wears}"),
            &["error missing_group", "note series_without_group"],
        ),
        ("bounds apart", with("    warmup", "    capacity: {min: 7, max: 9}\n    warmup"), &["error bounds"]),
        (
            "no instance ids",
            with("    warmup", "    instances: {id_label: ec2}\n    warmup"),
            &["error instance_label"],
        ),
        (
            "silence",
            with("    warmup", "    instances: {series: 'jvb_up{zone=\"moon\"}'}\n    warmup"),
            &["error silent_instance"],
        ),
        ("no address", with("{private_ip}", "{public_ip}"), &["error drain_address"]),
        ("no component there", with(":8080", ":9"), &["error component"]),
        ("odd", with("warmup: 0s", "warmup: 2h"), &["warning configuration"]),
        ("nobody there", with("{prometheus}", "http://127.0.0.1:9"), &["error query"]),
        ("two masters", format!("{SCALER}{other}"), &["error shared_group"]),
    ];
    let tagged = GroupSpec { tags: managed(&[("team", "bridges")]), ..clean() };
    scene.stage.asg.put_group(REGION, GROUP, &tagged)?;
    for (what, config, expected) in cases {
        finds(&scene, what, &config, expected).await;
    }

    let behind = proxy(&scene.stage.prometheus.url, 20.0).await?;
    let expected = ["error clock", "note retention"];
    finds(&scene, "another clock", &with("{prometheus}", &behind), &expected).await;
    assert!(scene.stage.asg.calls(true).is_empty(), "nothing was changed");
    Ok(())
}

/// A proxy to Prometheus whose clock is `behind`, and which does not report its retention.
async fn proxy(prometheus: &str, behind: f64) -> Result<String> {
    async fn pass(
        State((prometheus, behind)): State<(String, f64)>,
        uri: Uri,
        body: Bytes,
    ) -> Result<Response, StatusCode> {
        if uri.path().ends_with("/runtimeinfo") {
            return Err(StatusCode::NOT_FOUND);
        }
        let is_clock = String::from_utf8_lossy(&body).contains("query=time%28%29");
        let asked = reqwest::Client::new()
            .post(format!("{prometheus}{uri}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let gone = |_| StatusCode::BAD_GATEWAY;
        let mut answer: Value = asked.send().await.map_err(gone)?.json().await.map_err(gone)?;
        if is_clock {
            let now: f64 =
                answer["data"]["result"][1].as_str().and_then(|text| text.parse().ok()).unwrap_or_default();
            answer["data"]["result"][1] = json!((now - behind).to_string());
        }
        Ok(axum::Json(answer).into_response())
    }
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().fallback(pass).with_state((prometheus.to_owned(), behind));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(format!("http://{address}"))
}

// long: half of it is the expected text.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_world_is_reported_in_words() -> Result<()> {
    let scene = world().await?;
    let policy = json!({"name": "cpu", "type": "TargetTrackingScaling", "alarms": ["cpu-high", "cpu-low"]});
    let action = json!({"name": "night", "recurrence": "0 22 * * *", "max": 2});
    let bad = GroupSpec {
        policies: vec![serde_json::from_value(policy)?],
        scheduled_actions: vec![serde_json::from_value(action)?],
        warm_pool: true,
        suspended: vec![Process::Terminate],
        new_instances_protected: false,
        max_instance_lifetime: 604_800,
        ..clean()
    };
    scene.stage.asg.put_group(REGION, GROUP, &bad)?;
    scene.stage.asg.set_instance_refresh(REGION, GROUP, true)?;
    let config = SCALER
        .replace("[prod]", "[prod, gone]")
        .replace("warmup: 0s", "warmup: 2h")
        .replace("asg:jvb_stress:avg", "jvb_stress_ratio")
        .replace("{private_ip}", "{public_ip}");
    finds(
        &scene,
        "everything",
        &config,
        &[
            "error ambiguous_series",
            "error drain_address",
            "error missing_group",
            "error suspended_process",
            "warning configuration",
            "warning instance_refresh",
            "warning max_lifetime",
            "warning rebalance",
            "warning scale_in_protection",
            "warning scaling_policy",
            "warning scheduled_action",
            "warning warm_pool",
        ],
    )
    .await;
    let (code, mut text) = said(&scene, &config, "text").await?;
    assert_eq!(code, Some(1));
    for (number, instance) in scene.group(GROUP)?.instances.iter().enumerate() {
        text = text.replace(&instance.id, &format!("i-{number}"));
    }
    text = text.replace(&scene.stage.prometheus.url, "http://prometheus:9090");
    insta::assert_snapshot!(text, @r#"
    the configuration is valid: 1 fleet
    jvb (jvb): the groups prod, gone in us-east-1; dry run, nothing is changed
      stress, scale-out: add 1 when >= 0.5 in 2 of 2 periods of 1 s, cooldown 300 s
      stress, scale-in: remove 1 when <= 0.2 in 2 of 2 periods of 1 s, cooldown 1 s
      drained via http://{public_ip}:8080, at most 1 at once

    in general
      warning: line 8: fleets[0].warmup: is longer than 1h: nothing scales in while an instance warms up; a Jibri boots in 3m
    fleet jvb
      error: policy stress: 2 series name the group prod, so none of them counts; they differ in instance, instance_id, private_ip, zone
        aggregate them, as in avg by (asg) (…)
      error: gone: there is no group of this name in us-east-1
        check asg.names, asg.regions and the account (aws sts get-caller-identity): aws autoscaling describe-auto-scaling-groups --region us-east-1 --query 'AutoScalingGroups[].[AutoScalingGroupName,Tags]'
      error: prod in us-east-1: the process Terminate is suspended: no instance can be removed
        resume it: aws autoscaling resume-processes --auto-scaling-group-name prod --scaling-processes Terminate --region us-east-1
      error: prod in us-east-1: failed to fill {public_ip} of drain.via: the instance's series has no usable label of that name; add it by relabelling; this concerns i-0, i-1
        these labels are there: curl -sG http://prometheus:9090/api/v1/query --data-urlencode query=jvb_up
      warning: prod in us-east-1: the scaling policy "cpu" (TargetTrackingScaling, driven by the CloudWatch alarms cpu-high, cpu-low) also scales the group, and lets AWS choose which instance to terminate
        delete it: aws autoscaling delete-policy --auto-scaling-group-name prod --policy-name cpu --region us-east-1
      warning: prod in us-east-1: the scheduled action "night" changes the group's capacity at "0 22 * * *"
        write a schedule of this fleet instead, and delete it: aws autoscaling delete-scheduled-action --auto-scaling-group-name prod --scheduled-action-name night --region us-east-1
      warning: prod in us-east-1: the group has a warm pool, whose instances come back into service without the scaler
        do not reuse instances on scale-in, or delete the pool: aws autoscaling delete-warm-pool --auto-scaling-group-name prod --region us-east-1
      warning: prod in us-east-1: AZRebalance is active over 3 zones and ends instances without a drain
        suspend it: aws autoscaling suspend-processes --auto-scaling-group-name prod --scaling-processes AZRebalance --region us-east-1
      warning: prod in us-east-1: new instances are not protected from scale-in, so AWS chooses one when anyone lowers the desired capacity
        protect them, which does not hinder this scaler: it terminates instances by name: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --new-instances-protected-from-scale-in --region us-east-1
      warning: prod in us-east-1: an instance refresh is in progress: it replaces instances without a drain, and blocks every scale-in
        wait for its end, or cancel it: aws autoscaling cancel-instance-refresh --auto-scaling-group-name prod --region us-east-1
      warning: prod in us-east-1: AWS replaces instances after 7 days, even if they are in use
        let this scaler recycle them, and AWS none: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --max-instance-lifetime 0 --region us-east-1
    not checked, because only a change would show these permissions: autoscaling:SetDesiredCapacity, autoscaling:TerminateInstanceInAutoScalingGroup, autoscaling:CreateOrUpdateTags, autoscaling:DeleteTags
    4 errors, 8 warnings, 0 notes
    "#);
    Ok(())
}
