//! One entry of `fleets:`.
//!
//! Owns the keys of a fleet and of its sections, but for policies, schedules and upkeep.

use std::path::Path;
use std::time::Duration;

use jitsi_web::document::{Field, Problems, Wait};

use super::model::{DrainVia, Fleet, GroupSelector, InstanceSeries, Prometheus};
use super::parse::{amount, bounds, not_empty, share, unique, warn_above, whole_seconds};
use super::prometheus::{auth, tls, warn_plain_text};
use super::promql::is_selector;
use super::raw::{RawDrain, RawFleet, RawInstances, RawPolicy, RawVia, RawVictims, Sections, Text};
use super::template::template;
use super::{policy, prometheus, schedule, selector, upkeep};
use crate::decide::observation::Bounds;
use crate::decide::policy::{Amount, Component, DrainLimit, FleetPolicy, Policy, VictimOrder, Victims};
use crate::units::{Capacity, FleetName, Percent};

/// CloudWatch-driven groups know no warm-up of Jitsi's length; a Jibri boots in three minutes.
const DEFAULT_WARMUP: Duration = Duration::from_mins(3);
/// The share of ready instances, in percent, that must report before anything scales in.
const DEFAULT_MIN_REPORTING: f64 = 80.0;
/// The share of a group, in percent, that may drain at once.
const DEFAULT_MAX_IN_FLIGHT: f64 = 25.0;
/// No bridge and no Jibri takes longer than this to boot; nothing scales in while one warms up.
const LONG_WARMUP: Duration = Duration::from_hours(1);
/// With less than this, in percent, a scale-in may rest on the reports of a minority.
const FEW_REPORTING: f64 = 50.0;
/// Instances that must be older than this hardly ever leave.
const OLD_AGE: Duration = Duration::from_hours(24 * 7);
/// Jibris that must be idle for longer than this hardly ever leave.
const LONG_IDLE: Duration = Duration::from_hours(24);
/// How long Jicofo may take to hear of a bridge: its presence goes out every 5 s.
const SETTLE: Duration = Duration::from_secs(10);
const LONG_SETTLE: Duration = Duration::from_mins(5);

/// Reads a fleet; `others` are those above it, `shared` is the Prometheus of the whole file, and relative paths start from
/// `folder`.
pub(super) fn read(
    raw: Field<RawFleet>,
    others: &[Fleet],
    shared: &Prometheus,
    folder: &Path,
    problems: &Problems,
) -> Option<Fleet> {
    let raw = raw.take()?;
    let needs_drain = needs_drain(&raw);
    let name = raw.name.required(problems, "jvb").not_empty(problems);
    let name = unique(name, problems, "fleet", |name| others.iter().any(|it| it.name.as_str() == name));
    let component = raw.component.required(problems, "jvb").one_of(problems, &Component::WORDS).take();
    let own = raw.prometheus.take().and_then(|raw| prometheus::read(raw, folder, problems));
    let is_azure = !raw.vmss.is_absent();
    let asg = selector::read(raw.asg, raw.vmss, others, problems);
    if is_azure {
        raw.lifecycle_hook.refuse(problems, "is for AWS: nothing in Azure holds an instance on its way out");
    }
    let capacity = if is_azure { selector::needs_bounds(raw.capacity, problems) } else { raw.capacity };
    let capacity = capacity.open().map(|(at, raw)| bounds(&at, raw.min, raw.max, problems));
    let capacity = capacity.unwrap_or_default();
    let warmup = whole_seconds(raw.warmup, problems);
    let consequence = "nothing scales in while an instance warms up; a Jibri boots in 3m";
    warn_above(&warmup, problems, LONG_WARMUP, consequence);
    let min_reporting = min_reporting(raw.min_reporting, problems);

    let (policies, expressions) = policies(raw.policies, asg.as_ref(), capacity, problems);
    let drain =
        if needs_drain { raw.drain.required_because(problems, no_drain(component)) } else { raw.drain };
    let drain = match drain.open() {
        Some((_, raw)) => self::drain(raw, component, folder, problems),
        None => Drain { via: None, max_in_flight: default_in_flight(), limit: None, settle: SETTLE },
    };
    let instances = instances(raw.instances.take().unwrap_or_default(), component, problems);
    let victims = victims(raw.victims.take().unwrap_or_default(), component, problems);
    let mut schedules = Vec::new();
    for entry in raw.schedules.take().unwrap_or_default() {
        schedules.extend(schedule::read(entry, &schedules, capacity, problems));
    }
    let replace = raw.replace_unhealthy.take().and_then(|raw| upkeep::replace(raw, problems));
    let recycle = raw.recycle.take().and_then(|raw| upkeep::recycle(raw, problems));
    let lifecycle_hook = raw.lifecycle_hook.check(
        problems,
        |hook| !hook.is_empty(),
        "must not be empty; leave it out to serve the only terminating hook of a group",
    );

    let policy = FleetPolicy {
        component: component?,
        min: capacity.min,
        max: capacity.max,
        warmup: warmup.or(Wait(DEFAULT_WARMUP))?.0,
        min_reporting: min_reporting?,
        policies,
        victims,
        max_in_flight: drain.max_in_flight?,
        drain_limit: drain.limit,
        serves_hooks: drain.via.is_some(),
        replace: replace.as_ref().map(|(replace, _)| *replace),
        protect_busy: raw.protect_busy.or(false)?,
        recycle: recycle.as_ref().map(|(max_age, _)| *max_age),
    };
    Some(Fleet {
        name: FleetName::new(&name.take()?),
        dry_run: raw.dry_run.or(false)?,
        prometheus: own.unwrap_or_else(|| shared.clone()),
        asg: asg?,
        policy,
        expressions,
        instances,
        schedules,
        drain: drain.via,
        settle: drain.settle,
        replace_expr: replace.map(|(_, expr)| expr),
        recycle: recycle.map(|(_, window)| window),
        lifecycle_hook: lifecycle_hook.take(),
    })
}

/// Whether the fleet removes instances. A policy that cannot be used counts too: it shows what is intended.
fn needs_drain(raw: &RawFleet) -> bool {
    let mut policies = raw.policies.get().into_iter().flatten().filter_map(Field::get);
    policies.any(|policy| !policy.scale_in.is_absent())
        || !(raw.replace_unhealthy.is_absent() && raw.recycle.is_absent() && raw.lifecycle_hook.is_absent())
}

/// Reads all policies, and the PromQL of each.
fn policies(
    raw: Sections<RawPolicy>,
    selector: Option<&GroupSelector>,
    capacity: Bounds,
    problems: &Problems,
) -> (Vec<Policy>, Vec<String>) {
    let (mut policies, mut expressions) = (Vec::new(), Vec::new());
    for entry in not_empty(raw, problems, ("policies", "policy")).take().unwrap_or_default() {
        if let Some((policy, expression)) = policy::read(entry, &policies, selector, capacity, problems) {
            policies.push(policy);
            expressions.push(expression);
        }
    }
    (policies, expressions)
}

fn min_reporting(raw: Text, problems: &Problems) -> Option<Percent> {
    let share = raw.convert(problems, |text| share(&text));
    if let Some(few) = share.get().filter(|share| share.get() < FEW_REPORTING) {
        let text = format!(
            "{few} lets a scale-in rest on what a minority reports; the default is {DEFAULT_MIN_REPORTING}%"
        );
        share.place().warn(problems, text);
    }
    share.or(Percent::try_new(DEFAULT_MIN_REPORTING)?)
}

/// The problem of a fleet that removes instances and does not say how to reach them.
fn no_drain(component: Option<Component>) -> &'static str {
    match component {
        None | Some(Component::Jvb) => {
            "`drain` is missing: removing instances needs the address of their bridges; write for example \
             `drain: {via: \"http://{private_ip}:8080\"}`"
        }
        Some(Component::Jibri) => {
            "`drain` is missing: removing instances needs both addresses of their Jibris; write for example \
             `drain: {via: {health: \"http://{private_ip}:2222\", internal: \"http://{private_ip}:3333\"}}`"
        }
    }
}

fn instances(raw: RawInstances, component: Option<Component>, problems: &Problems) -> InstanceSeries {
    // Where the component is wrong, the defaults that depend on it do not matter.
    let component = component.unwrap_or(Component::Jvb);
    let series = raw.series.check(
        problems,
        |series| is_selector(series),
        "must be the name of a series, with label matchers if need be, such as jvb_up{job=\"jvb\"}",
    );
    InstanceSeries {
        series: series.take().unwrap_or_else(|| format!("{}_up", component.as_str())),
        id_label: raw.id_label.take().unwrap_or_else(|| "instance_id".to_owned()),
    }
}

fn victims(raw: RawVictims, component: Option<Component>, problems: &Problems) -> Victims {
    let default = match component {
        Some(Component::Jibri) => VictimOrder::LongestIdle,
        _ => VictimOrder::LeastLoaded,
    };
    let order = raw.order.one_of(problems, &VictimOrder::WORDS).check(
        problems,
        |order| *order != VictimOrder::LongestIdle || component != Some(Component::Jvb),
        "longest_idle is for jibri; write least_loaded, oldest or newest",
    );
    warn_above(&raw.min_age, problems, OLD_AGE, "a younger instance never leaves");
    match component {
        Some(Component::Jvb) => {
            raw.idle_for
                .refuse(problems, "is for jibri; for bridges without participants write only_idle: true");
        }
        Some(Component::Jibri) => {
            raw.only_idle.refuse(problems, "is for jvb; a Jibri leaves only while it is idle in any case");
        }
        // What is wrong for one component is right for the other.
        None => {}
    }
    warn_above(&raw.idle_for, problems, LONG_IDLE, "a Jibri that was busy more recently never leaves");
    let length = |raw: Field<Wait>| raw.take().map_or(Duration::ZERO, |Wait(length)| length);
    Victims {
        order: order.take().unwrap_or(default),
        min_age: length(raw.min_age),
        idle_for: length(raw.idle_for),
        only_idle: raw.only_idle.take().unwrap_or(false),
    }
}

/// The section `drain`.
struct Drain {
    via: Option<DrainVia>,
    max_in_flight: Option<Amount>,
    limit: Option<DrainLimit>,
    settle: Duration,
}

fn default_in_flight() -> Option<Amount> {
    Percent::try_new(DEFAULT_MAX_IN_FLIGHT).map(Amount::Share)
}

fn drain(raw: RawDrain, component: Option<Component>, folder: &Path, problems: &Problems) -> Drain {
    warn_above(&raw.settle, problems, LONG_SETTLE, "each step of a drain waits for so long");
    let settle = raw.settle.take().map_or(SETTLE, |Wait(settle)| settle);
    let limit = upkeep::drain_limit(raw.timeout, raw.on_timeout, component, problems);
    let auth = auth(raw.basic_auth, raw.bearer_token_file, "relay-password", folder, problems);
    let tls = raw.tls.open().map(|(at, raw)| tls(&at, raw, folder, problems)).unwrap_or_default();
    let via = raw.via.required(problems, "\"http://{private_ip}:8080\"").open();
    let addresses = via.and_then(|(at, via)| match (via, component) {
        (RawVia::Text(text), _) => {
            if component == Some(Component::Jibri) && !text.contains("/relay/") {
                at.wrong(
                    problems,
                    "must be both addresses of a Jibri, for its health and for its shutdown; write for example \
                     `via: {health: \"http://{private_ip}:2222\", internal: \"http://{private_ip}:3333\"}`",
                );
            }
            let (url, sample) = template(&text).map_err(|text| at.wrong(problems, text)).ok()?;
            warn_plain_text(&at, problems, &sample, &auth);
            Some((url.clone(), url))
        }
        (RawVia::Section(raw), Some(Component::Jibri) | None) => {
            let address = |raw: Text, example| {
                let (at, url) = raw.required(problems, example).convert(problems, |text| template(&text)).open()?;
                warn_plain_text(&at, problems, &url.1, &auth);
                Some(url.0)
            };
            let health = address(raw.health, "\"http://{private_ip}:2222\"");
            health.zip(address(raw.internal, "\"http://{private_ip}:3333\""))
        }
        (RawVia::Section(_), Some(Component::Jvb)) => {
            let text = "must be a single address such as \"http://{private_ip}:8080\"; a bridge has one port";
            at.wrong(problems, text);
            None
        }
    });
    let max_in_flight = raw.max_in_flight.convert(problems, |text| match amount(&text)? {
        Amount::Count(Capacity::ZERO) => {
            Err("must allow at least one drain; leave `scale_in` out to remove nothing".to_owned())
        }
        Amount::Share(share) if share.get() <= 0.0 || share.get() > 100.0 => {
            Err("must be above 0% and at most 100%".to_owned())
        }
        amount => Ok(amount),
    });
    Drain {
        via: addresses.map(|(external, internal)| DrainVia { external, internal, auth, tls }),
        max_in_flight: default_in_flight().and_then(|default| max_in_flight.or(default)),
        limit,
        settle,
    }
}
