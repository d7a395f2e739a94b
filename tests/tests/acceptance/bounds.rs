//! Everything in memory that grows with what others send, in both programs: its bound, and the test that reaches it.
//!
//! What is not here grows with the configuration, or with the groups and instances that a describe of AWS names, of which
//! the last evaluation is kept: the ledger and the board of a fleet, claims, and the scaler's series for each group.

use super::structure::code;

/// A bound.
struct Bound {
    /// What it bounds, and when an entry ends.
    what: &'static str,
    /// The file of the constant.
    file: &'static str,
    /// The constant.
    constant: &'static str,
    /// A test that reaches it.
    test: &'static str,
}

const fn bound(what: &'static str, file: &'static str, constant: &'static str, test: &'static str) -> Bound {
    Bound { what, file, constant, test }
}

const BOUNDS: &[Bound] = &[
    // Both programs.
    bound(
        "open connections; another one replaces an idle one of the peer that has the most",
        "exporter/web/src/server.rs",
        "MAX_CONNECTIONS",
        "bodies_that_do_not_end_lock_nobody_out",
    ),
    bound(
        "bytes of a request's head",
        "exporter/web/src/connection.rs",
        "MAX_HEADER_BYTES",
        "an_endless_header_is_refused",
    ),
    bound(
        "passwords that were checked; the oldest ends first",
        "exporter/web/src/auth.rs",
        "MAX_VERDICTS",
        "guesses_do_not_evict_users_that_have_logged_in",
    ),
    // The exporter.
    bound("bytes of a target's answer", "exporter/src/scrape.rs", "MAX_BODY", "endless"),
    bound(
        "large answers of targets at a time; others wait until the deadline of their scrape",
        "exporter/src/scrape.rs",
        "LARGE_BODIES",
        "memory_is_bounded_whatever_comes",
    ),
    bound("values of a JSON document", "exporter/src/json.rs", "MAX_VALUES", "a_million_keys_are_too_many"),
    bound("metrics of unknown keys", "exporter/src/table.rs", "MAX_UNKNOWN", "unknown_keys_have_a_bound"),
    bound(
        "labelled samples of a component's own metrics",
        "exporter/src/native.rs",
        "MAX_LABELLED",
        "labelled_samples_are_limited",
    ),
    bound(
        "targets that fail; each ends an hour after its last failure",
        "exporter/src/telemetry.rs",
        "MAX_FAILING",
        "failing_targets_make_place_for_others_after_an_hour",
    ),
    bound(
        "bytes of a request to the relay",
        "exporter/src/relay.rs",
        "MAX_REQUEST_BODY",
        "a_body_that_is_too_long_is_not_read",
    ),
    bound(
        "bytes of an answer to the relay",
        "exporter/src/relay.rs",
        "MAX_ANSWER_BODY",
        "an_answer_that_does_not_end_is_not_passed_on",
    ),
    bound(
        "requests that the relay passes on at a time",
        "exporter/src/relay.rs",
        "MAX_REQUESTS",
        "so_many_at_a_time",
    ),
    // The scaler.
    bound(
        "bytes of an answer to a query",
        "scaler/src/observe/prometheus.rs",
        "LARGEST_ANSWER",
        "a_list_without_an_end_is_given_up",
    ),
    bound(
        "bytes of the list of rules",
        "scaler/src/observe/prometheus.rs",
        "LARGEST_LIST",
        "a_list_without_an_end_is_given_up",
    ),
    bound(
        "series of an answer",
        "scaler/src/observe/metrics.rs",
        "MOST_SERIES",
        "an_answer_with_more_than_is_kept_is_refused",
    ),
    bound(
        "points of an answer",
        "scaler/src/observe/metrics.rs",
        "MOST_POINTS",
        "an_answer_with_more_than_is_kept_is_refused",
    ),
    bound(
        "bytes of an answer of AWS",
        "scaler/src/cloud/aws/complete.rs",
        "LARGEST_ANSWER",
        "an_answer_with_more_than_is_kept_is_refused",
    ),
    bound(
        "pages of a describe",
        "scaler/src/cloud/aws/mod.rs",
        "MOST_PAGES",
        "an_answer_with_more_than_is_kept_is_refused",
    ),
    bound(
        "instances of a describe",
        "scaler/src/cloud/aws/mod.rs",
        "MOST_INSTANCES",
        "an_answer_with_more_than_is_kept_is_refused",
    ),
    bound(
        "bytes of a component's answer",
        "scaler/src/jitsi/http.rs",
        "LARGEST_BODY",
        "an_answer_without_an_end_is_given_up",
    ),
    bound(
        "decisions that are kept, of all groups together",
        "scaler/src/report/journal.rs",
        "KEPT_TOGETHER",
        "with_many_groups_each_has_its_newest_decisions",
    ),
    bound(
        "bytes of notifications in memory",
        "scaler/src/http/notifications.rs",
        "ROOM",
        "notifications_in_memory_leave_room_when_they_are_dropped",
    ),
    bound(
        "alerts that woke an evaluation; each ends after half a minute",
        "scaler/src/http/notifications.rs",
        "REMEMBERED",
        "no_more_alerts_are_remembered_than_there_is_room_for",
    ),
    bound(
        "decisions of a fleet on the page; the oldest ends first",
        "scaler/src/report/journal.rs",
        "KEPT",
        "only_what_changed_is_kept_and_no_more_than_fits",
    ),
];

#[test]
fn every_bound_is_there_and_has_a_test() {
    let code = code();
    for Bound { what, file, constant, test } in BOUNDS {
        let text = code.iter().find(|(path, _)| path == file).map(|(_, text)| text.as_str());
        let text = text.unwrap_or_else(|| panic!("{what}: there is no {file}"));
        assert!(text.contains(&format!("const {constant}: ")), "{what}: {file} has no {constant}");
        let is_tested = code.iter().any(|(_, text)| text.contains(&format!("fn {test}(")));
        assert!(is_tested, "{what}: there is no test {test}");
    }
}
