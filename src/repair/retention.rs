//! Nothing is kept for much longer than the config says.

use std::time::{Duration, SystemTime};

use crate::core::repair::Finding;
use crate::core::time::Timestamp;
use crate::exec::OutputFile;

pub const NAME: &str = "retention-overdue";

/// What is no longer kept is looked for once a minute.
const OVERDUE_AFTER: Duration = Duration::from_secs(600);

const ACTION: &str = "drops what is no longer kept";

/// `oldest`: the name of a projection, its oldest row, and how long a row may outlive `age` because it is dropped with
/// those beside it.
pub fn rows(oldest: &[(&'static str, Timestamp, Duration)], age: Duration, now: Timestamp) -> Vec<Finding> {
    let overdue = oldest.iter().filter(|(_, at, longer)| *at < now - (age + *longer + OVERDUE_AFTER));
    let explain =
        |at: Timestamp| format!("its oldest row is of {at}, and {} are kept", humantime::format_duration(age));
    overdue.map(|(name, at, _)| Finding::new(NAME, *name, explain(*at), ACTION)).collect()
}

/// The oldest of these outputs, if it is overdue. `files`: those of attempts that do not run.
pub fn outputs(files: &[OutputFile], age: Duration, now: SystemTime) -> Option<Finding> {
    let limit = now.checked_sub(age + OVERDUE_AFTER)?;
    let overdue: Vec<_> = files.iter().filter(|file| file.modified < limit).collect();
    let first = overdue.iter().min_by_key(|file| file.modified)?;
    let explanation = format!(
        "{} files are older than the {} that they are kept, for one attempt {} of job {}",
        overdue.len(),
        humantime::format_duration(age),
        first.attempt,
        first.job
    );
    Some(Finding::new(NAME, format!("outputs of jobs {}", first.folder()), explanation, ACTION))
}
