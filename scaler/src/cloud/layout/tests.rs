use proptest::prelude::*;
use proptest::sample::select;
use test_case::test_case;

use super::*;
use crate::cloud::tags::{Memory, drain_key, drain_value};
use crate::decide::observation::{DrainState, Purpose};
use crate::units::Time;

const NOW: Time = Time::from_unix(1_790_000_000);

fn id(number: usize) -> InstanceId {
    InstanceId::new(&format!("i-{number:017x}"))
}

fn begun() -> Drain {
    Drain::begun(Purpose::ScaleIn, NOW)
}

fn tag(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn text(number: usize, drain: Drain) -> String {
    entry(&id(number), drain).expect("a drain of the scaler")
}

#[test]
fn a_pack_holds_nine_drains_in_the_characters_of_a_tag() {
    let latest = Drain { since: Time::from_unix(36_i64.pow(7) - 1), ..begun() };
    let value = (0..PER_PACK).map(|number| text(number, latest)).collect::<Vec<_>>().join(" ");
    assert_eq!((PER_PACK, text(1, begun()).as_str()), (9, "00000000000000001.ds0tlpwu8"));
    assert!(value.len() <= LONGEST, "{value}");
    assert!(value.chars().all(|it| it.is_ascii_alphanumeric() || " _.:/=+-@".contains(it)), "{value}");
}

#[test_case("i-0123456789abcdef0", begun().at(DrainState::Ordered), "an order")]
#[test_case("i-0123456789abcdef0", Drain { by_operator: true, ..begun() }, "an operator's")]
#[test_case("i-0123456789abcdef0", Drain { purpose: Purpose::Keep, ..begun() }, "kept")]
#[test_case("i-0123456789abcdef01", begun(), "a longer id")]
#[test_case("i-0123456789ABCDEF0", begun(), "other digits")]
#[test_case("jvb_3", begun(), "another cloud's")]
#[test_case("i-1", Drain { since: Time::from_unix(-1), ..begun() }, "before 1970")]
#[test_case("i-1", Drain { since: Time::from_unix(36_i64.pow(7)), ..begun() }, "after 4453")]
fn what_no_pack_can_hold_has_a_tag_of_its_own(id: &str, drain: Drain, why: &str) {
    assert_eq!(entry(&InstanceId::new(id), drain), None, "{why}");
}

#[test]
fn a_drain_that_is_not_understood_begins_anew_and_the_others_count() {
    let closed = begun().at(DrainState::Closed);
    let value =
        format!("{} 00000000000000002.xs0tlpwu8 00000000000000003 ?? {}", text(1, closed), text(4, closed));
    let memory = Memory::read(&[tag("jitsi-scaler/drains/0", &value)], NOW);
    assert_eq!(memory.drains, [(id(1), closed), (id(2), begun()), (id(3), begun()), (id(4), closed)]);
    assert_eq!(memory.unreadable, ["jitsi-scaler/drains/0"]);
    // One that says the same in other words is none of this program.
    for other in [
        "00000000000000001.ds00tlpwu8",
        "00000000000000001.dstlpwu8",
        "1.ds0tlpwu+",
        "1.dk0tlpwu8",
        "1.d",
        "1",
    ] {
        assert_eq!(parse(other).1, None, "{other}");
    }
}

#[test]
fn an_own_tag_counts_more_than_a_pack_and_of_two_packs_the_more_cautious() {
    let (closed, asked) = (begun().at(DrainState::Closed), begun().at(DrainState::Asked));
    let later = Drain { since: NOW.after(std::time::Duration::from_secs(9)), ..asked };
    let tags = [
        tag("jitsi-scaler/drains/0", &[text(1, begun()), text(2, closed), text(3, asked)].join(" ")),
        tag("jitsi-scaler/drains/7", &[text(2, begun()), text(3, later)].join(" ")),
        tag(&drain_key(&id(1)), &drain_value(closed, None)),
    ];
    let memory = Memory::read(&tags, NOW);
    assert_eq!(memory.drains, [(id(1), closed), (id(2), begun()), (id(3), later)]);
    assert!(memory.unreadable.is_empty());
}

#[test]
fn room_is_what_others_leave_and_an_operators_drain_takes_a_tag() {
    let asked = Asked::new("alice", "");
    let others =
        |count: usize| (0..count).map(|it| (format!("team-{it}"), String::new())).collect::<Vec<_>>();
    assert_eq!(most_drains(&others(0)).get(), 46 * 9);
    let mut tags = others(20);
    assert_eq!(most_drains(&tags).get(), 26 * 9);
    tags.push(tag(&drain_key(&id(1)), &drain_value(Drain { by_operator: true, ..begun() }, Some(&asked))));
    tags.push(tag(&drain_key(&id(2)), &drain_value(begun(), None)));
    assert_eq!(most_drains(&tags).get(), 25 * 9 + 1);
    assert_eq!(most_drains(&others(60)), Capacity::ZERO);
}

/// The tags after a plan whose writes all succeed, and the most that there were.
fn after(base: &BTreeMap<String, String>, plan: &Plan) -> (BTreeMap<String, String>, usize) {
    let (mut tags, mut most) = (base.clone(), base.len());
    for write in plan.steps.iter().flatten() {
        match &write.value {
            Some(value) => drop(tags.insert(write.key.clone(), value.clone())),
            None => drop(tags.remove(&write.key)),
        }
        most = most.max(tags.len());
    }
    (tags, most)
}

fn notes(numbers: impl IntoIterator<Item = usize>, drain: Option<Drain>) -> Vec<Note> {
    numbers.into_iter().map(|it| Note { id: id(it), drain: drain.map(|drain| (drain, None)) }).collect()
}

#[test]
fn few_drains_have_tags_of_their_own_and_many_do_not_move_without_need() {
    let (few, _) =
        after(&BTreeMap::new(), &Plan::of((&BTreeMap::new(), 0), &notes(0..30, Some(begun())), |_| true));
    assert!(few.len() == 30 && !few.keys().any(|key| is_pack(key)), "{few:?}");
    let (many, _) = after(&few, &Plan::of((&few, 0), &notes(30..39, Some(begun())), |_| true));
    assert_eq!(many.keys().filter(|key| is_pack(key)).count(), 1);
    assert!(few.keys().all(|key| many.contains_key(key)));
    let (fewer, _) = after(&many, &Plan::of((&many, 0), &notes(30..39, None), |_| true));
    assert_eq!(fewer, few, "an empty pack goes");
}

#[test]
fn where_others_take_the_tags_drains_move_together() {
    let mut tags = BTreeMap::new();
    for number in 0..234 {
        let plan = Plan::of((&tags, 20), &notes([number], Some(begun())), |_| true);
        assert!(plan.refused.is_empty(), "{number}: {tags:?}");
        let most;
        (tags, most) = after(&tags, &plan);
        assert!(most <= 26, "{most} tags at drain {number}");
    }
    let plan = Plan::of((&tags, 20), &notes([234], Some(begun())), |_| true);
    assert_eq!(plan.refused, BTreeMap::from([(0, Refusal::Full)]));
}

#[test]
fn what_is_not_settled_is_not_written() {
    let base = BTreeMap::from([("jitsi-scaler/drains/0".to_owned(), text(1, begun()))]);
    let closed = Some(begun().at(DrainState::Closed));
    for note in [notes([1], closed), notes([1], None)] {
        let plan = Plan::of((&base, 0), &note, |_| false);
        assert!(
            plan.steps.concat().is_empty() && plan.refused == BTreeMap::from([(0, Refusal::Unsettled)]),
            "{plan:?}"
        );
    }
    // An order becomes a tag of its own, which counts more.
    let order =
        Note { id: id(1), drain: Some((Drain { by_operator: true, ..begun() }, Some(Asked::new("a", "")))) };
    let plan = Plan::of((&base, 0), &[order], |_| false);
    assert!(
        plan.refused.is_empty() && plan.steps[0].iter().all(|write| write.key == drain_key(&id(1))),
        "{plan:?}"
    );
}

/// A drain that was in its own tag and in a pack when the scaler was killed.
#[test]
fn the_pack_is_written_before_the_own_tag_goes() {
    let pack = "jitsi-scaler/drains/0".to_owned();
    let base = BTreeMap::from([
        (pack.clone(), text(1, begun())),
        (drain_key(&id(1)), drain_value(begun().at(DrainState::Returning), None)),
    ]);
    let plan = Plan::of((&base, 0), &notes([1], None), |_| true);
    let keys: Vec<_> =
        plan.steps.iter().flatten().map(|write| (write.key.clone(), write.after.clone())).collect();
    assert_eq!(keys, [(pack.clone(), Vec::new()), (drain_key(&id(1)), vec![pack])]);
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(300))]

    #[test]
    fn what_a_pack_holds_is_read(
        all in proptest::collection::btree_map("i-[0-9a-f]{1,17}", (0..36_i64.pow(7), select(&DrainState::ALL[1..]), select(&["scale-in", "recycle", "replace", "hook"][..])), 0..9),
    ) {
        let drains: Vec<_> = all.iter().map(|(id, (since, state, purpose))| {
            let purpose = Purpose::parse(purpose).expect("a word");
            (InstanceId::new(id), Drain::begun(purpose, Time::from_unix(*since)).at(*state))
        }).collect();
        let texts: Vec<_> = drains.iter().map(|(id, drain)| entry(id, *drain).expect("it fits")).collect();
        let value = texts.join(" ");
        prop_assert!(value.len() <= LONGEST);
        let memory = Memory::read(&[tag("jitsi-scaler/drains/3", &value)], NOW);
        prop_assert_eq!(memory.unreadable.is_empty(), !drains.is_empty());
        prop_assert_eq!(memory.drains, drains);
    }

    #[test]
    fn a_mutated_pack_is_understood_or_read_cautiously(
        value in jitsi_inputs::mutated_text(vec!["0123456789abcdef0.ds0tlpwu8 0123456789abcdef1.cr0tlpwu8"]),
    ) {
        let memory = Memory::read(&[tag("jitsi-scaler/drains/3", &value)], NOW);
        for (id, drain) in &memory.drains {
            let is_told = entry(id, *drain).is_some_and(|it| value.split(' ').any(|text| text == it));
            prop_assert!(is_told || (*drain == begun() && !memory.unreadable.is_empty()));
        }
    }
}
