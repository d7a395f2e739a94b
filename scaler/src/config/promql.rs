//! What the text of a PromQL expression shows: whether it can be used, and what its values can be.

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, LabelModifier};

use crate::decide::policy::Comparison;

/// Parses an expression that gives a number for each series.
pub(super) fn parse(text: &str) -> Result<Expr, String> {
    let parsed = promql_parser::parser::parse(text).map_err(|error| {
        let remedy = match text.split_once('$') {
            Some(_) => "; $ begins a variable of Grafana: write what it stands for, such as 1m",
            None => "",
        };
        format!("is not valid PromQL: {}{remedy}", error.trim().replace('\n', "; "))
    })?;
    match parsed.value_type() {
        ValueType::Vector | ValueType::Scalar => Ok(parsed),
        ValueType::Matrix => Err(
            "gives a matrix, and must give an instant vector with one series per group; aggregate over time and then over \
             instances, as in avg by (asg) (avg_over_time(…))"
                .to_owned(),
        ),
        other @ ValueType::String => Err(format!("gives a {other}, and must give an instant vector with one series per group")),
    }
}

/// Whether `text` is the bare name of a series, recorded or scraped.
pub(crate) fn is_metric_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || "_:".contains(first))
        && characters.all(|rest| rest.is_ascii_alphanumeric() || "_:".contains(rest))
}

/// Whether `text` can be the name of a label.
pub(super) fn is_label(text: &str) -> bool {
    is_metric_name(text) && !text.contains(':')
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

/// Whether an expression leaves healthy instances out, as far as its text shows. Matchers of labels do not: they tell the
/// instances of groups apart. Those of an alert that fires do.
pub(super) fn chooses(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => chooses(&inner.expr),
        Expr::Unary(inner) => chooses(&inner.expr),
        Expr::Aggregate(inner) => chooses(&inner.expr),
        Expr::Subquery(inner) => chooses(&inner.expr),
        Expr::Call(call) => {
            call.func.name.starts_with("absent") || call.args.args.iter().any(|it| chooses(it))
        }
        Expr::Binary(binary) => match binary.op.to_string().as_str() {
            "and" | "unless" => true,
            "or" => chooses(&binary.lhs) && chooses(&binary.rhs),
            _ if binary.op.is_comparison_operator() && !binary.return_bool() => true,
            _ => chooses(&binary.lhs) || chooses(&binary.rhs),
        },
        Expr::VectorSelector(selector) => selector.name.as_deref() == Some("ALERTS"),
        _ => false,
    }
}

/// Whether an expression is a comparison that leaves out the series for which it is false.
pub(super) fn filters(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => filters(&inner.expr),
        Expr::Binary(binary) => binary.op.is_comparison_operator() && !binary.return_bool(),
        _ => false,
    }
}

/// Whether the series of `expr` have certainly lost the label `label`.
pub(super) fn loses(expr: &Expr, label: &str) -> bool {
    let is_number = |expr: &Expr| matches!(expr, Expr::NumberLiteral(_));
    match expr {
        Expr::Paren(inner) => loses(&inner.expr, label),
        Expr::NumberLiteral(_) => true,
        Expr::Binary(binary) if is_number(&binary.lhs) => loses(&binary.rhs, label),
        Expr::Binary(binary) if is_number(&binary.rhs) => loses(&binary.lhs, label),
        Expr::Aggregate(aggregate) => match (&aggregate.modifier, aggregate.op.to_string().as_str()) {
            // These keep whole series, and `count_values` adds labels.
            (_, "topk" | "bottomk" | "limitk" | "limit_ratio" | "count_values") => false,
            (None, _) => true,
            (Some(LabelModifier::Include(kept)), _) => !kept.labels.iter().any(|kept| kept == label),
            (Some(LabelModifier::Exclude(gone)), _) => gone.labels.iter().any(|gone| gone == label),
        },
        Expr::Call(call) => matches!(call.func.name, "vector" | "scalar" | "time" | "absent"),
        _ => false,
    }
}

/// The series whose own values `expr` gives, or values between them.
fn series(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Paren(inner) => series(&inner.expr),
        Expr::VectorSelector(selector) => selector.name.as_deref(),
        Expr::Aggregate(aggregate) if ["avg", "min", "max"].contains(&&*aggregate.op.to_string()) => {
            series(&aggregate.expr)
        }
        _ => None,
    }
}

/// The counter whose bare value `expr` gives, or the sum of such values. jitsi-exporter ends the names of counters in
/// `_total`.
pub(super) fn counter(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Paren(inner) => counter(&inner.expr),
        Expr::Aggregate(aggregate) if aggregate.op.to_string() == "sum" => counter(&aggregate.expr),
        _ => series(expr).filter(|name| is_exporters(name) && name.ends_with("_total")),
    }
}

/// Whether a series is jitsi-exporter's. Series that begin with `asg:` may be recorded by rules of the operator.
fn is_exporters(name: &str) -> bool {
    ["jvb_", "jicofo_", "jibri_"].iter().any(|prefix| name.starts_with(prefix))
}

/// The series that the recording rules of `alerts/` make from jitsi-exporter's, as far as policies read them.
const RECORDED: [&str; 5] = [
    "asg:jibri_available:sum",
    "asg:jibri_busy:sum",
    "asg:jvb_network_out_bytes:avg1m",
    "asg:jvb_participants:sum",
    "asg:jvb_stress:avg",
];

/// A comparison that does not depend on the value, with the reason for people.
pub(super) enum Foregone {
    AlwaysTrue(String),
    NeverTrue(String),
}

/// Whether `when` is the same for all values of `expr`, as far as these are known. The series of jitsi-exporter are never
/// negative; its ratios stay far below 10, and those of loss below 1.
pub(super) fn foregone(expr: &Expr, when: Comparison) -> Option<Foregone> {
    let name = series(expr).filter(|name| is_exporters(name) || RECORDED.contains(name))?;
    let most = match name {
        _ if name.ends_with("_loss_ratio") => 1.0,
        _ if name.ends_with("_ratio") || name == "asg:jvb_stress:avg" => 10.0,
        _ => f64::INFINITY,
    };
    let holds = when.holds(0.0);
    if holds != when.holds(most) {
        return None;
    }
    let why = if most.is_infinite() {
        format!("{name} is never negative")
    } else {
        format!("{name} is a ratio; for {}% write {}", when.threshold(), when.threshold() / 100.0)
    };
    Some(if holds {
        Foregone::AlwaysTrue(format!("is always true: {why}"))
    } else {
        Foregone::NeverTrue(format!("can never be true: {why}"))
    })
}
