//! What cannot be started says why, in the words of a person.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use daybook::exec::{Outcome, Spec};

use crate::bench::{Bench, command, shell};

/// Runs what must not start, and answers the sentence.
async fn refused(bench: &mut Bench, spec: Spec) -> String {
    let ended = bench.run(spec).await;
    let Outcome::NotStarted { error } = ended.outcome else { panic!("{ended:?}") };
    error.replace(bench.folder.path().to_str().unwrap(), "FOLDER")
}

#[tokio::test]
async fn no_such_program() {
    let mut bench = Bench::new();
    let error = refused(&mut bench, command(&["/no/such/program", "x"])).await;
    assert_eq!(error, "cannot start `/no/such/program`: no such file or directory");
    let mut spec = command(&["no-such-program"]);
    spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
    let error = refused(&mut bench, spec).await;
    assert_eq!(error, "cannot start `no-such-program`: no such program in the job's PATH (/usr/bin:/bin)");
}

#[tokio::test]
async fn not_a_program() {
    let mut bench = Bench::new();
    let file = bench.path("file");
    let write = |text: &str, mode: u32| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("#!/bin/sh\n", 0o644);
    let error = refused(&mut bench, command(&[&file])).await;
    assert_eq!(error, "cannot start `FOLDER/file`: permission denied (is it executable?)");
    write("#!/no/such/interpreter\n", 0o755);
    let error = refused(&mut bench, command(&[&file])).await;
    assert_eq!(error, "cannot start `FOLDER/file`: the interpreter in its first line does not exist");
    write("just text\n", 0o755);
    let error = refused(&mut bench, command(&[&file])).await;
    assert_eq!(
        error,
        "cannot start `FOLDER/file`: exec format error (a script needs a first line such as `#!/bin/sh`)"
    );
    let error = refused(&mut bench, command(&["/usr"])).await;
    assert_eq!(error, "cannot start `/usr`: it is a directory");
    assert_eq!(refused(&mut bench, command(&[])).await, "cannot start: the command is empty");
}

#[tokio::test]
async fn no_working_directory() {
    let mut bench = Bench::new();
    let mut spec = shell("true");
    spec.cwd = Some(PathBuf::from("/no/such/folder"));
    let error = refused(&mut bench, spec.clone()).await;
    let expected = "cannot start `/bin/sh`: its working directory `/no/such/folder`: no such file or directory";
    assert_eq!(error, expected);
    spec.cwd = Some(PathBuf::from("/etc/passwd"));
    let error = refused(&mut bench, spec).await;
    assert_eq!(error, "cannot start `/bin/sh`: its working directory `/etc/passwd` is not a directory");
}

#[tokio::test]
async fn arguments_that_the_kernel_cannot_take() {
    let mut bench = Bench::new();
    let error = refused(&mut bench, command(&["true", "a\0b"])).await;
    assert!(error.contains("nul byte"), "{error}");
    let error = refused(&mut bench, command(&["true", &"x".repeat(1024 * 1024)])).await;
    assert_eq!(error, "cannot start `true`: argument list too long");
}

#[tokio::test]
async fn a_script_runs_and_sees_its_name_and_arguments() {
    let mut bench = Bench::new();
    let spec = command(&["sh", "-c", "echo \"$0|$1|$2\"", "zero", "a b", "*"]);
    assert_eq!(bench.print(spec).await, "zero|a b|*\n");
}

#[tokio::test]
async fn a_relative_program_is_relative_to_the_working_directory() {
    let mut bench = Bench::new();
    let mut spec = command(&["./sh", "-c", "pwd; echo $0"]);
    spec.cwd = Some(PathBuf::from("/bin"));
    let output = bench.print(spec).await;
    assert!(output.ends_with("bin\n./sh\n"), "{output}");
}

/// Another program in the place of the one that makes shims.
struct Early {
    folder: tempfile::TempDir,
}

impl Early {
    fn new(text: &str) -> Early {
        let folder = tempfile::tempdir().unwrap();
        // By another process: no descriptor of ours that is open for writing gets into what other tests are starting.
        let mut made = std::process::Command::new("sh");
        made.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\""]);
        assert!(made.arg(folder.path().join("shim")).arg(text).status().unwrap().success());
        Early { folder }
    }

    fn bench(&self) -> Bench {
        Bench::with(self.folder.path().join("shim"), None)
    }
}

#[tokio::test]
async fn what_makes_shims_may_be_killed_and_is_replaced() {
    let early = Early::new(&format!("echo $$ > \"$0.pid\"; exec {} \"$@\"", env!("CARGO_BIN_EXE_daybook")));
    let mut bench = early.bench();
    for _ in 0..3 {
        assert_eq!(bench.run(shell("true")).await.outcome, Outcome::Succeeded { exit_code: 0 });
        let pid = std::fs::read_to_string(early.folder.path().join("shim.pid")).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn what_makes_shims_and_is_killed_each_time_is_told() {
    let ended = Early::new("kill -9 $$").bench().run(shell("true")).await;
    let Outcome::NotStarted { error } = ended.outcome else { panic!("{ended:?}") };
    assert!(error.starts_with("cannot start the shim of `"), "{error}");
    assert!(error.ends_with("`: what makes it is killed again and again"), "{error}");
}

#[tokio::test]
async fn what_makes_shims_and_hangs_is_replaced() {
    let hangs_once = "test -e \"$0.hung\" || { : > \"$0.hung\"; exec sleep 1000; }";
    let early = Early::new(&format!("{hangs_once}; exec {} \"$@\"", env!("CARGO_BIN_EXE_daybook")));
    assert_eq!(early.bench().run(shell("true")).await.outcome, Outcome::Succeeded { exit_code: 0 });
}
