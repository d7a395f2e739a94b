use insta::assert_snapshot;

use super::*;
use crate::config::sample::{self, GROUPS, OUT};
use crate::units::{FleetName, GroupName, Region};

fn place() -> Place {
    Place::fleet(&FleetName::new("jvb")).region(&Region::new("us-east-1")).group(&GroupName::new("prod"))
}

fn fleet(more: &str) -> Fleet {
    let policy =
        format!("expr: x\n        {OUT}\n        scale_in: {{when: \"< 2\", periods: 3, remove: 1}}");
    sample::config(&format!("{GROUPS}\n    {more}"), &policy).fleets.remove(0)
}

/// A group without findings.
fn group() -> GroupDescription {
    let tags = vec![(MANAGED.to_owned(), "true".to_owned())];
    GroupDescription { tags, ..GroupDescription::with("prod", 3, &["InService"; 3]) }
}

fn said(findings: &[Finding]) -> String {
    let line = |it: &Finding| format!("{}: {}\n  {}\n", it.severity.as_str(), it.text, it.remedy);
    findings.iter().map(line).collect()
}

#[test]
fn a_group_without_faults_has_no_findings() {
    let settings = GroupSettings { protects_new: true, ..GroupSettings::default() };
    assert_eq!(said(&of_group(&fleet(""), &group(), &place())), "");
    assert_eq!(said(&of_settings(&settings, true, &place())), "");
}

#[test]
fn each_fault_of_a_group_has_its_command() {
    let faulty = GroupDescription {
        tags: vec![(MANAGED.to_owned(), "yes".to_owned())],
        suspended: ["Launch", "Terminate", "HealthCheck", "AZRebalance"].map(str::to_owned).to_vec(),
        is_weighted: true,
        max: Capacity::ONE,
        ..group()
    };
    assert_snapshot!(said(&of_group(&fleet(""), &faulty, &place())), @"
    error: the process Launch is suspended: no instance can be added
      resume it: aws autoscaling resume-processes --auto-scaling-group-name prod --scaling-processes Launch --region us-east-1
    error: the process Terminate is suspended: no instance can be removed
      resume it: aws autoscaling resume-processes --auto-scaling-group-name prod --scaling-processes Terminate --region us-east-1
    warning: the process HealthCheck is suspended: unhealthy instances stay
      resume it: aws autoscaling resume-processes --auto-scaling-group-name prod --scaling-processes HealthCheck --region us-east-1
    warning: minimum and maximum are both 1, so the group cannot scale
      give `capacity` a range, and the group, for example: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --min-size 1 --max-size 2 --region us-east-1
    error: the group's capacity counts weights, vCPUs or memory instead of instances, so the scaler only holds it
      remove WeightedCapacity from its overrides, replace instances that still have a weight, and count units: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --desired-capacity-type units --region us-east-1
    warning: the group lacks the tag jitsi-scaler-managed = true; without it the IAM policy of packaging/aws, policy-write.json, denies every change
      tag it: aws autoscaling create-or-update-tags --tags ResourceType=auto-scaling-group,ResourceId=prod,Key=jitsi-scaler-managed,Value=true,PropagateAtLaunch=false --region us-east-1
    ");
    let apart = of_group(&fleet("capacity: {min: 12, max: 20}"), &group(), &place());
    assert_snapshot!(said(&apart), @"
    error: the group's bounds are 1 to 9, and do not overlap with `capacity` (min 12, max 20)
      correct `capacity`, or let the group have both: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --min-size 1 --max-size 20 --region us-east-1
    ");
}

#[test]
fn a_group_whose_tags_leave_no_room_for_drains_is_told() {
    let tags = |count: usize| {
        let mut tags = group().tags;
        tags.extend((1..count).map(|number| (format!("team-{number}"), "a".to_owned())));
        // The scaler's own do not count.
        let drain = "2026-09-21T12:00:00Z closed scale-in".to_owned();
        tags.extend((0..9).map(|number| (format!("jitsi-scaler/drain/i-{number}"), drain.clone())));
        let most_drains = layout::most_drains(&tags);
        GroupDescription { max: Capacity::of(40), most_drains, tags, ..group() }
    };
    let found = |count| said(&of_group(&fleet(""), &tags(count), &place()));
    // A quarter of forty instances are ten; the last tag but those of cooldowns and pauses has room for nine.
    assert_eq!(found(44), "");
    assert_snapshot!(found(45), @"
    warning: the group has 45 tags of others, and at most 50: there is room for 9 of 10 drains
      set drain.max_in_flight to 9, or remove tags; these are there: aws autoscaling describe-tags --filters Name=auto-scaling-group,Values=prod --region us-east-1
    ");
    assert!(found(46).starts_with("error: "), "{}", found(46));
}

#[test]
fn each_setting_that_ends_instances_has_its_command() {
    let settings = GroupSettings {
        zones: ["a", "b"].map(str::to_owned).to_vec(),
        max_lifetime: Some(Duration::from_hours(168)),
        has_warm_pool: true,
        ..GroupSettings::default()
    };
    assert_snapshot!(said(&of_settings(&settings, true, &place())), @"
    warning: the group has a warm pool, whose instances come back into service without the scaler
      do not reuse instances on scale-in, or delete the pool: aws autoscaling delete-warm-pool --auto-scaling-group-name prod --region us-east-1
    warning: AZRebalance is active over 2 zones and ends instances without a drain
      suspend it: aws autoscaling suspend-processes --auto-scaling-group-name prod --scaling-processes AZRebalance --region us-east-1
    warning: AWS replaces instances after 7 days, even if they are in use
      let this scaler recycle them, and AWS none: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --max-instance-lifetime 0 --region us-east-1
    warning: new instances are not protected from scale-in, so AWS chooses one when anyone lowers the desired capacity
      protect them, which does not hinder this scaler: it terminates instances by name: aws autoscaling update-auto-scaling-group --auto-scaling-group-name prod --new-instances-protected-from-scale-in --region us-east-1
    ");
    let unprotected = vec![InstanceId::new("i-1"), InstanceId::new("i-2")];
    let settings = GroupSettings { protects_new: true, unprotected, ..GroupSettings::default() };
    assert_snapshot!(said(&of_settings(&settings, true, &place())), @"
    warning: not protected from scale-in: i-1, i-2
      protect them, which does not hinder this scaler: it terminates instances by name: aws autoscaling set-instance-protection --auto-scaling-group-name prod --instance-ids i-1 i-2 --protected-from-scale-in --region us-east-1
    ");
}

#[test]
fn what_else_scales_has_its_command() {
    let policy = |kind: &str| ScalingPolicy {
        name: "scale out".to_owned(),
        kind: kind.to_owned(),
        enabled: true,
        alarms: vec!["high".to_owned()],
    };
    let action = ScheduledAction { name: "night".to_owned(), recurrence: None };
    let mut findings = other_policies(&[policy("StepScaling")], false, &place());
    findings.extend(other_policies(&[policy("StepScaling")], true, &place()));
    findings.extend(scheduled(&[action], false, &place()));
    findings.extend(refresh(true, &place()));
    assert_snapshot!(said(&findings), @r#"
    warning: the scaling policy "scale out" (StepScaling, driven by the CloudWatch alarms high) also scales the group, and lets AWS choose which instance to terminate
      delete it: aws autoscaling delete-policy --auto-scaling-group-name prod --policy-name 'scale out' --region us-east-1
    note: the scaling policy "scale out" (StepScaling, driven by the CloudWatch alarms high) acts again as soon as AlarmNotification is resumed
      delete it once you rely on this scaler: aws autoscaling delete-policy --auto-scaling-group-name prod --policy-name 'scale out' --region us-east-1
    warning: the scheduled action "night" changes the group's capacity once
      write a schedule of this fleet instead, and delete it: aws autoscaling delete-scheduled-action --auto-scaling-group-name prod --scheduled-action-name night --region us-east-1
    warning: an instance refresh is in progress: it replaces instances without a drain, and blocks every scale-in
      wait for its end, or cancel it: aws autoscaling cancel-instance-refresh --auto-scaling-group-name prod --region us-east-1
    "#);
}

#[test]
fn each_fault_of_hooks_has_its_command() {
    let hook = |name: &str, seconds| Hook {
        name: name.to_owned(),
        limit: Duration::from_secs(seconds * 100),
        heartbeat: Duration::from_secs(seconds),
    };
    let mut findings = short_hooks(&fleet(""), &[hook("drain", 60)], &place());
    findings.extend(chosen_hook(&fleet("lifecycle_hook: drain"), &[], &place()));
    findings.extend(chosen_hook(&fleet(""), &[hook("a", 3600), hook("b", 3600)], &place()));
    assert_snapshot!(said(&findings), @r#"
    warning: the terminating hook "drain" holds an instance for 100 minutes at most, and a drain may take 6 hours
      raise its heartbeat timeout, of which AWS allows a hundred in at most 48 hours: aws autoscaling put-lifecycle-hook --auto-scaling-group-name prod --lifecycle-hook-name drain --heartbeat-timeout 3600 --region us-east-1
    error: the terminating hook "drain" holds an instance for 60 s without a heartbeat, and the fleet is evaluated every 60 s: AWS may end it before the scaler sees it
      raise its heartbeat timeout: aws autoscaling put-lifecycle-hook --auto-scaling-group-name prod --lifecycle-hook-name drain --heartbeat-timeout 3600 --region us-east-1
    error: the group has no terminating hook "drain"
      correct lifecycle_hook (the group has none), or create it: aws autoscaling put-lifecycle-hook --auto-scaling-group-name prod --lifecycle-hook-name drain --lifecycle-transition autoscaling:EC2_INSTANCE_TERMINATING --heartbeat-timeout 3600 --region us-east-1
    error: the group has several terminating hooks (a, b), and the scaler serves none of them
      name the one to serve in the configuration: lifecycle_hook: a
    "#);
}
