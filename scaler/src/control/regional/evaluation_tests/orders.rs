//! Orders of operators, from their request to the drain.

use test_case::test_case;

use super::*;
use crate::cloud::tags::Asked;

fn order(wanted: Wanted) -> Order {
    Order { instance: InstanceId::new("i-0"), wanted, asked: Asked::new("alice", "kernel") }
}

/// What an order of i-0 changes.
async fn noted(stage: Stage, keys: &str, wanted: Wanted) -> (Vec<String>, Result<Accepted, String>) {
    let controller = controller(&stage, keys);
    let group = stage::group_ref("r", "a");
    let (done, answer) = tokio::sync::oneshot::channel();
    let mut wakes = Wakes::default();
    controller
        .handle(Command::Order { group: group.clone(), order: order(wanted), done }, NOW, &mut wakes)
        .await;
    let answer = answer.await.expect("an answer").map_err(|error| error.to_string());
    assert_eq!(wakes.groups.contains(&group), answer.is_ok());
    (stage.changes(), answer)
}

#[tokio::test(start_paused = true)]
async fn an_order_becomes_a_tag_and_wakes_its_group() {
    let replace = Wanted::Drain(Then::Replace);
    let (changes, answer) = noted(Stage::new(), "", replace).await;
    assert_eq!((changes, answer), (vec!["tag jitsi-scaler/drain/i-0".to_owned()], Ok(Accepted::Noted)));
    let (changes, answer) = noted(Stage::new(), "    dry_run: true", replace).await;
    assert_eq!((changes, answer), (Vec::new(), Ok(Accepted::WouldBe)));
    let stage = Stage { drain: Some("2001-09-09T01:00:00Z ordered keep by bob"), ..Stage::new() };
    let (changes, answer) = noted(stage, "", Wanted::Undrain { by_hand: false }).await;
    assert_eq!((changes, answer), (vec!["untag jitsi-scaler/drain/i-0".to_owned()], Ok(Accepted::Noted)));
    let (changes, answer) = noted(Stage::new(), "", Wanted::Undrain { by_hand: false }).await;
    assert_eq!((changes, answer), (Vec::new(), Err("do it: nothing drains it".to_owned())));
}

/// The policy holds, and the drain that an operator ordered begins nevertheless.
#[test_case(|_| (), true; "otherwise")]
#[test_case(|stage| stage.paused = Some("2001-09-10T00:00:00Z new image"), true; "a pause")]
#[test_case(|stage| stage.refreshing = Some(true), false; "an instance refresh")]
#[test_case(|stage| stage.refreshing = None, false; "perhaps an instance refresh")]
#[tokio::test(start_paused = true)]
async fn an_ordered_drain_begins(change: fn(&mut Stage), begins: bool) {
    let drain = Some("2001-09-09T01:00:00Z ordered replace by alice: kernel");
    let mut stage = Stage { drain, value: 5.0, ..Stage::new() };
    change(&mut stage);
    let begun = ["tag jitsi-scaler/drain/i-0", "StartDrain"];
    assert_eq!(changes(stage, "", 1).await, begun[..if begins { 2 } else { 0 }]);
}

/// Seen empty twice, at the third evaluation it would be asked to exit.
#[test_case(None, &["tag jitsi-scaler/drain/i-0", "Close", "tag jitsi-scaler/drain/i-0"]; "otherwise")]
#[test_case(Some("2001-09-10T00:00:00Z new image"), &[]; "a pause")]
#[tokio::test(start_paused = true)]
async fn nothing_ends_during_a_pause(paused: Option<&'static str>, expected: &[&str]) {
    let drain = Some("2001-09-09T01:00:00Z draining replace by alice: kernel");
    let stage = Stage { drain, paused, value: 5.0, ..Stage::new() };
    assert_eq!(changes(stage, "", 3).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_is_given_back_returns_during_a_pause_too() {
    let drain = Some("2001-09-09T01:00:00Z returning scale-in by alice");
    for (paused, cooldown) in [(None, true), (Some("2001-09-10T00:00:00Z new image"), false)] {
        let stage = Stage { drain, paused, value: 5.0, ..Stage::new() };
        let mut expected = vec!["StopDrain", "untag jitsi-scaler/drain/i-0"];
        expected.extend(cooldown.then_some("tag jitsi-scaler/scaled-out"));
        assert_eq!(changes(stage, "", 1).await, expected);
    }
}

/// The order of an instance that is not in the group.
#[tokio::test(start_paused = true)]
async fn an_order_goes_with_its_instance() {
    let stage = Stage { detached: Some(false), orphan: "ordered keep by alice", value: 5.0, ..Stage::new() };
    assert_eq!(changes(stage, "", 1).await, ["untag jitsi-scaler/drain/i-9"]);
}
