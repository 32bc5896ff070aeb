//! What the config says to the handler `http`. What it does is in `workers`.

use std::collections::BTreeMap;

use crate::config::problem::Place;
use crate::config::raw::text;
use crate::config::table::{FormOrTable, Table, full_name};
use crate::workers::{Error, Http};

/// Bytes of a header's value.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Reads the key `http`; `None` if it names no address. The handler itself says what cannot be used.
pub(super) fn read(table: &Table<'_>) -> Option<Http> {
    let method = Http::METHOD.to_owned();
    let inner = match table.form_or_table("http", |url| Some(url.to_owned()))? {
        FormOrTable::Form(url) => {
            let http = Http { url, method, headers: BTreeMap::new(), body: None };
            if let Err(Error::Setting { problem, .. }) = http.check() {
                table.report(table.value_place("http"), "http", problem, "");
            }
            return Some(http);
        }
        FormOrTable::Table(inner) => inner,
    };
    if !inner.has("url") {
        inner.report_whole("names no address", "add `url`, as \"https://example.org/hook\"");
    }
    let method = inner.choice("method").unwrap_or(method);
    let (headers, places) = headers(&inner);
    let body = inner.text("body").map(str::to_owned);
    let http = Http { url: inner.text("url")?.to_owned(), method, headers, body };
    if let Err(Error::Setting { key, value, problem }) = http.check() {
        match places.get(value.as_str()).filter(|_| key == "headers") {
            Some(place) => {
                let full = full_name(&inner.full(key), &value);
                inner.context.report.add(*place, full, problem, "");
            }
            None => inner.report(inner.value_place(key), key, problem, ""),
        }
    }
    Some(http)
}

/// The headers, and where each stands.
fn headers<'r>(table: &Table<'r>) -> (BTreeMap<String, String>, BTreeMap<&'r str, Place>) {
    let (mut headers, mut places) = (BTreeMap::new(), BTreeMap::new());
    for header in table.named("headers") {
        let key = full_name(&table.full("headers"), header.name);
        let report = |message: &str, hint: &str| table.context.report.add(header.place, key.as_str(), message, hint);
        // The value may be a secret and is not quoted, as the hint would.
        match text(header.value.get_ref(), HEADER_BYTES_MAX) {
            Ok(value) => drop(headers.insert(header.name.to_owned(), value.to_owned())),
            Err(wrong) if !header.value.get_ref().is_str() => report(&wrong.message, "write it in quotes"),
            Err(wrong) => report(&wrong.message, &wrong.hint),
        }
        places.insert(header.name, header.place);
    }
    (headers, places)
}
