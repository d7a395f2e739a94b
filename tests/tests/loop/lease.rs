//! Two scalers and a lease: one acts, and the other takes over. Whatever happens to the leader, in any phase of an
//! evaluation, two never act at once.
//!
//! Each scaler has its own access key, so that AWS' record identifies the caller; the stand-in for the API server
//! records the holder of the lease at that moment.

use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_tests::asg_sim::{Call, Component, Fault, GroupSpec};
use jitsi_tests::harness::{Scaler, ScalerEnvironment};
use jitsi_tests::lease_api::{LeaseApi, Tenure, Trouble};
use serde_json::{Value, json};
use test_case::test_case;

use crate::page::Description;
use crate::{GROUP, Scene, WANTING, bridges, group};

const NAMESPACE: &str = "jitsi";
const LEASE: &str = "jitsi-scaler";
/// The lease duration and the retry period here, in seconds.
const DURATION: f64 = 3.0;
const RETRY: f64 = 0.5;
/// The tolerance for a busy computer, in seconds.
const SLACK: f64 = 2.0;

/// One of the two scalers.
struct Member {
    name: &'static str,
    scaler: Scaler,
}

impl Member {
    async fn get(&self, path: &str) -> Result<reqwest::Response> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        Ok(client.get(format!("http://{}{path}", self.scaler.address)).send().await?)
    }

    async fn status(&self) -> Result<Value> {
        Ok(self.get("/api/v1/status").await?.error_for_status()?.json().await?)
    }

    async fn leads(&self) -> bool {
        self.status().await.is_ok_and(|status| status["leader"]["leading"] == true)
    }

    /// The samples whose lines begin with this text.
    async fn samples(&self, start: &str) -> Result<Vec<String>> {
        let text = self.get("/metrics").await?.text().await?;
        Ok(text.lines().filter(|line| line.starts_with(start)).map(str::to_owned).collect())
    }
}

/// Two scalers, of which the first leads.
struct Pair {
    scene: Scene,
    api: LeaseApi,
    members: [Member; 2],
}

impl Pair {
    async fn start(groups: &[(&str, GroupSpec)], config: &str) -> Result<Self> {
        let api = LeaseApi::start().await?;
        api.put_free(NAMESPACE, LEASE);
        // The stage has a scaler of its own, which must do nothing.
        let looking = config.replace("    component: jvb\n", "    component: jvb\n    dry_run: true\n");
        let mut scene = Scene::start(groups, &looking).await?;
        scene.stage.scaler.process.terminate().await?;
        let sharp = config.replace("{prometheus}", &scene.stage.prometheus.url);
        std::fs::write(scene.stage.folder.join("scaler.yml"), sharp)?;
        let first = member("one", &scene, &api).await?;
        scene.until("the first one leads", async || first.leads().await).await;
        let second = member("two", &scene, &api).await?;
        Ok(Self { scene, api, members: [first, second] })
    }

    fn of(&self, name: &str) -> &Member {
        let [one, two] = &self.members;
        if one.name == name { one } else { two }
    }

    async fn until(&self, what: &str, condition: impl AsyncFnMut() -> bool) {
        if let Err(error) = jitsi_tests::wait::wait_until(crate::SOON, condition).await {
            let ends = self.members.iter().map(|member| {
                let log = member.scaler.process.output();
                let lines: Vec<&str> = log.lines().filter(|line| !line.contains("level=debug")).collect();
                format!("{}:\n{}\n", member.name, lines[lines.len().saturating_sub(15)..].join("\n"))
            });
            panic!("{what}: {error}; {:?}\n{}", self.api.tenures(LEASE), ends.collect::<String>());
        }
    }

    /// Waits until this member holds the lease, and returns since when.
    async fn takes_over(&self, name: &str) -> Tenure {
        let newest = || self.api.tenures(LEASE).pop().filter(|tenure| tenure.holder.starts_with(name));
        self.until("another one takes over", async || newest().is_some()).await;
        self.until("it knows that it leads", async || self.of(name).leads().await).await;
        newest().expect("its lease")
    }

    /// Kills a member, and returns the time.
    async fn killed(&mut self, name: &str) -> Result<f64> {
        let [one, two] = &mut self.members;
        let member = if one.name == name { one } else { two };
        member.scaler.process.cut_off().await?;
        Ok(self.api.now())
    }

    /// Waits for this many further evaluations of this member.
    async fn evaluations(&self, name: &str, count: u32) {
        let ended = async || {
            let lines = self.of(name).samples("jitsi_scaler_evaluation_duration_seconds_count").await;
            let counts = lines.unwrap_or_default().into_iter();
            counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok()).sum::<u32>()
        };
        let last = ended().await + count;
        self.until("it evaluates", async || ended().await >= last).await;
    }

    fn changes(&self) -> Vec<Call> {
        self.scene.stage.asg.calls(true)
    }

    /// Checks that the holder of the lease made every changing call at the time it took effect.
    fn assert_one_at_a_time(&self) {
        let tenures = self.api.tenures(LEASE);
        for call in self.changes() {
            let held = tenures.iter().rev().find(|tenure| tenure.since <= call.time);
            let holder = held.map_or("", |tenure| tenure.holder.as_str());
            let own = format!("{}_", call.access_key);
            assert!(holder.starts_with(&own), "{call:?} while \"{holder}\" held the lease; {tenures:?}");
        }
    }
}

async fn member(name: &'static str, scene: &Scene, api: &LeaseApi) -> Result<Member> {
    let folder = &scene.stage.folder;
    let kubeconfig = folder.join(format!("{name}.kubeconfig"));
    std::fs::write(&kubeconfig, api.kubeconfig(name))?;
    let kubeconfig = kubeconfig.to_str().context("a path")?;
    let lease = format!("{NAMESPACE}/{LEASE}");
    let flags = [
        ["--leader.lease", &lease],
        ["--leader.lease-duration", "3s"],
        ["--leader.renew-deadline", "2s"],
        ["--leader.retry-period", "500ms"],
    ];
    let variables = [("KUBECONFIG", kubeconfig), ("POD_NAME", name), ("AWS_ACCESS_KEY_ID", name)];
    let environment = ScalerEnvironment { aws: scene.stage.asg.url() };
    let config = folder.join("scaler.yml");
    let scaler = Scaler::start_as(name, folder, &config, &environment, &flags.concat(), &variables).await;
    Ok(Member { name, scaler: scaler.context(UNABLE)? })
}

const UNABLE: &str =
    "a scaler with a lease does not start; is it built with --features jitsi-scaler/kubernetes?";

/// A fleet that wants one more instance at every evaluation.
fn greedy() -> String {
    WANTING.replace("periods: 2", "periods: 1").replace("cooldown: 5m", "cooldown: 1s")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_acts_and_the_other_says_who() -> Result<()> {
    let mut pair = Pair::start(&[(GROUP, group(Component::Jvb, 1, 1, 9))], WANTING).await?;
    let marked = |pair: &Pair| pair.scene.applied("CreateOrUpdateTags").len() == 1;
    pair.until("the first one acts", async || marked(&pair)).await;
    let [one, two] = &pair.members;
    let holder = pair.api.tenures(LEASE).pop().context("a holder")?.holder;

    assert_eq!(two.get("/-/ready").await?.status(), 200);
    let status = two.status().await?;
    let leader = json!({"lease": "jitsi/jitsi-scaler", "identity": status["leader"]["identity"], "leading": false, "holder": holder});
    assert_eq!(status, json!({"time": null, "groups": [], "problems": [], "leader": leader}));
    assert!(status["leader"]["identity"].as_str().is_some_and(|own| own.starts_with("two_")), "{status}");
    let page = two.get("/").await?.text().await?;
    assert!(page.contains(&format!("{holder} holds the lease jitsi/jitsi-scaler and leads")), "{page}");
    // The metrics by which alerts detect a second acting scaler, or a hanging one.
    for (name, samples) in
        [("jitsi_scaler_last_evaluation", 0), ("jitsi_scaler_group_", 0), ("jitsi_scaler_fleet_", 0)]
    {
        assert_eq!(two.samples(name).await?.len(), samples, "{name}");
    }
    assert_eq!(two.samples("jitsi_scaler_leader ").await?, ["jitsi_scaler_leader 0"]);
    assert_eq!(one.samples("jitsi_scaler_leader ").await?, ["jitsi_scaler_leader 1"]);
    assert!(!pair.scene.stage.asg.calls(false).iter().any(|call| call.access_key == "two"), "it asks nobody");

    // A sender of an alert retries over another connection.
    let client = reqwest::Client::builder().no_proxy().build()?;
    let alert = json!({"version": "4", "alerts": [{"status": "firing", "labels": {"asg": GROUP}, "startsAt": "2026-11-20T07:00:00Z"}]});
    let url = format!("http://{}/api/v1/alertmanager", two.scaler.address);
    let answer = client.post(url).json(&alert).send().await?;
    assert_eq!((answer.status().as_u16(), answer.headers()["connection"].as_bytes()), (503, &b"close"[..]));
    assert!(answer.text().await?.contains(&holder));

    // The answers of both match the description.
    for member in &pair.members {
        Description::fetch(member.scaler.address).await?.hold("Status", &member.status().await?)?;
    }

    // After a kill the other one leads, and repeats nothing.
    let killed = pair.killed("one").await?;
    let tenure = pair.takes_over("two").await;
    let took = tenure.since - killed;
    assert!(DURATION - RETRY - SLACK < took && took < DURATION + RETRY + SLACK, "{took} s");
    pair.evaluations("two", 4).await;
    let status = pair.of("two").status().await?;
    assert_eq!((&status["leader"]["leading"], &status["groups"][0]["asg"]), (&json!(true), &json!(GROUP)));
    assert_eq!((pair.scene.applied("SetDesiredCapacity").len(), pair.scene.desired(GROUP)), (1, 2));

    // After a clean stop the other one leads at once.
    pair.members[0] = member("one", &pair.scene, &pair.api).await?;
    pair.until("the first one is back", async || {
        pair.of("one").status().await.is_ok_and(|status| status["leader"]["holder"] == tenure.holder.as_str())
    })
    .await;
    pair.members[1].scaler.process.terminate().await?;
    pair.takes_over("one").await;
    let [.., given_up, taken] = &pair.api.tenures(LEASE)[..] else { panic!("{:?}", pair.api.tenures(LEASE)) };
    assert_eq!(given_up.holder, "");
    assert!(taken.since - given_up.since < RETRY + SLACK, "{:?}", pair.api.tenures(LEASE));
    pair.evaluations("one", 3).await;
    assert_eq!(pair.scene.applied("SetDesiredCapacity").len(), 1);
    pair.assert_one_at_a_time();
    Ok(())
}

/// The fault of the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// SIGKILL, and a restart.
    Kill,
    /// SIGSTOP, and SIGCONT when the other one has acted.
    Freeze,
    /// Its requests do not reach the API server until the other one has acted.
    CutOff,
}

/// The phase of its evaluation: AWS delays the answer to this call by so long.
const PHASES: [(&str, f64); 5] = [
    // Before its decision, or between the decision and its effects: it reads again before each change.
    ("DescribeAutoScalingGroups", 1.0),
    ("DescribeAutoScalingGroups", 1.0),
    // It has changed the group, but not yet the tags.
    ("SetDesiredCapacity", 1.0),
    ("CreateOrUpdateTags", 1.0),
    // Between two evaluations, or at any time.
    ("", 0.0),
];

#[test_case(Blow::Kill; "it is killed")]
#[test_case(Blow::Freeze; "it is stopped for a time")]
#[test_case(Blow::CutOff; "the API server is out of its reach")]
#[tokio::test(flavor = "multi_thread")]
async fn never_do_two_act(blow: Blow) -> Result<()> {
    let mut pair = Pair::start(&[(GROUP, group(Component::Jvb, 1, 1, 500))], &greedy()).await?;
    let mut leader = 0;
    for (number, (action, delay)) in PHASES.into_iter().enumerate() {
        let other = 1 - leader;
        let (name, follower) = (pair.members[leader].name, pair.members[other].name);
        let acts = |pair: &Pair, by: &str, since: f64| {
            let calls = pair.changes();
            calls
                .iter()
                .any(|call| call.access_key == by && call.time > since && call.action == "SetDesiredCapacity")
        };
        let since = pair.changes().last().map_or(0.0, |call| call.time);
        pair.until("the leader acts", async || acts(&pair, name, since)).await;
        if delay > 0.0 {
            let fault = Fault {
                action: Some(action.to_owned()),
                delay_seconds: Some(delay),
                times: Some(1),
                ..Fault::default()
            };
            pair.scene.stage.asg.add_fault(fault)?;
            pair.until("a call is under way", async || pair.scene.stage.asg.faults_are_over()).await;
        }
        let struck = &mut pair.members[leader].scaler.process;
        match blow {
            Blow::Kill => struck.cut_off().await?,
            Blow::Freeze => struck.signal("STOP").await?,
            Blow::CutOff => pair.api.trouble(name, Trouble::Partition),
        }
        let began = pair.api.now();
        let tenure = pair.takes_over(follower).await;
        let took = tenure.since - began;
        assert!(took < DURATION + RETRY + SLACK, "phase {number}: {took} s");
        pair.until("what was due is done", async || acts(&pair, follower, tenure.since)).await;
        match blow {
            Blow::Kill => pair.members[leader] = member(name, &pair.scene, &pair.api).await?,
            Blow::Freeze => pair.members[leader].scaler.process.signal("CONT").await?,
            Blow::CutOff => pair.api.trouble(name, Trouble::None),
        }
        // It stands by, and does not finish its previous work.
        let follows = async || {
            let leader = pair.of(name).status().await.map_or(Value::Null, |status| status["leader"].clone());
            leader["leading"] == false && leader["holder"] == tenure.holder.as_str()
        };
        pair.until("it stands by", follows).await;
        pair.assert_one_at_a_time();
        let shown = pair.of(name).samples("jitsi_scaler_last_evaluation").await?;
        assert!(shown.is_empty(), "phase {number}: it tells of fleets: {shown:?}");
        leader = other;
    }
    pair.assert_one_at_a_time();
    // Each capacity is requested once: nothing is repeated.
    let wanted = pair.scene.applied("SetDesiredCapacity").into_iter();
    let wanted: Vec<u32> =
        wanted.filter_map(|call| call.parameters["DesiredCapacity"].parse().ok()).collect();
    assert!(wanted.windows(2).all(|pair| pair[0] < pair[1]), "{wanted:?}");
    let holders: Vec<String> = pair.api.tenures(LEASE).into_iter().map(|tenure| tenure.holder).collect();
    assert_eq!(holders.len(), PHASES.len() + 2, "{holders:?}");
    Ok(())
}

#[test_case(Blow::Kill; "is killed")]
#[test_case(Blow::Freeze; "is stopped for a time")]
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_goes_on_when_the_leader(blow: Blow) -> Result<()> {
    let mut pair = Pair::start(&[(GROUP, group(Component::Jvb, 2, 2, 6))], bridges::SCALER).await?;
    for (bridge, people) in pair.scene.serving(GROUP, 2).await?.iter().zip([2, 5]) {
        pair.scene.stage.jitsi.place_conference(bridge, people, 600.0)?;
    }
    pair.scene.set_bounds(GROUP, 1, 6)?;
    pair.until("a drain begins", async || !pair.scene.drains(GROUP).is_empty()).await;
    let leaving = pair.scene.drains(GROUP).pop().context("a drain")?;
    pair.until("the bridge is asked", async || pair.scene.state(&leaving) == "draining").await;
    let struck = &mut pair.members[0].scaler.process;
    match blow {
        Blow::Kill => struck.cut_off().await?,
        _ => struck.signal("STOP").await?,
    }
    pair.takes_over("two").await;
    pair.evaluations("two", 2).await;
    assert_eq!(pair.scene.state(&leaving), "draining", "its conference goes on");
    assert_eq!(pair.scene.stage.jitsi.end_conferences(&leaving)?, 1);
    pair.until("the drain is over", async || {
        pair.scene.desired(GROUP) == 1 && pair.scene.drains(GROUP).is_empty()
    })
    .await;
    pair.members[0].scaler.process.signal("CONT").await?;
    pair.evaluations("two", 2).await;
    let calls = pair.changes();
    let made: Vec<(&str, &str)> =
        calls.iter().map(|call| (call.access_key.as_str(), call.action.as_str())).collect();
    let expected = [
        // Scaled in, draining.
        ("one", "CreateOrUpdateTags"),
        ("one", "CreateOrUpdateTags"),
        // Asked, closed.
        ("two", "CreateOrUpdateTags"),
        ("two", "CreateOrUpdateTags"),
        ("two", "TerminateInstanceInAutoScalingGroup"),
        ("two", "DeleteTags"),
    ];
    assert_eq!(made, expected);
    assert_eq!(pair.scene.stage.jitsi.status().conferences.cut, 0);
    pair.assert_one_at_a_time();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_released_while_a_service_leads() -> Result<()> {
    let mut pair = Pair::start(&[(GROUP, group(Component::Jvb, 1, 1, 9))], WANTING).await?;
    pair.until("the first one acts", async || pair.scene.applied("CreateOrUpdateTags").len() == 1).await;
    let holder = pair.api.tenures(LEASE).pop().context("a holder")?.holder;
    let folder = pair.scene.stage.folder.clone();
    let (config, kubeconfig) = (folder.join("scaler.yml"), folder.join("one.kubeconfig"));
    let config = config.to_str().context("a path")?.to_owned();
    let environment = ScalerEnvironment { aws: pair.scene.stage.asg.url() };
    let variables = [("KUBECONFIG", kubeconfig.to_str().context("a path")?)];
    let lease = format!("{NAMESPACE}/{LEASE}");
    let release = async |flag: &str| {
        let arguments = ["release", flag, "--config.file", &config, "--leader.lease", &lease];
        let done = Scaler::output_as(&arguments, &environment, &variables).await?;
        let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        anyhow::Ok((done.status.code(), said.concat()))
    };

    let leads =
        format!("failed to release anything: {holder} holds the lease {lease} and leads; stop all replicas");
    let (code, said) = release("--yes").await?;
    assert!(code == Some(1) && said.contains(&leads), "{code:?} {said}");
    let (code, said) = release("--dry-run").await?;
    let leads = leads.replace("failed to", "--yes would fail to");
    assert!(code == Some(0) && said.contains(&leads), "{code:?} {said}");
    assert!(said.contains("would: remove the tag"), "{said}");
    assert!(pair.scene.applied("DeleteTags").is_empty());

    for member in &mut pair.members {
        member.scaler.process.terminate().await?;
    }
    let (code, said) = release("--yes").await?;
    assert!(code == Some(0) && said.contains("done: remove the tag"), "{code:?} {said}");
    assert_eq!(pair.scene.applied("DeleteTags").len(), 1);
    assert!(pair.scene.group(GROUP)?.tags.is_empty(), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_goes_on_through_what_passes() -> Result<()> {
    let pair = Pair::start(&[(GROUP, group(Component::Jvb, 1, 1, 500))], &greedy()).await?;
    let before = pair.api.tenures(LEASE);
    for trouble in [Trouble::AnswersLost, Trouble::Refused, Trouble::Delay(Duration::from_millis(300))] {
        let renewed = || pair.api.lease(NAMESPACE, LEASE).map(|lease| lease["spec"]["renewTime"].clone());
        let newest = renewed();
        pair.api.trouble("one", trouble);
        if trouble == Trouble::Refused {
            let failed = async || pair.of("one").samples("jitsi_scaler_lease_failures_total").await;
            pair.until("it is refused", async || {
                failed()
                    .await
                    .is_ok_and(|lines| lines.iter().any(|it| it.contains("refused") && !it.ends_with(" 0")))
            })
            .await;
        } else {
            pair.until("a renewal gets there", async || renewed() != newest).await;
        }
        pair.api.trouble("one", Trouble::None);
        let newest = renewed();
        pair.until("it renews again", async || renewed() != newest).await;
    }
    assert_eq!(pair.api.tenures(LEASE), before);
    assert_eq!(
        pair.of("one").samples("jitsi_scaler_leader_changes_total").await?,
        ["jitsi_scaler_leader_changes_total 1"]
    );
    pair.evaluations("one", 2).await;
    pair.assert_one_at_a_time();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_deleted_is_made_anew_and_acted_on_when_the_old_one_is_over() -> Result<()> {
    let pair = Pair::start(&[(GROUP, group(Component::Jvb, 1, 1, 500))], &greedy()).await?;
    pair.until("it acts", async || !pair.changes().is_empty()).await;
    pair.api.delete(NAMESPACE, LEASE);
    pair.until("there is a lease", async || pair.api.lease(NAMESPACE, LEASE).is_some()).await;
    let made = pair.api.tenures(LEASE).pop().context("a holder")?;
    let own = made.holder.split('_').next().context("a name")?.to_owned();
    pair.until("it leads", async || pair.of(&own).leads().await).await;
    pair.until("it acts", async || {
        pair.changes().last().is_some_and(|call| call.time > made.since && call.access_key == own)
    })
    .await;
    // The previous leader may have made some of these calls; the other one made none.
    let early =
        pair.changes().into_iter().filter(|call| call.time > made.since && call.time < made.since + DURATION);
    let early: Vec<Call> = early.collect();
    assert!(early.iter().all(|call| call.access_key == "one" && call.time < made.since + 2.0), "{early:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_a_lease_is_a_mistake_of_usage() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("scaler.yml");
    std::fs::write(&config, WANTING.replace("{prometheus}", "http://127.0.0.1:9090"))?;
    let nobody = ScalerEnvironment { aws: "http://127.0.0.1:9".to_owned() };
    for (flags, told) in [
        (&["--leader.lease", "jitsi-scaler"][..], "NAMESPACE/NAME"),
        (
            &["--leader.lease", "a/b", "--leader.renew-deadline", "15s"],
            "must be shorter than --leader.lease-duration",
        ),
        (&["--leader.lease", "a/b", "--leader.retry-period", "0s"], "--leader.retry-period is 0ns"),
    ] {
        let config = config.to_str().context("a path")?;
        let arguments =
            [&["run", "--config.file", config, "--web.listen-address", "127.0.0.1:0"], flags].concat();
        let output = Scaler::output(&arguments, &nobody).await?;
        let stderr = String::from_utf8(output.stderr)?;
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(told), "{stderr}");
    }
    Ok(())
}
