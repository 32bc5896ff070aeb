//! The host of a database cannot be found by its name.

use serde_json::json;

use crate::daemon::{Place, until};

#[test]
fn a_job_whose_database_has_no_address_waits_for_another_try_and_the_rest_goes_on() {
    let database = |name: &str, kind: &str| {
        format!(
            "[databases.{name}]\nurl = \"{kind}://user:secret@no-such-host.invalid/app\"\n\
             [task.{name}]\ndatabase = \"{name}\"\nsql = \"select 1\"\nbackoff = \"1h\"\n"
        )
    };
    let tasks = database("one", "postgres") + &database("two", "mysql");
    let place = Place::new(&format!("{tasks}[task.other]\nshell = 'true'\n"));
    let daemon = place.start();
    let lost = ["one", "two"].map(|task| (task, daemon.add(json!({ "task": task }))));
    // While their names are looked for, others run.
    let other = daemon.add(json!({ "task": "other" }));
    daemon.wait_state(other, "completed");
    for (name, job) in lost {
        let job = until("it has failed", || Some(daemon.job(job)).filter(|job| job["error"].is_string()));
        let error = job["error"].as_str().unwrap();
        assert!(error.starts_with(&format!("connect to database `{name}`: ")), "{error}");
        assert!(!error.contains("secret"), "{error}");
        assert_eq!(job["state"], "retryable", "{job}");
    }
    daemon.stop();
    place.verify();
}
