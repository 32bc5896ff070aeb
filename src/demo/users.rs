//! The demo's database: one table of users.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

use super::random::Random;
use crate::core::time::Timestamp;

/// How many users there are.
pub(super) const USERS: u32 = 5000;

const DAY_SECONDS: u64 = 86_400;
const FIRST_NAMES: [&str; 16] = [
    "Ada", "Bela", "Chidi", "Dana", "Emre", "Freya", "Goran", "Hanna", "Ivo", "Jun", "Kofi", "Lea", "Mina", "Nils",
    "Olga", "Pia",
];
const LAST_NAMES: [&str; 16] = [
    "Adler", "Baros", "Costa", "Dietz", "Egger", "Fuchs", "Garcia", "Haas", "Ito", "Jansen", "Kovac", "Lindt", "Moser",
    "Novak", "Okoro", "Peters",
];
const TABLE: &str = "CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    email         TEXT NOT NULL UNIQUE,
    is_active     INTEGER NOT NULL DEFAULT 1,
    last_login_at TEXT,
    created_at    TEXT NOT NULL
)";

/// Makes the database at `path`, where nothing is yet.
pub(super) async fn make(path: &Path, now: Timestamp) -> sqlx::Result<()> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true).disable_statement_logging();
    let mut connection = options.connect().await?;
    connection.execute(TABLE).await?;
    let mut transaction = connection.begin().await?;
    let mut random = Random::new(0xDA7B00C);
    for id in 1..=USERS {
        let (first, last) = (random.one_of(&FIRST_NAMES), random.one_of(&LAST_NAMES));
        // Of 20, one is inactive already; of the others a third was seen long ago, and some never logged in.
        let is_active = random.below(20) != 0;
        let long_gone = random.below(3) == 0;
        let never_logged_in = random.below(12) == 0;
        // Clear of the 30 days on both sides, so that a demo that runs for a while shows the same.
        let seen = if long_gone { days(&mut random, 31, 400) } else { days(&mut random, 0, 25) };
        let created = if never_logged_in { seen } else { seen + days(&mut random, 1, 1000) };
        sqlx::query("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)")
            .bind(id)
            .bind(format!("{first} {last}"))
            .bind(format!("{}.{}.{id}@example.org", first.to_lowercase(), last.to_lowercase()))
            .bind(is_active)
            .bind((!never_logged_in).then(|| text(now - seen)))
            .bind(text(now - created))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    connection.close().await
}

/// A duration of at least `from` and less than `to` days.
fn days(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_secs(from * DAY_SECONDS + random.below((to - from) * DAY_SECONDS))
}

/// As SQLite's own `datetime()` writes it.
fn text(time: Timestamp) -> String {
    match chrono::DateTime::from_timestamp_millis(time.0) {
        Some(time) => time.format("%Y-%m-%d %H:%M:%S").to_string(),
        None => "1970-01-01 00:00:00".into(), // No clock shows such a time.
    }
}
