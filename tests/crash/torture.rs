//! Hundreds of jobs while the daemon, and now and then a shim, is killed at random: none runs twice, none is lost, and
//! how each ended is known.
//!
//! `DAYBOOK_TORTURE_ROUNDS` makes it longer, `DAYBOOK_TORTURE_SEED` another run.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

use daybook::shim::{Look, RunFile, parse_name};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use crate::client::Client;
use crate::daemon::{Daemon, Place, until};
use crate::kill::{Random, number_of};

const ROUNDS: u64 = 40;
const SEED: u64 = 5;

/// Each attempt holds a lock with all its processes, and notes its begin and its end in a file of its job.
const CONFIG: &str = r#"
[task.zero]
shell = '. $DIR/begin; end'
concurrency = 6

[task.three]
shell = '. $DIR/begin; end; exit 3'
concurrency = 6
attempts = 1

[task.short]
shell = '. $DIR/begin; sleep $DAYBOOK_ARGS; end'
concurrency = 6

[task.leaves]
shell = '. $DIR/begin; sleep 1000 & (setsid sleep 1000 &); sleep 0.1; end'
concurrency = 6

[task.speaks]
shell = '. $DIR/begin; echo "one $DAYBOOK_JOB"; sleep 0.3; echo two >&2; echo "[$DAYBOOK_JOB]" > "$DAYBOOK_RESULT"; end'
concurrency = 6

[task.waits]
shell = '. $DIR/begin; sleep 1000; end'
concurrency = 6

[task.slow]
shell = '. $DIR/begin; sleep 1000; end'
concurrency = 6
attempts = 1
timeout = "500ms"
"#;

const BEGIN: &str = r#"
exec 9>> $DIR/jobs/$DAYBOOK_JOB
flock -n 9 || echo together >&9
echo "begin $DAYBOOK_ATTEMPT" >&9
end() { echo "end $DAYBOOK_ATTEMPT" >&9; }
"#;

const REASON: &str = "no longer wanted";

/// Tasks, how many jobs of each, in which state they end, and what their error says.
const KINDS: [(&str, usize, &str, &str); 7] = [
    ("zero", 110, "completed", ""),
    ("three", 60, "discarded", "exit code 3"),
    ("short", 60, "completed", ""),
    ("leaves", 30, "completed", ""),
    ("speaks", 30, "completed", ""),
    ("waits", 20, "cancelled", REASON),
    ("slow", 20, "discarded", "timed out after 500ms"),
];

struct Torture<'a> {
    place: &'a Place,
    random: Random,
    /// Jobs that nobody has acknowledged yet; the key is in them.
    to_add: Vec<Value>,
    /// Numbers that were acknowledged, and the task of each.
    added: BTreeMap<u64, String>,
    to_cancel: Vec<u64>,
    /// How often the shim of a job was killed before it had noted an end.
    lost: BTreeMap<u64, u64>,
    /// How often a person let a job go on that was held.
    retried: BTreeMap<u64, u64>,
    kills: u64,
}

impl<'a> Torture<'a> {
    fn new(place: &'a Place, seed: u64) -> Torture<'a> {
        let mut random = Random(seed);
        let mut to_add = Vec::new();
        for (task, count, ..) in KINDS {
            for number in 0..count {
                let seconds = (100 + random.below(1900)) as f64 / 1000.0;
                let at = random.below(to_add.len() as u64 + 1) as usize;
                to_add.insert(at, json!({"task": task, "key": format!("{task}-{number}"), "args": seconds}));
            }
        }
        let (added, to_cancel, lost) = Default::default();
        Torture { place, random, to_add, added, to_cancel, lost, retried: BTreeMap::new(), kills: 0 }
    }

    /// One life of a daemon, at most `jobs` of which are added in it.
    fn round(&mut self, jobs: usize) {
        let mut daemon = self.place.launch();
        self.kills += 1;
        // Some die while they start.
        if self.random.below(5) == 0 {
            std::thread::sleep(Duration::from_millis(self.random.below(150)));
            daemon.kill();
            daemon = self.place.launch();
            self.kills += 1;
        }
        daemon.wait_ready();
        let life = Duration::from_millis(self.random.below(700));
        std::thread::scope(|scope| {
            let daemon = &daemon;
            scope.spawn(move || {
                std::thread::sleep(life);
                daemon.signal(Signal::KILL);
            });
            // It ends with the daemon.
            let _: io::Error = self.work(daemon, jobs).unwrap_err();
        });
        daemon.wait_exit();
    }

    /// Adds, cancels and kills until the daemon is gone.
    fn work(&mut self, daemon: &Daemon<'_>, mut jobs: usize) -> io::Result<()> {
        let mut client = Client::connect(&self.place.socket())?;
        loop {
            match self.random.below(8) {
                0..=3 => {
                    let count = jobs.min(self.to_add.len()).min(1 + self.random.below(6) as usize);
                    self.add(&mut client, count)?;
                    jobs -= count;
                    // What was just acknowledged is just being started.
                    if count > 0 && self.random.below(12) == 0 {
                        std::thread::sleep(Duration::from_micros(self.random.below(8000)));
                        daemon.signal(Signal::KILL);
                    }
                }
                4 => self.cancel(&mut client)?,
                5 if self.random.below(4) == 0 => self.kill_a_shim()?,
                _ => std::thread::sleep(Duration::from_millis(self.random.below(40))),
            }
            client.send("GET", "/healthz", "application/json", "")?;
        }
    }

    fn add(&mut self, client: &mut Client, count: usize) -> io::Result<()> {
        if count == 0 {
            return Ok(());
        }
        let from = self.to_add.len() - count;
        let body: Vec<String> = self.to_add[from..].iter().map(Value::to_string).collect();
        let answer = client.send("POST", "/v1/jobs", "application/x-ndjson", &body.join("\n"))?;
        for (job, answer) in self.to_add.split_off(from).into_iter().zip(answer.lines()) {
            let id = answer["id"].as_u64().unwrap_or_else(|| panic!("{job}: {answer}"));
            let task = job["task"].as_str().unwrap().to_owned();
            if task == "waits" {
                self.to_cancel.push(id);
            }
            let before = self.added.insert(id, task);
            assert_eq!(before, None, "{id} is two jobs");
        }
        Ok(())
    }

    fn cancel(&mut self, client: &mut Client) -> io::Result<()> {
        let Some(job) = self.to_cancel.last().copied() else { return Ok(()) };
        let body = json!({"reason": REASON}).to_string();
        let answer = client.send("POST", &format!("/v1/jobs/{job}/cancel"), "application/json", &body)?;
        // 409: an earlier call was heard, and its answer lost.
        assert!(matches!(answer.status, 200 | 409), "{}", answer.text());
        self.to_cancel.pop();
        Ok(())
    }

    /// Kills the shim of any attempt that has begun, and notes whether it had an end by then.
    fn kill_a_shim(&mut self) -> io::Result<()> {
        let mut files: Vec<_> = fs::read_dir(self.place.state().join("runs"))?.flatten().collect();
        files.sort_by_key(fs::DirEntry::path);
        if files.is_empty() {
            return Ok(());
        }
        let file = files.swap_remove(self.random.below(files.len() as u64) as usize);
        let Some((job, _)) = file.file_name().to_str().and_then(parse_name) else { return Ok(()) };
        // Another name for it, as the daemon may remove its own at any time.
        let seen = self.place.path("seen");
        if fs::hard_link(file.path(), &seen).is_err() {
            return Ok(());
        }
        if let Ok(Some(Look::Lost(marked, _))) = RunFile::look_after_end(&seen)
            && let Ok(pidfd) = pidfd_open(Pid::from_raw(marked.shim.pid as i32).unwrap(), PidfdFlags::empty())
            && marked.shim.is_alive()
        {
            // One that runs may be done with this attempt at any moment, and have another one.
            pidfd_send_signal(&pidfd, Signal::STOP)?;
            until("it has stopped", || (!runs(marked.shim.pid)).then_some(()));
            if matches!(RunFile::look_after_end(&seen), Ok(Some(Look::Lost(..)))) {
                pidfd_send_signal(&pidfd, Signal::KILL)?;
                poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], None)?;
                *self.lost.entry(job.0).or_default() += 1;
            } else {
                // It may have ended before it could stop.
                let _: Result<_, _> = pidfd_send_signal(&pidfd, Signal::CONT);
            }
        }
        fs::remove_file(&seen)
    }

    /// Lets everything end.
    fn finish(&mut self) -> Daemon<'a> {
        let daemon = self.place.start();
        let mut client = daemon.client();
        self.add(&mut client, self.to_add.len()).unwrap();
        while !self.to_cancel.is_empty() {
            self.cancel(&mut client).unwrap();
        }
        let retried = &mut self.retried;
        let mut left = || {
            let left = daemon.jobs("state=scheduled,available,running,retryable,interrupted");
            // One whose shim or, over its start, daemon was killed three times in a row waits for a person.
            let is_held =
                |job: &&Value| job["state"] == "interrupted" && job["error"].to_string().contains("quarantined");
            for held in left.iter().filter(is_held) {
                daemon.post(&format!("/v1/jobs/{}/retry", held["id"]), json!({}));
                *retried.entry(held["id"].as_u64().unwrap()).or_default() += 1;
            }
            left.len()
        };
        let mut before = left();
        while before > 0 {
            before = until("more of what is to run has run", || Some(left()).filter(|now| *now < before));
        }
        daemon
    }

    /// What a job did, as it told itself, against what is said of it.
    fn check(&self, daemon: &Daemon<'_>, job: &Value) {
        let id = job["id"].as_u64().unwrap();
        let task = self.added.get(&id).unwrap_or_else(|| panic!("nobody has added {job}"));
        let (_, _, state, error) = KINDS.iter().find(|kind| kind.0 == task).unwrap();
        let lines = self.place.read(&format!("jobs/{id}"));
        let said = format!("{job}\n{lines}");
        assert_eq!(job["task"], *task, "{said}");
        assert_eq!(job["state"], *state, "{said}");
        assert!(job["error"].as_str().unwrap_or_default().contains(error), "{said}");
        assert!(!lines.contains("together"), "two attempts ran at once: {said}");

        let begins = lines.lines().filter(|line| line.starts_with("begin")).count() as u64;
        let ends = lines.lines().filter(|line| line.starts_with("end")).count() as u64;
        let count = |of: &BTreeMap<u64, u64>| of.get(&id).copied().unwrap_or(0);
        let (attempts, lost) = (job["attempts"].as_u64().unwrap(), count(&self.lost));
        // A shim that was killed, or a person, and nothing else, makes another attempt; it may not have come to its begin.
        let most = 1 + lost + count(&self.retried);
        assert!(begins <= most && attempts <= most, "it ran again though no shim of it was killed: {said}");
        if *state != "cancelled" {
            assert!(attempts > lost, "{said}");
            assert!(begins >= 1, "{said}");
            assert!(lines.contains(&format!("begin {attempts}\n")), "{said}");
        }
        let whole = *state != "cancelled" && task != "slow";
        assert_eq!(lines.contains(&format!("end {attempts}\n")), whole, "{said}");
        assert!(ends <= begins, "{said}");
        if task == "speaks" {
            assert_eq!(daemon.send("GET", &format!("/v1/jobs/{id}/output"), "").text(), format!("one {id}\ntwo\n"));
            assert_eq!(job["result"], json!([id]), "{said}");
        }
    }
}

/// Whether a process is there that is neither stopped nor a zombie.
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.starts_with([' ']) && !rest[1..].starts_with(['T', 'Z', 'X']))
}

#[test]
fn no_job_runs_twice_and_none_is_lost_whoever_is_killed() {
    let rounds = number_of("DAYBOOK_TORTURE_ROUNDS", ROUNDS);
    let seed = number_of("DAYBOOK_TORTURE_SEED", SEED);
    println!("DAYBOOK_TORTURE_SEED={seed} DAYBOOK_TORTURE_ROUNDS={rounds}");
    let place = Place::new(CONFIG);
    fs::create_dir(place.path("jobs")).unwrap();
    fs::write(place.path("begin"), BEGIN.replace("$DIR", &place.dir().to_string_lossy())).unwrap();
    let mut torture = Torture::new(&place, seed);
    let count = torture.to_add.len();
    for left in (1..=rounds).rev() {
        let jobs = torture.to_add.len().div_ceil(left as usize);
        torture.round(jobs);
    }
    let daemon = torture.finish();
    let jobs = daemon.jobs("");
    assert_eq!((jobs.len(), torture.added.len()), (count, count), "each that was acknowledged is there, once");
    for job in &jobs {
        torture.check(&daemon, job);
    }
    let lost: u64 = torture.lost.values().sum();
    println!("{count} jobs, {} kills of the daemon, {lost} of a shim", torture.kills);
    assert!(lost > 0, "no shim was killed: that is no torture");
    until("no run file is left", || fs::read_dir(place.state().join("runs")).unwrap().next().is_none().then_some(()));
    assert_eq!((place.job_processes(), place.shims()), (vec![], vec![]), "a process is left");
    place.verify();
    daemon.stop();
    place.verify();
}
