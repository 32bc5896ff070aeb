//! A database with 1,000 clients, the shipped example on it, and what a person would ask of it.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::base::Base;
use crate::daemon::{Daemon, Place, touch, until};

/// Clients in the database.
pub const CLIENTS: i64 = 1000;
/// As the shipped example has it.
pub const CONCURRENCY: i64 = 8;

/// For tests only: a job that holds its client until the file `open` is there.
const HOLD: &str = "\n[task.hold]\nlock = \"client:{args.client}\"\n\
    shell = \"until [ -e $DIR/open ]; do sleep 0.02; done\"\n";

fn shipped(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/examples");
    fs::read_to_string(folder.join(name)).unwrap()
}

pub struct Site<'b> {
    base: &'b Base,
    pub place: Place,
}

impl<'b> Site<'b> {
    /// With `more` tasks. Sweeps come at the start and when they are asked for.
    pub fn new(base: &'b Base, more: &str) -> Site<'b> {
        Site::sweeping(base, "1h", more)
    }

    /// With a sweep `every` so often.
    pub fn sweeping(base: &'b Base, every: &str, more: &str) -> Site<'b> {
        base.run(base.choose(&["pragma journal_mode = wal"], &[], &[]));
        let statements = shipped("client-auth/clients.sql");
        let lines = statements.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        base.run(&lines.split(';').map(str::trim).filter(|text| !text.is_empty()).collect::<Vec<_>>());
        Site::on(base, every, &format!("{}{HOLD}{more}", shipped("client-auth/daybook.toml")))
    }

    /// The example for a population, which makes its own tables.
    pub fn population(base: &'b Base) -> Site<'b> {
        Site::on(base, "1h", &format!("[databases.app]\nurl = \"sqlite://app.db\"\n{}", shipped("nightly-reward.toml")))
    }

    /// A shipped config, with another database and its files here.
    fn on(base: &'b Base, every: &str, config: &str) -> Site<'b> {
        let place = Place::new("");
        let ours = ["state_dir ", "socket "];
        let config: String = config
            .lines()
            .filter(|line| !ours.iter().any(|key| line.starts_with(key)))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert!(config.contains("url = \"sqlite://app.db\""), "the example has another database");
        let config = config.replace("sqlite://app.db", &base.url());
        // No stop has to wait that long.
        place.configure("stop_timeout = \"1h\"", &config);
        let text = fs::read_to_string(place.config_file()).unwrap();
        fs::write(place.config_file(), text.replace("every = \"1h\"", &format!("every = \"{every}\""))).unwrap();
        Site { base, place }
    }

    pub fn start(&self) -> Daemon<'_> {
        self.place.start()
    }

    pub fn run(&self, statement: &str) {
        self.base.run(&[statement]);
    }

    #[track_caller]
    pub fn number(&self, query: &str) -> i64 {
        self.base.number(query)
    }

    /// How many clients are in this condition.
    #[track_caller]
    pub fn clients(&self, condition: &str) -> i64 {
        self.number(&format!("select count(*) from client where {condition}"))
    }

    /// How often this client was handled.
    #[track_caller]
    pub fn handled(&self, client: i64) -> i64 {
        self.number(&format!("select count(*) from auth_log where client = {client}"))
    }

    /// A verb of the command line: what it printed, if it did well.
    #[track_caller]
    pub fn daybook(&self, words: &[&str]) -> String {
        let output = self.place.cli(words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    pub fn json(&self, words: &[&str]) -> Value {
        serde_json::from_str(&self.daybook(&[words, &["--json"]].concat())).unwrap()
    }

    /// A verb that is answered with no: why.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) -> String {
        let output = self.place.cli(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
        said(&output)
    }

    /// Writes the numbers of clients into a file, for `--items`.
    pub fn list(&self, clients: RangeInclusive<i64>) -> String {
        let path = self.place.path("clients.txt");
        fs::write(&path, clients.map(|client| format!("{client}\n")).collect::<String>()).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Starts a batch of a task over these clients; `words` are `--op` and so on.
    #[track_caller]
    pub fn batch(&self, task: &str, clients: RangeInclusive<i64>, words: &[&str]) -> u64 {
        let list = self.list(clients);
        self.json(&[&["batch", "start", task, "--items", &list], words].concat())["id"].as_u64().unwrap()
    }

    #[track_caller]
    pub fn show(&self, batch: u64) -> Value {
        self.json(&["batch", "show", &batch.to_string()])
    }

    /// What `batch items` says of one.
    #[track_caller]
    pub fn item(&self, batch: u64, item: i64) -> Value {
        let items = self.daybook(&["batch", "items", &batch.to_string(), "--json"]);
        let mut rows = items.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let item = item.to_string();
        rows.find(|row| row["item"] == *item).unwrap()
    }

    /// Waits until the batch is in this state, and answers it.
    #[track_caller]
    pub fn wait(&self, daemon: &Daemon<'_>, batch: u64, state: &str) -> Value {
        let look = || Some(daemon.get(&format!("/v1/batches/{batch}"))).filter(|shown| shown["state"] == state);
        until(&format!("batch {batch} is {state}"), look)
    }

    /// Waits until the batch has these numbers.
    #[track_caller]
    pub fn wait_counts(&self, daemon: &Daemon<'_>, batch: u64, expected: Counts) -> Value {
        let look = || Some(daemon.get(&format!("/v1/batches/{batch}"))).filter(|shown| counts(shown) == expected);
        until(&format!("batch {batch} counts {expected:?}"), look)
    }

    /// Has a job hold this client until [`Site::open`]; no batch that goes over it comes to its end before.
    #[track_caller]
    pub fn hold(&self, daemon: &Daemon<'_>, client: i64) -> u64 {
        let job = daemon.add(serde_json::json!({"task": "hold", "args": {"client": client}}));
        daemon.wait_state(job, "running");
        job
    }

    pub fn open(&self) {
        touch(&self.place.path("open"));
    }
}

/// Done, advanced, failed, skipped, to do, running.
pub type Counts = [u64; 6];

#[track_caller]
pub fn counts(shown: &Value) -> Counts {
    ["done", "advanced", "failed", "skipped", "todo", "running"].map(|key| shown[key].as_u64().unwrap())
}

/// How many items need no more handling.
#[track_caller]
pub fn over(shown: &Value) -> u64 {
    let [done, advanced, _, skipped, ..] = counts(shown);
    done + advanced + skipped
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
