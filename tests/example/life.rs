//! All clients, from off to on, to another length, and to off again; the daemon is killed on the way.

use crate::base::Base;
use crate::client::Client;
use crate::daemon::until;
use crate::site::{CLIENTS, CONCURRENCY, Site, counts, over};

on_each_database!(all_clients_are_turned_on_modified_and_turned_off);

fn all_clients_are_turned_on_modified_and_turned_off(base: &Base) {
    let site = Site::new(base, "");
    turned_on_by_two_daemons(&site);
    let daemon = site.start();
    // One that had its own length until it is turned off.
    site.daybook(&["item", "override", "client:77", r#"{"length": 12}"#]);
    let modify = site.batch("client-auth", 1..=CLIENTS, &["--op", "modify", "--params", r#"{"length": 8}"#]);
    never_backwards(&site, modify);
    let shown = site.wait(&daemon, modify, "completed");
    assert_eq!((counts(&shown), &shown["total"]), ([1000, 0, 0, 0, 0, 0], &1000.into()));
    assert_eq!((site.clients("code_length = 8"), site.clients("id = 77 and code_length = 12")), (CLIENTS - 1, 1));
    assert_eq!(site.number("select count(*) from auth_log where op = 'modify'"), CLIENTS);

    let off = site.batch("client-auth", 1..=CLIENTS, &["--op", "off"]);
    until("three hundred are over", || (over(&daemon.get(&format!("/v1/batches/{off}"))) >= 300).then_some(()));
    // A stop waits for those whose turn it is, and for no others: nobody is handled twice.
    daemon.stop();
    let daemon = site.start();
    site.wait(&daemon, off, "completed");
    assert_eq!(site.number("select count(*) from auth_log where op = 'off'"), CLIENTS);
    assert_eq!(site.clients("auth = 'off' and code_length = 0"), CLIENTS);
    assert_eq!(site.daybook(&["item", "overrides", "--json"]), "");
    daemon.stop();
    site.place.verify();
}

/// Each client is handled once, but those whose handling was under way when the first daemon was killed: they may be
/// handled twice. None is left out.
fn turned_on_by_two_daemons(site: &Site<'_>) {
    let daemon = site.start();
    // It keeps the batch from its end, however fast the others are.
    site.hold(&daemon, CLIENTS - 1);
    let on = site.batch("client-auth", 1..=CLIENTS, &["--op", "on"]);
    let mut last = 0;
    until("three hundred are over", || {
        let now = over(&daemon.get(&format!("/v1/batches/{on}")));
        assert!(now >= last, "{now} after {last}");
        last = now;
        (now >= 300).then_some(())
    });
    daemon.kill();
    assert!(site.clients("auth = 'on'") >= last as i64, "what was told is in the database");
    let daemon = site.start();
    let shown = site.show(on);
    assert!(over(&shown) >= last, "{shown} after {last}");
    site.wait_counts(&daemon, on, [999, 0, 0, 0, 1, 0]);
    let held = site.refused(&["item", "check", "client:999"]);
    assert!(held.contains("task `hold`"), "{held}");
    site.open();
    let shown = site.wait(&daemon, on, "completed");
    // A batch that was cut off is repaired by the sweep of the start.
    assert_eq!((counts(&shown), &shown["repairs"]), ([1000, 0, 0, 0, 0, 0], &1.into()));
    assert_eq!(site.clients("auth = 'on' and code_length = 6"), CLIENTS);
    assert_eq!(site.number("select count(distinct client) from auth_log"), CLIENTS);
    let twice = site.number("select count(*) from auth_log") - CLIENTS;
    // Beyond those that were being handled, what had ended faster than the disk noted it.
    assert!(twice < 11 * CONCURRENCY, "{twice} were handled twice");
    daemon.stop();
}

/// Follows a batch to its end.
fn never_backwards(site: &Site<'_>, batch: u64) {
    let mut client = Client::connect(&site.place.socket()).unwrap();
    let path = format!("/v1/batches/{batch}?follow=true");
    let lines = client.send("GET", &path, "application/json", "").unwrap().lines();
    let numbers: Vec<u64> = lines.iter().map(over).collect();
    assert!(numbers.is_sorted() && numbers.len() > 2 && numbers.last() == Some(&1000), "{numbers:?}");
}
