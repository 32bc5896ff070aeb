//! What is printed on a real terminal: it fits, it has colours unless somebody says no, and elsewhere nothing is cut.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::{Script, daybook};

/// Runs `daybook` on a terminal of this size, and answers what arrives there, line by line.
fn on_terminal(script: &Script, words: &str, columns: u16, lines: u16, environment: &[(&str, &str)]) -> Vec<String> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
    let mut command = daybook();
    command.arg("--socket").arg(&script.served.socket).args(words.split_whitespace());
    command.env("TERM", "xterm").envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::null()).stdout(terminal()).stderr(terminal()).spawn().unwrap();
    drop(command); // our ends of the terminal, so that it ends with the child
    let (mut text, mut piece) = (Vec::new(), [0; 4096]);
    // Once nobody has the other end any more, reading fails.
    while let Ok(count @ 1..) = File::from(master.try_clone().unwrap()).read(&mut piece) {
        text.extend_from_slice(&piece[..count]);
    }
    child.wait().unwrap();
    String::from_utf8(text).unwrap().lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Without escape sequences for colours.
fn plain(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

/// A daemon with long names and texts, and with trouble.
fn script() -> Script {
    let script = Script::new();
    script.served.fake.break_it();
    for _ in 0..40 {
        script.served.fake.run_long("the progress of a job that has a lot to say and does not know where to stop");
    }
    script
}

#[test]
fn every_list_fits_a_terminal() {
    let script = script();
    for words in ["status", "jobs", "tasks", "next", "occurrences backup", "repair", "repair --last"] {
        for columns in [80, 60, 132] {
            let lines = on_terminal(&script, words, columns, 24, &[]);
            assert!(lines.len() > 1, "{words}: {lines:?}");
            for line in &lines {
                assert!(plain(line).chars().count() <= columns.into(), "{words} in {columns} columns: {line}");
            }
        }
    }
    let jobs = on_terminal(&script, "jobs", 80, 24, &[]);
    assert!(jobs.iter().any(|line| line.ends_with('…')), "long text is cut: {jobs:?}");
    assert!(jobs.iter().skip(1).all(|line| line.starts_with(|c: char| c == ' ' || c.is_ascii_digit())), "a job a line");
}

#[test]
fn status_fits_the_screen() {
    let script = script();
    for (columns, lines) in [(80, 24), (80, 30), (132, 43)] {
        let shown = on_terminal(&script, "status", columns, lines, &[]);
        assert!(shown.len() < lines.into(), "{} lines on a screen of {lines}: {shown:#?}", shown.len());
        for word in
            ["degraded", "running: 41", "waits for a person", "retry 6 or cancel 6", "missed within a day", "sweep"]
        {
            assert!(shown.iter().any(|line| plain(line).contains(word)), "{word}: {shown:#?}");
        }
    }
}

#[test]
fn colours_are_for_terminals_only_and_can_be_refused() {
    let mut script = script();
    let coloured = |lines: &[String]| lines.iter().any(|line| line.contains('\x1b'));
    for words in ["status", "jobs", "tasks", "occurrences backup"] {
        assert!(coloured(&on_terminal(&script, words, 80, 24, &[("NO_COLOR", "")])), "{words}");
        assert!(!coloured(&on_terminal(&script, words, 80, 24, &[("NO_COLOR", "1")])), "{words}");
        assert!(!coloured(&on_terminal(&script, words, 80, 24, &[("TERM", "dumb")])), "{words}");
        script.run(words);
    }
    assert!(!script.text.contains(['\x1b', '…']), "a pipe gets neither colours nor cut text: {}", script.text);
}
