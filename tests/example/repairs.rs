//! Clients that cannot be handled, and the repair of their batch through every door: the sweep, the two verbs, the API.

use serde_json::json;

use crate::base::Base;
use crate::site::{Site, counts};

on_each_database!(a_repair_through_every_door);

/// Clients 4 and 7 have no phone.
#[track_caller]
fn ended_with_two_failed(site: &Site<'_>, daemon: &crate::daemon::Daemon<'_>) -> u64 {
    site.run("update client set auth = 'off', code_length = 0, phone = '1'");
    site.run("update client set phone = null where id in (4, 7)");
    site.run("delete from auth_log");
    let batch = site.batch("client-auth", 1..=10, &["--op", "on"]);
    let shown = site.wait(daemon, batch, "retryable");
    assert_eq!((counts(&shown), &shown["error"]), ([8, 0, 2, 0, 0, 0], &"2 of 10 items failed".into()));
    let item = site.item(batch, 7);
    assert_eq!((&item["state"], &item["attempts"]), (&"failed".into(), &2.into()));
    let error = item["error"].as_str().unwrap();
    assert!(error.contains("statement 1 of 2 (`update`) in database `app`"), "{error}");
    // Neither of the two statements was done.
    assert_eq!((site.clients("auth = 'on'"), site.handled(7)), (8, 0));
    batch
}

/// All are on, and nobody was handled again who need not be.
#[track_caller]
fn is_whole(site: &Site<'_>, batch: u64, repairs: u64) {
    let shown = site.show(batch);
    assert_eq!((counts(&shown), &shown["repairs"]), ([10, 0, 0, 0, 0, 0], &repairs.into()));
    assert_eq!(site.clients("auth = 'on' and id <= 10"), 10);
    assert_eq!((1..=10).map(|client| site.handled(client)).collect::<Vec<_>>(), [1; 10]);
    assert!(site.refused(&["batch", "repair", &batch.to_string()]).contains("nothing is left to repair"));
}

fn a_repair_through_every_door(base: &Base) {
    let site = Site::new(base, "");
    let daemon = site.start();
    by_its_own_verb(&site, &daemon);
    by_the_verb_for_all(&site, &daemon);
    by_the_api(&site, &daemon);
    daemon.stop();
}

fn by_its_own_verb(site: &Site<'_>, daemon: &crate::daemon::Daemon<'_>) {
    let batch = ended_with_two_failed(site, daemon);
    let repair = ["batch", "repair", &batch.to_string()];
    // As long as nothing is changed it ends as it began.
    let again = site.refused(&[&repair[..], &["--wait"]].concat());
    assert!(again.contains("2 of 10 items failed"), "{again}");
    site.run("update client set phone = '1'");
    // A repair that cannot come to its end: it begins at the total minus what is done, and there is no second one.
    site.hold(daemon, 7);
    site.daybook(&repair);
    let shown = site.wait_counts(daemon, batch, [9, 0, 0, 0, 1, 0]);
    assert_eq!((&shown["state"], &shown["repair"]), (&"running".into(), &json!({"number": 2, "total": 2, "done": 1})));
    assert!(site.refused(&repair).contains("a repair goes on"));
    let findings = &site.json(&["repair"])["findings"];
    assert_eq!(findings, &json!([]), "a sweep leaves it alone");
    site.open();
    site.wait(daemon, batch, "completed");
    is_whole(site, batch, 2);
    std::fs::remove_file(site.place.path("open")).unwrap();
}

fn by_the_verb_for_all(site: &Site<'_>, daemon: &crate::daemon::Daemon<'_>) {
    // Nor is there a repair while the run itself goes on.
    site.run("update client set phone = '1'");
    site.hold(daemon, 5);
    let running = site.batch("client-auth", 1..=10, &["--op", "on"]);
    site.wait_counts(daemon, running, [9, 0, 0, 0, 1, 0]);
    assert!(site.refused(&["batch", "repair", &running.to_string()]).contains("its run goes on"));
    let answer = daemon.send("POST", &format!("/v1/batches/{running}/repair"), "");
    assert_eq!((answer.status, &answer.json()["code"]), (409, &json!("batch_running")));
    site.open();
    site.wait(daemon, running, "completed");
    std::fs::remove_file(site.place.path("open")).unwrap();

    let batch = ended_with_two_failed(site, daemon);
    site.run("update client set phone = '1'");
    let report = site.json(&["repair"]);
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["invariant"], &finding["subject"]),
        (&json!("failed-batches"), &json!(format!("batch {batch}")))
    );
    site.wait(daemon, batch, "completed");
    is_whole(site, batch, 1);
}

fn by_the_api(site: &Site<'_>, daemon: &crate::daemon::Daemon<'_>) {
    let batch = ended_with_two_failed(site, daemon);
    site.run("update client set phone = '1'");
    assert_eq!(daemon.post(&format!("/v1/batches/{batch}/repair"), json!({}))["id"], batch);
    site.wait(daemon, batch, "completed");
    is_whole(site, batch, 1);
}

#[test]
fn the_sweep_repairs_by_itself() {
    let base = Base::file();
    let site = Site::sweeping(&base, "1s", "");
    let daemon = site.start();
    site.run("update client set phone = null where id = 4");
    let list = site.list(1..=10);
    let batch = site.json(&["batch", "start", "client-auth", "--op", "on", "--items", &list])["id"].as_u64().unwrap();
    // Nothing was mended in the database yet, so the first repair fails as well; the next one is minutes away, as the
    // distance grows.
    let shown = crate::daemon::until("a sweep has repaired it", || {
        Some(site.show(batch)).filter(|shown| shown["repairs"] == 1 && shown["state"] == "retryable")
    });
    assert_eq!(counts(&shown), [9, 0, 1, 0, 0, 0]);
    assert_eq!(site.json(&["repair", "--last"])["door"], "timer");
    site.run("update client set phone = '1'");
    assert_eq!(site.json(&["repair"])["findings"], json!([]), "it is not due yet");
    site.daybook(&["batch", "repair", &batch.to_string(), "--wait"]);
    is_whole(&site, batch, 2);
    daemon.stop();
}

#[test]
fn a_batch_that_was_ended_by_errors_is_repaired_by_the_next_sweep() {
    let base = Base::file();
    let site = Site::sweeping(&base, "1s", "");
    let daemon = site.start();
    // Held, so that the database can be mended before the run has ended.
    site.hold(&daemon, 10);
    site.run("update client set phone = null where id = 4");
    let batch = site.batch("client-auth", 1..=10, &["--op", "on"]);
    site.wait_counts(&daemon, batch, [8, 0, 1, 0, 1, 0]);
    site.run("update client set phone = '1'");
    site.open();
    site.wait(&daemon, batch, "completed");
    is_whole(&site, batch, 1);
    daemon.stop();
}
