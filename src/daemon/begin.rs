//! Where in the journal a job begins, so that what it says of the job need not be looked for from its beginning.

use crate::core::codec::{self, CodecError};
use crate::core::event::Event;
use crate::core::id::{JobId, Seq};
use crate::journal::{self, Commit, Reader};

/// Commits that are read one after the other rather than halved further.
const NEAR: u64 = 64;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// A commit before which the journal says nothing of `job`, and not many before the one that adds it: numbers are given in
/// the order of the commits. It blocks.
pub fn of(reader: &dyn Reader, job: JobId) -> Result<Seq, Error> {
    let (mut low, mut high) = (reader.first(), reader.last().next());
    while high.0.saturating_sub(low.0) > NEAR {
        let middle = Seq(low.0 + (high.0 - low.0) / 2);
        match next_added(reader, middle, high)? {
            Some((seq, first)) if first <= job => low = seq,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The first commit from `from` on and before `until` that adds a job, and the first one that it adds.
fn next_added(reader: &dyn Reader, from: Seq, until: Seq) -> Result<Option<(Seq, JobId)>, Error> {
    for commit in reader.read(from) {
        let Commit { seq, payload, .. } = commit?;
        if seq >= until {
            break;
        }
        let added = codec::events(&payload)?.into_iter().find_map(|event| match event {
            Event::JobAdded(added) => Some(added.job),
            _ => None,
        });
        if let Some(job) = added {
            return Ok(Some((seq, job)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{JobAdded, JobDue};
    use crate::core::id::TaskId;
    use crate::core::json::Json;
    use crate::core::time::Timestamp;
    use crate::journal::{Disk, Epoch, Journal, MemoryJournal};

    fn added(job: u64) -> Event {
        Event::from(JobAdded {
            job: JobId(job),
            task: TaskId(1),
            priority: 5,
            due: Timestamp(0),
            relative: false,
            key: None,
            args: Json::null(),
            occurrence: None,
        })
    }

    #[test]
    fn a_job_is_found_wherever_it_was_added() {
        let disk = Disk::default();
        let (mut journal, _) = MemoryJournal::open(disk).unwrap();
        // Every seventh commit adds two jobs; long stretches add none.
        let mut adds = Vec::new();
        for seq in 1..=3000u64 {
            let mut events = vec![Event::from(JobDue { job: JobId(1) })];
            if seq % 7 == 0 && !(1000..1900).contains(&seq) && seq < 2800 {
                let job = 2 * adds.len() as u64 + 1;
                events.extend([added(job), added(job + 1)]);
                adds.push(seq);
            }
            let mut payload = Vec::new();
            events.iter().for_each(|event| codec::put_event(event, &mut payload));
            journal.append(Epoch(1), Seq(seq), Timestamp(0), events.len() as u32, &payload).unwrap();
        }
        let reader = journal.reader();
        for (number, seq) in adds.iter().enumerate() {
            for job in [2 * number as u64 + 1, 2 * number as u64 + 2] {
                let begin = of(&*reader, JobId(job)).unwrap();
                assert!(begin.0 <= *seq, "job {job} was added by commit {seq}, not after {begin}");
                // The stretch without a job cannot be told apart from what is near.
                assert!(seq - begin.0 <= NEAR || (1000..1970).contains(seq), "job {job}: {seq} is far from {begin}");
            }
        }
    }
}
