//! What handles items, as a run sees it, and the terms on which both talk.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use crate::core::command::{ItemOrder, ItemOutcome};
use crate::core::id::JobId;
use crate::core::json::Json;
use crate::core::state::batch::Args;

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
pub fn answers(items: &[ItemOrder], result: Option<&Value>) -> Vec<ItemOutcome> {
    let failed = result.and_then(|result| result.get("failed")).and_then(Value::as_object);
    let failed: BTreeMap<&str, String> = failed
        .into_iter()
        .flatten()
        .map(|(item, why)| (item.as_str(), why.as_str().map_or_else(|| why.to_string(), str::to_owned)))
        .collect();
    let outcome = |item: &ItemOrder| match failed.get(&*item.text) {
        Some(why) => ItemOutcome::Failed { error: why.as_str().into() },
        None => ItemOutcome::Done,
    };
    items.iter().map(outcome).collect()
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
        let result = json!({"failed": {"b": "no such client", "c": 404, "x": "?"}});
        let failed = |error: &str| ItemOutcome::Failed { error: error.into() };
        assert_eq!(answers(&call.items, Some(&result)), [ItemOutcome::Done, failed("no such client"), failed("404")]);
        assert_eq!(answers(&call.items, None), call.all(ItemOutcome::Done));
    }
}
