//! A small configuration for tests.

use std::path::Path;

use super::{Config, parse};

/// The groups of its fleet.
pub(crate) const GROUPS: &str = "asg: {names: [a]}";
/// A rule of its policy.
pub(crate) const OUT: &str = r#"scale_out: {when: ">= 5", periods: 3, add: 1}"#;

/// The text of a configuration of one bridge fleet with one policy; `fleet` and `policy` are their further lines.
pub(crate) fn with(fleet: &str, policy: &str) -> String {
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

/// The configuration of which [`with`] gives the text.
pub(crate) fn config(fleet: &str, policy: &str) -> Config {
    let text = with(fleet, policy);
    parse(&text, Path::new("")).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
}
