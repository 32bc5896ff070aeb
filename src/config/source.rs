//! Files of a config: found by glob, read within bounds, and asked where line and column are.
//! What is in them is `load`'s business.

use std::collections::HashSet;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::problem::quoted;
use super::trust;
use super::value::Wrong;

/// Bytes of one file.
pub(super) const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Files of one config.
pub(super) const FILES_MAX: usize = 1000;
/// Bytes of all files together.
pub(super) const FILES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// One file of the config.
pub(super) struct Source {
    pub path: PathBuf,
    /// The folder against which its relative paths are read; absolute.
    pub folder: PathBuf,
    pub text: String,
    /// The file that was read; `None` if there was none, or if it is only text.
    stamp: Option<Stamp>,
    /// Where each line starts; found when first asked for.
    lines: OnceLock<Vec<usize>>,
}

/// Why a file cannot be used.
pub(super) struct Unreadable {
    /// Bytes from the start of the file, where that is known, and the text up to there.
    pub valid: Option<String>,
    pub message: String,
    pub hint: String,
}

/// What tells whether a file is still the one that was read, with the same contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Stamp {
        Stamp {
            file: (found.dev(), found.ino()),
            length: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

impl Source {
    pub fn new(path: &Path, text: String) -> Source {
        let folder = path.parent().unwrap_or(Path::new(""));
        let folder = std::path::absolute(folder).or_else(|_| std::env::current_dir()).unwrap_or_else(|_| "/".into());
        Source { path: path.to_owned(), folder, text, stamp: None, lines: OnceLock::new() }
    }

    /// A file of which not more could be read than `text`.
    pub fn unread(path: &Path, text: String) -> Source {
        Source { stamp: path.metadata().ok().map(|found| Stamp::of(&found)), ..Source::new(path, text) }
    }

    /// Whether the file is another one by now, or has other contents.
    pub fn has_changed(&self) -> bool {
        self.path.metadata().ok().map(|found| Stamp::of(&found)) != self.stamp
    }

    /// Reads a file: regular, UTF-8, at most 1 MiB, and for root one that nobody else may write to.
    pub fn read(path: &Path) -> Result<Source, Unreadable> {
        let plain = |message: String, hint: &str| Unreadable { valid: None, message, hint: hint.to_owned() };
        let failed = |error: std::io::Error| plain(format!("cannot be read: {error}"), "");
        // Asked before opening: to open a pipe would wait for its writer.
        let kind = std::fs::metadata(path).map_err(failed)?.file_type();
        if !kind.is_file() {
            let hint = if kind.is_dir() { "name the files in it, as in \"tasks.d/*.toml\"" } else { "" };
            return Err(plain("is not a regular file".into(), hint));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        // Of the opened file, so that another one put in its place meanwhile is of no use.
        let metadata = file.metadata().map_err(failed)?;
        trust::file(path, &metadata).map_err(|wrong| plain(wrong.message, &wrong.hint))?;
        file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(plain("is larger than 1 MiB".into(), "split it into several files in the include folder"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let (valid, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
            Unreadable {
                valid: Some(String::from_utf8_lossy(valid).into_owned()),
                message: format!("is not UTF-8: the byte here is 0x{:02x}", rest.first().copied().unwrap_or_default()),
                hint: "save the file as UTF-8".to_owned(),
            }
        })?;
        Ok(Source { stamp: Some(Stamp::of(&metadata)), ..Source::new(path, text) })
    }

    /// Line and column of an offset, both from 1; columns are characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let lines = self.lines.get_or_init(|| {
            let starts = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
            std::iter::once(0).chain(starts).collect()
        });
        let offset = offset.min(self.text.len());
        let line = lines.partition_point(|start| *start <= offset);
        let before = &self.text.as_bytes()[lines[line - 1]..offset];
        // Bytes that continue a character are not counted.
        (line, 1 + before.iter().filter(|byte| **byte & 0xC0 != 0x80).count())
    }
}

/// The files that `pattern` names, sorted by name; relative patterns start at `folder`.
///
/// A name without a wildcard must exist; it is answered even where it does not, so that reading it tells why.
pub(super) fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, Wrong> {
    let mut found = vec![folder.to_owned()];
    for component in Path::new(pattern).components() {
        let name = match component {
            Component::Normal(name) => name.to_string_lossy().into_owned(),
            Component::ParentDir => "..".into(),
            Component::RootDir => {
                found = vec!["/".into()];
                continue;
            }
            Component::CurDir | Component::Prefix(_) => continue,
        };
        if !name.contains(['*', '?', '[', '{']) {
            found.iter_mut().for_each(|path| path.push(&name));
            continue;
        }
        if name.contains("**") {
            let message = format!("{} has `**`, which is not supported here", quoted(pattern));
            return Err(Wrong::new(message, "name each folder, as in \"tasks.d/*.toml\""));
        }
        let glob = globset::Glob::new(&name).map_err(|error| not_a_glob(pattern, &error))?.compile_matcher();
        let mut matching = Vec::new();
        for path in &found {
            matching.extend(names(path)?.into_iter().filter(|name| glob.is_match(name)).map(|name| path.join(name)));
            if matching.len() > FILES_MAX {
                let message = format!("{} names more than {FILES_MAX} files", quoted(pattern));
                return Err(Wrong::new(message, "put more tasks into one file"));
            }
        }
        found = matching;
    }
    Ok(found)
}

fn not_a_glob(pattern: &str, error: &globset::Error) -> Wrong {
    Wrong::new(format!("{} is not a glob: {}", quoted(pattern), error.kind()), "write it as \"tasks.d/*.toml\"")
}

/// The names in a folder, sorted, without leftovers; none if there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>, Wrong> {
    let failed = |error: std::io::Error| {
        Wrong::new(format!("cannot list {}: {error}", quoted(&folder.to_string_lossy())), "make the folder readable")
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => return Ok(Vec::new()),
            _ => return Err(failed(error)),
        },
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry.map_err(failed)?.file_name().into_string() {
            Ok(name) if !is_leftover(&name) => names.push(name),
            _ => {}
        }
    }
    names.sort();
    Ok(names)
}

/// Whether an editor or a package manager has left the file there: hidden ones, copies, versions not taken over.
fn is_leftover(name: &str) -> bool {
    const ENDINGS: [&str; 10] =
        ["bak", "old", "orig", "swp", "swo", "rpmnew", "rpmsave", "rpmorig", "pacnew", "pacsave"];
    let ending = name.rsplit('.').next().unwrap_or_default();
    name.starts_with(['.', '#'])
        || name.ends_with('~')
        || ENDINGS.contains(&ending)
        || ending.starts_with("dpkg-")
        || ending.starts_with("ucf-")
}

/// Tells whether a path was seen before, by whatever name.
#[derive(Default)]
pub(super) struct Seen(HashSet<PathBuf>);

impl Seen {
    /// `true` the first time.
    pub fn insert(&mut self, path: &Path) -> bool {
        self.0.insert(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        let source = Source::new(Path::new("a.toml"), "ab\nä = 1\n\nx".into());
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (1, 3));
        assert_eq!(source.position(3), (2, 1));
        assert_eq!(source.position(5), (2, 2), "after the two bytes of ä");
        assert_eq!(source.position(11), (4, 1));
        assert_eq!(source.position(9999), (4, 2));
    }

    #[test]
    fn what_editors_and_package_managers_leave_is_left_out() {
        let left = [".a.toml", "a.toml~", "#a.toml#", "a.toml.dpkg-new", "a.toml.dpkg-dist", "a.toml.ucf-old"];
        assert!(left.into_iter().all(is_leftover));
        assert!(["a.toml.bak", "a.toml.rpmsave", ".a.toml.swp", "a.old"].into_iter().all(is_leftover));
        assert!(!["a.toml", "old.toml", "dpkg-new.toml", "a.conf"].into_iter().any(is_leftover));
    }

    #[test]
    fn globs_are_expanded_in_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/2.toml", "b/1.toml", "a/9.toml", "a/.hidden.toml", "a/x.txt"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let names = |pattern: &str| -> Vec<String> {
            let found = expand(folder.path(), pattern).unwrap();
            found.iter().map(|path| path.strip_prefix(folder.path()).unwrap().display().to_string()).collect()
        };
        assert_eq!(names("*/*.toml"), ["a/9.toml", "b/1.toml", "b/2.toml"]);
        assert_eq!(names("./b/*.toml"), ["b/1.toml", "b/2.toml"]);
        assert_eq!(names("none/*.toml"), [""; 0]);
        assert_eq!(names("none.toml"), ["none.toml"]);
        assert!(expand(folder.path(), "**/*.toml").unwrap_err().message.contains("not supported"));
        assert!(expand(folder.path(), "[a.toml").is_err());
    }
}
