//! What the demo daemon works on: a database of users and a folder of logs, made on its first start.
//!
//! Both appear as a whole or not at all, and what is there is never touched: each is made
//! under another name and then renamed, so a start that is killed half-way is made up for by the next.

mod logs;
mod prepare;
mod random;
mod users;

pub use prepare::{Demo, prepare};

use std::path::{Path, PathBuf};
use std::{fs, io};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::core::time::Timestamp;

/// The database in the demo's folder.
pub const DATABASE: &str = "app.db";
/// The folder of logs in the demo's folder.
pub const LOGS: &str = "logs";

/// Why the demo's data could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be made.
    #[error("make `{path}` for the demo: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    /// The database could not be filled.
    #[error("fill the demo's database `{path}`: {source}", path = path.display())]
    Database { path: PathBuf, source: sqlx::Error },
}

/// Makes [`DATABASE`] and [`LOGS`] in `dir`, each unless it is there; `dir` itself too. Ages are
/// measured from `now`; apart from that the data is always the same. Two may not do it at once.
pub async fn make(dir: &Path, now: Timestamp) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|source| Error::File { path: dir.to_owned(), source })?;
    let database = dir.join(DATABASE);
    if !there(&database)? {
        let unfinished = dir.join(".app.db.unfinished");
        remove_leftover(&unfinished)?;
        users::make(&unfinished, now).await.map_err(|source| Error::Database { path: unfinished.clone(), source })?;
        publish(&unfinished, &database)?;
    }
    let logs = dir.join(LOGS);
    if !there(&logs)? {
        let unfinished = dir.join(".logs.unfinished");
        remove_leftover(&unfinished)?;
        logs::make(&unfinished, now).map_err(|(path, source)| Error::File { path, source })?;
        publish(&unfinished, &logs)?;
    }
    Ok(())
}

/// Whether anything has this name, be it a link that leads nowhere.
fn there(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::File { path: path.to_owned(), source }),
    }
}

/// Removes what a start that was killed half-way has left.
fn remove_leftover(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|source| Error::File { path: path.to_owned(), source })
}

/// Gives what is finished its name; refuses where the name is taken by now.
fn publish(unfinished: &Path, path: &Path) -> Result<(), Error> {
    renameat_with(CWD, unfinished, CWD, path, RenameFlags::NOREPLACE)
        .map_err(|error| Error::File { path: path.to_owned(), source: error.into() })
}

#[cfg(test)]
mod tests;
