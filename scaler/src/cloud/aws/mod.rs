//! EC2 Auto Scaling by the AWS SDK.
//!
//! Owns the clients per region and role, timeouts and retries. Only this folder knows the names that AWS gives to things.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_autoscaling::Client;
use aws_sdk_autoscaling::types::{AutoScalingGroup, Filter};
use tokio::sync::Mutex;

use self::errors::translate;
use crate::access;
use crate::cloud::{
    ACTIVITIES, Activity, Call, Change, CloudError, GroupDescription, MOST_ACTIVITIES, Permitted,
    ScalingGroups,
};
use crate::config::{Groups, Role};
use crate::decide::observation::Hook;
use crate::units::{GroupName, Region, Time};

mod answers;
mod changes;
mod complete;
mod errors;
mod inspect;

/// The limit of one attempt. AWS answers in well under a second.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The limit of a call with its retries, so that a tick of a minute survives it.
const CALL: Duration = Duration::from_secs(15);
/// How often a call that may be repeated is tried.
const ATTEMPTS: u32 = 3;
/// The most names or records in one describe call.
const PAGE: u8 = 100;
/// How many of the newest instance refreshes are looked at; only one can be in progress.
const REFRESHES: i32 = 5;
/// More groups than these pages hold are a mistake in the tag selector.
const MOST_PAGES: usize = 50;
/// More instances than these in one describe are a mistake, too: a fleet is to be divided long before.
const MOST_INSTANCES: usize = 20_000;

/// Auto Scaling by the AWS SDK, with the credentials of the default provider chain and, optionally, an assumed role.
#[derive(Debug)]
pub struct Aws {
    base: SdkConfig,
    role: Option<Role>,
    /// Made when a region is first used; the lock is held for that moment only.
    clients: Mutex<HashMap<Region, Arc<Client>>>,
}

impl Aws {
    /// Reads the AWS configuration chain (environment, profiles, web identity, container, instance metadata). The chain
    /// is asked for a region only where none is given: off EC2 that takes seconds.
    pub async fn load(role: Option<Role>, region: Option<&Region>) -> Self {
        let timeouts =
            TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).operation_timeout(CALL).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS));
        if let Some(region) = region {
            loader = loader.region(aws_config::Region::new(region.as_str().to_owned()));
        }
        Self::new(loader.load().await, role)
    }

    /// Takes credentials, endpoint, timeouts and retries from `base`.
    #[must_use]
    pub fn new(base: SdkConfig, role: Option<Role>) -> Self {
        Self { base, role, clients: Mutex::default() }
    }

    /// The given region, or that of the chain if it names one.
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        self.base.region().map(|region| Region::new(region.as_ref()))
    }

    /// The name of a call in the API.
    #[must_use]
    pub fn operation(call: Call<'_>) -> &'static str {
        match call {
            Call::Describe => "DescribeAutoScalingGroups",
            Call::Activities => "DescribeScalingActivities",
            Call::Hooks => "DescribeLifecycleHooks",
            Call::Refreshing => "DescribeInstanceRefreshes",
            Call::Apply(Change::SetDesired(_)) => "SetDesiredCapacity",
            Call::Apply(Change::TerminateAndDecrement(_) | Change::TerminateAndReplace(_)) => {
                "TerminateInstanceInAutoScalingGroup"
            }
            Call::Apply(Change::SetUnhealthy(_)) => "SetInstanceHealth",
            Call::Apply(Change::SetProtection { .. }) => "SetInstanceProtection",
            Call::Apply(Change::Heartbeat { .. }) => "RecordLifecycleActionHeartbeat",
            Call::Apply(Change::Complete { .. }) => "CompleteLifecycleAction",
            Call::Apply(Change::Tag { .. }) => "CreateOrUpdateTags",
            Call::Apply(Change::Untag { .. }) => "DeleteTags",
        }
    }

    async fn client(&self, region: &Region) -> Arc<Client> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(region) {
            return Arc::clone(client);
        }
        let aws_region = aws_config::Region::new(region.as_str().to_owned());
        let mut config = self.base.to_builder().region(aws_region.clone());
        if let Some(role) = &self.role {
            config = config.credentials_provider(access::assume(role, aws_region, &self.base).await);
        }
        let config = aws_sdk_autoscaling::config::Builder::from(&config.build());
        let client = Arc::new(Client::from_conf(config.interceptor(complete::CompleteAnswers).build()));
        clients.insert(region.clone(), Arc::clone(&client));
        client
    }

    /// What `read` takes from the groups of these names.
    async fn by_name<T>(
        &self,
        region: &Region,
        names: &[GroupName],
        read: fn(&AutoScalingGroup) -> Option<T>,
    ) -> Result<Vec<T>, CloudError> {
        let client = self.client(region).await;
        let mut found = Vec::new();
        for names in names.chunks(usize::from(PAGE)) {
            let names = names.iter().map(|name| name.as_str().to_owned()).collect();
            let page = client.describe_auto_scaling_groups().max_records(i32::from(PAGE));
            let answer = page.set_auto_scaling_group_names(Some(names)).send().await;
            let answer = answer.map_err(|error| translate(Self::operation(Call::Describe), &error))?;
            found.extend(answer.auto_scaling_groups().iter().filter_map(read));
        }
        Ok(found)
    }
}

impl ScalingGroups for Aws {
    fn name_of(&self, call: Call<'_>) -> &'static str {
        Self::operation(call)
    }

    fn packs_drains(&self) -> bool {
        true
    }

    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        let tags = match groups {
            Groups::Names(names) => return self.by_name(region, names, answers::group).await,
            Groups::Tags(tags) => tags,
        };
        let call = Self::operation(Call::Describe);
        let client = self.client(region).await;
        let filter = |(key, value): &(String, String)| {
            Filter::builder().name(format!("tag:{key}")).values(value).build()
        };
        let filters: Vec<_> = tags.iter().map(filter).collect();
        let (mut found, mut instances, mut token) = (Vec::new(), 0, None);
        for _ in 0..MOST_PAGES {
            let page = client.describe_auto_scaling_groups().max_records(i32::from(PAGE));
            let page = page.set_filters(Some(filters.clone())).set_next_token(token);
            let answer = page.send().await.map_err(|error| translate(call, &error))?;
            let groups = answer.auto_scaling_groups();
            instances += groups.iter().map(|group| group.instances().len()).sum::<usize>();
            if instances > MOST_INSTANCES {
                let message = format!("the groups of the fleet hold more than {MOST_INSTANCES} instances");
                return Err(CloudError::Refused { call, code: "TooManyInstances".to_owned(), message });
            }
            found.extend(groups.iter().filter_map(answers::group));
            token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
        let message =
            format!("more than {} groups carry the tags of the fleet", MOST_PAGES * usize::from(PAGE));
        Err(CloudError::Refused { call, code: "TooManyGroups".to_owned(), message })
    }

    async fn activities(
        &self,
        region: &Region,
        group: &GroupName,
        since: Option<Time>,
    ) -> Result<Vec<Activity>, CloudError> {
        let client = self.client(region).await;
        let (mut found, mut token) = (Vec::new(), None);
        let records = i32::try_from(ACTIVITIES).unwrap_or(i32::MAX);
        loop {
            let page = client.describe_scaling_activities().auto_scaling_group_name(group.as_str());
            let answer = page.max_records(records).set_next_token(token).send().await;
            let answer = answer.map_err(|error| translate(Self::operation(Call::Activities), &error))?;
            found.extend(answer.activities().iter().map(answers::activity));
            token = answer.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
            let oldest = found.last().and_then(|it: &Activity| it.ended);
            let reaches = since.is_none_or(|since| oldest.is_some_and(|oldest| oldest < since));
            if token.is_none() || reaches || found.len() >= MOST_ACTIVITIES {
                return Ok(found);
            }
        }
    }

    async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        let request = self.client(region).await.describe_lifecycle_hooks();
        let failed = |error| translate(Self::operation(Call::Hooks), &error);
        let answer = request.auto_scaling_group_name(group.as_str()).send().await.map_err(failed)?;
        Ok(answer.lifecycle_hooks().iter().filter_map(answers::terminating_hook).collect())
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        let request = self.client(region).await.describe_instance_refreshes();
        let request = request.auto_scaling_group_name(group.as_str()).max_records(REFRESHES);
        let failed = |error| translate(Self::operation(Call::Refreshing), &error);
        let answer = request.send().await.map_err(failed)?;
        Ok(answer.instance_refreshes().iter().any(answers::is_in_progress))
    }

    async fn apply(&self, permitted: Permitted<'_>) -> Result<(), CloudError> {
        let client = self.client(permitted.region()).await;
        let call = Self::operation(Call::Apply(permitted.change()));
        changes::apply(&client, call, permitted.group().as_str(), permitted.change()).await
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_autoscaling::config::SharedCredentialsProvider;
    use test_case::test_case;

    use super::*;
    use crate::access::answering;

    /// AWS that gives these answers.
    async fn aws(answers: Vec<String>) -> Aws {
        let (address, _) = answering::server(answers, "").await;
        let credentials = Credentials::new("a", "b", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(format!("http://{address}"))
            .retry_config(RetryConfig::disabled())
            .build();
        Aws::new(config, None)
    }

    /// A page of activities that ended at this second of an hour, with another page behind it or not.
    fn page(second: usize, has_next: bool) -> String {
        let activity = format!(
            "<member><ActivityId>a</ActivityId><Description>Terminating EC2 instance: i-1</Description>\
             <StatusCode>Successful</StatusCode><EndTime>2026-09-21T12:00:{second:02}Z</EndTime></member>"
        );
        let next = if has_next { "<NextToken>a</NextToken>" } else { "" };
        let body = format!(
            "<DescribeScalingActivitiesResponse><DescribeScalingActivitiesResult><Activities>{}</Activities>{next}\
             </DescribeScalingActivitiesResult></DescribeScalingActivitiesResponse>",
            activity.repeat(ACTIVITIES),
        );
        answering::http(200, "", &body)
    }

    #[test_case(None, 1; "the newest")]
    #[test_case(Some("2026-09-21T12:00:48Z"), 2; "since a time that the second page reaches")]
    #[test_case(Some("2026-09-21T11:00:00Z"), 3; "since before the first")]
    #[tokio::test]
    async fn activities_are_read_as_far_back_as_needed(since: Option<&str>, expected: usize) {
        let pages = vec![page(50, true), page(47, true), page(44, false)];
        let since = since.and_then(Time::parse);
        let found = aws(pages).await.activities(&Region::new("r"), &GroupName::new("prod"), since).await;
        assert_eq!(found.expect("activities").len(), expected * ACTIVITIES);
    }

    /// An answer with one group of so many instances, with `more` behind the list of groups.
    fn answer(instances: usize, more: &str) -> String {
        let instance =
            "<member><InstanceId>i-1</InstanceId><LifecycleState>InService</LifecycleState></member>";
        let body = format!(
            "<DescribeAutoScalingGroupsResponse><DescribeAutoScalingGroupsResult><AutoScalingGroups><member>\
             <AutoScalingGroupName>prod</AutoScalingGroupName><MinSize>1</MinSize><MaxSize>6</MaxSize>\
             <DesiredCapacity>4</DesiredCapacity><Instances>{}</Instances></member></AutoScalingGroups>{more}\
             </DescribeAutoScalingGroupsResult></DescribeAutoScalingGroupsResponse>",
            instance.repeat(instances),
        );
        answering::http(200, "", &body)
    }

    #[test_case(vec![answer(MOST_INSTANCES, "")], "ok"; "as many instances as are read")]
    #[test_case(vec![answer(MOST_INSTANCES + 1, "")], "TooManyInstances"; "one more")]
    #[test_case(vec![answer(1, &" ".repeat(8 << 20))], "more than 8 MiB"; "more bytes than are read")]
    #[test_case(vec![answer(1, "<NextToken>a</NextToken>"); MOST_PAGES], "TooManyGroups"; "pages without an end")]
    #[tokio::test]
    async fn an_answer_with_more_than_is_kept_is_refused(answers: Vec<String>, expected: &str) {
        let groups = Groups::Tags(vec![("fleet".to_owned(), "jvb".to_owned())]);
        let described = aws(answers).await.describe(&Region::new("eu-central-1"), &groups).await;
        let told = described.map_or_else(|error| error.to_string(), |_| "ok".to_owned());
        assert!(told.contains(expected), "{told}");
    }
}
