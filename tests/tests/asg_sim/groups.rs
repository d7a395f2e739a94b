//! The describe actions: groups, pages, filters, tags, activities, regions.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_autoscaling::types::{
    Filter, Instance, LaunchTemplateSpecification, LifecycleState, ScalingActivityStatusCode, Tag,
};
use jitsi_tests::asg_sim::{ErrorCode, Fault, GroupSpec};
use jitsi_tests::wait::wait_until;
use serde_json::json;

use crate::{
    NAME, REGION, SOON, client, code, group, id, in_service, instances, simulator, simulator_with, sized,
};

#[tokio::test]
async fn a_group_created_by_the_sdk_launches_and_reads_back() {
    let sim = simulator().await;
    let client = client(&sim, REGION);
    let tag = Tag::builder().key("jitsi-fleet").value("a <b> & \"c\"").propagate_at_launch(false).build();
    client
        .create_auto_scaling_group()
        .auto_scaling_group_name(NAME)
        .min_size(1)
        .max_size(4)
        .desired_capacity(3)
        .availability_zones("us-east-1a")
        .availability_zones("us-east-1b")
        .launch_template(LaunchTemplateSpecification::builder().launch_template_name("jvb").build())
        .new_instances_protected_from_scale_in(true)
        .default_cooldown(120)
        .health_check_grace_period(60)
        .max_instance_lifetime(86_400)
        .tags(tag)
        .send()
        .await
        .expect("created");
    in_service(&sim, 3).await;

    let group = group(&client).await;
    assert_eq!((group.min_size(), group.max_size(), group.desired_capacity()), (Some(1), Some(4), Some(3)));
    assert_eq!(group.default_cooldown(), Some(120));
    assert_eq!(group.health_check_grace_period(), Some(60));
    assert_eq!(group.max_instance_lifetime(), Some(86_400));
    assert_eq!(group.new_instances_protected_from_scale_in(), Some(true));
    assert_eq!(group.tags()[0].value(), Some("a <b> & \"c\""));
    assert!(group.auto_scaling_group_arn().is_some_and(|arn| arn.ends_with("autoScalingGroupName/prod-jvb")));
    assert!(group.created_time().is_some_and(|created| created.secs() > 1_700_000_000));
    let zones: BTreeSet<_> = group.instances().iter().filter_map(Instance::availability_zone).collect();
    assert_eq!(zones.len(), 2);
    for instance in group.instances() {
        assert_eq!(instance.lifecycle_state(), Some(&LifecycleState::InService));
        assert_eq!(instance.health_status(), Some("Healthy"));
        assert_eq!(instance.protected_from_scale_in(), Some(true));
    }

    let again = client
        .create_auto_scaling_group()
        .auto_scaling_group_name(NAME)
        .min_size(1)
        .max_size(4)
        .availability_zones("us-east-1a")
        .launch_configuration_name("old")
        .send()
        .await;
    assert_eq!(code(again), "AlreadyExists");
    let busy = client.delete_auto_scaling_group().auto_scaling_group_name(NAME).send().await;
    assert_eq!(code(busy), "ResourceInUse");
    client
        .delete_auto_scaling_group()
        .auto_scaling_group_name(NAME)
        .force_delete(true)
        .send()
        .await
        .expect("by force");
    wait_until(SOON, async || sim.groups().is_empty()).await.expect("the group goes");
}

#[tokio::test]
async fn two_hundred_and_fifty_groups_come_in_pages() {
    let sim = simulator().await;
    for number in 0..250 {
        let fleet = if number % 2 == 0 { "jvb" } else { "jibri" };
        let tags = BTreeMap::from([("jitsi-fleet".into(), fleet.into())]);
        let spec = GroupSpec { tags, ..GroupSpec::default() };
        sim.put_group(REGION, &format!("group-{number:03}"), &spec).expect("a good group");
    }
    let client = client(&sim, REGION);

    let mut pages = client.describe_auto_scaling_groups().max_records(100).into_paginator().send();
    let (mut sizes, mut names) = (Vec::new(), BTreeSet::new());
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        sizes.push(page.auto_scaling_groups().len());
        names.extend(
            page.auto_scaling_groups().iter().filter_map(|group| group.auto_scaling_group_name.clone()),
        );
    }
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(names.len(), 250);

    // By default a page has fifty items, even if a hundred were named.
    let hundred = (0..100).map(|number| format!("group-{number:03}")).collect();
    let answer = client
        .describe_auto_scaling_groups()
        .set_auto_scaling_group_names(Some(hundred))
        .send()
        .await
        .expect("a page");
    assert_eq!(answer.auto_scaling_groups().len(), 50);
    assert!(answer.next_token().is_some());

    let by_tag = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    for (filter, count) in [
        (by_tag("tag:jitsi-fleet", "jvb"), 125),
        (by_tag("tag:jitsi-fleet", "jicofo"), 0),
        (by_tag("tag-key", "jitsi-fleet"), 250),
        (by_tag("tag-key", "other"), 0),
        (by_tag("tag-value", "jibri"), 125),
    ] {
        let found = client
            .describe_auto_scaling_groups()
            .filters(filter.clone())
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .expect("pages");
        assert_eq!(found.len(), count, "{filter:?}");
    }

    let token = client.describe_auto_scaling_groups().next_token("nonsense").send().await;
    assert_eq!(code(token), "InvalidNextToken");
    let greedy = client.describe_auto_scaling_groups().max_records(101).send().await;
    assert_eq!(code(greedy), "ValidationError");
}

#[tokio::test]
async fn tags_make_the_round_trip() {
    let sim = simulator_with(&sized(1)).await;
    let client = client(&sim, REGION);
    let tag = |key: &str, value: &str| {
        Tag::builder()
            .resource_id(NAME)
            .resource_type("auto-scaling-group")
            .key(key)
            .value(value)
            .propagate_at_launch(false)
            .build()
    };
    let drain = "jitsi-scaler/drain/i-0123456789abcdef0";
    client
        .create_or_update_tags()
        .tags(tag("jitsi-scaler/scaled-out", "2026-01-01T00:00:00Z"))
        .tags(tag(drain, "2026-01-01T00:00:00Z draining"))
        .send()
        .await
        .expect("written");
    client
        .create_or_update_tags()
        .tags(tag(drain, "2026-01-01T00:00:00Z empty"))
        .send()
        .await
        .expect("updated");
    let read = group(&client).await;
    let values: BTreeMap<_, _> =
        read.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect();
    assert_eq!(values["jitsi-scaler/scaled-out"], "2026-01-01T00:00:00Z");
    assert_eq!(values[drain], "2026-01-01T00:00:00Z empty");

    let by_key = Filter::builder().name("key").values(drain).build();
    let described = client.describe_tags().filters(by_key).send().await.expect("tags");
    assert_eq!(described.tags().len(), 1);
    assert_eq!(described.tags()[0].resource_id(), Some(NAME));
    assert_eq!(described.tags()[0].propagate_at_launch(), Some(false));

    client.delete_tags().tags(tag(drain, "")).send().await.expect("deleted");
    client.delete_tags().tags(tag(drain, "")).send().await.expect("deleted twice is no error");
    assert_eq!(group(&client).await.tags().len(), 1);

    let long = client.create_or_update_tags().tags(tag("key", &"v".repeat(257))).send().await;
    assert_eq!(code(long), "ValidationError");
    let many = (0..50).map(|number| tag(&format!("key-{number}"), "")).collect();
    assert_eq!(code(client.create_or_update_tags().set_tags(Some(many)).send().await), "LimitExceeded");
}

#[tokio::test]
async fn failed_launches_show_in_the_activities_newest_first() {
    let sim = simulator_with(&sized(1)).await;
    let client = client(&sim, REGION);
    sim.fail_launches(REGION, NAME, 3, None).expect("known");
    client
        .set_desired_capacity()
        .auto_scaling_group_name(NAME)
        .desired_capacity(2)
        .send()
        .await
        .expect("set");
    in_service(&sim, 2).await;
    let mut pages = client
        .describe_scaling_activities()
        .auto_scaling_group_name(NAME)
        .max_records(2)
        .into_paginator()
        .send();
    let mut activities = Vec::new();
    while let Some(page) = pages.next().await {
        activities.extend(page.expect("a page").activities().to_vec());
    }
    let statuses: Vec<_> = activities
        .iter()
        .filter_map(|one| one.status_code())
        .map(ScalingActivityStatusCode::as_str)
        .collect();
    assert_eq!(statuses, ["Successful", "Failed", "Failed", "Failed", "Successful"]);
    assert!(activities[1].status_message().is_some_and(|text| {
        text.starts_with("We currently do not have sufficient c5.xlarge capacity in the Availability Zone")
    }));
    assert!(
        activities[0].cause().is_some_and(|cause| cause.contains("explicitly set group desired capacity"))
    );
    assert_eq!(activities[0].progress(), Some(100));
    assert!(activities[0].end_time().is_some());
    let starts: Vec<_> = activities.iter().filter_map(|one| one.start_time()).collect();
    assert!(starts.is_sorted_by(|newer, older| newer >= older));

    let one = client.describe_scaling_activities().activity_ids(activities[2].activity_id().expect("an id"));
    assert_eq!(one.send().await.expect("a page").activities().len(), 1);
    let nobody = client.describe_scaling_activities().auto_scaling_group_name("nobody").send().await;
    assert_eq!(code(nobody), "ValidationError");
}

#[tokio::test]
async fn each_region_has_its_own_groups() {
    let sim = simulator_with(&sized(1)).await;
    sim.put_group("eu-west-1", NAME, &sized(2)).expect("a good group");
    let (east, west) = (client(&sim, REGION), client(&sim, "eu-west-1"));
    assert_eq!(group(&east).await.desired_capacity(), Some(1));
    assert_eq!(group(&west).await.desired_capacity(), Some(2));
    let mine = id(&instances(&east).await[0]);
    let elsewhere = west
        .terminate_instance_in_auto_scaling_group()
        .instance_id(mine)
        .should_decrement_desired_capacity(false)
        .send()
        .await;
    assert_eq!(code(elsewhere), "ValidationError");
    assert_eq!(sim.calls(true)[0].region, "eu-west-1");
    sim.add_fault(Fault { region: Some("eu-west-1".into()), ..Fault::error("*", ErrorCode::Throttling, 1) })
        .expect("a good fault");
    assert_eq!(group(&east).await.desired_capacity(), Some(1));
    assert_eq!(code(west.describe_auto_scaling_groups().send().await), "Throttling");
}

#[tokio::test]
async fn a_weighted_group_says_what_its_capacity_counts() {
    let spec = GroupSpec { weight: Some(2), capacity_type: Some("units".into()), ..sized(4) };
    let sim = simulator().await;
    sim.put_group(REGION, NAME, &spec).expect("a good group");
    in_service(&sim, 2).await;
    let group = group(&client(&sim, REGION)).await;
    assert_eq!(group.instances().len(), 2, "four units");
    assert!(group.instances().iter().all(|it| it.weighted_capacity() == Some("2")));
    let template = group.mixed_instances_policy().and_then(|policy| policy.launch_template());
    let overrides = template.expect("a launch template").overrides();
    assert_eq!(overrides[0].weighted_capacity(), Some("2"));
    assert_eq!(group.desired_capacity_type(), Some("units"));
}

#[tokio::test]
async fn refreshes_policies_and_managed_instances_are_described() {
    let policy = json!({"name": "cpu", "type": "TargetTrackingScaling", "alarms": ["high", "low"]});
    let policy = serde_json::from_value(policy).expect("a policy");
    let action = json!({"name": "night", "recurrence": "0 22 * * *", "max": 2});
    let action = serde_json::from_value(action).expect("an action");
    let more = GroupSpec { scheduled_actions: vec![action], warm_pool: true, ..sized(2) };
    let sim = simulator_with(&GroupSpec { policies: vec![policy], ..more }).await;
    let client = client(&sim, REGION);
    let policies = client.describe_policies().auto_scaling_group_name(NAME).send().await.expect("policies");
    let policy = &policies.scaling_policies()[0];
    assert_eq!((policy.policy_name(), policy.enabled()), (Some("cpu"), Some(true)));
    assert_eq!(policy.alarms()[1].alarm_name(), Some("low"));
    let actions = client.describe_scheduled_actions().auto_scaling_group_name(NAME).send().await;
    let actions = actions.expect("actions").scheduled_update_group_actions.unwrap_or_default();
    assert_eq!((actions[0].recurrence(), actions[0].max_size()), (Some("0 22 * * *"), Some(2)));
    assert!(group(&client).await.warm_pool_configuration().is_some());

    let refreshes = async || {
        let answer = client.describe_instance_refreshes().auto_scaling_group_name(NAME).send().await;
        let statuses = answer.expect("refreshes").instance_refreshes.unwrap_or_default();
        statuses
            .iter()
            .filter_map(|one| one.status().map(|status| status.as_str().to_owned()))
            .collect::<Vec<_>>()
    };
    assert!(refreshes().await.is_empty());
    sim.set_instance_refresh(REGION, NAME, true).expect("known");
    assert_eq!(refreshes().await, ["InProgress"]);
    sim.set_instance_refresh(REGION, NAME, false).expect("known");
    assert_eq!(refreshes().await, ["Successful"]);

    let wanted = id(&instances(&client).await[1]);
    let managed =
        client.describe_auto_scaling_instances().instance_ids(&wanted).send().await.expect("instances");
    assert_eq!(managed.auto_scaling_instances()[0].auto_scaling_group_name(), Some(NAME));
    let limits = client.describe_account_limits().send().await.expect("limits");
    assert_eq!(limits.number_of_auto_scaling_groups(), Some(1));
}
