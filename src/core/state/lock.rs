//! The names of what only one may handle at a time: things, and exclusive groups of batches.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::core::id::JobId;
use crate::core::limits;

/// What a lock is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LockKey {
    /// An exclusive group.
    Group(Box<str>),
    /// A thing, by its name.
    Thing(Box<str>),
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockKey::Group(name) => write!(f, "exclusive group `{name}`"),
            LockKey::Thing(name) => write!(f, "`{name}`"),
        }
    }
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A running job.
    Job(JobId),
    /// An item of a batch that is being handled, at this place.
    Item { job: JobId, item: u32, advance: bool },
}

impl Holder {
    pub fn job(self) -> JobId {
        match self {
            Holder::Job(job) | Holder::Item { job, .. } => job,
        }
    }
}

/// How the name of a thing is made: a text in which `{item}` stands for the item, or `{args.client}` for a field of
/// what is JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Whole,
    Field(Box<str>),
}

impl Template {
    /// Reads a template in which the thing is called `root`: `item` for items, `args` for jobs.
    ///
    /// # Errors
    /// With what is wrong, as a fragment.
    pub fn parse(text: &str, root: &str) -> Result<Template, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let close = after.find('}').ok_or_else(|| "has a `{` without its `}`".to_owned())?;
            let name = &after[1..close];
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            let field = name.strip_prefix(root).and_then(|rest| rest.strip_prefix('.'));
            pieces.push(match field {
                _ if name == root => Piece::Whole,
                Some(field) if !field.is_empty() => Piece::Field(field.into()),
                Some(_) | None => {
                    return Err(format!("names `{{{name}}}`; known are `{{{root}}}` and `{{{root}.FIELD}}`"));
                }
            });
            rest = &after[close + 1..];
        }
        if rest.contains('}') {
            return Err("has a `}` without its `{`".to_owned());
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        match pieces.iter().any(|piece| !matches!(piece, Piece::Text(_))) {
            true => Ok(Template { text: text.into(), pieces }),
            false => Err(format!("names no `{{{root}}}`, so that all would have one lock")),
        }
    }

    /// The default of a batch: things of one task have nothing to do with those of another.
    pub fn of_task(task: &str) -> Template {
        let pieces = vec![Piece::Text(format!("{task}:").into()), Piece::Whole];
        Template { text: format!("{task}:{{item}}").into(), pieces }
    }

    /// The name of the thing; `None` if it has no such field, or the name would be too long.
    pub fn render(&self, of: &str) -> Option<Box<str>> {
        // As large as it will be where no field is in it: to give back what is too much would cost a copy.
        let size = |piece: &Piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Whole => of.len(),
            Piece::Field(_) => 0,
        };
        let mut name = String::with_capacity(self.pieces.iter().map(size).sum());
        let mut value = None;
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Whole => name.push_str(of),
                Piece::Field(field) => {
                    let value = value.get_or_insert_with(|| serde_json::from_str::<Value>(of).unwrap_or_default());
                    match value.get(&**field)? {
                        Value::String(text) => name.push_str(text),
                        Value::Null => return None,
                        other => name.push_str(&other.to_string()),
                    }
                }
            }
        }
        (name.len() <= 2 * limits::ITEM_BYTES_MAX).then(|| name.into())
    }

    /// Where it differs from the kind that reads `root`: stored templates were read once, whatever they are about.
    fn stored(text: String) -> Template {
        let read = |root| Template::parse(&text, root);
        read("item").or_else(|_| read("args")).unwrap_or_default()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        String::deserialize(deserializer).map(Template::stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, of: &str) -> Option<String> {
        Template::parse(template, "item").expect("is a template").render(of).map(Into::into)
    }

    #[test]
    fn names_are_made_of_items_and_their_fields() {
        assert_eq!(name("client:{item}", "17").as_deref(), Some("client:17"));
        assert_eq!(name("{item.tenant}/{item.id}", r#"{"tenant":"a","id":7}"#).as_deref(), Some("a/7"));
        assert_eq!(name("{item.id}", r#"{"tenant":"a"}"#), None);
        assert_eq!(name("{item.id}", "17"), None);
        let of_task = Template::of_task("mail");
        assert_eq!(Template::parse(&of_task.to_string(), "item"), Ok(of_task));
    }

    #[test]
    fn mistakes_are_told() {
        for (template, mistake) in [
            ("client", "names no `{item}`"),
            ("{client}", "names `{client}`"),
            ("{item", "without its `}`"),
            ("{item}}", "without its `{`"),
            ("{item.}", "names `{item.}`"),
        ] {
            let error = Template::parse(template, "item").unwrap_err();
            assert!(error.contains(mistake), "{template}: {error}");
        }
    }
}
