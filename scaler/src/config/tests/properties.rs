//! Files and texts that nobody expects: an error names its line, and what is accepted makes sense.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::schedule::InForce;
use super::super::template;
use super::*;
use crate::config::fill_labels;
use crate::units::Time;

/// The keys that [`EXAMPLE`] lacks.
const UPKEEP: &str = include_str!("../../../examples/8x8.yml");

/// Far more than a debug build needs on a busy computer, and far less than work that grows faster than the file.
const LINEAR: Duration = Duration::from_secs(30);

/// The one schedule that these lines make, if they make one.
fn schedule(lines: &str) -> Option<Vec<crate::config::schedule::Schedule>> {
    let fleet = format!("{GROUPS}\n    schedules: [{lines}]");
    Some(parse(&with(&fleet, &format!("expr: x\n        {OUT}"))).ok()?.fleets.remove(0).schedules)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text")
}

proptest! {
    #![proptest_config(jitsi_inputs::cases(200))]

    #[test]
    fn a_mutated_file_is_valid_or_names_its_lines(text in jitsi_inputs::mutated_text(vec![EXAMPLE, UPKEEP])) {
        match parse(&text) {
            Ok(config) => {
                prop_assert!(!config.fleets.is_empty(), "{text}");
                for fleet in &config.fleets {
                    prop_assert!(!fleet.policy.policies.is_empty() && !fleet.name.as_str().is_empty(), "{text}");
                    let bounds = (fleet.policy.min, fleet.policy.max);
                    prop_assert!(!matches!(bounds, (Some(min), Some(max)) if min > max), "{text}");
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty(), "refused without a reason: {text}");
                let lines = u64::try_from(text.split(['\n', '\r']).count()).expect("a number");
                for problem in problems {
                    prop_assert!(problem.line <= lines + 1 && !problem.text.is_empty(), "{problem} in {text}");
                }
            }
        }
    }

    #[test]
    fn a_mutated_schedule_changes_only_ahead(
        cron in jitsi_inputs::mutated_text(vec!["0 16 * * Fri", "*/5 0-6,22 1,15 * 1-5", "30 2 29 2 *"]),
        duration in select(&["1m", "2h", "7d"][..]),
        now in prop_oneof![0..4_102_444_800_i64, any::<i64>()],
    ) {
        let lines = format!("{{name: a, cron: {}, duration: {duration}, timezone: America/New_York, min: 1}}", quoted(&cron));
        let Some(schedules) = schedule(&lines) else { return Ok(()) };
        let now = Time::from_unix(now);
        let in_force = InForce::at(&schedules, now);
        prop_assert!(in_force.next_change.is_none_or(|next| next > now), "{cron} at {now}: {in_force:?}");
    }

    #[test]
    fn a_weekly_schedule_holds_until_its_next_change(
        from in 0..1440_u32,
        to in 0..1440_u32,
        zone in select(&["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"][..]),
        now in 0..4_102_444_800_i64,
    ) {
        let time = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let lines = format!("{{name: a, from: '{}', to: '{}', timezone: {zone}, min: 1}}", time(from), time(to));
        let schedules = schedule(&lines).expect("a schedule");
        let now = Time::from_unix(now);
        let in_force = InForce::at(&schedules, now);
        let next = in_force.next_change.expect("it begins every day");
        prop_assert!(next > now && next.since(now) <= Duration::from_hours(50), "{lines} at {now}: {in_force:?}");
        let before = InForce::at(&schedules, next.before(Duration::from_secs(1)));
        prop_assert_eq!(before.names, in_force.names, "{} at {}", lines, now);
    }

    #[test]
    fn a_template_that_is_accepted_is_an_address_with_any_label(
        text in jitsi_inputs::mutated_text(vec!["http://{private_ip}:8080", "https://[{ip6}]:80{port}/x", "http://gateway/{name}"])
    ) {
        if let Ok((accepted, _)) = template::template(&text) {
            let mut labels = 0;
            let filled = fill_labels(&accepted, |label, _| {
                labels += 1;
                let plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                if plain { Ok("1".to_owned()) } else { Err(label.to_owned()) }
            });
            prop_assert!(labels > 0 && filled.is_ok(), "{accepted}: {filled:?}");
        }
    }

    #[test]
    fn a_duration_is_the_sum_of_its_parts(parts in vec((0..5000_u32, 0..5usize), 1..5)) {
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000_u64)];
        let text: Vec<String> = parts.iter().map(|(number, unit)| format!("{number}{}", units[*unit].0)).collect();
        let sum: u64 = parts.iter().map(|(number, unit)| u64::from(*number) * units[*unit].1).sum();
        let fleet = format!("{GROUPS}\n    warmup: {}", text.join(" "));
        let parsed = parse(&with(&fleet, &format!("expr: x\n        {OUT}")));
        if let Ok(config) = parsed {
            prop_assert_eq!(config.fleets[0].policy.warmup, Duration::from_millis(sum), "{:?}", text);
        } else {
            let is_fine = sum <= 90 * 86_400_000 && sum.is_multiple_of(1000);
            prop_assert!(!is_fine, "{text:?} is refused");
        }
    }
}

#[test]
fn no_file_takes_long() {
    let start = tokio::time::Instant::now();
    for bytes in jitsi_inputs::long(64 * 1024) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _any = parse(&text);
        let _any =
            schedule(&format!("{{name: a, cron: {}, duration: 2h, timezone: UTC, min: 1}}", quoted(&text)));
        let _any = parse(&with(
            &format!("{GROUPS}\n    warmup: {}", quoted(&text)),
            &format!("expr: {}\n        {OUT}", quoted(&text)),
        ));
    }
    assert!(start.elapsed() < LINEAR, "{:?}", start.elapsed());
}
