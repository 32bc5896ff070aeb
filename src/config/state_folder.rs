//! Whether a folder can be Daybook's own: it is made private, and what is old in it is dropped, so it is nobody else's.

use std::path::{Component, Path, PathBuf};

use super::problem::quoted;
use super::value::Wrong;

/// Folders that belong to the system, which no daemon makes its own.
const OF_THE_SYSTEM: [&str; 33] = [
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/run/user",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/run",
    "/var/tmp",
];
/// What a daemon makes in its state folder, and what a file system has at its top.
const NAMES: [&str; 9] =
    ["checkpoint", "history", "journal", "keys", "lock", "lost+found", "occurrences", "outputs", "runs"];
/// Strangers that are named.
const STRANGERS_SHOWN: usize = 3;

/// Refuses a folder of the system.
pub(super) fn check(folder: &Path) -> Result<(), Wrong> {
    if !is_of_the_system(folder) {
        return Ok(());
    }
    let message = format!("{} belongs to the system", quoted(&folder.to_string_lossy()));
    Err(Wrong::new(message, "give Daybook a folder of its own, as \"/var/lib/daybook\""))
}

/// Whether this is a folder of the system, as `/etc` or `/var/lib`; what is below it is something else. Only the path is looked at.
pub fn is_of_the_system(folder: &Path) -> bool {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut plain = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    OF_THE_SYSTEM.iter().any(|path| plain == Path::new(path))
}

/// What is wrong with what is in the folder. One that cannot be read is the start's business.
pub(super) fn strangers(folder: &Path) -> Option<Wrong> {
    let entries = folder.read_dir().ok()?.flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut strangers: Vec<String> =
        names.filter(|name| !NAMES.contains(&name.as_str())).take(STRANGERS_SHOWN + 1).collect();
    if strangers.is_empty() {
        return None;
    }
    strangers.sort();
    let more = if strangers.len() > STRANGERS_SHOWN { " and more" } else { "" };
    strangers.truncate(STRANGERS_SHOWN);
    let list = strangers.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let message = format!("{} holds what is not Daybook's: {list}{more}", quoted(&folder.to_string_lossy()));
    Some(Wrong::new(message, "give Daybook a folder of its own"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_system_are_known_however_they_are_written() {
        for path in ["/", "//", "/etc", "/etc/", "/usr/../etc/.", "/..", "/var/lib", "/tmp"] {
            assert!(is_of_the_system(Path::new(path)), "{path}");
        }
        for path in ["/var/lib/daybook", "/etc/daybook", "/home/ada", "/tmp/x", "etc", "/srv/daybook"] {
            assert!(!is_of_the_system(Path::new(path)), "{path}");
        }
    }
}
