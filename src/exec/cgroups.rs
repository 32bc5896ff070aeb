//! Where the cgroups of attempts can be made, and what they can bound. Only the second version of cgroups is of use
//! here. What is done with the cgroup of an attempt is the shim's business.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use rustix::io::Errno;

use crate::core::id::JobId;
use crate::shim;

/// The controllers that a task can ask for.
pub const WANTED: [&str; 2] = ["memory", "pids"];
/// Where systemd notes that it leaves all below a cgroup to whom it started in there (the second one: root's).
const DELEGATED: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// A folder below which cgroups of attempts are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub folder: PathBuf,
    /// The daemon's own cgroup: that folder, or one in it.
    pub own: PathBuf,
    /// Those of [`WANTED`] that the kernel has for cgroups in it. They are switched on by [`Site::enable`].
    pub controllers: Vec<String>,
}

/// Finds the place for this daemon. It changes nothing.
///
/// Where systemd has put the daemon into a subgroup of what it delegates (`Delegate=yes`, `DelegateSubgroup=`), attempts
/// go beside it, and there can be controllers. Otherwise they go below the daemon's own cgroup, which has processes in
/// it, and so can have no controllers for those below.
///
/// # Errors
/// Why there can be no cgroups, as a fragment for a person.
pub fn site() -> Result<Site, String> {
    site_of(Path::new("/proc/self"), is_delegated)
}

fn site_of(process: &Path, is_delegated: impl Fn(&Path) -> bool) -> Result<Site, String> {
    let read = |name: &str| {
        let path = process.join(name);
        std::fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    };
    let own = own(&read("cgroup")?, &read("mountinfo")?)?;
    let may_write = |folder: &Path| {
        let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK);
        may(folder).and_then(|()| may(&folder.join("cgroup.procs")))
    };
    // Root may write everywhere: what counts is whom it was left to.
    if let Some(above) = own.parent().filter(|above| is_delegated(above) && may_write(above).is_ok()) {
        let has = std::fs::read_to_string(above.join("cgroup.controllers")).unwrap_or_default();
        let controllers = WANTED.into_iter().filter(|wanted| has.split_whitespace().any(|one| one == *wanted));
        return Ok(Site {
            folder: above.to_owned(),
            own: own.clone(),
            controllers: controllers.map(str::to_owned).collect(),
        });
    }
    match may_write(&own) {
        Ok(()) => Ok(Site { folder: own.clone(), own, controllers: Vec::new() }),
        Err(error) => {
            let why = io::Error::from(error);
            Err(format!(
                "the daemon may not make cgroups in its own, `{}`: {why} (`Delegate=yes` allows it)",
                own.display()
            ))
        }
    }
}

/// Removes the cgroups in `folder` whose names are `prefix` and an attempt's, unless a process is in there, or the attempt
/// is under way: those in which a job was allowed to leave processes that have ended since. It blocks.
pub(super) fn clear(folder: &Path, prefix: &str, is_under_way: impl Fn(JobId, u32) -> bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let attempt = name.to_str().and_then(|name| shim::parse_name(name.strip_prefix(prefix)?));
        let Some((job, attempt)) = attempt else { continue };
        let events = std::fs::read_to_string(entry.path().join("cgroup.events")).unwrap_or_default();
        let is_populated = events.lines().any(|line| line == "populated 1");
        // Asked last: an attempt is under way before its cgroup is made.
        if !is_populated && !is_under_way(job, attempt) {
            shim::remove_cgroup(&entry.path());
        }
    }
}

/// Whether systemd leaves everything below a cgroup to others.
fn is_delegated(folder: &Path) -> bool {
    let says_yes = |name: &str| {
        let mut value = [0; 8];
        rustix::fs::getxattr(folder, name, &mut value[..]).is_ok_and(|length| &value[..length] == b"1")
    };
    DELEGATED.into_iter().any(says_yes)
}

/// The folder of the own cgroup, by /proc/self/cgroup and /proc/self/mountinfo.
fn own(cgroup: &str, mountinfo: &str) -> Result<PathBuf, String> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    let path = path.ok_or("the kernel has no cgroups of version 2")?;
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        Some((unescaped(fields.next()?), unescaped(fields.next()?)))
    });
    let mut own = mounts.filter_map(|(root, point)| {
        let below = Path::new(path).strip_prefix(&root).ok()?;
        // `join` of nothing would add a slash.
        Some(if below.as_os_str().is_empty() { point.into() } else { Path::new(&point).join(below) })
    });
    own.next().ok_or_else(|| format!("no cgroups of version 2 are mounted that show the daemon's own, `{path}`"))
}

/// A path as mountinfo writes it: spaces, tabs, line ends and backslashes are `\040` and the like.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

impl Site {
    /// Switches the controllers on for the cgroups that are made in here.
    ///
    /// # Errors
    /// When the kernel refuses, as a fragment for a person.
    pub fn enable(&self) -> Result<(), String> {
        let path = self.folder.join("cgroup.subtree_control");
        for controller in &self.controllers {
            let enable = || std::fs::write(&path, format!("+{controller}"));
            let enabled = match enable() {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => self.vacate().and_then(|()| enable()),
                enabled => enabled,
            };
            enabled
                .map_err(|error| format!("the controller `{controller}` in `{}`: {error}", self.folder.display()))?;
        }
        Ok(())
    }

    /// Moves into the daemon's own cgroup who is in the folder itself: shims that a daemon without a subgroup has left.
    fn vacate(&self) -> io::Result<()> {
        for process in std::fs::read_to_string(self.folder.join("cgroup.procs"))?.lines() {
            match std::fs::write(self.own.join("cgroup.procs"), process) {
                // It has ended meanwhile.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
                moved => moved?,
            }
        }
        Ok(())
    }

    /// # Errors
    /// Why attempts cannot be bounded by this controller, as a fragment for a person.
    pub fn require(&self, controller: &str) -> Result<(), String> {
        if self.controllers.iter().any(|has| has == controller) {
            return Ok(());
        }
        Err(format!("the cgroup `{}` has no controller `{controller}` for those in it", self.folder.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A machine of files: a process in the cgroup `path`, with cgroups mounted at `sys`.
    fn machine(path: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let sys = folder.path().join("sys");
        let own = sys.join(path.trim_start_matches('/'));
        fs::create_dir_all(&own).unwrap();
        for folder in own.ancestors().take_while(|folder| folder.starts_with(&sys)) {
            fs::write(folder.join("cgroup.procs"), "").unwrap();
            fs::write(folder.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        }
        fs::write(folder.path().join("cgroup"), format!("4:memory:/elsewhere\n0::{path}\n")).unwrap();
        let mount = |root: &str, kind: &str, point: &Path| {
            format!("41 31 0:38 {root} {} rw,relatime shared:9 - {kind} x rw\n", point.display())
        };
        let mounts = mount("/", "cgroup", Path::new("/other")) + &mount("/", "cgroup2", &sys);
        fs::write(folder.path().join("mountinfo"), mounts).unwrap();
        (folder, sys)
    }

    #[test]
    fn only_empty_cgroups_of_our_own_are_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let names = ["ours-1.1", "ours-2.1", "ours-3.1", "ours-x", "theirs-1.1"];
        names.iter().for_each(|name| fs::create_dir_all(folder.path().join(name).join("inner")).unwrap());
        fs::write(folder.path().join("ours-2.1/cgroup.events"), "populated 1\nfrozen 0\n").unwrap();
        clear(folder.path(), "ours-", |job, _| job == JobId(3));
        let is_left = |name: &&str| folder.path().join(name).join("inner").exists();
        assert_eq!(names.iter().copied().filter(is_left).collect::<Vec<_>>(), names[1..]);
        clear(&folder.path().join("nowhere"), "ours-", |_, _| false);
    }

    #[test]
    fn runs_go_below_the_own_cgroup_without_controllers() {
        let (machine, sys) = machine("/system.slice/daybook.service");
        let own = sys.join("system.slice/daybook.service");
        let site = site_of(machine.path(), |_| false).unwrap();
        assert_eq!(site, Site { folder: own.clone(), own: own.clone(), controllers: Vec::new() });
        let why = site.require("memory").unwrap_err();
        assert_eq!(why, format!("the cgroup `{}` has no controller `memory` for those in it", own.display()));
    }

    #[test]
    fn runs_go_beside_a_delegated_subgroup_with_controllers() {
        let (machine, sys) = machine("/system.slice/daybook.service/daemon");
        let above = sys.join("system.slice/daybook.service");
        let site = site_of(machine.path(), |folder| folder == above).unwrap();
        assert_eq!(site.folder, above);
        assert_eq!(site.controllers, WANTED);
        site.require("pids").unwrap();
        site.enable().unwrap();
        assert_eq!(fs::read_to_string(above.join("cgroup.subtree_control")).unwrap(), "+pids", "the last one");
    }

    #[test]
    fn why_there_is_no_place_is_told() {
        let (machine, sys) = machine("/a");
        fs::remove_file(sys.join("a/cgroup.procs")).unwrap();
        let why = site_of(machine.path(), |_| false).unwrap_err();
        assert!(
            why.starts_with("the daemon may not make cgroups in its own, `") && why.contains("Delegate=yes"),
            "{why}"
        );
        fs::write(machine.path().join("cgroup"), "4:memory:/elsewhere\n").unwrap();
        assert_eq!(site_of(machine.path(), |_| false).unwrap_err(), "the kernel has no cgroups of version 2");
        fs::remove_file(machine.path().join("mountinfo")).unwrap();
        assert!(site_of(machine.path(), |_| false).unwrap_err().starts_with("cannot read `"));
    }

    #[test]
    fn the_own_cgroup_is_found_through_namespaces_and_odd_names() {
        let line = |root: &str, point: &str| format!("41 31 0:38 {root} {point} rw - cgroup2 cgroup2 rw");
        let own = |path: &str, root, point| own(&format!("0::{path}"), &line(root, point));
        assert_eq!(own("/", "/", "/sys/fs/cgroup"), Ok("/sys/fs/cgroup".into()));
        assert_eq!(own("/a/b", "/a", "/mnt"), Ok("/mnt/b".into()));
        assert_eq!(own("/a b", "/", "/my\\040mount"), Ok("/my mount/a b".into()));
        assert!(own("/b", "/a", "/mnt").unwrap_err().ends_with("that show the daemon's own, `/b`"));
        assert!(own("/../x", "/a", "/mnt").is_err(), "outside of the namespace");
    }
}
