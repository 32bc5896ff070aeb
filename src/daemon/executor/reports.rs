//! What handlers tell of attempts, on its way to the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::attempts::Attempts;
use crate::core::command::{Command, Ending};
use crate::core::event;
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::limits;
use crate::engine::Handle;
use crate::exec::{Outcome, Report};

/// Passes what workers say on to the engine, in order.
pub async fn forward_commands(mut commands: mpsc::UnboundedReceiver<Command>, engine: Handle, attempts: Arc<Attempts>) {
    while let Some(command) = commands.recv().await {
        let over = over(&command);
        if engine.tell(command).await.is_err() {
            break;
        }
        // After the engine has it, and not before: an attempt that is not known here is either over there, or lost.
        over.inspect(|(job, attempt)| attempts.forget(*job, *attempt));
    }
}

/// The attempt whose end a command reports.
fn over(command: &Command) -> Option<(JobId, u32)> {
    if let Command::ReportEnded { job, attempt, .. } = command { Some((*job, *attempt)) } else { None }
}

/// Passes the reports of processes on to the engine, in order.
pub async fn forward_reports(mut reports: mpsc::UnboundedReceiver<Report>, engine: Handle, attempts: Arc<Attempts>) {
    while let Some(report) = reports.recv().await {
        let Some(report) = attempts.take_call(report) else { continue };
        let command = match report {
            Report::Spawned { job, attempt, identity } => {
                let process =
                    event::Process { pid: identity.pid, start_time: identity.start_time, boot_id: identity.boot_id };
                Command::ReportSpawned { job, attempt, process }
            }
            Report::Lost { job, attempt } => {
                tracing::error!(job = job.0, attempt, "what looked after an attempt has panicked; a sweep sees to it");
                attempts.forget(job, attempt);
                continue;
            }
            Report::Ended(ended) => {
                let (job, attempt) = (ended.job.0, ended.attempt);
                tracing::debug!(job, attempt, outcome = ended.outcome.word(), "attempt has ended");
                for note in &ended.notes {
                    tracing::warn!(job, attempt, note, "attempt ended with a note");
                }
                let notes = ended.notes.join("; ");
                let ending = match ended.outcome {
                    Outcome::Succeeded { .. } => {
                        let note = (!notes.is_empty()).then(|| limits::message(notes).into());
                        Ending::Succeeded { result: ended.result.map(Json::trusted), note }
                    }
                    Outcome::Failed { .. } | Outcome::TimedOut { .. } | Outcome::NotStarted { .. } => {
                        let error = ended.outcome.error().unwrap_or_default();
                        let error = if notes.is_empty() { error } else { format!("{error}; {notes}") };
                        Ending::Failed { error: limits::message(error).into() }
                    }
                    Outcome::Cancelled => Ending::Stopped,
                    // Its shim was told so by us, or by an init that ends everybody.
                    Outcome::Interrupted => Ending::Interrupted {
                        reason: attempts.told(ended.job, ended.attempt).unwrap_or("shutdown").into(),
                        suspect: false,
                    },
                    Outcome::Lost { cause } => {
                        Ending::Interrupted { reason: limits::message(cause).into(), suspect: true }
                    }
                };
                let (job, attempt, bytes) = (ended.job, ended.attempt, ended.output.kept);
                if bytes > 0 && engine.tell(Command::ReportOutput { job, attempt, bytes }).await.is_err() {
                    break;
                }
                Command::ReportEnded { job, attempt, ending }
            }
        };
        let over = over(&command);
        let interrupted = matches!(command, Command::ReportEnded { ending: Ending::Interrupted { .. }, .. });
        let processes = attempts.processes.clone();
        let told = move || {
            // Its end is on disk, so that nobody needs its run file any more.
            if let Some((job, attempt)) = over {
                tokio::task::spawn_blocking(move || processes.forget(job, attempt));
            }
        };
        if engine.tell_then(command, told).await.is_err() {
            break;
        }
        attempts.interrupted.fetch_or(interrupted, Ordering::Relaxed);
        over.inspect(|(job, attempt)| attempts.forget(*job, *attempt));
    }
}
