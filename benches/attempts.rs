//! What it costs to run something: 2,000 times `true`, each with a shim of its own, started and collected by the daemon,
//! against a loop that does nothing but start and wait, and against as many loops as there are processors. Also with a daemon that is large, and what a shim takes of memory.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::client::{self, Client};
use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, note, rate};
use crate::support::{fresh, median, process, remove};

const ROUNDS: usize = 3;
const RUNS: usize = 2_000;
const AT_ONCE: usize = 16;
/// Waiting jobs that make the daemon take a gibibyte.
const BALLAST: usize = 4_300_000;
const BULK: usize = 5_000;

pub fn run() {
    head("Starting and collecting `true`, 16 at once");
    let dir = fresh("attempts");
    let config = format!(
        "[task.run]\ncommand = [\"true\"]\nconcurrency = {AT_ONCE}\n\n[task.sleep]\ncommand = [\"sleep\", \"30\"]\n\n\
         [task.later]\ncommand = [\"true\"]\n"
    );
    let daemon = Daemon::start(&dir, &config, Handlers::Real);
    let mut client = Client::open(&daemon.socket());
    rounds(&mut client, "a small daemon");
    shim_memory(&mut client, daemon.pid());
    while process::pss(daemon.pid()) < 1 << 30 && waiting(&mut client) < BALLAST as u64 {
        let job =
            r#"{"task":"later","in":"1d","args":{"to":"user-0123456789abcdef@example.com","x":[1,2,3,4,5,6,7,8]}}"#;
        client.call(&client::add(&vec![job; BULK].join("\n"), "application/x-ndjson"));
    }
    note("memory of the large daemon", format!("{:.2} GiB", process::pss(daemon.pid()) as f64 / f64::from(1 << 30)));
    rounds(&mut client, "a large daemon");
    drop(daemon);
    remove(&dir);
}

fn waiting(client: &mut Client) -> u64 {
    client.get("/v1/status")["jobs"]["scheduled"].as_u64().expect("the status counts jobs")
}

/// In turns: the daemon, a bare loop, as many as there are processors, and `xargs`.
fn rounds(client: &mut Client, name: &'static str) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let round = |_| [daemon_runs(client), bare_loops(1), bare_loops(processors), xargs()];
    let rounds: Vec<[f64; 4]> = (0..ROUNDS).map(round).collect();
    let ratio = |to: usize| median(rounds.iter().map(|round| round[0] / round[to]));
    Row {
        name,
        measured: rate(median(rounds.iter().map(|round| round[0]))),
        target: "0.5",
        ratio: Some((ratio(1), "of a loop of posix_spawn and wait".into())),
    }
    .print();
    let told = |name: &'static str, of: usize| {
        note(
            name,
            format!("{}, to which the daemon is {:.2}", rate(median(rounds.iter().map(|round| round[of]))), ratio(of)),
        );
    };
    told("  the loop", 1);
    told("  a loop on each processor", 2);
    told("  xargs -P4", 3);
}

/// Runs a second, from adding them to the end of the last.
fn daemon_runs(client: &mut Client) -> f64 {
    let request = client::add(&vec![r#"{"task":"run"}"#; RUNS].join("\n"), "application/x-ndjson");
    let start = Instant::now();
    client.call(&request);
    let live = |client: &mut Client| {
        let status = client.get("/v1/status");
        let jobs = &status["jobs"];
        ["available", "running", "retryable"].iter().filter_map(|state| jobs[*state].as_u64()).sum::<u64>()
    };
    while live(client) > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    RUNS as f64 / start.elapsed().as_secs_f64()
}

fn bare_loops(count: usize) -> f64 {
    let start = Instant::now();
    let bare_loop = || {
        for _ in 0..RUNS / count {
            // Without a closure to run in the child, the standard library uses `posix_spawn`.
            let status = Command::new("true").stdin(Stdio::null()).status().expect("`true` can be started");
            assert!(status.success());
        }
    };
    std::thread::scope(|scope| (0..count).for_each(|_| drop(scope.spawn(bare_loop))));
    (RUNS / count * count) as f64 / start.elapsed().as_secs_f64()
}

fn xargs() -> f64 {
    let start = Instant::now();
    let line = format!("seq {RUNS} | xargs -P4 -n1 true");
    let status = Command::new("sh").args(["-c", &line]).status().expect("a shell can be started");
    assert!(status.success());
    RUNS as f64 / start.elapsed().as_secs_f64()
}

/// What a shim takes whose job sleeps.
fn shim_memory(client: &mut Client, daemon: u32) {
    client.call(&client::add(r#"{"task":"sleep","key":"memory"}"#, "application/json"));
    let children = format!("/proc/{daemon}/task");
    let shim = loop {
        let tasks = std::fs::read_dir(&children).expect("the daemon lives").flatten();
        let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids: Vec<u32> = children
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|pid| pid.parse().ok())
            .collect();
        // Once it has a child of its own, it waits for that.
        let is_waiting = |pid: &&u32| {
            let path = format!("/proc/{pid}/task/{pid}/children");
            std::fs::read_to_string(path).is_ok_and(|text| !text.trim().is_empty())
        };
        if let Some(pid) = pids.iter().find(is_waiting) {
            break *pid;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    note("memory of a shim (PSS)", format!("{:.2} MB", process::pss(shim) as f64 / 1e6));
    note("  of it no file's", format!("{:.2} MB", process::pss_anonymous(shim) as f64 / 1e6));
}
