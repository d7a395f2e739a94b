//! What a configuration reaches over the network: clouds, Prometheus and the components.
//!
//! Owns which fleets share a client. It asks for nothing itself.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Context as _;

use crate::cloud::aws::Aws;
use crate::cloud::azure::Azure;
use crate::cloud::either::Cloud;
use crate::cloud::{self, client::TOGETHER};
use crate::config::{Auth, Config, Fleet, GroupSelector, Prometheus, Role, Subscription, Tls, is_region};
use crate::control::{Claims, Clock, Controller, Deps, World};
use crate::jitsi::{self, http::Http};
use crate::leader::Lead;
use crate::observe::prometheus::Client;
use crate::observe::shared::Shared;
use crate::online::{Server, Visit};
use crate::telemetry::Telemetry;
use crate::units::{FleetName, Region};

/// A fleet without `asg.regions` where the AWS configuration does not help.
#[derive(Debug, thiserror::Error)]
pub enum NoRegion {
    /// It names none.
    #[error("find the region of fleet {0}: write asg.regions, or set AWS_REGION")]
    Missing(FleetName),
    /// It names something else.
    #[error(
        "find the region of fleet {0}: the AWS configuration names \"{1}\", which is not a region such as us-east-1; correct AWS_REGION or the region of the AWS profile, or write asg.regions"
    )]
    Wrong(FleetName, Region),
}

/// The real world, which the service and `plan` act in.
#[derive(Debug)]
pub struct Network;

impl World for Network {
    type Cloud = Cloud;
    type Metrics = Shared<Client>;
    type Components = Http;
}

/// The client of a Prometheus that the configuration names.
pub fn prometheus(settings: &Prometheus, clock: Clock) -> anyhow::Result<Client> {
    Client::new(settings.clone(), clock).context("set up the client of prometheus")
}

/// The different servers that fleets read, each with its fleets, in the order of the file.
pub fn servers(config: &Config, clock: Clock) -> anyhow::Result<Vec<Server<'_>>> {
    let mut servers: Vec<Server<'_>> = Vec::new();
    for fleet in &config.fleets {
        match servers.iter_mut().find(|server| server.settings == &fleet.prometheus) {
            Some(server) => server.fleets.push(fleet),
            None => servers.push(Server {
                client: prometheus(&fleet.prometheus, clock)?,
                settings: &fleet.prometheus,
                fleets: vec![fleet],
            }),
        }
    }
    Ok(servers)
}

/// A client of its own for the pages, for each server with the names of its fleets: a page load takes no connection and no
/// permit from an evaluation. It waits no longer than `deadline`.
pub fn archives(
    config: &Config,
    clock: Clock,
    deadline: Duration,
) -> anyhow::Result<Vec<(Vec<FleetName>, Client)>> {
    let servers = servers(config, clock)?.into_iter().map(|Server { settings, fleets, .. }| {
        let settings = Prometheus { timeout: settings.timeout.min(deadline), ..settings.clone() };
        let names = fleets.iter().map(|fleet| fleet.name.clone()).collect();
        Ok((names, prometheus(&settings, clock)?))
    });
    servers.collect()
}

/// The controllers of all fleets. They change nothing unless `lead` holds.
pub async fn controllers(
    config: &Config,
    clock: Clock,
    telemetry: &Telemetry,
    lead: &Lead,
) -> anyhow::Result<Vec<Controller<Network>>> {
    // Fleets of one server that tick together ask the same of their instances.
    let mut servers: Vec<(&Prometheus, Shared<Client>)> = Vec::new();
    let claims = Claims::default();
    // Fleets of one account share a client, so that they share describes. No two share one that can fail apart.
    let mut clouds: HashMap<Account, (cloud::client::Client<Cloud>, Option<Region>)> = HashMap::new();
    // Each client of components holds the system's certificates.
    let mut reached: Vec<(Option<(&Tls, &Auth)>, Http)> = Vec::new();
    let mut controllers = Vec::new();
    for fleet in &config.fleets {
        let account = Account::of(&fleet.asg);
        // Only a fleet without regions needs that of the AWS configuration, which takes seconds to find off EC2.
        let known =
            clouds.get(&account).filter(|(_, default)| default.is_some() || !fleet.asg.regions.is_empty());
        let (cloud, default) = match known {
            Some(known) => known.clone(),
            None => {
                let (cloud, default) = self::cloud(fleet, clock, lead.clone()).await?;
                let cloud = cloud::client::Client::new(cloud, telemetry.clone(), lead.clone(), TOGETHER);
                let made = (cloud, default);
                clouds.insert(account, made.clone());
                made
            }
        };
        let server = &fleet.prometheus;
        let metrics = once(&mut servers, server, || prometheus(server, clock).map(Shared::new))?;
        let by = fleet.drain.as_ref().map(|drain| (&drain.tls, &drain.auth));
        let http = once(&mut reached, by, || components(fleet))?;
        let deps = Deps {
            cloud,
            metrics,
            components: jitsi::client::Client::new(http, lead.clone()),
            telemetry: telemetry.clone(),
            claims: claims.clone(),
            delay: fleet.prometheus.delay,
            regions: regions(fleet, default)?,
        };
        controllers.extend(Controller::new(fleet.clone(), deps));
    }
    Ok(controllers)
}

/// What `key` has among the `known`, made first if need be.
fn once<K: PartialEq, V: Clone>(
    known: &mut Vec<(K, V)>,
    key: K,
    make: impl FnOnce() -> anyhow::Result<V>,
) -> anyhow::Result<V> {
    if let Some((_, value)) = known.iter().find(|(of, _)| *of == key) {
        return Ok(value.clone());
    }
    let value = make()?;
    known.push((key, value.clone()));
    Ok(value)
}

/// An account of a cloud, by what its calls authenticate with.
#[derive(PartialEq, Eq, Hash)]
enum Account {
    Aws(Option<Role>),
    Azure(Subscription),
}

impl Account {
    fn of(groups: &GroupSelector) -> Self {
        match &groups.subscription {
            None => Self::Aws(groups.role.clone()),
            Some(subscription) => Self::Azure(subscription.clone()),
        }
    }
}

/// The cloud of a fleet, and the region of the AWS configuration where the fleet needs one.
async fn cloud(fleet: &Fleet, clock: Clock, lead: Lead) -> anyhow::Result<(Cloud, Option<Region>)> {
    if let Some(subscription) = &fleet.asg.subscription {
        return Ok((Cloud::Azure(Azure::connect(subscription, lead, clock)?), None));
    }
    let aws = Aws::load(fleet.asg.role.clone(), fleet.asg.regions.first()).await;
    let default = aws.region().filter(|_| fleet.asg.regions.is_empty());
    Ok((Cloud::Aws(Box::new(aws)), default))
}

/// What `check --online` asks, a visit for each fleet.
pub async fn visits(config: &Config, clock: Clock) -> anyhow::Result<Vec<Visit<'_, Cloud>>> {
    let mut visits = Vec::new();
    for fleet in &config.fleets {
        // A check changes nothing.
        let (cloud, default) = cloud(fleet, clock, Lead::always()).await?;
        let regions = regions(fleet, default)?;
        visits.push(Visit { fleet, cloud, regions, components: components(fleet)? });
    }
    Ok(visits)
}

/// The regions of a fleet: its own, else the `default` of the AWS configuration.
fn regions(fleet: &Fleet, default: Option<Region>) -> Result<Vec<Region>, NoRegion> {
    match (fleet.asg.regions.as_slice(), default) {
        ([], Some(region)) if is_region(region.as_str()) => Ok(vec![region]),
        ([], Some(other)) => Err(NoRegion::Wrong(fleet.name.clone(), other)),
        ([], None) => Err(NoRegion::Missing(fleet.name.clone())),
        (regions, _) => Ok(regions.to_vec()),
    }
}

fn components(fleet: &Fleet) -> anyhow::Result<Http> {
    Http::new(fleet.drain.as_ref())
        .with_context(|| format!("set up the client of components of the fleet {}", fleet.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::{self, GROUPS, OUT};

    #[test]
    fn fleets_of_one_server_share_its_client() {
        let mut config = sample::config(GROUPS, &format!("expr: x\n        {OUT}"));
        let fleet = config.fleets[0].clone();
        let named = |name: &str, url: &str| {
            let mut fleet = Fleet { name: FleetName::new(name), ..fleet.clone() };
            fleet.prometheus.url = url.parse().expect("an address");
            fleet
        };
        config.fleets = vec![named("a", "http://x:1"), named("b", "http://y:1"), named("c", "http://x:1")];
        let servers = servers(&config, || std::time::Duration::ZERO).expect("clients");
        let fleets = |server: &Server<'_>| server.fleets.iter().map(|fleet| fleet.name.to_string()).collect();
        let shared: Vec<Vec<String>> = servers.iter().map(fleets).collect();
        assert_eq!(shared, [vec!["a", "c"], vec!["b"]]);
    }

    /// Clouds, and accounts of one, fail apart.
    #[test]
    fn fleets_share_a_client_only_within_an_account() {
        let vmss = |id: &str, group: &str| {
            format!(
                "vmss: {{subscription: 11111111-2222-3333-4444-55555555555{id}, resource_group: {group}, names: [a]}}\n    \
                 capacity: {{min: 1, max: 3}}"
            )
        };
        let account = |groups: &str| {
            Account::of(&sample::config(groups, &format!("expr: x\n        {OUT}")).fleets[0].asg)
        };
        assert!(account(GROUPS) == account("asg: {names: [b], regions: [us-east-1]}"));
        assert!(account(GROUPS) != account(&vmss("1", "a")));
        assert!(account(&vmss("1", "a")) == account(&vmss("1", "b")));
        assert!(account(&vmss("1", "a")) != account(&vmss("2", "a")));
    }

    #[test]
    fn what_is_shared_is_made_once() {
        let mut known = Vec::new();
        let mut made = 0;
        for key in ["a", "b", "a"] {
            once(&mut known, key, || {
                made += 1;
                Ok(key.to_owned())
            })
            .expect("it can be made");
        }
        assert_eq!(
            (made, once(&mut known, "a", || anyhow::bail!("again")).expect("it is known")),
            (2, "a".to_owned())
        );
        once(&mut known, "c", || anyhow::bail!("a broken file")).expect_err("it cannot be made");
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn the_error_of_a_fleet_without_a_region_names_the_remedy() {
        let config = sample::config(GROUPS, &format!("expr: x\n        {OUT}"));
        let told = |default: Option<&str>| {
            let error =
                regions(&config.fleets[0], default.map(Region::new)).map_err(|error| error.to_string());
            error.expect_err("no region")
        };
        insta::assert_snapshot!(told(None), @"find the region of fleet jvb: write asg.regions, or set AWS_REGION");
        insta::assert_snapshot!(told(Some("us_east_1")), @r#"find the region of fleet jvb: the AWS configuration names "us_east_1", which is not a region such as us-east-1; correct AWS_REGION or the region of the AWS profile, or write asg.regions"#);
        assert!(regions(&config.fleets[0], Some(Region::new("us-east-1"))).is_ok());
    }
}
