//! Answers that go on: a job until it is finished, the journal as it grows.
//!
//! Each is a producer that lives inside the body it fills: when the client goes, it is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::handlers::App;
use super::handlers::jobs;
use super::lines::Lines;
use super::problem::Problem;
use super::server::Stop;
use super::service::{Commits, JobFilter, JobPage, Refusal};
use crate::core::event::Event;
use crate::core::id::{JobId, Seq};
use crate::core::view::JobView;
use crate::engine::Committed;

/// Bytes that are gathered before a piece is sent.
const PIECE_BYTES: usize = 32 * 1024;

pub(super) type Pieces = mpsc::Sender<io::Result<Bytes>>;

/// The pieces that `produce` sends, until it is done.
pub(super) fn generate<F: Future<Output = ()> + Send>(
    produce: impl FnOnce(Pieces) -> F,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (sender, receiver) = mpsc::channel(1);
    let producer = stream::once(produce(sender)).filter_map(|()| std::future::ready(None));
    stream::select(ReceiverStream::new(receiver), producer)
}

/// A list of jobs of which the first page is there: an array, or one job a line.
pub fn jobs(
    service: App,
    mut filter: JobFilter,
    first: JobPage,
    lines: bool,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    generate(move |pieces| async move {
        let mut page = first;
        let mut begun = false;
        loop {
            let mut bytes = Vec::with_capacity(PIECE_BYTES);
            for job in &page.jobs {
                if !lines {
                    bytes.push(if begun { b',' } else { b'[' });
                }
                begun = true;
                serde_json::to_writer(&mut bytes, job).expect("a job can be written to memory");
                if lines {
                    bytes.push(b'\n');
                }
            }
            filter.limit -= page.jobs.len();
            filter.before = page.jobs.last().map(|job| job.id);
            let more = page.more && filter.limit > 0;
            if !more && !lines {
                bytes.extend_from_slice(if begun { b"]" } else { b"[]" });
            }
            if pieces.send(Ok(bytes.into())).await.is_err() || !more {
                return;
            }
            page = match jobs::page(&service, &filter).await {
                Ok(page) => page,
                Err(problem) => {
                    // The list is cut off, so that nobody takes it for the whole.
                    pieces.send(Err(io::Error::other(problem.detail))).await.ok();
                    return;
                }
            };
        }
    })
}

/// Commits as they are made, until the engine or the server stops.
pub(super) struct Feed {
    commits: Receiver<Arc<Committed>>,
    stop: BoxFuture<'static, ()>,
}

/// What a feed brings.
pub(super) enum News {
    Commit(Arc<Committed>),
    /// Some commits went by while nobody looked.
    Missed,
    End,
}

impl Feed {
    pub(super) fn new(commits: Receiver<Arc<Committed>>, stop: Stop) -> Feed {
        Feed { commits, stop: stop.asked().boxed() }
    }

    pub(super) async fn next(&mut self) -> News {
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

    /// Waits for a commit that has to do with a job. False if none will come.
    pub(super) async fn changed(&mut self, job: JobId) -> bool {
        self.brings(|event| event.job() == Some(job)).await
    }

    /// Waits for a commit with such an event. False if none will come.
    pub(super) async fn brings(&mut self, such: impl Fn(&Event) -> bool) -> bool {
        loop {
            match self.next().await {
                News::Commit(commit) if !commit.events.iter().any(&such) => {}
                News::Commit(_) | News::Missed => return true,
                News::End => return false,
            }
        }
    }

    /// Lets what happens within this time go by. False if it ends meanwhile.
    pub(super) async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = &mut self.stop => return false,
        }
        loop {
            match self.commits.try_recv() {
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return true,
            }
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
                if !feed.changed(id).await {
                    return;
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
