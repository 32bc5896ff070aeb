//! The limits that a process can have, by the names that systemd and `ulimit` give them. Which a task has is the
//! config's business.

use rustix::process::{Resource, Rlimit, getrlimit};

use super::order::Limit;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Seconds,
    Pieces,
}

/// One of `setrlimit(2)`. Left out are those that the kernel does not look at any more (`rss`, `locks`), and two of
/// scheduling that nobody sets by hand (`nice`, `rttime`).
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub name: &'static str,
    pub unit: Unit,
    resource: Resource,
}

/// All that are known, by name.
pub const KNOWN: [Known; 12] = [
    known("as", Unit::Bytes, Resource::As),
    known("core", Unit::Bytes, Resource::Core),
    known("cpu", Unit::Seconds, Resource::Cpu),
    known("data", Unit::Bytes, Resource::Data),
    known("fsize", Unit::Bytes, Resource::Fsize),
    known("memlock", Unit::Bytes, Resource::Memlock),
    known("msgqueue", Unit::Bytes, Resource::Msgqueue),
    known("nofile", Unit::Pieces, Resource::Nofile),
    known("nproc", Unit::Pieces, Resource::Nproc),
    known("rtprio", Unit::Pieces, Resource::Rtprio),
    known("sigpending", Unit::Pieces, Resource::Sigpending),
    known("stack", Unit::Bytes, Resource::Stack),
];

const fn known(name: &'static str, unit: Unit, resource: Resource) -> Known {
    Known { name, unit, resource }
}

impl Known {
    /// The limit of this name.
    pub fn find(name: &str) -> Option<Known> {
        KNOWN.into_iter().find(|known| known.name == name)
    }

    /// What this process has, and so may hand on without being root.
    pub fn own(self) -> Limit {
        let Rlimit { current, maximum } = getrlimit(self.resource);
        Limit { soft: current, hard: maximum }
    }

    /// Sets it for this process.
    ///
    /// # Errors
    /// A sentence for a person.
    pub(super) fn set(self, limit: Limit) -> Result<(), String> {
        let new = Rlimit { current: limit.soft, maximum: limit.hard };
        rustix::process::setrlimit(self.resource, new).map_err(|error| {
            let own = self.own().hard.map_or_else(|| "unlimited".to_owned(), |hard| hard.to_string());
            let why = super::program::plain(&error.into());
            format!("its limit `{}`: {why} (the daemon's own is {own} at most)", self.name)
        })
    }
}

impl Limit {
    /// Whether it allows more than `other` does, at the hard end, which only root may.
    pub fn raises(&self, other: Limit) -> bool {
        let end = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
        end(self.hard) > end(other.hard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_once_and_in_order() {
        assert!(KNOWN.is_sorted_by_key(|known| known.name));
        assert_eq!(Known::find("nofile").map(|known| known.own().raises(known.own())), Some(false));
        assert!(Known::find("NOFILE").is_none());
    }

    #[test]
    fn unlimited_is_more_than_any_number() {
        let limit = |hard| Limit { soft: Some(0), hard };
        assert!(limit(None).raises(limit(Some(5))));
        assert!(limit(Some(6)).raises(limit(Some(5))));
        assert!(!limit(Some(5)).raises(limit(Some(5))) && !limit(Some(5)).raises(limit(None)));
        assert!(!limit(None).raises(limit(None)));
    }
}
