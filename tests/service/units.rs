//! The shipped units, judged by systemd's own tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::have_systemd;
use crate::skip;

/// What `systemd-analyze security` may say at most: 0 is closed, 10 is open.
const EXPOSURE_MAX: f64 = 3.3;

/// Keys in drop-ins that an older systemd ignores, with a word about it.
const KNOWN_SINCE: [(&str, u32); 1] = [("DelegateSubgroup", 254)];

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd")
}

fn analyze(arguments: &[&str], file: &Path) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(arguments).arg(file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The units as they are installed, but for the program, which is the built one; with these drop-ins.
fn installed(drop_ins: &[&Path]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["daybook.service", "daybook.socket"] {
        let text = fs::read_to_string(units().join(name)).unwrap();
        assert_eq!(text.contains("/usr/bin/daybook"), name == "daybook.service");
        fs::write(folder.path().join(name), text.replace("/usr/bin/daybook", env!("CARGO_BIN_EXE_daybook"))).unwrap();
    }
    for drop_in in drop_ins {
        let to = folder.path().join("daybook.service.d");
        fs::create_dir_all(&to).unwrap();
        fs::copy(drop_in, to.join(drop_in.file_name().unwrap())).unwrap();
    }
    folder
}

fn verify(drop_ins: &[&Path]) -> String {
    let folder = installed(drop_ins);
    let (_, said) = analyze(&["verify", "--man=no"], &folder.path().join("daybook.service"));
    let (_, version) = analyze(&["--version"], Path::new(""));
    let version: u32 = version.split_whitespace().nth(1).and_then(|version| version.parse().ok()).unwrap_or(0);
    let is_too_new = |line: &str| {
        let is = |key: &str| line.contains("Unknown key") && line.contains(&format!("'{key}'"));
        KNOWN_SINCE.iter().any(|(key, since)| version < *since && is(key))
    };
    // What is wrong with the machine's own units is none of our business.
    said.lines().filter(|line| line.contains("daybook") && !is_too_new(line)).collect::<Vec<_>>().join("\n")
}

fn drop_ins() -> Vec<PathBuf> {
    let entries = fs::read_dir(units().join("drop-ins")).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = entries.collect();
    all.sort();
    assert!(all.len() >= 6, "{all:?}");
    all
}

#[test]
fn nothing_is_wrong_with_the_units_and_the_drop_ins() {
    if let Err(why) = have_systemd() {
        return skip(&why);
    }
    assert_eq!(verify(&[]), "");
    for drop_in in drop_ins() {
        assert_eq!(verify(&[&drop_in]), "", "{}", drop_in.display());
    }
    // The judge does judge.
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.conf");
    fs::write(&wrong, "[Service]\nProtectSistem=full\n").unwrap();
    assert!(verify(&[&wrong]).contains("ProtectSistem"), "a misspelt option is not noticed");
}

#[test]
fn the_service_is_not_open_to_much() {
    if let Err(why) = have_systemd() {
        return skip(&why);
    }
    let (_, said) = analyze(&["security", "--offline=true", "--no-pager"], &units().join("daybook.service"));
    let score = said.split("exposure level").nth(1).and_then(|rest| rest.split_whitespace().nth(2));
    let score: f64 = score.and_then(|score| score.parse().ok()).unwrap_or_else(|| panic!("no score: {said}"));
    assert!(score <= EXPOSURE_MAX, "{score}\n{said}");
}

/// The unit and the program agree on exit codes.
#[test]
fn exit_codes_that_do_not_mend_themselves_do_not_restart() {
    use daybook::error::Exit;
    let unit = fs::read_to_string(units().join("daybook.service")).unwrap();
    let expected = format!("\nRestartPreventExitStatus={} {}\n", Exit::Usage.code(), Exit::Config.code());
    assert!(unit.contains(&expected), "{expected}");
}
