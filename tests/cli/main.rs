//! The command line, as snapshots: the built binary against a daemon in memory. A file for each verb.

#[path = "../support/mod.rs"]
mod support;

mod add;
mod batch;
mod cancel;
mod check;
mod completions;
mod daemon;
mod demo;
mod drain;
mod errors;
mod help;
mod item;
mod jobs;
mod journal;
mod man;
mod next;
mod occurrences;
mod output;
mod pause;
mod progress;
mod reload;
mod repair;
mod resume;
mod retry;
mod show;
mod status;
mod tasks;
mod terminal;
mod why;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use support::Served;

/// The built `daybook`, without anything of this environment that it looks at.
pub fn daybook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daybook"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DAYBOOK_") || name == "COLUMNS" || name == "NO_COLOR" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// A script of runs against one daemon, with all that they print.
struct Script {
    pub served: Served,
    pub text: String,
}

impl Script {
    fn new() -> Script {
        Script { served: Served::start(), text: String::new() }
    }

    /// Runs `daybook` with these words.
    pub fn run(&mut self, words: &str) -> &mut Script {
        self.run_with(words, b"", &[])
    }

    /// The same with something on standard input and in the environment.
    pub fn run_with(&mut self, words: &str, input: &[u8], environment: &[(&str, &str)]) -> &mut Script {
        let mut command = daybook();
        command.arg("--socket").arg(&self.served.socket).current_dir(self.served.folder.path());
        command.args(words.split_whitespace().map(|word| word.replace('_', " ")));
        command.envs(environment.iter().copied());
        let output = spawn(command, input);
        self.text.push_str(&format!("$ daybook {words}\n"));
        self.note(&output);
        self
    }

    fn note(&mut self, output: &Output) {
        let folder = self.served.folder.path().to_string_lossy().into_owned();
        let user = format!("by user {}", rustix::process::getuid().as_raw());
        let plain = |bytes| String::from_utf8_lossy(bytes).replace(&folder, "DIR").replace(&user, "by user UID");
        let (stdout, stderr) = (plain(&output.stdout), plain(&output.stderr));
        self.text.push_str(&stdout);
        for line in stderr.lines() {
            self.text.push_str(&format!("! {line}\n"));
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => self.text.push_str(&format!("[exit code {code}]\n")),
            None => self.text.push_str("[killed]\n"),
        }
        self.text.push('\n');
    }
}

pub fn spawn(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("daybook starts");
    // It may not read it: then the pipe is broken, and what it prints says why.
    child.stdin.take().expect("is piped").write_all(input).ok();
    child.wait_with_output().expect("daybook ends")
}
