//! The files as they are written: a struct for each section, a field for each key.

use std::collections::BTreeMap;

use jitsi_web::document::{Field, OneOrMany, Wait};
use serde::Deserialize;

/// A text, or a number as it is written.
pub(super) type Text = Field<String>;
/// Texts whose keys the operator chooses.
pub(super) type Pairs = Field<BTreeMap<String, Text>>;
/// Sections, each at its line.
pub(super) type Sections<T> = Field<Vec<Field<T>>>;

/// A configuration.
#[derive(Deserialize)]
pub(super) struct RawConfig {
    pub(super) prometheus: Field<RawPrometheus>,
    pub(super) fleets: Sections<RawFleet>,
}

#[derive(Deserialize)]
pub(super) struct RawPrometheus {
    pub(super) url: Text,
    pub(super) timeout: Field<Wait>,
    pub(super) delay: Field<Wait>,
    pub(super) headers: Pairs,
    pub(super) basic_auth: Field<RawBasicAuth>,
    pub(super) bearer_token_file: Text,
    pub(super) tls: Field<RawTls>,
    pub(super) sigv4: Field<RawSigV4>,
}

#[derive(Deserialize)]
pub(super) struct RawBasicAuth {
    pub(super) username: Text,
    pub(super) password_file: Text,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "these are the keys of the file")]
pub(super) struct RawTls {
    pub(super) ca_file: Text,
    pub(super) cert_file: Text,
    pub(super) key_file: Text,
}

#[derive(Deserialize)]
pub(super) struct RawSigV4 {
    pub(super) region: Text,
    pub(super) role_arn: Text,
}

#[derive(Deserialize)]
pub(super) struct RawFleet {
    pub(super) name: Text,
    pub(super) component: Text,
    pub(super) dry_run: Field<bool>,
    pub(super) asg: Field<RawSelector>,
    pub(super) capacity: Field<RawBounds>,
    pub(super) warmup: Field<Wait>,
    pub(super) min_reporting: Text,
    pub(super) policies: Sections<RawPolicy>,
    pub(super) instances: Field<RawInstances>,
    pub(super) victims: Field<RawVictims>,
    pub(super) drain: Field<RawDrain>,
    pub(super) schedules: Sections<RawSchedule>,
    pub(super) replace_unhealthy: Field<RawReplace>,
    pub(super) recycle: Field<RawRecycle>,
    pub(super) protect_busy: Field<bool>,
    pub(super) lifecycle_hook: Text,
}

#[derive(Deserialize)]
pub(super) struct RawSelector {
    pub(super) regions: Field<OneOrMany>,
    pub(super) names: Field<OneOrMany>,
    pub(super) tags: Pairs,
    pub(super) role_arn: Text,
    pub(super) label: Text,
    pub(super) region_label: Text,
}

#[derive(Deserialize)]
pub(super) struct RawBounds {
    pub(super) min: Text,
    pub(super) max: Text,
}

#[derive(Default, Deserialize)]
pub(super) struct RawInstances {
    pub(super) series: Text,
    pub(super) id_label: Text,
}

#[derive(Default, Deserialize)]
pub(super) struct RawVictims {
    pub(super) order: Text,
    pub(super) min_age: Field<Wait>,
    pub(super) idle_for: Field<Wait>,
    pub(super) only_idle: Field<bool>,
}

#[derive(Deserialize)]
pub(super) struct RawDrain {
    pub(super) via: Field<RawVia>,
    pub(super) max_in_flight: Text,
    pub(super) timeout: Field<Wait>,
    pub(super) on_timeout: Text,
    pub(super) settle: Field<Wait>,
    pub(super) basic_auth: Field<RawBasicAuth>,
    pub(super) bearer_token_file: Text,
    pub(super) tls: Field<RawTls>,
}

/// One address, or the two of a Jibri.
#[derive(Deserialize)]
pub(super) enum RawVia {
    Text(String),
    Section(RawJibriVia),
}

#[derive(Deserialize)]
pub(super) struct RawJibriVia {
    pub(super) health: Text,
    pub(super) internal: Text,
}

#[derive(Deserialize)]
pub(super) struct RawPolicy {
    pub(super) name: Text,
    pub(super) expr: Text,
    pub(super) desired: Text,
    pub(super) alert: Text,
    pub(super) measures: Text,
    pub(super) period: Field<Wait>,
    pub(super) scale_out: Field<RawRule>,
    pub(super) scale_in: Field<RawRule>,
}

/// One direction of a policy of any kind.
#[derive(Deserialize)]
pub(super) struct RawRule {
    pub(super) when: Text,
    pub(super) periods: Text,
    pub(super) breaching: Text,
    pub(super) missing: Text,
    pub(super) add: Text,
    pub(super) remove: Text,
    pub(super) set: Text,
    pub(super) steps: Sections<RawStep>,
    pub(super) cooldown: Field<Wait>,
}

#[derive(Deserialize)]
pub(super) struct RawStep {
    pub(super) from: Text,
    pub(super) to: Text,
    pub(super) add: Text,
    pub(super) remove: Text,
}

#[derive(Deserialize)]
pub(super) struct RawSchedule {
    pub(super) name: Text,
    pub(super) timezone: Text,
    pub(super) min: Text,
    pub(super) max: Text,
    pub(super) cron: Text,
    pub(super) duration: Field<Wait>,
    pub(super) days: Field<OneOrMany>,
    pub(super) from: Text,
    pub(super) to: Text,
}

#[derive(Deserialize)]
pub(super) struct RawReplace {
    pub(super) expr: Text,
    pub(super) periods: Text,
    pub(super) max_in_flight: Text,
    pub(super) max_share: Text,
}

#[derive(Deserialize)]
pub(super) struct RawRecycle {
    pub(super) max_age: Field<Wait>,
    pub(super) timezone: Text,
    pub(super) days: Field<OneOrMany>,
    pub(super) from: Text,
    pub(super) to: Text,
}

/// A file of policy tests.
#[derive(Deserialize)]
pub(super) struct RawTestFile {
    pub(super) config: Text,
    pub(super) fleets: Sections<RawFleet>,
    pub(super) tests: Sections<RawTest>,
}

#[derive(Deserialize)]
pub(super) struct RawTest {
    pub(super) name: Text,
    pub(super) fleet: Text,
    pub(super) asg: Text,
    pub(super) start: Text,
    pub(super) group: Field<RawGroup>,
    pub(super) instances: Sections<RawInstance>,
    pub(super) series: Pairs,
    pub(super) expect: Sections<RawExpectation>,
}

#[derive(Deserialize)]
pub(super) struct RawGroup {
    pub(super) desired: Text,
    pub(super) min: Text,
    pub(super) max: Text,
    pub(super) boot: Field<Wait>,
}

#[derive(Deserialize)]
pub(super) struct RawInstance {
    pub(super) load: Text,
    pub(super) age: Field<Wait>,
    pub(super) idle_for: Field<Wait>,
}

#[derive(Deserialize)]
pub(super) struct RawExpectation {
    pub(super) at: Field<Wait>,
    pub(super) action: Text,
    pub(super) desired: Text,
    pub(super) alarms: Field<BTreeMap<String, Field<RawVerdicts>>>,
}

#[derive(Deserialize)]
pub(super) struct RawVerdicts {
    pub(super) scale_out: Text,
    pub(super) scale_in: Text,
}
