//! The cgroup of one attempt, where there is one: limits, and an end for all that is in it with one write.
//! The shim itself stays outside.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::exec::Spec;

/// The kernel takes no larger number of tasks.
const PIDS_MAX: u64 = 4 << 20;

/// A cgroup that was made for the job.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    /// `cgroup.procs` of the one that the shim is in.
    home: File,
}

impl Cgroup {
    /// Makes it, with the limits of the job, and room for the shim: see [`Cgroup::bound`].
    ///
    /// # Errors
    /// When it cannot be made, or a limit not be set, or the shim would not find its way back out of it.
    pub fn make(path: &Path, spec: &Spec) -> io::Result<Cgroup> {
        let home = OpenOptions::new().write(true).open(home(path)?.join("cgroup.procs"))?;
        match std::fs::create_dir(path) {
            // Of an attempt of that number that was forgotten in a crash.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let cgroup = Cgroup { path: path.to_owned(), home };
        cgroup.limit(spec, 1).inspect_err(|_| cgroup.remove())?;
        Ok(cgroup)
    }

    /// Sets the limits to what they are to be, once the shim has left it: the job is born while that is in it.
    ///
    /// # Errors
    /// When a limit cannot be set.
    pub fn bound(&self, spec: &Spec) -> io::Result<()> {
        match spec.tasks_max {
            Some(_) => self.limit(spec, 0),
            None => Ok(()),
        }
    }

    fn limit(&self, spec: &Spec, others: u64) -> io::Result<()> {
        let tasks = spec.tasks_max.map(|limit| limit.saturating_add(others).min(PIDS_MAX));
        // What is beyond its memory is not to go on in swap, where there is any.
        let swap = spec.memory_max.map(|_| 0);
        for (file, limit) in [("memory.max", spec.memory_max), ("memory.swap.max", swap), ("pids.max", tasks)] {
            let Some(limit) = limit else { continue };
            match self.write(file, &limit.to_string()) {
                Err(error) if file == "memory.swap.max" && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io::Error::new(error.kind(), format!("`{file}` cannot be set: {error}"))),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the shim into it, so that the job is born there.
    pub fn enter(&self) -> io::Result<()> {
        self.write("cgroup.procs", "0")
    }

    /// Moves the shim back to where it was.
    pub fn leave(&self) -> io::Result<()> {
        self.home.write_all_at(b"0", 0)
    }

    /// Ends every process in it, whoever's it is, and however fast they fork.
    pub fn kill(&self) -> io::Result<()> {
        self.write("cgroup.kill", "1")
    }

    /// How many processes the kernel has ended in it because they had too much memory.
    pub fn out_of_memory(&self) -> u64 {
        let events = std::fs::read_to_string(self.path.join("memory.events")).unwrap_or_default();
        let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok());
        kills.unwrap_or(0)
    }

    /// Removes it with those that the job made in it; what is still populated stays.
    pub fn remove(&self) {
        remove(&self.path);
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.path.join(file))?.write_all(text.as_bytes())
    }
}

/// The folder of the cgroup that this process, or the nursery that it was forked from, was in, in the file system that
/// `path` is in: the same for all attempts of a daemon.
fn home(path: &Path) -> io::Result<&'static Path> {
    static HOME: OnceLock<PathBuf> = OnceLock::new();
    match HOME.get() {
        Some(home) => Ok(home),
        None => find_home(path).map(|found| HOME.get_or_init(|| found).as_path()),
    }
}

fn find_home(path: &Path) -> io::Result<PathBuf> {
    let own = std::fs::read_to_string("/proc/self/cgroup")?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let own = own.ok_or_else(|| io::Error::other("this process is in no cgroup of version 2"))?;
    // The root of the file system is the last of the folders above that is a cgroup.
    let is_cgroup = |folder: &&Path| folder.join("cgroup.procs").exists();
    let root = path.ancestors().skip(1).take_while(is_cgroup).last();
    let root = root.ok_or_else(|| io::Error::other("it is not below a cgroup of version 2"))?;
    Ok(root.join(own))
}

/// Removes a cgroup from the innermost on, as only an empty one can go. Its files are the kernel's, and go by themselves.
pub(crate) fn remove(path: &Path) {
    // Few jobs make any in it.
    if std::fs::remove_dir(path).is_ok() {
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _: Result<_, _> = std::fs::remove_dir(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::Program;

    #[test]
    fn the_shim_has_room_until_it_has_left_and_there_is_no_swap() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let read = |name: &str| std::fs::read_to_string(path(name)).unwrap();
        // As the kernel has them: no file can be made. This one keeps no account of swap.
        ["cgroup.procs", "memory.max", "pids.max"].iter().for_each(|name| drop(File::create(path(name)).unwrap()));
        let home = OpenOptions::new().write(true).open(path("cgroup.procs")).unwrap();
        let cgroup = Cgroup { path: folder.path().to_owned(), home };
        let limited = |tasks_max| Spec {
            memory_max: Some(1 << 20),
            tasks_max: Some(tasks_max),
            ..Spec::new(Program::Shell("true".into()))
        };
        cgroup.limit(&limited(1), 1).unwrap();
        assert_eq!((read("memory.max"), read("pids.max")), ("1048576".into(), "2".into()));
        cgroup.bound(&limited(1)).unwrap();
        assert_eq!((read("memory.max"), read("pids.max").trim_end()), ("1048576".into(), "1"));
        File::create(path("pids.max")).unwrap();
        cgroup.limit(&limited(PIDS_MAX), 1).unwrap();
        assert_eq!(read("pids.max"), "4194304", "the kernel takes no more");
        File::create(path("memory.swap.max")).unwrap();
        cgroup.limit(&limited(1), 0).unwrap();
        assert_eq!(read("memory.swap.max"), "0");
        std::fs::remove_file(path("pids.max")).unwrap();
        let error = cgroup.bound(&limited(1)).unwrap_err().to_string();
        assert!(error.starts_with("`pids.max` cannot be set: "), "{error}");
    }
}
