//! Who may change what a daemon of root reads: whoever may write to a config file may run anything as root, so a file
//! that others may write to is refused. A daemon of another user reads what it can read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::problem::quoted;
use super::value::Wrong;

const GROUP_WRITE: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// In a folder with this bit only the owner of a file may replace it.
const STICKY: u32 = 0o1000;

/// Whether this process is root: it has to look at who may write, and can let jobs be others.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The number of the user that this process is.
pub(super) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Refuses a file that somebody besides root may write to or replace. `metadata` is that of the opened file.
pub(super) fn file(path: &Path, metadata: &Metadata) -> Result<(), Wrong> {
    if !is_root() {
        return Ok(());
    }
    if let Some(wrong) = Owned::of(metadata).wrong("", path) {
        return Err(wrong);
    }
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // Both the folder of a link and that of the file it leads to.
    for folder in [absolute.parent(), real.parent()].into_iter().flatten() {
        let Ok(metadata) = folder.metadata() else { continue };
        let owned = Owned::of(&metadata);
        let kept_apart = metadata.is_dir() && owned.mode & STICKY != 0 && owned.user == 0;
        if let Some(wrong) = owned.wrong("its folder ", folder).filter(|_| !kept_apart) {
            return Err(wrong);
        }
    }
    Ok(())
}

/// What decides who may write.
struct Owned {
    user: u32,
    group: u32,
    mode: u32,
}

impl Owned {
    fn of(metadata: &Metadata) -> Owned {
        Owned { user: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }

    /// What is wrong with it when root is to believe what is in there.
    fn wrong(&self, what: &str, path: &Path) -> Option<Wrong> {
        let Owned { user, group, mode } = *self;
        let shown = shell_word(path);
        if user != 0 {
            let message = format!("{what}belongs to user {user}, and this daemon runs as root");
            return Some(Wrong::new(message, format!("`chown root {shown}`")));
        }
        let by = match (mode & OTHERS_WRITE != 0, mode & GROUP_WRITE != 0 && group != 0) {
            (true, _) => "everybody".to_owned(),
            (false, true) => format!("group {group}"),
            (false, false) => return None,
        };
        let message = format!("{what}may be written by {by} (mode {mode:04o}), and this daemon runs as root");
        Some(Wrong::new(message, format!("`chmod go-w {shown}`")))
    }
}

/// A path as a shell takes it.
fn shell_word(path: &Path) -> String {
    let path = path.to_string_lossy();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@%:,=".contains(&byte);
    match !path.is_empty() && path.bytes().all(plain) {
        true => path.into_owned(),
        false => format!("'{}'", quoted(&path).trim_matches('`').replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(user: u32, group: u32, mode: u32) -> String {
        let wrong = Owned { user, group, mode }.wrong("", Path::new("/etc/daybook/a b.toml"));
        wrong.map_or("fine".into(), |wrong| format!("{}; {}", wrong.message, wrong.hint))
    }

    #[test]
    fn who_may_write_is_told_with_what_to_do() {
        for mode in [0o400, 0o600, 0o644, 0o755] {
            assert_eq!(wrong(0, 5, mode), "fine", "{mode:o}");
        }
        assert_eq!(wrong(0, 0, 0o664), "fine", "root's own group");
        assert_eq!(
            wrong(0, 5, 0o664),
            "may be written by group 5 (mode 0664), and this daemon runs as root; `chmod go-w '/etc/daybook/a b.toml'`"
        );
        assert!(wrong(0, 0, 0o646).starts_with("may be written by everybody (mode 0646)"));
        assert_eq!(
            wrong(1000, 0, 0o600),
            "belongs to user 1000, and this daemon runs as root; `chown root '/etc/daybook/a b.toml'`"
        );
    }
}
