//! What the config says of a request. How it is sent is not known here.

use std::collections::BTreeMap;
use std::fmt;

use crate::config::keys::nearest;
use crate::config::raw::text;
use crate::config::table::{FormOrTable, Table, full_name};

/// Headers of a request, and bytes of one.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 8 * 1024;
const METHOD_DEFAULT: &str = "POST";
const SCHEMES: [&str; 2] = ["http", "https"];

/// A request. Its address and headers may hold secrets: they are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Http {
    /// Begins with `http://` or `https://`.
    pub url: String,
    pub method: String,
    /// By name, as written.
    pub headers: BTreeMap<String, String>,
    /// What is sent in place of what the call is about.
    pub body: Option<String>,
}

impl Http {
    /// The address without what may be a secret in it: user, password and query.
    pub fn place(&self) -> String {
        let shown = self.url.split(['?', '#']).next().unwrap_or_default();
        let Some((scheme, rest)) = shown.split_once("://") else { return String::new() };
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{scheme}://{host}{path}")
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers.keys();
        write!(f, "Http {{ {} {}, headers: ", self.method, self.place())?;
        f.debug_set().entries(names).finish()?;
        write!(f, ", body: {} }}", self.body.is_some())
    }
}

/// Reads the key `http`; `None` if it names no address.
pub(super) fn read(table: &Table<'_>) -> Option<Http> {
    let inner = match table.form_or_table("http", |text| Some(text.to_owned()))? {
        FormOrTable::Form(url) => {
            let url = address(table, "http", &url)?;
            return Some(Http { url, method: METHOD_DEFAULT.into(), headers: BTreeMap::new(), body: None });
        }
        FormOrTable::Table(inner) => inner,
    };
    if !inner.has("url") {
        inner.report_whole("names no address", "add `url`, as \"https://example.org/hook\"");
    }
    let method = inner.choice("method").unwrap_or_else(|| METHOD_DEFAULT.to_owned());
    let (headers, body) = (headers(&inner), inner.text("body").map(str::to_owned));
    let url = inner.text("url").and_then(|url| address(&inner, "url", url))?;
    Some(Http { url, method, headers, body })
}

/// The address itself may hold a password and is not quoted.
fn address(table: &Table<'_>, key: &str, url: &str) -> Option<String> {
    let report = |message: &str, hint: &str| table.report(table.value_place(key), key, message, hint);
    let (scheme, rest) = url.split_once("://").unwrap_or(("", ""));
    if !SCHEMES.contains(&scheme) {
        let near = nearest(scheme, SCHEMES.into_iter()).filter(|_| !scheme.is_empty());
        let hint = near
            .map_or("begin it with `https://` or `http://`".to_owned(), |near| format!("did you mean `{near}://`?"));
        report("is not an address", &hint);
    } else if rest.starts_with(['/', '?', '#']) || rest.is_empty() {
        report("names no host", "write it as \"https://example.org/hook\"");
    } else if url.contains(|character: char| character.is_whitespace() || character.is_control()) {
        report("has a blank in it", "write it as %20");
    } else {
        return Some(url.to_owned());
    }
    None
}

fn headers(table: &Table<'_>) -> BTreeMap<String, String> {
    let named = table.named("headers");
    if named.len() > HEADERS_MAX {
        let message = format!("has {} headers, more than {HEADERS_MAX}", named.len());
        table.report(table.value_place("headers"), "headers", message, "");
    }
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for header in named.iter().take(HEADERS_MAX) {
        let key = full_name(&table.full("headers"), header.name);
        let report = |message: &str, hint: &str| table.context.report.add(header.place, key.as_str(), message, hint);
        if !is_name(header.name) {
            report("is not the name of a header", "names are letters, digits and `-`");
        } else if headers.keys().any(|earlier| earlier.eq_ignore_ascii_case(header.name)) {
            report("is there twice, as large and small letters are the same here", "remove one of them");
        }
        // The value may be a secret and is not quoted, as the hint would.
        match text(header.value.get_ref(), HEADER_BYTES_MAX) {
            Ok(value) if value.contains(|character: char| character.is_control() && character != '\t') => {
                report("has a line break or another control character", "remove it");
            }
            Ok(value) => drop(headers.insert(header.name.to_owned(), value.to_owned())),
            Err(wrong) if !header.value.get_ref().is_str() => report(&wrong.message, "write it in quotes"),
            Err(wrong) => report(&wrong.message, &wrong.hint),
        }
    }
    headers
}

/// A token of RFC 9110.
fn is_name(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= 256 && name.bytes().all(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let request = |url: &str| Http {
            url: url.into(),
            method: "POST".into(),
            headers: [("Authorization".to_owned(), "secret".to_owned())].into(),
            body: Some("secret".into()),
        };
        for (url, shown) in [
            ("https://example.org", "https://example.org"),
            ("https://me:secret@example.org:8443/a/@b?token=secret#secret", "https://example.org:8443/a/@b"),
            ("http://secret@[::1]?secret", "http://[::1]"),
        ] {
            assert_eq!(request(url).place(), shown);
            let debug = format!("{:?}", request(url));
            assert!(debug.contains("Authorization") && !debug.contains("secret"), "{debug}");
        }
    }
}
