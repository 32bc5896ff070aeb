//! From a url to what sqlx connects with. Nothing of a url is ever repeated: a password with an unescaped `/`, `?`
//! or `#` in it may stand in any part.

use std::str::FromStr;

use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::{Error, Kind};

/// What sqlx connects with. Has no `Debug`: it holds the password.
pub(super) enum Options {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

impl Kind {
    /// The kind of database that a url names, if one is known by that name.
    pub fn of_url(url: &str) -> Option<Kind> {
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => Some(Kind::Sqlite),
            Some("postgres" | "postgresql") => Some(Kind::Postgres),
            Some("mysql" | "mariadb") => Some(Kind::MySql),
            _ => None,
        }
    }
}

/// The kind of database that a url names.
pub(super) fn kind(database: &str, url: &str) -> Result<Kind, Error> {
    Kind::of_url(url).ok_or_else(|| Error::Kind { database: database.to_owned() })
}

/// Parameters that may stand behind `?`. sqlx passes over those that it does not know, and a mistyped
/// `sslmode` must not go unseen.
fn parameters(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Sqlite => &["mode", "cache", "immutable", "vfs"],
        Kind::Postgres => &[
            "sslmode",
            "sslrootcert",
            "sslcert",
            "sslkey",
            "host",
            "hostaddr",
            "port",
            "dbname",
            "user",
            "password",
            "application_name",
            "options",
        ],
        Kind::MySql => &["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key", "socket", "charset", "collation", "timezone"],
    }
}

/// Reads a url.
pub(super) fn read(database: &str, url: &str) -> Result<Options, Error> {
    let kind = kind(database, url)?;
    let known = parameters(kind);
    let given = url.split_once('?').map_or("", |(_, given)| given);
    let names = given.split('&').filter(|part| !part.is_empty()).map(|part| part.split('=').next().unwrap_or(part));
    for name in names {
        if !known.contains(&name) {
            return Err(Error::Parameter { database: database.to_owned(), known: known.join(", ") });
        }
    }
    // sqlx's reason is left out: it may quote the url.
    let unreadable = |_| Error::Url { database: database.to_owned(), kind };
    match kind {
        Kind::Sqlite => {
            let options = SqliteConnectOptions::from_str(url).map_err(unreadable)?;
            Ok(Options::Sqlite(options.disable_statement_logging()))
        }
        Kind::Postgres => {
            let options = PgConnectOptions::from_str(url).map_err(unreadable)?;
            Ok(Options::Postgres(options.disable_statement_logging()))
        }
        Kind::MySql => {
            let options = MySqlConnectOptions::from_str(url).map_err(unreadable)?;
            // `||` keeps the meaning that it has on this server.
            Ok(Options::MySql(options.pipes_as_concat(false).disable_statement_logging()))
        }
    }
}
