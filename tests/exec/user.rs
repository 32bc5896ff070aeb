//! Jobs of other users, and with limits, from the name in the config to the process.

use std::os::unix::fs::PermissionsExt;

use daybook::exec::{Outcome, RunAs, Spec};

use crate::bench::{Bench, command, shell};

fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
        eprintln!("skipped: {test} needs root, because only root can start a job as another user");
    }
    root
}

fn as_user(user: &str, spec: Spec) -> Spec {
    Spec { run_as: Some(RunAs { user: user.into(), group: None, groups: None }), cwd: Some("/".into()), ..spec }
}

#[tokio::test]
async fn a_job_has_its_user_and_a_folder_of_its_own() {
    if !is_root("a_job_has_its_user_and_a_folder_of_its_own") {
        return;
    }
    let text = "id -un; echo $USER; touch $TMPDIR/x && stat -c %U $TMPDIR/x; umask; ulimit -n";
    let limits = [("nofile".to_owned(), daybook::shim::Limit { soft: Some(50), hard: Some(60) })].into();
    let spec = Spec { umask: Some(0o27), limits, ..as_user("daemon", shell(text)) };
    assert_eq!(Bench::new().print(spec).await, "daemon\ndaemon\ndaemon\n0027\n50\n");
}

#[tokio::test]
async fn why_a_job_of_a_user_cannot_start_is_told() {
    if !is_root("why_a_job_of_a_user_cannot_start_is_told") {
        return;
    }
    let mut bench = Bench::new();
    let folder = bench.folder.path().join("shut");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let spec = Spec { cwd: Some(folder.clone()), ..as_user("daemon", shell("true")) };
    let error = format!("cannot start `/bin/sh`: its working directory `{}`: permission denied", folder.display());
    assert_eq!(bench.run(spec).await.outcome, Outcome::NotStarted { error });
    let error = "cannot start: there is no user `no-such-user`".to_owned();
    assert_eq!(Bench::new().run(as_user("no-such-user", shell("true"))).await.outcome, Outcome::NotStarted { error });
}

/// The dynamic linker of a process that is still root would load what it names; it complains where it cannot.
#[tokio::test]
async fn what_variables_say_to_the_linker_is_for_the_job_alone() {
    if cfg!(not(target_env = "gnu")) {
        return eprintln!("skipped: the complaint is that of the GNU C library");
    }
    let mut spec = Spec { nice: Some(1), ..command(&["true"]) };
    spec.env.insert("LD_PRELOAD".into(), "/nowhere.so".into());
    let output = Bench::new().print(spec).await;
    assert_eq!(output.matches("/nowhere.so").count(), 1, "{output}");
}
