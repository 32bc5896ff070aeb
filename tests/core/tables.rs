//! Runs the tables in `tables/`. A case begins with `== what it shows`; a line is a command, and the lines
//! set in below it are what follows. Lines with `#` are remarks.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use daybook::core::command::{AddJob, Command, DueSchedule, Ending, Found, When};
use daybook::core::event::{Event, Process};
use daybook::core::id::JobId;
use daybook::core::json::Json;
use daybook::core::limits;
use daybook::core::projection;
use daybook::core::rejection::Rejection;
use daybook::core::view::Progress;
use daybook::core::why;

use crate::words::{Line, duration, instant, policy};
use crate::world::World;
use crate::{batches, show, words};

macro_rules! tables {
    ($($name:ident,)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn no_table_is_forgotten() {
            let tested = [$(stringify!($name)),*];
            for path in paths() {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                assert!(tested.contains(&name.as_str()), "no test runs `{}`", path.display());
            }
        }
    };
}

tables! {
    adding, attempts, batches, clocks, interrupts, items, missed, orphans, overlap, queues, rejections, schedules, stopping, sweeps, tasks,
}

/// More events of a kind in a row than this are shortened.
const MANY: usize = 12;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/tables")
}

fn paths() -> Vec<PathBuf> {
    std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_rejection_is_shown() {
    let tables: String = paths().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for code in Rejection::CODES {
        // Fifty million jobs are too many for a table: a unit test in `decide/job.rs` has it.
        let too_many = ["too_many_jobs", "too_many_items", "too_many_overrides"];
        let shown = tables.contains(&format!("  rejected {code}:")) || too_many.contains(code);
        assert!(shown, "no table shows `rejected {code}`");
    }
}

#[test]
fn every_event_is_shown() {
    let tables: String = paths().iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for (_, name) in Event::ALL {
        assert!(tables.contains(&format!("  {name}")), "no table shows `{name}`");
    }
}

/// Runs one table, and compares what happens with what stands there.
fn check(name: &str) {
    let path = folder().join(format!("{name}.txt"));
    let expected = std::fs::read_to_string(&path).unwrap();
    let mut found = String::new();
    let mut world = World::new();
    for (number, line) in expected.lines().enumerate() {
        if line.starts_with("  ") {
            continue;
        }
        writeln!(found, "{line}").unwrap();
        if line.starts_with("==") {
            world = World::new();
        } else if !line.is_empty() && !line.starts_with('#') {
            let at = format!("{}:{}: {line}", path.display(), number + 1);
            let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut world, line)));
            let Ok(said) = run else { panic!("{at}") };
            said.iter().for_each(|said| writeln!(found, "  {said}").unwrap());
        }
    }
    if found != expected && std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &found).unwrap();
        return;
    }
    let mut case = "";
    for (number, (is, should)) in found.lines().zip(expected.lines().chain(std::iter::repeat("(end)"))).enumerate() {
        case = if should.starts_with("==") { should } else { case };
        assert_eq!(is, should, "{}:{} in `{case}`", path.display(), number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{}: more is expected", path.display());
}

/// Runs a command, and says what followed.
fn run(world: &mut World, text: &str) -> Vec<String> {
    let line = Line::parse(text);
    let now = |world: &World| world.now();
    let (said, events) = match line.verb.as_str() {
        "task" => {
            let old = world.tasks.get(line.operand(0)).cloned().unwrap_or_default();
            world.tasks.insert(line.operand(0).into(), policy(&line, old));
            (Vec::new(), world.define())
        }
        "remove" => {
            world.tasks.remove(line.operand(0));
            (Vec::new(), world.define())
        }
        "add" => add(world, &line),
        "tick" => {
            world.pass(duration(line.operand(0)));
            (Vec::new(), world.act(|_, _| ()).1)
        }
        "run" => return advance(world, &line),
        "sleep" => {
            world.pass(duration(line.operand(0)));
            (Vec::new(), Vec::new())
        }
        "step" => {
            let back = line.operand(0).strip_prefix('-');
            let length = duration(back.unwrap_or(line.operand(0))).as_millis() as i64;
            world.clock.step(if back.is_some() { -length } else { length });
            world.set_back |= line.has("twice");
            (Vec::new(), if world.down { Vec::new() } else { world.act(|_, _| ()).1 })
        }
        "suspend" => {
            world.clock.suspend(duration(line.operand(0)));
            (Vec::new(), world.act(|_, _| ()).1)
        }
        "sweep" => sweep(world, &line),
        "kill" => {
            world.down = true;
            (Vec::new(), Vec::new())
        }
        "stop" => {
            let events = world.act(|machine, _| machine.close()).1;
            world.down = true;
            (Vec::new(), events)
        }
        "drain" => (Vec::new(), world.act(|machine, _| machine.drain()).1),
        "boot" => {
            let numbers = |option: &str| {
                let numbers = line.option(option).unwrap_or_default().split(',').filter(|text| !text.is_empty());
                numbers.map(|text| JobId(text.parse().unwrap())).collect::<Vec<_>>()
            };
            let lost = Found::Lost { reason: "its shim was killed".into() };
            for (option, found) in [("kept", Found::Kept), ("unstarted", Found::Unstarted), ("lost", lost)] {
                world.found.extend(numbers(option).into_iter().map(|job| (job, found.clone())));
            }
            if let Some(kept) = line.option("items") {
                let kept = kept.split(',').map(|it| it.split_once(':').unwrap());
                let flight = |(job, item): (&str, &str)| {
                    let job = JobId(job.parse().unwrap());
                    (job, world.state().batch(job).unwrap().flights[&item.parse::<u32>().unwrap()].run)
                };
                world.items_kept = kept.map(flight).collect();
            }
            let (report, events) = world.boot(line.has("rebooted"));
            (report.findings.iter().map(show::finding).collect(), events)
        }
        "execution" => {
            world.set_execution(line.has("on"));
            (Vec::new(), world.act(|_, _| ()).1)
        }
        "history" => {
            world.past.broken = line.has("broken");
            (Vec::new(), Vec::new())
        }
        "forget" | "remember" => {
            std::mem::swap(&mut world.past.jobs, &mut world.forgotten);
            (Vec::new(), Vec::new())
        }
        "finished" => {
            let view = world.past.jobs.iter().rev().find(|job| job.id == line.job()).unwrap();
            (vec![refused(&Rejection::AlreadyFinished { job: view.id, state: view.state })], Vec::new())
        }
        "jobs" => (world.state().jobs().iter().map(|job| show::job(world.state(), job)).collect(), Vec::new()),
        "orphans" => {
            let views = world.state().jobs().iter().filter_map(|job| projection::live(world.state().durable(), job));
            (
                views.filter(|view| view.orphaned).map(|view| format!("job {} {}", view.id, view.state)).collect(),
                Vec::new(),
            )
        }
        "ledger" => (world.past.ledger.iter().map(show::occurrence).collect(), Vec::new()),
        "why" => {
            let job = world.state().job(line.job());
            let why = job.map(|job| why::live(world.state(), job, world.now(), world.machine.begins(), None));
            let over = || world.past.jobs.iter().rev().find(|job| job.id == line.job()).map(why::finished);
            (why.or_else(over).into_iter().collect(), Vec::new())
        }
        _ => match batches::command(world, &line) {
            Some(followed) => followed,
            None => command(world, &line),
        },
    };
    let at = now(world);
    said.into_iter().chain(shorten(events.iter().map(|event| show::event(world.state(), event, at)))).collect()
}

/// Many events of a kind in a row are shown as their number.
fn shorten(events: impl Iterator<Item = String>) -> Vec<String> {
    let events: Vec<String> = events.collect();
    let kind = |text: &String| text.split(' ').next().map(str::to_owned);
    let runs = events.chunk_by(|a, b| kind(a) == kind(b));
    let show = |run: &[String]| match run {
        [first, .., last] if run.len() > MANY => vec![first.clone(), format!("... x{}", run.len()), last.clone()],
        few => few.to_vec(),
    };
    runs.flat_map(show).collect()
}

type Followed = (Vec<String>, Vec<Event>);

pub fn refused(rejection: &Rejection) -> String {
    let again = if rejection.retryable() { " (retryable)" } else { "" };
    format!("rejected {}: {rejection}{again}", rejection.code())
}

fn add(world: &mut World, line: &Line) -> Followed {
    let large = "x".repeat(limits::OVERRIDE_BYTES_MAX);
    let job = AddJob {
        task: line.operand(0).into(),
        args: line.option("args").map_or(Json::null(), |args| Json::parse(&args.replace("LARGE", &large)).unwrap()),
        key: line.option("key").map(Into::into),
        priority: line.option("priority").map(|priority| priority.parse().unwrap()),
        when: match (line.option("in"), line.option("at")) {
            (Some(wait), _) => When::In(duration(wait)),
            (None, Some(at)) => When::At(instant(at)),
            (None, None) => When::Now,
        },
        known: None,
    };
    let count: usize = line.option("count").map_or(1, |count| count.parse().unwrap());
    let (answers, events) =
        world.act(|machine, past| (0..count).map(|_| machine.add(job.clone(), past)).collect::<Vec<_>>());
    let say = |answer| match answer {
        Ok((_, true)) => None,
        Ok((job, false)) => Some(format!("is job {job}")),
        Err(rejection) => Some(refused(&rejection)),
    };
    (answers.into_iter().filter_map(say).collect(), events)
}

fn sweep(world: &mut World, line: &Line) -> Followed {
    let behind = line.option("history").map(|seq| daybook::core::id::Seq(seq.parse().unwrap()));
    let applied = behind.unwrap_or(world.state().scalars().seq);
    let dry = line.has("dry");
    let sweep = |machine: &mut daybook::engine::machine::Machine| machine.sweep(dry, vec![("history", applied)]);
    // Without `late` time has done its work before the sweep looks, as it has in a healthy daemon.
    let (report, events) = world.act(|machine, _| sweep(machine));
    (report.findings.iter().map(show::finding).collect(), events)
}

/// Lets time pass, and wakes at every instant at which something is due, as the engine does.
fn advance(world: &mut World, line: &Line) -> Vec<String> {
    let end = world.now() + duration(line.operand(0));
    let mut said = Vec::new();
    loop {
        let due = world.state().next_due().filter(|due| *due <= end).unwrap_or(end);
        let wake = due.max(world.now());
        world.pass(wake.since(world.now()));
        let events = world.act(|_, _| ()).1;
        let at = world.now();
        let shown =
            events.iter().map(|event| format!("{} {}", words::clock(at), show::event(world.state(), event, at)));
        said.extend(shown.filter(|text| !text.contains("attempt_settled")));
        if wake == end && events.is_empty() {
            return said;
        }
    }
}

/// The commands that are one `Command`.
fn command(world: &mut World, line: &Line) -> Followed {
    let attempt = |world: &World| match line.option("attempt") {
        Some(attempt) => attempt.parse().unwrap(),
        None => world.state().running(line.job()).map_or(1, |running| running.attempt),
    };
    let ended = |world: &World, ending| Command::ReportEnded { job: line.job(), attempt: attempt(world), ending };
    let text = |place: usize| line.operands.get(place).map_or("", |text| text.as_str());
    let command = match line.verb.as_str() {
        "ok" => {
            let result = line.operands.get(1).map(|result| Json::parse(result).unwrap());
            ended(world, Ending::Succeeded { result, note: None })
        }
        "fail" => ended(world, Ending::Failed { error: line.operands.get(1).map_or("broken", |text| text).into() }),
        "stopped" => ended(world, Ending::Stopped),
        "interrupted" => ended(world, Ending::Interrupted { reason: "the daemon stops".into(), suspect: false }),
        "lost" => ended(world, Ending::Interrupted { reason: "its shim was killed".into(), suspect: true }),
        "output" => Command::ReportOutput { job: line.job(), attempt: attempt(world), bytes: text(1).parse().unwrap() },
        "progress" => {
            let (current, total) = text(1).split_once('/').unwrap();
            let (current, total) = (current.parse().unwrap(), total.parse().unwrap());
            let attempt = line.option("attempt").map(|attempt| attempt.parse().unwrap());
            let progress = Progress { current, total, message: text(2).into() };
            Command::ReportProgress { job: line.job(), attempt, progress }
        }
        "spawned" => {
            let process = Process { pid: 77, start_time: 1, boot_id: 1 };
            Command::ReportSpawned { job: line.job(), attempt: attempt(world), process }
        }
        "cancel" => Command::CancelJob { job: line.job(), reason: "asked to".into() },
        "retry" => {
            let (answer, events) = world.act(|machine, past| machine.retry(line.job(), past));
            return (answer.err().iter().map(refused).collect(), events);
        }
        // As if newer zone data had moved the schedule.
        "misplace" => {
            let task = world.state().task_named(line.operand(0)).unwrap().id;
            let (instants, next) = (Vec::new(), Some(instant(text(1))));
            let due = DueSchedule { task, schedule: 0, instants, next, make_up_from: None };
            Command::DecideOccurrences(due)
        }
        "note" => Command::NoteReload { changes: line.operands.iter().map(|change| change.as_str().into()).collect() },
        "pause" => Command::PauseTask { task: line.operand(0).into() },
        "resume" => Command::ResumeTask { task: line.operand(0).into() },
        other => panic!("`{other}` is no command"),
    };
    let (answer, events) = world.run(&command);
    (answer.err().iter().map(refused).collect(), events)
}
