//! The lines of tables that are about batches and their items.

use daybook::core::command::{AddJob, Answer, Command, ItemEnd, ItemOutcome, ItemRun};
use daybook::core::event::Event;
use daybook::core::json::Json;
use daybook::core::rejection::Rejection;
use daybook::core::state::batch::Args;
use daybook::core::texts::Texts;

use crate::tables::refused;
use crate::words::{Line, clock};
use crate::world::World;

type Followed = (Vec<String>, Vec<Event>);

/// What a line about batches does; `None` if it is about something else.
pub fn command(world: &mut World, line: &Line) -> Option<Followed> {
    let command = match line.verb.as_str() {
        "batch" => return Some(batch(world, line)),
        "open" => {
            let add = add(line);
            let (answer, events) = world.act(|machine, past| machine.open_batch(add, past));
            return Some((answer.err().iter().map(refused).collect(), events));
        }
        "give" | "read" => Command::AddItems {
            job: line.job(),
            attempt: (line.verb == "read").then(|| attempt(world, line)),
            items: texts(line.operand(1)),
        },
        "load" => {
            let add = add(&Line {
                operands: line.operands[1..].to_vec(),
                options: line.options.clone(),
                ..Line::parse(line.text)
            });
            let (answer, events) = world.act(|machine, past| machine.load_batch(line.job(), add, past));
            return Some((said(answer), events));
        }
        "loaded" => Command::LoadBatch { job: line.job(), attempt: Some(attempt(world, line)), add: None },
        "drop" => Command::DropBatch { job: line.job(), reason: "the client went away".into() },
        "next" => return Some(next(world, line)),
        "done" | "broke" | "back" => {
            let outcome = match line.verb.as_str() {
                "done" => ItemOutcome::Done,
                "broke" => ItemOutcome::Failed { error: "broken".into() },
                _ => ItemOutcome::Returned,
            };
            let flights = world.state().batch(line.job()).map(|batch| batch.flights.clone()).unwrap_or_default();
            let items = line.operand(1).split(',').map(|item| item.parse().unwrap());
            let end = |item| ItemEnd { item, run: flights.get(&item).map_or(0, |it| it.run), outcome: outcome.clone() };
            Command::ReportItems { job: line.job(), ended: items.map(end).collect() }
        }
        "ahead" => {
            let (answer, events) = world.act(|machine, _| machine.advance(line.job(), line.operand(1).into()));
            return Some((answer.err().iter().map(refused).collect(), events));
        }
        "take-out" => Command::RemoveItem { key: line.operand(0).into() },
        "override" => Command::OverrideItem {
            key: line.operand(0).into(),
            params: Json::parse(line.option("params").unwrap()).unwrap(),
        },
        "restore" => Command::RestoreItem { key: line.operand(0).into() },
        "items" => return Some((items(world, line), Vec::new())),
        _ => return None,
    };
    let (answer, events) = world.act(|machine, _| machine.run(&command));
    let said = match answer {
        Err(rejection) => vec![refused(&rejection)],
        Ok(Answer::Removed { batches }) => vec![format!("was in {batches} batches")],
        Ok(_) => Vec::new(),
    };
    Some((said, events))
}

fn attempt(world: &World, line: &Line) -> u32 {
    match line.option("attempt") {
        Some(attempt) => attempt.parse().unwrap(),
        None => world.state().running(line.job()).map_or(1, |running| running.attempt),
    }
}

fn texts(items: &str) -> Texts {
    items.split(',').filter(|item| !item.is_empty()).collect()
}

fn add(line: &Line) -> AddJob {
    let args = Args {
        op: line.option("op").map(Into::into),
        params: line.option("params").map(|params| Json::parse(params).unwrap()),
        restore: line.has("restore"),
    };
    AddJob {
        task: line.operand(0).into(),
        args: line.option("args").map_or(args.to_json(), |args| Json::parse(args).unwrap()),
        key: line.option("key").map(Into::into),
        ..AddJob::default()
    }
}

fn said<T>(answer: Result<(T, bool), Rejection>) -> Vec<String>
where
    T: std::fmt::Display,
{
    match answer {
        Ok((_, true)) => Vec::new(),
        Ok((job, false)) => vec![format!("is job {job}")],
        Err(rejection) => vec![refused(&rejection)],
    }
}

/// Opens a batch, gives it its items, and loads it, in one commit.
fn batch(world: &mut World, line: &Line) -> Followed {
    let (answer, events) = world.act(|machine, past| {
        let (job, created) = machine.open_batch(add(line), past)?;
        if !created {
            return Ok((job, false));
        }
        machine.run(&Command::AddItems { job, attempt: None, items: texts(line.operand(1)) })?;
        machine.load_batch(job, add(line), past)
    });
    (said(answer), events)
}

fn next(world: &mut World, line: &Line) -> Followed {
    let want = line.option("want").map_or(1, |want| want.parse().unwrap());
    let attempt = attempt(world, line);
    let chunk = line.option("chunk").map_or(1, |chunk| chunk.parse().unwrap());
    let (answer, events) = world.act(|machine, _| machine.next_items(line.job(), attempt, want, chunk));
    let said = match answer {
        Err(rejection) => vec![refused(&rejection)],
        Ok(Answer::Items { runs, wake, .. }) => {
            let wake = wake.map(|at| format!("ask again at {}", clock(at)));
            runs.iter().map(begun).chain(wake).collect()
        }
        Ok(Answer::Over) => vec!["over".to_owned()],
        Ok(other) => panic!("the next items are no {other:?}"),
    };
    (said, events)
}

fn begun(run: &ItemRun) -> String {
    let item = |item: &daybook::core::command::ItemOrder| {
        let params = item.params.as_ref().map_or(String::new(), |params| format!(" with {}", params.as_str()));
        let again = if item.attempt > 1 { format!(" (attempt {})", item.attempt) } else { String::new() };
        format!("{}{again}{params}", item.text)
    };
    let items: Vec<String> = run.items.iter().map(item).collect();
    format!("begin {}", items.join(" and "))
}

fn items(world: &World, line: &Line) -> Vec<String> {
    let Some(batch) = world.state().batch(line.job()) else { return vec!["no batch".to_owned()] };
    let show = |(place, item): (u32, daybook::core::state::batch::Item<'_>)| {
        let note = batch.notes.get(&place).map_or(String::new(), |note| format!(": {note}"));
        format!("{} {} handled={}{note}", item.text, item.state, item.handled)
    };
    batch.items.from(0).map(show).collect()
}
