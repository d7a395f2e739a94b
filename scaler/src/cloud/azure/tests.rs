//! The client against a fake of Azure Resource Manager: the behaviours that have harmed others, one test for each.

use proptest::prelude::*;
use serde_json::json;
use tokio::sync::watch;

use super::fake::{Fake, Reply, machines};
use crate::cloud::inspect::Inspection as _;
use crate::cloud::{ActivityKind, ActivityOutcome, Change, CloudError, ScalingGroups as _};
use crate::config::Groups;
use crate::leader::{Leadership, Standing};
use crate::units::{Capacity, GroupName, InstanceId};

fn capacity(capacity: u32) -> Change<'static> {
    Change::SetDesired(Capacity::saturating(capacity.into()))
}

fn id(name: &str) -> InstanceId {
    InstanceId::new(name)
}

fn code(answer: Result<(), CloudError>) -> String {
    match answer {
        Err(CloudError::Refused { code, .. }) => code,
        Err(other) => other.as_str().to_owned(),
        Ok(()) => "ok".to_owned(),
    }
}

fn failure(code: &str, message: &str) -> serde_json::Value {
    json!({"status": "Failed", "error": {"code": code, "message": message}})
}

#[tokio::test]
async fn a_set_is_described_to_its_last_page() {
    let fake = Fake::with(&["1", "2", "3", "5", "8"]).await;
    fake.change(|world| {
        world.sets.get_mut("jvb").expect("it").machines[4].state = "Creating";
        let other = world.sets["jvb"].clone();
        world.sets.extend(["a", "b", "z"].map(|name| (name.to_owned(), other.clone())));
    });
    let group = fake.describe().await.expect("described");
    assert_eq!((group.desired, group.min, group.instances.len()), (Capacity::of(5), Capacity::ZERO, 5));
    assert_eq!(group.zones, ["westeurope-1", "westeurope-2"]);
    let states: Vec<_> = group.instances.iter().map(|it| format!("{} {}", it.id, it.lifecycle)).collect();
    assert_eq!(states[3..], ["jvb_5 InService", "jvb_8 Pending"]);
    // More names than a few are looked for in the list, and keep the spelling of the configuration.
    let names = ["A", "b", "JVB", "none", "z"].map(GroupName::new).to_vec();
    let found = fake.azure.describe(&fake.region, &Groups::Names(names)).await.expect("described");
    let found: Vec<_> = found.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(found, ["A", "b", "JVB", "z"]);
    let asked = fake.asked("GET");
    assert!(
        asked
            .iter()
            .all(|it| it.token.as_deref() == Some("Bearer token")
                && it.path.contains("api-version=2024-07-01"))
    );
}

#[tokio::test]
async fn groups_are_selected_by_tags_and_a_flexible_set_is_read_by_a_filter() {
    let fake = Fake::with(&["0a1b2c3d"]).await;
    fake.change(|world| {
        let mut other = world.sets["jvb"].clone();
        other.tags.insert("Jitsi-Fleet".to_owned(), "jvb".to_owned());
        (other.flexible, other.machines) = (true, machines(&["1", "2", "3"]));
        other.capacity = 3;
        world.sets.insert("flex".to_owned(), other);
    });
    let tags = Groups::Tags(vec![("jitsi-fleet".to_owned(), "jvb".to_owned())]);
    let found = fake.azure.describe(&fake.region, &tags).await.expect("described");
    let [flex] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((flex.name.as_str(), flex.instances.len(), flex.desired), ("flex", 3, Capacity::of(3)));
}

#[tokio::test]
async fn a_raise_is_one_patch_of_the_capacity_alone() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.describe().await.expect("described");
    fake.apply(capacity(3)).await.expect("raised");
    let patches = fake.asked("PATCH");
    assert_eq!((patches.len(), &patches[0].body), (1, &json!({"sku": {"capacity": 3}})));
    assert_eq!(patches[0].if_match.as_deref(), Some("\"1\""));
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::of(3));
}

/// Somebody writes between the look and the patch.
#[tokio::test]
async fn a_set_that_changed_meanwhile_is_looked_at_once_more() {
    let fake = Fake::with(&["1", "2"]).await;
    let changed = |times| {
        let reply = || Reply {
            to: ("PATCH", "jvb"),
            status: 412,
            retry_after: 0,
            body: json!({"error": {"code": "PreconditionFailed", "message": "changed"}}),
        };
        fake.change(|world| world.replies.extend((0..times).map(|_| reply())));
    };
    changed(1);
    fake.apply(capacity(3)).await.expect("raised");
    changed(2);
    assert_eq!(code(fake.apply(capacity(4)).await), "PreconditionFailed");
    assert_eq!(fake.asked("PATCH").len(), 4);
}

/// Behaviour 1: a read that is throttled is not a set without instances, and its address is left alone.
#[tokio::test]
async fn a_throttled_read_is_no_answer_and_is_not_repeated_too_soon() {
    let fake = Fake::with(&["1", "2"]).await;
    let reply = Reply { to: ("GET", "jvb/virtualMachines"), status: 429, retry_after: 60, body: json!({}) };
    fake.change(|world| world.replies.push_back(reply));
    for _ in 0..2 {
        assert!(matches!(fake.describe().await, Err(CloudError::Throttled(_))));
    }
    let lists = fake.asked("GET").iter().filter(|it| it.path.contains("jvb/virtualMachines")).count();
    assert_eq!(lists, 1);
    fake.apply(capacity(3)).await.expect("another address");
}

/// Behaviour 2: a capacity of 0 was read once for a set of ninety.
#[tokio::test]
async fn an_absurd_capacity_is_no_answer() {
    let fake = Fake::with(&["1", "2", "3"]).await;
    fake.describe().await.expect("described");
    fake.change(|world| world.sets.get_mut("jvb").expect("it").shown = Some(0));
    let Err(CloudError::Refused { code: doubt, .. }) = fake.describe().await else {
        panic!("it was believed")
    };
    assert_eq!(doubt, "DoubtfulCapacity");
    // Nor does it let anything be deleted.
    assert_eq!(code(fake.apply(Change::TerminateAndDecrement(&id("jvb_1"))).await), "CapacityChanged");
    assert_eq!(fake.asked("POST").len(), 0);
}

/// Behaviour 3: answers lag behind writes.
#[tokio::test]
async fn a_lagging_answer_neither_undoes_a_raise_nor_repeats_a_deletion() {
    let fake = Fake::with(&["1", "2", "3"]).await;
    fake.describe().await.expect("described");
    fake.apply(capacity(5)).await.expect("raised");
    fake.change(|world| world.sets.get_mut("jvb").expect("it").shown = Some(3));
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::of(5));
    assert_eq!(code(fake.apply(capacity(4)).await), "NoRaise", "five were asked for");
    fake.settled().await;
    fake.change(|world| world.sets.get_mut("jvb").expect("it").shown = None);
    fake.describe().await.expect("described");
    fake.change(|world| world.is_held = true);
    fake.apply(Change::TerminateAndDecrement(&id("jvb_2"))).await.expect("deleted");
    fake.change(|world| {
        let set = world.sets.get_mut("jvb").expect("it");
        set.shown = Some(5);
        set.machines.iter_mut().for_each(|it| it.state = "Succeeded");
    });
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::of(4));
    assert_eq!(fake.lifecycle("jvb_2").await.as_deref(), Some("Terminating"), "it is listed as if it ran");
}

#[tokio::test]
async fn a_deletion_names_the_chosen_machine_and_lowers_the_capacity_by_itself() {
    let fake = Fake::with(&["1", "2", "3"]).await;
    fake.describe().await.expect("described");
    fake.change(|world| world.is_held = true);
    fake.apply(Change::TerminateAndDecrement(&id("jvb_2"))).await.expect("accepted");
    let posts = fake.asked("POST");
    assert_eq!((posts.len(), &posts[0].body), (1, &json!({"instanceIds": ["2"]})));
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::of(2));
    // One after the other: simultaneous deletions adjust the capacity twice, or end in a conflict.
    assert_eq!(code(fake.apply(Change::TerminateAndDecrement(&id("jvb_3"))).await), "OperationInProgress");
    fake.change(|world| world.is_held = false);
    fake.settled().await;
    assert_eq!(fake.lifecycle("jvb_2").await, None);
    assert!(fake.asked("PATCH").is_empty());
    let activities =
        fake.azure.activities(&fake.region, &GroupName::new("jvb"), None).await.expect("activities");
    assert_eq!(
        (&activities[0].kind, activities[0].outcome),
        (&ActivityKind::Terminate(id("jvb_2")), ActivityOutcome::Successful)
    );
}

/// Behaviour 4: the number of a machine that is gone is given to a new one.
#[tokio::test]
async fn a_namesake_is_not_deleted() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.describe().await.expect("described");
    fake.change(|world| world.sets.get_mut("jvb").expect("it").machines[1].vm_id = "another".to_owned());
    assert_eq!(code(fake.apply(Change::TerminateAndDecrement(&id("jvb_2"))).await), "InstanceChanged");
    assert_eq!(code(fake.apply(Change::TerminateAndDecrement(&id("jvb_9"))).await), "InstanceUnknown");
    assert!(fake.asked("POST").is_empty());
}

/// Behaviour 5: a later write preempts a deletion that Azure had accepted.
#[tokio::test]
async fn a_deletion_that_is_preempted_has_not_happened() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.describe().await.expect("described");
    let preempted = failure("OperationPreempted", "preempted by a more recent operation");
    fake.change(|world| world.ends.push_back(preempted));
    fake.apply(Change::TerminateAndDecrement(&id("jvb_2"))).await.expect("accepted");
    fake.settled().await;
    let group = fake.describe().await.expect("described");
    assert_eq!(group.desired, Capacity::of(2));
    assert_eq!(fake.lifecycle("jvb_2").await.as_deref(), Some("InService"));
    let activities =
        fake.azure.activities(&fake.region, &GroupName::new("jvb"), None).await.expect("activities");
    assert_eq!(
        (activities[0].outcome, activities[0].message.as_str()),
        (ActivityOutcome::Failed, "OperationPreempted: preempted by a more recent operation")
    );
    // It may be asked for again.
    fake.apply(Change::TerminateAndDecrement(&id("jvb_2"))).await.expect("accepted");
}

/// Behaviour 6: quota refuses the whole step, and the reason stands in the details of the operation's end.
#[tokio::test]
async fn a_raise_without_quota_fails_as_a_launch_with_azures_reason() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.describe().await.expect("described");
    let quota = json!({"status": "Failed", "error": {"code": "ResourceOperationFailure", "message": "failed",
        "details": [{"code": "OperationNotAllowed", "message": "exceeding approved Total Regional Cores quota"}]}});
    fake.change(|world| world.ends.push_back(quota));
    fake.apply(capacity(9)).await.expect("accepted");
    fake.settled().await;
    fake.change(|world| world.sets.get_mut("jvb").expect("it").capacity = 2);
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::of(2));
    let activities =
        fake.azure.activities(&fake.region, &GroupName::new("jvb"), None).await.expect("activities");
    let first = &activities[0];
    assert_eq!((&first.kind, first.outcome), (&ActivityKind::Launch(None), ActivityOutcome::Failed));
    assert_eq!(first.message, "OperationNotAllowed: exceeding approved Total Regional Cores quota");
}

#[tokio::test]
async fn a_machine_that_was_never_created_is_a_failed_launch() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.change(|world| {
        let set = world.sets.get_mut("jvb").expect("it");
        (set.machines[1].state, set.capacity) = ("Failed", 2);
    });
    let failed = json!({"value": [{"id": "/y", "name": "jvb_2", "instanceId": "2", "properties": {"vmId": "vm-2",
        "provisioningState": "Failed", "instanceView": {"statuses": [{"code": "ProvisioningState/failed/AllocationFailed", "time": "2026-11-20T08:00:00+00:00"}]}}}]});
    let reply = Reply { to: ("GET", "jvb/virtualMachines"), status: 200, retry_after: 0, body: failed };
    fake.change(|world| world.replies.push_back(reply));
    assert_eq!(fake.lifecycle("jvb_2").await.as_deref(), Some("Standby"));
    let activities =
        fake.azure.activities(&fake.region, &GroupName::new("jvb"), None).await.expect("activities");
    assert_eq!(
        (activities[0].outcome, activities[0].message.as_str()),
        (ActivityOutcome::Failed, "AllocationFailed")
    );
}

#[tokio::test]
async fn a_replacement_raises_the_capacity_again_once_the_deletion_has_ended() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.describe().await.expect("described");
    fake.change(|world| world.is_held = true);
    fake.apply(Change::TerminateAndReplace(&id("jvb_1"))).await.expect("accepted");
    let group = fake.describe().await.expect("described");
    assert_eq!(group.desired, Capacity::of(2), "as on AWS it stays");
    assert!(fake.asked("PATCH").is_empty(), "a patch would preempt the deletion");
    fake.change(|world| world.is_held = false);
    fake.until(|world| world.sets["jvb"].capacity == 2 && world.sets["jvb"].machines.len() == 1).await;
    fake.settled().await;
    assert_eq!(fake.asked("PATCH").len(), 1);
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::of(2));
}

#[tokio::test]
async fn a_scaler_that_has_lost_the_lease_leaves_the_capacity_to_the_next_one() {
    let (_standing, seen) = watch::channel(Standing::default());
    let lead = Leadership::by(seen).lead();
    let fake = Fake::led(&["1", "2"], lead).await;
    fake.describe().await.expect("described");
    fake.apply(Change::SetUnhealthy(&id("jvb_1"))).await.expect("accepted");
    fake.settled().await;
    fake.until(|world| world.sets["jvb"].machines.len() == 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(fake.asked("PATCH").is_empty());
    assert_eq!(fake.describe().await.expect("described").desired, Capacity::ONE);
}

#[tokio::test]
async fn machines_are_protected_one_by_one() {
    let fake = Fake::with(&["1", "2", "3"]).await;
    fake.describe().await.expect("described");
    let instances = [id("jvb_1"), id("jvb_3"), id("gone")];
    fake.apply(Change::SetProtection { instances: &instances, protected: true }).await.expect("protected");
    let puts = fake.asked("PUT");
    let body = json!({"properties": {"protectionPolicy": {"protectFromScaleIn": true, "protectFromScaleSetActions": true}}});
    assert!(puts.len() == 2 && puts.iter().all(|put| put.body == body), "{puts:?}");
    let protected: Vec<_> =
        fake.describe().await.expect("described").instances.iter().map(|it| it.protected).collect();
    assert_eq!(protected, [true, false, true]);
}

/// Behaviour 7: tags of a drain outlive its machine, whose name another one gets.
#[tokio::test]
async fn tags_have_no_slash_and_a_drain_belongs_to_one_machine() {
    let fake = Fake::with(&["1", "2"]).await;
    fake.describe().await.expect("described");
    let key = "jitsi-scaler/drain/jvb_2";
    fake.apply(Change::Tag { key, value: "v" }).await.expect("tagged");
    fake.apply(Change::Tag { key: "jitsi-scaler/paused", value: "p" }).await.expect("tagged");
    let keys = || fake.change(|world| world.sets["jvb"].tags.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(), ["jitsi-scaler:drain:jvb_2:vm-2", "jitsi-scaler:paused"]);
    let read = fake.describe().await.expect("described").tags;
    assert_eq!(read, [(key.to_owned(), "v".to_owned()), ("jitsi-scaler/paused".to_owned(), "p".to_owned())]);
    fake.change(|world| world.sets.get_mut("jvb").expect("it").machines[1].vm_id = "another".to_owned());
    let read = fake.describe().await.expect("described").tags;
    assert_eq!(read, [("jitsi-scaler/paused".to_owned(), "p".to_owned())]);
    // The next tag takes the old one along.
    fake.apply(Change::Tag { key, value: "w" }).await.expect("tagged");
    assert_eq!(keys(), ["jitsi-scaler:drain:jvb_2:another", "jitsi-scaler:paused"]);
    fake.apply(Change::Untag { key }).await.expect("untagged");
    fake.apply(Change::Untag { key: "jitsi-scaler/drain/none" }).await.expect("nothing to do");
    assert_eq!(keys(), ["jitsi-scaler:paused"]);
}

#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let fake = Fake::with(&["1"]).await;
    let page = json!({"value": [], "nextLink": "http://127.0.0.2:9/elsewhere"});
    let reply = Reply { to: ("GET", "jvb/virtualMachines"), status: 200, retry_after: 0, body: page };
    fake.change(|world| world.replies.push_back(reply));
    assert!(matches!(fake.describe().await, Err(CloudError::Unreachable { .. })));
}

#[tokio::test]
async fn what_azure_lacks_is_absent() {
    let fake = Fake::with(&["1"]).await;
    let group = GroupName::new("jvb");
    assert_eq!(fake.azure.hooks(&fake.region, &group).await.expect("none"), []);
    assert!(!fake.azure.refreshing(&fake.region, &group).await.expect("never upgraded"));
    let instance = id("jvb_1");
    let held = fake.apply(Change::Complete { hook: "drain", instance: &instance }).await;
    assert!(matches!(held, Err(CloudError::NotHeld(_))));
    let absent = |code| json!({"error": {"code": code, "message": "none"}});
    for (code, is_absent) in [("RollingUpgradeNotFound", true), ("ResourceGroupNotFound", false)] {
        let reply = Reply { to: ("GET", "rollingUpgrades"), status: 404, retry_after: 0, body: absent(code) };
        fake.change(|world| world.replies.push_back(reply));
        assert_eq!(fake.azure.refreshing(&fake.region, &group).await.is_ok(), is_absent, "{code}");
    }
    let upgrade = json!({"properties": {"runningStatus": {"code": "RollingForward"}}});
    let reply = Reply { to: ("GET", "rollingUpgrades"), status: 200, retry_after: 0, body: upgrade };
    fake.change(|world| world.replies.push_back(reply));
    assert!(fake.azure.refreshing(&fake.region, &group).await.expect("an upgrade"));
}

#[tokio::test]
async fn a_check_reads_what_else_scales_the_set() {
    let fake = Fake::with(&["1", "2"]).await;
    let own = fake.azure.sets.arm.set_id("JITSI", "JVB");
    fake.change(|world| {
        world.autoscale = vec![
            json!({"id": "/a/night", "properties": {"enabled": true, "targetResourceUri": own}}),
            json!({"id": "/a/other", "properties": {"enabled": true, "targetResourceUri": "/elsewhere"}}),
        ];
    });
    let group = GroupName::new("jvb");
    let policies = fake.azure.policies(&fake.region, &group).await.expect("settings");
    assert_eq!(
        policies.iter().map(|it| (it.name.as_str(), it.enabled)).collect::<Vec<_>>(),
        [("/a/night", true)]
    );
    let rights = json!({"value": [{"actions": ["Microsoft.Compute/*"], "notActions": []}]});
    let reply = Reply { to: ("GET", "permissions"), status: 200, retry_after: 0, body: rights };
    fake.change(|world| world.replies.push_back(reply));
    let settings = fake.azure.settings(&fake.region, &[group]).await.expect("settings");
    let set = settings[0].1.scale_set.as_ref().expect("a scale set");
    assert_eq!(
        (set.unprotected.len(), set.missing_rights.as_slice()),
        (2, &["Microsoft.Resources/tags/write".to_owned()][..])
    );
}

#[derive(Clone, Debug)]
enum Step {
    Describe,
    Raise(u32),
    RaiseFails(u32),
    Delete(usize),
    DeleteFails(usize),
    /// Somebody else writes.
    Others(u32),
    /// Answers show this.
    Shows(Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Describe),
        (0..12_u32).prop_map(Step::Raise),
        (0..12_u32).prop_map(Step::RaiseFails),
        (0..4_usize).prop_map(Step::Delete),
        (0..4_usize).prop_map(Step::DeleteFails),
        (0..12_u32).prop_map(Step::Others),
        proptest::option::of(0..12_u32).prop_map(Step::Shows),
    ]
}

/// Replays steps, and gives each patch with the larger of what was last shown and last written before it.
async fn patches(steps: Vec<Step>) -> Vec<(u64, u32)> {
    let fake = Fake::with(&["1", "2", "3", "4"]).await;
    fake.describe().await.expect("a decision follows a description");
    let mut written = 4_u32;
    let mut found = Vec::new();
    for step in steps {
        let before = fake.asked("PATCH").len();
        let shown = fake.change(|world| {
            let set = &world.sets["jvb"];
            set.shown.unwrap_or(set.capacity)
        });
        match step {
            Step::Describe => drop(fake.describe().await),
            Step::Raise(to) => drop(fake.apply(capacity(to)).await),
            Step::RaiseFails(to) => {
                fake.change(|world| world.ends.push_back(failure("AllocationFailed", "none")));
                drop(fake.apply(capacity(to)).await);
                fake.change(|world| world.ends.clear());
            }
            Step::Delete(at) => {
                let target =
                    fake.change(|world| world.sets["jvb"].machines.get(at).map(|it| it.number.clone()));
                if let Some(number) = target
                    && fake.apply(Change::TerminateAndDecrement(&id(&format!("jvb_{number}")))).await.is_ok()
                {
                    written = written.min(shown.saturating_sub(1));
                }
            }
            Step::DeleteFails(at) => {
                fake.change(|world| world.ends.push_back(failure("OperationPreempted", "none")));
                let target =
                    fake.change(|world| world.sets["jvb"].machines.get(at).map(|it| it.number.clone()));
                if let Some(number) = target {
                    drop(fake.apply(Change::TerminateAndReplace(&id(&format!("jvb_{number}")))).await);
                    written = 0;
                }
                fake.change(|world| world.ends.clear());
            }
            Step::Others(to) => {
                fake.change(|world| world.sets.get_mut("jvb").expect("it").capacity = to.max(1));
                written = 0;
            }
            Step::Shows(shown) => fake.change(|world| world.sets.get_mut("jvb").expect("it").shown = shown),
        }
        for patch in fake.asked("PATCH").iter().skip(before) {
            let to = patch.body["sku"]["capacity"].as_u64().expect("a number");
            found.push((to, shown.max(written)));
            written = u32::try_from(to).expect("small");
        }
        fake.settled().await;
    }
    found
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(24))]

    /// A patch below the capacity has Azure delete machines of its choice, in use or not.
    #[test]
    fn no_sequence_of_changes_patches_the_capacity_below_what_was_read_or_written(steps in proptest::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        for (to, least) in runtime.block_on(patches(steps)) {
            prop_assert!(to > u64::from(least), "a patch to {to} where {least} was read or written");
        }
    }
}
