//! The closing words: what became of people and recordings, and what the morning cost.

use jitsi_tests::jitsi_sim::status::Status;

use super::record::{Count, Sample};

/// What the cloud was asked to do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps {
    /// How often desired capacity was raised.
    pub(crate) out: usize,
    /// How many instances were terminated with their capacity.
    pub(crate) in_: usize,
}

/// The closing lines; and whether the fleets grew and shrank, and nothing was cut.
pub(crate) fn words(samples: &[Sample], status: &Status, steps: Steps) -> (Vec<String>, bool) {
    let (conferences, recordings) = (&status.conferences, &status.recordings);
    let cut = [conferences.cut + conferences.lost, recordings.cut + recordings.lost];
    let free = |sample: &Sample| sample.free_jibris > 0;
    let serves = |sample: &Sample| sample.bridges.ready > 0;
    let without =
        |is_there: &dyn Fn(&Sample) -> bool| samples.iter().filter(|sample| !is_there(sample)).count();
    let lines = vec![
        format!(
            "people      {} came, {} at once in {} conferences; conferences cut {}, refused {}",
            status.participants.joined,
            status.participants.peak,
            conferences.started,
            cut[0],
            refused(conferences.refused, "no bridge was ready", without(&serves)),
        ),
        format!(
            "recordings  {} made; recordings cut {}, refused {}",
            recordings.completed,
            cut[1],
            refused(recordings.refused, "no Jibri was free", without(&free)),
        ),
        cost("bridges", samples, |sample| sample.bridges),
        cost("jibris", samples, |sample| sample.jibris),
        format!(
            "demo: scaled out {} times, scaled in {} times, recordings cut {}, conferences cut {}",
            steps.out, steps.in_, cut[1], cut[0]
        ),
    ];
    (lines, steps.out > 0 && steps.in_ > 0 && cut == [0, 0])
}

fn refused(count: u64, why: &str, seconds: usize) -> String {
    if count == 0 {
        "0".to_owned()
    } else {
        format!("{count} because {why} for {seconds} s while more booted")
    }
}

/// What a group cost beside one that has as many instances all the time as this one had at most.
fn cost(name: &str, samples: &[Sample], of: fn(&Sample) -> Count) -> String {
    let billed = || samples.iter().map(|sample| of(sample).billed);
    let (used, peak) = (billed().sum::<usize>(), billed().max().unwrap_or_default());
    let fixed = peak * samples.len();
    let saved = 100.0 * (1.0 - used as f64 / fixed.max(1) as f64);
    // A second stands for a minute.
    let hours = |seconds: usize| seconds as f64 / 60.0;
    format!(
        "{name:<12}{:.1} instance-hours if a second is a minute; a fixed fleet of {peak} takes {:.1} ({saved:.0} % saved)",
        hours(used),
        hours(fixed),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jitsi_tests::jitsi_sim::status::{PeopleTally, Tally};

    use super::*;

    fn status(cut: u64, refused: u64) -> Status {
        let tally = Tally { active: 0, started: 9, completed: 8, cut, lost: 0, refused };
        Status {
            seconds: 90.0,
            conferences: Tally { refused: 0, ..tally },
            recordings: tally,
            participants: PeopleTally { active: 0, joined: 50, peak: 20, cut: 0, lost: 0 },
            terminated: 3,
            instances: BTreeMap::new(),
        }
    }

    fn sample(free_jibris: usize, billed: usize) -> Sample {
        let count = Count { billed, leaving: 0, ready: 1 };
        Sample { bridges: count, jibris: count, free_jibris, ..Sample::default() }
    }

    #[test]
    fn what_was_refused_has_its_reason_and_what_it_cost_is_compared() {
        let samples: Vec<_> =
            (0..60).map(|second| sample(usize::from(second >= 4), if second < 30 { 2 } else { 4 })).collect();
        let (lines, fine) = words(&samples, &status(0, 5), Steps { out: 2, in_: 3 });
        let expected = "\
people      50 came, 20 at once in 9 conferences; conferences cut 0, refused 0
recordings  8 made; recordings cut 0, refused 5 because no Jibri was free for 4 s while more booted
bridges     3.0 instance-hours if a second is a minute; a fixed fleet of 4 takes 4.0 (25 % saved)
jibris      3.0 instance-hours if a second is a minute; a fixed fleet of 4 takes 4.0 (25 % saved)
demo: scaled out 2 times, scaled in 3 times, recordings cut 0, conferences cut 0";
        assert_eq!(lines.join("\n"), expected);
        assert!(fine);
    }

    #[test]
    fn a_cut_or_a_fleet_that_never_shrinks_is_a_failure() {
        let samples = [sample(1, 2)];
        assert!(!words(&samples, &status(1, 0), Steps { out: 1, in_: 1 }).1);
        assert!(!words(&samples, &status(0, 0), Steps { out: 1, in_: 0 }).1);
    }
}
