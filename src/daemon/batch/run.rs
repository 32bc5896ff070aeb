//! The loop of a run: as many calls as may go on at once, and one question to the engine under way at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::each::{Call, Each, Orders};
use super::pace::Pace;
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

type Asked = Result<Result<Answer, Rejection>, Gone>;

/// A call that has ended.
struct Ended {
    run: u32,
    places: Vec<u32>,
    outcomes: Vec<ItemOutcome>,
    took: Duration,
}

/// What is under way.
struct Under {
    calls: JoinSet<Ended>,
    /// Items of each call.
    going: HashMap<u32, Vec<u32>>,
    /// On disk as begun, and not begun for lack of a place.
    waiting: VecDeque<ItemRun>,
    /// What the engine has not been told.
    ended: Vec<ItemEnd>,
    /// How long a call, and a question to the engine, takes, in seconds: the last ones count most.
    call_takes: f64,
    question_takes: f64,
}

impl Under {
    fn new() -> Under {
        let (calls, going, waiting, ended) = (JoinSet::new(), HashMap::new(), VecDeque::new(), Vec::new());
        Under { calls, going, waiting, ended, call_takes: 1.0, question_takes: 0.0 }
    }

    /// Calls to be ready beyond those that go on, so that none of their places is empty while the engine writes. By
    /// Little's law so many begin in that time; for handlers that take long it is none.
    fn ahead(&self, concurrency: u32) -> u32 {
        let begin = f64::from(concurrency) * self.question_takes / self.call_takes.max(1e-6);
        (begin as u32).min(concurrency - 1)
    }

    fn note(&mut self, ended: Ended) {
        self.going.remove(&ended.run);
        self.call_takes += (ended.took.as_secs_f64() - self.call_takes) / 8.0;
        let ends = ended.places.into_iter().zip(ended.outcomes);
        self.ended.extend(ends.map(|(item, outcome)| ItemEnd { item, run: ended.run, outcome }));
    }

    /// Items that are under way as far as the engine knows.
    fn items(&self) -> u32 {
        let going: usize = self.going.values().map(Vec::len).sum();
        let waiting: usize = self.waiting.iter().map(|run| run.items.len()).sum();
        (going + waiting + self.ended.len()) as u32
    }

    /// Those that have not begun are to do again.
    fn give_back(&mut self) {
        for run in self.waiting.drain(..) {
            let returned = |item: &crate::core::command::ItemOrder| ItemEnd {
                item: item.place,
                run: run.run,
                outcome: ItemOutcome::Returned,
            };
            self.ended.extend(run.items.iter().map(returned));
        }
    }
}

/// What happened.
enum Happened {
    Answered(Asked),
    Ended(Ended),
    Time,
    Stop,
}

impl Run {
    /// Runs until nothing is left, or it is asked to end. `shuts_down`: asked when it is, whether the daemon stops.
    pub async fn run(mut self, shuts_down: impl Fn() -> bool) -> End {
        let mut under = Under::new();
        let (mut asking, mut asked_at, mut told_runs) = (None::<BoxFuture<'static, Asked>>, Instant::now(), Vec::new());
        let (mut ask_again, mut wanted, mut stopping) = (Instant::now(), false, false);
        loop {
            while under.calls.len() < self.concurrency as usize
                && let Some(run) = under.waiting.pop_front()
            {
                self.begin(run, &mut under);
            }
            // When to ask next, if there may be something to ask for.
            let mut timer = None;
            if asking.is_none() {
                let places = self.concurrency + under.ahead(self.concurrency);
                let taken = (under.calls.len() + under.waiting.len()) as u32 + self.others.div_ceil(self.chunk.max(1));
                let room = places.saturating_sub(taken);
                let is_time = !stopping && Instant::now() >= ask_again;
                let may = if is_time && room > 0 { self.allowed() } else { Ok(0) };
                let want = may.map_or(0, |calls| calls.min(room));
                if let Err(wait) = may {
                    ask_again = Instant::now() + wait;
                }
                // Where others have all places, it is asked whether they still do.
                let looks = is_time && want == 0 && self.others > 0;
                if want > 0 || looks || !under.ended.is_empty() {
                    wanted = want > 0 || looks;
                    let ended = std::mem::take(&mut under.ended);
                    told_runs = ended.iter().map(|end| end.run).collect();
                    asked_at = Instant::now();
                    asking = Some(self.ask(ended, want));
                } else if stopping && under.calls.is_empty() {
                    return End::Stopped;
                } else if !stopping && (room > 0 || self.others > 0) {
                    timer = Some(ask_again);
                }
            }
            match self.next(&mut under, &mut asking, timer, stopping).await {
                Happened::Answered(answer) => {
                    asking = None;
                    under.question_takes += (asked_at.elapsed().as_secs_f64() - under.question_takes) / 8.0;
                    told_runs.dedup();
                    told_runs.drain(..).for_each(|run| self.each.forget(self.orders.job, run));
                    let Ok(Ok(Answer::Items { runs, wake, under_way })) = answer else { return End::Over };
                    self.others = under_way.saturating_sub(under.items());
                    self.pace.took(runs.iter().map(|run| run.items.len()).sum());
                    if wanted && runs.is_empty() {
                        let until = wake.map_or(ASK_EVERY, |at| at.since(self.clock.now().wall).min(ASK_EVERY));
                        ask_again = Instant::now() + until;
                    }
                    under.waiting.extend(runs);
                    if stopping {
                        under.give_back();
                    }
                }
                Happened::Ended(ended) => {
                    under.note(ended);
                    while let Some(Ok(ended)) = under.calls.try_join_next() {
                        under.note(ended);
                    }
                    // What has ended may have been all, or what others waited for.
                    ask_again = ask_again.min(Instant::now());
                }
                Happened::Time => {}
                Happened::Stop => {
                    under.give_back();
                    // Who asks a second time has waited for long enough.
                    self.stop(&mut under, shuts_down(), stopping).await;
                    stopping = true;
                }
            }
        }
    }

    /// How many calls may begin now.
    fn allowed(&mut self) -> Result<u32, Duration> {
        self.pace.allows(self.clock.now()).map(|items| (items / self.chunk.max(1)).max(1))
    }

    async fn next(
        &mut self,
        under: &mut Under,
        asking: &mut Option<BoxFuture<'static, Asked>>,
        timer: Option<Instant>,
        stopping: bool,
    ) -> Happened {
        let answer = async {
            match asking {
                Some(asking) => asking.await,
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
            biased;
            Some(Ok(ended)) = under.calls.join_next(), if !under.calls.is_empty() => Happened::Ended(ended),
            answer = answer => Happened::Answered(answer),
            () = stop => Happened::Stop,
            () = time => Happened::Time,
        }
    }

    /// Ends what goes on. When the daemon stops, what outlives it is left alone, and what does not may end by itself, until
    /// it is asked `again`.
    async fn stop(&mut self, under: &mut Under, shuts_down: bool, again: bool) {
        match (shuts_down, self.each.outlives()) {
            (true, true) => {
                under.calls.shutdown().await;
                under.going.clear();
            }
            (true, false) if !again => {}
            (true | false, _) => under.going.keys().for_each(|run| self.each.stop(self.orders.job, *run)),
        }
    }

    fn begin(&self, run: ItemRun, under: &mut Under) {
        let places: Vec<u32> = run.items.iter().map(|item| item.place).collect();
        under.going.insert(run.run, places.clone());
        let call = Call { orders: self.orders.clone(), run: run.run, items: run.items, is_chunk: self.chunk > 1 };
        let (number, count) = (run.run, places.len());
        let handled = self.each.handle(call);
        under.calls.spawn(async move {
            let begun = Instant::now();
            // A panic is a bug of a handler, and the failure of its items.
            let outcomes = std::panic::AssertUnwindSafe(handled).catch_unwind().await.unwrap_or_else(|_| {
                let error = "its handler panicked; this is a bug, and the daemon's log says where".into();
                vec![ItemOutcome::Failed { error }; count]
            });
            Ended { run: number, places, outcomes, took: begun.elapsed() }
        });
    }

    fn ask(&self, ended: Vec<ItemEnd>, want: u32) -> BoxFuture<'static, Asked> {
        let (engine, job, attempt) = (self.engine.clone(), self.orders.job, self.attempt);
        let ask = async move {
            let act = move |machine: &mut crate::engine::machine::Machine| {
                if !ended.is_empty() {
                    machine.run(&Command::ReportItems { job, ended })?;
                }
                machine.next_items(job, attempt, want)
            };
            engine.act(move |machine, _| act(machine)).await
        };
        ask.boxed()
    }
}

/// Tells the engine what became of one call that no run looks after.
pub async fn report(engine: &Handle, job: JobId, run: u32, places: Vec<u32>, outcomes: Vec<ItemOutcome>) {
    let ends = places.into_iter().zip(outcomes);
    let ended = ends.map(|(item, outcome)| ItemEnd { item, run, outcome }).collect();
    // With the engine gone, the next one finds what was under way.
    let _: Result<Answer, _> = engine.ask(Command::ReportItems { job, ended }).await;
}
