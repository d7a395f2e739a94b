//! The queries that the scaler makes, and their answers and errors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use url::Url;

use super::labels::Labels;
use super::rules::{Rules, Trouble};
use super::sigv4::SignError;
use crate::access::{self, SecretError};
use crate::units::{Period, Time};

/// The most series that an answer may have. With ten labels they take about 50 MB.
pub(super) const MOST_SERIES: usize = 100_000;
/// The most points that an answer may have: a hundred for each of ten thousand groups. They take 16 MB.
pub(super) const MOST_POINTS: usize = 1_000_000;

/// What to do about an answer that is not Prometheus', where nothing more is known.
pub(super) const CHECK: &str = "check prometheus.url and its authentication";

/// The queries that the scaler makes.
pub trait Metrics: Send + Sync {
    /// Evaluates `expr` at every `step` from `start` to `end`, both included. Points that are not finite are left out,
    /// as missing.
    fn range(
        &self,
        expr: &str,
        start: Time,
        end: Time,
        step: Period,
    ) -> impl Future<Output = Result<Vec<Labelled>, QueryError>> + Send;

    /// Evaluates several expressions that yield vectors as [`Metrics::range`] does, with one request where that is possible.
    /// Each has an answer or an error of its own, in their order.
    fn ranges(
        &self,
        exprs: &[&str],
        start: Time,
        end: Time,
        step: Period,
    ) -> impl Future<Output = Vec<Result<Vec<Labelled>, QueryError>>> + Send {
        join_all(exprs.iter().map(move |expr| self.range(expr, start, end, step)))
    }

    /// The rules of the server, at most `max_age` old; `None` if the server does not list them.
    fn rules(&self, max_age: Duration) -> impl Future<Output = Option<Arc<Rules>>> + Send;

    /// Evaluates `expr` at one moment.
    fn instant(&self, expr: &str, at: Time)
    -> impl Future<Output = Result<Vec<Labelled>, QueryError>> + Send;

    /// Evaluates several expressions that yield vectors at one moment, with one request where that is possible. Fails if one
    /// of them does.
    fn instants(
        &self,
        exprs: &[&str],
        at: Time,
    ) -> impl Future<Output = Result<Vec<Vec<Labelled>>, QueryError>> + Send {
        try_join_all(exprs.iter().map(move |expr| self.instant(expr, at)))
    }
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Its labels, `__name__` included where the expression kept it.
    pub labels: Labels,
    /// Moments in seconds since 1970 and values, oldest first. Values are finite.
    pub points: Vec<(f64, f64)>,
}

impl Labelled {
    /// The newest value.
    #[must_use]
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    /// The value of a label; absent and empty are the same in Prometheus.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name)
    }
}

/// A query without a usable answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// No answer.
    #[error("reach prometheus at {url}; {}", access::remedy(.source, "prometheus"))]
    Unreachable {
        /// Without credentials.
        url: Box<Url>,
        /// Why.
        #[source]
        source: Arc<reqwest::Error>,
    },
    /// No answer within the limit, in seconds.
    #[error(
        "get an answer from prometheus within {0} s; raise prometheus.timeout or simplify the expression"
    )]
    Timeout(f64),
    /// Prometheus refused the query.
    #[error("evaluate `{expr}`: prometheus says {kind}: {message}")]
    Refused {
        /// The expression.
        expr: String,
        /// Its `errorType`.
        kind: String,
        /// Its words.
        message: String,
    },
    /// Something answered that is not Prometheus' API.
    #[error("understand the answer to `{expr}`: HTTP {status}, \"{body}\"; {remedy}")]
    Foreign {
        /// The expression.
        expr: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what came.
        body: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The server redirects queries.
    #[error(
        "query prometheus at {url}: HTTP {status} redirects to {target}; set prometheus.url to the final address, because \
         queries do not follow redirects"
    )]
    Redirected {
        /// Without credentials.
        url: Box<Url>,
        /// The HTTP status.
        status: u16,
        /// Where to, without credentials, query and fragment.
        target: Box<Url>,
    },
    /// The answer may lack series.
    #[error("accept a partial answer to `{expr}`: {warnings}")]
    Partial {
        /// The expression.
        expr: String,
        /// Its warnings, or that it is marked as partial.
        warnings: String,
    },
    /// The answer to this expression is larger than any that is expected.
    #[error(
        "read the answer to `{expr}`: it has {size}; aggregate it by group, or select the fleet's own series with a matcher"
    )]
    TooLarge {
        /// The expression.
        expr: String,
        /// How large it is.
        size: Size,
    },
    /// The series or the alert comes from a rule that is not evaluated.
    #[error("trust `{name}`, which prometheus has a rule for: {trouble}; see Status → Rule health")]
    Rule {
        /// The recorded series or the alert.
        name: String,
        /// What is wrong.
        trouble: Trouble,
    },
    /// A query cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What an answer has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// More than so many bytes.
    Bytes(usize),
    /// So many series.
    Series(usize),
    /// So many points.
    Points(usize),
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(most) => write!(f, "more than {} MiB", most >> 20),
            Self::Series(count) => write!(f, "{count} series, and at most {MOST_SERIES} are read"),
            Self::Points(count) => write!(f, "{count} points, and at most {MOST_POINTS} are read"),
        }
    }
}

impl QueryError {
    /// The word for it in metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Timeout(_) => "timeout",
            Self::Refused { .. } => "refused",
            Self::Foreign { .. } => "foreign",
            Self::Redirected { .. } => "redirected",
            Self::Partial { .. } => "partial",
            Self::TooLarge { .. } => "too_large",
            Self::Rule { .. } => "rule",
            Self::Sign(_) => "sign",
            Self::Secret(_) => "secret",
        }
    }
}
