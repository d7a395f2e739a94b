//! Scalers that share the fleets by shards: each group is changed by one of them at a time, whoever joins, dies or stops.
//!
//! Each scaler has its own access key, so that AWS' record identifies the caller; the stand-in for the API server records
//! the holders of the leases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jitsi_scaler::shards::Shards;
use jitsi_tests::asg_sim::Component;
use jitsi_tests::harness::{Scaler, ScalerEnvironment};
use jitsi_tests::lease_api::LeaseApi;
use serde_json::{Value, json};

use crate::page::Description;
use crate::{Scene, group};

const NAMESPACE: &str = "jitsi";
const LEASE: &str = "jitsi-scaler";
/// How many shards there are.
const SHARDS: u16 = 8;
/// How many fleets there are, each with one group: in every shard at least one.
const FLEETS: u32 = 12;
/// The lease duration and the retry period, in seconds.
const DURATION: f64 = 3.0;
const RETRY: f64 = 0.5;
/// The period of every fleet, in seconds.
const PERIOD: f64 = 4.0;
/// The tolerance for a busy computer, in seconds.
const SLACK: f64 = 2.0;

/// A scaler that leads some of the shards.
struct Member {
    name: &'static str,
    scaler: Scaler,
}

impl Member {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.scaler.address)
    }

    async fn status(&self) -> Result<Value> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
        Ok(client.get(self.url("/api/v1/status")).send().await?.error_for_status()?.json().await?)
    }

    /// The shards that it leads.
    async fn leads(&self) -> BTreeSet<u64> {
        let status = self.status().await.unwrap_or_default();
        let shards = status["leader"]["shards"].as_array().cloned().unwrap_or_default();
        let led = shards.iter().filter(|shard| shard["leading"] == true);
        led.filter_map(|shard| shard["shard"].as_u64()).collect()
    }

    /// A sample without labels.
    async fn sample(&self, name: &str) -> Result<f64> {
        let text = reqwest::get(self.url("/metrics")).await?.text().await?;
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        Ok(value.with_context(|| format!("no {name}"))?.parse()?)
    }
}

struct Cast {
    scene: Scene,
    api: LeaseApi,
    members: Vec<Member>,
}

fn fleet(number: u32) -> String {
    format!("fleet-{number}")
}

fn lease_of(fleet: &str) -> Result<String> {
    let shards = Shards::try_new(SHARDS).context("a number of shards")?;
    Ok(format!("{LEASE}-{}", shards.of(fleet).number))
}

/// Fleets that want one more instance at every evaluation.
fn greedy() -> String {
    let mut config = "prometheus: {url: \"{prometheus}\", timeout: 2s}\nfleets:\n".to_owned();
    for number in 0..FLEETS {
        let name = fleet(number);
        let _ = write!(
            config,
            "  - name: {name}\n    component: jvb\n    asg: {{regions: [us-east-1], names: [{name}]}}\n    warmup: 0s\n    \
             policies:\n      - name: constant\n        expr: vector(1)\n        period: {PERIOD}s\n        \
             scale_out: {{when: \">= 1\", periods: 1, add: 1, cooldown: 1s}}\n"
        );
    }
    config
}

impl Cast {
    /// Free leases, and groups that no scaler has seen yet.
    async fn start() -> Result<Self> {
        let api = LeaseApi::start().await?;
        api.put_free(NAMESPACE, LEASE);
        for shard in 0..SHARDS {
            api.put_free(NAMESPACE, &format!("{LEASE}-{shard}"));
        }
        let names: Vec<String> = (0..FLEETS).map(fleet).collect();
        let groups: Vec<_> =
            names.iter().map(|name| (name.as_str(), group(Component::Jvb, 1, 1, 500))).collect();
        // The stage has a scaler of its own, which must do nothing.
        let looking = greedy().replace("    component: jvb\n", "    component: jvb\n    dry_run: true\n");
        let mut scene = Scene::start(&groups, &looking).await?;
        scene.stage.scaler.process.terminate().await?;
        let sharp = greedy().replace("{prometheus}", &scene.stage.prometheus.url);
        std::fs::write(scene.stage.folder.join("scaler.yml"), sharp)?;
        Ok(Self { scene, api, members: Vec::new() })
    }

    async fn join(&mut self, name: &'static str) -> Result<()> {
        let folder = &self.scene.stage.folder;
        let kubeconfig = folder.join(format!("{name}.kubeconfig"));
        std::fs::write(&kubeconfig, self.api.kubeconfig(name))?;
        let kubeconfig = kubeconfig.to_str().context("a path")?;
        let (lease, shards) = (format!("{NAMESPACE}/{LEASE}"), SHARDS.to_string());
        let flags = [
            ["--leader.lease", &lease],
            ["--leader.shards", &shards],
            ["--leader.lease-duration", "3s"],
            ["--leader.renew-deadline", "2s"],
            ["--leader.retry-period", "500ms"],
        ];
        let variables = [("KUBECONFIG", kubeconfig), ("POD_NAME", name), ("AWS_ACCESS_KEY_ID", name)];
        let environment = ScalerEnvironment { aws: self.scene.stage.asg.url() };
        let config = folder.join("scaler.yml");
        let scaler =
            Scaler::start_as(name, folder, &config, &environment, &flags.concat(), &variables).await?;
        self.members.push(Member { name, scaler });
        Ok(())
    }

    /// Waits until the members lead so many shards each, in any order.
    async fn until_they_lead(&self, expected: &[usize]) {
        let counts = async || {
            let mut counts = Vec::new();
            for member in &self.members {
                counts.push(member.leads().await.len());
            }
            counts.sort_unstable();
            counts
        };
        if let Err(error) =
            jitsi_tests::wait::wait_until(crate::SOON, async || counts().await == expected).await
        {
            let logs = self.members.iter().map(|member| {
                let log = member.scaler.process.output();
                let lines: Vec<&str> = log.lines().filter(|line| line.contains("shard")).collect();
                format!("{}:\n{}\n", member.name, lines[lines.len().saturating_sub(15)..].join("\n"))
            });
            panic!("{error}: {:?} instead of {expected:?}\n{}", counts().await, logs.collect::<String>());
        }
    }

    /// The changes of each group, by their time, with who made them.
    fn changes(&self) -> BTreeMap<String, Vec<(f64, String)>> {
        let mut changes: BTreeMap<String, Vec<(f64, String)>> = BTreeMap::new();
        for call in self.scene.stage.asg.calls(true) {
            if let Some(group) = call.group.filter(|_| call.action == "SetDesiredCapacity") {
                changes.entry(group).or_default().push((call.time, call.access_key));
            }
        }
        changes
    }

    /// Waits until every group was changed after `since`.
    async fn until_all_were_changed(&self, since: f64) {
        let all = async || {
            let changes = self.changes();
            let newest = changes.values().filter(|changes| changes.last().is_some_and(|(at, _)| *at > since));
            newest.count() == usize::try_from(FLEETS).unwrap_or_default()
        };
        self.scene.until("every group is changed", all).await;
    }

    /// Checks that whoever changed a group held the lease of its shard at the time it took effect.
    fn assert_one_at_a_time(&self) -> Result<()> {
        for call in self.scene.stage.asg.calls(true) {
            let group = call.group.as_deref().with_context(|| format!("{call:?} names no group"))?;
            let lease = lease_of(group)?;
            let tenures = self.api.tenures(&lease);
            let held = tenures.iter().rev().find(|tenure| tenure.since <= call.time);
            let holder = held.map_or("", |tenure| tenure.holder.as_str());
            let own = format!("{}_", call.access_key);
            assert!(holder.starts_with(&own), "{call:?} while \"{holder}\" held {lease}; {tenures:?}");
        }
        Ok(())
    }

    /// The longest time between two changes of a group since `since`: of groups that went to another scaler, and of those
    /// that did not.
    fn longest_pauses(&self, since: f64) -> [f64; 2] {
        let mut longest = [0.0_f64; 2];
        for changes in self.changes().into_values() {
            let late: Vec<_> = changes.windows(2).filter(|pair| pair[1].0 > since).collect();
            let stayed = usize::from(late.iter().all(|pair| pair[0].1 == pair[1].1));
            let pauses = late.iter().map(|pair| pair[1].0 - pair[0].0.max(since));
            longest[stayed] = pauses.fold(longest[stayed], f64::max);
        }
        longest
    }

    /// How long it took from `since` until each of these shards had another holder than `name`.
    fn moved_after(&self, since: f64, shards: &BTreeSet<u64>, name: &str) -> Vec<f64> {
        let moved = |shard: &u64| {
            let tenures = self.api.tenures(&format!("{LEASE}-{shard}"));
            let next = tenures.iter().find(|tenure| {
                tenure.since > since && !tenure.holder.is_empty() && !tenure.holder.starts_with(name)
            });
            next.map_or(f64::INFINITY, |tenure| tenure.since - since)
        };
        shards.iter().map(moved).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_share_eight_shards_and_each_group_has_one_leader_at_a_time() -> Result<()> {
    let mut cast = Cast::start().await?;
    for name in ["one", "two", "three"] {
        cast.join(name).await?;
    }
    cast.until_they_lead(&[2, 3, 3]).await;
    cast.until_all_were_changed(cast.api.now()).await;
    cast.assert_one_at_a_time()?;
    what_they_show(&cast).await?;

    // One dies.
    let mut dead = cast.members.remove(0);
    let shards = dead.leads().await;
    dead.scaler.process.cut_off().await?;
    let killed = cast.api.now();
    cast.until_they_lead(&[4, 4]).await;
    let took = cast.moved_after(killed, &shards, dead.name);
    assert!(took.iter().all(|took| *took < DURATION + RETRY + SLACK), "{shards:?}: {took:?}");
    cast.until_all_were_changed(cast.api.now()).await;

    // One joins, and the groups that it gets wait no longer than the others.
    let joins = cast.api.now();
    cast.join("four").await?;
    cast.until_they_lead(&[2, 3, 3]).await;
    cast.until_all_were_changed(cast.api.now()).await;
    let [moved, stayed] = cast.longest_pauses(joins);
    assert!(
        moved > 0.0 && moved < stayed.max(PERIOD) + SLACK,
        "{moved} s, not {stayed} s: {:#?}",
        cast.changes()
    );

    // One stops: the others lead at once.
    let mut stopped = cast.members.remove(0);
    let shards = stopped.leads().await;
    stopped.scaler.process.terminate().await?;
    let ended = cast.api.now();
    cast.until_they_lead(&[4, 4]).await;
    let took = cast.moved_after(ended - SLACK, &shards, stopped.name);
    assert!(took.iter().all(|took| *took < RETRY + 2.0 * SLACK), "{shards:?}: {took:?}");
    cast.until_all_were_changed(cast.api.now()).await;
    cast.assert_one_at_a_time()
}

/// Each shows its own groups and who leads the others, and refuses what another one has to do.
async fn what_they_show(cast: &Cast) -> Result<()> {
    let (mut led, mut groups) = (0.0, BTreeSet::new());
    for member in &cast.members {
        let status = member.status().await?;
        Description::fetch(member.scaler.address).await?.hold("Status", &status)?;
        let own = status["groups"].as_array().context("groups")?.iter();
        let own: BTreeSet<String> =
            own.filter_map(|group| group["fleet"].as_str()).map(str::to_owned).collect();
        assert!(groups.is_disjoint(&own), "{groups:?} and {own:?}");
        groups.extend(own.clone());
        led += member.sample("jitsi_scaler_shards_led").await?;
        let samples =
            (member.sample("jitsi_scaler_shards").await?, member.sample("jitsi_scaler_leader").await?);
        assert_eq!(samples, (f64::from(SHARDS), 1.0));

        let other = (0..FLEETS).map(fleet).find(|fleet| !own.contains(fleet)).context("a fleet elsewhere")?;
        let holder = cast.api.tenures(&lease_of(&other)?).pop().context("a holder")?.holder;
        let page = reqwest::get(member.url("/")).await?.text().await?;
        assert!(page.contains(&format!("{holder} leads ")), "{page}");
        let alert = |fleet: &str| {
            json!({"version": "4", "alerts": [{
                "status": "firing", "labels": {"fleet": fleet}, "startsAt": "2026-11-20T07:00:00Z"
            }]})
        };
        let client = reqwest::Client::builder().no_proxy().build()?;
        let send = async |body: Value| {
            let answer = client.post(member.url("/api/v1/alertmanager")).json(&body).send().await?;
            anyhow::Ok((answer.status().as_u16(), answer.text().await?))
        };
        let (code, text) = send(alert(&other)).await?;
        assert!(code == 503 && text.contains(&holder), "{code} {text}");
        if let Some(mine) = own.first() {
            let (code, text) = send(alert(mine)).await?;
            assert!(code == 200 && text.contains("woken"), "{code} {text}");
        }
    }
    assert_eq!((led, groups.len()), (f64::from(SHARDS), usize::try_from(FLEETS)?));
    Ok(())
}
