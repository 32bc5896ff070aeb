//! Every story of missed runs is told to a machine with a simulated clock, which must come to the same ledger.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook::clock::{Clock, SimulatedClock};
use daybook::config::{Config, check_text};
use daybook::core::command::{Command, Ending};
use daybook::core::id::JobId;
use daybook::core::policy::TaskPolicy;
use daybook::core::projection::Row;
use daybook::core::state::State;
use daybook::core::time::Timestamp;
use daybook::engine::machine::Machine;

use crate::pages;

/// The day of all stories.
const DAY: &str = "2026-11-21";

fn instant(time: &str) -> Timestamp {
    format!("{DAY}T{time}:00Z").parse().unwrap_or_else(|error| panic!("{time}: {error}"))
}

struct Teller {
    clock: SimulatedClock,
    task: (Box<str>, TaskPolicy),
    /// None while no daemon is there.
    machine: Option<Machine>,
    /// The state when the daemon was killed.
    state: State,
    ledger: Vec<String>,
    boots: u32,
}

impl Teller {
    fn new(config: &Config, task: &str) -> Teller {
        let policy = config.tasks[task].policy.clone();
        Teller {
            clock: SimulatedClock::at(instant("00:00")),
            task: (task.into(), policy),
            machine: None,
            state: State::default(),
            ledger: Vec::new(),
            boots: 0,
        }
    }

    /// Time goes on, minute by minute; what falls due is decided.
    fn pass_until(&mut self, until: Timestamp) {
        while self.clock.now().wall < until {
            self.clock.pass(Duration::from_secs(60).min(until.since(self.clock.now().wall)));
            self.look();
        }
    }

    /// The engine's turn.
    fn look(&mut self) {
        if let Some(machine) = &mut self.machine {
            machine.begin(self.clock.now());
        }
        self.seal();
    }

    fn seal(&mut self) {
        let Some(sealed) = self.machine.as_mut().and_then(Machine::seal) else { return };
        for row in sealed.release.rows {
            if let Row::Occurrence(row) = row {
                let at = &row.at.to_string()[11..16];
                self.ledger.push(format!("{at}  {:<7} {}", row.outcome.name(), row.reason));
            }
        }
    }

    fn run(&mut self, command: Command) {
        let machine = self.machine.as_mut().expect("a daemon is there");
        machine.begin(self.clock.now());
        machine.run(&command).expect("it is not refused");
        self.seal();
    }

    fn start(&mut self) {
        self.boots += 1;
        let mut machine = Machine::new(std::mem::take(&mut self.state), true);
        let start = Command::StartDaemon {
            version: "0".into(),
            pid: self.boots,
            boot_id: "boot".into(),
            found: BTreeMap::new(),
            items: Default::default(),
        };
        machine.boot(self.clock.now(), start, vec![self.task.clone()]);
        self.machine = Some(machine);
        self.seal();
    }

    fn tell(&mut self, time: &str, what: &str) {
        let task = self.task.0.clone();
        if let Some(since) = what.strip_prefix("the machine wakes, asleep since ") {
            self.pass_until(instant(since));
            self.clock.suspend(instant(time).since(self.clock.now().wall));
            return self.look();
        }
        self.pass_until(instant(time));
        if let Some(to) = what.strip_prefix("the clock is set to ") {
            self.clock.step(instant(to).0 - self.clock.now().wall.0);
            return self.look();
        }
        if let Some(job) = what.strip_prefix("job ").and_then(|rest| rest.strip_suffix(" ends")) {
            let job = JobId(job.parse().unwrap());
            let ending = Ending::Succeeded { result: None, note: None };
            return self.run(Command::ReportEnded { job, attempt: 1, ending });
        }
        match what {
            "the daemon starts" => self.start(),
            "the daemon is killed" => self.state = self.machine.take().expect("it was there").state().clone(),
            "time passes" => {}
            _ if what == format!("{task} is paused") => self.run(Command::PauseTask { task }),
            _ if what == format!("{task} is resumed") => {
                self.run(Command::ResumeTask { task });
                self.look();
            }
            _ => panic!("nobody knows how `{what}` is told"),
        }
    }
}

#[test]
fn the_machine_comes_to_the_ledger_that_the_page_shows() {
    let page = pages::page("docs/dst-and-missed.md");
    let blocks = page.blocks();
    let tasks: Vec<&str> = blocks.iter().filter(|it| it.language == "toml").map(|it| it.text.as_str()).collect();
    let config = check_text("page", tasks.join("\n")).unwrap_or_else(|errors| panic!("{errors}"));
    let mut told = 0;
    for block in blocks.iter().filter(|block| block.language == "story") {
        let (story, ledger) =
            block.text.split_once("--\n").expect("a story has a line between what happens and the ledger");
        let mut lines = story.lines();
        let mut teller = Teller::new(&config, lines.next().expect("a story begins with its task"));
        for line in lines {
            let (time, what) = line.split_once("  ").unwrap_or_else(|| panic!("{}: `{line}`", block.place));
            teller.tell(time, what);
        }
        let shown: Vec<String> =
            ledger.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let come: Vec<String> =
            teller.ledger.iter().map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(come, shown, "{}", block.place);
        told += 1;
    }
    assert!(told > 7, "only {told} stories were found: the test looks at nothing");
}
