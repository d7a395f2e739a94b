//! One describe for those that several fleets make at the same moment.
//!
//! Owns the waiting for others: fleets of one role share a cloud, and their ticks coincide.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};

use super::{CloudError, GroupDescription};
use crate::config::Groups;
use crate::units::{GroupName, Region};

type Described = Result<Vec<GroupDescription>, CloudError>;
type SharedAnswer = Shared<BoxFuture<'static, Result<Arc<Vec<GroupDescription>>, CloudError>>>;

/// A describe that still waits for others to join.
#[derive(Debug)]
struct Batch {
    names: Arc<Mutex<BTreeSet<GroupName>>>,
    answer: SharedAnswer,
}

/// The describes that others can still join. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Batches {
    wait: Duration,
    open: Arc<Mutex<HashMap<Region, Batch>>>,
}

impl Batches {
    /// A describe waits for `wait`; with zero it is made at once, and by itself.
    pub(super) fn new(wait: Duration) -> Self {
        Self { wait, open: Arc::default() }
    }

    /// The groups of these names. `ask` describes them together with those of whichever calls have joined.
    pub(super) async fn describe(
        &self,
        region: &Region,
        names: &[GroupName],
        ask: impl FnOnce(Groups) -> BoxFuture<'static, Described> + Send + 'static,
    ) -> Described {
        if self.wait.is_zero() {
            return ask(Groups::Names(names.to_vec())).await;
        }
        let all = self.join(region, names, ask).await?;
        Ok(all.iter().filter(|group| names.contains(&group.name)).cloned().collect())
    }

    /// The open describe of `region`, with `names` added to it.
    fn join(
        &self,
        region: &Region,
        names: &[GroupName],
        ask: impl FnOnce(Groups) -> BoxFuture<'static, Described> + Send + 'static,
    ) -> SharedAnswer {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = open.get(region) {
            batch.names.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned());
            return batch.answer.clone();
        }
        let names = Arc::new(Mutex::new(names.iter().cloned().collect::<BTreeSet<_>>()));
        let answer = self.clone().close(region.clone(), Arc::clone(&names), ask).boxed().shared();
        open.insert(region.clone(), Batch { names, answer: answer.clone() });
        answer
    }

    async fn close(
        self,
        region: Region,
        names: Arc<Mutex<BTreeSet<GroupName>>>,
        ask: impl FnOnce(Groups) -> BoxFuture<'static, Described>,
    ) -> Result<Arc<Vec<GroupDescription>>, CloudError> {
        tokio::time::sleep(self.wait).await;
        // A later describe opens another batch: no answer is older than its question.
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&region);
        let names = std::mem::take(&mut *names.lock().unwrap_or_else(PoisonError::into_inner));
        ask(Groups::Names(names.into_iter().collect())).await.map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn names(names: &[&str]) -> Vec<GroupName> {
        names.iter().map(|name| GroupName::new(name)).collect()
    }

    type Question = (Region, Vec<GroupName>);

    /// Describes every group that it is asked for, and keeps the questions.
    #[derive(Clone, Debug, Default)]
    struct Recorder(Arc<Mutex<Vec<Question>>>);

    impl Recorder {
        async fn describe(&self, batches: &Batches, region: &Region, names: &[GroupName]) -> Vec<GroupName> {
            let (recorder, of) = (self.clone(), region.clone());
            let ask = move |groups: Groups| {
                let Groups::Names(names) = groups else { unreachable!("batches are of names") };
                let answer = names.iter().map(|name| GroupDescription::with(name.as_str(), 1, &[])).collect();
                recorder.0.lock().expect("no panic").push((of, names));
                ready(Ok(answer)).boxed()
            };
            let groups = batches.describe(region, names, ask).await.expect("described");
            groups.into_iter().map(|group| group.name).collect()
        }

        fn questions(&self) -> Vec<Question> {
            self.0.lock().expect("no panic").clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fleets_that_tick_together_ask_once_per_region() {
        let (batches, recorder) = (Batches::new(Duration::from_millis(15)), Recorder::default());
        let (east, west) = (Region::new("us-east-1"), Region::new("us-west-2"));
        let (a, bc, d) = (names(&["a"]), names(&["b", "c"]), names(&["d"]));
        let answers = futures::join!(
            recorder.describe(&batches, &east, &a),
            recorder.describe(&batches, &east, &bc),
            recorder.describe(&batches, &west, &d)
        );
        assert_eq!(answers, (a, bc, d.clone()));
        let mut questions = recorder.questions();
        questions.sort();
        assert_eq!(questions, [(east, names(&["a", "b", "c"])), (west, d)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_question_is_asked_anew() {
        let (batches, recorder) = (Batches::new(Duration::from_millis(15)), Recorder::default());
        let region = Region::new("us-east-1");
        for _ in 0..2 {
            recorder.describe(&batches, &region, &names(&["a"])).await;
        }
        assert_eq!(recorder.questions().len(), 2);
    }
}
