//! Process groups: who is in one, signalling it, and waiting until nobody is.
//! Who may be signalled is decided by the callers; what proves that a group is ours stands there.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use tokio::time::Instant;

/// How long to wait for a group to be gone after SIGKILL. Who is still there sits in a system call that
/// cannot be interrupted, or belongs to another user.
const KILLED_WAIT: Duration = Duration::from_secs(2);

/// The longest time between two looks at a group. The kernel hands process numbers out in a circle, so the
/// number of a group that was seen alive cannot come to name another one within so short a time.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(50);

/// 52 numbers and a name.
const STAT_BYTES_MAX: usize = 2048;

/// A process group, by its number, which is the process number of its first leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group(Pid);

/// One process, as /proc shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub pid: u32,
    pub stat: Stat,
}

/// The fields of /proc/PID/stat that are of use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Ended, and only waits to be reaped.
    pub is_zombie: bool,
    pub parent: u32,
    pub group: u32,
    /// Clock ticks from boot to its start.
    pub start_time: u64,
}

impl Stat {
    /// Of a process that exists; an error if there is none or /proc cannot be read.
    pub fn of(pid: u32) -> std::io::Result<Stat> {
        // A buffer for the whole of it, as the kernel makes it anew for each read.
        let mut text = [0; STAT_BYTES_MAX];
        let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut text)?;
        Stat::parse(&text[..length]).ok_or_else(|| std::io::Error::other(format!("cannot understand /proc/{pid}/stat")))
    }

    fn parse(text: &[u8]) -> Option<Stat> {
        // The second field is the program's name in parentheses, and may contain spaces and parentheses.
        let end = text.iter().rposition(|&byte| byte == b')')?;
        let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let start_time = fields.nth(16)?.parse().ok()?;
        Some(Stat { is_zombie: matches!(state, "Z" | "X" | "x"), parent, group, start_time })
    }
}

impl Group {
    /// The group whose first leader was process `pid`; none for a number that no process can have, nor for
    /// 1: a signal to group 1 is a signal to everybody.
    pub fn of_leader(pid: u32) -> Option<Group> {
        let raw = i32::try_from(pid).ok().filter(|&raw| raw > 1)?;
        Pid::from_raw(raw).map(Group)
    }

    pub fn leader(self) -> u32 {
        self.0.as_raw_pid().unsigned_abs()
    }

    /// Sends `signal` to every process of the group; the answer is whether the group has any.
    pub fn signal(self, signal: Signal) -> bool {
        rustix::process::kill_process_group(self.0, signal) != Err(Errno::SRCH)
    }

    /// Whether the group has any process, zombies included. One system call.
    pub fn exists(self) -> bool {
        rustix::process::test_kill_process_group(self.0) != Err(Errno::SRCH)
    }

    /// The processes of the group that are not zombies. Reads all of /proc: milliseconds. It blocks.
    pub fn members(self) -> Vec<Member> {
        let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter_map(|pid| Stat::of(pid).ok().map(|stat| Member { pid, stat }))
            .filter(|member| member.stat.group == self.leader() && !member.stat.is_zombie)
            .collect()
    }

    /// How many members there are, without blocking the caller's thread, and free of charge if there are none.
    pub async fn population(self) -> u32 {
        if !self.exists() {
            return 0;
        }
        let members = tokio::task::spawn_blocking(move || self.members().len());
        members.await.unwrap_or(0).try_into().unwrap_or(u32::MAX)
    }

    /// Waits until no member is left or `deadline` has come; the answer is how many are left.
    pub async fn wait_gone(self, deadline: Instant) -> u32 {
        let mut look_after = Duration::from_millis(1);
        loop {
            if !self.exists() {
                return 0;
            }
            // Zombies keep a group in existence for as long as their parent, mostly process 1, lets them wait.
            // To tell them apart costs a walk through /proc, so the first looks do without.
            let left = if look_after > LOOK_EVERY_MAX / 4 { self.population().await } else { 1 };
            if left == 0 {
                return 0;
            }
            let now = Instant::now();
            if now >= deadline {
                return self.population().await;
            }
            tokio::time::sleep_until(deadline.min(now + look_after)).await;
            look_after = (look_after * 2).min(LOOK_EVERY_MAX);
        }
    }

    /// Sends SIGTERM now, SIGKILL at `kill_at`, and answers how many are left.
    pub async fn end(self, kill_at: Instant) -> u32 {
        if !self.signal(Signal::TERM) {
            return 0;
        }
        if self.wait_gone(kill_at).await == 0 || !self.signal(Signal::KILL) {
            return 0;
        }
        self.wait_gone(Instant::now() + KILLED_WAIT).await
    }
}

/// The instant in `duration` from now, however long that is.
pub(super) fn far(duration: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(duration).unwrap_or_else(|| now + crate::core::limits::DURATION_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_parsed_behind_any_program_name() {
        let line = b"4711 (a) b (c) S 1 4700 4600 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2 3";
        assert_eq!(Stat::parse(line), Some(Stat { is_zombie: false, parent: 1, group: 4700, start_time: 987_654 }));
        assert_eq!(Stat::parse(b"4711 (a"), None);
        assert_eq!(Stat::parse(b"4711 (a) S 1 2"), None);
    }

    #[test]
    fn no_group_stands_for_everybody() {
        assert_eq!(Group::of_leader(0), None);
        assert_eq!(Group::of_leader(1), None);
        assert_eq!(Group::of_leader(u32::MAX), None);
        assert!(Group::of_leader(2).is_some());
    }

    #[test]
    fn our_own_group_has_us_in_it() {
        let stat = Stat::of(std::process::id()).unwrap();
        let group = Group::of_leader(stat.group).unwrap();
        assert!(group.exists());
        assert!(group.members().iter().any(|member| member.pid == std::process::id()));
    }
}
