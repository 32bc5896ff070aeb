//! What a run is told of users, whatever database they are in.

/// A user's key.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Key {
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// As it is written to the output: one line, whatever it holds.
impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Integer(number) => number.fmt(f),
            Key::Text(text) => text.escape_debug().fmt(f),
            Key::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// What a page of rows holds.
#[derive(Debug)]
pub(super) struct Page {
    /// Its last key.
    pub last: Key,
    pub rows: u64,
    /// Users who would be passivated.
    pub candidates: u64,
    /// Active users without a readable moment.
    pub unreadable: u64,
}

/// A user who is, or was, to be passivated, and when it was last seen (seconds since 1970).
#[derive(Debug)]
pub(super) struct Candidate {
    pub key: Key,
    pub seen: i64,
}
