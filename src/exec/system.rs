//! Whether the machine is going down, as systemd says.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// How long systemd may take to answer: while it stops everything, it may be busy.
const ANSWER: Duration = Duration::from_secs(2);

/// Whether this is a machine with systemd that is being shut down; no where nobody says so.
pub async fn is_going_down() -> bool {
    if !Path::new("/run/systemd/system").exists() {
        return false;
    }
    let mut command = tokio::process::Command::new("systemctl");
    command.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(ANSWER, command.output()).await {
        Ok(Ok(output)) => output.stdout.trim_ascii() == b"stopping",
        Ok(Err(_)) | Err(_) => false,
    }
}
