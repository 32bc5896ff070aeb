//! A file of environment variables, as systemd's `EnvironmentFile=` has it: read at each start of an attempt, so that
//! a secret in it can be replaced. Values, and lines that may hold one, are quoted nowhere.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::iter::Peekable;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::Chars;

use rustix::fs::OFlags;

use crate::shim::program::plain;

/// Bytes of the file; more does not fit into the environment of a process either.
const BYTES_MAX: u64 = 256 * 1024;
/// Bytes of `NAME=VALUE`, as the kernel takes them, less the final zero.
const VARIABLE_BYTES_MAX: usize = 128 * 1024 - 1;

/// Reads the variables of a file.
///
/// # Errors
/// A sentence for a person.
pub fn read(path: &Path) -> Result<BTreeMap<String, OsString>, String> {
    let wrong = |why: String| format!("the environment file `{}`: {why}", path.display());
    let bytes = bytes(path).map_err(|error| wrong(plain(&error)))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(wrong(format!("it has more than {} KiB", BYTES_MAX / 1024)));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
    parse(text).map_err(wrong)
}

/// The bytes of the file, one more than allowed at most.
fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    // Nobody waits for a pipe.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// ```text
/// # a comment, also with `;`
/// NAME=as far as the line goes, without spaces at its ends; \ takes the next character as it is
/// NAME='as it is, over lines' "with \" \\ \$ \` and what follows"
/// ```
fn parse(text: &str) -> Result<BTreeMap<String, OsString>, String> {
    let mut all = BTreeMap::new();
    let mut reader = Reader { rest: text.chars().peekable(), line: 1 };
    while let Some(first) = reader.peek() {
        match first {
            first if first.is_whitespace() => drop(reader.next()),
            '#' | ';' => while reader.next().is_some_and(|character| character != '\n') {},
            _ => {
                let line = reader.line;
                let (name, value) = reader.variable().map_err(|why| format!("line {line}: {why}"))?;
                if name.len() + value.len() >= VARIABLE_BYTES_MAX {
                    return Err(format!("line {line}: `{name}` is too long for a variable"));
                }
                all.insert(name, value.into());
            }
        }
    }
    Ok(all)
}

struct Reader<'t> {
    rest: Peekable<Chars<'t>>,
    /// From 1.
    line: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn variable(&mut self) -> Result<(String, String), String> {
        let mut name = String::new();
        loop {
            match self.next() {
                Some('=') => break,
                Some('\n') | None => return Err("it has no `=`; write it as NAME=VALUE".into()),
                Some(character) => name.push(character),
            }
        }
        let name = name.trim_end();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) || name.as_bytes()[0].is_ascii_digit() {
            return Err("what stands before `=` is not a variable's name: letters, digits and `_`".into());
        }
        if name.starts_with("DAYBOOK_") {
            return Err(format!("`{name}` is one of Daybook's own names"));
        }
        let value = self.value()?;
        if value.contains('\0') {
            return Err(format!("`{name}` has a zero byte in it"));
        }
        Ok((name.to_owned(), value))
    }

    /// Parts in quotes, one behind the other, and then perhaps one without.
    fn value(&mut self) -> Result<String, String> {
        let mut value = String::new();
        loop {
            match self.peek() {
                Some(quote @ ('\'' | '"')) => {
                    self.next();
                    self.quoted(quote, &mut value)?;
                }
                Some('\n') | None => return Ok(value),
                Some(character) if character.is_whitespace() => drop(self.next()),
                Some(_) => {
                    self.bare(&mut value);
                    return Ok(value);
                }
            }
        }
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), String> {
        while let Some(character) = self.next() {
            match character {
                character if character == quote => return Ok(()),
                '\\' if quote == '"' => match self.next() {
                    Some('\n') => {}
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                    other => {
                        value.push('\\');
                        value.extend(other);
                    }
                },
                character => value.push(character),
            }
        }
        Err("a quote has no end".into())
    }

    /// To the end of the line, without spaces there.
    fn bare(&mut self, value: &mut String) {
        let mut length = value.len();
        while let Some(character) = self.next() {
            match character {
                '\n' => break,
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(escaped) => {
                        value.push(escaped);
                        length = value.len();
                    }
                },
                character => {
                    value.push(character);
                    if !character.is_whitespace() {
                        length = value.len();
                    }
                }
            }
        }
        value.truncate(length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_as(text: &str) -> Vec<(String, String)> {
        let all = parse(text).unwrap();
        all.into_iter().map(|(name, value)| (name, value.into_string().unwrap())).collect()
    }

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        for (text, expected) in [
            ("A=1", "1"),
            ("  A=1 2 \t\r\n", "1 2"),
            ("A=", ""),
            ("A = x", "x"),
            ("A='a \"b\" \\n'", "a \"b\" \\n"),
            ("A=\"a 'b' \\\"c\\\" \\\\ \\$ \\` \\n\"", "a 'b' \"c\" \\ $ ` \\n"),
            ("A='two\nlines'", "two\nlines"),
            ("A=a\\\nb", "ab"),
            ("A=\"a\\\nb\"", "ab"),
            ("A='a'\"b\" c", "abc"),
            ("A=it's", "it's"),
            ("A=a\\ ", "a "),
            ("A=x # no comment", "x # no comment"),
            ("A=postgres://u:p@h/d?a=b", "postgres://u:p@h/d?a=b"),
            ("A=1\nA=2", "2"),
        ] {
            assert_eq!(read_as(text), [("A".to_owned(), expected.to_owned())], "{text}");
        }
        assert_eq!(read_as("# A=1\n ; B=2\n\n\nC=3").len(), 1);
    }

    #[test]
    fn mistakes_are_told_with_their_line_and_without_values() {
        for (text, expected) in [
            ("A=1\n\nsecret", "line 3: it has no `=`; write it as NAME=VALUE"),
            ("export A=secret", "line 1: what stands before `=` is not a variable's name: letters, digits and `_`"),
            ("=secret", "line 1: what stands before `=` is not a variable's name: letters, digits and `_`"),
            ("A='x\ny'\nB=\"secret", "line 3: a quote has no end"),
            ("DAYBOOK_JOB=1", "line 1: `DAYBOOK_JOB` is one of Daybook's own names"),
            ("A=secret\0", "line 1: `A` has a zero byte in it"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
        let long = format!("A={}", "x".repeat(VARIABLE_BYTES_MAX));
        assert_eq!(parse(&long).unwrap_err(), "line 1: `A` is too long for a variable");
    }

    #[test]
    fn files_that_cannot_be_read_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        let said = || read(&path).unwrap_err().replace(path.to_str().unwrap(), "PATH");
        assert_eq!(said(), "the environment file `PATH`: no such file or directory");
        std::fs::create_dir(&path).unwrap();
        assert_eq!(said(), "the environment file `PATH`: it is not a regular file");
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, b"A=\xff").unwrap();
        assert_eq!(said(), "the environment file `PATH`: it is not UTF-8");
        std::fs::write(&path, vec![b'#'; BYTES_MAX as usize + 1]).unwrap();
        assert_eq!(said(), "the environment file `PATH`: it has more than 256 KiB");
        std::fs::write(&path, "A=1\nB").unwrap();
        assert_eq!(said(), "the environment file `PATH`: line 2: it has no `=`; write it as NAME=VALUE");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "([A=#;'\"\\\\ \n]|\\PC){0,60}") {
            let _ = parse(&text);
        }
    }
}
