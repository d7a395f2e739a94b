//! Changes of capacity: desired, termination, protection, suspension, health.

use aws_sdk_autoscaling::types::ScalingActivityStatusCode;
use jitsi_tests::wait::wait_until;

use crate::{
    NAME, REGION, SOON, client, code, gone, group, id, in_service, instances, message, simulator_with, sized,
};

#[tokio::test]
async fn desired_is_refused_outside_the_bounds_as_aws_words_it() {
    let sim = simulator_with(&sized(2)).await;
    let client = client(&sim, REGION);
    let set = |desired: i32, name: &'static str| {
        client.set_desired_capacity().auto_scaling_group_name(name).desired_capacity(desired).send()
    };
    assert_eq!(
        message(set(6, NAME).await),
        "New SetDesiredCapacity value 6 is above max value 5 for the AutoScalingGroup."
    );
    assert_eq!(
        message(set(0, NAME).await),
        "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup."
    );
    assert_eq!(code(set(6, NAME).await), "ValidationError");
    assert!(message(set(2, "nobody").await).starts_with("AutoScalingGroup name not found"));
    set(4, NAME).await.expect("within the bounds");
    in_service(&sim, 4).await;

    client
        .update_auto_scaling_group()
        .auto_scaling_group_name(NAME)
        .max_size(3)
        .send()
        .await
        .expect("updated");
    assert_eq!(group(&client).await.desired_capacity(), Some(3), "the bound takes desired with it");
    let honoring =
        client.set_desired_capacity().auto_scaling_group_name(NAME).desired_capacity(2).honor_cooldown(true);
    assert_eq!(code(honoring.send().await), "ScalingActivityInProgress");

    let outcomes: Vec<_> = sim.calls(true).into_iter().map(|call| (call.action, call.outcome)).collect();
    assert_eq!(outcomes[0], ("SetDesiredCapacity".into(), "ValidationError".into()));
    assert_eq!(outcomes.len(), 7);
}

#[tokio::test]
async fn an_instance_is_terminated_with_and_without_decrement() {
    let sim = simulator_with(&sized(3)).await;
    let client = client(&sim, REGION);
    let ids: Vec<_> = instances(&client).await.iter().map(id).collect();
    let terminate = |id: &str, decrement: bool| {
        client
            .terminate_instance_in_auto_scaling_group()
            .instance_id(id)
            .should_decrement_desired_capacity(decrement)
            .send()
    };

    let begun = terminate(&ids[0], true).await.expect("terminated");
    let activity = begun.activity().expect("an activity");
    assert_eq!(activity.status_code(), Some(&ScalingActivityStatusCode::InProgress));
    assert_eq!(activity.description(), Some(format!("Terminating EC2 instance: {}", ids[0]).as_str()));
    assert_eq!(group(&client).await.desired_capacity(), Some(2));
    gone(&client, &ids[0]).await;
    in_service(&sim, 2).await;

    terminate(&ids[1], false).await.expect("terminated");
    gone(&client, &ids[1]).await;
    in_service(&sim, 2).await;
    assert_eq!(group(&client).await.desired_capacity(), Some(2));

    terminate(&ids[2], true).await.expect("terminated");
    gone(&client, &ids[2]).await;
    let last = id(&instances(&client).await[0]);
    assert_eq!(
        message(terminate(&last, true).await),
        "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate \
         group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower \
         group's min size."
    );
    assert!(message(terminate("i-00000000000000000", true).await).starts_with("Instance Id not found"));
    let counters = sim.counters();
    assert_eq!((counters.terminated_by_api, counters.terminated_by_aws), (3, 0));
}

#[tokio::test]
async fn lowering_desired_lets_aws_choose_among_the_unprotected() {
    let sim = simulator_with(&sized(3)).await;
    let client = client(&sim, REGION);
    let ids: Vec<_> = instances(&client).await.iter().map(id).collect();
    let protect = |ids: Vec<String>, protect: bool| {
        client
            .set_instance_protection()
            .auto_scaling_group_name(NAME)
            .set_instance_ids(Some(ids))
            .protected_from_scale_in(protect)
            .send()
    };
    assert_eq!(code(protect(vec!["i-00000000000000000".into()], true).await), "ValidationError");
    assert_eq!(code(protect(vec![ids[0].clone(); 51], true).await), "ValidationError");
    protect(ids.clone(), true).await.expect("protected");
    client
        .set_desired_capacity()
        .auto_scaling_group_name(NAME)
        .desired_capacity(2)
        .send()
        .await
        .expect("set");
    let told = async || {
        let answer = client.describe_scaling_activities().auto_scaling_group_name(NAME).send().await;
        let newest = answer.expect("activities").activities()[0].clone();
        newest.status_message().is_some_and(|text| text.contains("protected from scale in"))
    };
    wait_until(SOON, told).await.expect("it says why nothing goes");
    assert_eq!(instances(&client).await.len(), 3);
    protect(vec![ids[1].clone()], false).await.expect("unprotected");
    gone(&client, &ids[1]).await;
    assert_eq!(sim.counters().victims_of_aws, 1);
}

#[tokio::test]
async fn suspended_processes_hold_launches() {
    let sim = simulator_with(&sized(1)).await;
    let client = client(&sim, REGION);
    client
        .suspend_processes()
        .auto_scaling_group_name(NAME)
        .scaling_processes("Launch")
        .send()
        .await
        .expect("suspended");
    let suspended = group(&client).await.suspended_processes()[0].clone();
    assert_eq!(suspended.process_name(), Some("Launch"));
    assert!(suspended.suspension_reason().is_some_and(|reason| reason.starts_with("User suspended at")));
    client
        .set_desired_capacity()
        .auto_scaling_group_name(NAME)
        .desired_capacity(2)
        .send()
        .await
        .expect("set");
    client.resume_processes().auto_scaling_group_name(NAME).send().await.expect("resumed");
    in_service(&sim, 2).await;
    let resumed = sim.calls(true).last().expect("the resumption").time;
    let launched = sim.group(REGION, NAME).expect("the group").instances[1].launched;
    assert!(launched >= resumed, "nothing was launched before {resumed}: {launched}");
}

#[tokio::test]
async fn an_unhealthy_instance_is_replaced_and_desired_stays() {
    let sim = simulator_with(&sized(2)).await;
    let client = client(&sim, REGION);
    let ill = id(&instances(&client).await[0]);
    let set =
        |id: &str, status: &str| client.set_instance_health().instance_id(id).health_status(status).send();
    assert_eq!(code(set(&ill, "Poorly").await), "ValidationError");
    set(&ill, "Unhealthy").await.expect("known");
    gone(&client, &ill).await;
    in_service(&sim, 2).await;
    assert_eq!(group(&client).await.desired_capacity(), Some(2));
    assert_eq!(sim.counters().terminated_unhealthy, 1);
}
