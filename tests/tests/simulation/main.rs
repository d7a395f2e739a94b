//! The simulation: no violation happens, the same seed gives the same run, and it detects each missing protection.

mod predictions;
mod rules;

use std::thread;

use jitsi_tests::simulation::{Check, Figures, Options, Outcome, Provider, run};
use test_case::test_case;

/// Their sets refuse, displace, and do both.
const AZURE_SEEDS: [u64; 3] = [1, 2, 3];

fn options(seed: u64, days: u32) -> Options {
    Options {
        days,
        cloud: Provider::Aws,
        seed,
        faults: true,
        large: false,
        scalers: 1,
        without: None,
        first_stretch: 0,
        first_only: true,
        recorded: None,
    }
}

fn told(outcome: &Outcome) -> String {
    format!("{}\n{}\n{outcome}", outcome.timeline.as_deref().unwrap_or_default(), outcome.figures)
}

#[test]
fn nothing_is_cut_whatever_fails() {
    let runs: Vec<_> =
        [1, 2, 3].map(|seed| thread::spawn(move || run(&options(seed, 4)))).into_iter().collect();
    let mut figures = Figures::default();
    for outcome in runs.into_iter().map(|run| run.join().expect("a run")) {
        assert!(outcome.tally.is_clean(), "{}", told(&outcome));
        figures.add(&outcome.figures);
    }
    // A run without events proves nothing.
    assert!(figures.drains > 300 && figures.terminations > 300 && figures.raised > 150, "{figures}");
    assert!(figures.kills > 15 && figures.faults > 150 && figures.deeds > 15, "{figures}");
    assert!(figures.hooks_held > 100 && figures.heartbeats > 100 && figures.completions > 100, "{figures}");
    assert!(figures.replacements > 0 && figures.recycles > 0 && figures.protections > 100, "{figures}");
    assert!(figures.wakes > 100 && figures.pauses > 5 && figures.orders > 20, "{figures}");
    assert!(figures.cut_by_others > 0, "what others cut is told apart: {figures}");
}

/// With each of the ways in which a change of a set can meet another one.
#[test]
fn nothing_is_cut_on_azures_rules() {
    let azure = |seed, days| Options { cloud: Provider::Azure, ..options(seed, days) };
    let mut figures = Figures::default();
    for seed in AZURE_SEEDS {
        let outcome = run(&azure(seed, 2));
        assert!(outcome.tally.is_clean(), "{}", told(&outcome));
        figures.add(&outcome.figures);
    }
    assert!(figures.drains > 150 && figures.terminations > 150 && figures.raised > 100, "{figures}");
    assert!(figures.kills > 5 && figures.faults > 50 && figures.deeds > 10, "{figures}");
    assert!(
        figures.displaced + figures.conflicts > 0 && figures.replacements > 0 && figures.protections > 0,
        "{figures}"
    );
    assert_eq!((figures.hooks_held, figures.heartbeats, figures.completions), (0, 0, 0));
    let again = run(&azure(AZURE_SEEDS[0], 1));
    assert_eq!(again.fingerprint, run(&azure(AZURE_SEEDS[0], 1)).fingerprint);
}

#[test]
fn nothing_is_cut_when_nothing_fails() {
    let outcome = run(&Options { faults: false, ..options(4, 2) });
    assert!(outcome.tally.is_clean(), "{}", told(&outcome));
    let figures = &outcome.figures;
    assert_eq!((figures.kills, figures.faults, figures.deeds, figures.cut_by_others), (0, 0, 0, 0));
    assert!(figures.drains > 50, "{figures}");
}

#[test]
fn nothing_is_cut_while_two_scalers_run_at_once() {
    let outcome = run(&Options { scalers: 2, ..options(8, 4) });
    assert!(outcome.tally.is_clean(), "{}", told(&outcome));
    assert!(outcome.figures.drains > 50, "{}", outcome.figures);
}

/// A group of 300 bridges, most of which drain at once: all of them are remembered, within the tags of a group.
#[test]
fn nothing_is_cut_where_most_of_a_large_group_drains_at_once() {
    let outcome = run(&Options { large: true, ..options(1, 1) });
    assert!(outcome.tally.is_clean(), "{}", told(&outcome));
    let figures = &outcome.figures;
    assert!(figures.kills > 30 && figures.packed > 300 && figures.crowded > 30, "{figures}");
}

#[test]
fn the_same_seed_gives_the_same_run_beside_others() {
    let fingerprint = |seed| move || run(&options(seed, 1)).fingerprint;
    let seeds = [5, 6, 5, 17, 6, 17];
    let runs: Vec<_> = seeds.map(|seed| thread::spawn(fingerprint(seed))).into_iter().collect();
    let found: Vec<_> = runs.into_iter().map(|run| run.join().expect("a run")).collect();
    let [a, b, again_a, c, again_b, again_c] = found[..] else { panic!("one for each run") };
    assert_eq!([a, b, c], [again_a, again_b, again_c]);
    assert!(a != b && b != c && a != c, "{found:?}");
}

/// From the stretch of a seed on in which the lack of the protection shows.
#[test_case(Check::VictimCheck, 1, 0)]
#[test_case(Check::SecondLook, 2, 1)]
#[test_case(Check::FinalRequest, 1, 0)]
#[test_case(Check::UnknownIsNotZero, 1, 0)]
#[test_case(Check::Heartbeat, 1, 0)]
#[test_case(Check::HookWhenEmpty, 2, 1)]
#[test_case(Check::IllShare, 1, 0)]
#[test_case(Check::ProtectBusy, 1, 1)]
#[test_case(Check::DrainLimit, 1, 1)]
#[test_case(Check::Settle, 1, 3)]
#[test_case(Check::Pause, 1, 0)]
#[test_case(Check::Refresh, 1, 0)]
#[test_case(Check::Ambiguous, 1, 1)]
#[test_case(Check::Unreadable, 1, 0)]
#[test_case(Check::Weighted, 1, 0)]
fn a_missing_protection_is_found(check: Check, seed: u64, first_stretch: u32) {
    let outcome = run(&Options { without: Some(check), first_stretch, ..options(seed, 12) });
    assert!(check.is_missed(&outcome.tally), "{}", told(&outcome));
    let timeline = outcome.timeline.expect("what led to it");
    assert!(timeline.contains(&format!("seed {seed}, days")) && timeline.contains("VIOLATION"), "{timeline}");
}

#[test]
fn its_last_line_is_a_contract() {
    let outcome = run(&Options { days: 0, ..options(1, 0) });
    let line =
        "simulate: days 0, recordings cut 0, people dropped 0, limits broken 0, unseen scale-ins 0, stuck 0";
    assert_eq!(outcome.to_string(), line);
}
