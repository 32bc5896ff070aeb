//! Clients that add jobs for as long as there is power, and remember what they were told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::machine::Random;

/// What the clients were told, and what they saw.
#[derive(Default)]
pub struct Told {
    /// Key, and the number and task of its job.
    pub added: Mutex<BTreeMap<String, (u64, &'static str)>>,
    /// Finished jobs as they were first seen.
    pub ended: Mutex<BTreeMap<u64, Value>>,
    over: AtomicBool,
}

impl Told {
    /// Notes an acknowledgement; whatever was acknowledged before must be the same. `false`: it was refused.
    fn note(&self, key: &str, task: &'static str, answer: &Value) -> bool {
        let Some(id) = answer["id"].as_u64() else { return false };
        let before = self.added.lock().unwrap().insert(key.to_owned(), (id, task));
        if let Some(before) = before {
            assert_eq!(before, (id, task), "{key} has become another job");
            assert_eq!(answer["created"], json!(false), "{key} was made twice");
        }
        true
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Runs all callers, and one who looks, until `work` is done.
    pub fn during<T>(&self, callers: &mut [Caller], socket: &Path, work: impl FnOnce() -> T) -> T {
        self.over.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            let _end = Over(&self.over); // also when the work panics, so that the clients end
            for caller in callers {
                scope.spawn(move || caller.call(self, socket));
            }
            scope.spawn(|| self.watch(socket));
            work()
        })
    }

    /// Looks at what is finished: from then on it may not change.
    fn watch(&self, socket: &Path) {
        while !self.is_over() {
            let look = || {
                let path = "/v1/jobs?state=completed,discarded,cancelled&limit=500";
                Client::connect(socket)?.send("GET", path, "application/json", "")
            };
            match look().ok().filter(|answer| answer.status == 200) {
                Some(answer) => self.note_ended(answer.json().as_array().unwrap()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Notes jobs that were seen finished.
    pub fn note_ended(&self, jobs: &[Value]) {
        let mut ended = self.ended.lock().unwrap();
        for job in jobs {
            let before = ended.entry(job["id"].as_u64().unwrap()).or_insert_with(|| job.clone());
            assert_eq!(before, job, "a finished job has changed");
        }
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What one client adds, over all daemons.
pub struct Caller {
    name: String,
    per_call: u64,
    /// Jobs of each round that run and do not wait; processes cost most of the time.
    run_per_round: u64,
    /// What each job has in its arguments.
    filler: String,
    random: Random,
    number: u64,
    /// What nobody knows whether it was done: asked again, as long as it takes.
    unanswered: Option<Call>,
    /// The call before, which is made again now and then.
    last: Option<Call>,
}

#[derive(Clone)]
struct Call {
    body: String,
    jobs: Vec<(String, &'static str)>,
}

impl Caller {
    pub fn new(name: impl Into<String>, per_call: u64, run_per_round: u64, filler: String, seed: u64) -> Caller {
        let (random, name) = (Random(seed), name.into());
        Caller { name, per_call, run_per_round, filler, random, number: 0, unanswered: None, last: None }
    }

    fn next(&mut self, run: &mut u64) -> Call {
        let (mut body, mut jobs) = (Vec::new(), Vec::new());
        for _ in 0..self.per_call {
            self.number += 1;
            let key = format!("{}-{}", self.name, self.number);
            let runs = *run < self.run_per_round && self.random.below(2) == 0;
            *run += u64::from(runs);
            let mut job = json!({"task": "later", "key": key, "args": {"n": self.number, "filler": self.filler}});
            match runs {
                true => job["task"] = json!("note"),
                false => job["in"] = json!("10h"),
            }
            body.push(job.to_string());
            jobs.push((key, if runs { "note" } else { "later" }));
        }
        Call { body: body.join("\n"), jobs }
    }

    fn call(&mut self, told: &Told, socket: &Path) {
        let (mut client, mut run) = (None, 0);
        while !told.is_over() {
            let call = match self.unanswered.take() {
                Some(call) => call,
                // Now and then the same again, as somebody does who has not read the answer.
                None => match self.last.take().filter(|_| self.random.below(16) == 0) {
                    Some(last) => last,
                    None => self.next(&mut run),
                },
            };
            self.unanswered = Some(call.clone());
            let connected = match client.take() {
                Some(client) => Ok(client),
                None => Client::connect(socket),
            };
            let kind = if self.per_call == 1 { "application/json" } else { "application/x-ndjson" };
            let answer = connected.and_then(|mut connected| {
                let answer = connected.send("POST", "/v1/jobs", kind, &call.body)?;
                client = Some(connected);
                Ok(answer)
            });
            // A daemon that ends may still say that it cannot.
            let Some(answer) = answer.ok().filter(|answer| answer.status < 500) else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
            let answers = answer.lines();
            assert_eq!(answers.len(), call.jobs.len());
            let noted = call.jobs.iter().zip(&answers).filter(|((key, task), answer)| told.note(key, task, answer));
            if noted.count() == answers.len() {
                self.unanswered = None;
            }
            self.last = Some(call);
        }
    }
}
