//! Expressions that several panels share: counts of events, and who a process is.

/// The evidence that the rules are evaluated on data: without it, no firing alert means that nothing is known.
const RULES: &str = r#"{__name__=~"asg:jvb_up:sum|asg:jibri_up:sum|shard:jicofo_conferences:sum"}"#;

/// What the alerts of this repository are called.
pub(crate) const ALERTNAMES: &str = r#"alertname=~"J(itsi|vb|icofo|ibri).+""#;

/// By how much a counter rose in the window, in whole numbers, at any scrape interval up to five minutes.
///
/// `increase` extrapolates: one event is 1.33 of it, or nothing where the window holds a single sample. So this is the
/// difference to the last value before the window, which may be an hour old: what happened in a gap is counted at its
/// end, and a series that returns from a gap is not an event. A counter that began anew in the window is left to
/// `increase`, or, where a single sample shows that, has counted all that it says since. Without a present value there is
/// no count, rather than 0.
pub(crate) fn counted(counter: &str, window: &str) -> String {
    format!(
        "({counter} - (last_over_time({counter}[1h] offset {window})) >= 0 unless resets({counter}[{window}]) > 0
  or round(increase({counter}[{window}])) and {counter}
  or {counter} < (last_over_time({counter}[1h] offset {window})))"
    )
}

/// [`counted`] in the time shown.
pub(crate) fn counted_in_range(counter: &str) -> String {
    counted(counter, "$__range")
}

/// [`counted`] in each interval of a graph of bars, summed up by labels.
pub(crate) fn bars_by(labels: &str, counter: &str) -> String {
    format!("sum by ({labels}) (\n  {}\n) > 0", counted(counter, "$__interval"))
}

/// The share of the events of `whole` in the time shown that `part` counts. Without any event there is no share.
pub(crate) fn share(part: &str, whole: &str) -> String {
    let (part, whole) = (counted_in_range(part), counted_in_range(whole));
    format!("(sum({part}) or 0 * sum({whole}))\n/ (sum({whole}) > 0)")
}

/// Alerts of a severity that fire; 0 only while the rules are evaluated on data.
pub(crate) fn firing(severity: &str) -> String {
    format!(
        r#"count(ALERTS{{alertstate="firing", severity="{severity}", {ALERTNAMES}}}) or 0 * count({RULES})"#
    )
}

/// A process metric of the processes that `info`, a metric of one program, selects.
pub(crate) fn process(metric: &str, info: &str) -> String {
    format!("{metric} and on (job, instance) {info}")
}

/// What the scaler as a whole does, as a number of [`SCALER_STATES`]. The worst comes first.
pub(crate) fn scaler_state(group: &str) -> String {
    let release = "cluster, namespace, job";
    format!(
        r#"4 * (max(max by ({release}) (up{{job=~".*jitsi-scaler.*"}}) == bool 0) == 1)
or 3 * (max(max by ({release}) (jitsi_scaler_leader) == bool 0) == 1)
or 2 * max(
  group by (fleet) (increase(jitsi_scaler_decisions_total{{{group}, dry_run="true"}}[10m]) > 0)
  unless (group by (fleet) (increase(jitsi_scaler_decisions_total{{{group}, dry_run="false"}}[5m]) > 0))
)
or max(jitsi_scaler_paused{{{group}}})
or {}"#,
        or_zero(group)
    )
}

/// The instances of each group in a state. Those that warm up or drain have no series while there are none.
pub(crate) fn instances(group: &str, state: &str) -> String {
    let of =
        |state: &str| format!(r#"sum by (asg) (jitsi_scaler_group_instances{{{group}, state="{state}"}})"#);
    match state {
        "warming" | "draining" => format!("{} or 0 * {}", of(state), of("desired")),
        _ => of(state),
    }
}

/// 0 if the scaler sees a group. A series of what seldom holds exists only while it does.
pub(crate) fn or_zero(group: &str) -> String {
    format!(r#"0 * count(jitsi_scaler_group_instances{{{group}, state="desired"}})"#)
}

/// The words of [`scaler_state`].
pub(crate) const SCALER_STATES: &[(&str, &str, &str)] = &[
    ("0", "acts", "green"),
    ("1", "paused", "purple"),
    ("2", "dry run", "blue"),
    ("3", "none leads", "red"),
    ("4", "down", "dark-red"),
];

/// What the scaler does with each group, as a number of [`GROUP_STATES`]. What needs a person comes first.
pub(crate) fn group_state(group: &str) -> String {
    let by = "asg, region";
    format!(
        r#"6 * (max by ({by}) (jitsi_scaler_group_blocked{{{group}, reason=~"maximum|launch_suspended|launch_failing"}}) == 1)
or 5 * (max by ({by}) (jitsi_scaler_paused{{{group}}}) == 1)
or 4 * (max by ({by}) (jitsi_scaler_group_blocked{{{group}, reason=~"unknown|data_quality"}}) == 1)
or 3 * (max by ({by}) (jitsi_scaler_group_instances{{{group}, state="warming"}}) > bool 0 == 1)
or 2 * (max by ({by}) (jitsi_scaler_group_instances{{{group}, state="draining"}}) > bool 0 == 1)
or (max by ({by}) (jitsi_scaler_group_blocked{{{group}, reason="cooldown"}}) == 1)
or 0 * max by ({by}) (jitsi_scaler_group_instances{{{group}, state="desired"}})"#
    )
}

/// The words of [`group_state`].
pub(crate) const GROUP_STATES: &[(&str, &str, &str)] = &[
    ("0", "steady", "green"),
    ("1", "cooldown", "super-light-blue"),
    ("2", "draining", "blue"),
    ("3", "growing", "yellow"),
    ("4", "lacks data", "orange"),
    ("5", "paused", "purple"),
    ("6", "wants more, may not", "red"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_a_counter_names_it_in_every_part() {
        let count = counted("x_total", "1m");
        assert_eq!(count.matches("x_total").count(), 7);
        assert_eq!(count.matches('(').count(), count.matches(')').count());
    }
}
