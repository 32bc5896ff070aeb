//! `clean-logs` on 100,000 files of one folder, against `find -delete` and against `logrotate`, each on files made anew.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use daybook::core::id::JobId;
use daybook::core::time::Timestamp;
use daybook::exec::{Lines, Outputs};
use daybook::workers::{Cancelled, CleanLogs, Context};

use crate::support::table::{Row, head, note};
use crate::support::{fresh, process, remove};

const FILES: u32 = 100_000;
/// As many rotations are to be left.
const KEPT: u32 = 10;
const DAY: Duration = Duration::from_secs(86_400);
/// Bytes of the output that the daemon keeps by default.
const OUTPUT_MAX: u64 = 1 << 20;

pub fn run() {
    head("Clean-logs: 100,000 rotations of a log in one folder");
    process::forget_peak();
    let before = process::peak();
    let find = on_fresh_files(0, |logs| {
        let mut find = Command::new("find");
        find.arg(logs).args(["-type", "f", "-name", "app.log-*", "-mtime", "+30", "-delete"]);
        succeed(&mut find);
    });
    row("  find", find, "", None);
    let limits = CleanLogs { older_than: Some(30 * DAY), ..CleanLogs::default() };
    let by_age = on_fresh_files(0, |logs| clean(logs, limits));
    row("delete by age", by_age, "2.0", Some((find, "of `find -mtime +30 -delete`")));
    let logrotate = logrotate_is_there().then(|| on_fresh_files(KEPT, rotate));
    match logrotate {
        Some(seconds) => row("  logrotate", seconds, "", None),
        None => note("  logrotate", "skipped: it is not installed (apt-get install logrotate)".into()),
    }
    let limits = CleanLogs { keep_files: Some(KEPT), ..CleanLogs::default() };
    let by_number = on_fresh_files(KEPT, |logs| clean(logs, limits));
    row("delete by number", by_number, "", logrotate.map(|seconds| (seconds, "of `logrotate`, rotate 10")));
    note("memory beyond that before, at its highest", format!("{:.1} MB", (process::peak() - before) as f64 / 1e6));
}

/// Prints what has just been measured.
fn row(name: &'static str, seconds: f64, target: &'static str, to: Option<(f64, &'static str)>) {
    let ratio = to.map(|(to, what)| (seconds / to, what.into()));
    Row { name, measured: format!("{seconds:.2} s"), target, ratio }.print();
}

/// Seconds that `work` takes, which is to leave so many rotations. Tells how long the files took to be made.
fn on_fresh_files(left: u32, work: impl FnOnce(&Path)) -> f64 {
    let dir = fresh("logs");
    let logs = dir.join("app");
    std::fs::create_dir(&logs).expect("the bench directory can be written to");
    let start = Instant::now();
    make(&logs).expect("the bench directory can be written to");
    rustix::fs::syncfs(File::open(&dir).expect("the folder is there")).expect("what was made can be flushed");
    note("  files made anew in", format!("{:.1} s", start.elapsed().as_secs_f64()));
    let start = Instant::now();
    work(&logs);
    let seconds = start.elapsed().as_secs_f64();
    let names = std::fs::read_dir(&logs).expect("the folder is there").flatten().map(|entry| entry.file_name());
    let rotations = names.filter(|name| name.as_encoded_bytes().starts_with(b"app.log-")).count();
    assert_eq!(rotations, left as usize, "it did not do its work");
    remove(&dir);
    seconds
}

/// Makes the files, each opened once. The folder takes one at a time, so threads would only wait for one another.
fn make(logs: &Path) -> io::Result<()> {
    let old = SystemTime::now() - 40 * DAY;
    for number in 0..FILES {
        // A file for each hour, as `dateext` names them; the order of names is that of their times.
        let (hour, day, month, year) = (number % 24, number / 24 % 28, number / 672 % 12, number / 8064);
        let name = format!("app.log-{}{:02}{:02}{hour:02}", 2000 + year, month + 1, day + 1);
        let mut file = File::create_new(logs.join(name))?;
        file.write_all(&[b'x'; 100])?;
        file.set_modified(old - Duration::from_secs(u64::from(FILES - number)))?;
    }
    Ok(())
}

/// A run of the worker, with its output in a file as in the daemon.
fn clean(logs: &Path, settings: CleanLogs) {
    let outputs = Outputs::new(logs.with_file_name("outputs")).expect("the folder can be made");
    let lines = Lines::begin(&outputs, JobId(1), 1, OUTPUT_MAX).expect("the output can be made");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is right");
    let (_cancel, cancelled) = tokio::sync::watch::channel(false);
    let context = Context {
        job: JobId(1),
        attempt: 1,
        args: serde_json::Value::Null,
        now: Timestamp(i64::try_from(now.as_millis()).expect("the clock is right")),
        progress: Arc::new(|_, _, _| {}),
        timeout: None,
        state_dir: std::path::PathBuf::new(),
        log: Arc::new(move |line| lines.write(line)),
        cancelled: Cancelled::new(cancelled),
    };
    let worker = CleanLogs { paths: vec![format!("{}/app.log-*", logs.display())], ..settings }.worker();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be had");
    runtime.block_on(worker.expect("the settings are right").run(context)).expect("the run succeeds");
}

/// One rotation, which removes what is beyond its number.
fn rotate(logs: &Path) {
    let (config, state) = (logs.with_file_name("logrotate.conf"), logs.with_file_name("logrotate.state"));
    let log = logs.join("app.log");
    std::fs::write(&log, "x").expect("the folder can be written to");
    let text = format!(
        "{} {{\n su root root\n rotate {KEPT}\n dateext\n dateformat -%Y%m%d%H\n hourly\n create\n}}\n",
        log.display()
    );
    std::fs::write(&config, text).expect("the folder can be written to");
    succeed(Command::new(program()).arg("--force").arg("--state").args([state, config]));
}

fn succeed(command: &mut Command) {
    let status = command.stdout(Stdio::null()).status().expect("the program starts");
    assert!(status.success(), "{command:?}: {status}");
}

fn program() -> PathBuf {
    // Not in everybody's PATH.
    let place = PathBuf::from("/usr/sbin/logrotate");
    if place.exists() { place } else { "logrotate".into() }
}

fn logrotate_is_there() -> bool {
    Command::new(program()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}
