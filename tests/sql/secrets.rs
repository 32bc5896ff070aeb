//! The password of a database is in no log, no journal, no file of the state, no answer and no job's environment,
//! whatever happens with that database and however much is logged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::base::Base;
use crate::daemon::{Daemon, Place};
use crate::servers::{self, PASSWORD, Server, USER};

/// As a part of urls that cannot be used.
const WRONG: &str = "grey-heron-0815";

fn config(server: &Server, url: &str, name: &str) -> String {
    let port = server.port;
    let scheme = server.kind.scheme();
    let wrong = server.url_of(USER, WRONG, name);
    format!(
        "[log]\nlevel = \"trace\"\n\
         [databases.good]\nurl = \"{url}\"\n\
         [databases.wrong]\nurl = \"{wrong}\"\n\
         [databases.missing]\nurl = \"{}\"\n\
         [databases.down]\nurl = \"{scheme}://{USER}:{PASSWORD}@127.0.0.1:1/{name}\"\n\
         [databases.unreadable]\nurl = \"{scheme}://{USER}:{PASSWORD}/{WRONG}@127.0.0.1:{port}/{name}\"\n\
         [databases.mistyped]\nurl = \"{url}?pasword={WRONG}\"\n\
         [databases.file]\nurl_file = \"$DIR/app.url\"\n\
         [databases.credential]\ncredential = \"app-url\"\n\
         [task.shell]\nshell = \"env; cat /proc/self/environ; cat /proc/$PPID/cmdline\"\n\
         [task.fails]\ndatabase = \"good\"\nattempts = 1\nsql = \"delete from nothing\"\n\
         [task.times-out]\ndatabase = \"good\"\nattempts = 1\ntimeout = \"1s\"\nsql = \"{}\"\n",
        server.url_of(USER, PASSWORD, "no_such_database"),
        if scheme == "mysql" { "select sleep(1000)" } else { "select pg_sleep(1000)" },
    ) + &["good", "wrong", "missing", "down", "unreadable", "mistyped", "file", "credential"]
        .map(|database| format!("[task.{database}]\ndatabase = \"{database}\"\nattempts = 1\nsql = \"select 1\"\n"))
        .concat()
}

#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for secret in [PASSWORD, WRONG] {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{what}: {}", String::from_utf8_lossy(bytes));
    }
}

fn clean_files(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += clean_files(&path);
        } else if path.is_file() {
            clean(&path.display().to_string(), &fs::read(&path).unwrap());
            count += 1;
        }
    }
    count
}

fn clean_answers(place: &Place, daemon: &Daemon<'_>, jobs: &[u64]) {
    let mut paths: Vec<String> =
        ["status", "tasks", "jobs?limit=100", "journal"].map(|path| format!("/v1/{path}")).to_vec();
    for job in jobs {
        paths.extend(["", "/why", "/output"].map(|of| format!("/v1/jobs/{job}{of}")));
    }
    for path in paths {
        let answer = daemon.send("GET", &path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        clean(&path, &answer.body);
    }
    for verb in [["tasks", "--json"], ["status", "--json"], ["journal", "--json"], ["repair", "--dry-run"]] {
        let output = place.cli(verb);
        // The daemon is degraded, of a reload that was refused; that is an answer as well.
        assert!(output.status.success() || verb[0] == "status", "{verb:?}");
        clean(verb[0], &[output.stdout, output.stderr].concat());
    }
}

/// What is to become of a job of each task.
const EXPECTED: [(&str, &str, &str); 11] = [
    ("shell", "completed", ""),
    ("good", "completed", ""),
    ("file", "completed", ""),
    ("credential", "completed", ""),
    ("fails", "discarded", "statement 1 of 1 (`delete`) in database `good`"),
    ("times-out", "discarded", "timed out"),
    ("wrong", "discarded", "connect to database `wrong`"),
    ("missing", "discarded", "connect to database `missing`"),
    ("down", "discarded", "connect to database `down`"),
    ("unreadable", "discarded", "database `unreadable`"),
    ("mistyped", "discarded", "database `mistyped`"),
];

fn no_password_gets_out(server: &Server) {
    let database = server.database();
    let place = Place::new(&config(server, &database.url, &database.name));
    let credentials = place.path("credentials");
    fs::create_dir(&credentials).unwrap();
    for file in [place.path("app.url"), credentials.join("app-url")] {
        fs::write(&file, format!("{}\n", database.url)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let environment = format!("export CREDENTIALS_DIRECTORY={}", credentials.display());
    let mut daemon = place.launch_limited(&environment);
    daemon.wait_ready();
    let jobs: Vec<u64> = EXPECTED.map(|(task, _, _)| daemon.add(json!({ "task": task }))).to_vec();
    for (job, (task, state, error)) in jobs.iter().zip(EXPECTED) {
        let view = daemon.wait_state(*job, state);
        assert!(view["error"].as_str().unwrap_or_default().contains(error), "{task}: {view}");
    }
    // The config changes, and then gets a mistake in the very line of a password.
    let config_text = config(server, &database.url, &database.name).replace(WRONG, &format!("x{WRONG}"));
    place.configure("", &config_text);
    clean("reload", daemon.post("/v1/reload", json!({})).to_string().as_bytes());
    for broken in
        [config_text.replace(&format!("{WRONG}@"), &format!("{WRONG}\n@")), config_text.replace("url = ", "ulr = ")]
    {
        place.configure("", &broken);
        let answer = daemon.send("POST", "/v1/reload", "{}");
        assert_ne!(answer.status, 200);
        clean("reload of a bad file", &answer.body);
        let check = place.cli(["check"]);
        assert!(!check.status.success());
        clean("check", &[check.stdout, check.stderr].concat());
    }
    place.configure("", &config_text);
    clean_answers(&place, &daemon, &jobs);
    daemon.stop();
    assert!(place.log().contains("DEBUG"), "too little is logged to show anything");
    clean("log", place.log().as_bytes());
    assert!(clean_files(&place.state()) > 5);
}

#[test]
fn no_password_of_postgres_gets_out() {
    servers::postgres().into_iter().for_each(no_password_gets_out);
}

#[test]
fn no_password_of_mariadb_gets_out() {
    servers::mariadb().into_iter().for_each(no_password_gets_out);
}

/// A file of SQLite has no password, and a missing one is told by its path.
#[test]
fn a_missing_file_is_told() {
    let base = Base::file();
    let place = Place::new(&format!(
        "[databases.app]\nurl = \"{}.not\"\n[task.a]\ndatabase = \"app\"\nattempts = 1\nsql = \"select 1\"",
        base.url()
    ));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "a" }));
    let error = daemon.wait_state(job, "discarded")["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("open database `app` at `") && error.contains("app.db.not"), "{error}");
}
