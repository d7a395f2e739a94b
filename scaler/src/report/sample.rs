//! A status with a value in every field, for tests of the page and the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Alarms, Blocked, ByDirection, Current, Datapoint, DrainReport, EffectReport, FailedStep, GroupStatus,
    InstanceReport, Onset, PolicyReport, RuleReport, Scheduled, StayReport, ZoneReport,
};
use crate::units::Time;

/// A group of bridges that scales out.
// long: one literal with a value for every field.
pub(crate) fn group() -> GroupStatus {
    let text = |text: &str| text.to_owned();
    let rule = |when: &str, threshold| RuleReport {
        when: Some(text(when)),
        threshold: Some(threshold),
        periods: 3,
        breaching: 2,
        cooldown_seconds: 300,
    };
    let policy = PolicyReport {
        kind: "threshold",
        period_seconds: 60,
        measures: "load",
        scale_out: Some(rule(">= 0.6", 0.6)),
        scale_in: Some(rule("<= 0.2", 0.2)),
    };
    let start = Time::parse("2026-11-20T06:00:00Z").expect("a time");
    let point =
        |minute, value, state| Datapoint { time: start.after(Duration::from_mins(minute)), value, state };
    let window = vec![
        point(57, Some(0.1), "scale_in"),
        point(58, None, "missing"),
        point(59, Some(0.4), "fine"),
        point(60, Some(0.7), "scale_out"),
    ];
    let current =
        Current { desired: 4, ready: 3, reporting: 2, warming: 0, draining: 1, kept: 0, min: 1, max: 9 };
    GroupStatus {
        fleet: text("jvb"),
        asg: text("prod-jvb"),
        region: text("us-east-1"),
        component: "jvb",
        time: text("2026-11-20T07:00:00Z"),
        next_evaluation: text("2026-11-20T07:01:00Z"),
        trigger: "grid",
        action: "scale_out",
        dry_run: false,
        paused: None,
        current,
        seen: current,
        desired: 4,
        schedule: Scheduled { names: Vec::new(), min: None, max: None, next_change: None },
        policies: [("stress", policy)].into(),
        cooldowns: ByDirection { scale_out: None, scale_in: Some(text("2026-11-20T07:05:00Z")) },
        alarms: [("stress", Alarms { scale_out: Some("alarm"), scale_in: Some("ok") })].into(),
        windows: [("stress", window)].into(),
        wishes: [("stress", 4)].into(),
        blocked: vec![Blocked {
            reason: "cooldown",
            text: text(
                "the cooldown of stress allows no scale-in until 2026-11-20T07:05:00Z, after the last scale-out",
            ),
            until: Some(text("2026-11-20T07:05:00Z")),
            instances: Vec::new(),
        }],
        drains: vec![DrainReport {
            instance: text("i-0123456789abcdef0"),
            state: "draining",
            purpose: "scale-in",
            by: Some(text("alice")),
            reason: Some(text("a new kernel")),
            since: text("2026-11-20T06:50:00Z"),
            age_seconds: 600,
            waits_for: "it is still in use",
            overdue: false,
            limit_seconds: None,
            text: text("i-0123456789abcdef0 draining for 600 s (scale-in): it is still in use"),
        }],
        drained_by_hand: vec![text("i-0123456789abcdef2")],
        next_victim: None,
        effects: vec![EffectReport {
            effect: "set_desired",
            instance: None,
            text: text("set desired capacity from 4 to 5"),
        }],
        zones: vec![ZoneReport {
            zone: text("us-east-1a"),
            ready: 3,
            silent: vec![text("i-0123456789abcdef1")],
            booting: 0,
            draining: 1,
            leaving: 0,
        }],
        instances: instances(),
        since: BTreeMap::from([(
            text("cooldown"),
            Onset { since: text("2026-11-20T06:58:00Z"), or_earlier: false },
        )]),
        launch_failures: None,
        failed_steps: vec![FailedStep {
            time: text("2026-11-20T06:58:00Z"),
            effect: "start_drain",
            instance: Some(text("i-0123456789abcdef0")),
            text: text("ask i-0123456789abcdef0 to drain"),
            error: text("reach it: connection refused"),
        }],
        text: text("scale out from 3 to 4: stress calls for a scale-out (>= 0.6 in 2 of 3 periods)"),
    }
}

/// A bridge that drains, and one of which little is known.
fn instances() -> Vec<InstanceReport> {
    let text = |text: &str| text.to_owned();
    vec![
        InstanceReport {
            instance: text("i-0123456789abcdef0"),
            zone: text("us-east-1a"),
            state: "draining",
            load: Some(12.0),
            in_service_since: Some(text("2026-11-19T20:00:00Z")),
            stays: Some(StayReport {
                instance: text("i-0123456789abcdef0"),
                reason: "draining",
                text: text("draining already"),
                until: None,
            }),
        },
        InstanceReport {
            instance: text("i-0123456789abcdef3"),
            zone: text("us-east-1a"),
            state: "ready",
            load: None,
            in_service_since: None,
            stays: None,
        },
    ]
}

/// That no instance may go, of which there are `count`.
pub(crate) fn no_victim(count: usize) -> Blocked {
    let stay = |number| StayReport {
        instance: format!("i-{number}"),
        reason: "too_young",
        text: "too young until 2026-11-20T07:05:00Z".to_owned(),
        until: Some("2026-11-20T07:05:00Z".to_owned()),
    };
    Blocked {
        reason: "no_victim",
        text: format!("no instance may be removed: {count} too young"),
        until: None,
        instances: (0..count).map(stay).collect(),
    }
}
