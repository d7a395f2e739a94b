//! The types of a valid configuration, and the error of one that is not.

use std::path::PathBuf;
use std::time::Duration;

use jitsi_web::document::Problem;
use url::Url;

use super::schedule::{DailyWindow, Schedule};
use crate::decide::policy::FleetPolicy;
use crate::units::{FleetName, GroupName, Region};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// At least one.
    pub fleets: Vec<Fleet>,
    /// What is valid and hardly intended, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Anything with Prometheus' query API, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prometheus {
    /// Its address; `/api/v1/…` is appended.
    pub url: Url,
    /// The limit of one query.
    pub timeout: Duration,
    /// How far behind now windows end.
    pub delay: Duration,
    /// How requests authenticate.
    pub auth: Auth,
    /// Which certificates are trusted, and which one is presented.
    pub tls: Tls,
    /// How queries are signed for AWS, if they are.
    pub sigv4: Option<SigV4>,
    /// Sent with every query, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, String)>,
}

/// Signatures for Amazon Managed Service for Prometheus, with the credentials of AWS' usual chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigV4 {
    /// The region of the workspace.
    pub region: Region,
    /// The role to assume for queries, if any.
    pub role: Option<Role>,
}

/// A role of AWS to assume.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy may require: `sts:ExternalId`.
    pub external_id: Option<String>,
}

/// TLS beyond the system's own certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of a client certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// How a request authenticates. Files are read at each request, so that a rotated secret takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// HTTP basic authentication.
    Basic {
        /// The user.
        username: String,
        /// The file that holds the password.
        password_file: PathBuf,
    },
    /// A bearer token in a file.
    Bearer {
        /// The file that holds the token.
        token_file: PathBuf,
    },
}

/// A subscription of Azure, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// Its id.
    pub id: String,
    /// Azure Resource Manager of its cloud.
    pub endpoint: Url,
}

/// Groups that share one policy: Auto Scaling groups of AWS, or scale sets of Azure.
#[derive(Clone, Debug)]
pub struct Fleet {
    /// Unique in the file.
    pub name: FleetName,
    /// Decides and reports, but changes nothing.
    pub dry_run: bool,
    /// Where its datapoints come from: its own server, or that of the whole file.
    pub prometheus: Prometheus,
    /// Which groups, and where.
    pub asg: GroupSelector,
    /// What to do with them.
    pub policy: FleetPolicy,
    /// The PromQL of each policy, in their order.
    pub expressions: Vec<String>,
    /// Which series name the instances.
    pub instances: InstanceSeries,
    /// Minimums and maximums for a time.
    pub schedules: Vec<Schedule>,
    /// How to reach an instance to drain it; `None` only where nothing ever scales in.
    pub drain: Option<DrainVia>,
    /// How long Jicofo may take to hear that a bridge drains or leaves: what `control::looks` waits for.
    pub settle: Duration,
    /// The PromQL whose series name the unhealthy instances.
    pub replace_expr: Option<String>,
    /// When old instances are recycled.
    pub recycle: Option<DailyWindow>,
    /// The terminating hook to serve; without a name the only one that a group has.
    pub lifecycle_hook: Option<String>,
}

/// Which groups belong to a fleet, and how series name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSelector {
    /// The subscription of scale sets; `None` for Auto Scaling groups of AWS.
    pub subscription: Option<Subscription>,
    /// Empty: the region of the AWS configuration chain. For scale sets their one resource group, which takes the place of a
    /// region: within it names are unique.
    pub regions: Vec<Region>,
    /// By name or by tag.
    pub groups: Groups,
    /// The role to assume, if any.
    pub role: Option<Role>,
    /// The series label that carries the group's name.
    pub label: String,
    /// The series label that carries the region, where two regions have a group of the same name.
    pub region_label: Option<String>,
}

impl GroupSelector {
    /// The keys of the configuration that select groups, for a person: by name or tag, and where.
    #[must_use]
    pub fn keys(&self) -> [&'static str; 4] {
        match &self.subscription {
            None => ["asg.names", "asg.tags", "asg.regions", "asg.region_label"],
            Some(_) => ["vmss.names", "vmss.tags", "vmss.resource_group", "vmss.resource_group_label"],
        }
    }

    /// Whether a group of this name in one of `regions` is certainly one of this selector's too. Where neither says a region
    /// both mean that of the AWS configuration.
    pub(super) fn may_hold(&self, name: &str, place: &Where<'_>) -> bool {
        let Groups::Names(names) = &self.groups else { return false };
        let is_same = |own: &GroupName| match place.subscription {
            None => own.as_str() == name,
            Some(_) => own.as_str().eq_ignore_ascii_case(name),
        };
        names.iter().any(is_same) && self.meets(place)
    }

    /// Whether every group with `tags` in one of `regions` is certainly one of this selector's too, or the other way about:
    /// one of them asks for no tag that the other does not ask for.
    pub(super) fn shares(&self, tags: &[(String, String)], place: &Where<'_>) -> bool {
        let Groups::Tags(own) = &self.groups else { return false };
        let within =
            |few: &[(String, String)], many: &[(String, String)]| few.iter().all(|tag| many.contains(tag));
        (within(own, tags) || within(tags, own)) && self.meets(place)
    }

    fn meets(&self, place: &Where<'_>) -> bool {
        // What the scaler knows of a resource group does not tell its subscription, so two of one name are one here.
        let is_same_cloud = self.subscription.is_some() == place.subscription.is_some();
        let shared = self.regions.iter().any(|region| place.regions.contains(region));
        is_same_cloud && (shared || (self.regions.is_empty() && place.regions.is_empty()))
    }
}

/// Where groups are looked for.
pub(super) struct Where<'a> {
    /// As in [`GroupSelector::subscription`].
    pub(super) subscription: Option<&'a Subscription>,
    /// As in [`GroupSelector::regions`].
    pub(super) regions: &'a [Region],
}

/// How the groups of a fleet are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// These, looked for in every region of the fleet.
    Names(Vec<GroupName>),
    /// All that carry every one of these tags.
    Tags(Vec<(String, String)>),
}

/// Which series name the instances of a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSeries {
    /// A vector selector whose value is 1 where an instance reports.
    pub series: String,
    /// The label that holds the EC2 instance id.
    pub id_label: String,
}

/// Addresses of an instance, with `{label}` for labels of its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainVia {
    /// Where a bridge is asked, or a Jibri's health is read.
    pub external: String,
    /// Where a Jibri is asked to shut down; the same as `external` behind a relay.
    pub internal: String,
    /// How requests authenticate.
    pub auth: Auth,
    /// Which certificates are trusted, and which one is presented.
    pub tls: Tls,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read {}; name an existing file with --config.file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file was read, and is wrong.
    #[error("use {}, which has {}:{}", path.display(), count(problems.len()), list(problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// At least one, in the order of the file.
        problems: Vec<Problem>,
    },
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 mistake".to_owned() } else { format!("{problems} mistakes") }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}
