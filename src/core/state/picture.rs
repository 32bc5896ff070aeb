//! The form of a checkpoint: a head (the single values) and chunks of records, each a kind and bincode.

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::batch::{Batch, Part};
use super::job::{Job, Jobs};
use super::task::{Task, Tasks};
use super::{Durable, Override, Running, Scalars};
use crate::core::codec::{self, CodecError};
use crate::core::id::JobId;
use crate::core::limits;

/// Raw bytes after which a chunk is closed: compressed it fits one entry of the journal's store.
const CHUNK_BYTES: usize = 11 * 1024;
/// Bytes of one record at most: what users can make large in a job, or a task, and twice what the rest takes.
const RECORD_BYTES_MAX: usize = limits::ARGS_BYTES_MAX
    + limits::KEY_BYTES_MAX
    + 2 * limits::MESSAGE_BYTES_MAX
    + limits::SCHEDULES_PER_TASK_MAX * (limits::SCHEDULE_BYTES_MAX + 64)
    + 4 * 1024;
/// Bytes of one chunk at most: a record begins in one that is not full.
pub const CHUNK_BYTES_MAX: usize = CHUNK_BYTES + RECORD_BYTES_MAX;

const TASK: u8 = 1;
const JOB: u8 = 2;
const RUNNING: u8 = 3;
const BATCH: u8 = 4;
const PART: u8 = 5;
const OVERRIDE: u8 = 6;

#[derive(Serialize, Deserialize)]
struct Head {
    scalars: Scalars,
    tasks: u64,
    jobs: u64,
    running: u64,
    batches: u64,
    overrides: u64,
}

/// The head of a checkpoint of `state`.
pub fn head(state: &Durable) -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = Head {
        scalars: state.scalars.clone(),
        tasks: state.tasks.len() as u64,
        jobs: state.jobs.len() as u64,
        running: state.running.len() as u64,
        batches: state.batches.len() as u64,
        overrides: state.overrides.len() as u64,
    };
    put(0, &head, &mut bytes);
    bytes
}

/// The chunks of a checkpoint of `state`, made one by one.
pub fn chunks(state: &Durable) -> impl Iterator<Item = Vec<u8>> + '_ {
    let tasks = state.tasks.values().map(|task| Record::Task(task));
    let jobs = state.jobs.iter().map(Record::Job);
    let running = state.running.iter().map(|(id, running)| Record::Running(*id, running));
    let batches = state.batches.iter().flat_map(|(id, batch)| {
        let parts = batch.parts().map(Record::Part);
        std::iter::once(Record::Batch(*id, batch)).chain(parts)
    });
    let overrides = state.overrides.iter().map(|(key, own)| Record::Override(key, own));
    let mut records = tasks.chain(jobs).chain(running).chain(batches).chain(overrides);
    std::iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1024);
        while chunk.len() < CHUNK_BYTES {
            match records.next() {
                Some(record) => record.put(&mut chunk),
                None => break,
            }
        }
        (!chunk.is_empty()).then_some(chunk)
    })
}

enum Record<'a> {
    Task(&'a Task),
    Job(&'a Job),
    Running(JobId, &'a Running),
    Batch(JobId, &'a Batch),
    /// Of the batch before it.
    Part(Part),
    Override(&'a str, &'a Override),
}

impl Record<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Record::Task(task) => put(TASK, task, out),
            Record::Job(job) => put(JOB, job, out),
            Record::Running(id, running) => put(RUNNING, &(id, running), out),
            Record::Batch(id, batch) => put(BATCH, &(id, batch), out),
            Record::Part(part) => put(PART, part, out),
            Record::Override(key, own) => put(OVERRIDE, &(key, own), out),
        }
    }
}

fn put<T: Serialize>(kind: u8, value: &T, out: &mut Vec<u8>) {
    out.push(kind);
    codec::put(value, out).expect("a record is within the bounds of its parts, and memory takes it");
}

/// Builds the state from a checkpoint; whole or not at all.
pub struct Loader {
    head: Head,
    tasks: Vec<Task>,
    jobs: Vec<Job>,
    running: Vec<(JobId, Running)>,
    batches: Vec<(JobId, Batch)>,
    overrides: Vec<(Box<str>, Override)>,
}

impl Loader {
    pub fn new(head: &[u8]) -> Result<Loader, CodecError> {
        let head: Head = codec::take(&mut head.get(1..).unwrap_or_default())?;
        let jobs = Vec::with_capacity(head.jobs.min(1 << 20) as usize);
        let (batches, overrides) = (Vec::new(), Vec::new());
        Ok(Loader { head, tasks: Vec::new(), jobs, running: Vec::new(), batches, overrides })
    }

    pub fn chunk(&mut self, mut bytes: &[u8]) -> Result<(), CodecError> {
        while let Some((kind, rest)) = bytes.split_first() {
            bytes = rest;
            match *kind {
                TASK => self.tasks.push(codec::take(&mut bytes)?),
                JOB => self.jobs.push(codec::take(&mut bytes)?),
                RUNNING => self.running.push(codec::take(&mut bytes)?),
                BATCH => self.batches.push(codec::take(&mut bytes)?),
                PART => {
                    let part: Part = codec::take(&mut bytes)?;
                    let Some((_, batch)) = self.batches.last_mut() else {
                        let text = "checkpoint holds a part of no batch".into();
                        return Err(bincode::Error::new(bincode::ErrorKind::Custom(text)).into());
                    };
                    batch.take(part);
                }
                OVERRIDE => self.overrides.push(codec::take(&mut bytes)?),
                other => return Err(CodecError::Unknown { number: u16::from(other) }),
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Durable, CodecError> {
        let lists = [self.tasks.len(), self.jobs.len(), self.running.len(), self.batches.len(), self.overrides.len()];
        let Head { tasks, jobs, running, batches, overrides, .. } = self.head;
        if lists.map(|len| len as u64) != [tasks, jobs, running, batches, overrides] {
            let text = format!(
                "checkpoint holds {lists:?} tasks, jobs, attempts, batches and overrides, not what its head says"
            );
            return Err(bincode::Error::new(bincode::ErrorKind::Custom(text)).into());
        }
        let is_whole = |(_, batch): &(JobId, Batch)| batch.items.len() == batch.counts.total();
        if !self.batches.iter().all(is_whole) {
            return Err(bincode::Error::new(bincode::ErrorKind::Custom("checkpoint leaves out items".into())).into());
        }
        if self.tasks.iter().zip(1..).any(|(task, number)| task.id.0 != number) {
            return Err(bincode::Error::new(bincode::ErrorKind::Custom("checkpoint leaves out a task".into())).into());
        }
        Ok(Durable {
            scalars: self.head.scalars,
            jobs: Jobs::from_sorted(self.jobs),
            tasks: Tasks::from_iter(self.tasks),
            running: OrdMap::from_iter(self.running),
            batches: OrdMap::from_iter(self.batches),
            overrides: OrdMap::from_iter(self.overrides),
        })
    }
}
