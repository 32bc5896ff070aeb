//! The environment of a job, made from nothing: what cron gives, what the config adds, what Daybook tells.
//! Nothing of the daemon's own environment gets through but LANG: not its notify socket, not its secrets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::spec::Start;

/// The PATH of a job whose config names none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The part that is the same for all jobs, found out once.
#[derive(Debug)]
pub(super) struct Environment {
    common: BTreeMap<String, OsString>,
}

impl Environment {
    /// Reads the user's entry in /etc/passwd, or where there is none the daemon's own HOME and USER.
    pub fn new(socket: PathBuf) -> Environment {
        let user_id = rustix::process::getuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let (name, home) = match passwd_entry(&passwd, user_id) {
            Some((name, home)) => (Some(name.into()), Some(home.into())),
            None => (std::env::var_os("USER"), std::env::var_os("HOME")),
        };
        let mut common = BTreeMap::new();
        common.insert("PATH".to_owned(), PATH.into());
        common.insert("SHELL".to_owned(), "/bin/sh".into());
        common.insert("HOME".to_owned(), home.unwrap_or_else(|| "/".into()));
        if let Some(name) = name {
            common.insert("USER".to_owned(), name.clone());
            common.insert("LOGNAME".to_owned(), name);
        }
        if let Some(language) = std::env::var_os("LANG") {
            common.insert("LANG".to_owned(), language);
        }
        common.insert("DAYBOOK_SOCKET".to_owned(), socket.into());
        Environment { common }
    }

    /// All variables of one attempt.
    pub fn of(&self, start: &Start, result: &Path, temporary: Option<&Path>) -> BTreeMap<String, OsString> {
        let mut all = self.common.clone();
        all.extend(temporary.map(|folder| ("TMPDIR".to_owned(), folder.into())));
        // The config may replace what cron gives, but not what identifies the attempt.
        let configured = start.spec.env.iter().filter(|(name, _)| !name.starts_with("DAYBOOK_"));
        all.extend(configured.map(|(name, value)| (name.clone(), value.into())));
        all.insert("DAYBOOK_JOB".to_owned(), start.job.to_string().into());
        all.insert("DAYBOOK_TASK".to_owned(), start.task.clone().into());
        all.insert("DAYBOOK_ATTEMPT".to_owned(), start.attempt.to_string().into());
        all.insert("DAYBOOK_ARGS".to_owned(), start.args.clone().into());
        all.insert("DAYBOOK_RESULT".to_owned(), result.into());
        if let Some(at) = start.scheduled_at {
            all.insert("DAYBOOK_SCHEDULED_AT".to_owned(), at.to_string().into());
        }
        all
    }
}

/// Name and home of a user in the text of /etc/passwd.
fn passwd_entry(passwd: &str, user_id: u32) -> Option<(&str, &str)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id = fields.nth(1)?;
        let home = fields.nth(2)?;
        (id.parse() == Ok(user_id)).then_some((name, home))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_entries_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\n\napp:x:1000:1000:App,,,:/srv/app:/bin/sh\n";
        assert_eq!(passwd_entry(passwd, 0), Some(("root", "/root")));
        assert_eq!(passwd_entry(passwd, 1000), Some(("app", "/srv/app")));
        assert_eq!(passwd_entry(passwd, 1001), None);
    }
}
