//! `asg` or `vmss` of a fleet: which groups belong to it.

use jitsi_web::document::{Field, OneOrMany, Place, Problems};
use url::{Host, Url};

use super::model::{Fleet, GroupSelector, Groups, Subscription, Where};
use super::parse::{self, address};
use super::prometheus::{pairs, role};
use super::promql::is_label;
use super::raw::{Pairs, RawBounds, RawScaleSets, RawSelector, Text};
use crate::units::{GroupName, Region};

/// Azure Resource Manager of the public cloud.
const ENDPOINT: &str = "https://management.azure.com";

/// Reads the one of both that a fleet has; `others` are the fleets above it.
pub(super) fn read(
    asg: Field<RawSelector>,
    vmss: Field<RawScaleSets>,
    others: &[Fleet],
    problems: &Problems,
) -> Option<GroupSelector> {
    if vmss.is_absent() {
        let (at, raw) = asg.required(problems, "{names: [prod-jvb]}").open()?;
        return on_aws(&at, raw, others, problems);
    }
    if !asg.is_absent() {
        vmss.refuse(
            problems,
            "excludes `asg`: a fleet is on one cloud; make another fleet for the other one",
        );
    }
    let (at, raw) = vmss.open()?;
    on_azure(&at, raw, others, problems)
}

/// Notes bounds that a fleet on Azure lacks: nothing else keeps a scale set within any.
pub(super) fn needs_bounds(capacity: Field<RawBounds>, problems: &Problems) -> Field<RawBounds> {
    let text = "Azure enforces no bounds; write both, such as `capacity: {min: 1, max: 20}`";
    let capacity = capacity.required_because(problems, format!("`capacity` is missing; {text}"));
    if let Some(bounds) = capacity.get()
        && (bounds.min.is_absent() || bounds.max.is_absent())
    {
        capacity.place().wrong(problems, format!("lacks `min` or `max`; {text}"));
    }
    capacity
}

fn on_aws(at: &Place, raw: RawSelector, others: &[Fleet], problems: &Problems) -> Option<GroupSelector> {
    let at_regions = raw.regions.place().clone();
    let names = raw.regions.convert(problems, |names| match names.into_texts() {
        names if names.is_empty() => {
            Err("must name at least one region; leave it out for the region of the AWS configuration"
                .to_owned())
        }
        names => Ok(names),
    });
    let is_wrong = names.is_wrong();
    let names = names.take().unwrap_or_default();
    let region = |name: &String| parse::region(name).map_err(|text| at_regions.wrong(problems, text)).ok();
    let regions: Vec<Region> = names.iter().filter_map(region).collect();
    let has_regions = !is_wrong && regions.len() == names.len();
    let place = Where { subscription: None, regions: &regions };
    let groups = groups(at, (raw.names, raw.tags), &place, others, problems);
    let role = role(raw.role_arn, raw.external_id, problems);
    let region_label = label(raw.region_label, problems).take();
    let label = label(raw.label, problems).or("asg".to_owned())?;
    has_regions.then_some(GroupSelector {
        subscription: None,
        regions,
        groups: groups?,
        role,
        label,
        region_label,
    })
}

fn on_azure(at: &Place, raw: RawScaleSets, others: &[Fleet], problems: &Problems) -> Option<GroupSelector> {
    let subscription = raw.subscription.required(problems, "00000000-0000-0000-0000-000000000000");
    let subscription = subscription.check(
        problems,
        |id| is_guid(id),
        "must be the id of a subscription, which `az account show --query id` prints",
    );
    // The characters that Azure admits in the name of a resource group.
    let is_group = |name: &String| {
        !name.is_empty()
            && name.chars().all(|c| c.is_alphanumeric() || "-_.()".contains(c))
            && !name.ends_with('.')
    };
    let text = "must be the name of a resource group, which `az group list` prints";
    let group = raw.resource_group.required(problems, "jitsi").check(problems, is_group, text);
    let endpoint = raw.endpoint.convert(problems, |text| endpoint(&text));
    let endpoint = Url::parse(ENDPOINT).ok().and_then(|default| endpoint.or(default));
    let subscription = subscription.take().zip(endpoint);
    let subscription =
        subscription.map(|(id, endpoint)| Subscription { id: id.to_ascii_lowercase(), endpoint });
    let regions: Vec<Region> = group.take().iter().map(|group| Region::new(group)).collect();
    let groups = subscription.as_ref().and_then(|subscription| {
        let place = Where { subscription: Some(subscription), regions: &regions };
        groups(at, (raw.names, raw.tags), &place, others, problems)
    });
    let region_label = label(raw.resource_group_label, problems).take();
    let label = label(raw.label, problems).or("asg".to_owned())?;
    let (subscription, groups) = (Some(subscription?), groups?);
    (!regions.is_empty()).then_some(GroupSelector {
        subscription,
        regions,
        groups,
        role: None,
        label,
        region_label,
    })
}

/// Whether `text` is an id as Azure writes it: digits and hyphens.
fn is_guid(text: &str) -> bool {
    let lengths =
        text.split('-').map(|part| part.chars().all(|c| c.is_ascii_hexdigit()).then_some(part.len()));
    lengths.eq([8, 4, 4, 4, 12].map(Some))
}

/// Azure Resource Manager of a cloud. It gets a token, so only loopback may do without TLS.
fn endpoint(text: &str) -> Result<Url, String> {
    let url = address(text)?;
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !is_local {
        return Err("must begin with https://, because a token goes there".to_owned());
    }
    if url.path() != "/" || url.query().is_some() {
        return Err(format!("must end behind the host, such as {ENDPOINT}"));
    }
    Ok(url)
}

fn label(raw: Text, problems: &Problems) -> Field<String> {
    raw.convert(problems, |label| {
        if is_label(&label) {
            Ok(label)
        } else {
            Err(format!("\"{label}\" is not the name of a label such as asg"))
        }
    })
}

/// The groups that names or tags select.
fn groups(
    at: &Place,
    (names, tags): (Field<OneOrMany>, Pairs),
    place: &Where<'_>,
    others: &[Fleet],
    problems: &Problems,
) -> Option<Groups> {
    match (names.is_absent(), tags.is_absent()) {
        (false, true) => {
            let names = names.open().and_then(|(at, names)| group_names(&at, names, place, others, problems));
            names.map(Groups::Names)
        }
        (true, false) => {
            let at = tags.place().clone();
            let tags = tags.check(
                problems,
                |tags| !tags.is_empty(),
                "must hold at least one tag; otherwise it would select every group of the account",
            );
            let tags = pairs(tags, problems, |_, _| Ok(()));
            if let Some(other) = others.iter().find(|other| other.asg.shares(&tags, place)) {
                let text = format!(
                    "selects groups of the fleet \"{}\" as well; a group has one fleet, so tell them apart by a tag",
                    other.name
                );
                at.wrong(problems, text);
            }
            Some(Groups::Tags(tags))
        }
        (false, false) => {
            names.refuse(problems, "write either `names` or `tags`, not both");
            None
        }
        (true, true) => {
            at.wrong(problems, "selects no groups; write `names: [prod-jvb]` or `tags: {jitsi-fleet: jvb}`");
            None
        }
    }
}

/// Checks the names of groups one by one, so that every mistake is noted.
fn group_names(
    at: &Place,
    names: OneOrMany,
    place: &Where<'_>,
    others: &[Fleet],
    problems: &Problems,
) -> Option<Vec<GroupName>> {
    let names = names.into_texts();
    if names.is_empty() {
        at.wrong(problems, "must name at least one group");
        return None;
    }
    for (index, name) in names.iter().enumerate() {
        let is_foreign = |c: char| "*?:".contains(c) || (c == '/' && place.subscription.is_some());
        if name.is_empty() || name.contains(is_foreign) {
            let text = format!(
                "\"{name}\" is not the name of a group; list the exact name of every group, or select groups by `tags`"
            );
            at.wrong(problems, text);
        }
        let is_twice = |other: &String| match place.subscription {
            None => other == name,
            Some(_) => other.eq_ignore_ascii_case(name),
        };
        if names[..index].iter().any(is_twice) {
            at.wrong(problems, format!("\"{name}\" is listed twice; remove one"));
        }
        if let Some(other) = others.iter().find(|other| other.asg.may_hold(name, place)) {
            let text =
                format!("\"{name}\" belongs to the fleet \"{}\" already; a group has one fleet", other.name);
            at.wrong(problems, text);
        }
    }
    Some(names.iter().map(|name| GroupName::new(name)).collect())
}
