//! Tasks that come, go and change while the daemon runs.

use serde_json::json;

use crate::daemon::Place;

#[test]
fn a_task_that_is_gone_is_unknown_to_every_verb_once_it_has_no_jobs() {
    let stays = "[task.stays]\ncommand = [\"true\"]\n";
    let place = Place::new(&format!("{stays}[task.goes]\nshell = \"exec sleep 1000\""));
    let daemon = place.start();
    let job = daemon.add(json!({ "task": "goes" }));
    place.configure("", stays);
    daemon.post("/v1/reload", json!({}));
    assert_eq!(daemon.post("/v1/tasks/goes/pause", json!({}))["removed"], true);
    assert_eq!(daemon.send("POST", "/v1/jobs", r#"{"task":"goes"}"#).json()["code"], "task_removed");
    daemon.post("/v1/tasks/goes/resume", json!({}));
    daemon.post(&format!("/v1/jobs/{job}/cancel"), json!({}));
    daemon.wait_state(job, "cancelled");
    let before = daemon.get("/v1/status")["seq"].clone();
    for verb in ["pause", "resume"] {
        let answer = daemon.send("POST", &format!("/v1/tasks/goes/{verb}"), "");
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("unknown_task")), "{}", answer.text());
    }
    assert_eq!(daemon.get("/v1/status")["seq"], before, "what was refused has changed nothing");
}

#[test]
fn status_says_that_a_config_was_refused_until_one_is_taken_over() {
    let good = "[task.ok]\ncommand = [\"true\"]\n";
    let place = Place::new(good);
    let daemon = place.start();
    place.configure("", &format!("{good}timeout = \"never\""));
    assert_eq!(daemon.send("POST", "/v1/reload", "").json()["code"], "config_invalid");
    let problems = daemon.get("/v1/status")["problems"].clone();
    assert!(problems[0].as_str().unwrap().contains("daybook.toml:"), "{problems}");
    assert_eq!(daemon.get("/v1/tasks")[0]["task"], "ok", "the last good one stays");
    place.configure("", good);
    daemon.post("/v1/reload", json!({}));
    assert_eq!(daemon.get("/v1/status")["problems"], json!([]));
}

#[test]
fn nothing_but_a_socket_is_removed_from_the_place_of_the_socket() {
    let place = Place::new("[task.ok]\ncommand = [\"true\"]");
    std::fs::write(place.socket(), "somebody's letters").unwrap();
    let (code, said) = place.start_refused();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("control.sock"), "{said}");
    assert_eq!(std::fs::read_to_string(place.socket()).unwrap(), "somebody's letters");
}
