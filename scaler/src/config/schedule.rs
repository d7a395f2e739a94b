//! Floors and ceilings for a time: what holds now, and when that changes next.
//!
//! Owns calendars and time zones, which the decision core does not know. A wall-clock time that a clock change skips is
//! taken as far after the change as it would have been; one that comes twice is taken the first time (the "compatible"
//! choice of RFC 5545).

use std::time::Duration;

use cronexpr::Crontab;
use jiff::civil::{self, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::policy::whole;
use super::yaml::Section;
use crate::decide::observation::Bounds;
use crate::units::{Capacity, Time};

/// The longest that an occurrence may hold, and how far ahead the next one is looked for.
const HORIZON_DAYS: i64 = 8;
/// The most occurrences of a cron expression that are walked through at once: every minute of a week.
const MOST_OCCURRENCES: usize = 10_080;

/// A floor, a ceiling or both, at times that come again.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Unique in its fleet.
    pub name: String,
    /// What holds then.
    pub bounds: Bounds,
    occurs: Occurs,
    timezone: TimeZone,
}

#[derive(Clone, Debug)]
enum Occurs {
    /// On days of the week, from a time of day to another, which is on the next day if it is not later.
    Weekly { days: Vec<Weekday>, from: civil::Time, to: civil::Time },
    /// From each time of a cron expression on.
    Cron { crontab: Box<Crontab>, duration: Duration },
}

/// What the schedules of a fleet say at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The largest floor and the smallest ceiling of those that hold.
    pub bounds: Bounds,
    /// The names of those that hold.
    pub names: Vec<String>,
    /// When one begins or ends next; `None` if none does within the next week.
    pub next_change: Option<Time>,
}

impl InForce {
    /// What `schedules` say at `now`.
    #[must_use]
    pub fn at(schedules: &[Schedule], now: Time) -> Self {
        let mut in_force = Self::default();
        for schedule in schedules {
            let (ends, begins) = schedule.around(now);
            let next = ends.into_iter().chain(begins);
            in_force.next_change = in_force.next_change.into_iter().chain(next).min();
            if ends.is_none() {
                continue;
            }
            in_force.names.push(schedule.name.clone());
            let least = |a: Option<Capacity>, b: Option<Capacity>| a.into_iter().chain(b).min();
            in_force.bounds.min = in_force.bounds.min.max(schedule.bounds.min);
            in_force.bounds.max = least(in_force.bounds.max, schedule.bounds.max);
        }
        in_force
    }
}

impl Schedule {
    /// When the occurrence that holds at `now` ends, if one holds; and when the next one begins.
    fn around(&self, now: Time) -> (Option<Time>, Option<Time>) {
        match &self.occurs {
            Occurs::Weekly { days, from, to } => {
                let spans = || self.weekly(days, *from, *to, now);
                let ends =
                    spans().filter(|(begin, end)| *begin <= now && now < *end).map(|(_, end)| end).max();
                (ends, spans().map(|(begin, _)| begin).filter(|begin| *begin > now).min())
            }
            Occurs::Cron { crontab, duration } => {
                let times = |after: Time| {
                    let start = cronexpr::MakeTimestamp::from_second(after.unix()).ok();
                    let times = start.and_then(|start| crontab.iter_after(start).ok());
                    let times = times.into_iter().flatten().map_while(Result::ok);
                    times.take(MOST_OCCURRENCES).map(|at| Time::from_unix(at.timestamp().as_second()))
                };
                let begun = times(now.before(*duration)).take_while(|at| *at <= now).last();
                (begun.map(|at| at.after(*duration)), times(now).next())
            }
        }
    }

    /// The occurrences of about a week, as beginnings and ends.
    fn weekly<'a>(
        &'a self,
        days: &'a [Weekday],
        from: civil::Time,
        to: civil::Time,
        now: Time,
    ) -> impl Iterator<Item = (Time, Time)> + 'a {
        let today = Timestamp::from_second(now.unix()).ok().map(|now| self.timezone.to_datetime(now).date());
        // Yesterday's may last over midnight.
        let dates = today.into_iter().flat_map(|today| {
            (-1..=HORIZON_DAYS).filter_map(move |days| today.checked_add(Span::new().days(days)).ok())
        });
        dates.filter(|date| days.contains(&date.weekday())).filter_map(move |date| {
            let last = if to > from { date } else { date.tomorrow().ok()? };
            Some((self.moment(date, from)?, self.moment(last, to)?))
        })
    }

    fn moment(&self, date: civil::Date, time: civil::Time) -> Option<Time> {
        let at = self.timezone.to_timestamp(date.to_datetime(time)).ok()?;
        Some(Time::from_unix(at.as_second()))
    }
}

/// Reads one entry of `schedules:`; `others` are those that stand above it.
pub(super) fn read(mut section: Section<'_>, others: &[Schedule]) -> Option<Schedule> {
    let name = section.required_text("name", "working-hours").map(|found| {
        if others.iter().any(|other| other.name == found.value) {
            found.wrong(format!("another schedule of this fleet is called \"{}\" already", found.value));
        }
        found.value
    });
    let zone = section.required_text("timezone", "Europe/Paris").and_then(|found| {
        found.convert(|name| match TimeZone::get(&name) {
            Ok(zone) => Ok((name, zone)),
            Err(_) => Err(format!("\"{name}\" is not an IANA time zone such as Europe/Paris or UTC")),
        })
    });
    let mut bound =
        |key| section.text(key).and_then(|found| found.convert(|text| whole(&text))).map(|found| found.value);
    let bounds = Bounds { min: bound("min"), max: bound("max") };
    if bounds == Bounds::default() && !section.has("min") && !section.has("max") {
        section.wrong("sets neither `min` nor `max`; write for example `min: 10`");
    }
    if let (Some(min), Some(max)) = (bounds.min, bounds.max)
        && min > max
    {
        section.wrong(format!("the minimum {min} is above the maximum {max}"));
    }
    let is_cron = section.has("cron");
    if is_cron && section.has("days") {
        section.wrong("write either `cron` and `duration`, or `days`, `from` and `to`");
    }
    let zone_name = zone.as_ref().map_or("UTC", |found| found.value.0.as_str());
    let occurs = if is_cron { read_cron(&mut section, zone_name) } else { read_weekly(&mut section) };
    for key in ["cron", "duration", "days", "from", "to"] {
        if is_cron == matches!(key, "cron" | "duration") {
            continue;
        }
        section.ignore(key);
    }
    section.finish();
    Some(Schedule { name: name?, bounds, occurs: occurs?, timezone: zone?.value.1 })
}

fn read_cron(section: &mut Section<'_>, zone: &str) -> Option<Occurs> {
    let crontab = section.text("cron").and_then(|found| {
        found.convert(|text| {
            cronexpr::parse_crontab(&format!("{} {zone}", text.trim())).map_err(|_| {
                format!(
                    "must be a cron expression of five fields (minute, hour, day, month, weekday) such as \
                     \"0 16 * * Fri\", not \"{text}\""
                )
            })
        })
    });
    if !section.has("duration") {
        section.wrong("`duration` is missing; write for example `duration: 2h`");
    }
    let duration = section.duration("duration").and_then(|found| {
        found.convert(|duration| {
            let fits = duration > Duration::ZERO && duration <= Duration::from_hours(24 * 7);
            if fits { Ok(duration) } else { Err("must be longer than nothing and at most 7d".to_owned()) }
        })
    });
    Some(Occurs::Cron { crontab: Box::new(crontab?.value), duration: duration?.value })
}

fn read_weekly(section: &mut Section<'_>) -> Option<Occurs> {
    let days = match section.texts("days") {
        Some(found) => found
            .convert(|names| {
                if names.is_empty() {
                    return Err("must name at least one day".to_owned());
                }
                names.iter().map(|name| weekday(name)).collect::<Result<Vec<_>, _>>()
            })
            .map(|found| found.value),
        None if section.has("days") => None,
        None => Some(WEEKDAYS.iter().map(|(_, day)| *day).collect()),
    };
    let mut time = |key, example| {
        section.required_text(key, example).and_then(|found| {
            found.convert(|text| {
                text.parse::<civil::Time>()
                    .map_err(|_| format!("must be a time of day such as \"07:00\", not \"{text}\""))
            })
        })
    };
    let (from, to) = (time("from", "\"07:00\""), time("to", "\"19:00\""));
    Some(Occurs::Weekly { days: days?, from: from?.value, to: to?.value })
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

fn weekday(name: &str) -> Result<Weekday, String> {
    let lower = name.to_ascii_lowercase();
    // Three letters, or the whole word.
    let found = WEEKDAYS
        .iter()
        .find(|(short, day)| lower == *short || lower == format!("{day:?}").to_ascii_lowercase());
    found
        .map(|(_, day)| *day)
        .ok_or_else(|| format!("\"{name}\" is not a day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun"))
}
