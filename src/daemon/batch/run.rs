//! The loop of a run: as many calls as may go on at once, and one question to the engine under way at a time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::each::{Call, Each, Orders, PANICKED};
use super::pace::Pace;
use super::under::{Ended, Under};
use crate::clock::Clock;
use crate::core::command::{Answer, Command, ItemEnd, ItemOutcome, ItemRun};
use crate::core::id::JobId;
use crate::core::rejection::Rejection;
use crate::engine::{Gone, Handle};

/// How often it is asked whether there is more, when there was nothing: locks of others become free, tasks are resumed.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The run of a batch, or a repair.
pub struct Run {
    pub engine: Handle,
    pub clock: Arc<dyn Clock>,
    pub orders: Arc<Orders>,
    /// The attempt of the job.
    pub attempt: u32,
    pub each: Arc<dyn Each>,
    /// Calls at once; at least 1.
    pub concurrency: u32,
    /// Items in one call.
    pub chunk: u32,
    pub pace: Pace,
    /// Items of it that others handle: calls of an earlier daemon that go on, and items ahead of their turn.
    pub others: u32,
    /// Becomes true when the run is to end.
    pub cancel: watch::Receiver<bool>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The engine has ended it: all is done, or too much has failed, or the job is no longer running.
    Over,
    /// It was asked to end, and nothing of it goes on that would not outlive the daemon.
    Stopped,
}

/// How what is under way ends when a run is asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// It is told to.
    Told,
    /// By itself.
    ByItself,
    /// The daemon ends: by itself, or without the daemon if it can; and it is told to when the run is asked once more.
    WithDaemon,
}

type Asked = Result<Result<Answer, Rejection>, Gone>;

/// What the engine is asked: more items, and with them it is told what became of others.
struct Question {
    asked: Instant,
    wants_more: bool,
    /// The calls whose ends it tells.
    told: Vec<u32>,
    answer: BoxFuture<'static, Asked>,
}

/// What there is to ask.
enum Look {
    Ask(Question),
    /// Nothing before that.
    Nothing(Option<Instant>),
    /// Nothing ever, as the run stops.
    Stopped,
}

/// What happened.
enum Happened {
    Answered(Asked),
    Ended(Ended),
    Time,
    Stop,
}

impl Run {
    /// Runs until nothing is left, or it is asked to end. `finish`: asked when it is, how.
    pub async fn run(mut self, finish: impl Fn() -> Finish) -> End {
        let (mut under, mut question) = (Under::new(), None::<Question>);
        let (mut ask_again, mut stopping) = (Instant::now(), false);
        loop {
            while under.calls.len() < self.concurrency as usize
                && let Some(run) = under.waiting.pop_front()
            {
                self.begin(run, &mut under);
            }
            let mut timer = None;
            if question.is_none() {
                match self.look(&mut under, &mut ask_again, stopping) {
                    Look::Ask(asked) => question = Some(asked),
                    Look::Nothing(until) => timer = until,
                    Look::Stopped => return End::Stopped,
                }
            }
            match self.next(&mut under, &mut question, timer, stopping).await {
                Happened::Answered(answer) => {
                    let Some(question) = question.take() else { continue };
                    match self.answered(&mut under, question, answer) {
                        Some(again) => ask_again = again.unwrap_or(ask_again),
                        None => return End::Over,
                    }
                    if stopping {
                        under.give_back(0);
                    }
                }
                Happened::Ended(ended) => {
                    under.note(ended);
                    while let Some(Some(ended)) = under.calls.next().now_or_never() {
                        under.note(ended);
                    }
                    if under.well == 0 {
                        under.give_back(self.concurrency - 1);
                    }
                    // What has ended may have been all, or what others waited for.
                    ask_again = ask_again.min(Instant::now());
                }
                Happened::Time => under.look_for_stall(),
                Happened::Stop => {
                    under.give_back(0);
                    // Who asks a second time has waited for long enough.
                    self.stop(&mut under, finish(), stopping);
                    stopping = true;
                }
            }
        }
    }

    /// What to ask the engine, and else when to look again.
    fn look(&mut self, under: &mut Under, ask_again: &mut Instant, stopping: bool) -> Look {
        let places = self.concurrency + under.ahead(self.concurrency, self.chunk);
        let taken = (under.calls.len() + under.waiting.len()) as u32 + self.others.div_ceil(self.chunk.max(1));
        let room = places.saturating_sub(taken);
        let is_time = !stopping && Instant::now() >= *ask_again;
        let may = if is_time && room > 0 { self.allowed() } else { Ok(0) };
        let want = may.map_or(0, |calls| calls.min(room));
        if let Err(wait) = may {
            *ask_again = Instant::now() + wait;
        }
        // Where others have all places, it is asked whether they still do.
        let wants_more = want > 0 || is_time && room == 0 && self.others > 0;
        if wants_more || !under.ended.is_empty() {
            let (ended, told) = under.take_ended();
            return Look::Ask(Question { asked: Instant::now(), wants_more, told, answer: self.ask(ended, want) });
        }
        let again = (!stopping && (room > 0 || self.others > 0)).then_some(*ask_again);
        match stopping && under.calls.is_empty() {
            true => Look::Stopped,
            false => Look::Nothing(again.into_iter().chain(under.stalls_at()).min()),
        }
    }

    /// Takes what the engine has answered: when to ask again, if that changes; `None` if the run is over.
    fn answered(&mut self, under: &mut Under, question: Question, answer: Asked) -> Option<Option<Instant>> {
        under.question_takes += (question.asked.elapsed().as_secs_f64() - under.question_takes) / 8.0;
        if answer.is_ok() {
            question.told.iter().for_each(|run| self.each.forget(self.orders.job, *run));
        }
        let Ok(Ok(Answer::Items { runs, wake, under_way })) = answer else { return None };
        self.others = under_way.saturating_sub(under.items());
        self.pace.took(runs.iter().map(|run| run.items.len()).sum());
        let found_none = question.wants_more && runs.is_empty();
        under.waiting.extend(runs);
        Some(
            found_none
                .then(|| Instant::now() + wake.map_or(ASK_EVERY, |at| at.since(self.clock.now().wall).min(ASK_EVERY))),
        )
    }

    /// How many calls may begin now.
    fn allowed(&mut self) -> Result<u32, Duration> {
        self.pace.allows(self.clock.now()).map(|items| (items / self.chunk.max(1)).max(1))
    }

    async fn next(
        &mut self,
        under: &mut Under,
        question: &mut Option<Question>,
        timer: Option<Instant>,
        stopping: bool,
    ) -> Happened {
        let answer = async {
            match question {
                Some(question) => (&mut question.answer).await,
                None => std::future::pending().await,
            }
        };
        let time = async {
            match timer {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let cancel = &mut self.cancel;
        let stop = async {
            let asked = match stopping {
                false => cancel.wait_for(|cancel| *cancel).await.map(drop),
                true => cancel.changed().await,
            };
            if asked.is_err() {
                std::future::pending().await
            }
        };
        tokio::select! {
            // In this order: a question is on its way before the calls that are ready begin.
            biased;
            answer = answer => Happened::Answered(answer),
            Some(ended) = under.calls.next(), if !under.calls.is_empty() => Happened::Ended(ended),
            () = stop => Happened::Stop,
            () = time => Happened::Time,
        }
    }

    /// Ends what goes on. `again`: it was asked to before.
    fn stop(&self, under: &mut Under, finish: Finish, again: bool) {
        match finish {
            Finish::WithDaemon if self.each.outlives() => {
                under.calls.clear();
                under.going.clear();
            }
            Finish::WithDaemon if !again => {}
            Finish::ByItself => {}
            Finish::WithDaemon | Finish::Told => {
                under.going.keys().for_each(|run| self.each.stop(self.orders.job, *run));
            }
        }
    }

    fn begin(&self, run: ItemRun, under: &mut Under) {
        if under.calls.is_empty() {
            under.moved = Instant::now();
        }
        under.going.insert(run.run, run.items.iter().map(|item| item.place).collect());
        let (number, count) = (run.run, run.items.len());
        let call = Call { orders: self.orders.clone(), run: run.run, items: run.items, is_chunk: self.chunk > 1 };
        let handled = self.each.handle(call);
        let call = async move {
            let begun = Instant::now();
            // A panic is a bug of a handler, and the failure of its items.
            let outcomes = std::panic::AssertUnwindSafe(handled)
                .catch_unwind()
                .await
                .unwrap_or_else(|_| vec![ItemOutcome::Failed { error: PANICKED.into() }; count]);
            Ended { run: number, outcomes, took: begun.elapsed() }
        };
        under.calls.push(call.boxed());
    }

    fn ask(&self, ended: Vec<ItemEnd>, want: u32) -> BoxFuture<'static, Asked> {
        let (engine, job, attempt, chunk) = (self.engine.clone(), self.orders.job, self.attempt, self.chunk);
        let ask = async move {
            let act = move |machine: &mut crate::engine::machine::Machine| {
                if !ended.is_empty() {
                    machine.run(&Command::ReportItems { job, ended })?;
                }
                machine.next_items(job, attempt, want, chunk)
            };
            engine.act(move |machine, _| act(machine)).await
        };
        ask.boxed()
    }
}

/// Tells the engine what became of one call that no run looks after. Whether it is on disk.
pub async fn report(engine: &Handle, job: JobId, run: u32, places: Vec<u32>, outcomes: Vec<ItemOutcome>) -> bool {
    let ends = places.into_iter().zip(outcomes);
    let ended = ends.map(|(item, outcome)| ItemEnd { item, run, outcome }).collect();
    // With the engine gone, the next one finds what was under way.
    engine.act(move |machine, _| machine.run(&Command::ReportItems { job, ended })).await.is_ok()
}
