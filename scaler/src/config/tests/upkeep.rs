//! Drains, hooks, unhealthy instances and old ones: the defaults, and every mistake.

use std::path::PathBuf;
use std::time::Duration;

use insta::assert_snapshot;
use test_case::test_case;

use super::{GROUPS, OUT, parse, problems, with};
use crate::config::Auth;
use crate::decide::policy::{DrainLimit, OnTimeout};

/// A bridge fleet with `more` lines.
fn fleet(more: &str) -> String {
    with(&format!("{GROUPS}\n    {more}"), &format!("expr: x\n        {OUT}"))
}

/// A bridge fleet whose drain has `more` keys beside its address.
fn drain(more: &str) -> String {
    fleet("").replace("\"http://{private_ip}:8080\"}", &format!("\"http://{{private_ip}}:8080\", {more}}}"))
}

#[test]
fn by_default_drains_wait_and_nothing_is_replaced_recycled_or_protected() {
    let config = parse(&fleet("")).expect("valid");
    let fleet = &config.fleets[0];
    assert_eq!((fleet.policy.drain_limit, fleet.policy.replace, fleet.policy.recycle), (None, None, None));
    assert!(!fleet.policy.protect_busy && fleet.policy.serves_hooks);
    assert_eq!((&fleet.lifecycle_hook, &fleet.replace_expr), (&None, &None));
    let via = fleet.drain.as_ref().expect("a drain");
    assert!(matches!(via.auth, Auth::None) && via.tls.ca_file.is_none() && via.tls.identity.is_none());
}

#[test]
fn every_key_takes_effect() {
    let text = fleet(
        "replace_unhealthy: {expr: \"jvb_healthy == 0\", periods: 5}\n    \
         recycle: {max_age: 7d, from: \"23:00\", to: \"05:00\", timezone: Europe/Paris}\n    \
         protect_busy: true\n    lifecycle_hook: drain",
    );
    let text = text.replace(
        "\"http://{private_ip}:8080\"}",
        "\"https://{private_ip}:10065/relay/jvb\", timeout: 12h, on_timeout: terminate, \
         basic_auth: {username: scaler, password_file: /p}, tls: {ca_file: /ca, cert_file: /c, key_file: /k}}",
    );
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let fleet = &config.fleets[0];
    let limit = DrainLimit { timeout: Duration::from_hours(12), then: OnTimeout::Terminate };
    assert_eq!(fleet.policy.drain_limit, Some(limit));
    let replace = fleet.policy.replace.expect("it replaces");
    assert_eq!((replace.periods, replace.max_in_flight.get()), (5, 1));
    assert!((replace.max_share.get() - 34.0).abs() < 1e-9, "a third, and one of two or three");
    assert_eq!(fleet.replace_expr.as_deref(), Some("jvb_healthy == 0"));
    assert_eq!(fleet.policy.recycle, Some(Duration::from_hours(24 * 7)));
    assert!(fleet.policy.protect_busy);
    assert_eq!(fleet.lifecycle_hook.as_deref(), Some("drain"));
    let via = fleet.drain.as_ref().expect("a drain");
    assert!(matches!(&via.auth, Auth::Basic { username, password_file }
        if username == "scaler" && password_file.as_path() == std::path::Path::new("/p")));
    assert_eq!(via.tls.ca_file, Some(PathBuf::from("/ca")));
    assert_eq!(via.tls.identity, Some((PathBuf::from("/c"), PathBuf::from("/k"))));
}

#[test]
fn paths_are_relative_to_the_folder_of_the_file() {
    let text = drain("bearer_token_file: token, tls: {ca_file: tls/ca.pem}");
    let text = text.replace("9090\"", "9090\", basic_auth: {username: a, password_file: password}");
    let config = parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let via = config.fleets[0].drain.as_ref().expect("a drain");
    assert_eq!(via.auth, Auth::Bearer { token_file: "/etc/jitsi-scaler/token".into() });
    assert_eq!(via.tls.ca_file, Some(PathBuf::from("/etc/jitsi-scaler/tls/ca.pem")));
    let password_file = "/etc/jitsi-scaler/password".into();
    assert_eq!(config.prometheus.auth, Auth::Basic { username: "a".to_owned(), password_file });
}

#[test]
fn a_timeout_alone_waits() {
    let config = parse(&drain("timeout: 90m")).expect("valid");
    let limit = DrainLimit { timeout: Duration::from_mins(90), then: OnTimeout::Wait };
    assert_eq!(config.fleets[0].policy.drain_limit, Some(limit));
}

#[test]
fn limits_of_drains_are_judged() {
    let refused = |more: &str| problems(&drain(more));
    assert_snapshot!(refused("timeout: 0s"), @"line 8: fleets[0].drain.timeout: must be longer than 0s; leave it out to wait as long as it takes");
    assert_snapshot!(refused("timeout: 90"), @r#"line 8: fleets[0].drain.timeout: must be a duration with its unit, such as 90s, 10m or 7d, not "90""#);
    assert_snapshot!(refused("on_timeout: undrain"), @"line 8: fleets[0].drain.on_timeout: takes effect after `timeout`, which is missing; write for example `timeout: 12h`");
    assert_snapshot!(refused("timeout: 1h, on_timeout: kill"), @r#"line 8: fleets[0].drain.on_timeout: must be wait, undrain or terminate, not "kill""#);
    assert_snapshot!(refused("timeout: 1h, on_timeot: wait"), @"line 8: fleets[0].drain: there is no key `on_timeot` here; did you mean `on_timeout`?");
    let jibri = drain("timeout: 1h, on_timeout: undrain")
        .replace("component: jvb", "component: jibri")
        .replace("via: \"http://{private_ip}:8080\"", "via: \"http://{private_ip}:10065/relay/jibri\"");
    assert_snapshot!(problems(&jibri), @"line 8: fleets[0].drain.on_timeout: undrain is for jvb: a Jibri's graceful shutdown cannot be cancelled; write wait or terminate");
}

#[test]
fn the_authentication_of_a_drain_is_judged() {
    let refused = |more: &str| problems(&drain(more));
    assert_snapshot!(refused("basic_auth: {username: scaler}"), @"line 8: fleets[0].drain.basic_auth: `password_file` is missing; write for example `password_file: /etc/jitsi-scaler/relay-password`");
    assert_snapshot!(refused("basic_auth: {username: scaler, password: secret, password_file: /p}"), @"line 8: fleets[0].drain.basic_auth: there is no key `password` here; known are password_file, username");
    assert_snapshot!(refused("basic_auth: {username: scaler, password_file: /p}, bearer_token_file: /t"), @"line 8: fleets[0].drain.bearer_token_file: excludes `basic_auth`; write one of them");
    assert_snapshot!(refused("basic_auth: scaler"), @"line 8: fleets[0].drain.basic_auth: must be a section of keys and values, not a text");
    assert_snapshot!(refused("tls: {cert_file: /c}"), @"line 8: fleets[0].drain.tls: `cert_file` and `key_file` belong together; write both or neither");
    assert_snapshot!(refused("tls: {ca: /c}"), @"line 8: fleets[0].drain.tls: there is no key `ca` here; known are ca_file, cert_file, key_file");
    assert_snapshot!(refused("tls: {insecure_skip_verify: true}"), @"line 8: fleets[0].drain.tls: there is no key `insecure_skip_verify` here; known are ca_file, cert_file, key_file");
}

#[test]
fn replacements_are_judged() {
    let refused = |more: &str| problems(&fleet(&format!("replace_unhealthy: {more}")));
    assert_snapshot!(refused("{}"), @r#"
    line 7: fleets[0].replace_unhealthy: `expr` is missing; write for example `expr: "jibri_healthy == 0"`
    line 7: fleets[0].replace_unhealthy: `periods` is missing; write for example `periods: 5`
    "#);
    assert_snapshot!(refused("{expr: jvb_healthy, periods: 5}"), @r#"line 7: fleets[0].replace_unhealthy.expr: must select only unhealthy instances, such as "jibri_healthy == 0"; "jvb_healthy" selects all"#);
    assert_snapshot!(refused("{expr: \"jvb_healthy{asg='prod'}\", periods: 5}"), @r#"line 7: fleets[0].replace_unhealthy.expr: must select only unhealthy instances, such as "jibri_healthy == 0"; "jvb_healthy{asg='prod'}" selects all"#);
    assert_snapshot!(refused("{expr: \"jvb_healthy == bool 0\", periods: 5}"), @r#"line 7: fleets[0].replace_unhealthy.expr: must select only unhealthy instances, such as "jibri_healthy == 0"; "jvb_healthy == bool 0" selects all"#);
    assert_snapshot!(refused("{expr: \"(jvb_healthy == 0\", periods: 0}"), @r#"
    line 7: fleets[0].replace_unhealthy.expr: is not valid PromQL: unclosed left parenthesis
    line 7: fleets[0].replace_unhealthy.periods: must be a whole number from 1 to 5000 (one answer of Prometheus holds no more), not "0"
    "#);
    assert_snapshot!(refused("{expr: \"jvb_healthy == 0\", periods: 5, max_in_flight: 0, max_share: 0%}"), @"
    line 7: fleets[0].replace_unhealthy.max_in_flight: must allow at least one; leave replace_unhealthy out to replace nothing
    line 7: fleets[0].replace_unhealthy.max_share: must be above 0%
    ");
    assert_snapshot!(refused("{expr: \"jvb_healthy == 0\", periods: 5, max_in_flight: 10%, max_share: 0.5}"), @r#"
    line 7: fleets[0].replace_unhealthy.max_in_flight: must be a whole number of instances from 0 to 100000, not "10%"
    line 7: fleets[0].replace_unhealthy.max_share: must be a percentage from 0% to 100%, not "0.5"
    "#);
    assert_snapshot!(refused("\"jvb_healthy == 0\""), @"line 7: fleets[0].replace_unhealthy: must be a section of keys and values, not a text");
}

#[test_case("jvb_healthy == 0"; "a comparison")]
#[test_case("ALERTS{alertname='BridgeIll', alertstate='firing'}"; "an alert")]
#[test_case("instance:ill:bool > 0 or (jvb_up == 0)"; "one of two comparisons")]
#[test_case("jvb_up unless on (instance_id) jvb_conferences"; "a set of which others are left out")]
#[test_case("sum by (instance_id) (jvb_healthy == bool 0) > 0"; "a sum that is compared")]
fn expressions_that_select_only_the_unhealthy_are_accepted(expr: &str) {
    let config = parse(&fleet(&format!("replace_unhealthy: {{expr: \"{expr}\", periods: 5}}")));
    assert_eq!(config.expect("valid").fleets[0].replace_expr.as_deref(), Some(expr));
}

#[test]
fn recycling_is_judged() {
    let refused = |more: &str| problems(&fleet(&format!("recycle: {more}")));
    assert_snapshot!(refused("{}"), @r#"
    line 7: fleets[0].recycle: `max_age` is missing; write for example `max_age: 7d`
    line 7: fleets[0].recycle: `timezone` is missing; write for example `timezone: Europe/Paris`
    line 7: fleets[0].recycle: `from` is missing; write for example `from: "07:00"`
    line 7: fleets[0].recycle: `to` is missing; write for example `to: "19:00"`
    "#);
    assert_snapshot!(refused("{max_age: 30m, from: \"04:00\", to: \"06:00\", timezone: UTC}"), @"line 7: fleets[0].recycle.max_age: must be at least 1h, or every instance would be replaced over and over");
    assert_snapshot!(refused("{max_age: 7d, from: \"4\", to: \"26:00\", timezone: CEST}"), @r#"
    line 7: fleets[0].recycle.timezone: "CEST" is not an IANA time zone such as Europe/Paris or UTC
    line 7: fleets[0].recycle.from: must be a time of day such as "07:00", not "4"
    line 7: fleets[0].recycle.to: must be a time of day such as "07:00", not "26:00"
    "#);
    assert_snapshot!(refused("{max_age: 7d, cron: \"0 4 * * *\", timezone: UTC}"), @r#"
    line 7: fleets[0].recycle: there is no key `cron` here; known are days, from, max_age, timezone, to
    line 7: fleets[0].recycle: `from` is missing; write for example `from: "07:00"`
    line 7: fleets[0].recycle: `to` is missing; write for example `to: "19:00"`
    "#);
    assert_snapshot!(refused("7d"), @"line 7: fleets[0].recycle: must be a section of keys and values, not a text");
}

#[test]
fn protection_and_hooks_are_judged() {
    assert_snapshot!(problems(&fleet("protect_busy: often")), @"line 7: fleets[0].protect_busy: must be true or false, not a text");
    assert_snapshot!(problems(&fleet("lifecycle_hook: \"\"")), @"line 7: fleets[0].lifecycle_hook: must not be empty; leave it out to serve the only terminating hook of a group");
    assert_snapshot!(problems(&fleet("lifecycle_hooks: drain")), @"line 7: fleets[0]: there is no key `lifecycle_hooks` here; did you mean `lifecycle_hook`?");
}

#[test]
fn what_removes_instances_needs_their_addresses() {
    let without =
        |more: &str| problems(&fleet(more).replace("drain: {via: \"http://{private_ip}:8080\"}\n    ", ""));
    assert_snapshot!(without("lifecycle_hook: drain"), @r#"line 4: fleets[0]: `drain` is missing: removing instances needs the address of their bridges; write for example `drain: {via: "http://{private_ip}:8080"}`"#);
    assert_snapshot!(without("replace_unhealthy: {expr: \"jvb_healthy == 0\", periods: 5}"), @r#"line 4: fleets[0]: `drain` is missing: removing instances needs the address of their bridges; write for example `drain: {via: "http://{private_ip}:8080"}`"#);
    assert_snapshot!(without("recycle: {max_age: 7d, from: \"04:00\", to: \"06:00\", timezone: UTC}"), @r#"line 4: fleets[0]: `drain` is missing: removing instances needs the address of their bridges; write for example `drain: {via: "http://{private_ip}:8080"}`"#);
    assert_eq!(
        parse(&fleet("protect_busy: true").replace("drain: {via: \"http://{private_ip}:8080\"}\n    ", ""))
            .err(),
        None,
        "protection needs no address"
    );
}
