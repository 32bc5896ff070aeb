//! Nothing is left of a daemon that was killed: directories half made or half deleted, notes half written, snapshots that
//! would make the next opening fail, a socket on which nobody answers.
//!
//! While a daemon runs, such names come and go by themselves, so they are looked at once: at the start, under the lock of
//! the state folder, before anything is opened. Opening removes them; here they are found and told of.

use std::fs;
use std::path::{Path, PathBuf};

use crate::core::repair::Finding;

pub const NAME: &str = "leftovers";
/// Processes of attempts that a killed daemon has left running; the start ends them before anything else.
pub const PROCESSES: &str = "leftover-processes";

/// How deep below the state folder such names are: `history/<partition>/snap.*`.
const DEPTH: usize = 3;

/// What a kill has left in `state_dir`. The folder is locked, and nothing in it is open.
pub fn find(state_dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(state_dir, DEPTH, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_outputs = path.file_name().is_some_and(|name| name == "outputs");
        if is_leftover(&path) {
            found.push(path);
        } else if depth > 1 && !is_outputs && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            walk(&path, depth - 1, found);
        }
    }
}

fn is_leftover(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".new") || name.ends_with(".drop") || (name.starts_with("snap.") && name.ends_with(".generating"))
}

/// What became of them, once all has been opened. Those that are still there are removed, if they can be: a snapshot
/// lies in a directory that is opened when somebody asks for it.
pub fn tell(state_dir: &Path, found: &[PathBuf], socket: Option<&Path>) -> (Vec<Finding>, Vec<Finding>) {
    let (mut removed, mut left) = (Vec::new(), Vec::new());
    for path in found {
        let subject = path.strip_prefix(state_dir).unwrap_or(path).display().to_string();
        let explanation = "a daemon was killed while it made or removed it".to_owned();
        if path.is_file() && path.to_string_lossy().ends_with(".generating") {
            // Gone since is as good; what stays is told below.
            let _: std::io::Result<()> = fs::remove_file(path);
        }
        match path.symlink_metadata() {
            Err(_) => removed.push(Finding::new(NAME, subject, explanation, "removed it")),
            Ok(_) => left.push(Finding::new(NAME, subject, explanation, "none: the next start tries again")),
        }
    }
    removed.extend(socket.map(|socket| {
        let explanation = "a daemon was killed that listened on it, and nobody answers".to_owned();
        Finding::new(NAME, socket.display().to_string(), explanation, "made a new one")
    }));
    (removed, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_half_done_are_found_and_outputs_are_not_looked_into() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path();
        for folder in ["journal/gen-1", "journal/gen-2.new", "checkpoint/7.drop", "history/a-b", "outputs/0"] {
            fs::create_dir_all(state.join(folder)).unwrap();
        }
        for file in ["journal/head.new", "journal/head", "history/a-b/snap.01.generating", "outputs/0/x.new"] {
            fs::write(state.join(file), "").unwrap();
        }
        fs::write(state.join("history/a-b/snap.01"), "").unwrap();
        let found = find(state);
        let names: Vec<_> = found.iter().map(|path| path.strip_prefix(state).unwrap().to_str().unwrap()).collect();
        let expected = ["checkpoint/7.drop", "history/a-b/snap.01.generating", "journal/gen-2.new", "journal/head.new"];
        assert_eq!(names, expected);
        fs::remove_dir(state.join("checkpoint/7.drop")).unwrap();
        let (removed, left) = tell(state, &found, None);
        let subjects = |findings: &[Finding]| findings.iter().map(|it| it.subject.to_string()).collect::<Vec<_>>();
        assert_eq!(subjects(&removed), expected[..2]);
        assert_eq!(subjects(&left), expected[2..]);
    }
}
