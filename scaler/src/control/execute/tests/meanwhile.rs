//! What others do between a decision and its steps.

use test_case::test_case;

use super::*;

fn drain(state: DrainState) -> Drain {
    Drain { state, ..Drain::begun(Purpose::ScaleIn, NOW) }
}

fn remove(id: &str, removal: Removal) -> Vec<Effect> {
    vec![Effect::Remove(InstanceId::new(id), removal, Condition::Empty)]
}

/// The calls of these sequences, in order, and what was done.
async fn perform_on(stage: Stage, view: &GroupView, sequences: Vec<Vec<Effect>>) -> (Vec<String>, Done) {
    let (asked, _, done) = performed_on(stage, view, sequences, Capacity::ONE, &Lead::always()).await;
    (asked, done)
}

#[test_case(Removal::Terminate, |group, _| group.instances[0].lifecycle = "Standby".to_owned(); "it was set aside")]
#[test_case(Removal::Terminate, |group, _| group.instances[0].lifecycle = "Terminating:Wait".to_owned(); "a hook holds it")]
#[test_case(Removal::Replace, |group, _| group.instances[0].lifecycle = "Terminating".to_owned(); "AWS ends it")]
#[test_case(Removal::LetGo, |_, _| (); "no hook holds it")]
#[test_case(Removal::Terminate, |group, _| drop(group.instances.remove(0)); "it was detached")]
#[test_case(Removal::Terminate, |group, _| group.name = GroupName::new("other"); "the group is gone")]
#[test_case(Removal::Terminate, |group, _| group.desired = Capacity::ONE; "desired capacity was lowered")]
#[test_case(Removal::Terminate, |group, _| group.min = group.desired; "the minimum was raised")]
#[test_case(Removal::Terminate, pause; "the group was paused")]
#[tokio::test]
async fn an_instance_is_not_removed(removal: Removal, meanwhile: fn(&mut GroupDescription, usize)) {
    let view = view(Component::Jvb, drain(DrainState::Closed));
    let (asked, done) =
        perform_on(Stage { meanwhile, ..Stage::answering(&[]) }, &view, vec![remove("i-0", removal)]).await;
    assert_eq!((asked, done.overtaken.len()), (vec!["describe".to_owned()], 1));
}

fn pause(group: &mut GroupDescription, _: usize) {
    let value =
        tags::paused_value(NOW.after(Duration::from_secs(1)), &tags::Asked::new("alice", "new image"));
    group.tags.push((tags::PAUSED.to_owned(), value));
}

#[test_case(|group, _| group.desired = capacity(3); "desired capacity was raised")]
#[test_case(|group, _| group.max = capacity(2); "the maximum was lowered")]
#[test_case(pause; "the group was paused")]
#[tokio::test]
async fn a_group_is_not_raised(meanwhile: fn(&mut GroupDescription, usize)) {
    let view = view(Component::Jvb, drain(DrainState::Draining));
    let (asked, done) =
        perform_on(Stage { meanwhile, ..Stage::answering(&[]) }, &view, vec![vec![raise()]]).await;
    assert_eq!((asked, done.overtaken), (vec!["describe".to_owned()], vec![raise()]));
}

#[test_case(|group, describes| if describes > 1 { group.desired = capacity(3) }, true; "and was made")]
#[test_case(|_, _| (), false; "and was not made")]
#[tokio::test]
async fn a_raise_without_an_answer_counts_if_it_was_made(
    meanwhile: fn(&mut GroupDescription, usize),
    scaled_out: bool,
) {
    let view = view(Component::Jvb, drain(DrainState::Draining));
    let stage = Stage { meanwhile, is_cut_off: true, ..Stage::answering(&[]) };
    let steps = vec![vec![raise(), Effect::MarkScaled(Direction::Out)]];
    let (asked, done) = perform_on(stage, &view, steps).await;
    assert_eq!(asked[..3], ["describe", "set desired 3", "describe"]);
    assert_eq!(
        (asked.len() > 3, done.scaled_out, done.failed.is_empty()),
        (scaled_out, scaled_out, scaled_out)
    );
}

#[tokio::test]
async fn of_two_removals_the_second_sees_the_first() {
    let mut view = view(Component::Jvb, drain(DrainState::Closed));
    let (first, second) = (InstanceId::new("i-0"), InstanceId::new("i-1"));
    let other = Instance { id: second.clone(), ..view.observation.group.instances[0].clone() };
    view.observation.group.instances.push(other);
    view.addresses.insert(second, view.addresses[&first].clone());
    let sequences = ["i-0", "i-1"].map(|id| remove(id, Removal::Terminate)).to_vec();
    let (asked, done) = perform_on(Stage::answering(&[DRAINED; 2]), &view, sequences).await;
    assert_eq!(asked, ["describe", "read", "terminate i-0", "describe"]);
    assert_eq!(done.overtaken.len(), 1);
}

#[test_case(DrainState::Closed, FREE; "it accepts new work again")]
#[test_case(DrainState::Closed, Reading::Unknown; "it is silent")]
#[test_case(DrainState::Closed, Reading::Answered { empty: false, draining: true, closing: true }; "it is in use again")]
#[test_case(DrainState::Draining, Reading::Refused; "it refuses and was never asked to exit")]
#[test_case(DrainState::Unclosable, Reading::Refused; "it refuses and could not be asked to exit")]
#[tokio::test]
async fn a_bridge_stays_after_its_last_look(state: DrainState, reading: Reading) {
    let view = view(Component::Jvb, drain(state));
    let (asked, _) =
        perform_on(Stage::answering(&[reading]), &view, vec![remove("i-0", Removal::Terminate)]).await;
    assert_eq!(asked, ["describe", "read"]);
}

#[test_case(true, "closed")]
#[test_case(false, "unclosable"; "it has no interface for that")]
#[tokio::test]
async fn a_final_request_is_tagged_with_its_reply(closable: bool, state: &str) {
    let asked = drain(DrainState::Asked);
    let view = view(Component::Jvb, asked);
    let steps = vec![vec![Effect::Close(InstanceId::new("i-0"), asked)]];
    let (asked, done) = perform_on(Stage { closable, ..Stage::answering(&[]) }, &view, steps).await;
    assert_eq!(asked, ["ask to exit".to_owned(), format!("tag {NOW} {state} scale-in")]);
    let [Effect::Close(_, drain)] = done.performed[..] else { panic!("{done:?}") };
    assert_eq!(drain.state.as_str(), state);
}

#[test_case(|_, _| (), &["describe", "tag 2001-09-09T01:46:40Z draining scale-in"]; "its drain begins")]
#[test_case(|group, _| group.tags.push(("jitsi-scaler/drain/i-0".to_owned(), "x".to_owned())), &["describe"]; "another scaler drains it")]
#[tokio::test]
async fn the_tag_of_another_scaler_is_not_overwritten(
    meanwhile: fn(&mut GroupDescription, usize),
    expected: &[&str],
) {
    let mut view = view(Component::Jvb, drain(DrainState::Draining));
    view.observation.group.instances[0].drain = None;
    let steps = vec![vec![Effect::MarkDrain(InstanceId::new("i-0"), drain(DrainState::Draining))]];
    let (asked, _) = perform_on(Stage { meanwhile, ..Stage::answering(&[]) }, &view, steps).await;
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn requests_that_were_accepted_are_noted() {
    let begun = drain(DrainState::Draining);
    let (view, id) = (view(Component::Jvb, begun), InstanceId::new("i-0"));
    let (asked, done) =
        perform_on(Stage::answering(&[]), &view, vec![vec![Effect::StartDrain(id.clone())]]).await;
    assert_eq!(
        (asked, done.accepted, done.performed),
        (vec!["StartDrain".to_owned()], vec![id.clone()], vec![Effect::StartDrain(id.clone())])
    );
    let close = vec![vec![Effect::Close(id.clone(), begun)]];
    let (_, done) = perform_on(Stage::answering(&[]), &view, close.clone()).await;
    assert_eq!((done.accepted, done.closed), (vec![id.clone()], vec![id]));
    let refuses = Stage { closes: false, ..Stage::answering(&[]) };
    let (asked, done) = perform_on(refuses, &view, close).await;
    assert_eq!((asked, done.failed.len(), done.accepted), (vec!["ask to exit".to_owned()], 1, Vec::new()));
}

/// A tag of the instance i-0, as others see it.
fn tagged(group: &mut GroupDescription, value: &str) {
    group.tags.push(("jitsi-scaler/drain/i-0".to_owned(), format!("2001-09-09T01:40:00Z {value}")));
}

/// The drain of i-0 begins as an operator ordered it.
#[test_case(|group, _| tagged(group, "ordered keep by alice: kernel"), true; "as ordered")]
#[test_case(|group, describes| { tagged(group, "ordered keep by alice: kernel"); pause(group, describes) }, true; "during a pause")]
#[test_case(|_, _| (), false; "the order was taken back")]
#[test_case(|group, _| tagged(group, "draining scale-in"), false; "another scaler drains it")]
#[tokio::test]
async fn an_ordered_drain_begins(meanwhile: fn(&mut GroupDescription, usize), begins: bool) {
    let ordered = Drain { state: DrainState::Ordered, by_operator: true, ..Drain::begun(Purpose::Keep, NOW) };
    let mut view = view(Component::Jvb, ordered);
    let instance = &mut view.observation.group.instances[0];
    (instance.drain, instance.ordered) = (None, Some(ordered));
    view.asked.insert(InstanceId::new("i-0"), tags::Asked::new("alice", "kernel"));
    let id = || InstanceId::new("i-0");
    let steps = vec![Effect::MarkDrain(id(), ordered.at(DrainState::Draining)), Effect::StartDrain(id())];
    let (asked, _) = perform_on(Stage { meanwhile, ..Stage::answering(&[]) }, &view, vec![steps]).await;
    let begun = ["describe", "tag 2001-09-09T01:46:40Z draining keep by alice: kernel", "StartDrain"];
    assert_eq!(asked, begun[..if begins { 3 } else { 1 }]);
}

/// No scaler takes an order for a tag of its own.
#[tokio::test]
async fn a_drain_of_the_scaler_does_not_begin_over_an_order() {
    let mut view = view(Component::Jvb, drain(DrainState::Draining));
    view.observation.group.instances[0].drain = None;
    let steps = vec![vec![Effect::MarkDrain(InstanceId::new("i-0"), drain(DrainState::Draining))]];
    let meanwhile: fn(&mut GroupDescription, usize) = |group, _| tagged(group, "ordered keep by alice");
    let (asked, done) = perform_on(Stage { meanwhile, ..Stage::answering(&[]) }, &view, steps).await;
    assert_eq!((asked, done.overtaken.len()), (vec!["describe".to_owned()], 1));
}
