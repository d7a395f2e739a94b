//! The command `backtest`: history, the replays of all groups, and the report.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::backtest::history;
use crate::backtest::history::files::Files;
use crate::backtest::report::{Drawn, GroupReport, LeftOut, Names, Report};
use crate::backtest::run::{Assumptions, GroupHistory, Span, Yardstick};
use crate::backtest::tune::{Search, Tuned};
use crate::cli::{Backtest, Moment, ReportFormat};
use crate::config::variant::Variant;
use crate::config::{Config, ConfigError, Fleet};
use crate::control::Clock;
use crate::network;
use crate::units::{GroupName, Time};

const SECOND: Duration = Duration::from_secs(1);

/// What the command prints, and whether history sufficed.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// Groups of which too little is known, for standard error.
    pub left_out: Vec<LeftOut>,
    /// Whether anything was replayed, and every group that was asked for by name.
    pub suffices: bool,
}

/// Flags that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// There is no such fleet.
    #[error("find the fleet {name}; there are {known}")]
    NoFleet {
        /// The one that was named.
        name: String,
        /// All that there are.
        known: String,
    },
    /// The beginning is not before the end.
    #[error("replay from {from} to {to}: the beginning is not before the end")]
    Backwards {
        /// The beginning.
        from: Time,
        /// The end.
        to: Time,
    },
}

/// A group at its place in the configuration, and in the one that it is compared with.
struct Subject<'a> {
    /// The place of its fleet.
    place: usize,
    fleet: &'a Fleet,
    history: &'a GroupHistory,
    other: Option<(&'a Fleet, &'a GroupHistory)>,
}

/// Runs the command.
pub async fn run(flags: &Backtest, clock: Clock) -> anyhow::Result<Answer> {
    let (variant, config) = load(&flags.config.path)?;
    let other = flags.against.as_deref().map(load).transpose()?.map(|(_, config)| config);
    for name in &flags.fleets {
        let known: Vec<_> = config.fleets.iter().map(|fleet| fleet.name.as_str()).collect();
        if !known.contains(&name.as_str()) {
            return Err(UsageError::NoFleet { name: name.clone(), known: known.join(", ") }.into());
        }
    }
    let now = Time::since_1970(clock());
    let files = match flags.history.as_slice() {
        [] => None,
        files => {
            let configs: Vec<_> = std::iter::once(&config).chain(&other).collect();
            Some(Files::read(files, &configs)?)
        }
    };
    let span = span(flags, now, files.as_ref())?;
    let assumptions = Assumptions { boot: flags.boot, drain: flags.drain, price: flags.price };
    let past = Past { flags, files: files.as_ref(), span, clock };
    let history = past.read(&config, |fleet| past.is_wanted(fleet)).await?;
    let history_of_other = match &other {
        // A fleet may have another name there.
        Some(other) => past.read(other, |_| true).await?,
        None => Vec::new(),
    };
    let other = other.as_ref().zip(Some(history_of_other.as_slice()));
    let (subjects, left_out) = past.subjects(&config, &history, other);
    let found = |name: &String| subjects.iter().any(|subject| subject.history.name.as_str() == name);
    let suffices = !subjects.is_empty() && flags.groups.iter().all(found);
    let mut report = Report {
        from: span.from.to_string(),
        to: if flags.to.is_some() || files.is_none() { span.to.after(SECOND) } else { span.to }.to_string(),
        groups: Vec::new(),
        against: other.map(|_| Vec::new()),
        tuned: None,
        left_out,
        names: names(flags),
    };
    let replayed: Vec<_> = subjects.par_iter().map(|subject| replay(subject, span, assumptions)).collect();
    for (own, other) in replayed.into_iter().flatten() {
        report.groups.push(own);
        if let (Some(all), Some(other)) = (&mut report.against, other) {
            all.push(other);
        }
    }
    if !flags.tune.is_empty() && !subjects.is_empty() {
        let groups: Vec<_> = subjects.iter().map(|subject| (subject.place, subject.history)).collect();
        let search = Search { variant: &variant, present: &config, groups: &groups, span, assumptions };
        report.tuned = Some(tune(&search, flags)?);
    }
    let text = match flags.output {
        // A report of nothing would look like an answer.
        _ if report.groups.is_empty() => String::new(),
        ReportFormat::Text => report.text(),
        ReportFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
        ReportFormat::Html => report.html(),
    };
    Ok(Answer { text, left_out: report.left_out, suffices })
}

fn load(path: &Path) -> Result<(Variant, Config), ConfigError> {
    let variant = Variant::load(path)?;
    let config =
        variant.config().map_err(|problems| ConfigError::Invalid { path: path.to_owned(), problems })?;
    Ok((variant, config))
}

/// What the report calls the configurations: by their files, with their folders where those tell them apart.
fn names(flags: &Backtest) -> Names {
    let (config, against) = (flags.config.path.as_path(), flags.against.as_deref());
    let whole = |path: &Path| path.display().to_string();
    let call = if against.map(name_of) == Some(name_of(config)) { whole } else { name_of };
    Names {
        config: call(config),
        against: against.map(call).unwrap_or_default(),
        currency: flags.currency.clone(),
    }
}

/// What a file is called in a table.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What is replayed: by the flags, else all of the files or the last week.
fn span(flags: &Backtest, now: Time, files: Option<&Files>) -> anyhow::Result<Span> {
    let whole = match files {
        Some(files) => files.span().context("find a value in the files of --history")?,
        None => Span { from: now.before(Duration::from_hours(24 * 7)), to: now },
    };
    // Files end when they were written.
    let now = if files.is_some() { whole.to } else { now };
    let at = |moment: &Moment| match moment {
        Moment::Ago(ago) => now.before(*ago),
        Moment::At(at) => *at,
    };
    // An end that is named, and now, is not part of it; the last value of the files is.
    let to = match (&flags.to, files) {
        (Some(to), _) => at(to).before(SECOND),
        (None, Some(_)) => whole.to,
        (None, None) => whole.to.before(SECOND),
    };
    let span = Span { from: flags.from.as_ref().map_or(whole.from, at), to };
    if span.from >= span.to {
        return Err(UsageError::Backwards { from: span.from, to: span.to.after(SECOND) }.into());
    }
    Ok(span)
}

/// Where history comes from, and what is wanted of it.
struct Past<'a> {
    flags: &'a Backtest,
    files: Option<&'a Files>,
    span: Span,
    clock: Clock,
}

impl Past<'_> {
    fn is_wanted(&self, fleet: &Fleet) -> bool {
        self.flags.fleets.is_empty() || self.flags.fleets.iter().any(|name| name == fleet.name.as_str())
    }

    fn is_wanted_group(&self, name: &GroupName) -> bool {
        self.flags.groups.is_empty() || self.flags.groups.iter().any(|wanted| wanted == name.as_str())
    }

    /// What can be replayed, and what is left out.
    fn subjects<'a>(
        &self,
        config: &'a Config,
        history: &'a [Vec<GroupHistory>],
        other: Option<(&'a Config, &'a [Vec<GroupHistory>])>,
    ) -> (Vec<Subject<'a>>, Vec<LeftOut>) {
        let (mut subjects, mut left_out) = (Vec::new(), Vec::new());
        let mut leave_out = |fleet: &str, asg: &str, why: String| {
            left_out.push(LeftOut { fleet: fleet.to_owned(), asg: asg.to_owned(), why });
        };
        for (place, (fleet, groups)) in config.fleets.iter().zip(history).enumerate() {
            let name = fleet.name.as_str();
            if !self.is_wanted(fleet) {
                continue;
            }
            if groups.is_empty() && self.flags.groups.is_empty() {
                let why = match self.files {
                    Some(files) => {
                        format!(
                            "the files have no values of its policies; their groups are {}",
                            files.named()
                        )
                    }
                    None => format!("no series names a group by its label {}", fleet.asg.label),
                };
                leave_out(name, "", why);
            }
            for history in groups {
                let asg = history.name.as_str();
                let counterpart = other.map(|(config, groups)| counterpart(config, groups, fleet, history));
                let lack = match (history.suffices(fleet, self.span), counterpart) {
                    (Err(why), _) => Some(why),
                    (_, Some(None)) => Some("the other configuration has no series of it".to_owned()),
                    (_, Some(Some((fleet, history)))) => history.suffices(fleet, self.span).err(),
                    (Ok(()), None) => None,
                };
                match lack {
                    Some(why) => leave_out(name, asg, why),
                    None => subjects.push(Subject { place, fleet, history, other: counterpart.flatten() }),
                }
            }
        }
        for asg in self.files.map(|files| files.strays(config)).unwrap_or_default() {
            leave_out("", &asg, "no fleet of the configuration has it".to_owned());
        }
        for asg in &self.flags.groups {
            if !history.iter().flatten().any(|group| group.name.as_str() == asg) {
                leave_out("", asg, "neither the configuration nor its series name it".to_owned());
            }
        }
        (subjects, left_out)
    }

    /// The groups of each fleet, none for one that is not wanted.
    async fn read(
        &self,
        config: &Config,
        is_wanted: impl Fn(&Fleet) -> bool,
    ) -> anyhow::Result<Vec<Vec<GroupHistory>>> {
        let bar = progress("reading history");
        let mut all = Vec::new();
        for fleet in &config.fleets {
            all.push(match self.files {
                _ if !is_wanted(fleet) => Vec::new(),
                None => {
                    let client = network::prometheus(&fleet.prometheus, self.clock)?;
                    let is_wanted = |name: &GroupName| self.is_wanted_group(name);
                    let show = |done, total| {
                        bar.set_length(total);
                        bar.set_position(done);
                    };
                    let read = history::read(&client, fleet, is_wanted, self.span, show).await;
                    read.with_context(|| format!("read the history of fleet {}", fleet.name))?
                }
                Some(files) => {
                    let mut groups = files.groups(fleet, self.span);
                    groups.retain(|group| self.is_wanted_group(&group.name));
                    groups
                }
            });
        }
        bar.finish_and_clear();
        Ok(all)
    }
}

/// A progress bar on standard error, where that is a terminal.
fn progress(what: &str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}%, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
    bar.with_message(what.to_owned())
}

/// The same group in another configuration, with what is counted there.
fn counterpart<'a>(
    other: &'a Config,
    histories: &'a [Vec<GroupHistory>],
    fleet: &Fleet,
    history: &GroupHistory,
) -> Option<(&'a Fleet, &'a GroupHistory)> {
    let places = other.fleets.iter().zip(histories);
    let found = places.filter_map(|(fleet, groups)| {
        let is_it = |group: &&GroupHistory| group.name == history.name && group.region == history.region;
        groups.iter().find(is_it).map(|group| (fleet, group))
    });
    // Where several fleets have it, the one of the same name is meant.
    found.min_by_key(|(other, _)| other.name != fleet.name)
}

/// `None` only where history does not suffice, which no subject lacks.
fn replay<'a>(
    subject: &Subject<'a>,
    span: Span,
    assumptions: Assumptions,
) -> Option<(GroupReport<'a>, Option<GroupReport<'a>>)> {
    let &Subject { fleet, history, other, .. } = subject;
    let yardstick = Yardstick::new(fleet, history);
    let tick = fleet.policy.smallest_period()?;
    let had = history.had(yardstick, span, tick, assumptions.price)?;
    let report = |fleet: &'a Fleet, history: &'a GroupHistory| {
        let outcome = history.replay(fleet, yardstick, span, assumptions)?;
        Some(GroupReport::new(had.clone(), outcome, Drawn { fleet, history, span }))
    };
    let other = match other {
        Some((fleet, history)) => Some(report(fleet, history)?),
        None => None,
    };
    Some((report(fleet, history)?, other))
}

/// Searches, until all is tried or Ctrl-C is pressed.
fn tune(search: &Search<'_>, flags: &Backtest) -> anyhow::Result<Tuned> {
    let stop = Arc::new(AtomicBool::new(false));
    let interrupted = Arc::clone(&stop);
    let listener = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            interrupted.store(true, Ordering::Relaxed);
        }
    });
    let bar = progress("trying combinations");
    let tuned = tokio::task::block_in_place(|| {
        search.run(&flags.tune, &stop, |done, total| {
            bar.set_length(total);
            bar.set_position(bar.position().max(done));
        })
    });
    bar.finish_and_clear();
    listener.abort();
    Ok(tuned?)
}
