//! What is in the log, and what is never in it.

use std::fs;
use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::daemon::{Place, touch, until};

/// What a payload has in it, and no log may have.
const SECRET: &str = "s3cr3t-m4rk3r";

/// Tasks that end in every way, with the marker in all that they are given and all that they give.
const TASKS: &str = "
[log]
level = 'trace'
levels = { engine = 'trace', sqlx = 'trace', exec = 'trace', tokio_cron_scheduler = 'trace' }
[databases.app]
url = 'sqlite://$DIR/app.db?cache=shared'
[databases.gone]
url = 'postgres://app:s3cr3t-m4rk3r@127.0.0.1:9/s3cr3t-m4rk3r'
[databases.file]
url_file = '$DIR/app.url'
[task.good]
command = ['sh', '-c', 'echo $TOKEN; echo $DAYBOOK_ARGS >&2; echo \"{\\\"t\\\": \\\"$TOKEN\\\"}\" > $DAYBOOK_RESULT']
env = { TOKEN = 's3cr3t-m4rk3r' }
[task.bad]
shell = 'echo s3cr3t-m4rk3r; exit 3'
attempts = 2
backoff = '1ms'
[task.noisy]
shell = 'yes s3cr3t-m4rk3r | head -c 200000'
output_max = '1KB'
[task.odd-result]
shell = 'head -c 100000 /dev/zero | tr \"\\\\0\" x > $DAYBOOK_RESULT'
[task.unknown]
command = ['/nonexistent/program', 's3cr3t-m4rk3r']
attempts = 1
[task.slow]
shell = 'echo s3cr3t-m4rk3r; sleep 1000'
timeout = '50ms'
attempts = 1
[task.wait]
shell = 'sleep 1000 & echo s3cr3t-m4rk3r; touch $DIR/runs; sleep 1000'
[task.users]
worker = 'passivate-users'
database = 'app'
where = \"name <> 's3cr3t-m4rk3r'\"
inactive_after = '30d'
attempts = 1
";

const STOP_AT_ONCE: &str = "stop_timeout = '0s'";

#[test]
fn no_payload_is_in_any_log() {
    for format in ["text", "json"] {
        let config = TASKS.replace("[log]", &format!("[log]\nformat = '{format}'"));
        let place = Place::with_top(STOP_AT_ONCE, &config);
        fs::write(place.path("app.url"), SECRET).unwrap();
        let daemon = place.start();
        let args = json!({"token": SECRET, "nested": [SECRET]});
        let mut jobs = Vec::new();
        for task in ["good", "bad", "noisy", "odd-result", "unknown", "slow", "users"] {
            let args = if task == "users" { json!(null) } else { args.clone() };
            let job = daemon.add(json!({"task": task, "args": args, "key": format!("{task}-{SECRET}")}));
            jobs.push((task, job));
        }
        for (task, job) in jobs {
            until(&format!("{task} has ended"), || (!daemon.job(job)["finished_at"].is_null()).then_some(()));
            daemon.get(&format!("/v1/jobs/{job}/why"));
            daemon.send("GET", &format!("/v1/jobs/{job}/output"), "");
        }
        let job = daemon.add(json!({"task": "wait", "args": args}));
        until("it runs", || place.path("runs").exists().then_some(()));
        let progress = json!({"current": 1, "total": 2, "message": SECRET});
        daemon.post(&format!("/v1/jobs/{job}/progress"), progress);
        daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({"reason": SECRET}));
        // Refused: a body that cannot be read, an unknown task, a key that is too long.
        for body in [format!("{{\"task\": {SECRET}}}"), format!("{{\"task\": \"{SECRET}\"}}"), "{}".into()] {
            daemon.send("POST", "/v1/jobs", &body);
        }
        // Environments are not shown when they change, and neither are the addresses of databases.
        let changed =
            config.replace(&format!("TOKEN = '{SECRET}'"), &format!("TOKEN = 'new-{SECRET}', OTHER = '{SECRET}'"));
        place.configure(STOP_AT_ONCE, &changed.replace("app:s3cr3t-m4rk3r@", "app:new-s3cr3t-m4rk3r@"));
        daemon.signal(Signal::HUP);
        until("it has reloaded", || place.log().contains("env TOKEN changed").then_some(()));
        daemon.wait_state(job, "cancelled");
        fs::remove_file(place.path("runs")).unwrap();
        let job = daemon.add(json!({"task": "wait", "args": args}));
        until("it runs", || place.path("runs").exists().then_some(()));
        daemon.kill_with_shims();
        let daemon = place.start();
        daemon.post("/v1/repair", json!({}));
        // It runs again, and is ended.
        daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({"reason": SECRET}));
        daemon.wait_state(job, "cancelled");
        daemon.stop();

        let log = place.log();
        let leaks: Vec<&str> = log.lines().filter(|line| line.contains(SECRET)).collect();
        assert!(leaks.is_empty(), "payloads in the log:\n{}", leaks.join("\n"));
        // It has looked at something: what is logged at all of these attempts.
        for word in [
            "daybook is ready",
            "attempt starts",
            "outcome",
            "attempt ended with a note",
            "with nobody to look after",
            "env TOKEN changed",
        ] {
            assert!(log.contains(word), "`{word}` is missing: {log}");
        }
    }
}

/// A warning that comes for every job: its result is too large.
const WARNS: &str = "[task.odd]\nshell = 'head -c 100000 /dev/zero > $DAYBOOK_RESULT'\nconcurrency = 4\n";

#[test]
fn a_flood_of_warnings_is_cut_short_and_counted() {
    let place = Place::new(WARNS);
    let daemon = place.start();
    for _ in 0..30 {
        daemon.add(json!({"task": "odd"}));
    }
    until("all have ended", || (daemon.jobs("state=completed").len() == 30).then_some(()));
    daemon.stop();
    let log = place.log();
    let (told, written): (Vec<&str>, Vec<&str>) = log
        .lines()
        .filter(|line| line.contains("attempt ended with a note"))
        .partition(|line| line.contains("left out"));
    assert_eq!(written.len(), 10, "{log}");
    // Perhaps in two parts: now and then while it runs, and at the end.
    let suppressed = told.iter().map(|line| {
        let number = line.split("suppressed=").nth(1).and_then(|rest| rest.split(' ').next());
        number.and_then(|number| number.parse::<u32>().ok()).unwrap_or_else(|| panic!("{line}"))
    });
    assert_eq!(suppressed.sum::<u32>(), 20, "{log}");
}

#[test]
fn levels_are_changed_by_a_reload_and_say_so() {
    let place = Place::new("[log]\nlevel = 'warn'\n");
    let daemon = place.start();
    assert!(!place.log().contains("daybook is ready"));
    place.configure("", "[log]\nlevel = 'error'\nlevels = { daemon = 'info' }\nformat = 'json'\n");
    let answer = daemon.post("/v1/reload", json!({}));
    assert_eq!(answer["changes"], json!(["log.level warn → error", "log.levels none → daemon info"]));
    assert_eq!(answer["after_restart"], json!(["log.format text → json takes a restart"]));
    let told = place.log().len();
    daemon.signal(Signal::HUP);
    until("it says so", || place.log()[told..].contains("config reloaded").then_some(()));
    place.configure("", "[log]\nlevels = { daemon = 'error' }\nformat = 'json'\n");
    daemon.post("/v1/reload", json!({}));
    daemon.stop();
    assert!(!place.log().contains("stopping"), "{}", place.log());
    let mut daemon = place.launch();
    daemon.wait_ready();
    place.configure("", "[log]\nformat = 'json'\n");
    daemon.post("/v1/reload", json!({}));
    daemon.stop();
    let log = place.log();
    let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&line["level"], &line["target"]), (&json!("INFO"), &json!("daybook::daemon::start")), "{log}");
    assert!(line["fields"]["message"].as_str().unwrap().starts_with("stopping"), "{log}");
}

/// One source of truth: the file.
#[test]
fn no_environment_variable_changes_the_log() {
    let place = Place::new("");
    let mut daemon = place.launch_limited("export RUST_LOG=trace DAYBOOK_LOG=off");
    daemon.wait_ready();
    daemon.stop();
    let log = place.log();
    assert!(log.contains("INFO") && !log.contains("DEBUG") && !log.contains("TRACE"), "{log}");
}

/// Where standard error is not what `JOURNAL_STREAM` names, lines stay on standard error: somebody has redirected it.
#[test]
fn a_redirected_standard_error_gets_the_lines() {
    let place = Place::new("");
    let _listener = UnixDatagram::bind(place.path("journal")).unwrap();
    let mut daemon = place.launch_limited("export JOURNAL_STREAM=1:2");
    daemon.wait_ready();
    touch(&place.path("done"));
    daemon.stop();
    assert!(place.log().contains("daybook is ready"), "{}", place.log());
}
