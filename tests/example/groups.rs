//! Batches of one group: one at a time, and of two that are about one client the newer one wins.

use serde_json::json;

use crate::base::Base;
use crate::site::{Site, counts};

on_each_database!(one_batch_at_a_time, the_newer_one_wins);

/// For tests only: a task of the same group that does not wait.
const IMPATIENT: &str = "\n[task.impatient]\nitems = \"given\"\nexclusive = \"client-auth\"\nwhen_busy = \"refuse\"\n\
    lock = \"client:{item}\"\neach = { shell = \"true\" }\n";

fn one_batch_at_a_time(base: &Base) {
    let site = Site::new(base, IMPATIENT);
    let daemon = site.start();
    site.hold(&daemon, 10);
    let first = site.batch("client-auth", 1..=10, &["--op", "on"]);
    site.wait_counts(&daemon, first, [9, 0, 0, 0, 1, 0]);
    let second = site.batch("client-auth", 11..=20, &["--op", "on"]);
    let why = site.daybook(&["why", &second.to_string()]);
    assert!(why.contains(&format!("{first}")) && why.contains("client-auth"), "{why}");
    let refused = site.refused(&["batch", "start", "impatient", "--items", &site.list(21..=30)]);
    assert!(refused.contains(&format!("batch {first}")), "{refused}");
    assert_eq!((&site.show(second)["state"], site.clients("auth = 'on'")), (&json!("available"), 9));
    site.open();
    site.wait(&daemon, second, "completed");
    assert_eq!(site.show(first)["state"], "completed");
    let third = site.batch("impatient", 21..=30, &[]);
    site.wait(&daemon, third, "completed");
    assert_eq!(site.clients("auth = 'on'"), 20);
    daemon.stop();
}

fn the_newer_one_wins(base: &Base) {
    let site = Site::new(base, "");
    let daemon = site.start();
    site.run("update client set phone = null where id in (5, 6)");
    let older = site.batch("client-auth", 1..=10, &["--op", "on"]);
    site.wait(&daemon, older, "retryable");
    site.run("update client set phone = '1'");
    // One that ended in error keeps nobody waiting.
    let newer = site.batch("client-auth", 4..=5, &["--op", "modify", "--params", r#"{"length": 8}"#]);
    site.wait(&daemon, newer, "completed");
    site.daybook(&["batch", "repair", &older.to_string(), "--wait"]);
    let shown = site.show(older);
    assert_eq!((&shown["state"], counts(&shown)), (&json!("completed"), [9, 0, 0, 1, 0, 0]));
    assert_eq!((&site.item(older, 5)["state"], &site.item(older, 6)["state"]), (&json!("skipped"), &json!("done")));
    let why = site.item(older, 5)["error"].as_str().unwrap_or_default().to_owned();
    assert!(why.contains("superseded") && why.contains(&newer.to_string()), "{why}");
    assert_eq!((site.clients("code_length = 8"), site.clients("code_length = 6")), (2, 8));
    assert_eq!((site.handled(5), site.handled(6)), (1, 1));
    daemon.stop();
}
