//! The doors of repair: one routine behind all of them, and never two at once.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::daemon::{Daemon, Place, until};
use crate::repair::invariants;
use crate::said;

const OK: &str = "[task.ok]\ncommand = [\"true\"]\n";

fn last_door(daemon: &Daemon<'_>, door: &str) {
    until(&format!("the last sweep is by {door}"), || {
        let status = daemon.get("/v1/status");
        (status["last_sweep"]["door"] == door).then_some(())
    });
}

#[test]
fn every_door_leads_to_a_sweep_that_says_which() {
    let place = Place::new(OK);
    let daemon = place.start();
    last_door(&daemon, "start");
    daemon.post("/v1/repair", json!({}));
    last_door(&daemon, "socket");
    assert!(said(&place.cli(["repair"])).contains("nothing is broken"));
    last_door(&daemon, "cli");
    assert!(said(&place.cli(["repair", "--last"])).contains("by cli"));
    daemon.signal(Signal::HUP);
    last_door(&daemon, "signal");
    let config = fs::read_to_string(place.config_file()).unwrap();
    fs::write(place.config_file(), config.replace("every = \"1h\"", "every = \"1s\"")).unwrap();
    daemon.post("/v1/reload", json!({}));
    last_door(&daemon, "timer");
    assert!(said(&place.cli(["status"])).contains("by timer"));
    let unknown = daemon.send("POST", "/v1/repair", r#"{"door":"window"}"#);
    assert_eq!((unknown.status, &unknown.json()["code"]), (400, &json!("invalid_value")));
}

#[test]
fn who_asks_while_a_sweep_runs_is_told_what_that_one_finds() {
    const CALLERS: usize = 12;
    let place = Place::new(OK);
    let daemon = place.start();
    // So many that a sweep takes a while.
    for _ in 0..3 {
        daemon.post("/v1/jobs", json!(vec![json!({ "task": "ok", "in": "1h" }); 10_000]));
    }
    fs::set_permissions(place.state(), Permissions::from_mode(0o777)).unwrap();
    let from = daemon.get("/v1/status")["seq"].as_u64().unwrap() + 1;
    let ready = Barrier::new(CALLERS);
    let ask = |number: usize| {
        let dry_run = number.is_multiple_of(3);
        let mut client = daemon.client();
        ready.wait();
        let body = json!({ "dry_run": dry_run }).to_string();
        let report = client.send("POST", "/v1/repair", "application/json", &body).unwrap().json();
        assert_eq!(report["dry_run"], dry_run, "a dry run and a real one do not stand in for each other");
        report
    };
    let reports: Vec<Value> = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|number| scope.spawn(move || ask(number))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let (joined, own): (Vec<_>, Vec<_>) = reports.iter().partition(|report| report["joined"] == true);
    assert!(!joined.is_empty(), "of twelve at once none had to wait");
    for report in &joined {
        let same = |other: &&&Value| other["at"] == report["at"] && other["findings"] == report["findings"];
        assert!(own.iter().any(|other| same(&other)), "{report} is told to nobody else");
    }
    let journal = daemon.send("GET", &format!("/v1/journal?from={from}"), "").lines();
    let ended = journal.iter().filter(|event| event["event"] == "sweep_finished").count();
    let real = own.iter().filter(|report| report["dry_run"] == false).count();
    assert_eq!(ended, real, "each sweep is one, however many have asked for it");
    let mended = own.iter().filter(|report| report["fixed"] == 1).count();
    assert_eq!(mended, 1, "and mends once");
    assert_eq!(fs::metadata(place.state()).unwrap().permissions().mode() & 0o7777, 0o750);
}

#[test]
fn what_was_found_survives_a_restart() {
    let place = Place::new(OK);
    let daemon = place.start();
    fs::set_permissions(place.state(), Permissions::from_mode(0o777)).unwrap();
    let shown = said(&place.cli(["repair"]));
    assert!(shown.contains("state-folder") && shown.contains("1 finding, 1 fixed"), "{shown}");
    let before = daemon.get("/v1/repair");
    assert_eq!((invariants(&before), &before["earlier"]), (vec!["state-folder"], &Value::Null));
    daemon.kill();
    let daemon = place.start();
    let last = daemon.get("/v1/repair");
    assert_eq!(
        (invariants(&last), &last["door"]),
        (vec!["leftovers"], &json!("start")),
        "the socket of the killed one"
    );
    daemon.stop();
    let daemon = place.start();
    let last = daemon.get("/v1/repair");
    assert_eq!((&last["found"], &last["door"]), (&json!(0), &json!("start")));
    assert_eq!((invariants(&last["earlier"]), &last["earlier"]["door"]), (vec!["leftovers"], &json!("start")));
}

#[test]
fn a_dry_run_writes_nothing_and_a_sweep_with_nothing_to_do_one_small_event() {
    let place = Place::new(&format!("{OK}[task.later]\nschedule = \"0 0 1 1 *\"\ncommand = [\"true\"]"));
    let daemon = place.start();
    daemon.add(json!({ "task": "ok", "in": "1h" }));
    let seq = || daemon.get("/v1/status")["seq"].as_u64().unwrap();
    let before = seq();
    for _ in 0..5 {
        assert!(said(&place.cli(["repair", "--dry-run"])).contains("nothing is broken"));
    }
    assert_eq!(seq(), before);
    daemon.post("/v1/repair", json!({}));
    let events = daemon.send("GET", &format!("/v1/journal?from={}", before + 1), "").lines();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!((&events[0]["event"], &events[0]["left"]), (&json!("sweep_finished"), &Value::Null));
}
