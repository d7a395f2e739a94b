//! The problems of wrong configurations, and the results of valid ones.

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;

mod guide;
mod properties;
mod sense;
mod upkeep;

use super::sample::{GROUPS, OUT, with};
use super::*;
use crate::decide::policy::{Adjustment, Amount, Component, Direction, Measures, Missing, VictimOrder};

/// A configuration like the README's.
const EXAMPLE: &str = include_str!("tests/example.yml");

/// What is read from `text`, in a file of `/etc/jitsi-scaler`.
fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    super::parse(text, Path::new("/etc/jitsi-scaler"))
}

fn problems(text: &str) -> String {
    let problems = parse(text).expect_err("a wrong configuration");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

/// The warnings of a valid configuration.
fn warnings(text: &str) -> String {
    let config = parse(text).unwrap_or_else(|problems| panic!("it is refused: {problems:#?}"));
    config.warnings.iter().map(|problem| format!("{problem}\n")).collect()
}

#[test]
fn the_example_becomes_two_fleets() {
    let config = parse(EXAMPLE).expect("the example is valid");
    let [jvb, jibri] = config.fleets.as_slice() else { panic!("two fleets") };
    assert_eq!(jvb.asg.regions.len(), 2);
    assert_eq!(jvb.policy.warmup, Duration::from_mins(3));
    assert_eq!(jvb.policy.policies[0].measures, Measures::Load);
    let stress = jvb.policy.policies[1].rule(Direction::Out).expect("it scales out");
    assert_eq!((stress.window.periods(), stress.window.breaching()), (5, 3));
    assert_eq!((stress.missing, stress.cooldown), (Missing::Hold, Duration::from_mins(5)));
    assert!(matches!(&stress.adjustment, Adjustment::Steps(steps) if steps.len() == 2));
    assert_eq!(jvb.policy.victims.order, VictimOrder::LeastLoaded);
    assert_eq!(jvb.instances.series, "jvb_up");
    assert_eq!(jvb.drain.as_ref().map(|via| via.external.as_str()), Some("http://{private_ip}:8080"));

    assert_eq!(jibri.policy.component, Component::Jibri);
    assert_eq!(jibri.asg.groups, Groups::Tags(vec![("jitsi-fleet".to_owned(), "jibri".to_owned())]));
    assert_eq!(jibri.policy.max_in_flight, Amount::Count(crate::units::Capacity::saturating(1)));
    assert_eq!(jibri.drain.as_ref().map(|via| via.internal.as_str()), Some("http://{private_ip}:3333"));
}

#[test]
fn fleets_of_both_clouds_stand_in_one_file() {
    let vmss = "vmss: {subscription: 11111111-2222-3333-4444-55555555ABCD, resource_group: jitsi, names: [a]}\n    \
        capacity: {min: 1, max: 3}";
    let text = with(vmss, &format!("expr: x\n        {OUT}"));
    let (_, fleet) = text.split_once("fleets:\n").expect("a fleet");
    let aws = fleet.replace("name: jvb", "name: aws").replace(vmss, GROUPS);
    let config = parse(&format!("{text}{aws}")).expect("valid, although the groups have one name");
    let [azure, aws] = config.fleets.as_slice() else { panic!("two fleets") };
    let subscription = azure.asg.subscription.as_ref().expect("it is on Azure");
    assert_eq!(subscription.id, "11111111-2222-3333-4444-55555555abcd");
    assert_eq!(subscription.endpoint.as_str(), "https://management.azure.com/");
    assert_eq!(azure.asg.regions, [crate::units::Region::new("jitsi")]);
    assert_eq!((&aws.asg.subscription, azure.asg.keys()[2]), (&None, "vmss.resource_group"));
}

/// Each file of `folder` is named after its mistakes and has their messages beside it; with `WRITE_EXPECTED=1` in the
/// environment these are written anew.
fn every_file_has_its_messages(folder: &str, messages: fn(&str) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests").join(folder);
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yml")).collect();
    assert!(files.len() > 2, "{} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        if std::env::var_os("WRITE_EXPECTED").is_some() {
            std::fs::write(file.with_extension("txt"), messages(&text)).expect("written");
        }
        let expected = std::fs::read_to_string(file.with_extension("txt")).expect("messages");
        assert_eq!(messages(&text), expected, "{}", file.display());
    }
}

#[test]
fn wrong_files_are_refused() {
    every_file_has_its_messages("refused", problems);
}

#[test]
fn odd_files_are_accepted_with_warnings() {
    every_file_has_its_messages("warned", warnings);
}

#[test]
fn addresses_of_instances_may_have_labels_everywhere() {
    let accepted = [
        "http://[{ip6}]:8080",
        "http://{host}:{port}",
        "https://[{ip6}]:80{port}/x",
        "http://gateway/{name}",
    ];
    for address in accepted {
        assert_eq!(template::template(address).map(|(url, _)| url), Ok(address.to_owned()));
    }
}

#[test]
fn bridges_can_be_limited_to_idle_ones() {
    let only_idle = |victims: &str| {
        let config =
            parse(&with(&format!("{GROUPS}\n    victims: {victims}"), &format!("expr: x\n        {OUT}")));
        config.expect("valid").fleets[0].policy.victims.only_idle
    };
    assert!(only_idle("{only_idle: true}"));
    assert!(!only_idle("{only_idle: false}") && !only_idle("{order: oldest}"));
}

#[test]
fn the_query_of_an_alert_keeps_the_labels_of_groups() {
    let config = parse(&with(
        "asg: {names: [a], label: group, region_label: region}",
        "alert: BridgesBusy\n        scale_out: {add: 2}",
    ))
    .expect("valid");
    assert_eq!(
        config.fleets[0].expressions,
        [r#"max by (group, region) (ALERTS{alertname="BridgesBusy",alertstate="firing"})"#]
    );
}

#[test]
fn a_fleet_reads_its_own_prometheus_or_that_of_the_file() {
    let fleet = |name: &str, own: &str| {
        format!(
            "  - name: {name}\n    component: jvb\n    {own}\n    asg: {{names: [{name}]}}\n    policies:\n      \
             - name: load\n        expr: x\n        {OUT}\n"
        )
    };
    let west = fleet("west", "prometheus: {url: 'http://west:9090', delay: 30s, bearer_token_file: token}");
    let shared = "prometheus: {url: 'http://all:9090'}\n";
    let urls = |text: &str| -> Vec<String> {
        let config = parse(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        config.fleets.iter().map(|fleet| fleet.prometheus.url.to_string()).collect()
    };
    let both = format!("{shared}fleets:\n{}{west}", fleet("east", "dry_run: true"));
    assert_eq!(urls(&both), ["http://all:9090/", "http://west:9090/"]);
    assert_eq!(urls(&format!("fleets:\n{west}")), ["http://west:9090/"]);
    let config = parse(&both).expect("valid");
    let [east, west] = config.fleets.as_slice() else { panic!("two fleets") };
    assert_eq!((east.prometheus.delay, west.prometheus.delay), (Duration::ZERO, Duration::from_secs(30)));
    assert_eq!(east.prometheus.auth, Auth::None);
    assert_eq!(west.prometheus.auth, Auth::Bearer { token_file: "/etc/jitsi-scaler/token".into() });
}

#[test]
fn numbers_in_names_and_tags_stay_as_they_are_written() {
    let config = parse(&with(
        "asg: {tags: {release: 1.10, number: 007, big: 1_000}}",
        &format!("expr: x\n        {OUT}"),
    ));
    let config = config.expect("valid");
    let tags = ["big", "number", "release"].iter().zip(["1_000", "007", "1.10"]);
    let tags = tags.map(|(key, value)| ((*key).to_owned(), value.to_owned())).collect();
    assert_eq!(config.fleets[0].asg.groups, Groups::Tags(tags));
}

#[test]
fn the_error_of_a_file_names_it_and_lists_its_mistakes() {
    let path = || std::path::PathBuf::from("/etc/jitsi-scaler/scaler.yml");
    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    let problem =
        |line| Problem { line, path: "fleets[0].name".to_owned(), text: "must not be empty".to_owned() };
    let errors = [
        ConfigError::Read { path: path(), source },
        ConfigError::Invalid { path: path(), problems: vec![problem(3)] },
        ConfigError::Invalid { path: path(), problems: vec![problem(3), problem(9)] },
    ];
    let message: String = errors.iter().map(|error| format!("failed to {error}\n")).collect();
    assert_snapshot!(message, @"
    failed to read /etc/jitsi-scaler/scaler.yml; name an existing file with --config.file
    failed to use /etc/jitsi-scaler/scaler.yml, which has 1 mistake:
      line 3: fleets[0].name: must not be empty
    failed to use /etc/jitsi-scaler/scaler.yml, which has 2 mistakes:
      line 3: fleets[0].name: must not be empty
      line 9: fleets[0].name: must not be empty
    ");
}
