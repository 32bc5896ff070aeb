//! What the core is told of schedules: which instants are due, and which comes next.
//!
//! Holds the parsed form of the expressions in use, bounded; the state holds their text.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::core::command::{DueSchedule, TaskDefinition};
use crate::core::event::ScheduleMoved;
use crate::core::id::TaskId;
use crate::core::limits;
use crate::core::policy::{Missed, TaskPolicy};
use crate::core::schedule::{Due, Rule, Schedule, Zone};
use crate::core::state::State;
use crate::core::state::task::Task;
use crate::core::time::Timestamp;

/// Parsed expressions kept; about 200 bytes each.
const RULES_MAX: usize = 16 * 1024;
/// A clock set back by more than this is taken at its word: schedules start anew from there.
/// Vixie cron's own bound for a correction that it follows smoothly.
const CORRECTION_MAX: Duration = Duration::from_secs(3 * 3600);

/// Evaluates schedules.
#[derive(Debug, Default)]
pub struct Calendar {
    rules: HashMap<String, Option<Rule>>,
    zones: HashMap<String, Option<Zone>>,
}

impl Calendar {
    /// A task as the config has it, with the first instant of each of its schedules.
    pub fn define(&mut self, name: Box<str>, policy: TaskPolicy, now: Timestamp) -> TaskDefinition {
        let next = policy.schedules.iter().map(|text| self.next_after(&policy, text, now, now)).collect();
        TaskDefinition { name, policy, next }
    }

    /// The schedules with instants up to `now`, at most `max` of them.
    pub fn due(&mut self, state: &State, now: Timestamp, max: usize) -> Vec<DueSchedule> {
        let due = state.index().schedules.iter().take_while(|(at, ..)| *at <= now).take(max);
        let due: Vec<_> = due.map(|(_, task, number)| (*task, *number)).collect();
        due.into_iter().filter_map(|(task, number)| self.decide(state.task(task)?, number, now)).collect()
    }

    /// The schedules with instants up to `now` that are not in these tasks any more, and whether their task is.
    pub fn leaving(
        &mut self,
        state: &State,
        tasks: &BTreeMap<&str, &TaskPolicy>,
        now: Timestamp,
    ) -> Vec<(DueSchedule, bool)> {
        let mut leaving = Vec::new();
        for task in state.tasks().filter(|task| !task.removed) {
            let new = tasks.get(&*task.name);
            let same = new.filter(|new| new.same_calendar(&task.policy));
            for (number, text) in task.policy.schedules.iter().enumerate() {
                let is_due = task.schedules.get(number).and_then(|place| place.next).is_some_and(|next| next <= now);
                if is_due && same.is_none_or(|same| !same.schedules.contains(text)) {
                    leaving.extend(self.decide(task, number as u16, now).map(|due| (due, new.is_some())));
                }
            }
        }
        leaving
    }

    /// The schedules of a task that are due at `now`, or whose next instant is not the one noted.
    pub fn audit(&mut self, task: &Task, now: Timestamp) -> Vec<DueSchedule> {
        let numbers = 0..if task.is_active() { task.schedules.len() as u16 } else { 0 };
        let looked_at = numbers.filter_map(|number| {
            let due = self.decide(task, number, now)?;
            let noted = task.schedules[number as usize].next;
            (!due.instants.is_empty() || due.next != noted).then_some(due)
        });
        looked_at.collect()
    }

    /// The schedules that are for the start of the machine, due at `now`.
    pub fn reboots(&mut self, state: &State, now: Timestamp) -> Vec<DueSchedule> {
        let mut due = Vec::new();
        for task in state.tasks().filter(|task| task.is_active()) {
            for (number, text) in task.policy.schedules.iter().enumerate() {
                if self.rule(text).is_some_and(|rule| rule.is_reboot()) {
                    // A task that is new is decided up to now, so this start comes a moment after.
                    let decided = task.schedules.get(number).map_or(now, |place| place.decided);
                    let instants = vec![now.max(decided.shifted(1))];
                    let (task, schedule) = (task.id, number as u16);
                    due.push(DueSchedule { task, schedule, instants, next: None, make_up_from: None });
                }
            }
        }
        due
    }

    /// Where schedules go on after the wall clock was set by `milliseconds` to `now`.
    pub fn step(&mut self, state: &State, milliseconds: i64, now: Timestamp) -> Vec<ScheduleMoved> {
        let anew = milliseconds < -(CORRECTION_MAX.as_millis() as i64);
        let mut moved = Vec::new();
        for task in state.tasks().filter(|task| !task.removed) {
            for (number, text) in task.policy.schedules.iter().enumerate() {
                let place = task.schedules[number];
                let rule = self.rule(text);
                let every = rule.as_ref().is_some_and(|rule| rule.every().is_some());
                let (decided, next) = if rule.is_some_and(|rule| rule.is_reboot()) {
                    if place.decided <= now {
                        continue;
                    }
                    (now, None)
                } else if every {
                    // Intervals are lengths of time: they move along with the clock.
                    (place.decided.shifted(milliseconds), place.next.map(|next| next.shifted(milliseconds)))
                } else if anew {
                    (now, self.next_after(&task.policy, text, now, now))
                } else {
                    continue;
                };
                moved.push(ScheduleMoved { task: task.id, schedule: number as u16, decided, next });
            }
        }
        moved
    }

    /// Coming instants of a task after `from`, each with the number of its schedule.
    pub fn coming(&mut self, task: &Task, from: Timestamp, count: usize) -> Vec<Timestamp> {
        let mut all = Vec::new();
        for (number, text) in task.policy.schedules.iter().enumerate() {
            let anchor = task.schedules.get(number).map_or(from, |place| place.decided);
            let Some(schedule) = self.schedule(&task.policy, text, anchor) else { continue };
            let until = task.policy.until;
            let begin = after_from(&task.policy, from);
            all.extend(schedule.after(begin).take_while(|at| until.is_none_or(|until| *at < until)).take(count));
        }
        all.sort_unstable();
        all.dedup();
        all.truncate(count);
        all
    }

    fn decide(&mut self, task: &Task, number: u16, now: Timestamp) -> Option<DueSchedule> {
        let place = *task.schedules.get(number as usize)?;
        let text = task.policy.schedules.get(number as usize)?;
        let until = task.policy.until;
        let Some(schedule) = self.schedule(&task.policy, text, place.decided) else {
            return place.next.map(|_| never(task.id, number));
        };
        let begin = after_from(&task.policy, place.decided);
        let bound = until.map_or(now, |until| now.min(until.shifted(-1)));
        let Due { instants, next } = schedule.due(begin, bound, limits::OCCURRENCES_PER_COMMAND_MAX);
        let make_up_from = (task.policy.missed == Missed::All && instants.len() > 1)
            .then(|| schedule.newest_start(begin, bound, task.policy.missed_max as usize).shifted(1));
        let next = next.filter(|next| until.is_none_or(|until| *next < until));
        Some(DueSchedule { task: task.id, schedule: number, instants, next, make_up_from })
    }

    fn next_after(
        &mut self,
        policy: &TaskPolicy,
        text: &str,
        after: Timestamp,
        anchor: Timestamp,
    ) -> Option<Timestamp> {
        let next = self.schedule(policy, text, anchor)?.next_after(after_from(policy, after))?;
        policy.until.is_none_or(|until| next < until).then_some(next)
    }

    fn schedule(&mut self, policy: &TaskPolicy, text: &str, anchor: Timestamp) -> Option<Schedule> {
        let rule = self.rule(text)?;
        if !self.zones.contains_key(&policy.timezone) {
            self.zones.insert(policy.timezone.clone(), Zone::get(&policy.timezone).ok());
        }
        let zone = self.zones.get(&policy.timezone)?.clone()?;
        Some(Schedule { rule, zone, dst: policy.dst, anchor })
    }

    /// The parsed form of an expression; `None` for one that was valid when it was loaded and is not any more.
    fn rule(&mut self, text: &str) -> Option<Rule> {
        if let Some(rule) = self.rules.get(text) {
            return *rule;
        }
        if self.rules.len() >= RULES_MAX {
            self.rules.clear();
        }
        let rule = Rule::parse(text).ok();
        self.rules.insert(text.to_owned(), rule);
        rule
    }
}

/// The instant after which a task's occurrences begin.
fn after_from(policy: &TaskPolicy, after: Timestamp) -> Timestamp {
    policy.from.map_or(after, |from| after.max(from.shifted(-1)))
}

fn never(task: TaskId, schedule: u16) -> DueSchedule {
    DueSchedule { task, schedule, instants: Vec::new(), next: None, make_up_from: None }
}
