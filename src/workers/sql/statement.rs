//! A statement as the config writes it, taken apart: its text, and where in it the values of arguments go.
//!
//! A value never becomes part of the text: `:name` outside of quotes and comments becomes a place that the database
//! fills itself. What quotes and comments are differs between databases. More of SQL is not understood here.

use crate::database::Kind;

/// Bytes of the name of an argument.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// One statement.
#[derive(Debug, PartialEq)]
pub(super) struct Statement {
    /// What stands before, between and behind the arguments: one more than there are `names`.
    pieces: Vec<String>,
    /// The argument of each place, in order; one name may have several.
    pub names: Vec<String>,
    /// Its first word in lower case: all of its text that is ever shown.
    pub verb: String,
}

impl Statement {
    /// Takes a text apart; the error says what is wrong with it.
    pub fn parse(text: &str, kind: Kind) -> Result<Statement, String> {
        let mut statement = Statement { pieces: Vec::new(), names: Vec::new(), verb: String::new() };
        let (mut begin, mut end, mut at) = (0, None, 0);
        while let Some(first) = text[at..].chars().next() {
            let next = at + first.len_utf8();
            if let Some(behind) = comment(text, at, kind) {
                at = behind;
                continue;
            }
            if first.is_whitespace() {
                at = next;
                continue;
            }
            if end.is_some() && first != ';' {
                return Err("has more than one statement; write a list of them".into());
            }
            let before = text[..at].chars().next_back();
            if let Some(behind) = quote(text, at, before, kind) {
                at = behind;
            } else if first == ';' && statement.verb != "create" {
                // The body of a trigger or function has statements of its own, so that only others end here.
                end = end.or(Some(at));
                at = next;
            } else if first == ':' && !before.is_some_and(|before| is_word(before) || ":)]".contains(before)) {
                let name: &str = word(&text[next..]);
                if name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
                    if name.len() > NAME_BYTES_MAX {
                        return Err(format!("has the name of an argument with more than {NAME_BYTES_MAX} bytes"));
                    }
                    statement.pieces.push(text[begin..at].to_owned());
                    statement.names.push(name.to_owned());
                    begin = next + name.len();
                }
                at = next + name.len();
            } else if let Some(place) = unnamed(&text[at..], before, kind) {
                return Err(format!("has `{place}` for an argument; arguments have names: write it as `:name`"));
            } else if is_word(first) {
                let word = word(&text[at..]);
                if statement.verb.is_empty() {
                    statement.verb = word.chars().take(20).collect::<String>().to_ascii_lowercase();
                }
                at += word.len();
            } else {
                at = next;
            }
        }
        if statement.verb.is_empty() {
            return Err("has no statement in it".into());
        }
        statement.pieces.push(text[begin..end.unwrap_or(text.len())].to_owned());
        Ok(statement)
    }

    /// The text, with each argument as `place` has it by its number from 0.
    pub fn text(&self, place: impl Fn(usize) -> String) -> String {
        let mut text = String::new();
        for (number, piece) in self.pieces.iter().enumerate() {
            text.push_str(piece);
            if number < self.names.len() {
                text.push_str(&place(number));
            }
        }
        text
    }
}

/// Where a comment that begins at `at` ends, if one does.
fn comment(text: &str, at: usize, kind: Kind) -> Option<usize> {
    let rest = &text[at..];
    let to_line_end = || Some(rest.find('\n').map_or(text.len(), |end| at + end + 1));
    if let Some(behind) = rest.strip_prefix("--") {
        // For MySQL and MariaDB two minuses may as well be a difference.
        let blank = behind.chars().next().is_none_or(|next| next.is_whitespace() || next.is_control());
        return if kind != Kind::MySql || blank { to_line_end() } else { None };
    }
    if kind == Kind::MySql && rest.starts_with('#') {
        return to_line_end();
    }
    // `/*!` is no comment for MySQL and MariaDB: what is in there is run.
    if !rest.starts_with("/*") || (kind == Kind::MySql && (rest.starts_with("/*!") || rest.starts_with("/*M!"))) {
        return None;
    }
    let (mut depth, mut inner) = (1, at + 2);
    while depth > 0 {
        let Some(found) = text[inner..].find(['*', '/']) else { return Some(text.len()) };
        inner += found;
        let rest = &text[inner..];
        if rest.starts_with("*/") {
            (depth, inner) = (depth - 1, inner + 2);
        } else if rest.starts_with("/*") && kind == Kind::Postgres {
            (depth, inner) = (depth + 1, inner + 2);
        } else {
            inner += 1;
        }
    }
    Some(inner)
}

/// Where a quoted text or name that begins at `at` ends, if one does.
fn quote(text: &str, at: usize, before: Option<char>, kind: Kind) -> Option<usize> {
    let rest = &text[at..];
    let first = rest.chars().next()?;
    if kind == Kind::Postgres && first == '$' && !before.is_some_and(is_word) {
        let tag = word(&rest[1..]);
        if tag.starts_with(|first: char| first.is_ascii_digit()) || !rest[1 + tag.len()..].starts_with('$') {
            return None;
        }
        let mark = &rest[..tag.len() + 2];
        return Some(rest[mark.len()..].find(mark).map_or(text.len(), |end| at + end + 2 * mark.len()));
    }
    let (last, escapes) = match (first, kind) {
        ('\'', Kind::Postgres) => ('\'', before.is_some_and(|before| before.eq_ignore_ascii_case(&'e'))),
        ('\'' | '"', Kind::MySql) => (first, true),
        ('\'' | '"', Kind::Sqlite) | ('"', Kind::Postgres) | ('`', Kind::MySql | Kind::Sqlite) => (first, false),
        ('[', Kind::Sqlite) => (']', false),
        _ => return None,
    };
    // A doubled quote ends one text and begins the next, which comes to the same.
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, character)) = characters.next() {
        if character == '\\' && escapes {
            characters.next();
        } else if character == last {
            return Some(at + index + character.len_utf8());
        }
    }
    Some(text.len())
}

/// A place for an argument that has no name of ours, with which the numbers of ours would get mixed up.
fn unnamed(rest: &str, before: Option<char>, kind: Kind) -> Option<String> {
    let first = rest.chars().next()?;
    let place = match kind {
        Kind::Postgres => first == '$' && rest[1..].starts_with(|digit: char| digit.is_ascii_digit()),
        Kind::MySql => first == '?',
        Kind::Sqlite => first == '?' || matches!(first, '@' | '$'),
    };
    (place && !before.is_some_and(is_word)).then(|| format!("{first}{}", word(&rest[1..])))
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The letters, digits and `_` that a text begins with, of those that names have.
fn word(text: &str) -> &str {
    let end = text.find(|character: char| !is_word(character)).unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KINDS: [Kind; 3] = [Kind::Postgres, Kind::MySql, Kind::Sqlite];

    /// The statement with `<name>` in each argument's place.
    fn read(text: &str, kind: Kind) -> String {
        let statement = Statement::parse(text, kind).unwrap_or_else(|error| panic!("{text}: {error}"));
        statement.text(|number| format!("<{}>", statement.names[number]))
    }

    #[test]
    fn names_become_places() {
        for kind in KINDS {
            assert_eq!(read("delete from a where b<:c and d = :e_1;", kind), "delete from a where b<<c> and d = <e_1>");
            assert_eq!(
                read("update a set b=:b,c=:b where d in(:d,:e)", kind),
                "update a set b=<b>,c=<b> where d in(<d>,<e>)"
            );
            assert_eq!(read(" select 1 ; -- :no\n ;", kind), " select 1 ");
            assert_eq!(
                read("select 'it''s :no', /* :no */ :yes -- ' :no\n, :too", kind),
                "select 'it''s :no', /* :no */ <yes> -- ' :no\n, <too>"
            );
            assert_eq!(read("select 1 /* :no", kind), "select 1 /* :no");
            assert_eq!(read("select ':no", kind), "select ':no");
            assert_eq!(read("select : a, 12:30, b := 1", kind), "select : a, 12:30, b := 1");
        }
    }

    #[test]
    fn each_database_has_quotes_of_its_own() {
        let postgres = |text| read(text, Kind::Postgres);
        assert_eq!(postgres("select '\\', :a, E'\\':no', \":no\""), "select '\\', <a>, E'\\':no', \":no\"");
        assert_eq!(postgres("do $$ :no; :no $$"), "do $$ :no; :no $$");
        assert_eq!(
            postgres("select $a$ :no $$ $a$, :b::text, c[1:d], e[:f]"),
            "select $a$ :no $$ $a$, <b>::text, c[1:d], e[<f>]"
        );
        assert_eq!(postgres("select /* /* :no */ :no */ :a # :b"), "select /* /* :no */ :no */ <a> # <b>");
        assert_eq!(postgres("select a ? 'b', c ?| :d"), "select a ? 'b', c ?| <d>");

        let mysql = |text| read(text, Kind::MySql);
        assert_eq!(
            mysql("select 'it\\':no', \"\\\":no\", `:no`, :a # :no"),
            "select 'it\\':no', \"\\\":no\", `:no`, <a> # :no"
        );
        assert_eq!(mysql("select 5--:a, @b, @@c -- :no"), "select 5--<a>, @b, @@c -- :no");
        assert_eq!(mysql("select /*! :a */ 1 /* /* :no */"), "select /*! <a> */ 1 /* /* :no */");

        let sqlite = |text| read(text, Kind::Sqlite);
        assert_eq!(
            sqlite("select '\\', [:no], \":no\", `:no`, a$b, :c"),
            "select '\\', [:no], \":no\", `:no`, a$b, <c>"
        );
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        let refused = |text: &str, kind| Statement::parse(text, kind).unwrap_err();
        for kind in KINDS {
            assert!(refused("delete from a; delete from b", kind).contains("more than one statement"));
            assert!(refused(" -- nothing\n; ", kind).contains("no statement"));
            assert!(refused(&format!("select :{}", "a".repeat(65)), kind).contains("64 bytes"));
        }
        assert!(refused("select $1", Kind::Postgres).contains("`$1`"));
        assert!(refused("select ?", Kind::MySql).contains("`?`"));
        for (text, place) in [("select ?1", "`?1`"), ("select @a", "`@a`"), ("select $a", "`$a`")] {
            assert!(refused(text, Kind::Sqlite).contains(place), "{text}");
        }
    }

    #[test]
    fn the_first_word_is_the_verb() {
        let verb = |text| Statement::parse(text, Kind::Postgres).unwrap().verb;
        assert_eq!(verb("/* first */ -- then\n(SELECT 1)"), "select");
        assert_eq!(verb("Vacuum"), "vacuum");
        let body = "create trigger a after insert on b begin delete from c; delete from d; end;";
        assert_eq!(Statement::parse(body, Kind::Sqlite).unwrap().pieces, [body]);
    }

    proptest! {
        /// Whatever is written, nothing panics, and what is not an argument stays as it is.
        #[test]
        fn any_text_is_taken_apart_without_loss(text in "[ab:;'\"`$?@#é/*\\-\\[\\]\n\\\\ 1]{0,40}") {
            for kind in KINDS {
                if let Ok(statement) = Statement::parse(&text, kind) {
                    let again = statement.text(|number| format!(":{}", statement.names[number]));
                    prop_assert!(text.starts_with(&again));
                    prop_assert_eq!(statement.pieces.len(), statement.names.len() + 1);
                }
            }
        }
    }
}
