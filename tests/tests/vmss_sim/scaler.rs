//! The scaler's own client against the simulator: its credentials, and each change followed to its end.

use std::process::Stdio;
use std::time::Duration;

use jitsi_scaler::cloud::azure::Azure;
use jitsi_scaler::cloud::client::Client;
use jitsi_scaler::cloud::{Change, CloudError, GroupDescription};
use jitsi_scaler::config::{Groups, Subscription};
use jitsi_scaler::leader::Lead;
use jitsi_scaler::telemetry::Telemetry;
use jitsi_scaler::units::{Capacity, GroupName, InstanceId, Region};
use jitsi_tests::vmss_sim::{Config, Orchestration, SUBSCRIPTION, SetSpec, VmssSim};
use jitsi_tests::wait::wait_until;
use prometheus_client::registry::Registry;

/// The variable with the address of the simulator.
const ADDRESS: &str = "VMSS_SIM_ADDRESS";
const SOON: Duration = Duration::from_mins(1);

fn clock() -> Duration {
    Duration::from_secs(1_795_000_000)
}

struct Scene {
    azure: Client<Azure>,
    region: Region,
    group: GroupName,
}

impl Scene {
    async fn described(&self) -> Option<GroupDescription> {
        let groups = Groups::Names(vec![self.group.clone()]);
        self.azure.describe(&self.region, &groups).await.ok()?.pop()
    }

    /// Makes a change, as soon as the one before has ended: the client learns that a moment after the set shows it.
    async fn apply(&self, change: Change<'_>) {
        let is_made = async || match self.azure.apply(&self.region, &self.group, change).await {
            Err(CloudError::Refused { code, .. }) if code == "OperationInProgress" => false,
            answer => answer.map_or_else(|error| panic!("{change:?}: {error}"), |()| true),
        };
        wait_until(SOON, is_made).await.expect("the change before ends");
    }

    /// The instances in service, once there are `count` of them, as many as desired, and nothing else.
    async fn settled(&self, count: usize) -> Vec<InstanceId> {
        let found = async || {
            let group = self.described().await?;
            let serving: Vec<_> = group.instances.iter().filter(|it| it.lifecycle == "InService").collect();
            let is_settled = serving.len() == count
                && group.instances.len() == count
                && group.desired == Capacity::of(count);
            is_settled.then(|| serving.iter().map(|it| it.id.clone()).collect::<Vec<_>>())
        };
        wait_until(SOON, async || found().await.is_some()).await.expect("the set settles");
        found().await.expect("it is settled")
    }
}

/// The steps of a scaler, in a process of its own: its credentials come from the environment.
#[ignore = "a part of the test below"]
#[tokio::test]
async fn steps() {
    let endpoint = std::env::var(ADDRESS).expect("an address").parse().expect("an address");
    let subscription = Subscription { id: SUBSCRIPTION.to_owned(), endpoint };
    let azure = Azure::connect(&subscription, Lead::always(), clock).expect("a client");
    let telemetry = Telemetry::register(&mut Registry::default());
    let azure = Client::new(azure, telemetry, Lead::always(), Duration::ZERO);
    let scene = Scene { azure, region: Region::new("rg"), group: GroupName::new("jvb") };

    scene.settled(2).await;
    scene.apply(Change::SetDesired(Capacity::of(3))).await;
    let ids = scene.settled(3).await;
    scene.apply(Change::SetProtection { instances: &ids[..1], protected: true }).await;
    let key = format!("jitsi-scaler/drain/{}", ids[0]);
    scene.apply(Change::Tag { key: &key, value: "a drain" }).await;
    let group = scene.described().await.expect("described");
    assert!(group.tags.contains(&(key.clone(), "a drain".to_owned())), "{:?}", group.tags);
    assert!(group.instances.iter().any(|it| it.id == ids[0] && it.protected));
    // Protection does not stop the deletion of a machine by its name.
    scene.apply(Change::TerminateAndDecrement(&ids[0])).await;
    let left = scene.settled(2).await;
    assert!(!left.contains(&ids[0]) && left.iter().all(|id| ids.contains(id)), "{left:?}");
    scene.apply(Change::Untag { key: &key }).await;
    scene.apply(Change::TerminateAndReplace(&left[0])).await;
    let replaced =
        async || scene.described().await.is_some_and(|it| it.instances.iter().all(|it| it.id != left[0]));
    wait_until(SOON, replaced).await.expect("it leaves");
    scene.settled(2).await;
}

#[test_case::test_case(Orchestration::Uniform; "uniform")]
#[test_case::test_case(Orchestration::Flexible; "flexible")]
#[tokio::test]
async fn the_scalers_client_and_the_simulator_understand_each_other(orchestration: Orchestration) {
    let sim = VmssSim::start(Config { page: 2, ..Config::default() }).await.expect("a free port");
    let spec = SetSpec {
        capacity: Some(2),
        orchestration,
        launch_seconds: Some(0.5),
        delete_seconds: Some(0.5),
        ..SetSpec::default()
    };
    sim.put_set("rg", "jvb", &spec).expect("a good set");
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", "scaler::steps", "--ignored", "--nocapture"]);
    child.env(ADDRESS, sim.url()).env("IDENTITY_ENDPOINT", sim.identity_url()).env("IDENTITY_HEADER", "x");
    let output = child.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let calls: String = sim
        .calls(false)
        .iter()
        .map(|it| format!("{} {} {} {}\n", it.action, it.body, it.path, it.outcome))
        .collect();
    assert!(output.status.success(), "{said}\n{calls}");
    let set = sim.set("rg", "jvb").expect("the set");
    assert_eq!((set.capacity, set.instances.len()), (2, 2));
}
