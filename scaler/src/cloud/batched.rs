//! The decorator that makes one describe out of those that several fleets ask for at the same moment.
//!
//! Owns the waiting for others: fleets of one role share a cloud, and their ticks fall together. Groups that are found by
//! tag cannot be asked for together; a second look before a change waits no longer than a moment.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::{Activity, CloudError, GroupDescription, ScalingGroups};
use crate::config::Groups;
use crate::decide::observation::Hook;
use crate::units::{Capacity, GroupName, InstanceId, Region};

/// How long a describe waits for others: longer than fleets that tick together are apart, and no time to anybody.
const TOGETHER: Duration = Duration::from_millis(15);

type Answer = Result<Arc<Vec<GroupDescription>>, CloudError>;
type Asked = Shared<BoxFuture<'static, Answer>>;

/// A describe that is about to be made.
#[derive(Debug)]
struct Batch {
    names: Arc<Mutex<BTreeSet<GroupName>>>,
    answer: Asked,
}

/// A cloud whose describes by name are made together. Clones share them.
#[derive(Debug)]
pub struct Batched<C> {
    inner: Arc<C>,
    pending: Arc<Mutex<HashMap<Region, Batch>>>,
}

impl<C> Clone for Batched<C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), pending: Arc::clone(&self.pending) }
    }
}

impl<C: ScalingGroups + 'static> Batched<C> {
    /// Wraps `inner`.
    pub fn new(inner: C) -> Self {
        Self { inner: Arc::new(inner), pending: Arc::default() }
    }

    /// The describe of `region` that is about to be made, with `names` in it.
    fn join(&self, region: &Region, names: &[GroupName]) -> Asked {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = pending.get(region) {
            batch.names.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned());
            return batch.answer.clone();
        }
        let names = Arc::new(Mutex::new(names.iter().cloned().collect::<BTreeSet<_>>()));
        let asking = Self::ask(self.clone(), region.clone(), Arc::clone(&names));
        let answer = asking.boxed().shared();
        pending.insert(region.clone(), Batch { names, answer: answer.clone() });
        answer
    }

    async fn ask(self, region: Region, names: Arc<Mutex<BTreeSet<GroupName>>>) -> Answer {
        tokio::time::sleep(TOGETHER).await;
        // Whoever comes from here on begins another one: an answer is never older than its question.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&region);
        let names = std::mem::take(&mut *names.lock().unwrap_or_else(PoisonError::into_inner));
        let groups = Groups::Names(names.into_iter().collect());
        self.inner.describe(&region, &groups).await.map(Arc::new)
    }
}

impl<C: ScalingGroups + 'static> ScalingGroups for Batched<C> {
    async fn describe(&self, region: &Region, groups: &Groups) -> Result<Vec<GroupDescription>, CloudError> {
        let Groups::Names(names) = groups else { return self.inner.describe(region, groups).await };
        let all = self.join(region, names).await?;
        Ok(all.iter().filter(|group| names.contains(&group.name)).cloned().collect())
    }

    async fn activities(&self, region: &Region, group: &GroupName) -> Result<Vec<Activity>, CloudError> {
        self.inner.activities(region, group).await
    }

    async fn hooks(&self, region: &Region, group: &GroupName) -> Result<Vec<Hook>, CloudError> {
        self.inner.hooks(region, group).await
    }

    async fn refreshing(&self, region: &Region, group: &GroupName) -> Result<bool, CloudError> {
        self.inner.refreshing(region, group).await
    }

    async fn set_desired(
        &self,
        region: &Region,
        group: &GroupName,
        desired: Capacity,
    ) -> Result<(), CloudError> {
        self.inner.set_desired(region, group, desired).await
    }

    async fn terminate_and_decrement(
        &self,
        region: &Region,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.inner.terminate_and_decrement(region, instance).await
    }

    async fn terminate_and_replace(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.inner.terminate_and_replace(region, instance).await
    }

    async fn set_unhealthy(&self, region: &Region, instance: &InstanceId) -> Result<(), CloudError> {
        self.inner.set_unhealthy(region, instance).await
    }

    async fn protect(
        &self,
        region: &Region,
        group: &GroupName,
        instances: &[InstanceId],
        protected: bool,
    ) -> Result<(), CloudError> {
        self.inner.protect(region, group, instances, protected).await
    }

    async fn heartbeat(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.inner.heartbeat(region, group, hook, instance).await
    }

    async fn complete(
        &self,
        region: &Region,
        group: &GroupName,
        hook: &str,
        instance: &InstanceId,
    ) -> Result<(), CloudError> {
        self.inner.complete(region, group, hook, instance).await
    }

    async fn tag(
        &self,
        region: &Region,
        group: &GroupName,
        key: &str,
        value: &str,
    ) -> Result<(), CloudError> {
        self.inner.tag(region, group, key, value).await
    }

    async fn untag(&self, region: &Region, group: &GroupName, key: &str) -> Result<(), CloudError> {
        self.inner.untag(region, group, key).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Describes every group that it is asked for, and remembers what it was asked.
    #[derive(Debug, Default)]
    struct Recorder {
        asked: Mutex<Vec<(Region, Vec<String>)>>,
    }

    impl ScalingGroups for Recorder {
        async fn describe(
            &self,
            region: &Region,
            groups: &Groups,
        ) -> Result<Vec<GroupDescription>, CloudError> {
            let Groups::Names(names) = groups else { return Ok(Vec::new()) };
            let told = names.iter().map(ToString::to_string).collect();
            self.asked.lock().expect("no panic").push((region.clone(), told));
            let described = |name: &GroupName| GroupDescription {
                name: name.clone(),
                min: Capacity::ZERO,
                max: Capacity::ONE,
                desired: Capacity::ONE,
                suspended: Vec::new(),
                zones: Vec::new(),
                instances: Vec::new(),
                tags: Vec::new(),
            };
            Ok(names.iter().map(described).collect())
        }

        async fn activities(&self, _: &Region, _: &GroupName) -> Result<Vec<Activity>, CloudError> {
            Ok(Vec::new())
        }

        async fn hooks(&self, _: &Region, _: &GroupName) -> Result<Vec<Hook>, CloudError> {
            Ok(Vec::new())
        }

        async fn refreshing(&self, _: &Region, _: &GroupName) -> Result<bool, CloudError> {
            Ok(false)
        }

        async fn set_desired(&self, _: &Region, _: &GroupName, _: Capacity) -> Result<(), CloudError> {
            Ok(())
        }

        async fn terminate_and_decrement(&self, _: &Region, _: &InstanceId) -> Result<(), CloudError> {
            Ok(())
        }

        async fn terminate_and_replace(&self, _: &Region, _: &InstanceId) -> Result<(), CloudError> {
            Ok(())
        }

        async fn set_unhealthy(&self, _: &Region, _: &InstanceId) -> Result<(), CloudError> {
            Ok(())
        }

        async fn protect(
            &self,
            _: &Region,
            _: &GroupName,
            _: &[InstanceId],
            _: bool,
        ) -> Result<(), CloudError> {
            Ok(())
        }

        async fn heartbeat(
            &self,
            _: &Region,
            _: &GroupName,
            _: &str,
            _: &InstanceId,
        ) -> Result<(), CloudError> {
            Ok(())
        }

        async fn complete(
            &self,
            _: &Region,
            _: &GroupName,
            _: &str,
            _: &InstanceId,
        ) -> Result<(), CloudError> {
            Ok(())
        }

        async fn tag(&self, _: &Region, _: &GroupName, _: &str, _: &str) -> Result<(), CloudError> {
            Ok(())
        }

        async fn untag(&self, _: &Region, _: &GroupName, _: &str) -> Result<(), CloudError> {
            Ok(())
        }
    }

    fn names(names: &[&str]) -> Groups {
        Groups::Names(names.iter().map(|name| GroupName::new(name)).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn fleets_that_tick_together_ask_once_per_region() {
        let cloud = Batched::new(Recorder::default());
        let (east, west) = (Region::new("us-east-1"), Region::new("us-west-2"));
        let (a, bc, d) = (names(&["a"]), names(&["b", "c"]), names(&["d"]));
        let (one, two, three) =
            futures::join!(cloud.describe(&east, &a), cloud.describe(&east, &bc), cloud.describe(&west, &d));
        let told = |groups: Result<Vec<GroupDescription>, CloudError>| {
            groups.expect("described").iter().map(|group| group.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(
            (told(one), told(two), told(three)),
            (vec!["a".to_owned()], vec!["b".to_owned(), "c".to_owned()], vec!["d".to_owned()])
        );
        let asked = cloud.inner.asked.lock().expect("no panic").clone();
        let expected = |region: &Region, names: &[&str]| {
            (region.clone(), names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(asked.len(), 2);
        assert!(
            asked.contains(&expected(&east, &["a", "b", "c"])) && asked.contains(&expected(&west, &["d"])),
            "{asked:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_question_is_asked_anew() {
        let cloud = Batched::new(Recorder::default());
        let region = Region::new("us-east-1");
        for _ in 0..2 {
            cloud.describe(&region, &names(&["a"])).await.expect("described");
        }
        assert_eq!(cloud.inner.asked.lock().expect("no panic").len(), 2);
    }
}
