//! Attempts that their executor has lost, or cannot end: a daemon with an executor that forgets, and processes of the
//! test's own. What is not dead is left alone, whatever is forgotten.

#[path = "crash/client.rs"]
#[allow(dead_code, reason = "what other targets need of it")]
mod client;

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daybook::core::command::{Command, Ending};
use daybook::core::effect::StartAttempt;
use daybook::core::event;
use daybook::core::id::JobId;
use daybook::core::time::Timestamp;
use daybook::daemon::{Options, run_with_executor};
use daybook::engine::Handle;
use daybook::engine::run::{Executor, Seen};
use daybook::exec::Identity;
use serde_json::{Value, json};

use client::Client;

/// Starts a `sleep` for each attempt and forgets it: all of task `lost`, and none of task `stuck`, which is overdue.
struct Forgetful {
    engine: Handle,
    runtime: tokio::runtime::Handle,
    processes: Mutex<BTreeMap<(JobId, u32), Child>>,
    stuck: Mutex<Vec<(JobId, u32)>>,
    killed: Mutex<Vec<(JobId, u32)>>,
}

impl Forgetful {
    fn tell(&self, command: Command) {
        let engine = self.engine.clone();
        self.runtime.spawn(async move { engine.tell(command).await });
    }
}

impl Executor for Forgetful {
    fn start(&self, attempt: StartAttempt) {
        let key = (attempt.job, attempt.attempt);
        if &*attempt.task == "stuck" {
            return self.stuck.lock().unwrap().push(key);
        }
        let mut sleep = Process::new("sleep");
        sleep.arg("1000").process_group(0);
        sleep.env("DAYBOOK_JOB", key.0.to_string()).env("DAYBOOK_ATTEMPT", key.1.to_string());
        let child = sleep.spawn().unwrap();
        let Identity { pid, start_time, boot_id } = Identity::of(child.id()).unwrap();
        self.processes.lock().unwrap().insert(key, child);
        let process = event::Process { pid, start_time, boot_id };
        self.tell(Command::ReportSpawned { job: key.0, attempt: key.1, process });
    }

    fn stop(&self, _job: JobId, _attempt: u32) {}

    fn look(&self, job: JobId, attempt: u32) -> Seen {
        match self.stuck.lock().unwrap().contains(&(job, attempt)) {
            true => Seen::Overdue { since: Timestamp(0) },
            false => Seen::Unknown,
        }
    }

    fn kill(&self, job: JobId, attempt: u32) {
        self.killed.lock().unwrap().push((job, attempt));
        self.stuck.lock().unwrap().clear();
        self.tell(Command::ReportEnded { job, attempt, ending: Ending::Failed { error: "ended at last".into() } });
    }
}

impl Drop for Forgetful {
    fn drop(&mut self) {
        for child in self.processes.get_mut().unwrap().values_mut() {
            // It may be gone.
            let _: std::io::Result<()> = child.kill();
            let _: std::io::Result<_> = child.wait();
        }
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn only_what_is_proven_dead_is_interrupted_and_what_is_overdue_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (config, socket) = (dir.path().join("daybook.toml"), dir.path().join("control.sock"));
    let tasks = "[task.lost]\ncommand = [\"true\"]\ngrace = \"1ms\"\n[task.stuck]\ncommand = [\"true\"]\ngrace = \"1ms\"\nattempts = 1\n[task.batch]\nitems = \"given\"\neach = { command = [\"true\"] }\n";
    let head = "state_dir = \"state\"\nsocket = \"control.sock\"\nstop_timeout = \"1ms\"\n[repair]\nevery = \"1h\"\n";
    std::fs::write(&config, format!("{head}{tasks}")).unwrap();
    let executor = Arc::new(Mutex::new(None::<Arc<Forgetful>>));
    let made = executor.clone();
    let daemon = std::thread::spawn(move || {
        let options = Options { config, state_dir: None, socket: None };
        let make = |engine| {
            let runtime = tokio::runtime::Handle::current();
            let (processes, stuck, killed) = Default::default();
            let forgetful = Arc::new(Forgetful { engine, runtime, processes, stuck, killed });
            *made.lock().unwrap() = Some(forgetful.clone());
            forgetful as Arc<dyn Executor>
        };
        run_with_executor(&options, make, |_| ()).map_err(|error| error.to_string())
    });
    until("it listens", || Client::connect(&socket).ok()?.send("GET", "/healthz", "application/json", "").ok());
    let executor = executor.lock().unwrap().take().unwrap();
    let ask = |method: &str, path: &str, body: Value| {
        let mut client = Client::connect(&socket).unwrap();
        client.send(method, path, "application/json", &body.to_string()).unwrap().json()
    };
    let findings = || ask("POST", "/v1/repair", json!({}))["findings"].as_array().unwrap().clone();
    let job = |job: u64| ask("GET", &format!("/v1/jobs/{job}"), json!(null));

    ask("POST", "/v1/jobs", json!({ "task": "lost" }));
    until("its process is noted", || {
        let journal = Client::connect(&socket).unwrap().send("GET", "/v1/journal?job=1", "", "").unwrap().text();
        journal.contains("attempt_spawned").then_some(())
    });
    for _ in 0..2 {
        let found = findings();
        assert_eq!((found.len(), &found[0]["invariant"]), (1, &json!("vanished-attempts")), "{found:?}");
        assert_eq!(found[0]["action"], "none: it is not dead");
        assert_eq!((&job(1)["state"], &job(1)["attempts"]), (&json!("running"), &json!(1)), "its process lives");
    }

    // Its process is killed and reaped behind the daemon's back.
    let mut child = executor.processes.lock().unwrap().remove(&(JobId(1), 1)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let found = findings();
    let names: Vec<_> = found.iter().map(|it| it["invariant"].as_str().unwrap()).collect();
    assert_eq!(names, ["vanished-attempts", "interrupted-jobs"], "{found:?}");
    assert_eq!(found[0]["action"], "interrupts it");
    until("it runs again", || (job(1)["attempts"] == 2).then_some(()));

    ask("POST", "/v1/jobs", json!({ "task": "stuck" }));
    until("it is started", || (!executor.stuck.lock().unwrap().is_empty()).then_some(()));
    let dry = ask("POST", "/v1/repair", json!({ "dry_run": true }))["findings"].clone();
    assert!(dry.as_array().unwrap().iter().any(|it| it["invariant"] == "overdue-attempts"), "{dry}");
    assert_eq!(*executor.killed.lock().unwrap(), [], "a dry run kills nobody");
    assert!(findings().iter().any(|it| it["invariant"] == "overdue-attempts"));
    assert_eq!(*executor.killed.lock().unwrap(), [(JobId(2), 1)]);
    until("its own report says what became of it", || (job(2)["state"] == "discarded").then_some(()));
    assert_eq!(job(2)["error"], "ended at last (its only attempt)");

    // An item ahead of its turn, which this executor takes and forgets.
    ask("POST", "/v1/tasks/batch/pause", json!({}));
    let batch = ask("POST", "/v1/batches", json!({ "task": "batch", "items": ["a", "b"] }))["id"].clone();
    let items = || ask("GET", &format!("/v1/batches/{batch}/items"), json!(null)).to_string();
    ask("POST", &format!("/v1/batches/{batch}/advance"), json!({ "item": "b" }));
    assert!(items().contains("running"), "{}", items());
    let found = findings();
    assert!(found.iter().any(|it| it["invariant"] == "vanished-items"), "{found:?}");
    assert!(!items().contains("running"), "{}", items());
    assert!(!findings().iter().any(|it| it["invariant"] == "vanished-items"));

    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
    until("the daemon has ended", || daemon.is_finished().then_some(()));
    assert_eq!(daemon.join().unwrap(), Ok(()));
}
