//! Minimums and maximums for a time: which hold now, and when that changes next.
//!
//! Owns calendars and time zones, which the decision core does not know. A wall-clock time that a clock change skips counts
//! as far after the change as it would have been; one that comes twice counts the first time (the "compatible" choice of
//! RFC 5545), or both times in a cron expression that names no hour.

use std::time::Duration;

use cronexpr::Crontab;
use jiff::civil::{self, Weekday};
use jiff::fmt::strtime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};
use jitsi_web::document::{Field, OneOrMany, Problems, Wait};

use super::parse::{self, unique};
use super::raw::{RawSchedule, Text};
use crate::decide::observation::Bounds;
use crate::units::{Capacity, Time};

/// How far ahead the next occurrence is searched for, in days; none may last longer.
const HORIZON_DAYS: i64 = 8;
/// No clock change moves a clock by more than this.
const LONGEST_CLOCK_CHANGE: Duration = Duration::from_hours(3);

/// A minimum, a maximum or both, at recurring times.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Unique in its fleet.
    pub name: String,
    /// The bounds that hold then.
    pub bounds: Bounds,
    occurs: Occurs,
    timezone: TimeZone,
}

#[derive(Clone, Debug)]
enum Occurs {
    /// On days of the week, from a time of day to another, which is on the next day if it is not later.
    Weekly { days: Vec<Weekday>, from: civil::Time, to: civil::Time },
    /// From each time of a cron expression on.
    Cron {
        /// Its times are those of the wall clock, written as if they were UTC.
        crontab: Box<Crontab>,
        /// Whether it names no hour (`*`, `*/2`): then an hour that comes twice counts twice, or the schedule would end
        /// in an hour in which it holds on other days.
        any_hour: bool,
        duration: Duration,
    },
}

/// The bounds that the schedules of a fleet set at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// The largest minimum and the smallest maximum of those that hold.
    pub bounds: Bounds,
    /// The names of the schedules that hold.
    pub names: Vec<String>,
    /// When one begins or ends next; `None` if none does within the next week.
    pub next_change: Option<Time>,
}

impl InForce {
    /// The bounds that `schedules` set at `now`.
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
            Occurs::Cron { crontab, any_hour, duration } => {
                let times = |after| self.cron_times(crontab, *any_hour, after);
                let begun = times(now.before(*duration))
                    .take_while(|at| *at <= now.after(LONGEST_CLOCK_CHANGE))
                    .filter(|at| *at <= now)
                    .max();
                let ends = begun.map(|at| at.after(*duration)).filter(|end| *end > now);
                let mut later = times(now).filter(|at| *at > now);
                let next = later.next().map(|first| {
                    let swapped = later.take_while(|at| *at < first.after(LONGEST_CLOCK_CHANGE));
                    swapped.fold(first, Time::min)
                });
                (ends, next)
            }
        }
    }

    /// The times of a cron expression from shortly before `after` on. Where the clock changes they are out of order, by at
    /// most [`LONGEST_CLOCK_CHANGE`].
    fn cron_times<'a>(
        &'a self,
        crontab: &'a Crontab,
        any_hour: bool,
        after: Time,
    ) -> impl Iterator<Item = Time> + 'a {
        let start = Timestamp::from_second(after.before(LONGEST_CLOCK_CHANGE).unix()).ok();
        let start = start.and_then(|at| TimeZone::UTC.to_timestamp(self.timezone.to_datetime(at)).ok());
        let start = start.and_then(|at| cronexpr::MakeTimestamp::from_second(at.as_second()).ok());
        let written = start.and_then(|at| crontab.iter_after(at).ok()).into_iter().flatten();
        written.map_while(Result::ok).flat_map(move |written| {
            let at = self.timezone.to_ambiguous_timestamp(written.datetime());
            let is_repeated = any_hour && matches!(at.offset(), AmbiguousOffset::Fold { .. });
            let again = is_repeated.then(|| at.later().ok()).flatten();
            at.compatible().ok().into_iter().chain(again).map(|at| Time::from_unix(at.as_second()))
        })
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
            let (begin, end) = (self.moment(date, from)?, self.moment(last, to)?);
            if begin < end {
                return Some((begin, end));
            }
            // A clock change moved the beginning to the end or past it: it lasts as long as on other days.
            let length = last.to_datetime(to).duration_since(date.to_datetime(from));
            Some((begin, begin.after(length.unsigned_abs())))
        })
    }

    fn moment(&self, date: civil::Date, time: civil::Time) -> Option<Time> {
        let at = self.timezone.to_timestamp(date.to_datetime(time)).ok()?;
        Some(Time::from_unix(at.as_second()))
    }
}

/// A part of every day.
#[derive(Clone, Debug)]
pub struct DailyWindow(Schedule);

impl DailyWindow {
    /// Whether `now` lies in it.
    #[must_use]
    pub fn is_open(&self, now: Time) -> bool {
        self.0.around(now).0.is_some()
    }

    /// Reads `days`, `from`, `to` and `timezone` of `recycle`.
    pub(super) fn read(
        days: Field<OneOrMany>,
        from: Text,
        to: Text,
        timezone: Text,
        problems: &Problems,
    ) -> Option<Self> {
        let zone = zone(timezone, problems);
        let occurs = weekly(days, from, to, problems);
        let bounds = Bounds::default();
        Some(Self(Schedule { name: String::new(), bounds, occurs: occurs?, timezone: zone? }))
    }
}

fn zone(raw: Text, problems: &Problems) -> Option<TimeZone> {
    let zone = raw.required(problems, "Europe/Paris").convert(problems, |name| {
        TimeZone::get(&name)
            .map_err(|_| format!("\"{name}\" is not an IANA time zone such as Europe/Paris or UTC"))
    });
    zone.take()
}

/// Reads one entry of `schedules:`; `others` are those above it, `limits` what the fleet may have at any time.
pub(super) fn read(
    raw: Field<RawSchedule>,
    others: &[Schedule],
    limits: Bounds,
    problems: &Problems,
) -> Option<Schedule> {
    let (at, raw) = raw.open()?;
    let name = raw.name.required(problems, "working-hours");
    let is_taken = |name: &str| others.iter().any(|other| other.name == name);
    let name = unique(name, problems, "schedule of this fleet", is_taken);
    let zone = zone(raw.timezone, problems);
    if raw.min.is_absent() && raw.max.is_absent() {
        at.wrong(problems, "sets neither `min` nor `max`; write for example `min: 10`");
    }
    let bounds = parse::bounds(&at, raw.min, raw.max, problems);
    if let (Some(min), Some(most)) = (bounds.min, limits.max)
        && min > most
    {
        let text = format!(
            "the minimum {min} is above `capacity.max`, {most}, and can never be reached; lower it, or raise the other"
        );
        at.wrong(problems, text);
    }
    if let (Some(max), Some(least)) = (bounds.max, limits.min)
        && max < least
    {
        let text = format!(
            "the maximum {max} is below `capacity.min`, {least}; lower that minimum, and raise it by schedules"
        );
        at.wrong(problems, text);
    }
    let occurs = if raw.cron.is_absent() {
        raw.duration
            .refuse(problems, "belongs to `cron`; write `days`, `from` and `to`, or `cron` and `duration`");
        weekly(raw.days, raw.from, raw.to, problems)
    } else {
        if !(raw.days.is_absent() && raw.from.is_absent() && raw.to.is_absent()) {
            at.wrong(problems, "write either `cron` and `duration`, or `days`, `from` and `to`");
        }
        by_cron(raw.cron, raw.duration, problems)
    };
    Some(Schedule { name: name.take()?, bounds, occurs: occurs?, timezone: zone? })
}

fn by_cron(cron: Text, duration: Field<Wait>, problems: &Problems) -> Option<Occurs> {
    let cron = cron.convert(problems, |text| {
        let any_hour = text.split_whitespace().nth(1).is_some_and(|hour| hour.starts_with('*'));
        let crontab = cronexpr::parse_crontab(&format!("{} UTC", text.trim()));
        crontab.map(|crontab| (Box::new(crontab), any_hour)).map_err(|_| {
            format!(
                "must be a cron expression of five fields (minute, hour, day, month, weekday) such as \"0 16 * * Fri\", \
                 not \"{text}\""
            )
        })
    });
    let duration = duration.required(problems, "2h").check(
        problems,
        |Wait(duration)| *duration > Duration::ZERO && *duration <= Duration::from_hours(24 * 7),
        "must be longer than 0s and at most 7d",
    );
    let (crontab, any_hour) = cron.take()?;
    Some(Occurs::Cron { crontab, any_hour, duration: duration.take()?.0 })
}

fn weekly(days: Field<OneOrMany>, from: Text, to: Text, problems: &Problems) -> Option<Occurs> {
    let days = days.convert(problems, |names| {
        let names = names.into_texts();
        if names.is_empty() {
            return Err("must name at least one day".to_owned());
        }
        names.iter().map(|name| weekday(name)).collect::<Result<Vec<_>, _>>()
    });
    let time = |raw: Text, example| {
        let time = raw.required(problems, example).convert(problems, |text| {
            text.parse::<civil::Time>()
                .map_err(|_| format!("must be a time of day such as \"07:00\", not \"{text}\""))
        });
        time.take()
    };
    let (from, to) = (time(from, "\"07:00\""), time(to, "\"19:00\""));
    let every_day = Weekday::Monday.cycle_forward().take(7).collect();
    Some(Occurs::Weekly { days: days.or(every_day)?, from: from?, to: to? })
}

/// A day by its first three letters or its whole name.
fn weekday(name: &str) -> Result<Weekday, String> {
    let named = |format| strtime::parse(format, name).ok()?.weekday();
    named("%a")
        .or_else(|| named("%A"))
        .ok_or_else(|| format!("\"{name}\" is not a day; write Mon, Tue, Wed, Thu, Fri, Sat or Sun"))
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;
    use crate::config::sample::{self, GROUPS, OUT};

    /// The one schedule of a configuration.
    fn schedules(entries: &str) -> Vec<Schedule> {
        let fleet = format!("{GROUPS}\n    schedules: [{entries}]");
        sample::config(&fleet, &format!("expr: x\n        {OUT}")).fleets.remove(0).schedules
    }

    fn at(text: &str) -> Time {
        Time::parse(text).expect("a moment")
    }

    const WORKING_HOURS: &str = "{name: a, days: [Mon, Tue, Wed, Thu, Fri], from: '07:00', to: '19:00', timezone: Europe/Paris, min: 10}";
    const OVER_MIDNIGHT: &str = "{name: a, days: [Sat], from: '22:00', to: '06:00', timezone: UTC, max: 3}";
    const ALL_HANDS: &str =
        "{name: a, cron: '0 16 * * Fri', duration: 2h, timezone: America/New_York, min: 30}";

    // 2026-11-20 is a Friday; Paris is an hour ahead of UTC in winter, New York five hours behind, and four in summer.
    #[test_case(WORKING_HOURS, "2026-11-20T05:59:59Z", false, "2026-11-20T06:00:00Z"; "working hours: a second before it begins")]
    #[test_case(WORKING_HOURS, "2026-11-20T06:00:00Z", true, "2026-11-20T18:00:00Z"; "working hours: as it begins")]
    #[test_case(WORKING_HOURS, "2026-11-20T17:59:59Z", true, "2026-11-20T18:00:00Z"; "working hours: a second before it ends")]
    #[test_case(WORKING_HOURS, "2026-11-20T18:00:00Z", false, "2026-11-23T06:00:00Z"; "working hours: as it ends, before a weekend")]
    #[test_case(WORKING_HOURS, "2026-11-22T12:00:00Z", false, "2026-11-23T06:00:00Z"; "working hours: on a Sunday")]
    #[test_case(OVER_MIDNIGHT, "2026-11-21T21:59:59Z", false, "2026-11-21T22:00:00Z"; "over midnight: before")]
    #[test_case(OVER_MIDNIGHT, "2026-11-22T00:00:00Z", true, "2026-11-22T06:00:00Z"; "over midnight: past midnight it is still Saturday's")]
    #[test_case(OVER_MIDNIGHT, "2026-11-22T06:00:00Z", false, "2026-11-28T22:00:00Z"; "over midnight: after")]
    #[test_case(OVER_MIDNIGHT, "2026-11-22T22:00:00Z", false, "2026-11-28T22:00:00Z"; "over midnight: not on Sunday")]
    #[test_case(ALL_HANDS, "2026-11-20T20:59:59Z", false, "2026-11-20T21:00:00Z"; "all hands: before")]
    #[test_case(ALL_HANDS, "2026-11-20T21:00:00Z", true, "2026-11-20T23:00:00Z"; "all hands: as it begins")]
    #[test_case(ALL_HANDS, "2026-11-20T22:59:59Z", true, "2026-11-20T23:00:00Z"; "all hands: a second before it ends")]
    #[test_case(ALL_HANDS, "2026-11-20T23:00:00Z", false, "2026-11-27T21:00:00Z"; "all hands: as it ends")]
    #[test_case(ALL_HANDS, "2026-07-03T20:00:00Z", true, "2026-07-03T22:00:00Z"; "all hands: in summer")]
    fn a_schedule_holds_at_its_times(schedule: &str, moment: &str, holds: bool, next: &str) {
        let in_force = InForce::at(&schedules(schedule), at(moment));
        let next_change = in_force.next_change.map(|at| at.to_string()).unwrap_or_default();
        assert_eq!(
            (!in_force.names.is_empty(), next_change.as_str()),
            (holds, next),
            "{schedule} at {moment}"
        );
    }

    // In New York clocks go from 02:00 to 03:00 on 2026-03-08 (07:00Z), and from 02:00 back to 01:00 on 2026-11-01 (06:00Z).
    // In Sydney they go back from 03:00 to 02:00 on 2026-04-05 (2026-04-04T16:00Z), and from 02:00 to 03:00 on 2026-10-04
    // (2026-10-03T16:00Z).
    #[test_case("America/New_York", "01:30", "04:00", "2026-03-08T06:30:00Z", "2026-03-08T08:00:00Z"; "New York, a short night")]
    #[test_case("America/New_York", "02:30", "04:00", "2026-03-08T07:30:00Z", "2026-03-08T08:00:00Z"; "New York, from a time that is skipped")]
    #[test_case("America/New_York", "02:30", "03:30", "2026-03-08T07:30:00Z", "2026-03-08T08:30:00Z"; "New York, from a time that is skipped to where it counts")]
    #[test_case("America/New_York", "02:45", "03:15", "2026-03-08T07:45:00Z", "2026-03-08T08:15:00Z"; "New York, from a time that is skipped to one before it counts")]
    #[test_case("America/New_York", "00:30", "04:00", "2026-11-01T04:30:00Z", "2026-11-01T09:00:00Z"; "New York, a long night")]
    #[test_case("America/New_York", "01:30", "04:00", "2026-11-01T05:30:00Z", "2026-11-01T09:00:00Z"; "New York, from a time that comes twice")]
    #[test_case("Australia/Sydney", "02:30", "05:00", "2026-04-04T15:30:00Z", "2026-04-04T19:00:00Z"; "Sydney, from a time that comes twice")]
    #[test_case("Australia/Sydney", "02:30", "05:00", "2026-10-03T16:30:00Z", "2026-10-03T18:00:00Z"; "Sydney, from a time that is skipped")]
    fn through_clock_changes(zone: &str, from: &str, to: &str, begins: &str, ends: &str) {
        let schedule = format!("{{name: a, from: '{from}', to: '{to}', timezone: {zone}, min: 1}}");
        let just_before = at(begins).before(Duration::from_secs(1)).to_string();
        a_schedule_holds_at_its_times(&schedule, &just_before, false, begins);
        a_schedule_holds_at_its_times(&schedule, begins, true, ends);
        let before_the_end = at(ends).before(Duration::from_secs(1)).to_string();
        a_schedule_holds_at_its_times(&schedule, &before_the_end, true, ends);
        let in_force = InForce::at(&schedules(&schedule), at(ends));
        assert_eq!(in_force.names.len(), 0);
    }

    #[test_case("30 2 * * Sun", "12h", "2026-03-08T07:29:59Z", false, "2026-03-08T07:30:00Z"; "before a time that is skipped")]
    #[test_case("30 2 * * Sun", "12h", "2026-03-08T07:30:00Z", true, "2026-03-08T19:30:00Z"; "at a time that is skipped")]
    #[test_case("30 2 * * Sun", "12h", "2026-03-08T19:30:00Z", false, "2026-03-15T06:30:00Z"; "after a time that is skipped")]
    #[test_case("0 2,4 8 3 *", "1h", "2026-03-08T07:00:00Z", true, "2026-03-08T08:00:00Z"; "one of two is skipped")]
    #[test_case("30 1 * * Sun", "12h", "2026-11-01T05:30:00Z", true, "2026-11-01T17:30:00Z"; "at a time that comes twice")]
    #[test_case("30 1 * * Sun", "12h", "2026-11-01T17:29:59Z", true, "2026-11-01T17:30:00Z"; "as the first of two ends")]
    #[test_case("30 1 * * Sun", "12h", "2026-11-01T17:30:00Z", false, "2026-11-08T06:30:00Z"; "the second of two is none")]
    #[test_case("*/30 * * * *", "30m", "2026-11-01T06:10:00Z", true, "2026-11-01T06:30:00Z"; "every hour, also the one that comes twice")]
    #[test_case("*/30 * * * *", "30m", "2026-03-08T07:10:00Z", true, "2026-03-08T07:30:00Z"; "every hour, past one that is skipped")]
    fn by_cron_through_clock_changes(cron: &str, duration: &str, moment: &str, holds: bool, next: &str) {
        let schedule =
            format!("{{name: a, cron: '{cron}', duration: {duration}, timezone: America/New_York, min: 1}}");
        a_schedule_holds_at_its_times(&schedule, moment, holds, next);
    }

    #[test]
    fn the_largest_floor_and_the_smallest_ceiling_hold() {
        let entries = "{name: a, from: '00:00', to: '00:00', timezone: UTC, min: 3, max: 9}, \
                       {name: b, from: '00:00', to: '00:00', timezone: UTC, min: 5}, \
                       {name: c, from: '00:00', to: '00:00', timezone: UTC, max: 7}, \
                       {name: d, from: '10:00', to: '11:00', timezone: UTC, min: 50}";
        let in_force = InForce::at(&schedules(entries), at("2026-11-20T09:00:00Z"));
        let bound = |bound: Option<Capacity>| bound.map(Capacity::get);
        assert_eq!((bound(in_force.bounds.min), bound(in_force.bounds.max)), (Some(5), Some(7)));
        assert_eq!(in_force.names, ["a", "b", "c"]);
        assert_eq!(in_force.next_change, Some(at("2026-11-20T10:00:00Z")));
    }
}
