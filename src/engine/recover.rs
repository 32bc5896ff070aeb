//! From disk to state: the newest checkpoint, then every later commit; what the projections lack is handed to them again.

use std::sync::Arc;

use super::archive::Archive;
use crate::core::codec::{self, CodecError};
use crate::core::id::Seq;
use crate::core::projection::{self, Row};
use crate::core::state::State;
use crate::core::state::picture::Loader;
use crate::core::time::Timestamp;
use crate::history;
use crate::journal::{self, Commit, Reader, Upkeep};

/// Why the state could not be brought back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    History(#[from] history::Error),
    #[error("commit {seq} cannot be read: {source}")]
    Commit { seq: Seq, source: CodecError },
    #[error("the checkpoint as of commit {seq} cannot be read: {source}")]
    Checkpoint { seq: Seq, source: CodecError },
}

/// What was brought back.
pub struct Recovered {
    pub state: State,
    /// Bytes of the commits after the checkpoint.
    pub replayed: u64,
}

/// What is behind the journal and may have lost its newest rows: the archive, or what a simulation has in its place.
pub trait Projections {
    /// The commit up to which everything is on disk.
    fn applied(&self) -> Seq;
    /// Takes the rows of a commit; one that is there already changes nothing.
    fn append(&self, seq: Seq, at: Timestamp, rows: Vec<Row>) -> Result<(), history::Error>;
}

impl Projections for Archive {
    fn applied(&self) -> Seq {
        Archive::applied(self)
    }

    fn append(&self, seq: Seq, at: Timestamp, rows: Vec<Row>) -> Result<(), history::Error> {
        Archive::append(self, seq, at, rows)
    }
}

impl<P: Projections> Projections for Arc<P> {
    fn applied(&self) -> Seq {
        P::applied(self)
    }

    fn append(&self, seq: Seq, at: Timestamp, rows: Vec<Row>) -> Result<(), history::Error> {
        P::append(self, seq, at, rows)
    }
}

/// Brings the state back and the projections up to it.
pub fn recover(reader: &dyn Reader, upkeep: &dyn Upkeep, archive: &impl Projections) -> Result<Recovered, Error> {
    let applied = archive.applied();
    let mut state = match upkeep.latest_checkpoint()? {
        Some(checkpoint) if applied >= checkpoint.seq => load(checkpoint)?,
        // A projection was lost: only a replay of everything can make it again, if everything is there.
        Some(checkpoint) if reader.first() > Seq(1) => {
            let (from, to) = (applied.next(), checkpoint.seq);
            tracing::error!(%from, %to, "the history has lost commits that the journal no longer has");
            load(checkpoint)?
        }
        Some(_) | None => State::default(),
    };
    let mut replayed = 0;
    for commit in reader.read(state.scalars().seq.next()) {
        let commit = commit?;
        replayed += commit.payload.len() as u64;
        let mut rows = Vec::new();
        let wanted = commit.seq > applied;
        replay(&mut state, &commit, wanted.then_some(&mut rows))?;
        if wanted {
            archive.append(commit.seq, commit.at, rows)?;
        }
    }
    Ok(Recovered { state, replayed })
}

/// Reads the state from a checkpoint.
pub fn load(checkpoint: journal::Checkpoint) -> Result<State, Error> {
    let seq = checkpoint.seq;
    let unreadable = |source| Error::Checkpoint { seq, source };
    let mut loader = Loader::new(&checkpoint.meta).map_err(unreadable)?;
    for chunk in checkpoint.chunks {
        loader.chunk(&chunk?).map_err(unreadable)?;
    }
    Ok(State::from_durable(loader.finish().map_err(unreadable)?))
}

/// Applies one commit, and says which rows it has for the history.
pub fn replay(state: &mut State, commit: &Commit, mut rows: Option<&mut Vec<Row>>) -> Result<(), Error> {
    let events = codec::events(&commit.payload).map_err(|source| Error::Commit { seq: commit.seq, source })?;
    for event in &events {
        if let Some(rows) = &mut rows {
            projection::rows(state, event, commit.at, rows);
        }
        state.apply(event, commit.at);
    }
    state.committed(commit.seq, commit.at);
    Ok(())
}
