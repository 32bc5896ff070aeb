//! What version 0.1 has written can be read for ever: the payloads of one event of each kind, and a whole state folder.
//!
//! `UPDATE=1 cargo test --test core compatibility` writes a file that is missing, and never one that is there: a new
//! version adds files of its own name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook::clock::{Clock, SimulatedClock};
use daybook::core::codec;
use daybook::core::command::{AddJob, Command, Ending, When};
use daybook::core::event::Event;
use daybook::core::json::Json;
use daybook::core::policy::TaskPolicy;
use daybook::core::state::{State, picture};
use daybook::engine::archive::Archive;
use daybook::engine::machine::Machine;
use daybook::engine::recover::{Recovered, recover};
use daybook::journal::{Epoch, Journal, SledJournal};

use crate::samples::Random;
use crate::show;
use crate::words::{begin, clock};

/// The seed of the sample events.
const SEED: u64 = 42;
const AGE: Duration = Duration::from_secs(100 * 365 * 86_400);

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The file's contents; with `UPDATE` it is made first, if it is missing.
fn kept(name: &str, make: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = data(name);
    if !path.exists() && std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, make()).unwrap();
    }
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(pair).collect()
}

/// `number name payload contents`, a line each.
fn listed(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let mut payload = Vec::new();
        codec::put_event(event, &mut payload);
        let contents = serde_json::to_string(event).unwrap();
        writeln!(text, "{} {} {} {contents}", event.number(), event.name(), hex(&payload)).unwrap();
    }
    text
}

#[test]
fn events_of_0_1_are_read_and_written_alike() {
    let make = || listed(&Random::new(SEED).events()).into_bytes();
    let kept = String::from_utf8(kept("events-0.1.txt", make)).unwrap();
    assert_eq!(kept.lines().count(), 42, "one line for each event of version 0.1");
    for line in kept.lines() {
        let payload = line.split(' ').nth(2).unwrap();
        let read = codec::events(&bytes(payload)).unwrap();
        assert_eq!(format!("{line}\n"), listed(&read));
    }
}

/// A folder's files, packed.
fn pack(dir: &Path) -> Vec<u8> {
    fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => walk(root, &path, files),
                false => {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(dir, dir, &mut files);
    zstd::encode_all(bincode::serialize(&files).unwrap().as_slice(), 19).unwrap()
}

fn unpack(packed: &[u8], dir: &Path) {
    let files: BTreeMap<String, Vec<u8>> = bincode::deserialize(&zstd::decode_all(packed).unwrap()).unwrap();
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// A daemon's short life on a real folder: a commit for each act, and a checkpoint in the middle.
struct Life {
    journal: SledJournal,
    archive: Archive,
    clock: SimulatedClock,
    machine: Machine,
}

impl Life {
    fn commit(&mut self) {
        let sealed = self.machine.seal().unwrap();
        self.journal.append(Epoch(1), sealed.seq, sealed.at, sealed.events, &sealed.payload).unwrap();
        self.archive.append(sealed.seq, sealed.at, sealed.release.rows).unwrap();
        self.machine.released(sealed.seq);
    }

    fn act(&mut self, number: u64) {
        self.clock.pass(Duration::from_secs(7));
        self.machine.begin(self.clock.now());
        let add = AddJob {
            task: "mail".into(),
            args: Json::trusted(format!("{{\"to\":{number}}}")),
            key: number.is_multiple_of(3).then(|| format!("key-{number}").into()),
            when: if number % 5 == 4 { When::In(Duration::from_secs(3600)) } else { When::Now },
            ..AddJob::default()
        };
        self.machine.add(add, &self.archive).unwrap();
        let running = &self.machine.state().durable().running;
        let running: Vec<_> = running.iter().map(|(id, running)| (*id, running.attempt)).collect();
        for (job, attempt) in running {
            let ending = match job.0 % 4 {
                0 => Ending::Failed { error: "exit code 1".into() },
                _ => Ending::Succeeded { result: Some(Json::trusted("true")), note: None },
            };
            self.machine.run(&Command::ReportEnded { job, attempt, ending }).unwrap();
        }
        self.commit();
    }

    fn checkpoint(&mut self) {
        self.journal.rotate().unwrap();
        let tip = self.journal.tip();
        self.archive.sync(tip.seq).unwrap();
        let state = self.machine.state().picture();
        let (head, mut chunks) = (picture::head(&state), picture::chunks(&state));
        self.journal.upkeep().put_checkpoint(tip.seq, tip.checksum, &head, &mut chunks).unwrap();
    }
}

fn live(dir: &Path) {
    let mut life = Life {
        journal: SledJournal::open(dir).unwrap().0,
        archive: Archive::open(dir, AGE, 1 << 30).unwrap(),
        clock: SimulatedClock::at(begin()),
        machine: Machine::new(State::default(), true),
    };
    let start = Command::StartDaemon {
        version: "0.1.0".into(),
        pid: 1,
        boot_id: "boot".into(),
        found: BTreeMap::new(),
        items: BTreeSet::new(),
    };
    let tick = TaskPolicy { schedules: vec!["* * * * *".into()], ..TaskPolicy::default() };
    let tasks = vec![("mail".into(), TaskPolicy::default()), ("tick".into(), tick)];
    life.machine.boot(life.clock.now(), start, tasks);
    life.commit();
    (0..30).for_each(|number| life.act(number));
    life.checkpoint();
    (30..60).for_each(|number| life.act(number));
    life.journal.upkeep().mark_head().unwrap();
    life.archive.sync(life.journal.tip().seq).unwrap();
}

/// All that a folder holds, as text.
fn listing(dir: &Path) -> String {
    let (journal, opened) = SledJournal::open(dir).unwrap();
    assert_eq!(opened.cut, None);
    let archive = Archive::open(dir, AGE, 1 << 30).unwrap();
    let Recovered { state, .. } = recover(&*journal.reader(), &*journal.upkeep(), &archive).unwrap();
    let mut text = String::new();
    writeln!(text, "commit {} at {}", state.scalars().seq, clock(state.scalars().at)).unwrap();
    writeln!(text, "checkpoint {}", opened.checkpoint.unwrap()).unwrap();
    for task in state.tasks() {
        let next: Vec<_> = task.schedules.iter().filter_map(|place| place.next).map(clock).collect();
        writeln!(text, "task {} {:?} next={next:?}", task.name, task.policy.schedules).unwrap();
    }
    for job in state.jobs().iter() {
        writeln!(text, "{} {}", show::job(&state, job), job.cold.args.as_str()).unwrap();
    }
    for job in archive.jobs(None) {
        let job = job.unwrap().view().unwrap();
        let (args, key) = (job.args.as_str(), job.key.as_deref().unwrap_or("-"));
        let ended = clock(job.finished_at.unwrap());
        writeln!(text, "over {} {} {} {args} key={key} at {ended}", job.id, job.task, job.state).unwrap();
        let again = archive.job(job.id).unwrap().unwrap();
        assert_eq!(again, job, "found by its number too");
    }
    for row in archive.occurrences("tick", None) {
        writeln!(text, "{}", show::occurrence(&row.unwrap())).unwrap();
    }
    for commit in journal.reader().read(journal.reader().first()) {
        let commit = commit.unwrap();
        let names: Vec<_> = codec::events(&commit.payload).unwrap().iter().map(Event::name).collect();
        assert_eq!(names.len() as u32, commit.events);
        writeln!(text, "commit {} {}", commit.seq, names.join(" ")).unwrap();
    }
    text
}

#[test]
fn a_state_folder_of_0_1_is_opened_and_holds_what_it_held() {
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        live(dir.path());
        pack(dir.path())
    };
    let packed = kept("state-0.1.zst", make);
    assert!(packed.len() < 1 << 20, "{} bytes are much for a repository", packed.len());
    let dir = tempfile::tempdir().unwrap();
    unpack(&packed, dir.path());
    let found = listing(dir.path());
    let expected = kept("state-0.1.txt", || found.clone().into_bytes());
    for (is, should) in found.lines().zip(std::str::from_utf8(&expected).unwrap().lines()) {
        assert_eq!(is, should);
    }
    assert_eq!(found.as_bytes(), expected);
    assert_eq!(listing(dir.path()), found, "opening it once more changes nothing");
}
