//! A run under a given configuration, and what a real Prometheus would have of it.
//!
//! Owns the files: a day of OpenMetrics each, from which `promtool tsdb create-blocks-from openmetrics` makes blocks; the
//! same as averages of five minutes, in CSV; and the scaler's decisions.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;

use jitsi_scaler::report::GroupStatus;
use jitsi_scaler::units::Time;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::prometheus::Found;
use super::setting::{Kind, REGION};
use super::timeline::mix;
use super::world::{Event, World};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What is run, and where it is recorded.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The text of the configuration: the fleet `jvb` of `jvb-a` and `jvb-b`, then the fleet `jibri` of `jibri-a` and
    /// `jibri-b`, with the series that the simulation knows.
    pub config: String,
    /// The folder of the files.
    pub folder: PathBuf,
}

/// A decision that changed something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The time of the evaluation, in seconds since 1970.
    pub time: i64,
    /// The group.
    pub asg: String,
    /// The action.
    pub action: String,
    /// The capacity before it.
    pub from: u32,
    /// The capacity wanted after it.
    pub to: u32,
}

/// What is written while the world runs.
#[derive(Debug)]
pub(super) struct Recorder {
    folder: PathBuf,
    /// The file of the day, and which day that is.
    file: Option<(i64, BufWriter<File>)>,
    /// Instances that were up at the last scrape.
    up: Vec<usize>,
    decisions: Vec<Made>,
    /// Sums and counts of five minutes, by their beginning, the group and the series.
    averages: BTreeMap<(i64, String, &'static str), (f64, u32)>,
}

/// How much time an average stands for, in seconds.
const AVERAGED: i64 = 300;

impl Recorder {
    pub(super) fn new(recorded: &Recorded) -> Self {
        Self {
            folder: recorded.folder.clone(),
            file: None,
            up: Vec::new(),
            decisions: Vec::new(),
            averages: BTreeMap::new(),
        }
    }

    fn write(&mut self, at: i64, samples: &str) -> io::Result<()> {
        let day = at.div_euclid(DAY);
        if self.file.as_ref().is_none_or(|(open, _)| *open != day) {
            self.end_file()?;
            let file = File::create(self.folder.join(format!("{day}.om")))?;
            self.file = Some((day, BufWriter::new(file)));
        }
        if let Some((_, file)) = &mut self.file {
            file.write_all(samples.as_bytes())?;
        }
        Ok(())
    }

    fn end_file(&mut self) -> io::Result<()> {
        match self.file.take() {
            Some((_, mut file)) => file.write_all(b"# EOF\n").and_then(|()| file.flush()),
            None => Ok(()),
        }
    }

    fn average(&mut self, at: i64, asg: &str, series: &'static str, value: f64) {
        let (sum, count) =
            self.averages.entry((at.div_euclid(AVERAGED) * AVERAGED, asg.to_owned(), series)).or_default();
        *sum += value;
        *count += 1;
    }

    /// Ends the files, and writes the averages and the decisions into two more.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.end_file()?;
        let mut csv = BufWriter::new(File::create(self.folder.join("history.csv"))?);
        csv.write_all(b"time,asg,series,value\n")?;
        for ((at, asg, series), (sum, count)) in &self.averages {
            let average = (sum / f64::from(*count) * 1e4).round() / 1e4;
            writeln!(csv, "{},{asg},{series},{average}", Time::from_unix(*at))?;
        }
        csv.flush()?;
        let decisions = serde_json::to_string(&self.decisions)?;
        std::fs::write(self.folder.join("decisions.json"), decisions)
    }
}

impl World {
    /// Draws what people do from a stream of their own, so that they do the same under every configuration.
    pub(super) fn draw_apart(&mut self, event: Event) {
        let Some(seed) = self.apart else { return };
        let whose = match event {
            Event::ConferenceArrives(group) | Event::RecordingArrives(group) => [group as u64, 0],
            Event::ConferenceMoves(conference, _) => {
                self.conferences[conference].identity().map(i64::unsigned_abs)
            }
            Event::RecordingEnds(instance, _) => [self.instances[instance].group as u64, 1],
            _ => return,
        };
        let now = self.now.unsigned_abs();
        let seed = whose.into_iter().chain([now]).fold(seed, mix);
        self.traffic = ChaCha8Rng::seed_from_u64(seed);
    }

    /// Writes what is stored of a scrape.
    pub(super) fn tape(&mut self, at: i64) {
        let Some(mut recorder) = self.recorder.take() else { return };
        let (mut samples, mut averaged) = (String::new(), Vec::new());
        let mut up = Vec::new();
        for group in &self.groups {
            let (fleet, asg) = (&self.setting.config.fleets[group.fleet].name, &group.name);
            let mut add = |name: &str, labels: String, value: f64| {
                // A string takes every write.
                let _ = writeln!(samples, "{name}{{asg=\"{asg}\"{labels}}} {value} {at}");
            };
            let (jvb, component) =
                (group.kind == Kind::Bridge, if group.kind == Kind::Bridge { "jvb" } else { "jibri" });
            let (mut serving, mut people) = (0.0, 0.0);
            for &instance in &group.members {
                let it = &self.instances[instance];
                let found = it.history.newest(at).map_or(Found::Nothing, |sample| sample.found);
                let id = || format!(",instance_id=\"{}\"", it.id.as_str());
                match found {
                    Found::Up { draining, closing, load, .. } => {
                        up.push(instance);
                        if !(draining || closing) {
                            serving += 1.0;
                            people += f64::from(load);
                        }
                        add(&format!("{component}_up"), id(), 1.0);
                        if jvb {
                            add("jvb_draining", id(), f64::from(u8::from(draining || closing)));
                        }
                    }
                    Found::Down => add(&format!("{component}_up"), id(), 0.0),
                    Found::Nothing => {}
                }
            }
            // OpenMetrics has no marker for a series that ends.
            for &instance in recorder.up.iter().filter(|&&it| !up.contains(&it)) {
                let it = &self.instances[instance];
                if it.group == usize::MAX
                    || self.groups[it.group].name != group.name
                    || group.members.contains(&instance)
                {
                    continue;
                }
                let id = format!(",instance_id=\"{}\"", it.id.as_str());
                add(&format!("{component}_up"), id.clone(), 0.0);
                if jvb {
                    add("jvb_draining", id, 0.0);
                }
            }
            // What the rules call them, and what the averages do.
            let names: &[(&str, &'static str)] = if jvb {
                &[("asg:jvb_stress:avg", "stress")]
            } else {
                &[("asg:jibri_available:sum", "free"), ("asg:jibri_busy:sum", "busy")]
            };
            for ((name, short), series) in names.iter().zip(&group.aggregates.series) {
                if let Some(value) = series.value(at, at, 1) {
                    add(name, String::new(), value);
                    averaged.push((asg.to_string(), *short, value));
                }
            }
            averaged.push((asg.to_string(), "instances", serving));
            if jvb && serving > 0.0 {
                averaged.push((asg.to_string(), "users", people / serving));
            }
            for (state, value) in [("desired", group.desired), ("min", group.min), ("max", group.max)] {
                let labels = format!(",region=\"{REGION}\",fleet=\"{fleet}\",state=\"{state}\"");
                add("jitsi_scaler_group_instances", labels, f64::from(value));
            }
        }
        for (asg, series, value) in averaged {
            recorder.average(at, &asg, series, value);
        }
        recorder.up = up;
        recorder.write(at, &samples).expect("the folder of the recording can be written to");
        self.recorder = Some(recorder);
    }

    /// Notes a decision of a scaler.
    pub(super) fn note_decision(&mut self, status: &GroupStatus) {
        let Some(recorder) = &mut self.recorder else { return };
        let time = Time::parse(&status.time).map_or(0, Time::unix);
        // A decision is published with each evaluation of its group until the next grid point.
        let is_known =
            |made: &Made| made.time == time && made.asg == status.asg && made.action == status.action;
        if status.action != "hold" && !recorder.decisions.iter().rev().take(100).any(is_known) {
            recorder.decisions.push(Made {
                time,
                asg: status.asg.clone(),
                action: status.action.to_owned(),
                from: status.seen.desired.saturating_sub(status.seen.draining),
                to: status.desired,
            });
        }
    }
}
