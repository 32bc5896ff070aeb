//! Jobs of other users, and with limits, from the name in the config to the process.

use std::os::unix::fs::PermissionsExt;

use daybook::core::limits::RESULT_BYTES_MAX;
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
async fn a_job_of_a_user_leaves_its_result() {
    if !is_root("a_job_of_a_user_leaves_its_result") {
        return;
    }
    let mut bench = Bench::new();
    // As the state folder is.
    std::fs::set_permissions(bench.folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let run = async |bench: &mut Bench, text: &str| {
        let ended = bench.run(as_user("nobody", shell(text))).await;
        assert_eq!(ended.outcome, Outcome::Succeeded { exit_code: 0 }, "{ended:?}");
        (ended.result, ended.notes)
    };
    assert_eq!(run(&mut bench, "echo '[7]' >$DAYBOOK_RESULT").await, (Some("[7]".to_owned()), Vec::new()));
    assert_eq!(run(&mut bench, "true").await, (None, Vec::new()));
    let own =
        Spec { env: [("TMPDIR".to_owned(), "/nowhere".to_owned())].into(), ..shell("echo $TMPDIR >$DAYBOOK_RESULT") };
    assert_eq!(bench.run(as_user("nobody", own)).await.result.as_deref(), Some("\"/nowhere\""));
    let large = format!("head -c {} /dev/zero | tr '\\0' 1 >$DAYBOOK_RESULT", RESULT_BYTES_MAX * 9);
    let dropped = |why: &str| (None, vec![format!("the result is dropped: {why}")]);
    assert_eq!(run(&mut bench, &large).await, dropped(&format!("it is larger than {RESULT_BYTES_MAX} bytes")));
    assert_eq!(run(&mut bench, "mkfifo $DAYBOOK_RESULT").await, dropped("it is not a regular file"));
    let link = run(&mut bench, "ln -s /etc/shadow $DAYBOOK_RESULT").await;
    assert!(link.0.is_none() && link.1.len() == 1, "{link:?}");
    // A file of somebody else, under the right name in a folder that took the place of the job's own.
    let foreign = tempfile::tempdir().unwrap();
    std::fs::write(foreign.path().join("daybook-result"), "secret").unwrap();
    let folder = foreign.path().display();
    let text = format!("rmdir $TMPDIR && ln -s {folder} $TMPDIR");
    assert_eq!(run(&mut bench, &text).await, dropped("it is not a file of the job's user"));
    assert!(foreign.path().join("daybook-result").exists(), "and what is there stays");
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
