//! A daemon that is killed with `kill -9` in the middle of a run: the next one completes it.

use serde_json::json;

use crate::daemon::{Place, until};
use crate::servers;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_killed_half_way_is_completed_by_the_next_daemon() {
    for site in Site::servers() {
        site.users(20_000).await;
        let server = site.server.expect("a server");
        let place = Place::new(
            "[databases.app]\nurl_file = \"app.url\"\n[task.users]\nworker = \"passivate-users\"\ndatabase = \"app\"\n\
             inactive_after = \"30d\"\nchunk = 50\npause = \"1ms\"\n",
        );
        std::fs::write(place.path("app.url"), server.url(&site.name)).unwrap();
        // The daemon's clock is the machine's, whatever that says.
        site.run("UPDATE users SET last_login_at = '2900-01-01 00:00:00' WHERE id % 2 = 0 AND id % 10 <> 0").await;
        let made = servers::Database { url: server.url(&site.name), name: site.name.clone() };
        let done = || server.number(&made, "SELECT count(*) FROM users WHERE is_active = false");

        let daemon = place.start();
        let job = daemon.add(json!({"task": "users"}));
        until("a part is done", || (done() >= 500).then_some(()));
        daemon.kill();
        let half = done();
        assert!((500..12_000).contains(&half), "{half}");
        assert_eq!(half % 50, 0, "a chunk is there as a whole or not at all");

        let daemon = place.start();
        let shown = daemon.wait_state(job, "completed");
        let later = shown["result"]["passivated"].as_i64().unwrap();
        assert!(site.is_done().await, "{:?}", site.kind);
        // The chunk that was committed while the daemon was being killed was told to nobody.
        assert!(half + later == 12_000, "{half} and {later}: {shown}");
        daemon.stop();
        for written in [place.log(), place.read("daybook.toml")] {
            assert!(!written.contains(servers::PASSWORD), "{written}");
        }
    }
}
