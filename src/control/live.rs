//! Answers that go on: a job until it is finished, the journal as it grows.
//!
//! Each is a producer that lives inside the body it fills: when the client goes, it is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::handlers::App;
use super::problem::Problem;
use super::server::Stop;
use super::service::{Commits, Refusal};
use crate::core::event::Event;
use crate::core::id::{JobId, Seq, TaskId};
use crate::core::view::JobView;
use crate::engine::Committed;

/// Bytes that are gathered before a piece is sent.
const PIECE_BYTES: usize = 32 * 1024;

type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// The pieces that `produce` sends, until it is done.
fn generate<F: Future<Output = ()> + Send>(
    produce: impl FnOnce(Pieces) -> F,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    let producer = stream::once(produce(sender)).filter_map(|()| std::future::ready(None));
    stream::select(ReceiverStream::new(receiver), producer)
}

/// Commits as they are made, until the engine or the server stops.
struct Feed {
    commits: Receiver<Arc<Committed>>,
    stop: BoxFuture<'static, ()>,
}

/// What a feed brings.
enum News {
    Commit(Arc<Committed>),
    /// Some commits went by while nobody looked.
    Missed,
    End,
}

impl Feed {
    fn new(commits: Receiver<Arc<Committed>>, stop: Stop) -> Feed {
        Feed { commits, stop: stop.asked().boxed() }
    }

    async fn next(&mut self) -> News {
        tokio::select! {
            biased; // what is there already is told before the end
            commit = self.commits.recv() => match commit {
                Ok(commit) => News::Commit(commit),
                Err(RecvError::Lagged(_)) => News::Missed,
                Err(RecvError::Closed) => News::End,
            },
            () = &mut self.stop => News::End,
        }
    }
}

/// The job as it is in `first`, then at each change, until it is finished or the engine stops.
pub fn watch(
    service: App,
    feed: Receiver<Arc<Committed>>,
    stop: Stop,
    first: JobView,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    generate(move |pieces| async move {
        let mut feed = Feed::new(feed, stop);
        let id = first.id;
        let mut shown = first;
        loop {
            let mut line = serde_json::to_vec(&shown).unwrap_or_default();
            line.push(b'\n');
            if pieces.send(Ok(line.into())).await.is_err() || shown.state.is_finished() {
                return;
            }
            shown = loop {
                match feed.next().await {
                    News::Commit(commit) if !commit.events.iter().any(|event| job(event) == Some(id)) => continue,
                    News::Commit(_) | News::Missed => {}
                    News::End => return,
                }
                match service.job(id).await {
                    Ok(view) if view != shown => break view,
                    Ok(_) => {}
                    Err(_) => return,
                }
            };
        }
    })
}

/// How events become lines.
pub struct Lines {
    pub names: BTreeMap<TaskId, Box<str>>,
    /// Only events of this job.
    pub job: Option<JobId>,
}

impl Lines {
    /// A line for each event of a commit that is wanted.
    fn of(&mut self, commit: &Committed) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for event in &commit.events {
            if let Event::TaskDefined(defined) = event {
                self.names.insert(defined.task, defined.name.clone());
            }
            if self.job.is_none() || self.job == job(event) {
                found.push(self.line(commit, event));
            }
        }
        found
    }

    /// `{"seq":1,"at":"...","event":"job_added","job":1,"task":"mail",...}`
    fn line(&self, commit: &Committed, event: &Event) -> Vec<u8> {
        let mut line = format!("{{\"seq\":{},\"at\":\"{}\",", commit.seq, commit.at).into_bytes();
        let text = serde_json::to_string(event).unwrap_or_else(|_| "{}".into());
        let rest = &text[1..];
        // A task is stored by number. It stands before all that users write, so the first one is it.
        let named = task(event).and_then(|id| {
            let number = format!("\"task\":{id}");
            Some((rest.split_once(&number)?, self.names.get(&id)?))
        });
        match named {
            Some(((before, after), name)) => {
                line.extend_from_slice(before.as_bytes());
                line.extend_from_slice(b"\"task\":");
                serde_json::to_writer(&mut line, name).expect("memory takes it");
                line.extend_from_slice(after.as_bytes());
            }
            None => line.extend_from_slice(rest.as_bytes()),
        }
        line.push(b'\n');
        line
    }
}

/// Where lines go: gathered into pieces, and counted.
struct Sink {
    pieces: Pieces,
    buffer: Vec<u8>,
    /// Lines that may still be sent.
    left: usize,
}

/// The client has gone, or has all it asked for.
struct Enough;

impl Sink {
    async fn push(&mut self, line: &[u8]) -> Result<(), Enough> {
        self.left = self.left.checked_sub(1).ok_or(Enough)?;
        self.buffer.extend_from_slice(line);
        if self.left == 0 || self.buffer.len() >= PIECE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), Enough> {
        if !self.buffer.is_empty() {
            let piece = std::mem::take(&mut self.buffer).into();
            self.pieces.send(Ok(piece)).await.map_err(|_| Enough)?;
        }
        if self.left == 0 { Err(Enough) } else { Ok(()) }
    }

    /// Cuts the answer off, so that the client cannot take it for the whole.
    async fn fail(&self, refusal: Refusal) -> Enough {
        let detail = Problem::from(refusal).detail;
        self.pieces.send(Err(io::Error::other(detail))).await.ok();
        Enough
    }

    /// All lines of the commits, and the number of the last commit.
    async fn all(&mut self, mut commits: Commits, lines: &mut Lines, mut last: Seq) -> Result<Seq, Enough> {
        while let Some(commit) = commits.next().await {
            let commit = match commit {
                Ok(commit) => commit,
                Err(refusal) => return Err(self.fail(refusal).await),
            };
            for line in lines.of(&commit) {
                self.push(&line).await?;
            }
            last = commit.seq;
        }
        Ok(last)
    }

    /// The last `count` lines of the commits, and the number of the last commit.
    async fn tail(&mut self, mut commits: Commits, lines: &mut Lines, count: usize) -> Result<Seq, Enough> {
        let mut last = Seq(0);
        let mut kept = VecDeque::new();
        while let Some(commit) = commits.next().await {
            let commit = match commit {
                Ok(commit) => commit,
                Err(refusal) => return Err(self.fail(refusal).await),
            };
            for line in lines.of(&commit) {
                if kept.len() == count {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
            last = commit.seq;
        }
        for line in kept {
            self.push(&line).await?;
        }
        Ok(last)
    }

    /// Lines of commits after `last`, as they are made, until the engine stops.
    async fn follow(&mut self, service: &App, mut feed: Feed, lines: &mut Lines, mut last: Seq) -> Result<(), Enough> {
        loop {
            match feed.next().await {
                News::Commit(commit) if commit.seq <= last => {}
                // The feed has left some out, being faster than this client: they are in the journal.
                News::Commit(commit) if commit.seq > last.next() => last = self.catch_up(service, lines, last).await?,
                News::Commit(commit) => {
                    last = commit.seq;
                    for line in lines.of(&commit) {
                        self.push(&line).await?;
                    }
                }
                News::Missed => last = self.catch_up(service, lines, last).await?,
                News::End => return Ok(()),
            }
            self.flush().await?;
        }
    }

    async fn catch_up(&mut self, service: &App, lines: &mut Lines, last: Seq) -> Result<Seq, Enough> {
        match service.journal(last.next()).await {
            Ok(commits) => self.all(commits, lines, last).await,
            Err(refusal) => Err(self.fail(refusal).await),
        }
    }
}

/// What is wanted of the journal.
pub struct Wanted {
    pub start: Seq,
    /// At most so many lines ...
    pub limit: Option<usize>,
    /// ... of the end of what there is, and not of its beginning. Those to come are not counted then.
    pub tail: bool,
    /// Also those to come, from this feed.
    pub feed: Option<Receiver<Arc<Committed>>>,
    /// Ends those to come.
    pub stop: Stop,
}

/// Lines of the commits that are there, then of those that the feed brings.
pub fn journal(
    service: App,
    commits: Commits,
    mut lines: Lines,
    wanted: Wanted,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    generate(move |pieces| async move {
        let limit = wanted.limit.unwrap_or(usize::MAX);
        let left = if wanted.tail { usize::MAX } else { limit };
        let mut sink = Sink { pieces, buffer: Vec::new(), left };
        let before = Seq(wanted.start.0.saturating_sub(1));
        let reached = match wanted.tail {
            true => sink.tail(commits, &mut lines, limit).await,
            false => sink.all(commits, &mut lines, before).await,
        };
        let Ok(last) = reached else { return };
        if sink.flush().await.is_ok()
            && let Some(feed) = wanted.feed
        {
            // Enough of it, or the engine has stopped: either way this answer is complete.
            let feed = Feed::new(feed, wanted.stop);
            sink.follow(&service, feed, &mut lines, last.max(before)).await.ok();
        }
    })
}

/// The job that an event is about.
fn job(event: &Event) -> Option<JobId> {
    match event {
        Event::JobAdded(it) => Some(it.job),
        Event::JobDue(it) => Some(it.job),
        Event::AttemptStarted(it) => Some(it.job),
        Event::AttemptSpawned(it) => Some(it.job),
        Event::AttemptSettled(it) => Some(it.job),
        Event::JobProgressed(it) => Some(it.job),
        Event::JobCompleted(it) => Some(it.job),
        Event::AttemptFailed(it) => Some(it.job),
        Event::JobDiscarded(it) => Some(it.job),
        Event::StopRequested(it) => Some(it.job),
        Event::JobCancelled(it) => Some(it.job),
        Event::JobInterrupted(it) => Some(it.job),
        Event::JobResumed(it) => Some(it.job),
        Event::JobHeld(it) => Some(it.job),
        Event::JobRetried(it) => Some(it.job),
        Event::OccurrenceDecided(it) => it.job,
        Event::TaskDefined(_)
        | Event::TaskRemoved(_)
        | Event::TaskPaused(_)
        | Event::TaskUnpaused(_)
        | Event::OccurrencesPassed(_)
        | Event::ScheduleMoved(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::ClockStepped(_)
        | Event::ClockSuspended(_)
        | Event::SweepFinished(_) => None,
    }
}

/// The task that an event names.
fn task(event: &Event) -> Option<TaskId> {
    match event {
        Event::JobAdded(it) => Some(it.task),
        Event::TaskDefined(it) => Some(it.task),
        Event::TaskRemoved(it) => Some(it.task),
        Event::TaskPaused(it) => Some(it.task),
        Event::TaskUnpaused(it) => Some(it.task),
        Event::OccurrenceDecided(it) => Some(it.task),
        Event::OccurrencesPassed(it) => Some(it.task),
        Event::ScheduleMoved(it) => Some(it.task),
        Event::JobDue(_)
        | Event::AttemptStarted(_)
        | Event::AttemptSpawned(_)
        | Event::AttemptSettled(_)
        | Event::JobProgressed(_)
        | Event::JobCompleted(_)
        | Event::AttemptFailed(_)
        | Event::JobDiscarded(_)
        | Event::StopRequested(_)
        | Event::JobCancelled(_)
        | Event::JobInterrupted(_)
        | Event::JobResumed(_)
        | Event::JobHeld(_)
        | Event::JobRetried(_)
        | Event::DaemonStarted(_)
        | Event::DaemonStopped(_)
        | Event::ClockStepped(_)
        | Event::ClockSuspended(_)
        | Event::SweepFinished(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{JobAdded, TaskDefined};
    use crate::core::json::Json;
    use crate::core::time::Timestamp;

    fn added(args: &str) -> Event {
        Event::from(JobAdded {
            job: JobId(7),
            task: TaskId(3),
            priority: 5,
            due: Timestamp(0),
            relative: false,
            key: Some("\"task\":3".into()),
            args: Json::parse(args).unwrap(),
            occurrence: None,
        })
    }

    #[test]
    fn a_line_is_an_event_with_its_commit_and_the_name_of_its_task() {
        let lines = Lines { names: [(TaskId(3), "a\"b".into())].into(), job: None };
        let commit = Committed { seq: Seq(12), at: Timestamp(1000), events: vec![] };
        let line = lines.line(&commit, &added(r#"{"task":3}"#));
        let expected = concat!(
            r#"{"seq":12,"at":"1970-01-01T00:00:01.000Z","event":"job_added","job":7,"task":"a\"b","priority":5,"#,
            r#""due":"1970-01-01T00:00:00.000Z","relative":false,"key":"\"task\":3","args":{"task":3},"occurrence":null}"#,
            "\n"
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn tasks_are_named_as_they_are_defined_and_jobs_are_picked() {
        let defined = TaskDefined { task: TaskId(3), name: "mail".into(), policy: Default::default(), next: vec![] };
        let events = vec![Event::from(defined), added("1")];
        let commit = Committed { seq: Seq(1), at: Timestamp(0), events };
        let mut lines = Lines { names: BTreeMap::new(), job: Some(JobId(7)) };
        let found: Vec<_> = lines.of(&commit).into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].contains(r#""task":"mail""#), "{}", found[0]);
        assert!(Lines { names: BTreeMap::new(), job: Some(JobId(8)) }.of(&commit).is_empty());
    }
}
