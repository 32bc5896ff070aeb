//! A job that becomes another user, whom the shim may not signal: only its cgroup reaches it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::bench::{Bench, job, skip};
use crate::escapes::{End, Namespace};

const NOBODY: u32 = 65534;

fn open_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
}

/// Runs the job as an unprivileged shim does; answers how many stragglers are left by its own account, and really.
fn run(with_cgroup: bool) -> Option<(u32, usize)> {
    if !rustix::process::geteuid().is_root() {
        skip("only root can make a set-uid program of another user");
        return None;
    }
    let mut namespace = Namespace::new(with_cgroup);
    if with_cgroup {
        let Some(cgroup) = &namespace.cgroup else {
            println!("no cgroup of version 2 can be made here");
            return None;
        };
        let home = cgroup.join("home");
        for path in [cgroup, &cgroup.join("cgroup.procs"), &home, &home.join("cgroup.procs")] {
            open_to_nobody(path);
        }
    }
    namespace.wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned).into();
    let bench = Bench::new();
    let folder = bench.folder.path();
    open_to_nobody(folder);
    let perl = bench.path("perl");
    let script = bench.path("set_uid.pl");
    std::fs::copy("/usr/bin/perl", &perl).unwrap();
    std::fs::copy(job("set_uid.pl"), &script).unwrap();
    std::fs::set_permissions(&perl, std::fs::Permissions::from_mode(0o6755)).unwrap();
    let words = [perl.to_str().unwrap(), script.to_str().unwrap()];
    let (ended, left) = namespace.run(&bench, &words, End::ByItself, false)?;
    assert_eq!(ended.outcome.error(), None, "{ended:?} {}", bench.output());
    assert_eq!(ended.stragglers.count, 1, "{ended:?}");
    Some((ended.stragglers.left, left.len()))
}

#[test]
fn its_cgroup_reaches_it() {
    if let Some(left) = run(true) {
        assert_eq!(left, (0, 0));
    }
}

#[test]
fn without_a_cgroup_it_is_told_of() {
    if let Some(left) = run(false) {
        assert_eq!(left, (1, 1));
    }
}
