//! One entry of `fleets:`.
//!
//! Owns everything of a fleet but its policies.

use std::time::Duration;

use super::policy::{self, whole};
use super::schedule;
use super::upkeep;
use super::yaml::{Section, SectionOrText};
use super::{DrainVia, Fleet, GroupSelector, Groups, InstanceSeries, Tls};
use crate::decide::observation::Bounds;
use crate::decide::policy::{Amount, Component, Direction, DrainLimit, FleetPolicy, VictimOrder, Victims};
use crate::units::{Capacity, FleetName, GroupName, Percent, Region};

/// CloudWatch-driven groups know no warm-up of Jitsi's length; three minutes is what a Jibri takes to boot.
const DEFAULT_WARMUP: Duration = Duration::from_mins(3);
/// The share of ready instances that must report before anything scales in.
const DEFAULT_MIN_REPORTING: f64 = 80.0;
/// The share of a group that may drain at once.
const DEFAULT_MAX_IN_FLIGHT: f64 = 25.0;
/// No bridge and no Jibri takes longer than this to boot; nothing scales in while one warms up.
const LONG_WARMUP: Duration = Duration::from_hours(1);
/// With less than this, a scale-in may rest on the word of a minority.
const FEW_REPORTING: f64 = 50.0;
/// Instances that must be older than this hardly ever go.
const OLD_AGE: Duration = Duration::from_hours(24 * 7);
/// Jibris that must be free for longer than this hardly ever go.
const LONG_IDLE: Duration = Duration::from_hours(24);

/// Reads a fleet; `others` are those that stand above it.
pub(super) fn read(mut section: Section<'_>, others: &[Fleet]) -> Option<Fleet> {
    let name = section.required_text("name", "jvb").map(|found| {
        if found.value.is_empty() {
            found.wrong("must not be empty");
        }
        if others.iter().any(|other| other.name.as_str() == found.value) {
            found.wrong(format!("another fleet is called \"{}\" already", found.value));
        }
        FleetName::new(&found.value)
    });
    let component = section.required_text("component", "jvb").and_then(|found| {
        found.convert(|text| match text.as_str() {
            "jvb" => Ok(Component::Jvb),
            "jibri" => Ok(Component::Jibri),
            other => Err(format!("must be jvb or jibri, not \"{other}\"")),
        })
    });
    let dry_run = section.flag("dry_run").unwrap_or(false);
    if !section.has("asg") {
        section.missing("asg", "`asg` is missing; write for example `asg: {names: [prod-jvb]}`");
    }
    let asg = section.section("asg").and_then(|asg| selector(asg, others));
    let (min, max) = section.section("capacity").map_or((None, None), limits);
    let capacity = Bounds { min, max };
    let warmup = section.duration("warmup").map_or(DEFAULT_WARMUP, |found| {
        found.whole_seconds();
        found.odd_above(LONG_WARMUP, "nothing scales in while an instance warms up; a Jibri boots in 3m");
        found.value
    });
    let min_reporting = section
        .text("min_reporting")
        .and_then(|found| found.convert(|text| share(&text)))
        .map(|found| {
            if found.value.get() < FEW_REPORTING {
                found.odd(format!(
                    "{} lets a scale-in rest on what a minority reports; the default is {DEFAULT_MIN_REPORTING}%",
                    found.value
                ));
            }
            found.value
        })
        .or_else(|| Percent::try_new(DEFAULT_MIN_REPORTING));

    let mut policies = Vec::new();
    let mut expressions = Vec::new();
    if !section.has("policies") {
        section.missing("policies", "`policies` is missing; at least one policy is needed");
    }
    for entry in section.sections("policies") {
        if let Some((policy, expression)) = policy::read(entry, &policies, asg.as_ref(), capacity) {
            policies.push(policy);
            expressions.push(expression);
        }
    }

    // A wrong component has been reported; the defaults that hang on it do not matter then.
    let component_or_any = component.as_ref().map_or(Component::Jvb, |found| found.value);
    let instances = instances(section.section("instances"), component_or_any);
    let victims = victims(section.section("victims"), component_or_any);
    let says_drain = section.has("drain");
    let DrainSettings { via: drain, max_in_flight, limit: drain_limit } =
        drain(section.section("drain"), component_or_any);
    let needs_drain = policies.iter().any(|policy| policy.acts(Direction::In))
        || ["replace_unhealthy", "recycle", "lifecycle_hook"].iter().any(|key| section.has(key));
    if !says_drain && needs_drain {
        section.missing("drain", no_drain(component_or_any));
    }
    let mut schedules = Vec::new();
    for entry in section.sections("schedules") {
        schedules.extend(schedule::read(entry, &schedules, capacity));
    }
    let upkeep = upkeep::read(&mut section);
    section.finish();

    let policy = FleetPolicy {
        component: component?.value,
        min,
        max,
        warmup,
        min_reporting: min_reporting?,
        policies,
        victims,
        max_in_flight: max_in_flight?,
        drain_limit,
        serves_hooks: drain.is_some(),
        replace: upkeep.replace,
        protect_busy: upkeep.protect_busy,
        recycle: upkeep.max_age,
    };
    Some(Fleet {
        name: name?,
        dry_run,
        asg: asg?,
        policy,
        expressions,
        instances,
        schedules,
        drain,
        replace_expr: upkeep.replace_expr,
        recycle: upkeep.recycle,
        lifecycle_hook: upkeep.lifecycle_hook,
    })
}

/// What is said of a fleet that takes instances out without saying how they are reached.
fn no_drain(component: Component) -> &'static str {
    match component {
        Component::Jvb => {
            "`drain` is missing: to take instances out their bridges must be reached; write for example \
                 `drain: {via: \"http://{private_ip}:8080\"}`"
        }
        Component::Jibri => {
            "`drain` is missing: to take instances out both addresses of their Jibris are needed; write for example \
                 `drain: {via: {health: \"http://{private_ip}:2222\", internal: \"http://{private_ip}:3333\"}}`"
        }
    }
}

fn selector(mut section: Section<'_>, others: &[Fleet]) -> Option<GroupSelector> {
    let regions = section.texts("regions").map_or_else(Vec::new, |found| {
        if found.value.is_empty() {
            found
                .wrong("must name at least one region; leave it out for the region of the AWS configuration");
        }
        for name in found.value.iter().filter(|name| !is_region(name)) {
            found.wrong(format!("\"{name}\" is not a region such as us-east-1"));
        }
        found.value.iter().map(|name| Region::new(name)).collect()
    });
    let clash = |name: &str, regions: &[Region]| {
        others.iter().find(|other| other.asg.may_hold(name, regions)).map(|other| other.name.clone())
    };
    let names = section.texts("names");
    let tags = section.pairs("tags");
    let groups = match (names, tags) {
        (Some(names), None) => {
            if names.value.is_empty() {
                names.wrong("must name at least one group");
            }
            for (index, name) in names.value.iter().enumerate() {
                if name.is_empty() || name.contains(['*', '?', ':']) {
                    names.wrong(format!(
                        "\"{name}\" is not the name of a group; names are exact, and `tags` selects several"
                    ));
                }
                if names.value[..index].contains(name) {
                    names.wrong(format!("\"{name}\" stands here twice"));
                }
                if let Some(other) = clash(name, &regions) {
                    names.wrong(format!(
                        "\"{name}\" belongs to the fleet \"{other}\" already; a group has one fleet"
                    ));
                }
            }
            Some(Groups::Names(names.value.iter().map(|name| GroupName::new(name)).collect()))
        }
        (None, Some(tags)) => {
            if tags.value.is_empty() {
                tags.wrong(
                    "must hold at least one tag, for otherwise every group of the account would be meant",
                );
            }
            if let Some(other) = others.iter().find(|other| other.asg.shares(&tags.value, &regions)) {
                tags.wrong(format!(
                    "selects groups of the fleet \"{}\" as well; a group has one fleet, so tell them apart by a tag",
                    other.name
                ));
            }
            Some(Groups::Tags(tags.value))
        }
        (Some(names), Some(_)) => {
            names.wrong("write either `names` or `tags`, not both");
            None
        }
        (None, None) => {
            section.wrong("says no groups; write `names: [prod-jvb]` or `tags: {jitsi-fleet: jvb}`");
            None
        }
    };
    let role_arn = section.text("role_arn").map(|found| {
        if !found.value.starts_with("arn:") {
            found.wrong("must be an ARN such as arn:aws:iam::123456789012:role/jitsi-scaler");
        }
        found.value
    });
    let mut label = |key| {
        section.text(key).map(|found| {
            if !is_label(&found.value) {
                found.wrong(format!("\"{}\" is not the name of a label", found.value));
            }
            found.value
        })
    };
    let region_label = label("region_label");
    let label = label("label").unwrap_or_else(|| "asg".to_owned());
    section.finish();
    Some(GroupSelector { regions, groups: groups?, role_arn, label, region_label })
}

fn limits(mut section: Section<'_>) -> (Option<Capacity>, Option<Capacity>) {
    let mut bound =
        |key| section.text(key).and_then(|found| found.convert(|text| whole(&text))).map(|found| found.value);
    let (min, max) = (bound("min"), bound("max"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        section.wrong(format!("the minimum {min} is above the maximum {max}"));
    }
    section.finish();
    (min, max)
}

fn instances(section: Option<Section<'_>>, component: Component) -> InstanceSeries {
    let mut instances =
        InstanceSeries { series: format!("{}_up", component.as_str()), id_label: "instance_id".to_owned() };
    let Some(mut section) = section else { return instances };
    if let Some(found) = section.text("series") {
        if !is_selector(&found.value) {
            found.wrong(
                "must be the name of a series, with label matchers if need be, such as jvb_up{job=\"jvb\"}",
            );
        }
        instances.series = found.value;
    }
    if let Some(found) = section.text("id_label") {
        instances.id_label = found.value;
    }
    section.finish();
    instances
}

/// Whether `text` is a metric name, followed by label matchers or not, and by nothing else.
pub(crate) fn is_selector(text: &str) -> bool {
    let (name, matchers) = text.find('{').map_or((text, ""), |brace| text.split_at(brace));
    let mut quote = None;
    let mut escaped = false;
    let mut closed = matchers.is_empty();
    for character in matchers.chars() {
        if closed {
            return false;
        }
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(character),
            (None, '}') => closed = true,
            (Some(_) | None, _) => {}
        }
    }
    closed && is_metric_name(name.trim_end())
}

/// Whether `text` can be the name of a label.
fn is_label(text: &str) -> bool {
    is_metric_name(text) && !text.contains(':')
}

/// Whether `text` has the form of a region's name: words and a number, as in ap-southeast-2.
pub(super) fn is_region(text: &str) -> bool {
    let mut parts: Vec<&str> = text.split('-').collect();
    let number = parts.pop().unwrap_or_default();
    let word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    parts.len() >= 2
        && parts.iter().all(word)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}

impl GroupSelector {
    /// Whether a group of this name in one of `regions` is certainly one of this selector's too. Where neither says a
    /// region both mean that of the AWS configuration.
    fn may_hold(&self, name: &str, regions: &[Region]) -> bool {
        let Groups::Names(names) = &self.groups else { return false };
        names.iter().any(|own| own.as_str() == name) && self.meets(regions)
    }

    /// Whether every group with `tags` in one of `regions` is certainly one of this selector's too, or the other way
    /// about: one of them asks for no tag that the other does not ask for.
    fn shares(&self, tags: &[(String, String)], regions: &[Region]) -> bool {
        let Groups::Tags(own) = &self.groups else { return false };
        let within =
            |few: &[(String, String)], many: &[(String, String)]| few.iter().all(|tag| many.contains(tag));
        (within(own, tags) || within(tags, own)) && self.meets(regions)
    }

    fn meets(&self, regions: &[Region]) -> bool {
        let shared = self.regions.iter().any(|region| regions.contains(region));
        shared || (self.regions.is_empty() && regions.is_empty())
    }
}

/// Whether `text` is the bare name of a series, recorded or scraped.
pub(crate) fn is_metric_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || "_:".contains(first))
        && characters.all(|rest| rest.is_ascii_alphanumeric() || "_:".contains(rest))
}

fn victims(section: Option<Section<'_>>, component: Component) -> Victims {
    let order = match component {
        Component::Jvb => VictimOrder::LeastLoaded,
        Component::Jibri => VictimOrder::LongestIdle,
    };
    let mut victims = Victims { order, min_age: Duration::ZERO, idle_for: Duration::ZERO };
    let Some(mut section) = section else { return victims };
    let order = section.text("order").and_then(|found| {
        found.convert(|text| match text.as_str() {
            "least_loaded" => Ok(VictimOrder::LeastLoaded),
            "oldest" => Ok(VictimOrder::Oldest),
            "newest" => Ok(VictimOrder::Newest),
            "longest_idle" if component == Component::Jibri => Ok(VictimOrder::LongestIdle),
            "longest_idle" => Err("is for jibri; write least_loaded, oldest or newest".to_owned()),
            other => {
                Err(format!("must be least_loaded, oldest, newest or longest_idle (jibri), not \"{other}\""))
            }
        })
    });
    if let Some(order) = order {
        victims.order = order.value;
    }
    if let Some(found) = section.duration("min_age") {
        found.odd_above(OLD_AGE, "an instance that is younger never goes");
        victims.min_age = found.value;
    }
    if let Some(found) = section.duration("idle_for") {
        if component == Component::Jvb {
            found.wrong("is for jibri; a bridge is drained until it is empty");
        }
        found.odd_above(LONG_IDLE, "a Jibri that was busy since never goes");
        victims.idle_for = found.value;
    }
    section.finish();
    victims
}

/// What `drain` says.
struct DrainSettings {
    via: Option<DrainVia>,
    max_in_flight: Option<Amount>,
    limit: Option<DrainLimit>,
}

fn drain(section: Option<Section<'_>>, component: Component) -> DrainSettings {
    let default = Percent::try_new(DEFAULT_MAX_IN_FLIGHT).map(Amount::Share);
    let Some(mut section) = section else {
        return DrainSettings { via: None, max_in_flight: default, limit: None };
    };
    let limit = upkeep::drain_limit(&mut section, component);
    let auth = super::auth(&mut section, "/etc/jitsi-scaler/relay-password");
    let tls = section.section("tls").map_or_else(Tls::default, super::tls);
    let says_via = section.has("via");
    let reached =
        |component, internal| DrainVia { component, internal, auth: auth.clone(), tls: tls.clone() };
    let via = match (section.section_or_text("via"), component) {
        (Some(SectionOrText::Text(found)), _) => {
            if component == Component::Jibri && !found.value.contains("/relay/") {
                found.wrong(
                    "must be both addresses of a Jibri, for its health and for its shutdown; write for example \
                     `via: {health: \"http://{private_ip}:2222\", internal: \"http://{private_ip}:3333\"}`",
                );
            }
            found.convert(|text| template(&text)).map(|url| reached(url.value.clone(), url.value))
        }
        (Some(SectionOrText::Section(mut via)), Component::Jibri) => {
            let health = via.required_text("health", "\"http://{private_ip}:2222\"");
            let internal = via.required_text("internal", "\"http://{private_ip}:3333\"");
            let health = health.and_then(|found| found.convert(|text| template(&text)));
            let internal = internal.and_then(|found| found.convert(|text| template(&text)));
            via.finish();
            match (health, internal) {
                (Some(health), Some(internal)) => Some(reached(health.value, internal.value)),
                _ => None,
            }
        }
        (Some(SectionOrText::Section(via)), Component::Jvb) => {
            via.wrong("must be a single address such as \"http://{private_ip}:8080\"; a bridge has one port");
            None
        }
        (None, _) => {
            if !says_via {
                section.missing(
                    "via",
                    "`via` is missing; write for example `via: \"http://{private_ip}:8080\"`",
                );
            }
            None
        }
    };
    let max_in_flight = match section.text("max_in_flight") {
        Some(found) => found
            .convert(|text| {
                let amount = policy::amount(&text)?;
                match amount {
                    Amount::Count(Capacity::ZERO) => {
                        Err("must allow at least one drain; leave `scale_in` out to remove nothing"
                            .to_owned())
                    }
                    Amount::Share(share) if share.get() <= 0.0 || share.get() > 100.0 => {
                        Err("must be above 0% and at most 100%".to_owned())
                    }
                    amount => Ok(amount),
                }
            })
            .map(|found| found.value),
        None => default,
    };
    section.finish();
    DrainSettings { via, max_in_flight, limit }
}

/// An address with `{label}` in it.
fn template(text: &str) -> Result<String, String> {
    let mut probe = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((label, remainder)) = after.split_once('}') else {
            return Err(format!("has a {{ that is not closed: \"{text}\""));
        };
        if !is_label(label) {
            return Err(format!("{{{label}}} is not the name of a label"));
        }
        probe.push_str(before);
        probe.push('x');
        rest = remainder;
    }
    if probe.is_empty() {
        return Err(format!(
            "\"{text}\" would be the same for every instance; write for example {{private_ip}} in it"
        ));
    }
    probe.push_str(rest);
    super::address(&probe)
        .map_err(|_| format!("must be an address that begins with http:// or https://, not \"{text}\""))?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// A share such as `80%`, at most the whole.
fn share(text: &str) -> Result<Percent, String> {
    text.strip_suffix('%')
        .and_then(|number| number.trim().parse().ok())
        .and_then(Percent::try_new)
        .filter(|share| share.get() <= 100.0)
        .ok_or_else(|| format!("must be a percentage from 0% to 100%, not \"{text}\""))
}
