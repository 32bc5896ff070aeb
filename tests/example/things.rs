//! Single clients while a batch goes over all of them: handled ahead of their turn, held, deleted.

use serde_json::json;

use crate::base::Base;
use crate::site::{Site, counts};

on_each_database!(a_client_on_the_phone, a_client_that_is_deleted_meanwhile);

fn a_client_on_the_phone(base: &Base) {
    let site = Site::new(base, "");
    let daemon = site.start();
    site.daybook(&["pause", "client-auth"]);
    let on = site.batch("client-auth", 1..=20, &["--op", "on"]);
    let advance = |client: &str| vec!["batch".to_owned(), "advance".to_owned(), on.to_string(), client.to_owned()];
    let words = |client: &'static str| advance(client);
    let refused = |client: &'static str| {
        let words = words(client);
        site.refused(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let done = words("17");
    assert!(site.daybook(&done.iter().map(String::as_str).collect::<Vec<_>>()).contains("item `17` is done"));
    assert_eq!(site.clients("auth = 'on'"), 1);
    assert_eq!(site.item(on, 17), json!({"item": "17", "state": "advanced", "error": null, "attempts": 1}));
    assert_eq!(counts(&site.show(on)), [0, 1, 0, 0, 19, 0]);
    assert!(refused("17").contains("item `17` of batch 1 is done"));
    // Somebody else has it.
    let job = site.hold(&daemon, 18);
    assert!(refused("18").contains(&format!("`client:18` is being handled by job {job}")));
    assert!(refused("2000").contains("has no item `2000`"));

    site.daybook(&["resume", "client-auth"]);
    let shown = site.wait_counts(&daemon, on, [18, 1, 0, 0, 1, 0]);
    assert_eq!(shown["state"], "running");
    assert!(refused("1").contains("item `1` of batch 1 is done"));
    site.open();
    let shown = site.wait(&daemon, on, "completed");
    assert_eq!((counts(&shown), &shown["total"]), ([19, 1, 0, 0, 0, 0], &20.into()));
    // Passed over by the run.
    assert_eq!((1..=20).map(|client| site.handled(client)).collect::<Vec<_>>(), [1; 20]);
    daemon.stop();
}

fn a_client_that_is_deleted_meanwhile(base: &Base) {
    let site = Site::new(base, "");
    let daemon = site.start();
    let job = site.hold(&daemon, 4);
    site.daybook(&["pause", "client-auth"]);
    let on = site.batch("client-auth", 1..=10, &["--op", "on"]);
    // Who wants to delete client 4 asks first, and is told to wait.
    let held = site.refused(&["item", "check", "client:4"]);
    assert!(held.contains(&format!("job {job} of task `hold`")), "{held}");
    assert!(site.refused(&["item", "remove", "client:4"]).contains("is being handled"));

    let free = site.daybook(&["item", "check", "client:3"]);
    assert!(free.contains("it waits in batch"), "{free}");
    site.daybook(&["item", "override", "client:3", r#"{"length": 9}"#]);
    let removed = site.daybook(&["item", "remove", "client:3"]);
    assert!(removed.contains("taken out of 1 batch"), "{removed}");
    site.run("delete from client where id = 3");
    assert_eq!(site.daybook(&["item", "overrides", "--json"]), "", "with the client its override has gone");
    site.open();
    site.daybook(&["resume", "client-auth"]);
    let shown = site.wait(&daemon, on, "completed");
    assert_eq!((counts(&shown), &shown["total"]), ([9, 0, 0, 1, 0, 0], &10.into()));
    assert_eq!((&site.item(on, 3)["state"], site.handled(3), site.clients("auth = 'on'")), (&json!("skipped"), 0, 9));
    daemon.stop();
}
