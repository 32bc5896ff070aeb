//! The keys of a request.

use super::{Key, Kind, Section, Shown};

/// Bytes of an address.
pub(in crate::config) const URL_BYTES_MAX: usize = 4096;
/// Bytes of a body that stands in the config.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A request.
pub const HTTP: Section = Section {
    doc: "A request; only `url` must be there.",
    keys: &[&[
        Key::new(
            "url",
            Kind::Text { bytes_max: URL_BYTES_MAX },
            Shown::Nowhere,
            "Where it goes, beginning with `http://` or `https://`. What may be a secret in it, user, password and query, is shown nowhere.",
        ),
        Key::new(
            "method",
            Kind::Choice(&["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]),
            Shown::Default(r#""POST""#),
            "How it is sent.",
        ),
        Key::new(
            "headers",
            Kind::Environment,
            Shown::Nowhere,
            "Headers of the request by name. Values are shown nowhere.",
        ),
        Key::new(
            "body",
            Kind::Text { bytes_max: BODY_BYTES_MAX },
            Shown::Nowhere,
            "What is sent. Default: what the call is about, as JSON.",
        ),
    ]],
};
