//! What handles items, as a run sees it, and the terms on which both talk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::core::command::{ItemOrder, ItemOutcome};
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::limits::{self, RESULT_BYTES_MAX};
use crate::core::state::batch::Args;

/// Bytes of what an answer names that are shown.
const SHOWN_BYTES_MAX: usize = 80;
/// Why items failed whose handler did.
pub const PANICKED: &str = "its handler panicked; this is a bug, and the daemon's log says where";

/// What is said to the handler of every item of a batch.
#[derive(Clone, Debug)]
pub struct Orders {
    pub job: JobId,
    pub task: Box<str>,
    pub op: Option<Box<str>>,
    /// For every item that has none of its own.
    pub params: Option<Json>,
}

impl Orders {
    /// Those of a batch with these arguments. `only`: the operation of a task that has one only.
    pub fn of(job: JobId, task: &str, args: &Json, only: Option<&str>) -> Orders {
        let args = Args::read(args).unwrap_or_default();
        let op = args.op.or_else(|| only.map(Into::into));
        Orders { job, task: task.into(), op, params: args.params }
    }

    /// The same without an item, as one JSON object: `op` and `params`.
    pub fn args(&self) -> Value {
        let mut args = Map::new();
        args.extend(self.op.as_ref().map(|op| ("op".to_owned(), json!(op))));
        let params = self.params.as_ref().and_then(|params| serde_json::from_str(params.as_str()).ok());
        args.extend(params.map(|params: Value| ("params".to_owned(), params)));
        Value::Object(args)
    }
}

/// One call of a handler: an item, or a chunk of them.
#[derive(Clone, Debug)]
pub struct Call {
    pub orders: Arc<Orders>,
    /// The number of this handling, which no other of the batch has.
    pub run: u32,
    pub items: Vec<ItemOrder>,
    /// It is about a chunk, if only of one item.
    pub is_chunk: bool,
}

impl Call {
    /// What a handler is told, as one JSON object: `item`, or `items` of a chunk, `op` and `params`.
    pub fn args(&self) -> Value {
        let mut args = Map::new();
        let params = |item: &ItemOrder| {
            let params = item.params.as_ref().or(self.orders.params.as_ref());
            params.and_then(|params| serde_json::from_str::<Value>(params.as_str()).ok())
        };
        if let Some(op) = &self.orders.op {
            args.insert("op".to_owned(), json!(op));
        }
        match (&self.items[..], self.is_chunk) {
            ([item], false) => {
                args.insert("item".to_owned(), value(&item.text));
                args.extend(params(item).map(|params| ("params".to_owned(), params)));
            }
            (items, _) => {
                let one = |item: &ItemOrder| {
                    let mut one = Map::from_iter([("item".to_owned(), value(&item.text))]);
                    one.extend(params(item).map(|params| ("params".to_owned(), params)));
                    Value::Object(one)
                };
                args.insert("items".to_owned(), items.iter().map(one).collect());
            }
        }
        Value::Object(args)
    }

    /// The same end for all of its items.
    pub fn all(&self, outcome: ItemOutcome) -> Vec<ItemOutcome> {
        vec![outcome; self.items.len()]
    }

    pub fn failed(&self, error: impl Into<Box<str>>) -> Vec<ItemOutcome> {
        self.all(ItemOutcome::Failed { error: error.into() })
    }
}

/// An item that is JSON is told as such, any other as a text.
fn value(text: &str) -> Value {
    let is_composed = text.starts_with(['{', '[']);
    let parsed = if is_composed { serde_json::from_str(text).ok() } else { None };
    parsed.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What became of each item of a call that went well: those that its result names under `failed`, with the reason, have
/// failed, all others are done.
///
/// A handler that says which items of a chunk have failed must not be misunderstood: where its answer is meant to be JSON
/// and is not understood, all of them have. The answer about a single item may be anything.
pub fn answers(items: &[ItemOrder], is_chunk: bool, result: Option<&Value>) -> Vec<ItemOutcome> {
    match understood(items, result) {
        Ok(outcomes) => outcomes,
        Err(why) if is_chunk => vec![ItemOutcome::Failed { error: not_understood(&why).into() }; items.len()],
        Err(_) => vec![ItemOutcome::Done; items.len()],
    }
}

/// Why items failed whose handler answered, and nobody knows what.
pub fn not_understood(why: &str) -> String {
    format!("its handler's answer cannot be taken: {why}")
}

/// What a result says of each item; the error says why it cannot be taken.
fn understood(items: &[ItemOrder], result: Option<&Value>) -> Result<Vec<ItemOutcome>, String> {
    let parsed;
    let result = match result {
        // What looks like JSON was meant to be.
        Some(Value::String(text)) if text.trim_start().starts_with(['{', '[']) => {
            let read = serde_json::from_str(text);
            parsed =
                read.map_err(|error| format!("it is no JSON, or has more than {RESULT_BYTES_MAX} bytes: {error}"))?;
            Some(&parsed)
        }
        result => result,
    };
    let failed = match result {
        Some(Value::Object(result)) => result.get("failed"),
        Some(Value::Array(_)) => return Err("it is an array, not an object".into()),
        _ => None,
    };
    let failed = match failed {
        None => return Ok(vec![ItemOutcome::Done; items.len()]),
        Some(Value::Object(failed)) => failed,
        Some(_) => return Err("its `failed` is no object of items and reasons".into()),
    };
    let names: Vec<String> = items.iter().map(|item| name(&item.text)).collect();
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let failed: BTreeMap<String, &Value> = failed.iter().map(|(item, why)| (name(item), why)).collect();
    if let Some(unknown) = failed.keys().find(|item| !known.contains(item.as_str())) {
        let shown = limits::cut(unknown.clone(), SHOWN_BYTES_MAX);
        return Err(format!("its `failed` names `{shown}`, which is not in this call"));
    }
    let outcome = |name: &String| match failed.get(name) {
        Some(why) => {
            let error = why.as_str().map_or_else(|| why.to_string(), str::to_owned).into();
            ItemOutcome::Failed { error }
        }
        None => ItemOutcome::Done,
    };
    Ok(names.iter().map(outcome).collect())
}

/// How an item is named in an answer: one that is JSON however it is written.
fn name(text: &str) -> String {
    let parsed = text.trim_start().starts_with(['{', '[']).then(|| serde_json::from_str::<Value>(text).ok());
    parsed.flatten().map_or_else(|| text.to_owned(), |value| value.to_string())
}

/// What handles items.
pub trait Each: Send + Sync {
    /// Handles the items of one call: what became of each, in their order.
    fn handle(&self, call: Call) -> BoxFuture<'static, Vec<ItemOutcome>>;

    /// Asks a call of this handler to end; it then ends soon.
    fn stop(&self, job: JobId, run: u32);

    /// Whether a call goes on when the daemon ends: then nobody waits for it, and the next daemon takes it over.
    fn outlives(&self) -> bool {
        false
    }

    /// What became of a call is on disk.
    fn forget(&self, _job: JobId, _run: u32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(items: &[(&str, Option<&str>)], is_chunk: bool) -> Call {
        let args = Json::trusted(r#"{"op":"on","params":{"length":8}}"#);
        let orders = Arc::new(Orders::of(JobId(7), "auth", &args, None));
        let item = |(text, params): &(&str, Option<&str>)| ItemOrder {
            place: 0,
            text: (*text).into(),
            attempt: 1,
            params: params.map(Json::trusted),
        };
        Call { orders, run: 1, items: items.iter().map(item).collect(), is_chunk }
    }

    #[test]
    fn a_handler_is_told_the_item_with_its_own_parameters() {
        let told = |call: Call| call.args().to_string();
        assert_eq!(told(call(&[("17", None)], false)), r#"{"item":"17","op":"on","params":{"length":8}}"#);
        assert_eq!(told(call(&[("17", Some("9"))], false)), r#"{"item":"17","op":"on","params":9}"#);
        let json = r#"{"id":1}"#;
        assert_eq!(told(call(&[(json, Some("9"))], true)), r#"{"items":[{"item":{"id":1},"params":9}],"op":"on"}"#);
    }

    #[test]
    fn it_answers_for_each_item_of_a_chunk() {
        let call = call(&[("a", None), ("b", None), ("c", None)], true);
        let answers = |result: Value| answers(&call.items, true, Some(&result));
        let result = json!({"failed": {"b": "no such client", "c": 404}});
        let failed = |error: &str| ItemOutcome::Failed { error: error.into() };
        let each = [ItemOutcome::Done, failed("no such client"), failed("404")];
        assert_eq!(answers(result.clone()), each);
        // Whatever its type was said to be.
        assert_eq!(answers(Value::String(result.to_string())), each);
        for said in [json!(null), json!("OK"), json!(7), json!({"sent": 3}), json!({"failed": {}}), json!("<html>")] {
            assert_eq!(answers(said), call.all(ItemOutcome::Done));
        }
        assert_eq!(super::answers(&call.items, true, None), call.all(ItemOutcome::Done));
    }

    #[test]
    fn an_answer_about_a_chunk_is_understood_or_all_have_failed() {
        let long = format!("{{\"failed\": {{\"a\": \"{}", "x".repeat(RESULT_BYTES_MAX));
        let wrong = [
            (json!(["a"]), "array"),
            (json!({"failed": ["a"]}), "no object"),
            (json!({"failed": false}), "no object"),
            (json!({"failed": {"a": "no", "z": "no"}}), "`z`, which is not in this call"),
            (json!("{\"failed\": {\"a\""), "no JSON"),
            (json!(long), "more than 65536 bytes"),
        ];
        for (said, why) in wrong {
            let items = call(&[("a", None), ("b", None)], true).items;
            let outcomes = answers(&items, true, Some(&said));
            let is = |it: &ItemOutcome| matches!(it, ItemOutcome::Failed { error } if error.contains(why));
            assert!(outcomes.len() == 2 && outcomes.iter().all(is), "{outcomes:?}");
            assert_eq!(answers(&items[..1], false, Some(&said)).len(), 1);
        }
        // What a server says of a single item is its own affair.
        let items = call(&[("a", None)], false).items;
        assert_eq!(answers(&items, false, Some(&json!({"failed": false}))), [ItemOutcome::Done]);
    }

    #[test]
    fn an_item_that_is_json_is_named_however_it_is_written() {
        let items = call(&[(r#"{"name":"x\u00e9","id":1}"#, None), (r#"{"id":2}"#, None)], true).items;
        let result = json!({"failed": {"{ \"id\": 1, \"name\": \"xé\" }": "no"}});
        let failed = ItemOutcome::Failed { error: "no".into() };
        assert_eq!(answers(&items, true, Some(&result)), [failed, ItemOutcome::Done]);
    }
}
