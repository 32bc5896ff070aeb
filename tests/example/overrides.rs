//! Clients with values of their own.

use serde_json::{Value, json};

use crate::base::Base;
use crate::daemon::Daemon;
use crate::site::Site;

on_each_database!(custom_clients);

fn custom_clients(base: &Base) {
    let site = Site::new(base, "");
    let daemon = site.start();
    let whole = |words: &[&str]| {
        let batch = site.batch("client-auth", 1..=10, words);
        site.wait(&daemon, batch, "completed");
    };
    let length = |client: i64| site.number(&format!("select code_length from client where id = {client}"));
    let modify = ["--op", "modify", "--params", r#"{"length": 8}"#];

    site.daybook(&["item", "override", "client:3", r#"{"length": 10}"#]);
    // A job of its own marks its client, too.
    let words = ["add", "client-auth-one", "--arg", "client=4", "--arg", "op=modify", "--arg", "length=12", "--wait"];
    site.daybook(&words);
    assert_eq!(length(4), 12);
    assert_eq!(custom(&site), ["client:3", "client:4"]);
    whole(&modify);
    assert_eq!((length(3), length(4), site.clients("code_length = 8")), (10, 12, 8));

    // Back to the default: one by its name, all of a batch by `--restore`.
    site.daybook(&["item", "restore", "client:3"]);
    assert_eq!(custom(&site), ["client:4"]);
    whole(&[&modify[..], &["--restore"]].concat());
    assert_eq!((site.clients("code_length = 8"), custom(&site)), (10, Vec::<String>::new()));

    // Turned off, by a batch or by a job of its own, nobody is custom any more.
    site.daybook(&["item", "override", "client:5", r#"{"length": 10}"#]);
    site.daybook(&["item", "override", "client:11", r#"{"length": 10}"#]);
    site.daybook(&["item", "override", "client:12", r#"{"length": 10}"#]);
    site.daybook(&["add", "client-auth-one", "--arg", "client=11", "--arg", "op=off", "--wait"]);
    assert_eq!(custom(&site), ["client:12", "client:5"]);
    whole(&["--op", "off"]);
    assert_eq!((custom(&site), site.clients("auth = 'on'")), (vec!["client:12".to_owned()], 0));
    survives(&site, daemon);
}

/// Overrides are as durable as all else.
fn survives(site: &Site<'_>, daemon: Daemon<'_>) {
    daemon.kill();
    let daemon = site.start();
    let overrides = site.json(&["item", "overrides"]);
    assert_eq!((&overrides["key"], &overrides["params"]), (&json!("client:12"), &json!({"length": 10})));
    daemon.stop();
}

/// Who is listed as custom.
fn custom(site: &Site<'_>) -> Vec<String> {
    let lines = site.daybook(&["item", "overrides", "--json"]);
    let key = |line: &str| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned();
    lines.lines().map(key).collect()
}
