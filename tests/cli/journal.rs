use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::{Script, daybook};

#[test]
fn journal() {
    let mut script = Script::new();
    script.run("journal");
    script.run("journal --job 3");
    script.run("journal --from 10 --limit 1 --json");
    script.run("journal -n 2");
    script.run("journal -n 1 --job 4");
    script.run("journal --from x");
    insta::assert_snapshot!(script.text);
}

#[test]
fn verify() {
    let mut script = Script::new();
    script.run("journal verify").run("journal --json verify").run("journal -f verify");
    script.served.fake.break_it();
    script.run("journal verify").run("journal verify --json");
    insta::assert_snapshot!(script.text);
}

#[test]
fn follow_goes_on_with_what_happens() {
    let script = Script::new();
    let mut command = daybook();
    command.arg("--socket").arg(&script.served.socket).args(["journal", "-f", "-n", "1", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains(r#""event":"job_added","job":7"#), "{first}");
    script.served.fake.pause_backup();
    let second = lines.next().unwrap().unwrap();
    assert_eq!(second, r#"{"seq":12,"at":"2026-11-21T12:00:00.000Z","event":"task_paused","task":"backup"}"#);
    script.served.fake.close_feed();
    assert!(lines.next().is_none());
    assert!(child.wait().unwrap().success());
}
