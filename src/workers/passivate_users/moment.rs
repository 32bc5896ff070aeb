//! Moments (last login, creation) in each kind of database: whether one lies before another, and what it is in seconds
//! since 1970. Every comparison has the bare column on one side, so that an index on it can be used.
//!
//! Servers have types for moments: `timestamptz`, `timestamp`, `datetime`, `date`; those without a zone are read as UTC. A
//! moment up to the end of 1970-01-01 is none: 0, `0000-00-00`, `0001-01-01` and `-infinity` stand for "never".
//!
//! In SQLite, which has no type for them, a moment may be
//! - a text `YYYY-MM-DD`, or that with `HH:MM`, `HH:MM:SS` or `HH:MM:SS.SSS` behind a space or `T`, and `Z` or an
//!   offset `+HH:MM` at the end: RFC 3339 and what SQLite's own `datetime()` gives. Without offset it is UTC;
//! - an integer up to 99,999,999,999: seconds since 1970; from 253,402,300,800 (past the year 9999 in seconds, 1978 in
//!   milliseconds) to 253,402,300,799,999 milliseconds;
//! - a real number of seconds from 100,000,000 (1973) on; smaller ones may be Julian days.
//!
//! All else, as -1, '' or 'never', is unreadable, and its user is left alone: who writes such a thing
//! may mean anything by it.

use super::statement::Statement;
use crate::core::time::Timestamp;
use crate::database::{Kind, Value};

/// What is not later than this many seconds is no moment.
const NEVER_SECONDS: i64 = 86_400;
const NEVER: &str = "1970-01-02 00:00:00";
/// The first milliseconds that cannot be seconds.
const MILLISECONDS_FROM: i64 = 253_402_300_800;

/// How the moments of a column are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moments {
    /// In SQLite: numbers or texts.
    Sqlite,
    /// PostgreSQL's `timestamptz`.
    PostgresZoned,
    /// PostgreSQL's `timestamp` and `date`.
    PostgresPlain,
    /// `datetime`, `timestamp` and `date` of MySQL and MariaDB, in a session whose zone is UTC.
    MySql,
}

impl Moments {
    /// What a column of this type holds, if that is moments. Of SQLite any column may.
    pub fn of(kind: Kind, column_type: &str) -> Option<Moments> {
        match (kind, column_type) {
            (Kind::Sqlite, _) => Some(Moments::Sqlite),
            (Kind::Postgres, "timestamp with time zone") => Some(Moments::PostgresZoned),
            (Kind::Postgres, "timestamp without time zone" | "date") => Some(Moments::PostgresPlain),
            (Kind::MySql, "datetime" | "timestamp" | "date") => Some(Moments::MySql),
            (Kind::Postgres | Kind::MySql, _) => None,
        }
    }

    /// The comparisons of which one holds for every moment before `cutoff`, each of which can use an index. That and the
    /// exact one stand in [`Moments::before`].
    pub fn ranges(self) -> &'static [Range] {
        match self {
            Moments::Sqlite => &[Range::Seconds, Range::Milliseconds, Range::Text],
            Moments::PostgresZoned | Moments::PostgresPlain | Moments::MySql => &[Range::Whole],
        }
    }

    /// Writes a condition: the column holds a moment, in this range, before `cutoff`.
    pub fn before(self, to: &mut Statement, column: &str, cutoff: Timestamp, range: Range) {
        let seconds = seconds(cutoff);
        match range {
            Range::Seconds => {
                to.push(&format!("{column} BETWEEN {} AND ", NEVER_SECONDS + 1)).bind(Value::Integer(seconds));
            }
            Range::Milliseconds => {
                let milliseconds = Value::Integer(seconds.saturating_mul(1000));
                to.push(&format!("{column} BETWEEN {MILLISECONDS_FROM} AND ")).bind(milliseconds);
            }
            Range::Text => {
                // Two days on, whatever offset a text has.
                let day = text(Timestamp(cutoff.0.saturating_add(2 * 86_400_000)))[..10].to_owned();
                to.push(&format!("{column} >= '' AND {column} < ")).bind(Value::Text(day));
            }
            Range::Whole => {
                let (begin, end) = self.cast();
                to.push(&format!("{column} > {begin}'{NEVER}'{end} AND {column} < {begin}"));
                to.bind(Value::Text(text(cutoff))).push(end);
                return;
            }
        }
        to.push(&format!(" AND {} < ", sqlite_seconds(column))).bind(Value::Integer(seconds));
    }

    /// A condition: the column is not NULL, and holds no moment.
    pub fn unreadable(self, column: &str) -> String {
        match self {
            Moments::Sqlite => format!("({column} IS NOT NULL AND {} IS NULL)", sqlite_seconds(column)),
            Moments::PostgresZoned | Moments::PostgresPlain | Moments::MySql => {
                let (begin, end) = self.cast();
                format!("{column} <= {begin}'{NEVER}'{end}")
            }
        }
    }

    /// Seconds since 1970 of a column that holds a moment.
    pub fn seconds(self, column: &str) -> String {
        match self {
            Moments::Sqlite => sqlite_seconds(column),
            Moments::PostgresZoned | Moments::PostgresPlain => {
                format!("CAST(floor(extract(epoch FROM {column})) AS bigint)")
            }
            Moments::MySql => format!("TIMESTAMPDIFF(SECOND, '1970-01-01 00:00:00', {column})"),
        }
    }

    /// What stands before and behind a text in UTC to make it a moment of this type.
    fn cast(self) -> (&'static str, &'static str) {
        match self {
            Moments::Sqlite => ("", ""),
            Moments::PostgresZoned => ("(CAST(", " AS timestamp) AT TIME ZONE 'UTC')"),
            Moments::PostgresPlain => ("CAST(", " AS timestamp)"),
            Moments::MySql => ("CAST(", " AS DATETIME(3))"),
        }
    }
}

/// A part of all moments whose values are stored side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    /// All of them.
    Whole,
    /// In SQLite, numbers of seconds.
    Seconds,
    /// In SQLite, numbers of milliseconds.
    Milliseconds,
    /// In SQLite, texts.
    Text,
}

fn seconds(at: Timestamp) -> i64 {
    at.0.div_euclid(1000)
}

/// `2026-11-21 09:00:00.000`, in UTC.
fn text(at: Timestamp) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at.0).unwrap_or(chrono::DateTime::UNIX_EPOCH);
    at.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

/// Seconds since 1970 of a column in SQLite, or NULL; see the head of this file.
fn sqlite_seconds(column: &str) -> String {
    format!(
        "(CASE typeof({column}) WHEN 'integer' THEN
         CASE WHEN {column} BETWEEN {NEVER_SECONDS} + 1 AND 99999999999 THEN {column}
         WHEN {column} BETWEEN {MILLISECONDS_FROM} AND 253402300799999 THEN {column} / 1000 END WHEN 'real' THEN
         CASE WHEN {column} BETWEEN 1e8 AND 99999999999.0 THEN CAST({column} AS INTEGER) END WHEN 'text' THEN
         CASE WHEN {column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' AND unixepoch({column}) > {NEVER_SECONDS}
         THEN unixepoch({column}) END END)"
    )
}
