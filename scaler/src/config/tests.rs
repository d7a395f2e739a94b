//! The problems of wrong configurations, and the results of valid ones.

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;

mod guide;
mod sense;
mod upkeep;

use super::*;
use crate::decide::policy::{Adjustment, Amount, Component, Direction, Measures, Missing, VictimOrder};

/// A configuration like the README's.
const EXAMPLE: &str = r#"
prometheus:
  url: http://127.0.0.1:9090
  timeout: 10s
  headers: {X-Scope-OrgID: jitsi}

fleets:
  - name: jvb
    component: jvb
    asg:
      regions: [us-east-1, eu-west-1]
      names: [prod-jvb]
      role_arn: arn:aws:iam::123456789012:role/jitsi-scaler
    capacity: {min: 2, max: 50}
    policies:
      - name: network-out
        expr: asg:jvb_network_out_bytes:avg1m
        measures: load
        scale_out: {when: ">= 750e6", periods: 10, add: 1, cooldown: 5m}
        scale_in:  {when: "<= 375e6", periods: 10, remove: 1, cooldown: 10m}
      - name: stress
        expr: asg:jvb_stress:avg
        scale_out:
          when: ">= 0.6"
          periods: 5
          breaching: 3
          missing: hold
          steps: [{from: 0, to: 0.2, add: 1}, {from: 0.2, add: 25%}]
    victims: {order: least_loaded, min_age: 55m}
    drain: {via: "http://{private_ip}:8080/", max_in_flight: 25%}

  - name: jibri
    component: jibri
    asg: {tags: {jitsi-fleet: jibri}}
    policies:
      - name: pool
        expr: asg:jibri_available:sum
        measures: idle
        scale_out: {when: "< 2", periods: 5, add: 1, cooldown: 3m}
        scale_in:  {when: "> 3", periods: 10, remove: 1, cooldown: 10m}
    victims: {order: longest_idle, idle_for: 5m}
    drain: {via: {health: "http://{private_ip}:2222", internal: "http://{private_ip}:3333"}, max_in_flight: 1}
"#;

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

/// Each file of `refused` is named after its mistake and has the message beside it.
#[test]
fn every_refused_file_has_its_message() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests/refused");
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yml")).collect();
    assert!(files.len() > 20, "{} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let message = problems(&text);
        let expected = std::fs::read_to_string(file.with_extension("txt")).expect("a message");
        assert_eq!(message, expected, "{}", file.display());
    }
}

#[test]
fn addresses_of_instances_are_judged() {
    let via = |via: &str| {
        problems(&format!(
            r#"
prometheus: {{url: "http://127.0.0.1:9090"}}
fleets:
  - name: jvb
    component: jvb
    asg: {{names: [a]}}
    drain: {{via: {via}}}
    policies: [{{name: p, expr: x, scale_in: {{when: "< 3", periods: 3, remove: 1}}}}]
"#
        ))
    };
    assert_snapshot!(via("\"{private_ip}:8080\""), @r#"line 7: fleets[0].drain.via: must be an address that begins with http:// or https://, not "{private_ip}:8080""#);
    assert_snapshot!(via("\"http://{private_ip:8080\""), @r#"line 7: fleets[0].drain.via: has a { that is not closed: "http://{private_ip:8080""#);
    assert_snapshot!(via("\"http://{private ip}:8080\""), @"line 7: fleets[0].drain.via: {private ip} is not the name of a label");
    assert_snapshot!(via("\"http://{private_ip}:{port}00000\""), @r#"line 7: fleets[0].drain.via: has no valid port: "http://{private_ip}:{port}00000""#);
    assert_snapshot!(via("\"http://[{ip6}:8080\""), @r#"line 7: fleets[0].drain.via: must be an address that begins with http:// or https://, not "http://[{ip6}:8080""#);
    let accepted = [
        "http://[{ip6}]:8080",
        "http://{host}:{port}",
        "https://[{ip6}]:80{port}/x",
        "http://gateway/{name}",
    ];
    for address in accepted {
        assert_eq!(template::template(address), Ok(address.to_owned()));
    }
    assert_snapshot!(via("{health: \"http://x\", internal: \"http://y\"}"), @r#"line 7: fleets[0].drain.via: must be a single address such as "http://{private_ip}:8080"; a bridge has one port"#);
}

#[test]
fn only_bridges_can_be_limited_to_idle_ones() {
    let fleet = |component: &str, via: &str, victims: &str| {
        parse(&format!(
            r#"
prometheus: {{url: "http://127.0.0.1:9090"}}
fleets:
  - name: a
    component: {component}
    asg: {{names: [a]}}
    victims: {victims}
    drain: {{via: "http://{{private_ip}}:10065/{via}"}}
    policies: [{{name: p, expr: x, scale_in: {{when: "< 3", periods: 3, remove: 1}}}}]
"#
        ))
    };
    let only_idle =
        |victims: &str| fleet("jvb", "relay/jvb", victims).expect("valid").fleets[0].policy.victims.only_idle;
    assert!(only_idle("{only_idle: true}"));
    assert!(!only_idle("{only_idle: false}") && !only_idle("{order: oldest}"));
    let problem = fleet("jibri", "relay/jibri", "{only_idle: true}").expect_err("refused");
    assert_snapshot!(problem[0].to_string(), @"line 7: fleets[0].victims.only_idle: is for jvb; a Jibri leaves only while it is idle in any case");
    let problem = fleet("jvb", "relay/jvb", "{idle_for: 5m}").expect_err("refused");
    assert_snapshot!(problem[0].to_string(), @"line 7: fleets[0].victims.idle_for: is for jibri; for bridges without participants write only_idle: true");
}

/// A configuration of one bridge fleet with one policy, as far as `fleet` and `policy` do not say otherwise.
fn with(fleet: &str, policy: &str) -> String {
    format!(
        r#"
prometheus: {{url: "http://127.0.0.1:9090"}}
fleets:
  - name: jvb
    component: jvb
    {fleet}
    drain: {{via: "http://{{private_ip}}:8080"}}
    policies:
      - name: load
        {policy}
"#
    )
}

const GROUPS: &str = "asg: {names: [a]}";
const OUT: &str = r#"scale_out: {when: ">= 5", periods: 3, add: 1}"#;

#[test]
fn promql_is_parsed() {
    let expr = |expr: &str| problems(&with(GROUPS, &format!("expr: '{expr}'\n        {OUT}")));
    assert_snapshot!(expr("sum by (asg) (x"), @"line 10: fleets[0].policies[0].expr: is not valid PromQL: unclosed left parenthesis");
    assert_snapshot!(expr(""), @"line 10: fleets[0].policies[0].expr: is not valid PromQL: no expression found in input");
    assert_snapshot!(expr("x[5m]"), @"line 10: fleets[0].policies[0].expr: gives a matrix, and must give an instant vector with one series per group");
}

#[test]
fn durations_are_those_that_people_mean() {
    let cooldown = |text: &str| {
        let rule = format!(r#"scale_out: {{when: ">= 5", periods: 3, add: 1, cooldown: {text}}}"#);
        problems(&with(GROUPS, &format!("expr: x\n        {rule}")))
    };
    assert_snapshot!(cooldown("5M"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: "5M" is in months; for minutes write m"#);
    assert_snapshot!(cooldown("1y"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: must be a duration with its unit, such as 90s, 10m or 7d, not "1y""#);
    assert_snapshot!(cooldown("100d"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: "100d" is longer than 90d"#);
    assert_snapshot!(cooldown("five minutes"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: must be a duration with its unit, such as 90s, 10m or 7d, not "five minutes""#);
}

#[test]
fn the_name_of_an_alert_is_judged() {
    let policy = |policy: &str| problems(&with(GROUPS, policy));
    assert_snapshot!(policy("alert: Busy!\n        scale_out: {add: 1}"), @r#"line 10: fleets[0].policies[0].alert: "Busy!" is not the name of an alert"#);
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
fn schedules_are_judged() {
    let schedule = |entry: &str| {
        problems(&with(&format!("{GROUPS}\n    schedules: [{entry}]"), &format!("expr: x\n        {OUT}")))
    };
    assert_snapshot!(schedule("{name: a, timezone: Europe/Pari, min: 1, cron: '0 16 * *', duration: 9d}"), @r#"
    line 7: fleets[0].schedules[0].timezone: "Europe/Pari" is not an IANA time zone such as Europe/Paris or UTC
    line 7: fleets[0].schedules[0].cron: must be a cron expression of five fields (minute, hour, day, month, weekday) such as "0 16 * * Fri", not "0 16 * *"
    line 7: fleets[0].schedules[0].duration: must be longer than 0s and at most 7d
    "#);
    assert_snapshot!(schedule("{name: a, timezone: UTC, days: [Mo], from: '25:00', to: '7'}"), @r#"
    line 7: fleets[0].schedules[0]: sets neither `min` nor `max`; write for example `min: 10`
    line 7: fleets[0].schedules[0].days: "Mo" is not a day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun
    line 7: fleets[0].schedules[0].from: must be a time of day such as "07:00", not "25:00"
    line 7: fleets[0].schedules[0].to: must be a time of day such as "07:00", not "7"
    "#);
    assert_snapshot!(schedule("{name: a, timezone: UTC, min: 3, max: 2, cron: '0 16 * * 5', days: [Fri]}"), @"
    line 7: fleets[0].schedules[0]: the minimum 3 is above the maximum 2; lower it, or raise the maximum
    line 7: fleets[0].schedules[0]: write either `cron` and `duration`, or `days`, `from` and `to`
    line 7: fleets[0].schedules[0]: `duration` is missing; write for example `duration: 2h`
    ");
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
    assert_snapshot!(problems(&with("asg: {tags: {new: on}}", &format!("expr: x\n        {OUT}"))), @"line 6: fleets[0].asg.tags.new: must be a text, not a boolean; put it into quotes");
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
