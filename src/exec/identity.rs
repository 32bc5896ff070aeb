//! Which process an attempt is: a number alone may have been given to somebody else since.
//! Also the ending of what a daemon that died has left running.

use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::id::JobId;

use super::environment::{is_of, of_process};
use super::group::{Group, Member, Stat, far};

/// A process that no other process, before or after, shares its identity with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: u32,
    /// Clock ticks from boot to its start, as in /proc/PID/stat.
    pub start_time: u64,
    /// The boot of the kernel it runs under, as in /proc/sys/kernel/random/boot_id.
    pub boot_id: u128,
}

/// What became of an attempt's process group that an earlier daemon had started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// Nothing of it is there any more, or only processes that cannot be proven to belong to it.
    Gone,
    /// So many processes were there and have been ended.
    Ended { processes: u32 },
    /// So many are still there after SIGKILL: they hang in the kernel, or belong to another user.
    Left { processes: u32 },
}

impl Identity {
    /// Of a process that exists.
    ///
    /// # Errors
    /// When there is none, or when /proc cannot be read.
    pub fn of(pid: u32) -> std::io::Result<Identity> {
        let boot_id = boot_id().ok_or_else(|| std::io::Error::other("cannot read the kernel's boot id"))?;
        Ok(Identity { pid, start_time: Stat::of(pid)?.start_time, boot_id })
    }

    /// Whether this very process still runs. A zombie does not.
    pub fn is_alive(&self) -> bool {
        self.is_this_boot() && Stat::of(self.pid).is_ok_and(|stat| self.is_leader(&stat) && !stat.is_zombie)
    }

    /// Ends what is left of the process group that this process led for `attempt` of `job`: SIGTERM, then
    /// SIGKILL after `grace`. Nobody is signalled without proof: either the leader is still the same process, or
    /// it is gone and a member of the group has this job and attempt in its environment.
    pub async fn end_group(&self, job: JobId, attempt: u32, grace: Duration) -> Leftover {
        let Some(group) = Group::of_leader(self.pid).filter(|group| self.is_this_boot() && group.exists()) else {
            return Leftover::Gone;
        };
        let processes = self.proven(group, job, attempt).await;
        if processes == 0 {
            return Leftover::Gone;
        }
        // From here on the group is looked at so often that its number cannot change its meaning.
        match group.end(far(grace)).await {
            0 => Leftover::Ended { processes },
            processes => Leftover::Left { processes },
        }
    }

    /// How many processes are left of the group that this process led for `attempt` of `job`; those that are not proven
    /// to be of it do not count. It blocks.
    pub fn count_group(&self, job: JobId, attempt: u32) -> u32 {
        let group = Group::of_leader(self.pid).filter(|group| self.is_this_boot() && group.exists());
        group.map_or(0, |group| self.count(group, job, attempt))
    }

    /// How many processes the group has; 0 if it is not proven to be ours.
    async fn proven(self, group: Group, job: JobId, attempt: u32) -> u32 {
        tokio::task::spawn_blocking(move || self.count(group, job, attempt)).await.unwrap_or(0)
    }

    fn count(&self, group: Group, job: JobId, attempt: u32) -> u32 {
        let members = group.members();
        // All processes of a group share its number, and a number names one group at a time:
        // what proves one member proves all.
        let is_ours = match Stat::of(self.pid) {
            Ok(stat) => self.is_leader(&stat) && stat.group == self.pid,
            Err(_) => members.iter().any(|member| is_of_attempt(member, job, attempt)),
        };
        if is_ours { members.len().try_into().unwrap_or(u32::MAX) } else { 0 }
    }

    /// Whether the machine has not gone down since: else the process is gone, and all that it made.
    pub(crate) fn is_this_boot(&self) -> bool {
        boot_id() == Some(self.boot_id)
    }

    fn is_leader(&self, stat: &Stat) -> bool {
        stat.start_time == self.start_time
    }
}

/// Whether the process was started with the environment of this attempt. No, where we may not read it.
fn is_of_attempt(member: &Member, job: JobId, attempt: u32) -> bool {
    of_process(member.pid).is_some_and(|environment| is_of(&environment, job, attempt))
}

/// The number that the kernel gave itself at boot.
fn boot_id() -> Option<u128> {
    static BOOT_ID: OnceLock<Option<u128>> = OnceLock::new();
    *BOOT_ID.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        u128::from_str_radix(&text.trim().replace('-', ""), 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_an_identity_counts() {
        let own = Identity::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start_time: own.start_time + 1, ..own }.is_alive());
        assert!(!Identity { boot_id: own.boot_id ^ 1, ..own }.is_alive());
        assert!(!Identity { pid: 0, ..own }.is_alive());
    }
}
