//! What every verb does when there is no daemon, no such verb, or nobody who reads on.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::{Script, daybook, spawn};

#[test]
fn usage() {
    let mut script = Script::new();
    script.run("").run("frobnicate").run("--nonsense status").run("show");
    insta::assert_snapshot!(script.text);
}

#[test]
fn no_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = daybook();
    command.arg("--socket").arg(folder.path().join("none")).arg("status");
    let output = spawn(command, b"");
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8(output.stderr).unwrap().replace(&*folder.path().to_string_lossy(), "DIR");
    insta::assert_snapshot!(text);
}

#[test]
fn with_json_an_error_is_one_object_on_standard_error() {
    let mut script = Script::new();
    script.run("--json frobnicate").run("show 99 --json").run("add full --json").run("status --json --socket /none");
    script.run("repair --json --socket").run("add mail --each / --json");
    insta::assert_snapshot!(script.text);
    for line in script.text.lines().filter_map(|line| line.strip_prefix("! ")) {
        let error: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["code", "title", "detail"] {
            assert!(error[key].is_string(), "{key}: {line}");
        }
    }
}

#[test]
fn the_socket_is_found_by_environment_and_config() {
    let script = Script::new();
    let config = script.served.folder.path().join("daybook.toml");
    std::fs::write(&config, "socket = \"control.sock\"\n").unwrap();
    let mut by_environment = daybook();
    by_environment.env("DAYBOOK_SOCKET", &script.served.socket).args(["why", "7"]);
    let mut by_config = daybook();
    by_config.arg("why").arg("7").arg("--config").arg(&config);
    let mut by_config_in_environment = daybook();
    by_config_in_environment.env("DAYBOOK_CONFIG", &config).args(["why", "7"]);
    let mut empty_is_none = daybook();
    empty_is_none.env("DAYBOOK_SOCKET", "").env("DAYBOOK_CONFIG", &config).args(["why", "7"]);
    for command in [by_environment, by_config, by_config_in_environment, empty_is_none] {
        let output = spawn(command, b"");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "because it is available\n");
    }
    let mut broken = daybook();
    broken.env("DAYBOOK_CONFIG", script.served.folder.path().join("none")).arg("status");
    assert_eq!(spawn(broken, b"").status.code(), Some(3));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut script = Script::new();
    let lines: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    script.run_with("add mail --each -", lines.as_bytes(), &[]);
    let mut command = daybook();
    command.arg("--socket").arg(&script.served.socket).args(["journal", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let script = Script::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let config = script.served.folder.path().join("daybook.toml");
    std::fs::write(&config, "").unwrap();
    for words in ["help", "--help", "add --help", "--version", "completions bash", "check", "status", "jobs --json"] {
        let mut command = daybook();
        command.arg("--socket").arg(&script.served.socket).arg("--config").arg(&config);
        command.args(words.split(' ')).stdout(full()).stderr(Stdio::piped());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(74), "{words}: {said}");
        assert!(said.contains("failed to write to standard output"), "{words}: {said}");
    }
    for (words, code) in [("frobnicate", 2), ("show 99", 1), ("next mail", 0)] {
        let mut command = daybook();
        command.arg("--socket").arg(&script.served.socket).args(words.split(' '));
        assert_eq!(command.stderr(full()).status().unwrap().code(), Some(code), "{words}");
    }
}

#[test]
fn a_reader_who_has_enough_of_the_help_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = daybook().arg("help").stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn a_daemon_that_goes_away_cannot_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let mut command = daybook();
    command.arg("--socket").arg(&socket).arg("status");
    assert_eq!(spawn(command, b"").status.code(), Some(4));
    server.join().unwrap();
}
