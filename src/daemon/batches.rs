//! What the control socket asks for about batches, answered from the engine and the history.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::app::Daemon;
use super::service::{blocking, failed};
use crate::clock::{Clock, SystemClock};
use crate::control::Refusal;
use crate::control::batches::*;
use crate::control::service::Added;
use crate::core::command::{AddJob, Answer, Command};
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::projection;
use crate::core::rejection::Rejection;
use crate::core::state::State;
use crate::core::texts::Texts;
use crate::engine::machine::Machine;

/// Things whose parameters are read at once, of 4 KiB each at most.
const OVERRIDES_PAGE: usize = 1000;

impl Batches for Daemon {
    fn start(&self, add: AddJob) -> BoxFuture<'_, Result<Started, Refusal>> {
        let start = self.engine().act(move |machine, lookup| {
            let task = machine.state().task_named(&add.task).filter(|task| task.policy.batch.is_none());
            if let Some(task) = task {
                return Err(Rejection::NotABatch { task: task.name.clone() });
            }
            let (id, created) = machine.add(add, lookup)?;
            Ok(look::started(machine.state(), id, created))
        });
        async { Ok(start.await??) }.boxed()
    }

    fn open(&self, add: AddJob) -> BoxFuture<'_, Result<Added, Refusal>> {
        let open = self.engine().act(move |machine, lookup| machine.open_batch(add, lookup));
        async { Ok(open.await?.map(|(id, created)| Added { id, created })?) }.boxed()
    }

    fn give(&self, batch: JobId, items: Texts) -> BoxFuture<'_, Result<(), Refusal>> {
        async move { Ok(self.engine().ask(Command::AddItems { job: batch, attempt: None, items }).await.map(|_| ())?) }
            .boxed()
    }

    fn load(&self, batch: JobId, add: AddJob) -> BoxFuture<'_, Result<Started, Refusal>> {
        let load = self.engine().act(move |machine, lookup| {
            let (id, created) = machine.load_batch(batch, add, lookup)?;
            Ok::<_, Rejection>(look::started(machine.state(), id, created))
        });
        async { Ok(load.await??) }.boxed()
    }

    fn abandon(&self, batch: JobId, reason: Box<str>) -> BoxFuture<'_, ()> {
        let drop = Command::DropBatch { job: batch, reason };
        // Where it is too late, nothing is left to be dropped.
        async { self.engine().tell(drop).await.unwrap_or(()) }.boxed()
    }

    fn batch(&self, id: JobId) -> BoxFuture<'_, Result<BatchView, Refusal>> {
        let find = async move {
            let look = move |state: &State| {
                let live = state.job(id).and_then(|job| projection::live(state.durable(), job));
                (state.batch(id).cloned(), live)
            };
            let (batch, live) = self.engine().read(look).await?;
            let unknown = || Refusal::from(Rejection::NoBatch { job: id });
            let job = match live {
                Some(job) => job,
                None => {
                    let archive = self.archive.clone();
                    blocking(move || archive.job(id).map_err(failed)).await?.ok_or_else(unknown)?
                }
            };
            let name = job.task.clone();
            let look = move |machine: &Machine| (machine.state().task_named(&name).cloned(), machine.begins());
            let (task, begins) = self.engine().act(move |machine, _| look(machine)).await?;
            if batch.is_none() && task.as_ref().is_none_or(|task| task.policy.batch.is_none()) {
                return Err(unknown());
            }
            let now = SystemClock.now().wall;
            let begins = begins && self.attempts().rests(id, job.attempts, now).is_none();
            Ok(look::batch(batch.as_ref(), task.as_deref(), begins, &job, now))
        };
        find.boxed()
    }

    fn batches(&self, filter: BatchFilter) -> BoxFuture<'_, Result<Page<BatchView>, Refusal>> {
        let (archive, attempts) = (self.archive.clone(), self.attempts().clone());
        let list = async move {
            let (picture, begins) =
                self.engine().act(|machine, _| (machine.state().picture(), machine.begins())).await?;
            let now = SystemClock.now().wall;
            let list = move || {
                let before = filter.before.unwrap_or(JobId(u64::MAX));
                let mut page = Page { rows: Vec::new(), more: false };
                for (id, batch) in picture.batches.range(..before).rev() {
                    let task = picture.tasks.get(batch.task);
                    let other_task = |wanted: &str| task.is_none_or(|task| *task.name != *wanted);
                    if filter.task.as_deref().is_some_and(other_task) {
                        continue;
                    }
                    let job = match picture.jobs.get(*id) {
                        Some(job) => projection::live(&picture, job),
                        None => archive.job(*id).map_err(failed)?,
                    };
                    // One whose items are still coming is no job yet.
                    let wanted = |state| filter.states.is_empty() || filter.states.contains(&state);
                    let Some(job) = job.filter(|job| wanted(job.state)) else { continue };
                    if page.rows.len() == filter.limit {
                        page.more = true;
                        break;
                    }
                    let begins = begins && attempts.rests(*id, job.attempts, now).is_none();
                    page.rows.push(look::batch(Some(batch), task.map(|task| &**task), begins, &job, now));
                }
                Ok(page)
            };
            blocking(list).await
        };
        list.boxed()
    }

    fn items(&self, batch: JobId, filter: ItemFilter) -> BoxFuture<'_, Result<Page<ItemView>, Refusal>> {
        let list = async move {
            let wanted = filter.clone();
            let (found, from) = self.engine().read(move |state| look::find(state, batch, &wanted)).await??;
            blocking(move || Ok(look::items(&found, from, &filter))).await
        };
        list.boxed()
    }

    fn repair_batch(&self, batch: JobId) -> BoxFuture<'_, Result<(), Refusal>> {
        let repair = self.engine().act(move |machine, lookup| match machine.state().batch(batch) {
            Some(_) => machine.retry(batch, lookup).map(|_| ()),
            None => Err(Rejection::NoBatch { job: batch }),
        });
        async { Ok(repair.await??) }.boxed()
    }

    fn advance(&self, batch: JobId, item: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        let advance = self.engine().act(move |machine, _| machine.advance(batch, item).map(drop));
        async move { Ok(advance.await??) }.boxed()
    }

    fn thing(&self, key: Box<str>) -> BoxFuture<'_, Result<ThingView, Refusal>> {
        async { Ok(self.engine().read(move |state| look::thing(state, &key)).await?) }.boxed()
    }

    fn remove_thing(&self, key: Box<str>) -> BoxFuture<'_, Result<u32, Refusal>> {
        let remove = async {
            match self.engine().ask(Command::RemoveItem { key }).await? {
                Answer::Removed { batches } => Ok(batches),
                other => Err(failed(format!("removing an item was answered by {other:?}"))),
            }
        };
        remove.boxed()
    }

    fn set_override(&self, key: Box<str>, params: Json) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(self.engine().ask(Command::OverrideItem { key, params }).await.map(|_| ())?) }.boxed()
    }

    fn restore(&self, key: Box<str>) -> BoxFuture<'_, Result<(), Refusal>> {
        async { Ok(self.engine().ask(Command::RestoreItem { key }).await.map(|_| ())?) }.boxed()
    }

    fn overrides(&self, mut filter: OverrideFilter) -> BoxFuture<'_, Result<Page<OverrideView>, Refusal>> {
        filter.limit = filter.limit.min(OVERRIDES_PAGE);
        async { Ok(self.engine().read(move |state| look::overrides(state.durable(), &filter)).await?) }.boxed()
    }
}
