//! What a config is besides its text: who may write to its files, what is left in their folders, what they name
//! outside, and what happens to them while they are read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use daybook::config::{Config, Errors, check_text, load};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&folder, name, text);
    }
    folder
}

fn write(folder: &TempDir, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn loaded(folder: &TempDir) -> Result<Config, Errors> {
    load(&folder.path().join("daybook.toml"))
}

/// Without the folder's own name.
fn plain(folder: &TempDir, text: impl ToString) -> String {
    text.to_string().replace(&format!("{}/", folder.path().display()), "")
}

fn errors(folder: &TempDir) -> String {
    plain(folder, loaded(folder).unwrap_err())
}

fn warnings(folder: &TempDir) -> Vec<String> {
    loaded(folder).unwrap().warnings.iter().map(|warning| plain(folder, warning)).collect()
}

fn tasks(config: &Config) -> Vec<&str> {
    config.tasks.keys().map(String::as_str).collect()
}

fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Tests of what root refuses run as root. With `CI` in the environment they must.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        assert!(std::env::var_os("CI").is_none(), "{test} needs root");
        eprintln!("skipped: {test} needs root, because only a daemon of root looks at who may write");
    }
    root
}

const GOOD: &str = "[task.a]\nshell = 'true'\n";

#[test]
fn root_refuses_files_that_others_may_write() {
    if !is_root("root_refuses_files_that_others_may_write") {
        return;
    }
    let folder = folder(&[("daybook.toml", ""), ("tasks.d/a.toml", GOOD)]);
    let (main, included) = (folder.path().join("daybook.toml"), folder.path().join("tasks.d/a.toml"));
    assert_eq!(tasks(&loaded(&folder).unwrap()), ["a"]);
    mode(&main, 0o664);
    assert_eq!(tasks(&loaded(&folder).unwrap()), ["a"], "root's own group");
    mode(&included, 0o602);
    assert_eq!(
        errors(&folder),
        "tasks.d/a.toml: may be written by everybody (mode 0602), and this daemon runs as root; \
         `chmod go-w tasks.d/a.toml`"
    );
    mode(&included, 0o644);
    std::os::unix::fs::chown(&main, None, Some(12345)).unwrap();
    assert!(errors(&folder).starts_with("daybook.toml: may be written by group 12345 (mode 0664)"));
    std::os::unix::fs::chown(&main, Some(54321), Some(0)).unwrap();
    assert_eq!(
        errors(&folder),
        "daybook.toml: belongs to user 54321, and this daemon runs as root; `chown root daybook.toml`"
    );
}

#[test]
fn root_refuses_files_in_a_folder_that_others_may_write() {
    if !is_root("root_refuses_files_in_a_folder_that_others_may_write") {
        return;
    }
    let folder = folder(&[("daybook.toml", ""), ("tasks.d/a.toml", GOOD)]);
    let tasks_d = folder.path().join("tasks.d");
    mode(&tasks_d, 0o777);
    let said = errors(&folder);
    assert!(said.starts_with("tasks.d/a.toml: its folder may be written by everybody (mode 0777)"), "{said}");
    assert!(said.ends_with("; `chmod go-w tasks.d`"), "{said}");
    mode(&tasks_d, 0o1777);
    assert_eq!(tasks(&loaded(&folder).unwrap()), ["a"], "where others cannot replace it");
    // By way of a link into a folder of somebody else.
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("b.toml"), "[task.b]\nshell = 'true'").unwrap();
    mode(elsewhere.path(), 0o773);
    mode(&tasks_d, 0o755);
    symlink(elsewhere.path().join("b.toml"), tasks_d.join("b.toml")).unwrap();
    let said = errors(&folder);
    assert!(said.starts_with("tasks.d/b.toml: its folder may be written by everybody (mode 0773)"), "{said}");
}

#[test]
fn root_refuses_an_address_that_others_may_write_and_warns_of_one_that_all_may_read() {
    if !is_root("root_refuses_an_address_that_others_may_write") {
        return;
    }
    let folder = folder(&[("daybook.toml", "[databases.app]\nurl_file = 'app.url'\n")]);
    assert_eq!(
        warnings(&folder),
        ["daybook.toml:2:12: databases.app.url_file: `app.url` cannot be read: No such file or directory \
          (os error 2); whoever uses this database will fail"]
    );
    write(&folder, "app.url", "postgres://app:secret@db/app");
    let file = folder.path().join("app.url");
    mode(&file, 0o600);
    assert_eq!(warnings(&folder), [""; 0]);
    mode(&file, 0o644);
    let said = warnings(&folder).join("\n");
    assert!(said.contains("`app.url` may be read by everybody (mode 0644); it may hold a password: `chmod"), "{said}");
    mode(&file, 0o606);
    let said = errors(&folder);
    assert!(said.starts_with("daybook.toml:2:12: databases.app.url_file: `app.url`: may be written by ev"), "{said}");
    assert!(!said.contains("secret"));
}

#[test]
fn users_and_groups_that_nobody_knows_are_errors() {
    if !is_root("users_and_groups_that_nobody_knows_are_errors") {
        return;
    }
    let text = "[task.a]\nshell = 'true'\nuser = 'daemom'\ngroup = 'weather-forecast'\ngroups = ['daemon', 'roott']\n\
                [task.b]\nshell = 'true'\nuser = 'daemon'\ngroup = 'daemon'\n";
    let folder = folder(&[("daybook.toml", text)]);
    let expected = "\
daybook.toml:3:8: task.a.user: there is no user `daemom`; did you mean `daemon`?
daybook.toml:4:9: task.a.group: there is no group `weather-forecast`
daybook.toml:5:10: task.a.groups: there is no group `roott`; did you mean `root`?";
    assert_eq!(errors(&folder), expected);
    assert!(check_text("daybook.toml", text).is_ok(), "text alone names nobody");
}

/// As whoever is not root, `daybook check` on a config says what takes root.
#[test]
fn what_takes_root_is_refused_to_others() {
    if !is_root("what_takes_root_is_refused_to_others") {
        return;
    }
    let folder = folder(&[(
        "daybook.toml",
        "[task.user]\nshell = 'true'\nuser = 'daemon'\ngroup = 'daemon'\ngroups = 'daemon'\n\
         [task.nice]\nshell = 'true'\nnice = -1\nionice = 'realtime'\nlimits = { nofile = 1000000000000 }\n\
         [task.fine]\nshell = 'true'\nnice = 1\nionice = 'idle'\nlimits = { nofile = 10, core = 0 }\nstdin = 'args'\n",
    )]);
    mode(folder.path(), 0o755);
    let check = |uid: u32| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_daybook"));
        command.args(["check", "--config", "daybook.toml"]).current_dir(folder.path()).uid(uid).gid(uid);
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    let said = check(54_321);
    let hint = "takes a daemon that runs as root, and this is user 54321; remove it, or run the daemon as root (any-user.conf)";
    for line in [
        "daybook.toml:3:8: task.user.user: to run as others",
        "daybook.toml:4:9: task.user.group: to run as others",
        "daybook.toml:5:10: task.user.groups: to run as others",
        "daybook.toml:8:8: task.nice.nice: less than 0",
        "daybook.toml:9:10: task.nice.ionice: `realtime`",
        "daybook.toml:10:21: task.nice.limits.nofile: more than the daemon's own limit",
    ] {
        assert!(said.contains(&format!("{line} {hint}\n")), "{line} is missing in:\n{said}");
    }
    assert!(!said.contains("task.fine"), "{said}");
    assert_eq!(said.matches("takes a daemon").count(), 6, "{said}");
    assert_eq!(check(0), "", "root may");
}

#[test]
fn a_file_of_variables_is_looked_at() {
    let folder = folder(&[("daybook.toml", "[task.a]\nshell = 'true'\nenv_file = 'a.env'\n")]);
    let said = || plain(&folder, warnings(&folder).join("\n"));
    let missing = "daybook.toml:3:12: task.a.env_file: the environment file `a.env`: no such file or directory; \
                   attempts of this task will fail";
    assert_eq!(said(), missing);
    write(&folder, "a.env", "A=1\nsecret");
    assert!(said().contains("`a.env`: line 2: it has no `=`; write it as NAME=VALUE; attempts"), "{}", said());
    write(&folder, "a.env", "A=secret\n");
    assert_eq!(said(), "");
    if is_root("a_file_of_variables_is_looked_at: who may write to it") {
        // Who may write to it may say which library root's job loads; of another user's job, its user may.
        std::os::unix::fs::chown(folder.path().join("a.env"), Some(54321), None).unwrap();
        let said = errors(&folder);
        assert!(said.starts_with("daybook.toml:3:12: task.a.env_file: `a.env`: belongs to user 54321, and"), "{said}");
        write(&folder, "daybook.toml", "[task.a]\nshell = 'true'\nuser = 'daemon'\nenv_file = 'a.env'\n");
        assert_eq!(warnings(&folder), [""; 0]);
    }
}

/// What there is depends on the machine; that it is asked for, and the reason told, does not.
#[test]
fn bounds_of_cgroups_take_their_controllers() {
    let folder = folder(&[("daybook.toml", "[task.a]\nshell = 'true'\nmemory_max = '1GiB'\ntasks_max = 9\n")]);
    let wrong = |controller| daybook::exec::cgroups::site().and_then(|site| site.require(controller)).err();
    let lines = [("memory", "3:14: task.a.memory_max"), ("pids", "4:13: task.a.tasks_max")].map(|(controller, at)| {
        let hint = "remove it, or let systemd delegate: `Delegate=yes` and `DelegateSubgroup=daemon`";
        wrong(controller).map(|why| format!("daybook.toml:{at}: {why}; {hint}"))
    });
    let lines: Vec<String> = lines.into_iter().flatten().collect();
    assert_eq!(loaded(&folder).map_or_else(|errors| plain(&folder, errors), |_| String::new()), lines.join("\n"));
}

#[test]
fn what_is_named_outside_is_looked_at_and_warned_of() {
    let folder = folder(&[
        (
            "daybook.toml",
            "include = ['tasks.d/*.toml', 'none/*.toml']\nstate_dir = 'a-file'\nsocket = 'a-file'\n\
             [task.cwd]\nshell = 'true'\ncwd = 'nowhere'\n\
             [task.file]\nshell = 'true'\ncwd = 'a-file'\n\
             [task.path]\ncommand = ['no-such-program', 'x']\n\
             [task.env]\ncommand = ['sh']\nenv = { PATH = '/nowhere' }\n\
             [task.plain]\ncommand = ['/etc/passwd']\n\
             [task.fine]\ncommand = ['sh', '-c', 'true']\ncwd = '/tmp'\n",
        ),
        ("tasks.d/a.toml", "[task.relative]\ncwd = '..'\ncommand = ['./a-program']\n"),
        ("a-file", ""),
    ]);
    let expected = "\
daybook.toml:1:30: include: `none/*.toml` matches no file; nothing is included by it
daybook.toml:2:13: state_dir: `a-file` is there and is not a folder; the daemon could not start
daybook.toml:3:10: socket: `a-file` is there and is not a socket; the daemon could not start
daybook.toml:6:7: task.cwd.cwd: `nowhere`: No such file or directory (os error 2); make it, or jobs of this task cannot start
daybook.toml:9:7: task.file.cwd: `a-file` is not a folder; make it, or jobs of this task cannot start
daybook.toml:11:11: task.path.command: `no-such-program`: no such program in the job's PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin); jobs of this task cannot start
daybook.toml:13:11: task.env.command: `sh`: no such program in the job's PATH (/nowhere); jobs of this task cannot start
daybook.toml:16:11: task.plain.command: `/etc/passwd`: is not executable; jobs of this task cannot start
tasks.d/a.toml:3:11: task.relative.command: `tasks.d/../a-program`: No such file or directory (os error 2); jobs of this task cannot start";
    assert_eq!(warnings(&folder).join("\n"), expected);
    let text = fs::read_to_string(folder.path().join("daybook.toml")).unwrap();
    assert_eq!(check_text("daybook.toml", text).unwrap().warnings, [], "text alone names nothing that is there");
}

#[test]
fn a_state_folder_that_is_somebody_elses_is_warned_of() {
    let folder = folder(&[("daybook.toml", "state_dir = 'state'"), ("state/journal/head", ""), ("state/lock", "")]);
    assert_eq!(warnings(&folder), [""; 0]);
    for name in ["b", "a"] {
        write(&folder, &format!("state/{name}"), "");
    }
    let said =
        "daybook.toml:1:13: state_dir: `state` holds what is not Daybook's: `a`, `b`; give Daybook a folder of its own";
    assert_eq!(warnings(&folder), [said]);
    for number in 0..100 {
        write(&folder, &format!("state/{number}"), "");
    }
    let said = warnings(&folder).join("\n");
    assert!(said.contains(" and more; give"), "{said}");
}

#[test]
fn a_folder_that_is_included_by_default_need_not_be_there() {
    assert_eq!(warnings(&folder(&[("daybook.toml", GOOD)])), [""; 0]);
}

#[test]
fn what_package_managers_and_editors_leave_is_not_read() {
    let folder = folder(&[("daybook.toml", "include = 'tasks.d/*'"), ("tasks.d/a.toml", GOOD)]);
    for name in ["a.toml.dpkg-new", "a.toml.dpkg-old", "a.toml~", ".a.toml.swp", "#a.toml#", "a.toml.rpmsave", "a.bak"]
    {
        write(&folder, &format!("tasks.d/{name}"), "half of a fi");
    }
    assert_eq!(tasks(&loaded(&folder).unwrap()), ["a"]);
    // One that is named is meant.
    write(&folder, "daybook.toml", "include = ['tasks.d/*', 'tasks.d/a.toml~']");
    assert!(errors(&folder).starts_with("tasks.d/a.toml~:1:"));
}

#[test]
fn included_files_include_nothing() {
    let folder = folder(&[("daybook.toml", ""), ("tasks.d/a.toml", "include = 'more.toml'\n[task.a]\nshell = 'true'")]);
    assert_eq!(
        errors(&folder),
        "tasks.d/a.toml:1:1: include: belongs in the main file; included files hold tasks and databases"
    );
}

#[test]
fn links_are_followed_once_and_loops_are_told() {
    let folder = folder(&[("daybook.toml", ""), ("real/a.toml", GOOD)]);
    symlink("real", folder.path().join("tasks.d")).unwrap();
    symlink("a.toml", folder.path().join("real/b.toml")).unwrap();
    let config = loaded(&folder).unwrap();
    assert_eq!((tasks(&config), config.sources.len()), (vec!["a"], 2), "the same file by two names");
    symlink("loop.toml", folder.path().join("real/loop.toml")).unwrap();
    assert_eq!(errors(&folder), "tasks.d/loop.toml: cannot be read: Too many levels of symbolic links (os error 40)");
    fs::remove_file(folder.path().join("real/loop.toml")).unwrap();
    symlink("gone.toml", folder.path().join("real/dangling.toml")).unwrap();
    assert!(errors(&folder).starts_with("tasks.d/dangling.toml: cannot be read: No such file"));
    // A folder that includes itself by a link is read once.
    fs::remove_file(folder.path().join("real/dangling.toml")).unwrap();
    symlink(".", folder.path().join("real/self")).unwrap();
    write(&folder, "daybook.toml", "include = ['tasks.d/*.toml', 'tasks.d/*/*.toml']");
    assert_eq!(loaded(&folder).unwrap().sources.len(), 2);
}

#[test]
fn a_folder_and_a_pipe_among_the_files_are_told() {
    let folder = folder(&[("daybook.toml", ""), ("tasks.d/sub.toml/x.toml", GOOD)]);
    let pipe = folder.path().join("tasks.d/pipe.toml");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let expected = "\
tasks.d/pipe.toml: is not a regular file
tasks.d/sub.toml: is not a regular file; name the files in it, as in \"tasks.d/*.toml\"";
    assert_eq!(errors(&folder), expected);
}

/// Two sets of files under one name, of which each is whole: what is read is always one of them.
#[test]
fn a_folder_that_is_replaced_meanwhile_is_read_as_one_or_as_the_other() {
    const FILES: usize = 12;
    let folder = folder(&[("daybook.toml", "")]);
    for set in ["red", "blue"] {
        for file in 0..FILES {
            write(&folder, &format!("{set}/{file:02}.toml"), &format!("[task.{set}-{file:02}]\nshell = 'true'"));
        }
    }
    let root = folder.path();
    symlink("red", root.join("tasks.d")).unwrap();
    let (begin, begun) = std::sync::mpsc::channel::<usize>();
    let (replaced, is_replaced) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        // Once in each load, sooner or later: a deployment replaces the folder once.
        scope.spawn(move || {
            for (round, set) in begun.iter().zip(["blue", "red"].into_iter().cycle()) {
                (0..round * 200).for_each(|_| std::hint::spin_loop());
                symlink(set, root.join("next")).unwrap();
                fs::rename(root.join("next"), root.join("tasks.d")).unwrap();
                replaced.send(()).unwrap();
            }
        });
        // Moved in here, so that the other thread ends with it, also if an assertion fails.
        let (begin, is_replaced) = (begin, is_replaced);
        for round in 0..150 {
            begin.send(round).unwrap();
            let config = loaded(&folder).unwrap();
            let names = tasks(&config);
            let set = names[0].split('-').next().unwrap();
            let of_set = names.iter().filter(|name| name.starts_with(set)).count();
            assert_eq!((of_set, names.len()), (FILES, FILES), "{names:?}");
            is_replaced.recv().unwrap();
        }
    });
}
