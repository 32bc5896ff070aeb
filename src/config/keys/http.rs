//! The keys of a request.

use super::{Key, Kind, Section, Shown};
use crate::workers::Http;

/// Bytes of an address.
const URL_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a body.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request.
pub const HTTP: Section = Section {
    doc: "Only `url` must be there.",
    keys: &[&[
        Key::new(
            "url",
            Kind::Text { bytes_max: URL_BYTES_MAX },
            Shown::Nowhere,
            "Where it goes, beginning with `https://` or `http://`. `{NAME}` in its path or query is the argument of this \
             name, as `{item}`. Of an address no more than the host is shown anywhere.",
        ),
        Key::new("method", Kind::Choice(&Http::METHODS), Shown::Default(r#""POST""#), "How it is sent."),
        Key::new(
            "headers",
            Kind::Environment,
            Shown::Nowhere,
            "Headers by name. Values are shown nowhere. `content-type` is `application/json` unless it is here.",
        ),
        Key::new(
            "body",
            Kind::Text { bytes_max: BODY_BYTES_MAX },
            Shown::Nowhere,
            "What is sent, with `{NAME}` as in `url`, written as the content type needs it. Default: all arguments as a \
             JSON object with POST, PUT and PATCH, and nothing with the others.",
        ),
    ]],
};
