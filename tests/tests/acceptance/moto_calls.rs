//! The calls that end, protect and replace instances, as moto understands them.

use anyhow::{Context as _, Result};
use aws_config::BehaviorVersion;
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::config::Credentials;
use jitsi_scaler::cloud::aws::Aws;
use jitsi_scaler::cloud::{CloudError, GroupDescription, ScalingGroups as _};
use jitsi_scaler::config::Groups;
use jitsi_scaler::units::{GroupName, InstanceId, Region};
use jitsi_tests::harness::Moto;

const REGION: &str = "us-east-1";
const GROUP: &str = "prod";

/// A group of so many instances in moto, and the scaler's view of it.
struct Scene {
    _moto: Moto,
    _folder: tempfile::TempDir,
    aws: Aws,
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
        let client = Client::new(&config);
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
        let aws = Aws::new(config, None);
        let (region, group) = (Region::new(REGION), GroupName::new(GROUP));
        let mut scene = Self { _moto: moto, _folder: folder, aws, region, group, ids: Vec::new() };
        scene.ids = scene.described().await?.instances.into_iter().map(|it| it.id).collect();
        Ok(scene)
    }

    async fn described(&self) -> Result<GroupDescription> {
        let found = self.aws.describe(&self.region, &Groups::Names(vec![self.group.clone()])).await?;
        found.into_iter().next().context("the group")
    }

    /// The instances for which something holds.
    async fn those(
        &self,
        holds: impl Fn(&jitsi_scaler::cloud::InstanceDescription) -> bool,
    ) -> Result<Vec<InstanceId>> {
        Ok(self.described().await?.instances.into_iter().filter(|it| holds(it)).map(|it| it.id).collect())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_ended_takes_its_place_with_it() -> Result<()> {
    let scene = Scene::start(3).await?;
    let (ended, others) = scene.ids.split_first().context("three")?;
    // Protection keeps AWS from choosing it, not us from naming it.
    scene.aws.protect(&scene.region, &scene.group, &scene.ids, true).await?;
    scene.aws.terminate_and_decrement(&scene.region, ended).await?;
    let group = scene.described().await?;
    assert_eq!(group.desired.get(), 2);
    let left: Vec<_> = group.instances.iter().map(|it| it.id.clone()).collect();
    assert_eq!(left, others, "it is gone, and nothing came in its place");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_replaced_leaves_its_place_to_another() -> Result<()> {
    let scene = Scene::start(3).await?;
    let (replaced, others) = scene.ids.split_first().context("three")?;
    scene.aws.terminate_and_replace(&scene.region, replaced).await?;
    let group = scene.described().await?;
    assert_eq!((group.desired.get(), group.instances.len()), (3, 3));
    assert!(group.instances.iter().all(|it| it.id != *replaced));
    assert!(others.iter().all(|id| group.instances.iter().any(|it| it.id == *id)));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn protection_is_given_and_taken_of_those_that_are_named() -> Result<()> {
    // As many as one call may name, and one more.
    let scene = Scene::start(51).await?;
    let (fifty, last) = scene.ids.split_at(jitsi_scaler::decide::decision::PROTECTED_AT_ONCE);
    scene.aws.protect(&scene.region, &scene.group, fifty, true).await?;
    assert_eq!(scene.those(|it| it.protected).await?, fifty);
    assert_eq!(scene.those(|it| !it.protected).await?, last);
    scene.aws.protect(&scene.region, &scene.group, &fifty[1..], false).await?;
    assert_eq!(scene.those(|it| it.protected).await?, fifty[..1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_called_ill_stays_part_of_what_is_desired() -> Result<()> {
    let scene = Scene::start(3).await?;
    assert!(scene.those(|it| !it.healthy).await?.is_empty());
    scene.aws.set_unhealthy(&scene.region, &scene.ids[1]).await?;
    assert_eq!(scene.those(|it| !it.healthy).await?, scene.ids[1..2]);
    // Another one comes in its place; moto leaves that out.
    assert_eq!(scene.described().await?.desired.get(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_refused_and_changes_nothing() -> Result<()> {
    let scene = Scene::start(2).await?;
    let before = scene.described().await?;
    let unknown = InstanceId::new("i-0123456789abcdef0");
    for (call, answer) in [
        (
            "TerminateInstanceInAutoScalingGroup",
            scene.aws.terminate_and_decrement(&scene.region, &unknown).await,
        ),
        ("SetInstanceHealth", scene.aws.set_unhealthy(&scene.region, &unknown).await),
    ] {
        let error = answer.expect_err(call);
        assert!(matches!(error, CloudError::Refused { .. }) && error.to_string().contains(call), "{error}");
    }
    assert_eq!(scene.described().await?, before);
    Ok(())
}
