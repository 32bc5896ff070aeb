//! Who belongs to the attempt, and how they are signalled.
//!
//! The shim takes in orphans, so all that the job ever forks is below it, whatever sessions and groups it makes.
//! Nobody is signalled by number alone: a child of ours keeps its number until we reap it, and of anybody else
//! a descriptor is taken first, and looked at whether it is still one of ours then.

use std::collections::BTreeSet;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use std::os::unix::process::ExitStatusExt;

use super::cgroup::Cgroup;
use crate::exec::Stat;

/// How far up the parents of a process are followed, which may change meanwhile.
const DEPTH_MAX: usize = 1000;

/// The processes below this one.
#[derive(Debug)]
pub(super) struct Tree {
    own: u32,
    /// The job's main process until it is reaped. It leads a group of its number.
    main: Option<Pid>,
    pub cgroup: Option<Cgroup>,
    /// Who has been sent SIGTERM: a second one means something else to many programs.
    told: BTreeSet<u32>,
    /// Nobody is left, as the last look at it showed.
    is_empty: bool,
}

impl Tree {
    pub fn new() -> Tree {
        Tree { own: std::process::id(), main: None, cgroup: None, told: BTreeSet::new(), is_empty: true }
    }

    /// The job's main process has been made.
    pub fn begin(&mut self, main: Pid) {
        self.main = Some(main);
        self.is_empty = false;
    }

    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Takes note of who has ended; the answer is how the main process has, if it is among them.
    pub fn reap(&mut self) -> Option<ExitStatus> {
        let mut of_main = None;
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.main => {
                    self.main = None;
                    of_main = Some(ExitStatus::from_raw(status.as_raw()));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => break,
                Err(_) => {
                    self.is_empty = true;
                    break;
                }
            }
        }
        of_main
    }

    /// Asks all to end who have not been asked yet.
    pub fn terminate(&mut self) {
        let mut group = None;
        if let Some(main) = self.main.filter(|_| self.told.is_empty()) {
            // All of them at one instant, even those that are just being forked.
            let _: Result<_, _> = rustix::process::kill_process_group(main, Signal::TERM);
            group = Some(main.as_raw_pid().unsigned_abs());
        }
        for pid in self.descendants() {
            if self.told.insert(pid) && Stat::of(pid).is_ok_and(|stat| Some(stat.group) != group) {
                self.signal(pid, Signal::TERM);
            }
        }
    }

    /// Kills all who are there now; the answer is how many that were by the look of it.
    pub fn kill(&self) -> usize {
        if let Some(cgroup) = &self.cgroup {
            // Without it (before Linux 5.14) what follows does.
            let _: Result<_, _> = cgroup.kill();
        }
        let all = self.descendants();
        all.iter().for_each(|&pid| self.signal(pid, Signal::KILL));
        all.len()
    }

    /// Who runs, zombies apart.
    pub fn living(&self) -> Vec<u32> {
        if self.is_empty {
            return Vec::new();
        }
        self.descendants().into_iter().filter(|&pid| Stat::of(pid).is_ok_and(|stat| !stat.is_zombie)).collect()
    }

    fn signal(&self, pid: u32, signal: Signal) {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
        let Ok(process) = rustix::process::pidfd_open(number, PidfdFlags::empty()) else { return };
        if self.is_ours(pid) {
            let _: Result<_, _> = rustix::process::pidfd_send_signal(process, signal);
        }
    }

    /// Whether the process is below us.
    fn is_ours(&self, pid: u32) -> bool {
        let mut at = pid;
        for _ in 0..DEPTH_MAX {
            match Stat::of(at) {
                Ok(stat) if stat.parent == self.own => return true,
                Ok(stat) if stat.parent > 1 => at = stat.parent,
                _ => return false,
            }
        }
        false
    }

    /// All processes below us, parents before their children, as far as one look can tell.
    fn descendants(&self) -> Vec<u32> {
        let Some(mut found) = children(self.own) else { return self.descendants_by_parent() };
        let mut seen: BTreeSet<u32> = found.iter().copied().collect();
        let mut next = 0;
        while let Some(&pid) = found.get(next) {
            found.extend(children(pid).unwrap_or_default().into_iter().filter(|&child| seen.insert(child)));
            next += 1;
        }
        found
    }

    /// The same where the kernel keeps no lists of children: by a walk through all processes.
    fn descendants_by_parent(&self) -> Vec<u32> {
        let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let parents: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, Stat::of(pid).ok()?.parent))).collect();
        let mut found = vec![self.own];
        let mut next = 0;
        while let Some(&parent) = found.get(next) {
            found.extend(parents.iter().filter(|(pid, of)| *of == parent && *pid != self.own).map(|(pid, _)| pid));
            next += 1;
        }
        found.split_off(1)
    }
}

/// The children of all threads of a process; none if the kernel does not list them, or there is no such process.
fn children(pid: u32) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        match std::fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            // A thread that has just ended has given its children to another.
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(found)
}

/// The name of a program that runs.
pub(super) fn name(pid: u32) -> Option<String> {
    let name = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn both_ways_find_a_grandchild_and_no_stranger() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        let tree = Tree { is_empty: false, ..Tree::new() };
        for found in [tree.descendants(), tree.descendants_by_parent()] {
            assert!(found.contains(&child.id()) && found.contains(&grandchild), "{found:?}");
            assert!(!found.contains(&1) && !found.contains(&std::process::id()), "{found:?}");
        }
        assert!(tree.is_ours(grandchild) && tree.living().contains(&grandchild));
        assert!(!tree.is_ours(1) && !tree.is_ours(std::process::id()));
        tree.signal(grandchild, Signal::KILL);
        child.wait().unwrap();
        assert!(!tree.is_ours(grandchild));
    }
}
