//! The result of an attempt: what its processes left in the file named by `DAYBOOK_RESULT`. That of another user's job
//! is put here by its shim.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use crate::core::limits::RESULT_BYTES_MAX;

/// How a note begins about a result that cannot be taken.
pub const DROPPED: &str = "the result is dropped";

/// Reads the file, which stays until the end of the attempt is on disk. `Ok(None)` when the job wrote nothing; an error
/// is a note for a person: a bad result does not change how an attempt ended. It blocks.
pub(super) fn read(path: &Path) -> Result<Option<String>, String> {
    match bytes(path, None) {
        Ok(Some(bytes)) => to_json(&bytes),
        Ok(None) => Ok(None),
        Err(error) => Err(format!("{DROPPED}: {error}")),
    }
}

/// The bytes of the file, one more than allowed at most; none if there is no file. With an `owner` it must be that
/// user's own.
pub fn bytes(path: &Path, owner: Option<u32>) -> io::Result<Option<Vec<u8>>> {
    // The path is known to the job, which may have put anything there: no link is followed, no fifo waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Somebody else's file can get there as a second name, or if the folder became a link.
    if owner.is_some_and(|owner| metadata.uid() != owner) {
        return Err(io::Error::other("it is not a file of the job's user"));
    }
    let mut bytes = Vec::new();
    file.take(RESULT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The JSON value in `bytes`, or else their text as a JSON string; none if there is nothing but white space.
fn to_json(bytes: &[u8]) -> Result<Option<String>, String> {
    let too_large = || format!("{DROPPED}: it is larger than {RESULT_BYTES_MAX} bytes");
    if bytes.len() > RESULT_BYTES_MAX {
        return Err(too_large());
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let json = match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => text.to_owned(),
        Err(_) => serde_json::Value::from(text).to_string(),
    };
    // Quoting can make it longer.
    if json.len() > RESULT_BYTES_MAX { Err(too_large()) } else { Ok(Some(json)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_kept_and_text_becomes_a_string() {
        assert_eq!(to_json(b" {\"a\": [1, 2]}\n"), Ok(Some("{\"a\": [1, 2]}".into())));
        assert_eq!(to_json(b"42\n"), Ok(Some("42".into())));
        assert_eq!(to_json(b"all \"well\"\n"), Ok(Some(r#""all \"well\"""#.into())));
        assert_eq!(to_json(b"{\"a\": 1} and more"), Ok(Some(r#""{\"a\": 1} and more""#.into())));
        assert_eq!(to_json(b"\xff"), Ok(Some("\"\u{fffd}\"".into())));
        assert_eq!(to_json(b" \n"), Ok(None));
    }

    #[test]
    fn the_bound_holds_before_and_after_quoting() {
        let largest = "1".repeat(RESULT_BYTES_MAX);
        assert_eq!(to_json(largest.as_bytes()), Ok(Some(largest.clone())));
        assert!(to_json(format!("{largest}1").as_bytes()).is_err());
        assert!(to_json("\"".repeat(RESULT_BYTES_MAX - 10).as_bytes()).is_err());
    }

    #[test]
    fn deep_nesting_is_text() {
        let deep = "[".repeat(10_000);
        assert_eq!(to_json(deep.as_bytes()), Ok(Some(format!("\"{deep}\""))));
    }

    #[test]
    fn a_link_and_a_folder_are_refused_and_no_file_is_no_result() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        assert_eq!(read(&path), Ok(None));
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(read(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(read(&path).is_err());
    }
}
