//! The environment of a job, made from nothing: what cron gives, what the config adds, what Daybook tells.
//! Nothing of the daemon's own environment gets through but LANG: not its notify socket, not its secrets.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::env_file;
use super::spec::{Spec, Start};
use crate::core::id::JobId;

/// How long the kernel may take to make a process another program, on a machine that is busy.
const CHANGE_MAX: Duration = Duration::from_secs(1);

/// The PATH of a job whose config names none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The SHELL of a job, unless it runs as a user who has one.
const SHELL: &str = "/bin/sh";

/// What an attempt is started with.
pub(super) struct Prepared {
    pub spec: Spec,
    /// Its whole environment.
    pub variables: BTreeMap<String, OsString>,
}

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
        common.insert("SHELL".to_owned(), SHELL.into());
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

    /// All that is looked up when an attempt starts: how it is run, with its user by number, and its variables. `result`
    /// and `temporary`: the file and the folder that it is told of. It blocks.
    ///
    /// # Errors
    /// A sentence for a person: the user is not known, the environment file cannot be read.
    pub fn prepare(&self, start: &Start, result: &Path, temporary: Option<&Path>) -> Result<Prepared, String> {
        let mut spec = (*start.spec).clone();
        let mut variables = self.common.clone();
        let mut set = |name: &str, value: OsString| drop(variables.insert(name.to_owned(), value));
        if let Some(run_as) = &spec.run_as {
            let account = run_as.resolve().map_err(|why| format!("cannot start: {why}"))?;
            set("USER", account.name.clone().into());
            set("LOGNAME", account.name.into());
            set("HOME", account.home);
            set("SHELL", account.shell.unwrap_or_else(|| SHELL.into()));
            spec.user = Some(account.user);
        }
        if let Some(temporary) = temporary {
            set("TMPDIR", temporary.into());
        }
        if let Some(path) = &spec.env_file {
            variables.extend(env_file::read(path).map_err(|why| format!("cannot start: {why}"))?);
        }
        // The config may replace what cron gives, but not what identifies the attempt.
        let configured = spec.env.iter().filter(|(name, _)| !name.starts_with("DAYBOOK_"));
        variables.extend(configured.map(|(name, value)| (name.clone(), value.into())));
        let mut set = |name: &str, value: OsString| drop(variables.insert(name.to_owned(), value));
        set("DAYBOOK_JOB", start.job.to_string().into());
        set("DAYBOOK_TASK", start.task.clone().into());
        set("DAYBOOK_ATTEMPT", start.attempt.to_string().into());
        set("DAYBOOK_ARGS", start.args.clone().into());
        set("DAYBOOK_RESULT", result.into());
        for (name, value) in &start.about {
            set(name, value.into());
        }
        if let Some(at) = start.scheduled_at {
            set("DAYBOOK_SCHEDULED_AT", at.to_string().into());
        }
        Ok(Prepared { spec, variables })
    }
}

/// Whether a process with these variables, as the kernel shows them, was started for an attempt. The number of the
/// handling of an item stands in `DAYBOOK_RUN`: its `DAYBOOK_ATTEMPT` counts those of the item.
pub(super) fn is_of(variables: &[u8], job: JobId, attempt: u32) -> bool {
    let find = |name: &str| {
        let mut variables = variables.split(|&byte| byte == 0);
        variables.find_map(|variable| variable.strip_prefix(name.as_bytes()))
    };
    let is = |found: Option<&[u8]>, number: u64| found == Some(number.to_string().as_bytes());
    is(find("DAYBOOK_JOB="), job.0) && is(find("DAYBOOK_RUN=").or_else(|| find("DAYBOOK_ATTEMPT=")), attempt.into())
}

/// The variables with which a process was started, as the kernel shows them: none if there is no such process, or we may
/// not read them. It blocks, as a rule for no time.
///
/// A process that is just being made another program has neither variables nor arguments for a moment. It is looked at again,
/// as it may be just what is looked for.
pub(super) fn of_process(pid: u32) -> Option<Vec<u8>> {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).ok();
    // What is no program, a thread of the kernel or a process that has ended, has none of them for good.
    let is_changing = || {
        read("cmdline").is_some_and(|words| words.is_empty()) && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok()
    };
    let until = Instant::now() + CHANGE_MAX;
    loop {
        let variables = read("environ")?;
        if !variables.is_empty() || !is_changing() || Instant::now() >= until {
            return Some(variables);
        }
        std::thread::sleep(Duration::from_millis(1));
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
    use crate::exec::{Program, RunAs};

    #[test]
    fn passwd_entries_are_found_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\n\napp:x:1000:1000:App,,,:/srv/app:/bin/sh\n";
        assert_eq!(passwd_entry(passwd, 0), Some(("root", "/root")));
        assert_eq!(passwd_entry(passwd, 1000), Some(("app", "/srv/app")));
        assert_eq!(passwd_entry(passwd, 1001), None);
    }

    #[test]
    fn a_process_that_is_just_being_made_is_waited_for() {
        // Other processes take the processors away at any moment, also at that one.
        let see = || {
            for _ in 0..200 {
                let mut process = std::process::Command::new("sleep");
                let mut process = process.arg("60").env_clear().env("DAYBOOK_JOB", "7").spawn().unwrap();
                let variables = of_process(process.id());
                process.kill().unwrap();
                process.wait().unwrap();
                assert_eq!(variables.as_deref(), Some(&b"DAYBOOK_JOB=7\0"[..]));
                assert_eq!(of_process(process.id()), None);
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(see))));
    }

    fn start(spec: Spec) -> Start {
        let spec = spec.into();
        let about = BTreeMap::new();
        Start { job: JobId(1), attempt: 1, task: "t".into(), args: "null".into(), scheduled_at: None, spec, about }
    }

    fn prepare(spec: Spec) -> Result<Prepared, String> {
        Environment::new("/socket".into()).prepare(&start(spec), Path::new("/result"), Some(Path::new("/temporary")))
    }

    fn shell() -> Spec {
        Spec::new(Program::Shell("true".into()))
    }

    #[test]
    fn the_user_of_a_job_is_looked_up_and_told() {
        let run_as = RunAs { user: "daemon".into(), group: None, groups: None };
        let Prepared { spec, variables } = prepare(Spec { run_as: Some(run_as.clone()), ..shell() }).unwrap();
        let account = run_as.resolve().unwrap();
        assert_eq!(spec.user, Some(account.user));
        assert_eq!((&variables["USER"], &variables["LOGNAME"]), (&"daemon".into(), &"daemon".into()));
        assert_eq!(variables["HOME"], account.home);
        assert_eq!(variables["SHELL"], "/bin/sh", "in place of nologin");
        assert_eq!(variables["TMPDIR"], "/temporary");
        let gone = RunAs { user: "no-such-user".into(), ..run_as };
        let why = prepare(Spec { run_as: Some(gone), ..shell() }).err().unwrap();
        assert_eq!(why, "cannot start: there is no user `no-such-user`");
    }

    #[test]
    fn the_file_of_variables_is_read_each_time_and_the_config_goes_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        let mut spec = Spec { env_file: Some(path.clone()), ..shell() };
        spec.env.insert("BOTH".into(), "config".into());
        assert!(prepare(spec.clone()).err().unwrap().starts_with("cannot start: the environment file `"));
        for secret in ["old", "new"] {
            std::fs::write(&path, format!("SECRET={secret}\nBOTH=file\nPATH=/opt/bin\n")).unwrap();
            let variables = prepare(spec.clone()).unwrap().variables;
            let [found, both, path] = ["SECRET", "BOTH", "PATH"].map(|name| variables[name].to_str().unwrap());
            assert_eq!([found, both, path], [secret, "config", "/opt/bin"]);
        }
    }
}
