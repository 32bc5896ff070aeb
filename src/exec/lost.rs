//! Ends what is left of an attempt whose shim was killed, and clears away behind it: nobody else will.
//!
//! Three ways find it, each where the others cannot: its cgroup, the process group of its main process, and the
//! environment of its processes.

use std::path::Path;
use std::time::Duration;

use crate::core::id::JobId;
use crate::shim::Marked;

use super::identity::{Identity, Leftover};
use super::strays::end_strays;

/// How long the processes may take to end, before they are killed.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether a cgroup is empty.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends all processes of the attempt that can be found. `socket`: where they reach their daemon. After the machine
/// went down there are none, and none are looked for.
pub async fn end_lost(socket: &Path, marked: &Marked, main: Option<Identity>, job: JobId, attempt: u32) -> Leftover {
    let mut found = Vec::new();
    if marked.shim.is_this_boot() {
        if let Some(cgroup) = &marked.cgroup {
            found.push(kill_cgroup(cgroup).await);
        }
        if let Some(main) = main {
            found.push(main.end_group(job, attempt, GRACE).await);
        }
        found.extend(end_strays(socket, vec![(job, attempt)], GRACE).await.into_iter().map(|(_, leftover)| leftover));
    }
    if let Some(folder) = &marked.temporary
        && let Err(error) = tokio::fs::remove_dir_all(folder).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(job = job.0, attempt, folder = %folder.display(), %error, "could not remove temporary files");
    }
    let (mut ended, mut left) = (0, 0);
    for leftover in found {
        match leftover {
            Leftover::Gone => {}
            Leftover::Ended { processes } => ended += processes,
            Leftover::Left { processes } => left += processes,
        }
    }
    match (ended, left) {
        (0, 0) => Leftover::Gone,
        (processes, 0) => Leftover::Ended { processes },
        (_, processes) => Leftover::Left { processes },
    }
}

/// Kills all that is in a cgroup, and removes it once that is gone.
async fn kill_cgroup(cgroup: &Path) -> Leftover {
    let count = async || {
        let members = tokio::fs::read_to_string(cgroup.join("cgroup.procs")).await;
        members.map_or(0, |text| text.lines().count().try_into().unwrap_or(u32::MAX))
    };
    let processes = count().await;
    // One that is gone already needs no killing.
    let _: std::io::Result<()> = tokio::fs::write(cgroup.join("cgroup.kill"), "1").await;
    let end = tokio::time::Instant::now() + GRACE;
    while tokio::time::Instant::now() < end {
        match tokio::fs::remove_dir(cgroup).await {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy => tokio::time::sleep(LOOK_EVERY).await,
            Ok(()) | Err(_) => break,
        }
    }
    match (processes, count().await) {
        (0, 0) => Leftover::Gone,
        (processes, 0) => Leftover::Ended { processes },
        (_, processes) => Leftover::Left { processes },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[tokio::test]
    async fn after_the_machine_went_down_nobody_is_looked_for_and_files_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (socket, temporary) = (folder.path().join("socket"), folder.path().join("temporary"));
        std::fs::create_dir(&temporary).unwrap();
        let mut command = std::process::Command::new("sleep");
        command.arg("1000").process_group(0);
        command.env("DAYBOOK_SOCKET", &socket).env("DAYBOOK_JOB", "71").env("DAYBOOK_ATTEMPT", "2");
        let mut job = command.spawn().unwrap();
        let shim = Identity::of(job.id()).unwrap();
        let earlier = Identity { boot_id: shim.boot_id ^ 1, ..shim };
        let marked = |shim| Marked { shim, cgroup: None, temporary: Some(temporary.clone()) };
        let end = async |shim| end_lost(&socket, &marked(shim), None, JobId(71), 2).await;
        assert_eq!(end(earlier).await, Leftover::Gone);
        assert!(job.try_wait().unwrap().is_none() && !temporary.exists());
        // The child is reaped while its group is waited for, as its parent (process 1) would do.
        let reaper = std::thread::spawn(move || job.wait().unwrap());
        assert_eq!(end(shim).await, Leftover::Ended { processes: 1 });
        reaper.join().unwrap();
    }
}
