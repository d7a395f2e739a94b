//! History from files: CSV, and what `aws cloudwatch get-metric-data` prints.
//!
//! Owns both formats, and at which points of a policy's grid a value of a file counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::backtest::column::Column;
use crate::backtest::run::{GroupHistory, Span};
use crate::config::{Config, Fleet, Groups};
use crate::units::{GroupName, Region, Time};

/// The series that counts the instances that served.
const INSTANCES: &str = "instances";
/// A longer history is a mistake of units.
const MOST_YEARS: u64 = 10;
/// The columns that a CSV file must have.
const COLUMNS: &str = "time,asg,series,value";

/// A file of history, and which of its results are which policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryFile {
    /// The file.
    pub path: PathBuf,
    /// For CloudWatch's JSON: the `Id` of a result, and what it is.
    pub meaning: Option<Meaning>,
}

/// What a result of CloudWatch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// The `Id` of the result.
    pub id: String,
    /// A policy's name, or `instances`.
    pub series: String,
    /// The group, where the configuration has several.
    pub group: Option<String>,
}

impl FromStr for HistoryFile {
    type Err = String;

    /// `FILE` or `FILE:ID=POLICY[@GROUP]`.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((path, meaning)) = text.rsplit_once(':').filter(|(_, meaning)| meaning.contains('=')) else {
            return Ok(Self { path: text.into(), meaning: None });
        };
        let (id, series) = meaning.split_once('=').unwrap_or_default();
        let (series, group) = match series.split_once('@') {
            Some((series, group)) => (series, Some(group.to_owned())),
            None => (series, None),
        };
        let is_list = |text: &str| text.contains([',', '@']);
        let group_is_wrong = group.as_deref().is_some_and(|group| group.is_empty() || is_list(group));
        if [path, id, series].contains(&"") || is_list(series) || group_is_wrong {
            return Err(
                "write FILE, or FILE:ID=POLICY or FILE:ID=POLICY@GROUP for each result of CloudWatch"
                    .to_owned(),
            );
        }
        let meaning = Meaning { id: id.to_owned(), series: series.to_owned(), group };
        Ok(Self { path: path.into(), meaning: Some(meaning) })
    }
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line of CSV is wrong.
    #[error("understand {path}: line {line}: {what}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The file is wrong as a whole.
    #[error("understand {path}: {what}")]
    Whole {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// Which moments a value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Covers {
    /// Its own, and those until the next value.
    FromThere,
    /// Those after it: CloudWatch names a datapoint by the beginning of its period.
    AfterIt,
}

/// One series of a file.
#[derive(Clone, Debug)]
struct Given {
    group: Option<String>,
    region: Option<String>,
    series: String,
    /// In seconds since 1970, each once, in their order.
    points: BTreeMap<i64, f64>,
    covers: Covers,
}

/// The series of files.
#[derive(Clone, Debug, Default)]
pub struct Files {
    given: Vec<Given>,
}

/// The output of `get-metric-data`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricData {
    metric_data_results: Vec<MetricResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricResult {
    id: String,
    #[serde(default)]
    label: String,
    timestamps: Vec<String>,
    values: Vec<f64>,
}

impl Files {
    /// Reads files. Their series are policies of `configs`.
    pub fn read(files: &[HistoryFile], configs: &[&Config]) -> Result<Self, FileError> {
        let known = known(configs);
        let mut all = Self::default();
        let paths: BTreeSet<&Path> = files.iter().map(|file| file.path.as_path()).collect();
        for path in paths {
            let bytes =
                std::fs::read(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
            let meanings: Vec<&Meaning> = files
                .iter()
                .filter(|file| file.path == path)
                .filter_map(|file| file.meaning.as_ref())
                .collect();
            let given = if bytes.trim_ascii_start().starts_with(b"{") {
                cloudwatch(&bytes, &meanings, &known)
                    .map_err(|what| FileError::Whole { path: path.to_owned(), what })?
            } else if meanings.is_empty() {
                csv(&bytes, path, &known)?
            } else {
                let what =
                    format!("ID=POLICY is for CloudWatch's JSON, and this is not; a CSV file has {COLUMNS}");
                return Err(FileError::Whole { path: path.to_owned(), what });
            };
            all.given.extend(given);
            let years = all.span().map_or(0, |span| span.to.since(span.from).as_secs() / (366 * 24 * 3600));
            if years > MOST_YEARS {
                let what =
                    format!("it spans {years} years; write times in seconds since 1970, or in RFC 3339");
                return Err(FileError::Whole { path: path.to_owned(), what });
            }
        }
        Ok(all)
    }

    /// The groups that series name, for texts.
    #[must_use]
    pub fn named(&self) -> String {
        let names: BTreeSet<&str> = self.given.iter().filter_map(|given| given.group.as_deref()).collect();
        if names.is_empty() {
            "not named".to_owned()
        } else {
            names.into_iter().collect::<Vec<_>>().join(", ")
        }
    }

    /// Groups of the files that no fleet has.
    #[must_use]
    pub fn strays(&self, config: &Config) -> BTreeSet<String> {
        let has_fleet = |given: &&Given| config.fleets.iter().any(|fleet| key(fleet, given).is_some());
        let strays = self.given.iter().filter(|given| !has_fleet(given));
        strays.filter_map(|given| given.group.clone()).collect()
    }

    /// From the first value to the last one.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        let moments = || self.given.iter().flat_map(|given| given.points.keys().copied());
        Some(Span { from: Time::from_unix(moments().min()?), to: Time::from_unix(moments().max()?) })
    }

    /// The groups of a fleet that the files have.
    #[must_use]
    pub fn groups(&self, fleet: &Fleet, span: Span) -> Vec<GroupHistory> {
        let Some(tick) = fleet.policy.smallest_period() else { return Vec::new() };
        let policies = &fleet.policy.policies;
        let is_own = |given: &&Given| policies.iter().any(|policy| policy.name.as_str() == given.series);
        let mut keys = configured(fleet);
        for given in self.given.iter().filter(is_own) {
            keys.extend(key(fleet, given));
        }
        let columns = |(name, region): (GroupName, Option<Region>)| {
            let own = (name.clone(), region.clone());
            let column = |series: &str, period| {
                let mut column = Column::until(span.from, span.to, period);
                // A series may be in several files.
                for given in self.given.iter().filter(|given| given.series == series) {
                    if key(fleet, given).as_ref() == Some(&own) {
                        given.fill(&mut column, span);
                    }
                }
                column
            };
            GroupHistory {
                series: policies.iter().map(|policy| column(policy.name.as_str(), policy.period)).collect(),
                serving: column(INSTANCES, tick),
                name,
                region,
                reporting: None,
                desired: None,
                bounds: None,
            }
        };
        keys.into_iter().map(columns).collect()
    }
}

/// The group that a series belongs to, if it is one of the fleet.
fn key(fleet: &Fleet, given: &Given) -> Option<(GroupName, Option<Region>)> {
    let name = match (&fleet.asg.groups, &given.group) {
        (Groups::Names(names), Some(group)) => names.iter().find(|name| name.as_str() == group)?.clone(),
        (Groups::Names(names), None) => names.first().filter(|_| names.len() == 1)?.clone(),
        (Groups::Tags(_), Some(group)) => GroupName::new(group),
        (Groups::Tags(_), None) => GroupName::new(fleet.name.as_str()),
    };
    let region = match (&given.region, fleet.asg.regions.as_slice()) {
        (Some(region), regions) => Some(regions.iter().find(|own| own.as_str() == region)?.clone()),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    };
    Some((name, region))
}

/// The groups that the configuration names, each in a region where that is certain.
fn configured(fleet: &Fleet) -> BTreeSet<(GroupName, Option<Region>)> {
    let Groups::Names(names) = &fleet.asg.groups else { return BTreeSet::new() };
    match fleet.asg.regions.as_slice() {
        [] => names.iter().map(|name| (name.clone(), None)).collect(),
        [only] => names.iter().map(|name| (name.clone(), Some(only.clone()))).collect(),
        // The files say which of them they have.
        _ => BTreeSet::new(),
    }
}

impl Given {
    /// Puts the values on a grid. A value stands for the time until the next one is due: the shortest distance of two values.
    fn fill(&self, column: &mut Column, span: Span) {
        let period = column.period();
        let moments = self.points.keys();
        let step = moments.clone().zip(moments.skip(1)).map(|(one, next)| next - one).min();
        let step = step.unwrap_or(0).max(period.seconds());
        for (&at, &value) in self.points.range(..=span.to.unix()) {
            let first = match self.covers {
                Covers::FromThere => Time::from_unix(at + period.seconds() - 1).floor(period),
                Covers::AfterIt => Time::from_unix(at).floor(period).after(period.duration()),
            };
            let mut point = first;
            while point.unix() < first.unix() + step {
                column.set(point, value);
                point = point.after(period.duration());
            }
        }
    }
}

/// What a series may be called.
fn known<'c>(configs: &[&'c Config]) -> Vec<&'c str> {
    let policies = configs.iter().flat_map(|config| &config.fleets).flat_map(|fleet| &fleet.policy.policies);
    let names = policies.map(|policy| policy.name.as_str()).chain([INSTANCES]);
    let names: BTreeSet<&str> = names.collect();
    names.into_iter().collect()
}

fn csv(bytes: &[u8], path: &Path, known: &[&str]) -> Result<Vec<Given>, FileError> {
    let wrong = |line, what| FileError::Line { path: path.to_owned(), line, what };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    let place = |name: &str| header.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
    let (Some(time), Some(asg), Some(series), Some(value)) =
        (place("time"), place("asg"), place("series"), place("value"))
    else {
        return Err(wrong(1, format!("the header must have {COLUMNS}, and may have region")));
    };
    let region = place("region");
    let mut given: BTreeMap<(String, Option<String>, String), BTreeMap<i64, f64>> = BTreeMap::new();
    for record in reader.records() {
        let record = record.map_err(|error| {
            let line = error.position().map_or(0, csv::Position::line);
            wrong(line, "it has another number of columns than the header, or is not UTF-8".to_owned())
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |place: usize| record.get(place).unwrap_or_default();
        let at = moment(field(time)).ok_or_else(|| {
            wrong(line, format!("\"{}\" is no time; write RFC 3339 or seconds since 1970", field(time)))
        })?;
        let name = field(series);
        if !known.contains(&name) {
            return Err(wrong(
                line,
                format!("\"{name}\" is no policy of the configuration; there are {}", known.join(", ")),
            ));
        }
        // Empty and NaN are what a tool writes for a point without a value.
        let number = match field(value) {
            "" => f64::NAN,
            text => text.parse().map_err(|_| wrong(line, format!("\"{text}\" is no number")))?,
        };
        let region = region.map(field).filter(|region| !region.is_empty()).map(str::to_owned);
        let points = given.entry((field(asg).to_owned(), region, name.to_owned())).or_default();
        if number.is_finite() {
            points.insert(at, number);
        }
    }
    let series = |((group, region, series), points)| Given {
        group: Some(group).filter(|group: &String| !group.is_empty()),
        region,
        series,
        points,
        covers: Covers::FromThere,
    };
    Ok(given.into_iter().map(series).collect())
}

fn moment(text: &str) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 fit by far")]
    let seconds = text.parse::<f64>().ok().map(|seconds| seconds as i64);
    // Up to the year 9999, which milliseconds of today are beyond.
    let seconds = seconds.filter(|seconds| jiff::Timestamp::from_second(*seconds).is_ok());
    seconds.or_else(|| Time::parse(text).map(Time::unix))
}

fn cloudwatch(bytes: &[u8], meanings: &[&Meaning], known: &[&str]) -> Result<Vec<Given>, String> {
    let data: MetricData = serde_json::from_slice(bytes).map_err(|error| {
        format!(
            "it is not the JSON of `aws cloudwatch get-metric-data`, which has MetricDataResults: {error}"
        )
    })?;
    let ids: Vec<&str> = data.metric_data_results.iter().map(|result| result.id.as_str()).collect();
    if let Some(stray) = meanings.iter().find(|meaning| !ids.contains(&meaning.id.as_str())) {
        return Err(format!("it has no result with the Id {}; there are {}", stray.id, ids.join(", ")));
    }
    if let Some(stray) = meanings.iter().find(|meaning| !known.contains(&meaning.series.as_str())) {
        return Err(format!(
            "{} is no policy of the configuration; there are {}",
            stray.series,
            known.join(", ")
        ));
    }
    // A result that is in several pages comes several times.
    let mut given: BTreeMap<(Option<String>, String), BTreeMap<i64, f64>> = BTreeMap::new();
    for result in &data.metric_data_results {
        let named: Vec<_> = meanings.iter().filter(|meaning| meaning.id == result.id).collect();
        let mut meant: Vec<(Option<String>, String)> =
            named.iter().map(|meaning| (meaning.group.clone(), meaning.series.clone())).collect();
        if meant.is_empty() {
            let by_name = [&result.label, &result.id].into_iter().find(|name| known.contains(&name.as_str()));
            meant.extend(by_name.map(|name| (None, name.clone())));
        }
        if result.timestamps.len() != result.values.len() {
            return Err(format!("{} has another number of Timestamps than of Values", result.id));
        }
        for meaning in meant {
            let points = given.entry(meaning).or_default();
            for (time, value) in result.timestamps.iter().zip(&result.values) {
                let at = moment(time).ok_or_else(|| format!("{}: \"{time}\" is no time", result.id))?;
                points.insert(at, *value);
            }
        }
    }
    if given.is_empty() {
        return Err(format!(
            "it is not known which result is which policy; write for example --history FILE:{}={}",
            ids.first().unwrap_or(&"ID"),
            known.iter().rfind(|name| **name != INSTANCES).unwrap_or(&"POLICY")
        ));
    }
    let series =
        |((group, series), points)| Given { group, region: None, series, points, covers: Covers::AfterIt };
    Ok(given.into_iter().map(series).collect())
}

#[cfg(test)]
mod tests;
