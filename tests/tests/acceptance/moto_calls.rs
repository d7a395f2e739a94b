//! The changes of groups that terminate, protect and replace instances, as moto understands them.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_config::BehaviorVersion;
use aws_sdk_autoscaling::config::Credentials;
use jitsi_scaler::cloud::aws::Aws;
use jitsi_scaler::cloud::client::Client;
use jitsi_scaler::cloud::{Change, CloudError, GroupDescription};
use jitsi_scaler::config::Groups;
use jitsi_scaler::leader::Lead;
use jitsi_scaler::telemetry::Telemetry;
use jitsi_scaler::units::{GroupName, InstanceId, Region};
use jitsi_tests::harness::Moto;
use prometheus_client::registry::Registry;

const REGION: &str = "us-east-1";
const GROUP: &str = "prod";

/// A group in moto, and the scaler's client of it.
struct Scene {
    _moto: Moto,
    _folder: tempfile::TempDir,
    aws: Client<Aws>,
    region: Region,
    group: GroupName,
    ids: Vec<InstanceId>,
}

impl Scene {
    async fn start(count: i32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let moto = Moto::start(folder.path()).await?;
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(REGION)
            .endpoint_url(&moto.url)
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let client = aws_sdk_autoscaling::Client::new(&config);
        client
            .create_launch_configuration()
            .launch_configuration_name("jvb")
            .image_id("ami-12c6146b")
            .instance_type("t3.micro")
            .send()
            .await?;
        client
            .create_auto_scaling_group()
            .auto_scaling_group_name(GROUP)
            .launch_configuration_name("jvb")
            .min_size(1)
            .max_size(100)
            .desired_capacity(count)
            .availability_zones("us-east-1a")
            .send()
            .await?;
        let telemetry = Telemetry::register(&mut Registry::default());
        let aws = Client::new(Aws::new(config, None), telemetry, Lead::always(), Duration::ZERO);
        let (region, group) = (Region::new(REGION), GroupName::new(GROUP));
        let mut scene = Self { _moto: moto, _folder: folder, aws, region, group, ids: Vec::new() };
        scene.ids = scene.described().await?.instances.into_iter().map(|it| it.id).collect();
        Ok(scene)
    }

    async fn apply(&self, change: Change<'_>) -> Result<(), CloudError> {
        self.aws.apply(&self.region, &self.group, change).await
    }

    async fn described(&self) -> Result<GroupDescription> {
        let found = self.aws.describe(&self.region, &Groups::Names(vec![self.group.clone()])).await?;
        found.into_iter().next().context("the group")
    }

    /// The instances that satisfy a condition.
    async fn those(
        &self,
        holds: impl Fn(&jitsi_scaler::cloud::InstanceDescription) -> bool,
    ) -> Result<Vec<InstanceId>> {
        Ok(self.described().await?.instances.into_iter().filter(|it| holds(it)).map(|it| it.id).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_with_decrement_lowers_the_desired_capacity() -> Result<()> {
    let scene = Scene::start(3).await?;
    let (ended, others) = scene.ids.split_first().context("three")?;
    // Protection keeps AWS from choosing it, not the scaler from naming it.
    scene.apply(Change::SetProtection { instances: &scene.ids, protected: true }).await?;
    scene.apply(Change::TerminateAndDecrement(ended)).await?;
    let group = scene.described().await?;
    assert_eq!(group.desired.get(), 2);
    let left: Vec<_> = group.instances.iter().map(|it| it.id.clone()).collect();
    assert_eq!(left, others, "it is gone and not replaced");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_termination_without_decrement_is_replaced() -> Result<()> {
    let scene = Scene::start(3).await?;
    let (replaced, others) = scene.ids.split_first().context("three")?;
    scene.apply(Change::TerminateAndReplace(replaced)).await?;
    let group = scene.described().await?;
    assert_eq!((group.desired.get(), group.instances.len()), (3, 3));
    assert!(group.instances.iter().all(|it| it.id != *replaced));
    assert!(others.iter().all(|id| group.instances.iter().any(|it| it.id == *id)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_is_set_and_ended_by_instance() -> Result<()> {
    // One more than a call may name.
    let scene = Scene::start(51).await?;
    let (fifty, last) = scene.ids.split_at(jitsi_scaler::decide::decision::PROTECTED_AT_ONCE);
    scene.apply(Change::SetProtection { instances: fifty, protected: true }).await?;
    assert_eq!(scene.those(|it| it.protected).await?, fifty);
    assert_eq!(scene.those(|it| !it.protected).await?, last);
    scene.apply(Change::SetProtection { instances: &fifty[1..], protected: false }).await?;
    assert_eq!(scene.those(|it| it.protected).await?, fifty[..1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unhealthy_instance_keeps_the_desired_capacity() -> Result<()> {
    let scene = Scene::start(3).await?;
    assert!(scene.those(|it| !it.healthy).await?.is_empty());
    scene.apply(Change::SetUnhealthy(&scene.ids[1])).await?;
    assert_eq!(scene.those(|it| !it.healthy).await?, scene.ids[1..2]);
    // Moto does not launch the replacement.
    assert_eq!(scene.described().await?.desired.get(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_unknown_instance_is_refused() -> Result<()> {
    let scene = Scene::start(2).await?;
    let before = scene.described().await?;
    let unknown = InstanceId::new("i-0123456789abcdef0");
    for (call, change) in [
        ("TerminateInstanceInAutoScalingGroup", Change::TerminateAndDecrement(&unknown)),
        ("SetInstanceHealth", Change::SetUnhealthy(&unknown)),
    ] {
        let error = scene.apply(change).await.expect_err(call);
        // Moto answers one of them with a page of its own, as no AWS does.
        let expected = matches!(error, CloudError::Refused { .. } | CloudError::Unreachable { .. });
        assert!(expected && error.to_string().contains(call), "{error}");
    }
    assert_eq!(scene.described().await?, before);
    Ok(())
}
