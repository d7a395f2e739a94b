//! Shares one answer between fleets that send the same query for the same moment, as fleets with the same `instances` do.
//!
//! Owns the queries of the newest moment, under way or answered. An answer never serves another moment, and a failure
//! serves only the fleets that wait for it: a wake at the same moment asks again. So does one that comes after as many fleets
//! as had the answer at the moment before: by then it is not kept any more, because answers for thousands of groups are large.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared as SharedFuture};

use super::metrics::{Labelled, Metrics, QueryError};
use super::rules::Rules;
use crate::units::{Period, Time};

type Answer = Arc<Result<Vec<Vec<Labelled>>, QueryError>>;
type Asking = SharedFuture<BoxFuture<'static, Answer>>;

/// A server whose answers to instant queries are shared. Clones share them too.
#[derive(Debug)]
pub struct Shared<M> {
    inner: Arc<M>,
    asked: Arc<Mutex<Asked>>,
}

/// What was asked.
#[derive(Debug, Default)]
struct Asked {
    /// The newest moment that was asked about.
    newest: Option<Time>,
    /// By their expressions, the questions of that moment and of the one before.
    questions: HashMap<Vec<String>, Question>,
}

/// A question.
#[derive(Debug, Default)]
struct Question {
    /// Until all have it that usually ask.
    answer: Option<Asking>,
    /// How many have asked at the newest moment.
    joined: usize,
    /// How many had asked at the moment before, if any.
    usual: Option<usize>,
}

impl<M> Clone for Shared<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), asked: Arc::clone(&self.asked) }
    }
}

impl Asked {
    /// Begins a moment. No fleet asks about an earlier one again.
    fn begin(&mut self, at: Time) {
        self.newest = Some(at);
        self.questions.retain(|_, question| question.joined > 0);
        for question in self.questions.values_mut() {
            *question = Question { usual: Some(question.joined), ..Question::default() };
        }
    }
}

impl Question {
    /// The answer, which may be under way already.
    fn join(&mut self, ask: impl FnOnce() -> Asking) -> Asking {
        let failed = |answer: &Asking| answer.peek().is_some_and(|answer| answer.is_err());
        let answer = self.answer.take().filter(|answer| !failed(answer)).unwrap_or_else(ask);
        self.joined += 1;
        if self.usual.is_none_or(|usual| self.joined < usual) {
            self.answer = Some(answer.clone());
        }
        answer
    }
}

impl<M: Metrics + 'static> Shared<M> {
    /// Wraps `inner`.
    pub fn new(inner: M) -> Self {
        Self { inner: Arc::new(inner), asked: Arc::default() }
    }

    /// The answer to queries that may be under way already.
    fn join(&self, exprs: &[&str], at: Time) -> Asking {
        let exprs: Vec<String> = exprs.iter().copied().map(str::to_owned).collect();
        let (inner, of) = (Arc::clone(&self.inner), exprs.clone());
        let ask = move || {
            async move {
                let exprs: Vec<&str> = of.iter().map(String::as_str).collect();
                Arc::new(inner.instants(&exprs, at).await)
            }
            .boxed()
            .shared()
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.newest.is_none_or(|newest| newest < at) {
            asked.begin(at);
        }
        if asked.newest == Some(at) { asked.questions.entry(exprs).or_default().join(ask) } else { ask() }
    }
}

impl<M: Metrics + 'static> Metrics for Shared<M> {
    async fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> Result<Vec<Labelled>, QueryError> {
        self.inner.range(expr, start, end, step).await
    }

    async fn ranges(
        &self,
        exprs: &[&str],
        start: Time,
        end: Time,
        step: Period,
    ) -> Vec<Result<Vec<Labelled>, QueryError>> {
        self.inner.ranges(exprs, start, end, step).await
    }

    async fn rules(&self, max_age: Duration) -> Option<Arc<Rules>> {
        self.inner.rules(max_age).await
    }

    async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
        Ok(self.instants(&[expr], at).await?.into_iter().flatten().collect())
    }

    async fn instants(&self, exprs: &[&str], at: Time) -> Result<Vec<Vec<Labelled>>, QueryError> {
        Arc::unwrap_or_clone(self.join(exprs, at).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records its queries.
    #[derive(Debug, Default)]
    struct Recorder {
        asked: Mutex<Vec<(String, Time)>>,
    }

    impl Metrics for Recorder {
        async fn range(&self, _: &str, _: Time, _: Time, _: Period) -> Result<Vec<Labelled>, QueryError> {
            Ok(Vec::new())
        }

        async fn rules(&self, _: Duration) -> Option<Arc<Rules>> {
            None
        }

        async fn instant(&self, expr: &str, at: Time) -> Result<Vec<Labelled>, QueryError> {
            self.asked.lock().expect("no panic").push((expr.to_owned(), at));
            tokio::task::yield_now().await;
            if expr == "bad" { Err(QueryError::Timeout(1.0)) } else { Ok(Vec::new()) }
        }
    }

    #[tokio::test]
    async fn a_failed_query_is_sent_again_for_the_same_moment() {
        let server = Shared::new(Recorder::default());
        let now = Time::from_unix(60);
        for _ in 0..2 {
            server.instant("bad", now).await.expect_err("a failure");
        }
        assert_eq!(server.inner.asked.lock().expect("no panic").len(), 2);
    }

    #[tokio::test]
    async fn the_same_query_for_the_same_moment_is_sent_once() {
        let server = Shared::new(Recorder::default());
        let (now, later) = (Time::from_unix(60), Time::from_unix(120));
        let (a, b, c, d) = futures::join!(
            server.instant("up", now),
            server.instant("up", now),
            server.instant("bad", now),
            server.instant("bad", now)
        );
        assert!(a.is_ok() && b.is_ok() && c.is_err() && d.is_err());
        server.instant("up", now).await.expect("an answer");
        server.instant("up", later).await.expect("an answer");
        let asked = server.inner.asked.lock().expect("no panic").clone();
        assert_eq!(asked, [("up", now), ("bad", now), ("up", later)].map(|(expr, at)| (expr.to_owned(), at)));
    }

    #[tokio::test]
    async fn an_answer_is_kept_until_as_many_have_it_as_at_the_moment_before() {
        let server = Shared::new(Recorder::default());
        let kept = || {
            let asked = server.asked.lock().expect("no panic");
            asked.questions.values().filter(|question| question.answer.is_some()).count()
        };
        for (moment, (count, left)) in [(2, 1), (1, 1), (2, 0), (2, 0), (0, 0)].into_iter().enumerate() {
            let at = Time::from_unix(60 * i64::try_from(moment).expect("few"));
            for _ in 0..count {
                server.instant("up", at).await.expect("an answer");
            }
            server.instant("other", at).await.expect("an answer");
            assert_eq!((moment, kept()), (moment, left + usize::from(moment == 0)));
        }
        // The second of the third moment, of which there was one at the second, was alone.
        let asked = server.inner.asked.lock().expect("no panic").clone();
        assert_eq!(asked.iter().filter(|(expr, _)| expr == "up").count(), 5);
        assert_eq!(server.asked.lock().expect("no panic").questions.len(), 2);
    }
}
