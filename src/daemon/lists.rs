//! Lists of jobs, newest first, in pages that fit into memory.

use std::collections::{BTreeMap, BTreeSet};

use crate::control::service::{JobFilter, JobPage};
use crate::core::id::JobId;
use crate::core::projection;
use crate::core::state::Durable;
use crate::core::time::Timestamp;
use crate::core::view::JobView;

/// Bytes of a page: each job may have 64 KiB of arguments and of result.
const PAGE_BYTES: usize = 16 * 1024 * 1024;

/// What a job takes in memory, roughly.
fn bytes(job: &JobView) -> usize {
    let result = job.result.as_ref().map_or(0, |result| result.as_str().len());
    let error = job.error.as_ref().map_or(0, |error| error.len());
    size_of::<JobView>() + job.args.as_str().len() + job.progress.message.len() + result + error
}

/// Live jobs that match.
pub fn live(picture: &Durable, filter: &JobFilter) -> JobPage {
    let task = |id| picture.tasks.get(id).map_or("", |task| &*task.name);
    let gone = |id| picture.tasks.get(id).is_some_and(|task| task.removed);
    let before = filter.before.unwrap_or(JobId(u64::MAX));
    let jobs = picture.jobs.before(before).filter(|job| !filter.orphaned || gone(job.task));
    let jobs = jobs.filter(|job| filter.takes(job.id, job.state, task(job.task), job.cold.created));
    let mut page = JobPage::default();
    let mut room = PAGE_BYTES;
    for job in jobs.filter_map(|job| projection::live(picture, job)) {
        if page.jobs.len() == filter.limit || room == 0 {
            page.more = true;
            break;
        }
        room = room.saturating_sub(bytes(&job));
        page.jobs.push(job);
    }
    page
}

/// The matching jobs with the highest numbers, of jobs that come by their end, newest first: their number, their end, and
/// how the rest is read. Numbers are given in the order of creation, so once all ends lie before the creation of the
/// lowest one taken, none can be higher.
pub fn highest<E>(
    ended: impl Iterator<Item = Result<(JobId, Timestamp, impl FnOnce() -> Option<JobView>), E>>,
    filter: &JobFilter,
) -> Result<JobPage, E> {
    let mut seen = BTreeSet::new();
    let mut taken: BTreeMap<JobId, JobView> = BTreeMap::new();
    let (mut used, mut more) = (0, false);
    for one in ended {
        let (id, end, read) = one?;
        if filter.before.is_some_and(|before| id >= before) {
            continue;
        }
        if (more || taken.len() >= filter.limit)
            && let Some((_, lowest)) = taken.first_key_value()
        {
            if end < lowest.created_at {
                more = true;
                break;
            }
            if id < lowest.id {
                more = true;
                continue;
            }
        }
        // A job that was retried by hand has ended more than once; its last end counts.
        let job = read().filter(|job| filter.takes(job.id, job.state, &job.task, job.created_at));
        let Some(job) = job.filter(|job| seen.insert(job.id)) else { continue };
        used += bytes(&job);
        taken.insert(job.id, job);
        while (taken.len() > filter.limit || used > PAGE_BYTES && taken.len() > 1)
            && let Some((_, lowest)) = taken.pop_first()
        {
            used -= bytes(&lowest);
            more = true;
        }
    }
    Ok(JobPage { jobs: taken.into_values().rev().collect(), more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::json::Json;
    use crate::core::lifecycle::JobState;

    /// A job that was created at its number and has ended at `end`, with so many bytes of arguments.
    fn job(id: u64, end: i64, size: usize) -> Result<(JobId, Timestamp, impl FnOnce() -> Option<JobView>), ()> {
        let view = JobView {
            id: JobId(id),
            task: "t".into(),
            state: JobState::Completed,
            attempts: 1,
            priority: 5,
            key: None,
            args: Json::parse(&format!("\"{}\"", "x".repeat(size))).unwrap(),
            progress: Default::default(),
            result: None,
            error: None,
            output_bytes: 0,
            scheduled_at: None,
            created_at: Timestamp(id as i64),
            due_at: Timestamp(id as i64),
            started_at: None,
            finished_at: Some(Timestamp(end)),
            orphaned: false,
        };
        Ok((view.id, Timestamp(end), move || Some(view)))
    }

    fn ids(page: JobPage) -> (Vec<u64>, bool) {
        (page.jobs.iter().map(|job| job.id.0).collect(), page.more)
    }

    #[test]
    fn the_highest_numbers_are_found_whatever_the_order_of_ends() {
        let ends = [(1, 99), (5, 98), (4, 97), (9, 20), (8, 10), (7, 9), (6, 8)];
        let jobs = || ends.iter().map(|(id, end)| job(*id, *end, 0));
        let filter = |limit| JobFilter { limit, ..JobFilter::default() };
        assert_eq!(ids(highest(jobs(), &filter(3)).unwrap()), (vec![9, 8, 7], true));
        assert_eq!(ids(highest(jobs(), &filter(7)).unwrap()), (vec![9, 8, 7, 6, 5, 4, 1], false));
    }

    #[test]
    fn what_ended_before_the_lowest_was_created_is_not_looked_at() {
        let end = std::iter::once_with(|| panic!("it was looked at"));
        let jobs = [job(9, 20, 0), job(8, 15, 0), job(3, 4, 0)].into_iter().chain(end);
        let filter = JobFilter { limit: 2, ..JobFilter::default() };
        assert_eq!(ids(highest(jobs, &filter).unwrap()), (vec![9, 8], true));
    }

    #[test]
    fn a_page_fits_into_memory() {
        let jobs = (1..=1000).rev().map(|id| job(id, 2000, 60_000));
        let page = highest(jobs, &JobFilter { limit: 10_000, ..JobFilter::default() }).unwrap();
        assert!(page.more && page.jobs.len() > 200 && page.jobs.len() < 300, "{}", page.jobs.len());
        assert_eq!(page.jobs[0].id, JobId(1000));
        let page =
            highest(std::iter::once(job(1, 2, 60_000)), &JobFilter { limit: 1, ..JobFilter::default() }).unwrap();
        assert_eq!(ids(page), (vec![1], false));
    }
}
