//! Scheduled actions of a group → schedules.
//!
//! An action sets a bound at a moment, and the bound stays until another action sets it. A schedule holds for a time. So the
//! lowest minimum and the highest maximum are taken for those of the group, and each other one lasts until the next action.

use std::collections::BTreeSet;

use cronexpr::Crontab;
use jiff::tz::TimeZone;

use super::model::{Choice, ImportedSchedule, free_name};
use super::raw::ScheduledAction;
use crate::units::Capacity;

/// 2026-01-01T00:00:00Z: from here on the times of all actions are compared.
const START: i64 = 1_767_225_600;
/// For so long: every day of the year comes in it, and the last of them is followed by another action.
const SPAN: i64 = 400 * 86_400;
/// An action that recurs more often than hourly bounds nothing for a time.
const MOST_TIMES: usize = 400 * 24;
/// The longest time that a schedule can hold.
const LONGEST: i64 = 7 * 86_400;

/// The schedules of a group, and what is to be known about them.
pub(super) fn schedules(group: &str, actions: &[&ScheduledAction]) -> (Vec<ImportedSchedule>, Vec<String>) {
    let times: Vec<Option<Vec<i64>>> = actions.iter().map(|action| times(action)).collect();
    let zones: BTreeSet<&str> = actions.iter().map(|action| zone(action)).collect();
    let [min, max] = [|action: &ScheduledAction| action.min_size, |action: &ScheduledAction| action.max_size]
        .map(|of| Setters::new(actions, of));
    let (mut schedules, mut remarks) = (Vec::<ImportedSchedule>::new(), Vec::new());
    for (number, action) in actions.iter().enumerate() {
        let (is_raised, is_lowered) = (min.holds(action, min.lowest), max.holds(action, max.highest));
        let bounds = bounds(action, is_raised, is_lowered);
        let name = &action.scheduled_action_name;
        if bounds.is_empty() {
            remarks.push(format!(
                "The scheduled action \"{name}\" only ends what the others set: no schedule stands for it."
            ));
            continue;
        }
        let ends = [(is_raised, &min), (is_lowered, &max)].map(|(is_set, setters)| is_set.then_some(setters));
        let ends = ends.into_iter().flatten().map(|setters| setters.until_next(number, &times));
        let known: BTreeSet<Option<i64>> = ends.collect();
        let duration = match known.into_iter().collect::<Vec<_>>().as_slice() {
            [Some(seconds)]
                if zones.len() == 1 && bounds.iter().all(|(key, _)| matches!(key, Choice::Made(_))) =>
            {
                Choice::Made(seconds.unsigned_abs())
            }
            _ => Choice::Open("how long it holds, at most 7d: the actions of AWS do not say it".to_owned()),
        };
        let mut own = Vec::new();
        if let Some(end) = &action.end_time {
            own.push(format!("AWS stops this action at {end}; delete the schedule then."));
        }
        if action.desired_capacity.is_some() {
            own.push(
                "AWS also set the desired capacity, once. Here a schedule raises or lowers only to its bounds, and the \
                 policies do the rest."
                    .to_owned(),
            );
        }
        let timezone = zone(action);
        let timezone = match TimeZone::get(timezone) {
            Ok(_) => Choice::Made(timezone.to_owned()),
            Err(_) => Choice::Open(format!("a time zone such as Europe/Paris; AWS: {timezone}")),
        };
        let taken = |name: &str| schedules.iter().any(|schedule| schedule.name == name);
        let name = free_name(name, taken);
        schedules.push(ImportedSchedule {
            name,
            cron: cron(action),
            duration,
            timezone,
            bounds,
            remarks: own,
        });
    }
    if !schedules.is_empty() {
        remarks.extend(command(
            group,
            [min.flag("--min-size", min.lowest), max.flag("--max-size", max.highest)],
        ));
    }
    (schedules, remarks)
}

/// The actions that set one of the bounds.
struct Setters {
    /// Their positions.
    who: Vec<usize>,
    of: fn(&ScheduledAction) -> Option<u32>,
    lowest: Option<u32>,
    highest: Option<u32>,
}

impl Setters {
    fn new(actions: &[&ScheduledAction], of: fn(&ScheduledAction) -> Option<u32>) -> Self {
        let who = (0..actions.len()).filter(|number| of(actions[*number]).is_some()).collect();
        let bounds = || actions.iter().filter_map(|action| of(action));
        Self { who, of, lowest: bounds().min(), highest: bounds().max() }
    }

    /// Whether `action` sets another bound than `usual`, that of the group. What a single action sets, no other ends.
    fn holds(&self, action: &ScheduledAction, usual: Option<u32>) -> bool {
        let own = (self.of)(action);
        own.is_some() && (own != usual || self.who.len() == 1)
    }

    /// How long the bound of action `number` lasts, if that is the same each time.
    fn until_next(&self, number: usize, times: &[Option<Vec<i64>>]) -> Option<i64> {
        let own = times[number].as_ref()?;
        let mut all: Vec<i64> = Vec::new();
        for other in &self.who {
            all.extend(times[*other].as_ref()?);
        }
        all.sort_unstable();
        let lasts = own.iter().filter_map(|at| all.iter().find(|next| *next > at).map(|next| next - at));
        let lasts: BTreeSet<i64> = lasts.collect();
        let one = (lasts.len() == 1).then(|| lasts.first().copied()).flatten();
        one.filter(|lasts| *lasts <= LONGEST && self.who.len() > 1)
    }

    /// The flag that sets the bound to `usual` again, if others set other bounds.
    fn flag(&self, flag: &str, usual: Option<u32>) -> Option<String> {
        usual.filter(|_| self.who.len() > 1).map(|usual| format!(" {flag} {usual}"))
    }
}

/// What to do once the actions are gone.
fn command(group: &str, flags: [Option<String>; 2]) -> Option<String> {
    let flags: String = flags.into_iter().flatten().collect();
    (!flags.is_empty()).then(|| {
        format!(
            "Once the scheduled actions are deleted, give the group its usual bounds: aws autoscaling \
             update-auto-scaling-group --auto-scaling-group-name {group}{flags}"
        )
    })
}

fn zone(action: &ScheduledAction) -> &str {
    action.time_zone.as_deref().unwrap_or("UTC")
}

fn crontab(action: &ScheduledAction) -> Option<Crontab> {
    cronexpr::parse_crontab(&format!("{} UTC", action.recurrence.as_ref()?.trim())).ok()
}

fn cron(action: &ScheduledAction) -> Choice<String> {
    match (&action.recurrence, crontab(action)) {
        (Some(cron), Some(_)) => Choice::Made(cron.clone()),
        (Some(cron), None) => Choice::Open(format!("a cron expression of five fields; AWS: {cron}")),
        (None, _) => {
            let start = action.start_time.as_deref().unwrap_or("an unknown time");
            Choice::Open(format!(
                "a cron expression of five fields, which recurs; AWS acts once, at {start}, or delete this schedule"
            ))
        }
    }
}

/// When an action acts, on the clock of its zone; `None` if that cannot be told.
fn times(action: &ScheduledAction) -> Option<Vec<i64>> {
    let crontab = crontab(action)?;
    let start = cronexpr::MakeTimestamp::from_second(START).ok()?;
    let times = crontab.iter_after(start).ok()?.map_while(Result::ok).map(|at| at.timestamp().as_second());
    let times: Vec<i64> = times.take_while(|at| *at < START + SPAN).take(MOST_TIMES).collect();
    (times.len() < MOST_TIMES).then_some(times)
}

/// The bounds of the schedule that stands for `action`; none if it only ends what others set.
fn bounds(
    action: &ScheduledAction,
    is_raised: bool,
    is_lowered: bool,
) -> Vec<(Choice<&'static str>, Choice<u32>)> {
    let ScheduledAction { min_size: min, max_size: max, desired_capacity: desired, .. } = action;
    let count = |count: u32| match Capacity::try_new(count) {
        Some(_) => Choice::Made(count),
        None => Choice::Open(format!("AWS: {count}")),
    };
    let mut bounds = Vec::new();
    match (min, desired) {
        (Some(min), Some(desired)) if desired > min => {
            let words = format!(
                "{desired} or {min}: AWS set the desired capacity to {desired} once, and the minimum to {min}"
            );
            bounds.push((Choice::Made("min"), Choice::Open(words)));
        }
        (Some(min), _) if is_raised => bounds.push((Choice::Made("min"), count(*min))),
        (None, Some(desired)) if Some(desired) != max.as_ref() => {
            let words = format!("min or max: AWS set the desired capacity to {desired} once");
            bounds.push((Choice::Open(words), count(*desired)));
        }
        _ => {}
    }
    if let Some(max) = max.filter(|_| is_lowered) {
        let value =
            if min.is_some_and(|min| min > max) { Choice::Open(format!("AWS: {max}")) } else { count(max) };
        bounds.push((Choice::Made("max"), value));
    }
    bounds
}
