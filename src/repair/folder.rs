//! The state folder belongs to the daemon, and nobody else can write in it, nor outsiders read it: it holds arguments and
//! outputs of jobs.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Mend, Proposal};
use crate::core::repair::Finding;

pub const NAME: &str = "state-folder";

/// What others must not be able to do with the folder, and with those in it, which are closed off by it.
const FORBIDDEN: u32 = 0o027;
const FORBIDDEN_INSIDE: u32 = 0o022;

pub fn find(state_dir: &Path) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let entries = fs::read_dir(state_dir);
    let mut inside: Vec<PathBuf> = entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    inside.sort();
    let foreign = inside.iter().find(|path| is_foreign(path));
    proposals.extend(look(state_dir, FORBIDDEN).map(|proposal| match (foreign, &proposal.mend) {
        // `state_dir = "/var/lib"` is a mistake, and closing that folder would take the machine down.
        (Some(foreign), Mend::Do(_)) => {
            let Finding { subject, explanation, .. } = proposal.finding;
            let explanation = format!("{explanation}, but it is not the daemon's alone: `{}`", foreign.display());
            let action = "none: give Daybook a folder of its own as `state_dir`, or `chmod` it";
            Proposal::new(NAME, subject, explanation, action, Mend::None)
        }
        (Some(_) | None, _) => proposal,
    }));
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| OURS.contains(&name))
    };
    proposals.extend(inside.iter().filter(|path| is_ours(path)).filter_map(|path| look(path, FORBIDDEN_INSIDE)));
    proposals
}

/// The names in the state folder that are the daemon's.
const OURS: [&str; 8] = ["journal", "checkpoint", "history", "occurrences", "keys", "outputs", "runs", "lock"];

/// Whether it is a folder in the state folder that the daemon has not made, nor a new file system.
fn is_foreign(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ours = OURS.contains(&&*name) || OURS.iter().any(|ours| name.starts_with(&format!("{ours}.")));
    !ours && name != "lost+found" && path.is_dir()
}

/// A link counts as what it leads to: `/var/lib/daybook` may be one, and a folder may lie on another disk.
fn look(path: &Path, forbidden: u32) -> Option<Proposal> {
    let shown = path.display().to_string();
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let explanation = "it is gone, and what is written since then nobody will find".to_owned();
            let action = "none: stop the daemon, bring the folder back, start it";
            return Some(Proposal::new(NAME, shown, explanation, action, Mend::None));
        }
        Err(error) => {
            let explanation = format!("it cannot be looked at: {error}");
            return Some(Proposal::new(NAME, shown, explanation, "none: see to the disk", Mend::None));
        }
    };
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own {
        let explanation = format!("it belongs to user {}, and the daemon runs as {own}", metadata.uid());
        let action = format!("none: `chown {own}` it");
        return Some(Proposal::new(NAME, shown, explanation, &action, Mend::None));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden == 0 {
        return None;
    }
    let right = mode & !forbidden;
    let explanation = format!("its mode is {mode:04o}: others can get at it");
    let path = path.to_owned();
    Some(Proposal::act(NAME, shown, explanation, &format!("makes it {right:04o}"), move || {
        fs::set_permissions(&path, Permissions::from_mode(right)).map_err(|error| error.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_mode_that_lets_others_in_is_mended_and_others_names_are_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        for name in ["", "journal", "outputs", "lost+found"] {
            fs::create_dir(state.join(name)).unwrap();
            fs::set_permissions(state.join(name), Permissions::from_mode(0o755)).unwrap();
        }
        fs::set_permissions(&state, Permissions::from_mode(0o750)).unwrap();
        assert!(find(&state).is_empty(), "{:?}", find(&state));
        fs::set_permissions(&state, Permissions::from_mode(0o1777)).unwrap();
        fs::set_permissions(state.join("journal"), Permissions::from_mode(0o775)).unwrap();
        fs::set_permissions(state.join("lost+found"), Permissions::from_mode(0o777)).unwrap();
        let found = find(&state);
        assert_eq!(found.len(), 2, "{found:?}");
        for proposal in found {
            let Mend::Do(mend) = proposal.mend else { panic!("{:?}", proposal.finding) };
            mend().unwrap();
        }
        assert_eq!((mode(&state), mode(&state.join("journal"))), (0o1750, 0o755));
        assert_eq!(mode(&state.join("lost+found")), 0o777);
        assert!(find(&state).is_empty());
    }

    #[test]
    fn a_folder_that_others_use_as_well_is_never_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["journal", "apt"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let found = find(dir.path());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(matches!(found[0].mend, Mend::None), "{found:?}");
        assert!(found[0].finding.explanation.contains("/apt`"), "{found:?}");
        assert!(found[0].finding.action.starts_with("none: give Daybook a folder of its own"), "{found:?}");
    }

    #[test]
    fn a_folder_that_is_gone_is_told() {
        let found = find(Path::new("/nonexistent/daybook"));
        assert!(found[0].finding.explanation.contains("gone"), "{found:?}");
        assert!(matches!(found[0].mend, Mend::None));
    }
}
