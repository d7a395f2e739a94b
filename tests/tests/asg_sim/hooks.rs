//! Lifecycle hooks: holds, heartbeats, completion, timeouts.

use std::time::Duration;

use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{Instance, LifecycleState, ScalingActivityStatusCode};
use jitsi_tests::asg_sim::Transition;
use jitsi_tests::wait::wait_until;

use crate::{
    NAME, REGION, SOON, client, code, gone, hooked, id, in_state, instances, message, simulator,
    simulator_with, sized,
};

#[tokio::test]
async fn a_terminating_hook_holds_through_heartbeats_until_it_is_completed() {
    let sim = simulator_with(&hooked(2, Transition::Terminating, 2)).await;
    let client = client(&sim, REGION);
    let held = id(&instances(&client).await[0]);
    sim.terminate_by_aws(REGION, NAME, &held, false).expect("known");
    in_state(&client, &held, &LifecycleState::TerminatingWait).await;
    in_service_beside(&client, &held, 2).await;

    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        client
            .record_lifecycle_action_heartbeat()
            .auto_scaling_group_name(NAME)
            .lifecycle_hook_name("drain")
            .instance_id(&held)
            .send()
            .await
            .expect("still held");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    in_state(&client, &held, &LifecycleState::TerminatingWait).await;

    let complete = |result: &'static str| {
        client
            .complete_lifecycle_action()
            .auto_scaling_group_name(NAME)
            .lifecycle_hook_name("drain")
            .instance_id(&held)
            .lifecycle_action_result(result)
            .send()
    };
    assert_eq!(code(complete("PERHAPS").await), "ValidationError");
    complete("CONTINUE").await.expect("held");
    gone(&client, &held).await;
    assert!(
        message(complete("CONTINUE").await).starts_with("No active Lifecycle Action found with instance ID")
    );
}

async fn in_service_beside(client: &Client, held: &str, count: usize) {
    let serving = async || {
        let all = instances(client).await;
        let serving = |one: &&Instance| one.lifecycle_state() == Some(&LifecycleState::InService);
        all.iter().filter(serving).filter(|one| id(one) != held).count() == count
    };
    wait_until(SOON, serving).await.expect("the replacement serves");
}

#[tokio::test]
async fn a_hook_without_heartbeats_times_out() {
    let sim = simulator_with(&hooked(2, Transition::Terminating, 2)).await;
    let client = client(&sim, REGION);
    let held = id(&instances(&client).await[0]);
    client
        .terminate_instance_in_auto_scaling_group()
        .instance_id(&held)
        .should_decrement_desired_capacity(true)
        .send()
        .await
        .expect("terminated");
    in_state(&client, &held, &LifecycleState::TerminatingWait).await;
    let activities = client.describe_scaling_activities().auto_scaling_group_name(NAME).send().await;
    let newest = activities.expect("activities").activities()[0].clone();
    assert_eq!(newest.status_code(), Some(&ScalingActivityStatusCode::MidLifecycleAction));
    gone(&client, &held).await;
}

#[tokio::test]
async fn hooks_are_put_described_and_deleted() {
    let sim = simulator_with(&sized(1)).await;
    let client = client(&sim, REGION);
    let put = |timeout: i32| {
        client
            .put_lifecycle_hook()
            .auto_scaling_group_name(NAME)
            .lifecycle_hook_name("drain")
            .lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING")
            .heartbeat_timeout(timeout)
            .default_result("CONTINUE")
            .send()
    };
    assert_eq!(code(put(29).await), "ValidationError");
    put(600).await.expect("put");
    let described =
        client.describe_lifecycle_hooks().auto_scaling_group_name(NAME).send().await.expect("hooks");
    let hook = &described.lifecycle_hooks()[0];
    assert_eq!((hook.heartbeat_timeout(), hook.global_timeout()), (Some(600), Some(60_000)));
    assert_eq!(hook.default_result(), Some("CONTINUE"));
    let delete =
        || client.delete_lifecycle_hook().auto_scaling_group_name(NAME).lifecycle_hook_name("drain").send();
    delete().await.expect("deleted");
    assert_eq!(code(delete().await), "ValidationError");
}

#[tokio::test]
async fn a_launching_hook_holds_an_instance_back() {
    let sim = simulator().await;
    sim.put_group(REGION, NAME, &hooked(1, Transition::Launching, 60)).expect("a good group");
    let client = client(&sim, REGION);
    wait_until(SOON, async || !instances(&client).await.is_empty()).await.expect("launched");
    let held = id(&instances(&client).await[0]);
    in_state(&client, &held, &LifecycleState::PendingWait).await;
    client
        .complete_lifecycle_action()
        .auto_scaling_group_name(NAME)
        .lifecycle_hook_name("drain")
        .instance_id(&held)
        .lifecycle_action_result("CONTINUE")
        .send()
        .await
        .expect("held");
    in_state(&client, &held, &LifecycleState::InService).await;
}
