//! Processes of attempts whose identity a killed daemon had no time to note: found by their environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::core::id::JobId;

use super::environment::{is_of, of_process};
use super::group::{Group, Stat};
use super::identity::Leftover;

/// Ends the process groups of these attempts, of a daemon that listened on `socket`: SIGTERM, then SIGKILL after
/// `grace`. A group is ended only if a member of it was started with the job, the attempt and the socket in its environment.
pub async fn end_strays(socket: &Path, attempts: Vec<(JobId, u32)>, grace: Duration) -> Vec<(JobId, Leftover)> {
    if attempts.is_empty() {
        return Vec::new();
    }
    let socket = socket.to_owned();
    let found = tokio::task::spawn_blocking(move || find(&socket, &attempts)).await.unwrap_or_default();
    let ends = found.into_iter().map(|(leader, (job, processes))| async move {
        let left = match Group::of_leader(leader) {
            Some(group) => group.end(Instant::now() + grace).await,
            None => 0,
        };
        (job, if left == 0 { Leftover::Ended { processes } } else { Leftover::Left { processes: left } })
    });
    futures_util::future::join_all(ends).await
}

/// Whether there are processes of any of these attempts of a daemon that listens on `socket`. It blocks.
pub fn any_strays(socket: &Path, attempts: &[(JobId, u32)]) -> bool {
    !attempts.is_empty() && !find(socket, attempts).is_empty()
}

/// How many processes there are of this attempt of a daemon that listens on `socket`. It blocks.
pub fn count_strays(socket: &Path, job: JobId, attempt: u32) -> u32 {
    find(socket, &[(job, attempt)]).into_values().map(|(_, processes)| processes).sum()
}

/// The groups of these attempts by their leader, with how many proven members each has. Reads all of /proc.
fn find(socket: &Path, attempts: &[(JobId, u32)]) -> BTreeMap<u32, (JobId, u32)> {
    let mut groups = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else { return groups };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        let Some(environment) = of_process(pid) else { continue };
        let socket = [b"DAYBOOK_SOCKET=", socket.as_os_str().as_encoded_bytes()].concat();
        if !environment.split(|&byte| byte == 0).any(|entry| entry == socket) {
            continue;
        }
        let attempt = attempts.iter().find(|(job, attempt)| is_of(&environment, *job, *attempt));
        if let (Some((job, _)), Ok(stat)) = (attempt, Stat::of(pid))
            && !stat.is_zombie
        {
            groups.entry(stat.group).or_insert((*job, 0)).1 += 1;
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command};

    fn sleeper(socket: &str, job: &str) -> Child {
        let mut command = Command::new("sleep");
        command.arg("1000").process_group(0);
        command.env("DAYBOOK_SOCKET", socket).env("DAYBOOK_JOB", job).env("DAYBOOK_ATTEMPT", "2");
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn only_what_is_proven_is_ended() {
        let socket = format!("/run/strays-{}.sock", std::process::id());
        let mut ours = sleeper(&socket, "71");
        let mut other_job = sleeper(&socket, "72");
        let mut other_daemon = sleeper("/run/another.sock", "71");
        // The child is reaped while its group is waited for, as its parent (process 1) would do.
        let reaper = std::thread::spawn(move || ours.wait().unwrap());
        let ended = end_strays(Path::new(&socket), vec![(JobId(71), 2)], Duration::from_secs(5)).await;
        assert_eq!(ended, [(JobId(71), Leftover::Ended { processes: 1 })]);
        assert_eq!(reaper.join().unwrap().signal(), Some(15));
        for child in [&mut other_job, &mut other_daemon] {
            assert!(child.try_wait().unwrap().is_none(), "somebody else's process was ended");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
