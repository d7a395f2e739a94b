use std::sync::Arc;

use super::*;
use crate::http::past::{Span, Told};
use crate::report::{GroupStatus, LeaderReport, Paused, ShardReport, Status, sample};

fn board() -> Board {
    let mut board = Board::default();
    let group = sample::group();
    board.journal.note(&group);
    board.status = Status { time: Some(group.time.clone()), groups: vec![group], ..Status::default() };
    board
}

fn now() -> Time {
    Time::parse("2026-11-20T07:00:10Z").expect("a time")
}

fn first(board: &Board) -> String {
    let selection = Selection::new(&board.status, Asked::default(), now());
    home(board, (&selection, Err("there is no <history>")), now(), "metrics").into_string()
}

fn view(it: &GroupStatus, memory: Vec<Told>) -> View<'_> {
    let past = Err("there is no <history>".into());
    View {
        it,
        memory,
        log: Arc::default(),
        has_log: true,
        past,
        span: Span::Week,
        token: Some("0123"),
        draws: true,
    }
}

#[test]
fn text_on_a_page_is_never_markup() {
    let mut board = board();
    let evil = "<script>alert(1)</script>\"'&";
    let group = &mut board.status.groups[0];
    (group.asg, group.fleet, group.region) = (evil.to_owned(), evil.to_owned(), evil.to_owned());
    group.text = evil.to_owned();
    group.blocked[0].text = evil.to_owned();
    let mut stays = sample::no_victim(1);
    (stays.instances[0].instance, stays.instances[0].text) = (evil.to_owned(), evil.to_owned());
    stays.instances[0].until = Some(evil.to_owned());
    group.instances[0].stays = Some(stays.instances[0].clone());
    group.blocked.push(stays);
    group.drains[0].instance = evil.to_owned();
    group.drained_by_hand = vec![evil.to_owned()];
    group.zones[0].zone = evil.to_owned();
    group.zones[0].silent = vec![evil.to_owned()];
    (group.instances[1].instance, group.instances[1].zone) = (evil.to_owned(), evil.to_owned());
    group.instances[1].in_service_since = Some(evil.to_owned());
    group.next_victim = Some(evil.to_owned());
    group.effects[0].text = evil.to_owned();
    group.schedule.names = vec![evil.to_owned()];
    group.policies = [(evil, group.policies["stress"].clone())].into();
    group.windows = [(evil, group.windows["stress"].clone())].into();
    group.paused = Some(Paused { until: None, by: Some(evil.to_owned()), reason: evil.to_owned() });
    group.failed_steps[0].error = evil.to_owned();
    let group = group.clone();
    board.journal.note(&group);
    board.status.problems = vec![FleetProblem { fleet: evil.to_owned(), text: evil.to_owned() }];
    let links = ["<script>alert(1)</script>\"'&=https://logs/{asg}".parse::<Link>().expect("a link")];
    let memory = board.journal.of(evil, evil, evil).filter_map(|record| Told::of(record)).collect();
    for page in [
        first(&board),
        super::group(&board, (evil, evil), &[view(&group, memory)], (now(), &links)).into_string(),
        no_group(&board, (evil, evil), now()).into_string(),
        refused(evil, evil).into_string(),
    ] {
        assert!(!page.contains("<script>alert") && !page.contains("<history>"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;"), "{page}");
    }
}

#[test]
fn a_group_has_a_page_that_its_name_leads_to() {
    let mut group = sample::group();
    group.asg = "a/b ?#%é".to_owned();
    assert_eq!(group::path(&group), "fleets/jvb/a%2Fb%20%3F%23%25%C3%A9?region=us-east-1");
}

#[test]
fn the_content_policy_allows_only_the_style_and_script_of_the_page() {
    let page = first(&board());
    assert_eq!(page.matches("<style>").count(), 1);
    assert_eq!(page.matches("<script>").count(), 1);
    assert!(!page.contains("style=") && !page.contains("onclick"), "{page}");
    let inside = |tag: &str| {
        let (_, rest) = page.split_once(&format!("<{tag}>")).expect("the tag");
        rest.split_once(&format!("</{tag}>")).expect("its end").0.to_owned()
    };
    assert_eq!((inside("style").as_str(), Some(inside("script").as_str())), (POLICY.style, POLICY.script));
}

#[test]
fn a_refusal_is_not_repeated_by_itself() {
    let page = refused("no", "../prod").into_string();
    assert!(page.contains(r#"<p role="alert">no</p><p><a href="../prod">"#), "{page}");
    assert!(!page.contains("<script") && !page.contains("refresh"), "{page}");
}

#[test]
fn a_replica_that_stands_by_names_the_leader() {
    let mut board = Board::default();
    let leader = LeaderReport {
        lease: "jitsi/jitsi-scaler".to_owned(),
        identity: "scaler-b".to_owned(),
        leading: false,
        holder: Some("<scaler-a>".to_owned()),
        shards: Vec::new(),
    };
    board.status.leader = Some(leader.clone());
    let page = first(&board);
    assert!(page.contains("&lt;scaler-a&gt; holds the lease jitsi/jitsi-scaler and leads"), "{page}");
    assert!(page.contains("A replica that stands by evaluates nothing"), "{page}");
    let texts = [
        leader.clone(),
        LeaderReport { leading: true, holder: Some(leader.identity.clone()), ..leader.clone() },
        LeaderReport { holder: Some(leader.identity.clone()), ..leader.clone() },
        LeaderReport { holder: None, ..leader },
    ]
    .map(|leader| leader.text() + "\n");
    insta::assert_snapshot!(texts.concat(), @"
    <scaler-a> holds the lease jitsi/jitsi-scaler and leads; its page has the decisions. This scaler, scaler-b, stands by.
    This scaler, scaler-b, holds the lease jitsi/jitsi-scaler and leads.
    This scaler, scaler-b, holds the lease jitsi/jitsi-scaler and leads once it has renewed it.
    The lease jitsi/jitsi-scaler has no holder, so no scaler leads. This scaler is scaler-b.
    ");
}

#[test]
fn a_replica_that_leads_some_shards_names_the_leaders_of_the_others() {
    let shard = |shard, leading, holder: Option<&str>| ShardReport {
        shard,
        leading,
        holder: holder.map(str::to_owned),
    };
    let leader = LeaderReport {
        lease: "jitsi/jitsi-scaler".to_owned(),
        identity: "b".to_owned(),
        leading: true,
        holder: Some("4-shards".to_owned()),
        shards: vec![
            shard(0, true, Some("b")),
            shard(1, false, Some("a")),
            shard(2, false, None),
            shard(3, false, Some("a")),
        ],
    };
    let none = leader.shards.iter().map(|shard| ShardReport { leading: false, ..shard.clone() }).collect();
    let other = Some("8-shards".to_owned());
    let texts = [
        leader.text(),
        LeaderReport { shards: none, ..leader.clone() }.text(),
        LeaderReport { holder: other, ..leader.clone() }.text(),
        // In shard 3, and in shard 1.
        leader.elsewhere("jvb").unwrap_or_default(),
        leader.elsewhere("fleet-4").unwrap_or_default(),
    ];
    insta::assert_snapshot!(texts.join("\n"), @"
    This scaler, b, leads of 4 shards: 0. a leads 1, 3; its page has the decisions. Nobody leads 2.
    This scaler, b, leads none of 4 shards. a leads 1, 3; its page has the decisions. Nobody leads 0, 2.
    8-shards holds the lease jitsi/jitsi-scaler, so scalers with another --leader.shards act. This scaler, b, waits until they have stopped.
    The fleet jvb is in shard 3 of 4, which a leads; its page has the decisions. This scaler is b.
    The fleet fleet-4 is in shard 1 of 4, which a leads; its page has the decisions. This scaler is b.
    ");
    let (own, free) = ("fleet-0", "fleet-1");
    assert_eq!((leader.elsewhere(own), leader.others().is_some()), (None, true));
    let text = leader.elsewhere(free).unwrap_or_default();
    assert!(text.contains("which no scaler leads"), "{text}");
}

#[test]
fn before_the_first_evaluation_it_says_so() {
    let page = first(&Board::default());
    assert!(page.contains("Nothing has been evaluated yet") && !page.contains("All is well"), "{page}");
}
