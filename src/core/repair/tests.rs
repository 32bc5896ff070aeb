//! Each invariant of the state, broken on purpose: it is found, mended, and then the state is healthy again.

use super::*;
use crate::core::decide::decide;
use crate::core::event::*;
use crate::core::id::TaskId;
use crate::core::json::Json;
use crate::core::lifecycle::JobState;
use crate::core::limits;
use crate::core::policy::{OnInterrupt, TaskPolicy};
use crate::core::view::Progress;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn job(state: &mut State, number: u64, key: Option<&str>, due: i64, occurrence: Option<i64>) {
    let added = JobAdded {
        job: JobId(number),
        task: TaskId(1),
        priority: 5,
        due: NOW.shifted(due),
        relative: due > 0,
        key: key.map(Into::into),
        args: Json::null(),
        occurrence: occurrence.map(|at| Occurrence { schedule: 0, at: Timestamp(at) }),
    };
    state.apply(&added.into(), NOW);
}

fn defined(on_interrupt: OnInterrupt) -> Event {
    let policy = TaskPolicy { on_interrupt, concurrency: 4, ..TaskPolicy::default() };
    TaskDefined { task: TaskId(1), name: "mail".into(), policy, next: vec![] }.into()
}

/// Six jobs: two that run, one that waits, one for later, one of an occurrence, one interrupted and held.
fn state() -> State {
    let mut state = State::default();
    state.apply(&defined(OnInterrupt::Hold), NOW);
    for number in [1, 2, 6] {
        job(&mut state, number, Some("key").filter(|_| number == 1), 0, None);
        state.apply(&AttemptStarted { job: JobId(number), attempt: 1 }.into(), NOW);
    }
    job(&mut state, 3, None, 0, None);
    job(&mut state, 4, Some("other"), 10_000, None);
    job(&mut state, 5, None, 0, Some(77));
    state.apply(&JobInterrupted { job: JobId(6), reason: "killed".into(), suspect: false }.into(), NOW);
    state.apply(&JobHeld { job: JobId(6), reason: "held".into() }.into(), NOW);
    state
}

/// All that a sweep finds, slice by slice.
fn find(state: &State, outside: &Outside) -> Vec<Proposal> {
    let look = Look { state, now: NOW, outside };
    let (mut found, mut place) = (Vec::new(), Some(Place::FIRST));
    while let Some(at) = place {
        let (proposals, next) = slice(&look, at);
        found.extend(proposals);
        place = next;
    }
    found.extend(at_leisure(&state.picture(), &Census::of(state.index())));
    found
}

fn names(state: &State) -> Vec<String> {
    find(state, &Outside::default()).into_iter().map(|it| it.finding.invariant.into()).collect()
}

fn mend(state: &mut State) {
    for proposal in find(state, &Outside::default()) {
        match proposal.fix {
            Fix::None => {}
            Fix::Reindex => state.reindex(),
            Fix::Run(command) => {
                let mut events = Vec::new();
                decide(state, &command, NOW, &mut events).unwrap();
                events.iter().for_each(|event| state.apply(event, NOW));
            }
        }
    }
}

#[track_caller]
fn broken(mut state: State, names_found: &[&str]) -> State {
    assert_eq!(names(&state), names_found);
    mend(&mut state);
    // What was released is interrupted now, and decided next.
    mend(&mut state);
    assert_eq!(names(&state), Vec::<String>::new(), "it is mended");
    state
}

#[test]
fn a_healthy_state_has_no_finding() {
    assert_eq!(names(&state()), Vec::<String>::new());
    assert_eq!(names(&State::default()), Vec::<String>::new());
}

#[test]
fn every_invariant_has_a_name_of_its_own() {
    let mut names: Vec<_> = INVARIANTS.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), INVARIANTS.len());
}

#[test]
fn a_job_is_held_no_longer_than_its_task_asks_for_a_person() {
    let mut state = state();
    state.apply(&defined(OnInterrupt::Retry), NOW);
    let state = broken(state, &["held-jobs"]);
    assert_eq!(state.job(JobId(6)).unwrap().state, JobState::Available);
}

#[test]
fn a_quarantined_job_stays_held_whatever_the_policy_and_so_does_one_without_its_task() {
    let mut quarantined = state();
    let mut durable = quarantined.picture();
    durable.jobs.get_mut_in_tests(JobId(6)).crashes = limits::CRASHES_MAX;
    quarantined = State::from_durable(durable);
    quarantined.apply(&defined(OnInterrupt::Retry), NOW);
    assert_eq!(names(&quarantined), Vec::<String>::new());
    let mut removed = state();
    removed.apply(&defined(OnInterrupt::Retry), NOW);
    removed.apply(&TaskRemoved { task: TaskId(1) }.into(), NOW);
    assert_eq!(names(&removed), ["orphaned-jobs"]);
}

#[test]
fn jobs_of_a_task_that_is_gone_are_told_and_left_alone() {
    let mut state = state();
    state.apply(&TaskRemoved { task: TaskId(1) }.into(), NOW);
    let before = state.clone();
    let found = find(&state, &Outside::default());
    assert_eq!(found.len(), 1, "one for the task: {found:?}");
    let told = |found: &[Proposal]| (found[0].finding.explanation.clone(), found[0].finding.action.clone());
    let (explanation, action) = told(&found);
    assert!(explanation.ends_with("of its jobs 2 run and 4 wait"), "{explanation}");
    assert!(action.contains("goes on to its end, the others when the task is back"), "{action}");
    mend(&mut state);
    assert_eq!(state, before);
}

#[test]
fn a_running_job_without_an_attempt_is_interrupted() {
    let mut durable = state().picture();
    durable.running.remove(&JobId(2));
    let state = broken(State::from_durable(durable), &["jobs-without-an-attempt"]);
    assert_eq!(state.job(JobId(2)).unwrap().state, JobState::Interrupted);
    assert_eq!(state.job(JobId(1)).unwrap().state, JobState::Running, "the healthy one is left alone");
}

#[test]
fn an_attempt_without_a_job_gives_its_place_back() {
    let attempt = |attempt| Running {
        attempt,
        started: NOW,
        process: None,
        settled: true,
        stopping: None,
        progress: Progress::default(),
        output: 0,
    };
    let mut durable = state().picture();
    durable.running.insert(JobId(99), attempt(1));
    let state = broken(State::from_durable(durable), &["attempts-without-a-job"]);
    assert_eq!(state.running(JobId(99)), None);
    // The same number, another attempt: neither can be believed.
    let mut durable = state.picture();
    durable.running.insert(JobId(1), attempt(7));
    let state = broken(State::from_durable(durable), &["attempts-without-a-job"]);
    assert_eq!(state.running(JobId(1)), None);
}

#[test]
fn every_entry_of_the_index_is_missed_and_every_one_too_many_is_counted() {
    type Break = fn(&mut State);
    let breaks: [(Break, &[&str]); 8] = [
        (|state| state.index_mut().due.clear(), &["index-entries", "counters"]),
        (|state| state.index_mut().interrupted.clear(), &["index-entries", "counters"]),
        (|state| state.index_mut().queues.clear(), &["index-entries"; 6]),
        (|state| assert!(state.index_mut().due.insert((NOW, JobId(500)))), &["counters"]),
        (|state| assert!(state.index_mut().interrupted.insert(JobId(500))), &["counters"]),
        (
            |state| assert!(state.index_mut().queues.get_mut(&TaskId(1)).unwrap().running.insert(JobId(500))),
            &["counters"],
        ),
        (|state| state.index_mut().queues.get_mut(&TaskId(1)).unwrap().live += 1, &["counters"]),
        (|state| drop(state.index_mut().queues.insert(TaskId(9), Default::default())), &["counters"]),
    ];
    for (number, (break_it, expected)) in breaks.into_iter().enumerate() {
        let (mut state, whole) = (state(), state());
        break_it(&mut state);
        let found = names(&state);
        assert!(
            found.starts_with(&expected.iter().map(|it| it.to_string()).collect::<Vec<_>>()),
            "{number}: {found:?}"
        );
        mend(&mut state);
        assert_eq!(state, whole, "{number}: the index is what a restart would build");
    }
}

#[test]
fn an_occurrence_with_two_jobs_loses_the_later_one_unless_that_has_begun() {
    let mut twins = state();
    job(&mut twins, 7, None, 0, Some(77));
    job(&mut twins, 8, None, 0, Some(78));
    let mended = broken(twins.clone(), &["occurrences-decided-twice"]);
    assert!(mended.job(JobId(7)).is_none() && mended.job(JobId(5)).is_some() && mended.job(JobId(8)).is_some());

    twins.apply(&AttemptStarted { job: JobId(7), attempt: 1 }.into(), NOW);
    assert_eq!(names(&twins), ["occurrences-decided-twice"]);
    let before = twins.clone();
    mend(&mut twins);
    assert_eq!(twins, before, "it has begun, so it is left alone");
}

#[test]
fn what_was_found_on_a_picture_is_decided_anew() {
    let mut state = state();
    job(&mut state, 7, None, 0, Some(77));
    let found = at_leisure(&state.picture(), &Census::of(state.index()));
    let Fix::Run(command) = &found[0].fix else { panic!("{found:?}") };
    // Meanwhile the first one ends.
    state.apply(&JobCancelled { job: JobId(5), reason: "asked to".into() }.into(), NOW);
    let mut events = Vec::new();
    decide(&state, command, NOW, &mut events).unwrap();
    assert_eq!(events, [], "the other one is the only one now");
}

#[test]
fn projections_are_neither_behind_nor_ahead() {
    let mut state = state();
    state.committed(crate::core::id::Seq(10), NOW);
    let at = |seq: u64| Outside {
        projections: vec![("history", crate::core::id::Seq(seq))],
        projected_by_now: crate::core::id::Seq(8),
        ..Outside::default()
    };
    let names = |seq| find(&state, &at(seq)).into_iter().map(|it| it.finding.invariant).collect::<Vec<_>>();
    assert_eq!(names(7), ["projections-behind".into()]);
    assert_eq!(names(8), []);
    assert_eq!(names(10), []);
    assert_eq!(names(11), ["projections-ahead".into()]);
}

#[test]
fn timers_in_the_past_are_found_when_nobody_can_have_overlooked_them() {
    let late = limits::LATE_AFTER.as_millis() as i64;
    for (past, expected) in [(late - 1000, 0), (late + 1000, 1)] {
        let mut state = state();
        let failed = AttemptFailed { job: JobId(1), error: "x".into(), retry_at: NOW.shifted(-past) };
        state.apply(&failed.into(), NOW);
        let found = names(&state);
        assert_eq!(found, vec!["past-timers"; expected], "{past} ms");
    }
}

#[test]
fn a_pass_sees_every_job_once_whatever_comes_and_goes() {
    let mut state = State::default();
    state.apply(&defined(OnInterrupt::Retry), NOW);
    (1..=2000).for_each(|number| job(&mut state, number, None, 0, None));
    let outside = Outside::default();
    let (mut place, mut slices) = (Some(Place::Jobs { from: JobId(0) }), 0);
    while let Some(at) = place {
        state.index_mut().queues.clear();
        let (found, next) = slice(&Look { state: &state, now: NOW, outside: &outside }, at);
        let missed = found.iter().filter(|it| &*it.finding.invariant == index::NAME).count();
        assert!(missed <= 256, "a slice is small: {missed}");
        slices += 1;
        place = next;
        if slices == 2 {
            // The next ones are gone, and one comes before those that were looked at.
            let durable = state.picture();
            state = State::from_durable(durable);
            (600..=1500).for_each(|id| state.apply(&JobCancelled { job: JobId(id), reason: "".into() }.into(), NOW));
        }
    }
    assert_eq!(slices, 2 + 3, "1,100 jobs are left, and an end is found");
}

fn noted(name: &str) -> Finding {
    Finding::new(name, "it", "broken".to_owned(), "mends it")
}

fn end(found: u32, fixed: u32, left: Option<Vec<Finding>>) -> Event {
    SweepFinished { door: Door::Timer, found, fixed, left }.into()
}

#[test]
fn the_last_report_is_kept_and_the_last_that_found_something() {
    let mut state = State::default();
    let apply = |state: &mut State, event: Event| state.apply(&event, NOW);
    let last = |state: &State| {
        let sweeps = &state.scalars().sweeps;
        let names = |report: &Option<Report>| {
            let findings = report.iter().flat_map(|report| &report.findings);
            findings.map(|finding| finding.invariant.to_string()).collect::<Vec<_>>()
        };
        (names(&sweeps.last), names(&sweeps.earlier))
    };
    apply(&mut state, SweepFound { findings: vec![noted("a")] }.into());
    apply(&mut state, end(2, 1, Some(vec![noted("b")])));
    assert_eq!(last(&state).0, ["a", "b"], "what was mended first");
    apply(&mut state, end(1, 0, None));
    assert_eq!(last(&state).0, ["b"], "what is left is as before");
    apply(&mut state, end(0, 0, Some(vec![])));
    apply(&mut state, end(0, 0, None));
    assert_eq!(last(&state), (vec![], vec!["b".to_owned()]));
    // A sweep that a crash broke off is not part of the next one.
    apply(&mut state, SweepFound { findings: vec![noted("c")] }.into());
    let started = DaemonStarted { version: "0".into(), pid: 1, boot_id: "b".into(), clean: false };
    apply(&mut state, started.into());
    apply(&mut state, end(0, 0, None));
    assert_eq!(last(&state), (vec![], vec!["b".to_owned()]));
}

#[test]
fn what_is_kept_of_findings_is_bounded() {
    let long = "x".repeat(10 * limits::FINDING_TEXT_BYTES_MAX);
    let finding = Finding::new("a", long.clone(), long.clone(), &long);
    let mut state = State::default();
    for _ in 0..3 {
        let findings = vec![finding.clone(); limits::FINDINGS_KEPT_MAX];
        state.apply(&SweepFound { findings: findings.clone() }.into(), NOW);
        state.apply(&end(1000, 500, Some(findings)), NOW);
    }
    let head = crate::core::state::picture::head(state.durable());
    assert!(head.len() < 1024 * 1024, "{} bytes in the head of a checkpoint", head.len());
}
