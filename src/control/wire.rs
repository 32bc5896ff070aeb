//! What goes over the socket that is not shown anywhere else: the bodies of requests.
//!
//! They borrow from the body that they are read from. Every key is optional here, so that a body can
//! be judged key by key when it is refused (`body`); what must be there is checked on conversion.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::items::{Lots, One};
use super::problem::{INVALID_VALUE, Problem};
use crate::core::command::{AddJob, When};
use crate::core::json::Json;
use crate::core::limits;
use crate::core::repair::Door;
use crate::core::state::batch::Args;
use crate::core::time::Timestamp;
use crate::core::view::Progress;

/// A body of known keys.
pub trait Fields<'a>: Deserialize<'a> {
    const FIELDS: &'static [&'static str];
    /// What is wrong with `text` as such a body.
    fn probe(text: &str) -> Option<serde_json::Error>;
}

macro_rules! fields {
    ($name:ident, $($field:literal),*) => {
        impl<'a> Fields<'a> for $name<'a> {
            const FIELDS: &'static [&'static str] = &[$($field),*];

            fn probe(text: &str) -> Option<serde_json::Error> {
                serde_json::from_str::<$name>(text).err()
            }
        }
    };
}

/// Text that is copied only if it has escapes. (`Option<Cow<str>>` would always copy.)
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A value that is written as an object, key by key. (A derived struct would also take an array.)
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

/// One job to add.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AddRequest<'a> {
    #[serde(borrow)]
    task: Option<Text<'a>>,
    #[serde(borrow)]
    args: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<Text<'a>>,
    priority: Option<u8>,
    #[serde(borrow)]
    at: Option<Text<'a>>,
    #[serde(rename = "in")]
    wait: Option<Wait>,
}

fields!(AddRequest, "task", "args", "key", "priority", "at", "in");

impl AddRequest<'_> {
    /// The command, with every bound checked that needs no state.
    pub fn into_job(self, now: Timestamp) -> Result<AddJob, Problem> {
        let invalid = |detail: String| Problem::new(INVALID_VALUE, detail);
        let task = self.task.ok_or_else(|| invalid("`task` is missing".into()))?.0;
        if task.is_empty() || task.len() > limits::TASK_NAME_BYTES_MAX {
            let max = limits::TASK_NAME_BYTES_MAX;
            return Err(invalid(format!("`task` has {} bytes; a name has 1 to {max}", task.len())));
        }
        let when = match (self.at, self.wait) {
            (None, None) => When::Now,
            (Some(at), None) => When::At(instant(&at.0, now).map_err(|e| invalid(format!("`at`: {e}")))?),
            (None, Some(wait)) => When::In(wait.0),
            (Some(_), Some(_)) => return Err(invalid("`at` and `in` exclude each other".into())),
        };
        let job = AddJob {
            task: task.into(),
            args: self.args.map_or_else(Json::null, |raw| Json::trusted(one_line(raw.get()))),
            key: self.key.map(|key| key.0.into()),
            priority: self.priority,
            when,
            ..AddJob::default()
        };
        job.validate().map_err(|e| invalid(e.to_string()))?;
        Ok(job)
    }
}

/// A batch to start.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StartRequest<'a> {
    #[serde(borrow)]
    pub task: Option<Text<'a>>,
    #[serde(borrow)]
    pub op: Option<Text<'a>>,
    pub items: Option<Lots>,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
    pub restore: bool,
    #[serde(borrow)]
    pub key: Option<Text<'a>>,
    pub priority: Option<u8>,
}

fields!(StartRequest, "task", "op", "items", "params", "restore", "key", "priority");

impl StartRequest<'_> {
    /// The job of the batch, with every bound checked that needs no state.
    pub fn into_job(self, now: Timestamp) -> Result<AddJob, Problem> {
        let params = self.params.map(|raw| Json::trusted(one_line(raw.get())));
        let args = Args { op: self.op.map(|op| op.0.into()), params, restore: self.restore };
        let request = AddRequest { task: self.task, key: self.key, priority: self.priority, ..AddRequest::default() };
        let job = AddJob { args: args.to_json(), ..request.into_job(now)? };
        job.validate().map_err(|e| Problem::new(INVALID_VALUE, e.to_string()))?;
        Ok(job)
    }
}

/// An item to handle ahead of its turn.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvanceRequest<'a> {
    #[serde(borrow)]
    item: Option<One<'a>>,
}

fields!(AdvanceRequest, "item");

impl AdvanceRequest<'_> {
    pub fn item(self) -> Result<Box<str>, Problem> {
        let item = self.item.ok_or_else(|| Problem::new(INVALID_VALUE, "`item` is missing"))?;
        Ok(item.0.into())
    }
}

/// The instant that a job is to wait for, no further off than it may be told to wait.
fn instant(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at: Timestamp = text.parse()?;
    Wait::bounded(at.since(now)).map(|_| at)
}

/// JSON text without line breaks: lists are one object a line.
fn one_line(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'\n', b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    // Within a string a line break is always escaped, so each one here is between two tokens.
    Cow::Owned(text.replace(['\n', '\r'], ""))
}

/// A wait: a number of seconds or text such as `5m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub Duration);

impl Wait {
    /// Reads text such as `5m` or `1h 30s`.
    pub fn parse(text: &str) -> Result<Wait, String> {
        let duration =
            humantime::parse_duration(text).map_err(|e| format!("`{text}` is not a duration like 5m: {e}"))?;
        Wait::bounded(duration)
    }

    fn of_seconds(seconds: f64) -> Result<Wait, String> {
        let duration =
            Duration::try_from_secs_f64(seconds).map_err(|_| format!("{seconds} is not a number of seconds"))?;
        Wait::bounded(duration)
    }

    fn bounded(duration: Duration) -> Result<Wait, String> {
        match duration <= limits::DURATION_MAX {
            true => Ok(Wait(duration)),
            false => Err("at most 100 years from now are taken".into()),
        }
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Wait, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Wait;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration like \"5m\" or a number of seconds")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Wait, E> {
                Wait::parse(text).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Wait, E> {
                Wait::bounded(Duration::from_secs(seconds)).map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Wait, E> {
                Wait::of_seconds(seconds as f64).map_err(E::custom)
            }
            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Wait, E> {
                Wait::of_seconds(seconds).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Reader).map_err(D::Error::custom)
    }
}

/// How far a job says it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProgressRequest<'a> {
    current: Option<u64>,
    total: Option<u64>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    pub attempt: Option<u32>,
}

fields!(ProgressRequest, "current", "total", "message", "attempt");

impl ProgressRequest<'_> {
    /// The progress; a message that is too long is cut, as a job's own output would be.
    pub fn progress(&self) -> Result<Progress, Problem> {
        let current = self.current.ok_or_else(|| Problem::new(INVALID_VALUE, "`current` is missing"))?;
        let message = self.message.as_ref().map(|text| limits::message(text.0.clone().into_owned()));
        Ok(Progress { current, total: self.total.unwrap_or(0), message: message.unwrap_or_default().into() })
    }
}

/// A cancel, with who asked and why.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CancelRequest<'a> {
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
}

fields!(CancelRequest, "reason");

/// A sweep.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RepairRequest<'a> {
    pub dry_run: bool,
    pub door: Asker,
    #[serde(skip)]
    nothing: PhantomData<&'a ()>,
}

fields!(RepairRequest, "dry_run", "door");

/// Who asks on the socket, for the report: whoever says nothing is `socket`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asker {
    #[default]
    Socket,
    Cli,
    Page,
}

impl From<Asker> for Door {
    fn from(asker: Asker) -> Door {
        match asker {
            Asker::Socket => Door::Socket,
            Asker::Cli => Door::Cli,
            Asker::Page => Door::Page,
        }
    }
}

/// A reload.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReloadRequest<'a> {
    /// The answer comes after the sweep that follows.
    pub wait: bool,
    #[serde(skip)]
    nothing: PhantomData<&'a ()>,
}

fields!(ReloadRequest, "wait");

/// An order to start nothing any more.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainRequest<'a> {
    /// What runs is ended.
    pub kill: bool,
    #[serde(skip)]
    nothing: PhantomData<&'a ()>,
}

fields!(DrainRequest, "kill");

/// A body that has nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmptyRequest<'a> {
    #[serde(skip)]
    nothing: PhantomData<&'a ()>,
}

fields!(EmptyRequest,);

#[cfg(test)]
mod tests {
    use super::*;

    fn job(text: &str) -> Result<AddJob, String> {
        serde_json::from_str::<AddRequest>(text)
            .map_err(|e| e.to_string())?
            .into_job(Timestamp(0))
            .map_err(|e| e.detail)
    }

    #[test]
    fn all_keys_are_read() {
        let job = job(r#"{"task":"mail","args":{"to":1},"key":"k\u0031","priority":9,"in":"5m"}"#).unwrap();
        assert_eq!(&*job.task, "mail");
        assert_eq!(job.args.as_str(), r#"{"to":1}"#);
        assert_eq!(job.key.as_deref(), Some("k1"));
        assert_eq!(job.priority, Some(9));
        assert_eq!(job.when, When::In(Duration::from_secs(300)));
    }

    #[test]
    fn text_without_escapes_is_borrowed() {
        let request: AddRequest = serde_json::from_str(r#"{"task":"mail","key":"a\nb"}"#).unwrap();
        assert!(matches!(request.task, Some(Text(Cow::Borrowed("mail")))));
        assert!(matches!(request.key, Some(Text(Cow::Owned(_)))));
    }

    #[test]
    fn a_wait_is_text_or_seconds() {
        for (text, wait) in [("90", 90_000), ("0.5", 500), ("\"1h 30s\"", 3_630_000), ("0", 0)] {
            let job = job(&format!(r#"{{"task":"t","in":{text}}}"#)).unwrap();
            assert_eq!(job.when, When::In(Duration::from_millis(wait)), "{text}");
        }
        for text in ["-1", "\"soon\"", "1e300", "true", "99999999999", "\"200years\""] {
            assert!(job(&format!(r#"{{"task":"t","in":{text}}}"#)).is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_values_are_named() {
        let long = format!(r#"{{"task":"t","key":"{}"}}"#, "k".repeat(257));
        for (text, wrong) in [
            ("{}", "`task` is missing"),
            (r#"{"task":""}"#, "`task` has 0 bytes"),
            (r#"{"task":"t","at":"noon"}"#, "`at`: `noon` is not a time"),
            (r#"{"task":"t","at":"2026-11-21T09:00:00Z","in":1}"#, "exclude each other"),
            (r#"{"task":"t","priority":10}"#, "`priority` is 10"),
            (r#"{"task":"t","key":""}"#, "`key` has 0 bytes"),
            (&long, "`key` has 257 bytes"),
        ] {
            let detail = job(text).unwrap_err();
            assert!(detail.contains(wrong), "{text}: {detail}");
        }
    }

    #[test]
    fn arguments_never_have_a_line_break() {
        let job = job("{\"task\":\"t\",\"args\":{\r\n  \"a\": \"x\\ny\"\n}}").unwrap();
        assert_eq!(job.args.as_str(), r#"{  "a": "x\ny"}"#);
        assert_eq!(Json::parse(job.args.as_str()), Ok(job.args.clone()));
    }
}
