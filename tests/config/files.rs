//! Several files: what is included, how paths are resolved, and what is said about files that cannot be read.

use std::path::Path;

use daybook::config::{Handler, WorkerConfig, load};
use daybook::database::Address;
use daybook::workers::CleanLogs;
use tempfile::TempDir;

/// A folder with these files in it.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// What is said about `daybook.toml` in the folder, with the folder's own name left out.
fn errors(folder: &TempDir) -> String {
    let errors = load(&folder.path().join("daybook.toml")).unwrap_err().to_string();
    errors.replace(&format!("{}/", folder.path().display()), "")
}

fn loads(folder: &TempDir) -> daybook::config::Config {
    load(&folder.path().join("daybook.toml")).unwrap()
}

#[test]
fn includes_are_read_in_the_order_of_names() {
    let folder = folder(&[
        ("daybook.toml", b"[task.main]\nshell = 'true'"),
        ("tasks.d/b.toml", b"[task.b]\nshell = 'true'"),
        ("tasks.d/a.toml", b"[task.a]\nshell = 'true'"),
        ("tasks.d/.a.toml", b"not toml"),
        ("tasks.d/notes.txt", b"not toml"),
        ("other/c.toml", b"not toml"),
    ]);
    let config = loads(&folder);
    assert_eq!(config.tasks.keys().collect::<Vec<_>>(), ["a", "b", "main"]);
    let names: Vec<_> = config.sources.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(names, ["daybook.toml", "tasks.d/a.toml", "tasks.d/b.toml"].map(Path::new));
}

#[test]
fn a_file_that_two_globs_name_is_read_once() {
    let folder = folder(&[
        ("daybook.toml", b"include = ['*.toml', 'a.toml', './a.*']"),
        ("a.toml", b"[task.a]\nshell = 'true'"),
    ]);
    assert_eq!(loads(&folder).sources.len(), 2);
}

#[test]
fn a_task_in_two_files_names_both_places() {
    let folder = folder(&[
        ("daybook.toml", b""),
        ("tasks.d/a.toml", b"\n[task.x]\nshell = 'true'"),
        ("tasks.d/b.toml", b"[task]\ny = { shell = 'true' }\nx = { shell = 'true' }"),
    ]);
    let expected =
        "tasks.d/b.toml:3:1: task.x: this task is already defined at tasks.d/a.toml:2:7; rename or remove one of them";
    assert_eq!(errors(&folder), expected);
}

#[test]
fn a_bad_file_hides_nothing_in_the_others() {
    let folder = folder(&[
        ("daybook.toml", b"weather = 1\n[databases.app]\nurl = 'sqlite:///a.db'"),
        ("tasks.d/1.toml", b"[task.a]\nshell = "),
        ("tasks.d/2.toml", b"[task.b]\nshell = 'caf\xe9'"),
        (
            "tasks.d/3.toml",
            b"state_dir = '/x'\n[task.c]\nshell = 5\n[task.d]\nworker = 'passivate-users'\ndatabase = 'elsewhere'",
        ),
    ]);
    let expected = "\
daybook.toml:1:1: weather: unknown key; the shipped daybook.toml shows every key
tasks.d/1.toml:2:9: string values must be quoted, expected literal string
tasks.d/2.toml:2:13: is not UTF-8: the byte here is 0xe9; save the file as UTF-8
tasks.d/3.toml:1:1: state_dir: belongs in the main file; included files hold tasks and databases
tasks.d/3.toml:3:9: task.c.shell: must be text, not a whole number; write it in quotes: \"5\"";
    assert_eq!(errors(&folder), expected, "that `elsewhere` is no database cannot be known");
}

#[test]
fn a_main_file_that_is_not_toml_hides_nothing_in_its_includes() {
    let folder = folder(&[
        ("daybook.toml", b"socket = /x\ninclude = 'more/*.toml'"),
        ("more/a.toml", b"[task.a]\nshel = 'true'"),
    ]);
    let errors = errors(&folder);
    assert!(errors.starts_with("daybook.toml:1:10: "), "{errors}");
    assert!(errors.contains("more/a.toml:2:1: task.a.shel: unknown key; did you mean `shell`?"), "{errors}");
}

#[test]
fn files_that_cannot_be_read_are_told() {
    assert_eq!(errors(&folder(&[])), "daybook.toml: cannot be read: No such file or directory (os error 2)");
    let large = vec![b'#'; 1024 * 1024 + 1];
    let folder = folder(&[
        ("daybook.toml", b"include = ['none.toml', 'sub', '**/x.toml', 'large.toml', '[a.toml']"),
        ("sub/x", b""),
        ("large.toml", &large),
    ]);
    let expected = "\
daybook.toml:1:32: include: `**/x.toml` has `**`, which is not supported here; name each folder, as in \"tasks.d/*.toml\"
daybook.toml:1:59: include: `[a.toml` is not a glob: unclosed character class; missing ']'; write it as \"tasks.d/*.toml\"
none.toml: cannot be read: No such file or directory (os error 2)
sub: is not a regular file; name the files in it, as in \"tasks.d/*.toml\"
large.toml: is larger than 1 MiB; split it into several files in the include folder";
    assert_eq!(errors(&folder), expected);
}

#[test]
fn more_files_than_a_config_has_are_refused() {
    let names: Vec<String> = (0..1001).map(|number| format!("tasks.d/{number:04}.toml")).collect();
    let mut files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
    files.push(("daybook.toml", b""));
    assert_eq!(
        errors(&folder(&files)),
        "daybook.toml: include: `tasks.d/*.toml` names more than 1000 files; put more tasks into one file"
    );
}

#[test]
fn relative_paths_start_at_the_folder_of_their_file() {
    let folder = folder(&[
        ("daybook.toml", b"state_dir = 'state'\nsocket = './run/control.sock'"),
        (
            "tasks.d/a.toml",
            b"[databases.a]\nurl_file = '../a.url'\n[task.a]\nshell = 'true'\ncwd = 'work'\n\
              [task.b]\nworker = 'clean-logs'\npaths = 'logs/*.log'\nkeep_files = 3",
        ),
    ]);
    let config = loads(&folder);
    let root = folder.path();
    assert_eq!(config.state_dir, root.join("state"));
    assert_eq!(config.socket, root.join("run/control.sock"));
    assert_eq!(config.databases["a"], Address::UrlFile(root.join("tasks.d/../a.url")));
    let Handler::Process(process) = &config.tasks["a"].handler else { panic!("a process") };
    assert_eq!(process.cwd, root.join("tasks.d/work"));
    let Handler::Worker(WorkerConfig::CleanLogs(CleanLogs { paths, .. })) = &config.tasks["b"].handler else {
        panic!("clean-logs")
    };
    assert_eq!(paths, &[format!("{}/tasks.d/logs/*.log", root.display())]);
}

/// 100,000 tasks, and 10,000 with a problem of its own each: nothing in here may be quadratic.
#[test]
fn a_hundred_thousand_tasks_load() {
    use std::fmt::Write;
    let text = |file: usize, extra: &str| {
        let mut text = String::new();
        for task in 0..2500 {
            writeln!(text, "[task.t{file}-{task}]\nshell = \"true\"\nschedule = \"{} * * * *\"{extra}", task % 60)
                .unwrap();
        }
        text
    };
    let names: Vec<String> = (0..40).map(|file| format!("tasks.d/{file}.toml")).collect();
    let build = |count: usize, extra: &str| -> TempDir {
        let texts: Vec<String> = (0..count).map(|file| text(file, extra)).collect();
        let mut files: Vec<(&str, &[u8])> = vec![("daybook.toml", b"")];
        files.extend(names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_bytes())));
        folder(&files)
    };
    assert_eq!(loads(&build(40, "")).tasks.len(), 100_000);
    let errors = load(&build(4, "\nzone = 5").path().join("daybook.toml")).unwrap_err();
    assert_eq!((errors.problems.len(), errors.omitted), (1000, 9000));
}

#[test]
fn line_ends_and_byte_order_marks_of_other_systems_are_taken() {
    let folder = folder(&[("daybook.toml", b"\xef\xbb\xbfexecution = false\r\n[task.a]\r\nshell = 5\r\n")]);
    assert_eq!(
        errors(&folder),
        "daybook.toml:3:9: task.a.shell: must be text, not a whole number; write it in quotes: \"5\""
    );
}
