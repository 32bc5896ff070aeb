//! What can be an item of a batch, whichever way it comes: over the socket, from the config, a file or a query. Reading
//! it from there is done elsewhere.
//!
//! An item is a text of 1 to [`limits::ITEM_BYTES_MAX`] bytes without NUL and line breaks. A JSON string is its text, a
//! number is taken as it is written, an object as its text without the blanks between its parts.

use std::borrow::Cow;

use serde::Deserialize;

use super::limits;

/// Checks a text that is to be an item, or the name of a thing of at most `bytes_max` bytes.
///
/// # Errors
/// With what is wrong, as a fragment.
pub fn check(text: &str, bytes_max: usize) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > bytes_max {
        return Err(format!("has {} bytes; at most {bytes_max} are taken", text.len()));
    }
    match text.contains(['\0', '\n', '\r']) {
        true => Err("has a line break or a NUL".to_owned()),
        false => Ok(()),
    }
}

/// Text that is copied only if it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// The item that a JSON value is, checked. There are no blanks around it.
///
/// # Errors
/// With what is wrong, as a fragment.
pub fn of_json(json: &str) -> Result<Cow<'_, str>, String> {
    let item = match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str::<Text<'_>>(json).map_err(|error| error.to_string())?.0,
        Some(b'{') => compact(json),
        Some(b'-' | b'0'..=b'9') => Cow::Borrowed(json),
        _ => return Err("is neither a string, a number nor an object".to_owned()),
    };
    check(&item, limits::ITEM_BYTES_MAX).map(|()| item)
}

/// JSON without the blanks between its parts.
pub fn compact(json: &str) -> Cow<'_, str> {
    let (mut within, mut escaped) = (false, false);
    let mut keep = |c: char| {
        let kept = within || !matches!(c, ' ' | '\t' | '\n' | '\r');
        match (escaped, c) {
            (true, _) => escaped = false,
            (false, '\\') => escaped = true,
            (false, '"') => within = !within,
            (false, _) => {}
        }
        kept
    };
    match json.contains([' ', '\t', '\n', '\r']) {
        true => Cow::Owned(json.chars().filter(|c| keep(*c)).collect()),
        false => Cow::Borrowed(json),
    }
}

/// What some editors and spreadsheets put in front of UTF-8. It is no part of the text.
pub const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Bytes of blanks in front of items.
const BLANKS_BYTES_MAX: usize = 64 * 1024;

/// How the items of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON array of them.
    Array,
    /// One in a line.
    Lines,
}

/// The form of items of which these are the first bytes, and how many of them are to be skipped; none if more of them
/// must be known. `is_all`: there are no more.
///
/// # Errors
/// With what is wrong, as a fragment, when there are blanks and no end of them.
pub fn form(head: &[u8], is_all: bool) -> Result<Option<(Form, usize)>, String> {
    let mark = BYTE_ORDER_MARK.as_bytes();
    if !is_all && head.len() < mark.len() && mark.starts_with(head) {
        return Ok(None);
    }
    let skipped = if head.starts_with(mark) { mark.len() } else { 0 };
    let blanks = head[skipped..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    match head.get(skipped + blanks) {
        Some(b'[') => Ok(Some((Form::Array, skipped + blanks))),
        Some(_) => Ok(Some((Form::Lines, skipped))),
        None if is_all => Ok(Some((Form::Lines, skipped))),
        None if blanks > BLANKS_BYTES_MAX => Err(format!("they begin with more than {BLANKS_BYTES_MAX} blanks")),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_strings_numbers_and_objects() {
        for (json, item) in [
            (r#""17""#, "17"),
            (r#""a\u0031 \"b\"""#, r#"a1 "b""#),
            ("17", "17"),
            ("-1.50e3", "-1.50e3"),
            (r#"{ "b" : [1, 2],	"a b" : " \" x" }"#, r#"{"b":[1,2],"a b":" \" x"}"#),
        ] {
            assert_eq!(of_json(json).as_deref(), Ok(item), "{json}");
        }
        for (json, wrong) in [
            ("null", "is neither"),
            ("[1]", "is neither"),
            ("true", "is neither"),
            (r#""""#, "is empty"),
            (r#""a\nb""#, "line break"),
            (r#""a\u0000b""#, "NUL"),
        ] {
            assert!(of_json(json).unwrap_err().contains(wrong), "{json}");
        }
        let long = "x".repeat(limits::ITEM_BYTES_MAX + 1);
        assert!(check(&long, limits::ITEM_BYTES_MAX).unwrap_err().contains("1025 bytes"));
    }

    #[test]
    fn blanks_and_a_mark_hide_no_array() {
        for (text, found) in [
            ("[1]", (Form::Array, 0)),
            (" \r\n\t[1]", (Form::Array, 4)),
            ("\u{feff}[1]", (Form::Array, 3)),
            ("\u{feff}\n [1]", (Form::Array, 5)),
            ("a\n[1]", (Form::Lines, 0)),
            ("  a", (Form::Lines, 0)),
            ("\u{feff} a", (Form::Lines, 3)),
            ("\u{feff}", (Form::Lines, 3)),
            ("\n\n", (Form::Lines, 0)),
            ("", (Form::Lines, 0)),
        ] {
            assert_eq!(form(text.as_bytes(), true), Ok(Some(found)), "{text:?}");
        }
        // A part of a mark that turns out to be none.
        assert_eq!(form(b"\xef\xbb", true), Ok(Some((Form::Lines, 0))));
        assert_eq!(form(b"\xef\xbbx", false), Ok(Some((Form::Lines, 0))));
        for more in ["", "\u{feff}", "\u{feff} ", "\n"] {
            assert_eq!(form(more.as_bytes(), false), Ok(None), "{more:?}");
        }
        assert_eq!(form(b"\xef\xbb", false), Ok(None));
        assert!(form(&[b' '; BLANKS_BYTES_MAX + 1], false).unwrap_err().contains("more than 65536 blanks"));
    }
}
