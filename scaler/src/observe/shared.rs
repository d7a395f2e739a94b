//! Shares one answer between fleets that send the same query for the same moment, as fleets with the same `instances` do.
//!
//! Owns the queries of the newest moment, under way or answered. An answer never serves another moment, and a failure
//! serves only the fleets that wait for it: a wake at the same moment asks again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared as SharedFuture};

use super::metrics::{Labelled, Metrics, QueryError};
use super::rules::Rules;
use crate::units::{Period, Time};

type Answer = Arc<Result<Vec<Vec<Labelled>>, QueryError>>;
type Asked = SharedFuture<BoxFuture<'static, Answer>>;
/// The expressions, and the moment.
type Question = (Vec<String>, Time);

/// A server whose answers to instant queries are shared. Clones share them too.
#[derive(Debug)]
pub struct Shared<M> {
    inner: Arc<M>,
    asked: Arc<Mutex<HashMap<Question, Asked>>>,
}

impl<M> Clone for Shared<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), asked: Arc::clone(&self.asked) }
    }
}

impl<M: Metrics + 'static> Shared<M> {
    /// Wraps `inner`.
    pub fn new(inner: M) -> Self {
        Self { inner: Arc::new(inner), asked: Arc::default() }
    }

    /// The answer to queries that may be under way already.
    fn join(&self, exprs: &[&str], at: Time) -> Asked {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // No fleet asks about an earlier moment again.
        asked.retain(|(_, moment), asked| *moment >= at && asked.peek().is_none_or(|answer| answer.is_ok()));
        let exprs: Vec<String> = exprs.iter().copied().map(str::to_owned).collect();
        let key = (exprs.clone(), at);
        let ask = || {
            let inner = Arc::clone(&self.inner);
            async move {
                let exprs: Vec<&str> = exprs.iter().map(String::as_str).collect();
                Arc::new(inner.instants(&exprs, at).await)
            }
            .boxed()
            .shared()
        };
        asked.entry(key).or_insert_with(ask).clone()
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
        match &*self.join(exprs, at).await {
            Ok(answers) => Ok(answers.clone()),
            Err(error) => Err(error.clone()),
        }
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
        assert_eq!(server.asked.lock().expect("no panic").len(), 1);
    }
}
