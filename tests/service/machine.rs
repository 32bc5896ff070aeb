//! A machine with a real systemd, to boot, to run commands on, and to be forgotten. How it is made: machine.sh.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

use crate::daemon::until;

/// The tasks and the rest of the config, and drop-ins of the unit by name.
pub struct Install<'a> {
    pub config: &'a str,
    pub drop_ins: &'a [(&'a str, &'a str)],
}

pub struct Machine {
    folder: tempfile::TempDir,
    script: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Whether systemd's programs are here; installs them where that is possible. The error is why not.
pub fn have_systemd() -> Result<(), String> {
    static INSTALLED: LazyLock<Result<(), String>> = LazyLock::new(|| {
        let runs = |program| Command::new(program).arg("--version").output().is_ok_and(|it| it.status.success());
        // The bus, as whoever is not root asks systemd over it.
        let there = || ["systemd-analyze", "dbus-daemon"].into_iter().all(runs);
        if there() {
            return Ok(());
        }
        if !rustix::process::getuid().is_root() {
            return Err("systemd or D-Bus is not installed, and installing it takes root".into());
        }
        let run =
            |command: &str| Command::new("sh").args(["-c", command]).env("DEBIAN_FRONTEND", "noninteractive").output();
        let installed = run(
            "apt-get update -q && apt-get install -qy -o DPkg::Lock::Timeout=300 --no-install-recommends systemd dbus",
        );
        match installed {
            Ok(_) if there() => Ok(()),
            Ok(output) => Err(format!("systemd cannot be installed: {}", String::from_utf8_lossy(&output.stderr))),
            Err(error) => Err(format!("systemd cannot be installed: {error}")),
        }
    });
    INSTALLED.clone()
}

/// Puts what an installation by hand puts, as docs/install.md says.
fn stage(root: &Path, install: &Install<'_>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let copy = |from: &Path, to: &str, mode: u32| {
        let to = root.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, &to).unwrap();
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
    };
    copy(Path::new(env!("CARGO_BIN_EXE_daybook")), "usr/bin/daybook", 0o755);
    copy(&source.join("daybook.service"), "usr/lib/systemd/system/daybook.service", 0o644);
    copy(&source.join("daybook.socket"), "usr/lib/systemd/system/daybook.socket", 0o644);
    copy(&source.join("daybook.sysusers.conf"), "usr/lib/sysusers.d/daybook.conf", 0o644);
    copy(&source.join("daybook.tmpfiles.conf"), "usr/lib/tmpfiles.d/daybook.conf", 0o644);
    let write = |to: &str, text: &str| {
        let to = root.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, text).unwrap();
    };
    write("etc/daybook/daybook.toml", install.config);
    for (name, text) in install.drop_ins {
        write(&format!("etc/systemd/system/daybook.service.d/{name}.conf"), text);
    }
}

impl Machine {
    /// A machine that is off; `None`, and why, where there can be none.
    pub fn new(install: &Install<'_>) -> Option<Machine> {
        match Machine::try_new(install) {
            Ok(machine) => Some(machine),
            Err(why) => {
                crate::skip(&why);
                None
            }
        }
    }

    fn try_new(install: &Install<'_>) -> Result<Machine, String> {
        if !rustix::process::getuid().is_root() {
            return Err("a machine in namespaces takes root".into());
        }
        have_systemd()?;
        let folder = tempfile::tempdir().unwrap();
        stage(&folder.path().join("files"), install);
        // Where this machine runs systemd itself, it is asked for a group instead of being reached around.
        let delegated = ["systemd-run", "--quiet", "--scope", "-p", "Delegate=yes", "--"];
        let mut words: Vec<&str> = if Path::new("/run/systemd/system").exists() { delegated.into() } else { vec![] };
        words.extend(["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]);
        words.extend(["--mount-proc", "--propagation", "private", "bash"]);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service/machine.sh");
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg(script).arg(folder.path());
        let mut script = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("namespaces cannot be made: {error}"))?;
        let (orders, answers) = (script.stdin.take().unwrap(), BufReader::new(script.stdout.take().unwrap()));
        let mut machine = Machine { folder, script, orders, answers };
        match machine.answer().as_str() {
            "READY" => Ok(machine),
            "" => Err("namespaces cannot be made here".into()),
            why => Err(why.trim_start_matches("CANNOT ").to_owned()),
        }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// What it came to, and what was printed.
    fn order(&mut self, order: &str) -> (i32, String) {
        assert!(!order.contains('\n'), "an order is one line");
        writeln!(self.orders, "{order}").unwrap();
        let answer = self.answer();
        let code = answer.strip_prefix("DONE ").unwrap_or_else(|| panic!("the machine is gone: {answer}"));
        let printed = String::from_utf8_lossy(&fs::read(self.path("out")).unwrap()).trim_end().to_owned();
        (code.parse().unwrap(), printed)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    #[track_caller]
    pub fn boot(&mut self) {
        let (code, said) = self.order("boot");
        assert_eq!(code, 0, "it does not boot: {said}");
    }

    #[track_caller]
    pub fn halt(&mut self) {
        let (code, said) = self.order("halt");
        assert_eq!(code, 0, "{said}");
    }

    /// The exit code of a command and what it printed.
    pub fn run(&mut self, command: &str) -> (i32, String) {
        self.order(&format!("run {command}"))
    }

    /// What a command prints that succeeds.
    #[track_caller]
    pub fn ok(&mut self, command: &str) -> String {
        let (code, printed) = self.run(command);
        assert_eq!(code, 0, "{command}: {printed}");
        printed
    }

    /// A property of the service.
    #[track_caller]
    pub fn property(&mut self, name: &str) -> String {
        self.ok(&format!("systemctl show -P {name} daybook.service"))
    }

    /// Waits until a command succeeds.
    #[track_caller]
    pub fn until(&mut self, command: &str) -> String {
        until(command, || {
            let (code, printed) = self.run(command);
            (code == 0).then_some(printed)
        })
    }

    /// What an operator does after the files are in place.
    #[track_caller]
    pub fn install(&mut self) {
        self.ok("systemd-sysusers && systemd-tmpfiles --create 2>&1 && systemctl daemon-reload");
        self.ok("systemctl enable --now daybook.service 2>&1");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (_, log) = self.run("journalctl -q -b -u daybook.service -u daybook.socket --no-hostname -n 60");
            eprintln!("--- journal of the machine:\n{log}");
        }
        // With it goes its namespace of processes, and with that all mounts.
        self.script.kill().ok();
        self.script.wait().ok();
        let remove = r#"
            mkdir -p "$0/left" && mount -t cgroup2 cgroup2 "$0/left" || exit 0
            group=$0/left$(cat "$0/group")
            for _ in $(seq 100); do
                find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
                [ -d "$group" ] || break
                sleep 0.05
            done"#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", remove]).arg(self.folder.path());
        command.stderr(Stdio::null()).status().ok();
    }
}
