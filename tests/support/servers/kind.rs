//! What is different between PostgreSQL and MariaDB: packages, programs, how they are told what to do.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, Row};

use super::install::Programs;
use super::{PASSWORD, USER, keeper};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Mariadb,
}

impl Kind {
    /// The beginning of its urls.
    pub fn scheme(self) -> &'static str {
        match self {
            Kind::Postgres => "postgres",
            Kind::Mariadb => "mysql",
        }
    }

    /// The database that is there from the start.
    pub(super) fn home(self) -> &'static str {
        match self {
            Kind::Postgres => "postgres",
            Kind::Mariadb => "mysql",
        }
    }

    /// Debian's packages, in the order in which they are installed.
    pub(super) fn packages(self) -> &'static [&'static str] {
        match self {
            Kind::Postgres => &["postgresql-common", "postgresql"],
            Kind::Mariadb => &["mariadb-server-core", "mariadb-client-core"],
        }
    }

    /// What is to be done between packages: Debian would make and start a PostgreSQL of its own, which nobody needs.
    pub(super) fn after_package(self, package: &str, etc: &Path) {
        if package == "postgresql-common" {
            let path = etc.join("postgresql-common/createcluster.conf");
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let text =
                format!("{text}\n# Nothing is to be started by the installation alone.\ncreate_main_cluster = false\n");
            std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }

    /// The program that is the server, the one that makes its folder, and one that the latter needs beside it.
    pub(super) fn program_names(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Kind::Postgres => ("postgres", "initdb", None),
            Kind::Mariadb => ("mariadbd", "mariadb-install-db", Some("my_print_defaults")),
        }
    }

    /// The signal that ends it at once.
    pub(super) fn end_signal(self) -> &'static str {
        match self {
            // Its immediate shutdown, which ends its children too.
            Kind::Postgres => "QUIT",
            Kind::Mariadb => "KILL",
        }
    }

    /// Makes the files that the server works on.
    pub(super) fn prepare(self, programs: &Programs, folder: &Path) {
        let data = folder.join("data").display().to_string();
        let mut command = vec![programs.prepare.display().to_string()];
        match self {
            Kind::Postgres => {
                let secret = folder.join("password");
                std::fs::write(&secret, PASSWORD).expect("the password is written");
                let secret = format!("--pwfile={}", secret.display());
                let user = format!("--username={USER}");
                let fixed = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"];
                command.extend(["--pgdata", &data, &user, &secret].map(str::to_owned));
                command.extend(fixed.map(str::to_owned));
            }
            Kind::Mariadb => {
                let user = format!("CREATE OR REPLACE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';\n");
                let grant = format!("GRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;\n");
                std::fs::write(folder.join("init.sql"), user + &grant).expect("the first statements are written");
                let fixed =
                    ["--skip-test-db", "--auth-root-authentication-method=normal", "--innodb-log-file-size=48M"];
                command.extend(["--no-defaults".to_owned(), format!("--datadir={data}")]);
                command.extend(fixed.map(str::to_owned));
            }
        }
        keeper::run(&command, folder);
    }

    /// Runs the server in the foreground. What makes it survive a power cut is
    /// off, as a test needs speed; it survives being killed.
    pub(super) fn command(self, programs: &Programs, folder: &Path, port: u16) -> Vec<String> {
        let in_folder = |name: &str| folder.join(name).display().to_string();
        let mut command = vec![programs.server.display().to_string()];
        match self {
            Kind::Postgres => {
                let settings = [
                    "listen_addresses=127.0.0.1".to_owned(),
                    format!("port={port}"),
                    format!("unix_socket_directories={}", folder.display()),
                    "fsync=off".to_owned(),
                    "full_page_writes=off".to_owned(),
                    "max_connections=200".to_owned(),
                    "max_wal_size=4GB".to_owned(),
                ];
                command.extend(["-D".to_owned(), in_folder("data")]);
                command.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
            }
            Kind::Mariadb => {
                command.extend([
                    "--no-defaults".to_owned(),
                    format!("--datadir={}", in_folder("data")),
                    format!("--init-file={}", in_folder("init.sql")),
                    format!("--socket={}", in_folder("socket")),
                    format!("--pid-file={}", in_folder("pid")),
                    format!("--port={port}"),
                ]);
                let fixed = [
                    "--bind-address=127.0.0.1",
                    "--skip-name-resolve",
                    "--innodb-flush-log-at-trx-commit=2",
                    "--innodb-flush-method=nosync",
                    "--innodb-log-file-size=48M",
                    "--innodb-buffer-pool-size=256M",
                    "--max-connections=200",
                    "--character-set-server=utf8mb4",
                ];
                command.extend(fixed.map(str::to_owned));
            }
        }
        command
    }

    /// Runs statements, one after the other, on a connection of their own.
    pub(super) fn run(self, url: &str, statements: &[&str]) -> sqlx::Result<()> {
        let safe = |statement: &&str| AssertSqlSafe((*statement).to_owned());
        wait(async {
            match self {
                Kind::Postgres => {
                    let mut connection = PgConnection::connect(url).await?;
                    for statement in statements.iter().map(safe) {
                        connection.execute(sqlx::raw_sql(statement)).await?;
                    }
                    connection.close().await
                }
                Kind::Mariadb => {
                    let mut connection = MySqlConnection::connect(url).await?;
                    for statement in statements.iter().map(safe) {
                        connection.execute(sqlx::raw_sql(statement)).await?;
                    }
                    connection.close().await
                }
            }
        })
    }

    /// The whole number, of whatever width, in the first column of the only row.
    pub(super) fn number(self, url: &str, query: &str) -> sqlx::Result<i64> {
        let query = AssertSqlSafe(query.to_owned());
        wait(async {
            match self {
                Kind::Postgres => {
                    let mut connection = PgConnection::connect(url).await?;
                    sqlx::query(query).fetch_one(&mut connection).await?.try_get_unchecked(0)
                }
                Kind::Mariadb => {
                    let mut connection = MySqlConnection::connect(url).await?;
                    sqlx::query(query).fetch_one(&mut connection).await?.try_get_unchecked(0)
                }
            }
        })
    }
}

/// Waits for a future on a thread of its own, as the caller's may run a runtime already.
fn wait<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(future)
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}
