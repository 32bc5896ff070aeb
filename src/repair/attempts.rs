//! Every attempt under way has an executor that knows it, and none runs on long after its time is over.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Mend, Proposal};
use crate::core::command::{Command, Ending};
use crate::core::event::Process;
use crate::core::id::JobId;
use crate::core::state::State;
use crate::engine::run::{Executor, Seen};
use crate::exec::{Identity, count_strays};

pub const VANISHED: &str = "vanished-attempts";
pub const OVERDUE: &str = "overdue-attempts";

/// How long after its time-out and grace an attempt is overdue: its end takes a moment, too.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(60);

/// An attempt that is under way, as the state has it.
#[derive(Clone, Copy, Debug)]
pub struct UnderWay {
    pub job: JobId,
    pub attempt: u32,
    pub process: Option<Process>,
}

/// The attempts that are under way. There are at most [`RUNNING_MAX`](crate::core::limits::RUNNING_MAX).
pub fn under_way(state: &State) -> Vec<UnderWay> {
    let running = state.durable().running.iter();
    running.map(|(job, it)| UnderWay { job: *job, attempt: it.attempt, process: it.process }).collect()
}

/// Those which nobody will ever report as over: the executor does not know them, and no process of them is left.
///
/// `under_way` is older than what the executor is asked now. It knows an attempt from before that is told until its
/// end has been handed to the engine, so one that it does not know is over, or lost; and the command that is proposed does
/// nothing to one that is over.
pub fn vanished(under_way: &[UnderWay], executor: &dyn Executor, socket: &Path) -> Vec<Proposal> {
    let unknown = under_way.iter().filter(|it| matches!(executor.look(it.job, it.attempt), Seen::Unknown));
    unknown
        .map(|it| {
            let UnderWay { job, attempt, process } = *it;
            let processes = match process {
                Some(Process { pid, start_time, boot_id }) => {
                    Identity { pid, start_time, boot_id }.count_group(job, attempt)
                }
                None => count_strays(socket, job, attempt),
            };
            let subject = format!("attempt {attempt} of job {job}");
            let told = match process {
                Some(process) => format!("process {} of it", process.pid),
                None => "no process of it".to_owned(),
            };
            if processes > 0 {
                let explanation =
                    format!("nobody looks after it, and {processes} processes of it run ({told} is known)");
                return Proposal::new(VANISHED, subject, explanation, "none: it is not dead", Mend::None);
            }
            let explanation = format!("nobody looks after it, and nothing of it runs ({told} is known)");
            let reason = "its process is gone, and nobody knows how it ended".into();
            let ending = Ending::Interrupted { reason, suspect: false };
            let mend = Mend::Run(Command::ReportEnded { job, attempt, ending });
            Proposal::new(VANISHED, subject, explanation, "interrupts it", mend)
        })
        .collect()
}

/// Those that should have been ended long ago. They are ended at once; their own report says what becomes of them.
pub fn overdue(under_way: &[UnderWay], executor: &Arc<dyn Executor>) -> Vec<Proposal> {
    let overdue = under_way.iter().filter_map(|it| match executor.look(it.job, it.attempt) {
        Seen::Overdue { since } => Some((it.job, it.attempt, since)),
        Seen::Unknown | Seen::Running => None,
    });
    overdue
        .map(|(job, attempt, since)| {
            let executor = executor.clone();
            let explanation = format!("its time-out and grace were over at {since}, and it runs");
            Proposal::act(OVERDUE, format!("attempt {attempt} of job {job}"), explanation, "kills it", move || {
                executor.kill(job, attempt);
                Ok(())
            })
        })
        .collect()
}
