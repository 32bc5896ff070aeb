//! A daemon with nothing to do: what it takes of memory and processor.

use std::time::Duration;

use crate::support::daemon::{Daemon, Handlers};
use crate::support::table::{Row, head, note};
use crate::support::{fresh, process, remove};

const SETTLE: Duration = Duration::from_secs(8);
const IDLE: Duration = Duration::from_secs(20);
/// As many tasks as a small installation has, of every kind.
const CONFIG: &str = r#"
[databases.app]
url = "sqlite://app.db"

[task.backup]
schedule = "30 2 * * *"
timezone = "Europe/Berlin"
shell = "true"

[task.mail]
command = ["true"]
concurrency = 4

[task.clean-logs]
schedule = "@daily"
worker = "clean-logs"
paths = ["logs/*.log"]
older_than = "30d"

[task.passivate-users]
schedule = "@daily"
worker = "passivate-users"
database = "app"
inactive_after = "30d"
"#;

pub fn run() {
    head("Idle");
    let dir = fresh("idle");
    let daemon = Daemon::start(&dir, CONFIG, Handlers::Real);
    std::thread::sleep(SETTLE);
    let before = process::on_processor(daemon.pid());
    std::thread::sleep(IDLE);
    let busy = (process::on_processor(daemon.pid()) - before) as f64 / IDLE.as_nanos() as f64;
    let (all, anonymous) = (process::pss(daemon.pid()) as f64, process::pss_anonymous(daemon.pid()) as f64);
    let own = process::pss(std::process::id()) as f64;
    Row {
        name: "memory (PSS)",
        measured: format!("{:.1} MB", all / 1e6),
        target: "12.0 MB",
        ratio: Some((all / own, "of this program".into())),
    }
    .print();
    note("  of it no file's", format!("{:.1} MB", anonymous / 1e6));
    note("threads", process::threads(daemon.pid()).to_string());
    note("processor, of a core", format!("{:.3} %", busy * 100.0));
    drop(daemon);
    remove(&dir);
}
