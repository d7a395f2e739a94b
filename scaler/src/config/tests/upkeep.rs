//! Drains, hooks, unhealthy instances and old ones: the defaults, and every key.

use std::path::PathBuf;
use std::time::Duration;

use test_case::test_case;

use super::{GROUPS, OUT, parse, with};
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
    assert_eq!(config.fleets[0].prometheus.auth, Auth::Basic { username: "a".to_owned(), password_file });
}

#[test]
fn a_timeout_alone_waits() {
    let config = parse(&drain("timeout: 90m")).expect("valid");
    let limit = DrainLimit { timeout: Duration::from_mins(90), then: OnTimeout::Wait };
    assert_eq!(config.fleets[0].policy.drain_limit, Some(limit));
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
fn protection_needs_no_address() {
    let text = fleet("protect_busy: true").replace("drain: {via: \"http://{private_ip}:8080\"}\n    ", "");
    assert_eq!(parse(&text).err(), None);
}
