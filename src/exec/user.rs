//! Whom a job runs as: from names in the config to numbers, as the system knows them at that moment. All of it blocks,
//! as a directory of users may be on the network.

use std::ffi::{CString, OsString};
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Group, getgrouplist};
use serde::{Deserialize, Serialize};

use crate::shim::User;

/// Names of whom a job runs as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    pub user: String,
    /// Its main group; the user's when absent.
    pub group: Option<String>,
    /// Its supplementary groups; the user's when absent.
    pub groups: Option<Vec<String>>,
}

/// A user with what its jobs find in their environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub user: User,
    pub name: String,
    pub home: OsString,
    /// None if it is not one that runs commands, as `nologin`.
    pub shell: Option<OsString>,
}

impl RunAs {
    /// Looks everything up.
    ///
    /// # Errors
    /// A sentence for a person: there is no such user or group, or nobody can say so.
    pub fn resolve(&self) -> Result<Account, String> {
        let found = find_user(&self.user)?;
        let gid = self.group.as_deref().map_or(Ok(found.gid), find_group)?;
        let groups = match &self.groups {
            Some(names) => names.iter().map(|name| find_group(name)).collect::<Result<Vec<_>, _>>()?,
            None => {
                let name = CString::new(found.name.as_bytes()).map_err(|_| unknown_user(&self.user))?;
                getgrouplist(&name, gid).map_err(|error| format!("the groups of `{}`: {}", self.user, error.desc()))?
            }
        };
        let shell = Some(found.shell).filter(|shell| !is_placeholder(shell));
        Ok(Account {
            user: User {
                uid: found.uid.as_raw(),
                gid: gid.as_raw(),
                groups: groups.into_iter().map(Gid::as_raw).collect(),
            },
            name: found.name,
            home: found.dir.into(),
            shell: shell.map(Into::into),
        })
    }
}

/// # Errors
/// A sentence for a person.
pub fn find_user(name: &str) -> Result<unistd::User, String> {
    let found = unistd::User::from_name(name).or_else(|error| not_there(error, "user", name))?;
    found.ok_or_else(|| unknown_user(name))
}

/// # Errors
/// A sentence for a person.
pub fn find_group(name: &str) -> Result<Gid, String> {
    let found = Group::from_name(name).or_else(|error| not_there(error, "group", name))?;
    found.map(|group| group.gid).ok_or_else(|| format!("there is no group `{name}`"))
}

fn unknown_user(name: &str) -> String {
    format!("there is no user `{name}`")
}

/// Some sources of names answer with an error where there is nobody of that name.
fn not_there<T>(error: Errno, what: &str, name: &str) -> Result<Option<T>, String> {
    match error {
        Errno::ENOENT | Errno::ESRCH => Ok(None),
        error => Err(format!("the {what} `{name}` cannot be looked up: {}", error.desc().to_lowercase())),
    }
}

fn is_placeholder(shell: &Path) -> bool {
    shell.file_name().is_none_or(|name| name == "nologin" || name == "false" || name == "true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_as(user: &str) -> RunAs {
        RunAs { user: user.into(), group: None, groups: None }
    }

    #[test]
    fn root_is_known_everywhere() {
        let account = run_as("root").resolve().unwrap();
        assert_eq!((account.user.uid, account.user.gid, account.name.as_str()), (0, 0, "root"));
        assert!(account.user.groups.contains(&0) && Path::new(&account.home).is_absolute());
        let group = RunAs { group: Some("daemon".into()), groups: Some(vec!["root".into()]), ..run_as("root") };
        let user = group.resolve().unwrap().user;
        assert!(user.gid != 0 && user.groups == [0], "{user:?}");
    }

    #[test]
    fn nobody_of_a_name_is_told() {
        assert_eq!(run_as("no-such-user").resolve().unwrap_err(), "there is no user `no-such-user`");
        let group = RunAs { group: Some("no-such-group".into()), ..run_as("root") };
        assert_eq!(group.resolve().unwrap_err(), "there is no group `no-such-group`");
        let groups = RunAs { groups: Some(vec!["root".into(), "gone".into()]), ..run_as("root") };
        assert_eq!(groups.resolve().unwrap_err(), "there is no group `gone`");
        assert!(run_as("a\0b").resolve().is_err() && run_as("").resolve().is_err());
    }

    #[test]
    fn a_shell_that_refuses_is_none() {
        for shell in ["/usr/sbin/nologin", "/bin/false", ""] {
            assert!(is_placeholder(Path::new(shell)), "{shell}");
        }
        assert!(!is_placeholder(Path::new("/bin/bash")));
    }
}
