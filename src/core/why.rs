//! `daybook why JOB`: in a sentence, why a job is not running now, or why it ran.

use super::lifecycle::JobState;
use super::state::State;
use super::state::job::Job;
use super::state::task::Task;
use super::time::Timestamp;
use super::view::JobView;

/// Why a live job is where it is. `execution`: whether this daemon starts anything at all. `rests`: why its run begins
/// nothing at the moment, if the run itself knows of a reason.
pub fn live(state: &State, job: &Job, now: Timestamp, execution: bool, rests: Option<&str>) -> String {
    let Some(task) = state.task(job.task) else { return format!("job {} belongs to no task", job.id) };
    let rare = job.cold.rare();
    let error = rare.error.as_deref().unwrap_or("an unknown reason");
    if task.removed && job.state != JobState::Running {
        return orphaned(task, job);
    }
    match job.state {
        JobState::Scheduled => {
            format!("it waits for {}, in {}", job.due, length(job.due, now))
        }
        JobState::Available => available(state, task, job, execution),
        JobState::Running => running(state, task, job, execution, rests),
        JobState::Retryable if job.is_batch && job.due <= now => {
            format!(
                "run {} ended with failed items ({error}); the next sweep repairs it, or `daybook batch repair {}`",
                job.attempts, job.id
            )
        }
        JobState::Retryable if job.is_batch => format!(
            "run {} ended with failed items ({error}); the first sweep from {} on repairs it, or `daybook batch repair {}`",
            job.attempts, job.due, job.id
        ),
        JobState::Retryable => format!(
            "attempt {} failed ({error}); the next one is due at {}, in {}",
            job.attempts,
            job.due,
            length(job.due, now)
        ),
        JobState::Interrupted if rare.held => {
            format!("{error}; a person has to decide: `daybook retry {0}` or `daybook cancel {0}`", job.id)
        }
        JobState::Interrupted => format!("attempt {} was interrupted ({error}); the next sweep decides", job.attempts),
        JobState::Completed | JobState::Discarded | JobState::Cancelled => format!("it is {}", job.state),
    }
}

fn running(state: &State, task: &Task, job: &Job, execution: bool, rests: Option<&str>) -> String {
    let Some(running) = state.running(job.id) else { return "it runs".to_owned() };
    if let Some(reason) = &running.stopping {
        return format!("attempt {} is being ended: {reason}", running.attempt);
    }
    let origin = origin(job.cold.rare().occurrence.map(|occurrence| occurrence.at));
    let to_its_end = if task.removed { "; its task is gone from the config, it runs to its end" } else { "" };
    let begins_nothing = begins_nothing(task, execution).or_else(|| rests.map(str::to_owned));
    let begins_nothing = match begins_nothing.filter(|_| job.is_batch) {
        Some(why) => format!("; it begins no further item: {why}"),
        None => String::new(),
    };
    format!("attempt {} runs since {}: {origin}{to_its_end}{begins_nothing}", running.attempt, running.started)
}

/// Why nothing of this task is begun, neither a job nor an item of a batch that runs; `None` if it may be.
pub fn begins_nothing(task: &Task, execution: bool) -> Option<String> {
    if let Some(since) = task.paused_at {
        return Some(format!("task `{0}` is paused since {since}; `daybook resume {0}` lets it go on", task.name));
    }
    let idle = "this daemon takes jobs and starts none: `execution` is false, or it was drained";
    (!execution).then(|| idle.to_owned())
}

/// Why a job whose task has left the config stays where it is.
fn orphaned(task: &Task, job: &Job) -> String {
    let rare = job.cold.rare();
    let failed = match &rare.error {
        Some(error) => format!(" (attempt {}: {error})", job.attempts),
        None => String::new(),
    };
    let then = if rare.held { "can be retried" } else { "goes on" };
    format!(
        "it is orphaned: task `{}` is no longer in the config. It stays {}{failed} and {then} when the task is back, \
         unless somebody cancels it: `daybook cancel {}`",
        task.name, job.state, job.id
    )
}

fn available(state: &State, task: &Task, job: &Job, execution: bool) -> String {
    if let Some(why) = begins_nothing(task, execution) {
        return why;
    }
    if let Some(lock) = &job.cold.rare().lock
        && let Some(holder) = state.index().holder(lock)
    {
        return format!("it waits for {lock}, which job {} holds", holder.job());
    }
    let Some(queue) = state.index().queues.get(&job.task) else { return "it is about to start".to_owned() };
    let (running, places) = (queue.running.len(), task.policy.concurrency);
    let ahead = queue.ahead_of(job).unwrap_or(0);
    if running as u32 >= places {
        let first = queue.running.first().map_or_else(String::new, |first| format!(", job {first} for one"));
        return format!(
            "{running} of {places} places of task `{}` are taken{first}, and {ahead} jobs are ahead of it",
            task.name
        );
    }
    match queue.startable(task) {
        Some(next) if next == job.id => "it is about to start".to_owned(),
        Some(next) => format!("job {next} is about to start, and {ahead} jobs are ahead of it"),
        None => format!(
            "an earlier occurrence of task `{}` still runs, and its jobs of occurrences run one at a time",
            task.name
        ),
    }
}

/// Why a finished job ran, and how it ended.
pub fn finished(job: &JobView) -> String {
    let origin = match job.started_at {
        Some(started) => format!("it ran at {started}: {}", origin(job.scheduled_at)),
        None => format!("it never ran: {}", origin(job.scheduled_at)),
    };
    let error = job.error.as_deref().unwrap_or("no reason noted");
    match job.state {
        JobState::Completed => format!("{origin}; it completed with attempt {}", job.attempts),
        JobState::Discarded => format!("{origin}; it was discarded after {} attempts: {error}", job.attempts),
        JobState::Cancelled => format!("{origin}; it was cancelled: {error}"),
        JobState::Scheduled | JobState::Available | JobState::Running | JobState::Retryable | JobState::Interrupted => {
            origin
        }
    }
}

fn origin(scheduled_at: Option<Timestamp>) -> String {
    match scheduled_at {
        Some(at) => format!("its schedule says {at}"),
        None => "somebody added it".to_owned(),
    }
}

fn length(at: Timestamp, now: Timestamp) -> humantime::FormattedDuration {
    let seconds = at.since(now).as_millis().div_ceil(1000) as u64;
    humantime::format_duration(std::time::Duration::from_secs(seconds))
}
