//! `daybook journal`

use std::fmt;
use std::path::Path;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::CONFIG_DEFAULT;
use super::failure::Failure;
use super::render::{Colour, count};
use super::session::Session;
use crate::control::client::{Answer, Error};
use crate::control::service::Verified;
use crate::core::id::JobId;
use crate::error::Exit;
use crate::{config, daemon};

/// Characters of a sentence that are shown.
const SENTENCE_MAX: usize = 300;
/// Characters of a value that are shown.
const VALUE_MAX: usize = 60;
/// Events that are shown before those to come.
const BEFORE_FOLLOW: u64 = 10;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook journal -n 20
  daybook journal --follow --json
  daybook journal --job 4711
  daybook journal verify

Exit codes: 0 done, 4 the daemon cannot be reached; of `verify` also 74 something is wrong"#;

/// Show the journal: all that has happened, in its order
///
/// Without options, everything that is kept, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Go on with what happens; starts with the last 10 events unless told otherwise
    #[arg(short, long)]
    follow: bool,
    /// Only events of this job
    ///
    /// Everything from where the job was added is read, so an old job takes longer.
    #[arg(long, value_name = "JOB")]
    job: Option<JobId>,
    /// Begin at this commit
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    /// At most this many events: the last ones, or with `--from` the first
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    limit: Option<u64>,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Walk the journal and check that it is whole
    ///
    /// Follows the chain of checksums, and compares a replay with the history. Exits with 74 if something
    /// is wrong. Without a running daemon it looks at the state folder of the config itself.
    Verify,
}

pub async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    if let Some(Verb::Verify) = args.verb {
        if args.follow || args.job.is_some() || args.from.is_some() || args.limit.is_some() {
            let failure = Failure::new(Exit::Usage, "`verify` looks at the whole journal: it takes no such option");
            return Err(failure.hint("`daybook journal verify`"));
        }
        return verify(session).await;
    }
    let mut path = format!("/v1/journal?follow={}", u8::from(args.follow));
    let all = !args.follow || args.from.is_some();
    let limit = args.limit.or((!all).then_some(BEFORE_FOLLOW));
    for (name, value) in [("from", args.from), ("limit", limit), ("job", args.job.map(|job| job.0))] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={value}"));
        }
    }
    let answer = session.open(&path).await?;
    match session.json {
        true => copy(answer, session).await?,
        false => print(answer, session, args.follow).await?,
    }
    Ok(Exit::Done)
}

async fn copy(mut answer: Answer, session: &mut Session) -> Result<(), Failure> {
    while let Some(piece) = answer.piece().await? {
        session.out.raw(&piece)?;
        session.out.flush()?;
    }
    Ok(())
}

async fn print(answer: Answer, session: &mut Session, follow: bool) -> Result<(), Failure> {
    let mut lines = answer.lines();
    while let Some(line) = lines.next().await? {
        let Pairs(pairs) = serde_json::from_slice(line).map_err(Error::Garbled)?;
        let mut shown = String::new();
        for (name, value) in &pairs {
            // A sentence is shown whole.
            let value = plain(value.get(), if name == "change" { SENTENCE_MAX } else { VALUE_MAX });
            match name.as_str() {
                "seq" => shown.push_str(&format!("{value:>7}  ")),
                "at" => shown.push_str(&format!("{value}  ")),
                "event" => shown.push_str(&session.out.coloured(&value, Colour::Cyan)),
                _ if value == "null" => {}
                _ => shown.push_str(&format!(" {name}={value}")),
            }
        }
        session.out.line(shown)?;
        if follow {
            session.out.flush()?;
        }
    }
    Ok(())
}

/// A value as text: a string without its quotes, all of it bounded.
fn plain(raw: &str, max: usize) -> String {
    let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    let mut shown: String = text.chars().take(max).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    // What does not fit on a line, or would be taken for a command to the terminal.
    shown.replace(|c: char| c.is_control(), " ")
}

async fn verify(session: &mut Session) -> Result<Exit, Failure> {
    let verified: Verified = match session.get("/v1/journal/verify").await {
        Ok(whole) => whole.read()?,
        Err(failure) if failure.exit == Exit::Unreachable => offline(session)?,
        Err(failure) => return Err(failure),
    };
    if session.json {
        session.out.line(serde_json::to_string(&verified).map_err(Error::Garbled)?)?;
    } else {
        let (commits, events) = (count(verified.commits, "commit"), count(verified.events, "event"));
        let span = format!("commits {} to {}", verified.first, verified.last);
        session.out.line(format!("{commits} with {events} read, {span}"))?;
    }
    if verified.ok {
        if !session.json {
            session.out.line("the chain is whole, and the history agrees with it")?;
        }
        return Ok(Exit::Done);
    }
    session.out.flush()?;
    let mut failure = Failure::new(Exit::Disk, "the journal is damaged");
    failure.causes = verified.problems.iter().map(|problem| problem.to_string()).collect();
    Err(failure)
}

/// Looks at the state folder itself, as no daemon answers; its lock keeps one from starting meanwhile.
fn offline(session: &Session) -> Result<Verified, Failure> {
    let config = session.common.config.as_deref().unwrap_or(Path::new(CONFIG_DEFAULT));
    let config = config::load(config).map_err(daemon::Failure::Config)?;
    Ok(daemon::verify_offline(&config.state_dir)?)
}

/// An object's keys and values in their order.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_plain_and_bounded() {
        assert_eq!(plain("17", VALUE_MAX), "17");
        assert_eq!(plain(r#""a \u001b[31m b""#, VALUE_MAX), "a  [31m b");
        assert_eq!(plain(&format!("\"{}\"", "é".repeat(70)), VALUE_MAX).chars().count(), 61);
    }
}
