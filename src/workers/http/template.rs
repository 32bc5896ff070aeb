//! Urls and bodies with `{NAME}` in them. A value never becomes more than one component: it is written as the place
//! needs it, and a value that would still change the meaning of a path is refused.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use serde_json::Value as Json;

use super::{BODY_BYTES_MAX, URL_BYTES_MAX};

/// All but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Bytes of a url with its values in it; servers take little more.
const FILLED_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an argument's name.
const NAME_BYTES_MAX: usize = 64;

/// A value as a text: a text as it is, and all else as JSON.
pub(super) fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text as one component of a path or query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    Name(String),
}

/// Cuts a text at each `{NAME}`; any other brace is a part of the text.
fn pieces(text: &str) -> Vec<Piece> {
    let (mut pieces, mut begin, mut at) = (Vec::new(), 0, 0);
    while let Some(open) = text[at..].find('{').map(|found| at + found) {
        at = open + 1;
        let name = &text[at..text[at..].find('}').map_or(at, |found| at + found)];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(is_name) {
            pieces.push(Piece::Text(text[begin..open].to_owned()));
            pieces.push(Piece::Name(name.to_owned()));
            at += name.len() + 1;
            begin = at;
        }
    }
    pieces.push(Piece::Text(text[begin..].to_owned()));
    pieces
}

fn fill(pieces: &[Piece], mut value: impl FnMut(&str, &str) -> Result<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => filled.push_str(text),
            Piece::Name(name) => {
                let value = value(name, &filled)?;
                filled.push_str(&value);
            }
        }
    }
    Ok(filled)
}

fn argument<'a>(arguments: &'a Json, name: &str) -> Result<&'a Json, String> {
    arguments.get(name).ok_or_else(|| format!("`{{{name}}}` has no value; give the job one"))
}

/// A url.
pub(super) struct UrlTemplate {
    pieces: Vec<Piece>,
    https: bool,
}

impl UrlTemplate {
    /// Reads it; the error says what is wrong, and shows nothing of it.
    pub fn parse(text: &str) -> Result<UrlTemplate, String> {
        if text.len() > URL_BYTES_MAX {
            return Err(format!("it has more than {URL_BYTES_MAX} bytes"));
        }
        let Some((scheme @ ("http" | "https"), rest)) = text.split_once("://") else {
            return Err("it must begin with `http://` or `https://`".into());
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let name = host.rsplit('@').next().unwrap_or_default();
        if name.is_empty() || name.starts_with(':') {
            return Err("it names no host, as `https://example.org/hook` does".into());
        }
        if host.contains(['{', '}']) {
            return Err("an argument may stand in the path and the query only, not in the host".into());
        }
        let pieces = pieces(text);
        let braces = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains(['{', '}']));
        if pieces.iter().any(braces) {
            return Err("it has a brace that is not of a `{NAME}`; write it `%7B` or `%7D`".into());
        }
        let filled = fill(&pieces, |_, _| Ok("x".into()))?;
        Url::parse(&filled).map_err(|error| format!("it cannot be read: {error}"))?;
        refuse_dots(&filled)?;
        Ok(UrlTemplate { pieces, https: scheme == "https" })
    }

    /// Whether TLS is needed.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The url with the arguments in it; the error says which cannot be used.
    pub fn fill(&self, arguments: &Json) -> Result<Url, String> {
        let filled = fill(&self.pieces, |name, before| {
            let value = argument(arguments, name)?;
            let text = plain(value);
            // `/items/` is another thing than `/items/ITEM`, and often all of them.
            if value.is_null() || (text.is_empty() && !before.contains('?')) {
                return Err(format!("`{{{name}}}` in the url's path must not be empty"));
            }
            Ok(encoded(&text))
        })?;
        if filled.len() > FILLED_BYTES_MAX {
            return Err(format!("the url with its values has more than {FILLED_BYTES_MAX} bytes"));
        }
        refuse_dots(&filled)?;
        // The reason could quote a value.
        Url::parse(&filled).map_err(|_| "the url with its values cannot be read".into())
    }
}

/// `.` and `..` in a path lead to another one, also where they are percent-encoded, and no way to write them prevents it.
fn refuse_dots(url: &str) -> Result<(), String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/').skip(3);
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    match segments.any(dots) {
        true => Err("`.` and `..` may not stand between two `/` of the url".into()),
        false => Ok(()),
    }
}

/// How a value is written in a body.
#[derive(Clone, Copy)]
enum Form {
    Json,
    Encoded,
    Plain,
}

/// A body.
pub(super) struct BodyTemplate {
    pieces: Vec<Piece>,
    form: Form,
}

impl BodyTemplate {
    /// Reads it; the error says what is wrong.
    pub fn parse(text: &str, content_type: &str) -> Result<BodyTemplate, String> {
        if text.len() > BODY_BYTES_MAX {
            return Err(format!("it has more than {BODY_BYTES_MAX} bytes"));
        }
        let content_type = content_type.to_ascii_lowercase();
        let form = match content_type.as_str() {
            json if json.contains("json") => Form::Json,
            form if form.starts_with("application/x-www-form-urlencoded") => Form::Encoded,
            _ => Form::Plain,
        };
        let body = BodyTemplate { pieces: pieces(text), form };
        if matches!(form, Form::Json) {
            // Inside of quotes this makes three of them, which is not JSON.
            let filled = fill(&body.pieces, |_, _| Ok("\"\"".into()))?;
            serde_json::from_str::<serde::de::IgnoredAny>(&filled).map_err(|error| {
                format!("it is not JSON: {error}; a `{{NAME}}` stands without quotes, as its value brings them")
            })?;
        }
        Ok(body)
    }

    /// The body with the arguments in it; the error says which has no value.
    pub fn fill(&self, arguments: &Json) -> Result<String, String> {
        fill(&self.pieces, |name, _| {
            let value = argument(arguments, name)?;
            Ok(match self.form {
                Form::Json => value.to_string(),
                Form::Encoded => encoded(&plain(value)),
                Form::Plain => plain(value),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn filled(url: &str, arguments: Json) -> Result<String, String> {
        UrlTemplate::parse(url).unwrap().fill(&arguments).map(|url| url.to_string())
    }

    #[test]
    fn values_are_one_component_of_a_url() {
        let nasty = "a/b?c=d&e#f %2e {op} é\n\\+";
        let expected = "http://h/items/a%2Fb%3Fc%3Dd%26e%23f%20%252e%20%7Bop%7D%20%C3%A9%0A%5C%2B/x?op=on";
        assert_eq!(filled("http://h/items/{item}/x?op={op}", json!({"item": nasty, "op": "on"})), Ok(expected.into()));
        assert_eq!(filled("http://h/{a-1}?b={b}", json!({"a-1": 7, "b": [1]})), Ok("http://h/7?b=%5B1%5D".into()));
        assert_eq!(filled("http://h/a?b={b}", json!({"b": ""})), Ok("http://h/a?b=".into()));
    }

    #[test]
    fn what_would_change_the_path_is_refused() {
        for item in [json!(".."), json!("."), json!(""), json!(null)] {
            assert!(filled("http://h/items/{item}", json!({ "item": item })).is_err(), "{item}");
        }
        assert!(filled("http://h/{a}{b}/c", json!({"a": ".", "b": "."})).is_err());
        assert_eq!(filled("http://h/{a}", json!({"a": "%2e%2e"})), Ok("http://h/%252e%252e".into()));
        assert_eq!(filled("http://h/{a}", json!({"b": 1})), Err("`{a}` has no value; give the job one".into()));
    }

    #[test]
    fn urls_that_cannot_be_used_are_refused() {
        let refused = |url: &str| UrlTemplate::parse(url).err().unwrap();
        assert!(refused("ftp://h/").contains("http://"));
        for none in ["https:///x", "http:///", "http://", "http://?x", "http://:80/", "http://me@/x"] {
            assert!(refused(none).contains("names no host"), "{none}");
        }
        assert!(refused("http://{item}.example.org/").contains("host"));
        assert!(refused("http://h:{port}").contains("host"));
        assert!(refused("http://h/{a b}").contains("%7B"));
        assert!(refused("http://h/{}").contains("%7B"));
        assert!(refused("http://h:x/").contains("cannot be read"));
        assert!(refused("http://h/a/%2E./b").contains("`..`"));
        assert!(refused(&format!("http://h/{}", "a".repeat(URL_BYTES_MAX))).contains("bytes"));
    }

    #[test]
    fn a_body_has_values_as_its_type_writes_them() {
        let arguments = json!({"item": "a \"b\"&", "n": 3});
        let filled = |text, kind| BodyTemplate::parse(text, kind).unwrap().fill(&arguments).unwrap();
        assert_eq!(
            filled("{\"id\": {item}, \"n\": [{n}, {}]}", "application/json"),
            "{\"id\": \"a \\\"b\\\"&\", \"n\": [3, {}]}"
        );
        assert_eq!(filled("id={item}&n={n}", "application/x-www-form-urlencoded"), "id=a%20%22b%22%26&n=3");
        assert_eq!(filled("set {item} to { n }", "text/plain"), "set a \"b\"& to { n }");
        assert!(BodyTemplate::parse("{to}", "text/plain").unwrap().fill(&arguments).is_err());
    }

    #[test]
    fn a_json_body_is_json_whatever_the_values() {
        let refused = BodyTemplate::parse("{\"id\": \"{item}\"}", "application/json").err().unwrap();
        assert!(refused.contains("without quotes"), "{refused}");
        assert!(BodyTemplate::parse("{\"id\": {item}", "application/vnd.api+json").is_err());
    }

    proptest! {
        /// Whatever a value is, it is one component, and the same comes out as went in.
        #[test]
        fn a_value_goes_through_a_url_unharmed(item in "[./%?#a&=+ é\\\\\n{}]{1,12}") {
            let url = UrlTemplate::parse("http://h/a/{item}/b?c={item}").unwrap();
            if let Ok(url) = url.fill(&json!({ "item": item })) {
                let segments: Vec<&str> = url.path_segments().unwrap().collect();
                prop_assert_eq!(segments.len(), 3);
                let back = percent_encoding::percent_decode_str(segments[1]).decode_utf8().unwrap().into_owned();
                prop_assert_eq!(&back, &item);
                prop_assert_eq!(url.query_pairs().next().unwrap().1.into_owned(), item);
            } else {
                prop_assert!(item == "." || item == "..");
            }
        }

        /// Whatever is written, nothing panics and nothing is lost.
        #[test]
        fn any_text_is_taken_apart_without_loss(text in "[ab{}\" é-]{0,20}") {
            let again = fill(&pieces(&text), |name, _| Ok(format!("{{{name}}}"))).unwrap();
            prop_assert_eq!(again, text);
        }
    }
}
