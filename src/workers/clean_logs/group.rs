//! Which log a file is a rotation of, told by its name alone.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What compressed files are called.
const COMPRESSED: [&str; 11] = [".gz", ".zst", ".bz2", ".xz", ".lz4", ".lzma", ".lzo", ".br", ".zip", ".7z", ".Z"];
/// Digits of a plain number: those of the largest process number.
const NUMBER_DIGITS_MAX: usize = 7;
/// Bytes of an extension such as `log`.
const EXTENSION_BYTES_MAX: usize = 8;
/// What stands before a number or a date.
const SEPARATORS: [u8; 3] = [b'.', b'-', b'_'];

/// How dates are written: `d` is a digit.
const DATES: [&str; 5] = ["dddd-dd-dd", "dddd_dd_dd", "dddd.dd.dd", "dddddddd", "dddd-dd"];
/// What may follow a date: a time. `s` is a separator or a `T`.
const TIMES: [&str; 13] = [
    "",
    "dd",
    "dddd",
    "dddddd",
    "sdd",
    "sdddd",
    "sdddddd",
    "sdd-dd",
    "sdd_dd",
    "sdd-dd-dd",
    "sdd_dd_dd",
    "sdd.dd.dd",
    "sdd:dd:dd",
];

/// The name without the compression's suffix, if it has one.
pub(super) fn without_compression(name: &OsStr) -> Option<&OsStr> {
    let bytes = name.as_bytes();
    let suffix = COMPRESSED.iter().find(|suffix| bytes.len() > suffix.len() && bytes.ends_with(suffix.as_bytes()))?;
    Some(OsStr::from_bytes(&bytes[..bytes.len() - suffix.len()]))
}

/// The name of the log: `app.log` for `app.log`, `app.log.1`, `app.log.2.gz`, `app.log-20261101.zst`, `app.1.log` and
/// `app-2026-11-01.log`. One number, one date with or without a time, and `.old` are taken for a rotation, at the end or
/// before the extension. A number behind a digit (`10.0.0.1.log`, `nginx-1.27`) is none, and neither is one behind `-`
/// (`worker-1.log`) unless a date precedes it: those tell logs apart.
pub(super) fn log_name(name: &OsStr) -> OsString {
    let name = without_compression(name).unwrap_or(name).as_bytes();
    let name = without_rotation(name.strip_suffix(b".old").unwrap_or(name));
    let Some(dot) = name.iter().rposition(|byte| *byte == b'.') else { return OsString::from_vec(name.to_vec()) };
    let (stem, extension) = name.split_at(dot);
    let is_word = extension[1..].iter().all(u8::is_ascii_alphanumeric)
        && extension.iter().any(u8::is_ascii_alphabetic)
        && extension.len() - 1 <= EXTENSION_BYTES_MAX;
    let stem = if is_word { without_rotation(stem) } else { stem };
    OsString::from_vec([stem, extension].concat())
}

/// `name` without a number at its end, and then without a date.
fn without_rotation(name: &[u8]) -> &[u8] {
    let whole = without_date(name).unwrap_or(name);
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let before = &name[..name.len() - digits];
    let (Some((separator, rest)), 1..=NUMBER_DIGITS_MAX) = (before.split_last(), digits) else { return whole };
    if SEPARATORS.contains(separator)
        && let Some(rest) = without_date(rest)
        && whole.len() > rest.len()
    {
        return rest;
    }
    let is_rotation = *separator == b'.' && !rest.last().is_some_and(u8::is_ascii_digit);
    if is_rotation && whole.len() == name.len() { rest } else { whole }
}

/// `name` without a date at its end and the separator before it; none if there is no date.
fn without_date(name: &[u8]) -> Option<&[u8]> {
    if !name.last().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mut shortest: Option<&[u8]> = None;
    for (date, time) in DATES.iter().flat_map(|date| TIMES.iter().map(move |time| (*date, *time))) {
        let Some(start) = name.len().checked_sub(date.len() + time.len()) else { continue };
        let (before, rest) = name.split_at(start);
        let (written, after) = rest.split_at(date.len());
        if !fits(date, written) || !fits(time, after) || !is_date(written) {
            continue;
        }
        let before = match before.split_last() {
            None => before,
            Some((separator, before)) if SEPARATORS.contains(separator) => before,
            Some(_) => continue,
        };
        if shortest.is_none_or(|shortest| before.len() < shortest.len()) {
            shortest = Some(before);
        }
    }
    shortest.or_else(|| without_seconds(name))
}

/// `name` without `-1795251600`: seconds since 1970, as `dateformat -%s` writes them.
fn without_seconds(name: &[u8]) -> Option<&[u8]> {
    let (before, seconds) = name.split_at(name.len().checked_sub(11)?);
    let is_seconds = SEPARATORS.contains(&seconds[0]) && seconds[1] == b'1' && fits("dddddddddd", &seconds[1..]);
    is_seconds.then_some(before)
}

fn fits(mask: &str, text: &[u8]) -> bool {
    mask.len() == text.len()
        && mask.bytes().zip(text).all(|(mask, byte)| match mask {
            b'd' => byte.is_ascii_digit(),
            b's' => SEPARATORS.contains(byte) || *byte == b'T',
            other => other == *byte,
        })
}

/// Whether the digits can be a year of this or the last century, a month and a day.
fn is_date(text: &[u8]) -> bool {
    let digits: Vec<u8> = text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect();
    let two = |at: usize| digits.get(at..at + 2).map(|two| two[0] * 10 + two[1]);
    matches!(two(0), Some(19 | 20)) && matches!(two(4), Some(1..=12)) && matches!(two(6), None | Some(1..=31))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rotations_of_a_log_have_its_name() {
        let check = |log: &str, names: &[&str]| {
            for name in names {
                assert_eq!(log_name(OsStr::new(name)), log, "{name}");
            }
        };
        check(
            "app.log",
            &[
                "app.log",
                "app.log.1",
                "app.log.10.gz",
                "app.log.old",
                "app.log.1.old",
                "app.log-20261101",
                "app.log-20261101.gz",
                "app.log-2026110113.zst",
                "app.log-1795251600",
                "app.log.2026-11-01",
                "app.log.2026-11-01.1",
                "app.log.2026-11-01_13-05-59.xz",
                "app.1.log",
                "app-20261101.log",
                "app-20261101.log.1.bz2",
                "app.2026-11-01.log",
                "app-2026-11-01-3.log.gz",
                "app-2026-11-01.0.log",
                "app_20261101T130559.log",
                "app.2026-11.log",
                "app.2026-11-16_04-00.log.zst",
            ],
        );
        check(".log", &["2026-11-01.log", "20261101.log.gz"]);
        check("prog.host.INFO", &["prog.host.INFO.20261101-120000.12345"]);
        check("syslog", &["syslog", "syslog.1", "syslog.2.gz"]);
        check("localhost_access_log.txt", &["localhost_access_log.2026-11-01.txt"]);
    }

    #[test]
    fn what_tells_logs_apart_stays() {
        for name in [
            "worker-1.log",
            "host.10.0.0.1.log",
            "nginx-1.27",
            "db-20261399.log",
            "job-12345678.log",
            "x20261101.log",
            "web1.log",
            "caf\u{e9}.log",
            "app.access",
            ".gz",
            "",
        ] {
            assert_eq!(log_name(OsStr::new(name)), name);
        }
    }

    proptest! {
        /// Any bytes are a name, and that of a log is its own.
        #[test]
        fn the_name_of_a_log_is_that_of_its_rotations(
            stem in "[a-z]{1,5}", number in 0..10_000_000u32, bytes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let log = format!("{stem}.log");
            prop_assert_eq!(log_name(OsStr::new(&format!("{log}.{number}.gz"))), log.as_str());
            log_name(OsStr::from_bytes(&bytes));
        }
    }
}
