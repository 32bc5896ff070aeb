//! A job that is made in two steps, and hangs in the second one: its folder is on a file system whose server is gone.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use daybook::exec::{Outcome, Spec};
use rustix::process::Signal;

use crate::bench::{Bench, shell, skip, until};

/// A mounted file system of which nobody answers what is asked.
struct Dead {
    folder: PathBuf,
    /// Has the server's end open.
    server: Child,
}

impl Dead {
    /// None, with the reason told, where there can be no such.
    fn mount(folder: &Path) -> Option<Dead> {
        std::fs::create_dir(folder).unwrap();
        let text = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead \"$0\" \
                    && exec sleep 1000";
        let mut server = Command::new("sh");
        server.args(["-c", text]).arg(folder).stderr(Stdio::null());
        let mut dead = Dead { folder: folder.to_owned(), server: server.spawn().unwrap() };
        let is_mounted = until("mounted", || {
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
            let is_there = mounts.contains(&format!("dead {} fuse", folder.display()));
            let is_over = dead.server.try_wait().unwrap().is_some();
            (is_there || is_over).then_some(is_there)
        });
        if !is_mounted {
            skip("no file system without a server can be mounted, which takes root and /dev/fuse");
        }
        is_mounted.then_some(dead)
    }
}

impl Drop for Dead {
    fn drop(&mut self) {
        // Who waits for an answer gets an error now.
        let _: Result<_, _> = self.server.kill();
        let _: Result<_, _> = self.server.wait();
        let _: Result<_, _> = Command::new("umount").arg("-l").arg(&self.folder).stderr(Stdio::null()).status();
    }
}

#[test]
fn it_can_be_cancelled_and_its_time_runs() {
    let bench = Bench::new();
    let Some(dead) = Dead::mount(&bench.path("dead")) else { return };
    let spec = Spec { nice: Some(1), cwd: Some(dead.folder.clone()), ..shell("true") };
    let ended = bench.run(Spec { timeout: Some(Duration::from_millis(100)), ..spec.clone() });
    assert!(matches!(ended.outcome, Outcome::TimedOut { .. }), "{ended:?}");
    let shim = bench.start(&bench.order(spec));
    let children = format!("/proc/{0}/task/{0}/children", shim.pid());
    until("a process", || std::fs::read_to_string(&children).is_ok_and(|pids| !pids.is_empty()).then_some(()));
    shim.signal(Signal::USR1);
    assert_eq!(shim.ended().outcome, Outcome::Cancelled);
}

#[test]
fn why_it_cannot_start_is_told_whatever_means_success() {
    let spec = Spec { nice: Some(1), cwd: Some("/nowhere".into()), success_exit_codes: vec![0, 1], ..shell("true") };
    let error = "cannot start `/bin/sh`: its working directory `/nowhere`: no such file or directory".to_owned();
    assert_eq!(Bench::new().run(spec).outcome, Outcome::NotStarted { error });
}
