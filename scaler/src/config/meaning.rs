//! What the values of an expression are known to be, from the names of jitsi-exporter's metrics and of the recording
//! rules of this project.
//!
//! Owns the judgement whether a threshold can be in the unit of what it is compared with. It must never refuse what
//! somebody could mean: of a name or a function that it does not know it says nothing.

use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorSelector};

use crate::decide::policy::{Comparison, Direction};

/// Less than one person's video: nobody adds a bridge for so little.
const ONE_VIDEO: f64 = 133_000.0;
/// Less than one conference of a few people.
const ONE_CONFERENCE: f64 = 2e6;
/// The share of its full load above which nobody plans with a bridge.
const OVERLOADED: f64 = 1.5;

/// What one series measures.
#[derive(Clone, Copy)]
enum Kind {
    /// 0 or 1 for each instance.
    Flag,
    /// From 0 to 1.
    Share,
    /// 1 at full load; more is possible, ten times as much is not.
    Stress,
    /// Never negative.
    Count,
    /// The time that something takes on the network.
    Latency,
    /// A rate of traffic, by how many bit/s one of its unit is.
    Traffic(f64),
    /// Bytes since the start of the process, which only `rate` and `increase` make something of.
    Bytes,
    /// Any other counter.
    Counter,
}

/// By name. What is not here, nothing is said of.
const KNOWN: &[(&str, Kind)] = &[
    ("asg:jibri_available:sum", Kind::Count),
    ("asg:jibri_busy:sum", Kind::Count),
    ("asg:jvb_network_out_bytes:avg1m", Kind::Traffic(8.0 / 60.0)),
    ("asg:jvb_participants:sum", Kind::Count),
    ("asg:jvb_stress:avg", Kind::Stress),
    ("jibri_available", Kind::Flag),
    ("jibri_healthy", Kind::Flag),
    ("jibri_status", Kind::Flag),
    ("jibri_up", Kind::Flag),
    ("jicofo_bridges", Kind::Count),
    ("jicofo_jibri_available", Kind::Count),
    ("jicofo_jibris", Kind::Count),
    ("jicofo_operational_bridges", Kind::Count),
    ("jvb_bytes_received_total", Kind::Bytes),
    ("jvb_bytes_sent_total", Kind::Bytes),
    ("jvb_conferences", Kind::Count),
    ("jvb_draining", Kind::Flag),
    ("jvb_graceful_shutdown", Kind::Flag),
    ("jvb_healthy", Kind::Flag),
    ("jvb_incoming_bits_per_second", Kind::Traffic(1.0)),
    ("jvb_incoming_loss_ratio", Kind::Share),
    ("jvb_local_endpoints", Kind::Count),
    ("jvb_octo_bytes_received_total", Kind::Bytes),
    ("jvb_octo_bytes_sent_total", Kind::Bytes),
    ("jvb_outgoing_bits_per_second", Kind::Traffic(1.0)),
    ("jvb_outgoing_loss_ratio", Kind::Share),
    ("jvb_overall_loss_ratio", Kind::Share),
    ("jvb_participants", Kind::Count),
    ("jvb_rtt_seconds", Kind::Latency),
    ("jvb_shutting_down", Kind::Flag),
    ("jvb_stress_ratio", Kind::Stress),
    ("jvb_up", Kind::Flag),
];

/// What is known of the values of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Meaning {
    low: f64,
    high: f64,
    /// The value of a bridge that bears all that it should.
    full: Option<f64>,
    /// How many bit/s one of its unit is.
    bits: Option<f64>,
    /// What the values are and, where it is sure, how to write what was probably meant; none once they are scaled.
    unit: Option<Unit>,
    series: String,
}

/// The unit of a series, for advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Ratio,
    Load,
    Seconds,
    Other,
}

/// What is to be said of a threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It cannot be right.
    Wrong(String),
    /// It can be, and hardly is.
    Odd(String),
}

impl Meaning {
    /// What is known of the values of `expr`.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        match expr {
            Expr::Paren(inner) => Self::of(&inner.expr),
            Expr::VectorSelector(selector) => Self::of_selector(selector, None),
            Expr::Aggregate(aggregate) => Self::of_aggregate(aggregate),
            Expr::Binary(binary) => Self::of_binary(binary),
            Expr::Call(call) => Self::of_call(call),
            _ => None,
        }
    }

    /// The counter whose bare value `expr` is, which tells only how long its process has run.
    pub(super) fn bare_counter(expr: &Expr) -> Option<&str> {
        match expr {
            Expr::Paren(inner) => Self::bare_counter(&inner.expr),
            Expr::Aggregate(aggregate) if keeps_values(aggregate) || aggregate.op.to_string() == "sum" => {
                Self::bare_counter(&aggregate.expr)
            }
            Expr::VectorSelector(selector) => {
                let name = name(selector)?;
                matches!(kind(name)?, Kind::Bytes | Kind::Counter).then_some(name)
            }
            _ => None,
        }
    }

    fn of_selector(selector: &VectorSelector, per_second: Option<f64>) -> Option<Self> {
        let series = name(selector)?;
        let meaning = |low, high, unit| Self {
            low,
            high,
            full: None,
            bits: None,
            unit: Some(unit),
            series: series.to_owned(),
        };
        Some(match (kind(series)?, per_second) {
            (Kind::Flag, None) => meaning(0.0, 1.0, Unit::Other),
            (Kind::Share, None) => meaning(0.0, 1.0, Unit::Ratio),
            (Kind::Stress, None) => Self { full: Some(1.0), ..meaning(0.0, 10.0, Unit::Load) },
            (Kind::Count, None) => meaning(0.0, f64::INFINITY, Unit::Other),
            // A minute is far beyond what any call survives.
            (Kind::Latency, None) => meaning(0.0, 60.0, Unit::Seconds),
            (Kind::Traffic(bits), None) => {
                Self { bits: Some(bits), ..meaning(0.0, f64::INFINITY, Unit::Other) }
            }
            (Kind::Bytes, Some(seconds)) => {
                Self { bits: Some(8.0 / seconds), ..meaning(0.0, f64::INFINITY, Unit::Other) }
            }
            _ => return None,
        })
    }

    fn of_aggregate(aggregate: &AggregateExpr) -> Option<Self> {
        if keeps_values(aggregate) {
            return Self::of(&aggregate.expr);
        }
        let inner = Self::of(&aggregate.expr)?;
        // Of a sum over instances no upper bound is known, and of bare numbers less than nothing.
        (aggregate.op.to_string() == "sum" && inner.low >= 0.0).then_some(Self {
            low: 0.0,
            high: f64::INFINITY,
            full: None,
            unit: Some(Unit::Other),
            ..inner
        })
    }

    fn of_binary(binary: &BinaryExpr) -> Option<Self> {
        let (left, right) = (&binary.lhs, &binary.rhs);
        let plain = binary.modifier.as_ref().is_none_or(|modifier| !modifier.return_bool);
        match (binary.op.to_string().as_str(), number(left), number(right)) {
            ("*", Some(by), None) => Self::of(right)?.scaled(by),
            ("*", None, Some(by)) => Self::of(left)?.scaled(by),
            ("/", None, Some(by)) => Self::of(left)?.scaled(1.0 / by),
            // What is left of the left side has its values still.
            ("and" | "unless", ..) => Self::of(left),
            ("<" | "<=" | ">" | ">=" | "==" | "!=", None, _) if plain => Self::of(left),
            _ => None,
        }
    }

    fn of_call(call: &Call) -> Option<Self> {
        let last = call.args.args.last().map(AsRef::as_ref)?;
        match (call.func.name, last) {
            ("rate" | "irate", Expr::MatrixSelector(matrix)) => Self::of_selector(&matrix.vs, Some(1.0)),
            ("increase", Expr::MatrixSelector(matrix)) => {
                Self::of_selector(&matrix.vs, Some(matrix.range.as_secs_f64()))
            }
            (
                "avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time" | "quantile_over_time",
                Expr::MatrixSelector(matrix),
            ) => Self::of_selector(&matrix.vs, None),
            (
                "avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time" | "quantile_over_time",
                Expr::Subquery(subquery),
            ) => Self::of(&subquery.expr),
            _ => None,
        }
    }

    fn scaled(self, by: f64) -> Option<Self> {
        (by.is_finite() && by > 0.0).then(|| Self {
            low: self.low * by,
            high: self.high * by,
            full: self.full.map(|full| full * by),
            bits: self.bits.map(|bits| bits / by),
            unit: self.unit.filter(|_| (by - 1.0).abs() < f64::EPSILON),
            series: self.series,
        })
    }

    /// Whether values like these can be compared with the threshold of `when`.
    pub(super) fn judge(&self, when: Comparison, direction: Direction) -> Option<Judgement> {
        let threshold = when.threshold();
        let (best, worst) = if when.is_above() { (self.high, self.low) } else { (self.low, self.high) };
        if !when.holds(best) {
            return Some(Judgement::Wrong(format!("can never be true: {}", self.describe(threshold))));
        }
        if when.holds(worst) {
            let text = format!("is always true: {}", self.describe(threshold));
            // Somebody may want one more until the maximum; nobody wants one less whatever happens.
            return Some(match direction {
                Direction::Out => Judgement::Odd(text),
                Direction::In => Judgement::Wrong(text),
            });
        }
        let to_add = when.is_above() && direction == Direction::Out;
        if let Some(bits) = self.bits.filter(|_| to_add) {
            let rate = threshold * bits;
            let known = format!("is {rate:.0} bit/s, less than one");
            if rate < ONE_VIDEO {
                let meant = rounded(threshold * 1000.0 / bits);
                return Some(Judgement::Wrong(format!(
                    "{known} person's video; if {threshold} kbit/s are meant, write {meant}, which is that in the \
                     unit of the expression"
                )));
            }
            if rate < ONE_CONFERENCE {
                return Some(Judgement::Odd(format!("{known} conference takes; check the unit")));
            }
        }
        if let Some(full) = self.full.filter(|_| to_add)
            && threshold > full * OVERLOADED
        {
            return Some(Judgement::Odd(format!(
                "adds only when bridges are overloaded: {full} is the full load of a bridge"
            )));
        }
        None
    }

    fn describe(&self, threshold: f64) -> String {
        let Self { series, low, high, .. } = self;
        let percent = match threshold {
            percent if percent > 1.0 && percent <= 100.0 => {
                format!("; for {percent}% write {}", rounded(percent / 100.0))
            }
            _ => String::new(),
        };
        match self.unit {
            Some(Unit::Ratio) => format!("{series} is a ratio from 0 to 1{percent}"),
            Some(Unit::Load) => format!("{series} is a ratio, 1 at full load{percent}"),
            Some(Unit::Seconds) => {
                let meant = rounded(threshold / 1000.0);
                format!("{series} is in seconds; for {threshold} ms write {meant}")
            }
            _ if high.is_finite() => {
                format!("with {series} the expression lies between {} and {}", rounded(*low), rounded(*high))
            }
            _ => format!("with {series} the expression is never below {}", rounded(*low)),
        }
    }
}

/// Whether the aggregation gives values that the series themselves have, or lie between them.
fn keeps_values(aggregate: &AggregateExpr) -> bool {
    let operation = aggregate.op.to_string();
    ["avg", "min", "max", "quantile", "topk", "bottomk"].contains(&operation.as_str())
}

fn kind(series: &str) -> Option<Kind> {
    let known = KNOWN.iter().find(|(name, _)| *name == series).map(|(_, kind)| *kind);
    let ours = ["jvb_", "jicofo_", "jibri_"].iter().any(|prefix| series.starts_with(prefix));
    // The exporter gives this ending to counters, and to nothing else.
    known.or_else(|| (ours && series.ends_with("_total")).then_some(Kind::Counter))
}

fn name(selector: &VectorSelector) -> Option<&str> {
    selector.name.as_deref()
}

fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(literal) => Some(literal.val),
        Expr::Paren(inner) => number(&inner.expr),
        _ => None,
    }
}

/// A number with the few digits that a person writes.
fn rounded(value: f64) -> String {
    let text = format!("{value:.6}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// Whether the series of `expr` have certainly lost the label `label`, so that nobody can tell whose they are.
pub(super) fn loses(expr: &Expr, label: &str) -> bool {
    match expr {
        Expr::Paren(inner) => loses(&inner.expr, label),
        Expr::NumberLiteral(_) => true,
        Expr::Binary(binary) => match (number(&binary.lhs), number(&binary.rhs)) {
            (Some(_), _) => loses(&binary.rhs, label),
            (_, Some(_)) => loses(&binary.lhs, label),
            _ => false,
        },
        Expr::Aggregate(aggregate) => match (&aggregate.modifier, aggregate.op.to_string().as_str()) {
            // These keep whole series, and `count_values` makes labels of its own.
            (_, "topk" | "bottomk" | "limitk" | "limit_ratio" | "count_values") => false,
            (None, _) => true,
            (Some(LabelModifier::Include(kept)), _) => !kept.labels.iter().any(|kept| kept == label),
            (Some(LabelModifier::Exclude(gone)), _) => gone.labels.iter().any(|gone| gone == label),
        },
        Expr::Call(call) => matches!(call.func.name, "vector" | "scalar" | "time" | "absent"),
        _ => false,
    }
}
