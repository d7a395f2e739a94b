//! The problems of wrong configurations, and the results of valid ones.

use std::path::Path;
use std::time::Duration;

use insta::assert_snapshot;

mod guide;
mod sense;
mod upkeep;

use super::*;
use crate::decide::policy::{Adjustment, Amount, Component, Direction, Measures, Missing, VictimOrder};

/// The example of the README, as far as this version goes.
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

/// What is odd about a configuration that is valid.
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
    assert_eq!(jvb.drain.as_ref().map(|via| via.component.as_str()), Some("http://{private_ip}:8080"));

    assert_eq!(jibri.policy.component, Component::Jibri);
    assert_eq!(jibri.asg.groups, Groups::Tags(vec![("jitsi-fleet".to_owned(), "jibri".to_owned())]));
    assert_eq!(jibri.policy.max_in_flight, Amount::Count(crate::units::Capacity::saturating(1)));
    assert_eq!(jibri.drain.as_ref().map(|via| via.internal.as_str()), Some("http://{private_ip}:3333"));
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = r#"
prometheus:
  url: localhost:9090
  timeout: 10
fleets:
  - name: jvb
    component: jvbs
    asg: {names: [a], tags: {b: c}}
    capacity: {min: 9, max: 3}
    warm_up: 3m
    min_reporting: 120%
    policies:
      - name: load
        expr: x
        scale_out: {when: "=> 5", periods: ten, add: 1}
        scale_in: {when: "<= 3", periods: 3, breaching: 4, missing: breaching, add: 1}
      - name: load
        period: 500ms
        scale_out: {when: "> 5", periods: 3, add: 1, remove: 1}
"#;
    assert_snapshot!(problems(text), @r#"
    line 3: prometheus.url: must be an address that begins with http:// or https://, not "localhost:9090"
    line 4: prometheus.timeout: must be a duration such as 90s, 10m or 7d, not "10"
    line 7: fleets[0].component: must be jvb or jibri, not "jvbs"
    line 8: fleets[0].asg.names: write either `names` or `tags`, not both
    line 9: fleets[0].capacity: the minimum 9 is above the maximum 3
    line 10: fleets[0]: there is no key `warm_up` here; did you mean `warmup`?
    line 11: fleets[0].min_reporting: must be a percentage from 0% to 100%, not "120%"
    line 15: fleets[0].policies[0].scale_out.when: must be <, <=, > or >= and a number, such as ">= 750e6", not "=> 5"
    line 15: fleets[0].policies[0].scale_out.periods: must be a whole number from 1 to 5000, not "ten"
    line 16: fleets[0].policies[0].scale_in.periods: `breaching` is 4, more than the 3 periods that there are
    line 16: fleets[0].policies[0].scale_in.missing: must not be breaching here: what was not seen must never remove an instance; write hold
    line 16: fleets[0].policies[0].scale_in.add: does not belong here; write `remove`
    line 17: fleets[0].policies[1].name: another policy of this fleet is called "load" already
    line 17: fleets[0].policies[1]: needs one of `expr`, `desired` or `alert`; write for example `expr: asg:jvb_stress:avg`
    line 18: fleets[0].policies[1].period: must be whole seconds, at least 1s and at most 1d; the default is 60s
    "#);
}

#[test]
fn thresholds_that_meet_are_refused() {
    let text = r#"
prometheus: {url: "http://127.0.0.1:9090"}
fleets:
  - name: jvb
    component: jvb
    asg: {names: [a]}
    drain: {via: "http://{private_ip}:8080"}
    policies:
      - name: load
        expr: x
        scale_out: {when: ">= 5", periods: 3, add: 1}
        scale_in: {when: "<= 5", periods: 3, remove: 1}
"#;
    assert_snapshot!(problems(text), @"line 9: fleets[0].policies[0]: the value 5 satisfies both scale_out (>= 5) and scale_in (<= 5); move them apart");
}

#[test]
fn steps_must_join() {
    let policy = |steps: &str| {
        problems(&format!(
            r#"
prometheus: {{url: "http://127.0.0.1:9090"}}
fleets:
  - name: jvb
    component: jvb
    asg: {{names: [a]}}
    policies:
      - name: load
        expr: x
        scale_out: {{when: ">= 5", periods: 3, steps: {steps}}}
"#
        ))
    };
    assert_snapshot!(policy("[{from: 0, to: 2, add: 1}, {from: 3, add: 2}]"), @"line 10: fleets[0].policies[0].scale_out: the steps leave a gap between 2 and 3; let one end where the next begins");
    assert_snapshot!(policy("[{from: 0, to: 2, add: 1}, {from: 1, add: 2}]"), @"line 10: fleets[0].policies[0].scale_out: two steps overlap between 1 and 2; let one end where the next begins");
    assert_snapshot!(policy("[{from: 2, to: 0, add: 1}]"), @"line 10: fleets[0].policies[0].scale_out.steps[0]: `from` 2 must be below `to` 0");
    assert_snapshot!(policy("[{from: 0, remove: 1}]"), @"
    line 10: fleets[0].policies[0].scale_out.steps[0]: `add` is missing; write for example `add: 1`
    line 10: fleets[0].policies[0].scale_out.steps[0]: there is no key `remove` here; known are add, from, to
    ");
}

#[test]
fn a_fleet_that_scales_in_must_say_how_to_drain() {
    let text = r#"
prometheus: {url: "http://127.0.0.1:9090"}
fleets:
  - name: jibri
    component: jibri
    asg: {names: [a]}
    policies:
      - name: pool
        expr: x
        scale_in: {when: "> 3", periods: 3, remove: 1}
"#;
    assert_snapshot!(problems(text), @r#"line 4: fleets[0]: `drain` is missing: to take instances out both addresses of their Jibris are needed; write for example `drain: {via: {health: "http://{private_ip}:2222", internal: "http://{private_ip}:3333"}}`"#);
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
    assert_snapshot!(via("{health: \"http://x\", internal: \"http://y\"}"), @r#"line 7: fleets[0].drain.via: must be a single address such as "http://{private_ip}:8080"; a bridge has one port"#);
}

#[test]
fn what_is_not_yaml_is_told_with_its_place() {
    assert_snapshot!(problems("prometheus: {url: x\nfleets: ["), @"line 2: this is not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'; put texts with {, }, : or # into quotes; nothing after it was read");
    assert_snapshot!(problems("prometheus: {}\nprometheus: {}\n"), @"line 2: the key `prometheus` stands here twice; a new entry of a list begins with `- `");
    assert_snapshot!(problems("- a\n- b\n"), @"
    line 1: must be a section of keys and values, not a list
    line 1: `prometheus` is missing; write for example `prometheus: {url: http://127.0.0.1:9090}`
    line 1: `fleets` is missing; at least one fleet is needed
    ");
    assert_snapshot!(problems(""), @"
    line 1: `prometheus` is missing; write for example `prometheus: {url: http://127.0.0.1:9090}`
    line 1: `fleets` is missing; at least one fleet is needed
    ");
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
fn a_key_without_a_value_is_a_mistake_and_not_an_absence() {
    assert_snapshot!(problems("prometheus: {url: }\nfleets:\n"), @"
    line 1: prometheus.url: has no value; write one, or leave the key out
    line 2: fleets: has no value; write one, or leave the key out
    ");
    let policy = "expr:\n        scale_out: {when: , periods: , add: 1}\n        scale_in:";
    assert_snapshot!(problems(&with("asg: {names: [a]}\n    warmup:", policy)), @"
    line 7: fleets[0].warmup: has no value; write one, or leave the key out
    line 11: fleets[0].policies[0].expr: has no value; write one, or leave the key out
    line 12: fleets[0].policies[0].scale_out.when: has no value; write one, or leave the key out
    line 12: fleets[0].policies[0].scale_out.periods: has no value; write one, or leave the key out
    line 13: fleets[0].policies[0].scale_in: has no value; write one, or leave the key out
    ");
}

#[test]
fn a_group_has_one_fleet() {
    let text = r#"
prometheus: {url: "http://127.0.0.1:9090"}
fleets:
  - name: one
    component: jvb
    asg: {regions: [us-east-1, eu-west-1], names: [a]}
    policies: [{name: p, expr: x, scale_out: {when: "> 3", periods: 3, add: 1}}]
  - name: two
    component: jvb
    asg: {regions: [eu-west-1], names: [b, a, b, "prod-*"]}
    policies: [{name: p, expr: x, scale_out: {when: "> 3", periods: 3, add: 1}}]
  - name: elsewhere
    component: jvb
    asg: {regions: [us-west-2, us-est], names: [a]}
    policies: [{name: p, expr: x, scale_out: {when: "> 3", periods: 3, add: 1}}]
"#;
    assert_snapshot!(problems(text), @r#"
    line 10: fleets[1].asg.names: "a" belongs to the fleet "one" already; a group has one fleet
    line 10: fleets[1].asg.names: "b" stands here twice
    line 10: fleets[1].asg.names: "prod-*" is not the name of a group; names are exact, and `tags` selects several
    line 14: fleets[2].asg.regions: "us-est" is not a region such as us-east-1
    "#);
}

#[test]
fn rules_look_the_way_of_what_is_measured() {
    let rules = r#"expr: x
        measures: load
        scale_out: {when: "<= 3", periods: 3, add: 1}
        scale_in: {when: ">= 5", periods: 3, remove: 1}"#;
    assert_snapshot!(problems(&with(GROUPS, rules)), @"
    line 9: fleets[0].policies[0]: `scale_out` (<= 3) looks the wrong way: with what `measures` says it must be above a threshold; write >= or >
    line 9: fleets[0].policies[0]: `scale_in` (>= 5) looks the wrong way: with what `measures` says it must be below a threshold; write <= or <
    ");
}

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
    assert_snapshot!(cooldown("1y"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: must be a duration such as 90s, 10m or 7d, not "1y""#);
    assert_snapshot!(cooldown("100d"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: "100d" is longer than 90d"#);
    assert_snapshot!(cooldown("five minutes"), @r#"line 11: fleets[0].policies[0].scale_out.cooldown: must be a duration such as 90s, 10m or 7d, not "five minutes""#);
}

#[test]
fn desired_and_alert_policies_have_words_of_their_own() {
    let policy = |policy: &str| problems(&with(GROUPS, policy));
    assert_snapshot!(policy("expr: x\n        desired: y\n        scale_out: {periods: 1}"), @r#"
    line 9: fleets[0].policies[0]: has several of `expr`, `desired` and `alert`; write a policy for each
    line 11: fleets[0].policies[0].desired: must be a text, not true
    line 12: fleets[0].policies[0].scale_out: `when` is missing; write for example `when: ">= 0.6"`
    line 12: fleets[0].policies[0].scale_out: needs exactly one of `add`, `steps` or `set`, and has 0; write for example `add: 1`
    "#);
    assert_snapshot!(policy("desired: y\n        measures: load\n        scale_out: {when: \"> 3\", add: 1}"), @"line 10: fleets[0].policies[0].desired: must be a text, not true");
    assert_snapshot!(policy("alert: Busy!\n        scale_out: {add: 1}"), @r#"line 10: fleets[0].policies[0].alert: "Busy!" is not the name of an alert"#);
    assert_snapshot!(policy("alert: Busy\n        scale_out: {add: 1}\n        scale_in: {remove: 1}"), @"line 9: fleets[0].policies[0]: one alert cannot call for both directions; write a policy for each");
    assert_snapshot!(policy("alert: Busy\n        scale_out: {steps: [{add: 1}]}"), @"line 9: fleets[0].policies[0]: an alert has no distance from a threshold; write `add`, `remove` or `set`, not `steps`");
}

#[test]
fn an_alert_asks_by_the_labels_of_the_groups() {
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
    line 7: fleets[0].schedules[0].duration: must be longer than nothing and at most 7d
    "#);
    assert_snapshot!(schedule("{name: a, timezone: UTC, days: [Mo], from: '25:00', to: '7'}"), @r#"
    line 7: fleets[0].schedules[0]: sets neither `min` nor `max`; write for example `min: 10`
    line 7: fleets[0].schedules[0].days: "Mo" is not a day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun
    line 7: fleets[0].schedules[0].from: must be a time of day such as "07:00", not "25:00"
    line 7: fleets[0].schedules[0].to: must be a time of day such as "07:00", not "7"
    "#);
    assert_snapshot!(schedule("{name: a, timezone: UTC, min: 3, max: 2, cron: '0 16 * * 5', days: [Fri]}"), @"
    line 7: fleets[0].schedules[0]: the minimum 3 is above the maximum 2
    line 7: fleets[0].schedules[0]: write either `cron` and `duration`, or `days`, `from` and `to`
    line 7: fleets[0].schedules[0]: `duration` is missing; write for example `duration: 2h`
    ");
}

#[test]
fn names_and_tags_are_taken_as_they_are_written() {
    let config = parse(&with(
        "asg: {tags: {release: 1.10, number: 007, big: 1_000}}",
        &format!("expr: x\n        {OUT}"),
    ));
    let config = config.expect("valid");
    let tags = ["release", "number", "big"].iter().zip(["1.10", "007", "1_000"]);
    let tags = tags.map(|(key, value)| ((*key).to_owned(), value.to_owned())).collect();
    assert_eq!(config.fleets[0].asg.groups, Groups::Tags(tags));
    assert_snapshot!(problems(&with("asg: {tags: {new: on}}", &format!("expr: x\n        {OUT}"))), @r#"
    line 6: fleets[0].asg.tags: `new` must be a text; write "true" in quotes
    line 6: fleets[0].asg: says no groups; write `names: [prod-jvb]` or `tags: {jitsi-fleet: jvb}`
    "#);
}

#[test]
fn advice_comes_with_what_is_not_yaml() {
    assert_snapshot!(problems(&with(GROUPS, "expr: x\n        scale_out:\n          when: > 2\n          add: 1")), @r#"line 12: this is not valid YAML: while scanning a block scalar, did not find expected comment or line break; put comparisons into quotes, as in when: "> 2"; nothing after it was read"#);
    assert_snapshot!(problems("prometheus:\n\turl: x\n"), @"line 2: this is not valid YAML: tabs disallowed within this context (block indentation); indent with spaces, not with tabs; nothing after it was read");
    assert_snapshot!(problems("a: 1\n---\nb: 2\n"), @"line 3: this is a second document; remove the line ---");
}

#[test]
fn a_file_that_cannot_be_used_is_told_in_words() {
    let path = || std::path::PathBuf::from("/etc/jitsi-scaler/scaler.yml");
    let source = std::io::Error::from(std::io::ErrorKind::NotFound);
    let problem =
        |line| Problem { line, path: "fleets[0].name".to_owned(), text: "must not be empty".to_owned() };
    let errors = [
        ConfigError::Read { path: path(), source },
        ConfigError::Invalid { path: path(), problems: vec![problem(3)] },
        ConfigError::Invalid { path: path(), problems: vec![problem(3), problem(9)] },
    ];
    let told: String = errors.iter().map(|error| format!("failed to {error}\n")).collect();
    assert_snapshot!(told, @"
    failed to read /etc/jitsi-scaler/scaler.yml; name an existing file with --config.file
    failed to use /etc/jitsi-scaler/scaler.yml, which has 1 mistake:
      line 3: fleets[0].name: must not be empty
    failed to use /etc/jitsi-scaler/scaler.yml, which has 2 mistakes:
      line 3: fleets[0].name: must not be empty
      line 9: fleets[0].name: must not be empty
    ");
}
