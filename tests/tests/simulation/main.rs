//! The simulation: that nothing happens that may not, that the same seed gives the same run, and that each missing
//! protection is found.

use jitsi_tests::simulation::{Check, Options, Outcome, run};
use test_case::test_case;

fn options(seed: u64, days: u32) -> Options {
    Options { days, seed, faults: true, without: None, first_only: true }
}

fn told(outcome: &Outcome) -> String {
    format!("{}\n{}\n{outcome}", outcome.timeline.as_deref().unwrap_or_default(), outcome.figures)
}

#[test_case(1)]
#[test_case(2)]
#[test_case(3)]
fn nothing_is_cut_whatever_fails(seed: u64) {
    let outcome = run(&options(seed, 4));
    assert!(outcome.tally.is_clean(), "{}", told(&outcome));
    let figures = &outcome.figures;
    // A run in which nothing happens proves nothing.
    assert!(figures.drains > 100 && figures.terminations > 100 && figures.raised > 50, "{figures}");
    assert!(figures.kills > 5 && figures.faults > 50 && figures.deeds > 5, "{figures}");
    assert!(figures.cut_by_others > 0, "what others cut is told apart: {figures}");
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
fn the_same_seed_gives_the_same_run() {
    let fingerprint = |seed| run(&options(seed, 1)).fingerprint;
    let first = fingerprint(5);
    assert_eq!(fingerprint(5), first);
    assert_ne!(fingerprint(6), first);
}

#[test_case(Check::VictimCheck)]
#[test_case(Check::SecondLook)]
#[test_case(Check::FinalRequest)]
#[test_case(Check::UnknownIsNotZero)]
fn a_missing_protection_is_found(check: Check) {
    let outcome = run(&Options { without: Some(check), ..options(1, 60) });
    assert!(outcome.tally.has_cuts(), "{}", told(&outcome));
    let timeline = outcome.timeline.expect("what led to it");
    assert!(timeline.contains("seed 1, days") && timeline.contains("VIOLATION"), "{timeline}");
}

#[test]
fn its_last_line_is_a_contract() {
    let outcome = run(&Options { days: 0, ..options(1, 0) });
    let line =
        "simulate: days 0, recordings cut 0, people dropped 0, limits broken 0, unseen scale-ins 0, stuck 0";
    assert_eq!(outcome.to_string(), line);
}
