//! How the world is asked: by clients and operators, and by the executor.

use std::time::Duration;

use daybook::core::command::{AddJob, Command, ItemEnd, ItemOutcome};
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::state::State;
use daybook::core::state::lock::LockKey;
use daybook::engine::recover::Projections;

use crate::checks;
use crate::clients::Ask;
use crate::executor::Report;
use crate::world::{Answered, Told, World};

/// Items in a handling of this batch.
fn chunk(state: &State, job: JobId) -> u32 {
    let task = state.job(job).and_then(|job| state.task(job.task));
    task.and_then(|task| task.policy.batch.as_ref()).map_or(1, |batch| batch.chunk)
}

impl World {
    pub fn perform(&mut self, ask: Ask) {
        let (machine, past) = (&mut self.machine, &self.past);
        let told = match ask {
            Ask::Add(jobs) => {
                let add = |job: AddJob| {
                    let key = job.key.clone();
                    match machine.add(job, past) {
                        Ok((job, created)) => Told::Added { job, created, key },
                        Err(rejection) => Told::Other(rejection.to_string()),
                    }
                };
                jobs.into_iter().map(add).collect()
            }
            Ask::Cancel(job) => match machine.run(&Command::CancelJob { job, reason: "asked to".into() }) {
                Ok(_) => vec![Told::Cancelled(job)],
                Err(rejection) => vec![Told::Other(rejection.to_string())],
            },
            Ask::Retry(job) => match machine.retry(job, past) {
                Ok(_) => vec![Told::Other(format!("{job} retried"))],
                Err(rejection) => {
                    let known = self.model.was_added(job);
                    assert!(!known || rejection.code() != "not_found", "job {job} was added, and is nowhere");
                    vec![Told::Other(rejection.to_string())]
                }
            },
            Ask::Pause(task) => vec![Told::Other(format!("{:?}", machine.run(&Command::PauseTask { task })))],
            Ask::Resume(task) => vec![Told::Other(format!("{:?}", machine.run(&Command::ResumeTask { task })))],
            Ask::Reload(config) => {
                self.config = config.clone();
                vec![Told::Other(format!("{:?}", machine.define(config.into_iter().collect())))]
            }
            Ask::Sweep { dry_run } => {
                let projections = vec![("history", past.applied())];
                let report = machine.sweep(dry_run, projections);
                checks::healthy(&report);
                vec![Told::Other(format!("{report:?}"))]
            }
            Ask::Open(add) => match machine.open_batch(add.clone(), past) {
                Ok((job, true)) => vec![Told::Opened { job, add: Box::new(add) }],
                Ok((job, false)) => vec![Told::Added { job, created: false, key: add.key }],
                Err(rejection) => vec![Told::Other(rejection.to_string())],
            },
            Ask::Give(items) => match self.opened.last() {
                Some((job, _)) => self.other(Command::AddItems { job: *job, attempt: None, items }),
                None => Vec::new(),
            },
            Ask::Load => match self.opened.pop() {
                Some((job, add)) => {
                    let key = add.key.clone();
                    match machine.load_batch(job, add, past) {
                        Ok((job, created)) => vec![Told::Added { job, created, key }],
                        Err(rejection) => vec![Told::Other(rejection.to_string())],
                    }
                }
                None => Vec::new(),
            },
            Ask::Abandon => match self.opened.pop() {
                Some((job, _)) => self.other(Command::DropBatch { job, reason: "its client has gone".into() }),
                None => Vec::new(),
            },
            Ask::Advance(job, item) => vec![Told::Other(format!("{:?}", machine.advance(job, item.into())))],
            Ask::Remove(key) => self.other(Command::RemoveItem { key }),
            Ask::Override(key) => self.other(Command::OverrideItem { key, params: Json::trusted("7") }),
            Ask::Restore(key) => self.other(Command::RestoreItem { key }),
            Ask::Look => vec![Told::Other(machine.state().jobs().len().to_string())],
        };
        let tell = self.told.clone();
        self.machine.reply(Box::new(move || tell.lock().unwrap().extend(told)));
    }

    /// What a client hears of a command of which nothing but a rejection is of interest.
    fn other(&mut self, command: Command) -> Vec<Told> {
        vec![Told::Other(format!("{:?}", self.machine.run(&command)))]
    }

    /// The executor begins an attempt.
    pub fn start(&mut self, job: JobId, attempt: u32) {
        let awake = self.now().awake;
        let state = self.machine.state();
        let Some(found) = state.job(job) else { return self.executor.start(job, attempt, awake, &mut self.random) };
        if found.is_batch {
            return self.executor.start_batch((job, attempt), state, awake, &mut self.random);
        }
        if let Some(LockKey::Thing(key)) = &found.cold.rare().lock {
            self.executor.items.hold_job(job, key);
        }
        self.executor.start(job, attempt, awake, &mut self.random);
    }

    /// The same for one that may hang.
    pub fn start_again(&mut self, job: JobId, attempt: u32) {
        self.executor.items.release_job(job);
        self.start(job, attempt);
    }

    /// Something comes from the executor.
    pub fn report(&mut self, report: Report) {
        let answered = self.answered.clone();
        match report {
            Report::Tell(command) => {
                if let Command::ReportEnded { job, .. } = &command {
                    self.executor.items.release_job(*job);
                }
                let _: Result<_, _> = self.machine.run(&command);
                self.machine.reply(Box::new(|| ()));
            }
            Report::Ask { job, attempt, want } => {
                let answer = self.machine.next_items(job, attempt, want, chunk(self.machine.state(), job));
                let next = Answered::Next { job, attempt, answer };
                self.machine.reply(Box::new(move || answered.lock().unwrap().push(next)));
            }
            Report::Handled { job, ends } => {
                let is_news = self.executor.handled(job, &ends);
                let under_way = |end: &ItemEnd| {
                    let batch = self.machine.state().batch(job).unwrap();
                    batch.flights.get(&end.item).is_some_and(|flight| flight.run == end.run)
                };
                assert!(!is_news || ends.iter().all(under_way), "batch {job} knows nothing of {ends:?}");
                let runs: Vec<u32> = ends.iter().map(|end| end.run).take(1).collect();
                let _: Result<_, _> = self.machine.run(&Command::ReportItems { job, ended: ends.clone() });
                // One that comes again, late and otherwise, says nothing.
                if is_news && self.random.once_in(5) {
                    let done = |end| ItemEnd { outcome: ItemOutcome::Done, ..end };
                    let at = self.now().awake + Duration::from_millis(self.random.below(10_000));
                    let ended = ends.into_iter().map(done).collect();
                    self.executor.tell(at, Command::ReportItems { job, ended });
                }
                let known = runs.into_iter().map(move |run| Answered::Known { job, run });
                self.machine.reply(Box::new(move || answered.lock().unwrap().extend(known)));
            }
            Report::End { job, attempt, ending } => {
                let awake = self.now().awake;
                self.executor.end_run((job, attempt), ending, awake);
                self.executor.due(awake).into_iter().for_each(|report| self.report(report));
            }
        }
    }

    /// What the runs of batches have been told goes to them.
    pub fn hear_answers(&mut self) {
        let awake = self.now().awake;
        for answered in std::mem::take(&mut *self.answered.clone().lock().unwrap()) {
            match answered {
                Answered::Next { job, attempt, answer } => {
                    self.note(format!("{answer:?}").as_bytes());
                    let state = self.machine.state();
                    self.executor.answered((job, attempt), answer, state, awake, &mut self.random);
                }
                Answered::Known { job, run } => self.executor.forget(job, run),
            }
        }
    }

    /// Nobody gives items any more.
    pub fn abandon_all(&mut self) {
        let now = self.now();
        self.machine.begin(now);
        let open: Vec<JobId> = self.machine.state().batches().map(|(id, _)| id).collect();
        for job in open {
            let _: Result<_, _> = self.machine.run(&Command::DropBatch { job, reason: "its client has gone".into() });
        }
        self.opened.clear();
    }
}
