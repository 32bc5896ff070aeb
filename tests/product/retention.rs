//! What is no longer kept goes, and the disk shrinks.

use serde_json::json;

use crate::daemon::{Place, until};

fn outputs(place: &Place) -> usize {
    let folders = std::fs::read_dir(place.state().join("outputs")).unwrap().flatten();
    folders.map(|folder| std::fs::read_dir(folder.path()).map_or(0, Iterator::count)).sum()
}

#[test]
fn a_repair_a_reload_and_a_start_drop_what_is_not_kept() {
    let config = "[task.says]\nshell = \"echo hello\"\nconcurrency = 8\n[task.clean]\nworker = \"clean-logs\"\n\
                  paths = [\"$DIR/none/*.log\"]\nolder_than = \"1d\"";
    let keep = |size: &str| format!("[outputs]\nkeep = {{ size = \"{size}\" }}");
    let place = Place::with_top(&keep("1GB"), config);
    let daemon = place.start();
    let fill = |daemon: &crate::daemon::Daemon<'_>| {
        daemon.post("/v1/jobs", json!(vec![json!({ "task": "says" }); 20]));
        until("all are done", || daemon.jobs("state=available,running").is_empty().then_some(()));
    };
    fill(&daemon);
    daemon.post("/v1/repair", json!({}));
    assert_eq!(outputs(&place), 20, "all fit");

    place.configure(&keep("60B"), config);
    daemon.post("/v1/reload", json!({}));
    daemon.post("/v1/repair", json!({}));
    until("a repair drops them", || (outputs(&place) == 10).then_some(()));
    fill(&daemon);
    let clean = daemon.add(json!({ "task": "clean" }));
    let done = daemon.wait_state(clean, "completed");
    assert_eq!(outputs(&place), 1, "its own is all that is left");
    // Those that the repair has dropped had not been told of.
    assert_eq!(done["result"]["daybook"]["outputs"], json!({ "files": 40, "bytes": 240 }));
    assert_eq!(done["result"]["daybook"]["journal"], json!({ "generations": 0, "bytes": 0 }));
    assert_eq!(done["result"]["daybook"]["history"], json!({ "partitions": 0, "bytes": 0 }));
    let dry = daemon.add(json!({ "task": "clean", "args": { "dry_run": true } }));
    assert_eq!(daemon.wait_state(dry, "completed")["result"].get("daybook"), None);
    fill(&daemon);
    daemon.stop();
    let daemon = place.start();
    until("a start drops them", || (outputs(&place) <= 10).then_some(()));
    daemon.stop();
}
