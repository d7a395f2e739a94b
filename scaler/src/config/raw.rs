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

/// Defines sections: a struct for each, with its keys.
macro_rules! sections {
    ($($(#[$about:meta])* $name:ident { $($key:ident: $type:ty),+ $(,)? })+) => {
        $($(#[$about])* #[derive(Deserialize)] pub(super) struct $name { $(pub(super) $key: $type),+ })+
    };
}

sections! {
    /// A configuration.
    RawConfig { prometheus: Field<RawPrometheus>, fleets: Sections<RawFleet> }
    RawPrometheus {
        url: Text, timeout: Field<Wait>, delay: Field<Wait>, headers: Pairs, basic_auth: Field<RawBasicAuth>,
        bearer_token_file: Text, tls: Field<RawTls>, sigv4: Field<RawSigV4>,
    }
    RawBasicAuth { username: Text, password_file: Text }
    #[expect(clippy::struct_field_names, reason = "these are the keys of the file")]
    RawTls { ca_file: Text, cert_file: Text, key_file: Text }
    RawSigV4 { region: Text, role_arn: Text, external_id: Text }
    RawFleet {
        name: Text, component: Text, dry_run: Field<bool>, prometheus: Field<RawPrometheus>, asg: Field<RawSelector>,
        vmss: Field<RawScaleSets>, capacity: Field<RawBounds>, warmup: Field<Wait>, min_reporting: Text, policies: Sections<RawPolicy>,
        instances: Field<RawInstances>, victims: Field<RawVictims>, drain: Field<RawDrain>,
        schedules: Sections<RawSchedule>, replace_unhealthy: Field<RawReplace>, recycle: Field<RawRecycle>,
        protect_busy: Field<bool>, lifecycle_hook: Text,
    }
    RawSelector {
        regions: Field<OneOrMany>, names: Field<OneOrMany>, tags: Pairs, role_arn: Text, external_id: Text,
        label: Text, region_label: Text,
    }
    RawScaleSets {
        subscription: Text, resource_group: Text, names: Field<OneOrMany>, tags: Pairs, endpoint: Text, label: Text,
        resource_group_label: Text,
    }
    RawBounds { min: Text, max: Text }
    #[derive(Default)]
    RawInstances { series: Text, id_label: Text }
    #[derive(Default)]
    RawVictims { order: Text, min_age: Field<Wait>, idle_for: Field<Wait>, only_idle: Field<bool> }
    RawDrain {
        via: Field<RawVia>, max_in_flight: Text, timeout: Field<Wait>, on_timeout: Text, settle: Field<Wait>,
        basic_auth: Field<RawBasicAuth>, bearer_token_file: Text, tls: Field<RawTls>,
    }
    RawJibriVia { health: Text, internal: Text }
    RawPolicy {
        name: Text, expr: Text, desired: Text, alert: Text, measures: Text, period: Field<Wait>,
        scale_out: Field<RawRule>, scale_in: Field<RawRule>,
    }
    /// One direction of a policy of any kind.
    RawRule {
        when: Text, periods: Text, breaching: Text, missing: Text, add: Text, remove: Text, set: Text,
        steps: Sections<RawStep>, cooldown: Field<Wait>,
    }
    RawStep { from: Text, to: Text, add: Text, remove: Text }
    RawSchedule {
        name: Text, timezone: Text, min: Text, max: Text, cron: Text, duration: Field<Wait>,
        days: Field<OneOrMany>, from: Text, to: Text,
    }
    RawReplace { expr: Text, periods: Text, max_in_flight: Text, max_share: Text }
    RawRecycle { max_age: Field<Wait>, timezone: Text, days: Field<OneOrMany>, from: Text, to: Text }
    /// A file of policy tests.
    RawTestFile { config: Text, fleets: Sections<RawFleet>, tests: Sections<RawTest> }
    RawTest {
        name: Text, fleet: Text, asg: Text, start: Text, group: Field<RawGroup>,
        instances: Sections<RawInstance>, series: Pairs, closed_loop: Field<bool>,
        expect: Sections<RawExpectation>,
    }
    RawGroup {
        desired: Text, min: Text, max: Text, boot: Field<Wait>, drain: Field<Wait>, suspended: Sections<String>,
        launches_fail_for: Field<Wait>,
    }
    RawInstance {
        load: Text, age: Field<Wait>, idle_for: Field<Wait>, reports: Field<bool>, ill: Field<bool>,
        held: Field<bool>,
    }
    RawExpectation {
        at: Field<Wait>, action: Text, desired: Text, alarms: Field<BTreeMap<String, Field<RawVerdicts>>>,
        victims: Sections<String>, effects: Sections<String>, blocked: Sections<String>, drains: Text,
    }
    RawVerdicts { scale_out: Text, scale_in: Text }
}

/// One address, or the two of a Jibri.
#[derive(Deserialize)]
pub(super) enum RawVia {
    Text(String),
    Section(RawJibriVia),
}
