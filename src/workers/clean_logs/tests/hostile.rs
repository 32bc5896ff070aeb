//! Links, swapped folders, other people's files, and things that are no files.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use serde_json::json;

use super::*;

#[tokio::test]
async fn links_are_neither_followed_nor_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, outside) = (folder.path().join("logs"), folder.path().join("outside"));
    write(&outside.join("deep/x.log"), 1, 40);
    write(&outside.join("y.log"), 1, 40);
    write(&logs.join("z.log"), 1, 40);
    symlink(&outside, logs.join("link")).unwrap();
    symlink(outside.join("y.log"), logs.join("y.log")).unwrap();
    symlink("missing", logs.join("dangling.log")).unwrap();
    let (result, text) = clean(settings(&logs, &["**/*.log", "*/*.log"])).await;
    assert_eq!((&result["deleted"], &result["errors"]), (&json!(1), &json!(0)), "{text}");
    assert_eq!(files(&outside).len(), 2);
    assert!(
        logs.join("link").is_symlink() && logs.join("y.log").is_symlink() && logs.join("dangling.log").is_symlink()
    );
}

/// What is in a folder, with everything that a touch would change.
fn touched(folder: &Path) -> Vec<(PathBuf, Vec<u8>, [i64; 6])> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let (path, metadata) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
            let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
            let [modified, modified_ns, changed, changed_ns] = times;
            let content = fs::read(&path).unwrap();
            (
                path,
                content,
                [modified, modified_ns, changed, changed_ns, metadata.nlink() as i64, metadata.mode().into()],
            )
        })
        .collect();
    found.sort();
    found
}

/// Folders that are swapped for links at once.
const SWAPPED: usize = 16;

/// Somebody swaps folders for links to another one, and back, as fast as they can.
#[tokio::test]
async fn folders_that_are_swapped_for_links_during_the_run_lead_to_nobody_elses_files() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, outside) = (folder.path().join("logs"), folder.path().join("outside"));
    for file in 0..3 {
        write(&outside.join(format!("{file}.log")), 1, 40);
    }
    let pairs: Vec<_> = (0..SWAPPED).map(|n| [logs.join(format!("a{n}")), logs.join(format!("b{n}"))]).collect();
    for [real, link] in &pairs {
        fs::create_dir_all(real).unwrap();
        symlink(&outside, link).unwrap();
    }
    // The folders themselves, whichever names they have at the moment.
    let held: Vec<_> = pairs.iter().map(|[real, _]| fs::File::open(real).unwrap()).collect();
    let inside: Vec<_> = held.iter().map(|held| PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()))).collect();
    let before = touched(&outside);
    let over = Arc::new(AtomicBool::new(false));
    let swapper = std::thread::spawn({
        let over = over.clone();
        move || {
            while !over.load(Ordering::SeqCst) {
                for [one, other] in &pairs {
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        }
    });
    let base = settings(&logs, &["**/*.log"]);
    let kinds = [
        ("deleted", base.clone()),
        ("truncated", CleanLogs { action: Action::Truncate, ..base.clone() }),
        ("compressed", CleanLogs { older_than: None, compress: Compress::Zstd, ..base }),
    ];
    for (verb, settings) in kinds {
        let (mut done, mut rounds) = (0, 0);
        while done < 100 || rounds < 10 {
            for inside in &inside {
                // Of the same names and sizes as outside.
                (0..3).for_each(|file| write(&inside.join(format!("{file}.log")), 1, 40));
            }
            let outcome = settings.clone().worker().unwrap().run(Recorder::new().context(NOW)).await.unwrap();
            done += outcome[verb].as_u64().unwrap();
            rounds += 1;
            for entry in inside.iter().flat_map(|inside| fs::read_dir(inside).unwrap()) {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
            assert_eq!(touched(&outside), before, "{verb}");
        }
    }
    over.store(true, Ordering::SeqCst);
    swapper.join().unwrap();
}

#[tokio::test]
async fn what_is_no_regular_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    mknodat(CWD, path("fifo.log"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(path("socket.log")).unwrap();
    fs::create_dir(path("folder.log")).unwrap();
    let device = mknodat(CWD, path("device.log"), FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 3));
    for action in [Action::Delete, Action::Truncate] {
        let (result, text) = clean(CleanLogs { action, ..settings(folder.path(), &["*.log"]) }).await;
        assert_eq!((&result["examined"], &result["errors"]), (&json!(0), &json!(0)), "{text}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3 + usize::from(device.is_ok()));
}

#[tokio::test]
async fn names_that_are_no_text_are_cleaned_as_others() {
    let folder = tempfile::tempdir().unwrap();
    for name in [&b"\xff\xfe.log"[..], b"two\nlines.log", b"-rf.log", b"*.log", b"a b\t.log"] {
        write(&folder.path().join(std::ffi::OsStr::from_bytes(name)), 1, 40);
    }
    let compress = CleanLogs { older_than: None, compress: Compress::Gzip, ..settings(folder.path(), &["*.log*"]) };
    let (result, text) = clean(compress).await;
    assert_eq!((&result["compressed"], &result["errors"]), (&json!(5), &json!(0)), "{text}");
    let (result, text) = clean(settings(folder.path(), &["*.log*"])).await;
    assert_eq!((&result["deleted"], fs::read_dir(folder.path()).unwrap().count()), (&json!(5), 0), "{text}");
}

#[tokio::test]
async fn a_file_with_other_hard_links_is_deleted_but_its_content_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let (logs, other) = (folder.path().join("logs"), folder.path().join("precious"));
    write(&logs.join("x.log"), 10, 40);
    fs::hard_link(logs.join("x.log"), &other).unwrap();
    let settings = settings(&logs, &["*"]);
    let compress = CleanLogs { older_than: None, compress: Compress::Zstd, ..settings.clone() };
    for settings in [CleanLogs { action: Action::Truncate, ..settings.clone() }, compress] {
        let (result, text) = clean(settings).await;
        assert_eq!((&result["left"], files(&logs)), (&json!(1), names(&["x.log"])), "{text}");
        assert!(text.contains("left ") && text.contains("it has other hard links"), "{text}");
    }
    clean(settings).await;
    assert_eq!((files(&logs), fs::read(other).unwrap()), (names(&[]), vec![b'x'; 10]));
}

#[tokio::test]
async fn what_is_open_for_writing_is_left_unless_told() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("open.log"), 10, 40);
    write(&folder.path().join("read.log"), 10, 40);
    write(&folder.path().join("closed.log"), 10, 40);
    let mut writer = fs::File::options().append(true).open(folder.path().join("open.log")).unwrap();
    let _reader = fs::File::open(folder.path().join("read.log")).unwrap();
    let leave = settings(folder.path(), &["*.log"]);
    let (would, _) = clean(CleanLogs { dry_run: true, ..leave.clone() }).await;
    let (result, text) = clean(leave.clone()).await;
    assert_eq!((&result["deleted"], &result["left"], &result["errors"]), (&json!(2), &json!(1), &json!(0)), "{text}");
    assert_eq!((&would["would_delete"], &would["left"]), (&json!(2), &json!(1)));
    let line =
        format!("left {}/open.log: process {} has it open for writing", folder.path().display(), std::process::id());
    assert!(text.contains(&line), "{text}");

    // A log that is held open, cut down in place: its writer goes on at the start.
    let include = CleanLogs {
        older_than: None,
        keep_size: Some(5),
        action: Action::Truncate,
        open_files: OpenFiles::Include,
        ..leave
    };
    let (result, text) = clean(include.clone()).await;
    assert_eq!((&result["truncated"], &result["bytes"]), (&json!(1), &json!(10)), "{text}");
    std::io::Write::write_all(&mut writer, b"next").unwrap();
    assert_eq!(fs::read(folder.path().join("open.log")).unwrap(), b"next");
    let (result, _) = clean(include).await;
    assert_eq!(result["truncated"], 0, "within the limit again");
}

/// Runs a test of this file again in a process of its own, started by `sh -c SCRIPT NAME FOLDER PROGRAM ARGUMENTS...`.
/// Whether it could be.
fn in_a_process(script: &str, test: &str, folder: &Path) -> bool {
    let output = std::process::Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("workers::clean_logs::tests::hostile::{test}"), "--nocapture"])
        .env("DAYBOOK_TEST_FOLDER", folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if text.contains("1 passed") {
        return true;
    }
    assert!(!text.contains("running 1 test"), "{text}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot run, which under CI is a failure: {text}");
    let _: std::io::Result<()> =
        std::io::Write::write_all(&mut std::io::stderr(), format!("SKIPPED, nothing is tested: {text}").as_bytes());
    false
}

/// Where the process is that [`in_a_process`] has started; none in the test itself.
fn given_folder() -> Option<PathBuf> {
    std::env::var_os("DAYBOOK_TEST_FOLDER").map(PathBuf::from)
}

/// Root may do everything; without its capabilities it is like anybody else.
#[tokio::test]
async fn folders_that_cannot_be_read_or_written_are_reported_and_the_rest_goes_on() {
    let Some(folder) = given_folder() else {
        let folder = tempfile::tempdir().unwrap();
        let script =
            "shift; if [ \"$(id -u)\" = 0 ]; then exec setpriv --bounding-set=-all \"$@\"; else exec \"$@\"; fi";
        let test = "folders_that_cannot_be_read_or_written_are_reported_and_the_rest_goes_on";
        in_a_process(script, test, folder.path());
        return;
    };
    for name in ["closed/x.log", "open/x.log", "shut/x.log", "shut/y.log"] {
        write(&folder.join(name), 10, 40);
    }
    let mode = |name: &str, mode| fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    mode("closed", 0o000);
    mode("shut", 0o555);
    let settings = settings(&folder, &["**/*.log*"]);
    let (would, told) = clean(CleanLogs { dry_run: true, ..settings.clone() }).await;
    let compress = CleanLogs { older_than: None, compress: Compress::Zstd, ..settings.clone() };
    let (compressed, text) = clean(compress).await;
    assert_eq!((&compressed["compressed"], &compressed["errors"]), (&json!(1), &json!(3)), "{text}");
    assert!(text.contains("failed to compress") && text.contains("make a file beside it: Permission denied"), "{text}");
    let (result, text) = clean(settings).await;
    assert_eq!((&result["deleted"], &result["errors"]), (&json!(1), &json!(3)), "{text}");
    assert_eq!((&would["would_delete"], &would["errors"]), (&json!(1), &json!(3)), "{told}");
    assert!(text.contains("failed to read") && text.contains("/closed: Permission denied"), "{text}");
    assert!(text.contains("failed to delete") && text.contains("/shut/x.log: could not delete it: Perm"), "{text}");
    assert_eq!(result["first_errors"].as_array().unwrap().len(), 3);
    mode("closed", 0o700);
    mode("shut", 0o700);
    assert_eq!(files(&folder).len(), 3);
}

#[tokio::test]
async fn a_full_and_a_read_only_file_system_lose_nothing() {
    let Some(folder) = given_folder() else {
        let folder = tempfile::tempdir().unwrap();
        let script = "exec unshare $([ \"$(id -u)\" = 0 ] || echo -r) --mount --propagation private sh -c \
                      'mount -t tmpfs -o size=1m none \"$1\" && shift && exec \"$@\"' sh \"$@\"";
        in_a_process(script, "a_full_and_a_read_only_file_system_lose_nothing", folder.path());
        return;
    };
    // What does not get smaller does not fit twice.
    let mut random = 1u64;
    let mut byte = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    };
    let content: Vec<u8> = (0..700_000).map(|_| byte()).collect();
    write(&folder.join("a.log"), 0, 40);
    fs::write(folder.join("a.log"), &content).unwrap();
    fs::File::options().write(true).open(folder.join("a.log")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    write(&folder.join("b.log"), 10, 40);
    let compress = CleanLogs { older_than: None, compress: Compress::Zstd, ..settings(&folder, &["*.log*"]) };
    let (result, text) = clean(compress.clone()).await;
    assert_eq!((&result["compressed"], &result["errors"]), (&json!(1), &json!(1)), "{text}");
    assert!(text.contains("compress it: No space left on device"), "{text}");
    assert_eq!((files(&folder), fs::read(folder.join("a.log")).unwrap()), (names(&["a.log", "b.log.zst"]), content));

    let remounted = std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(&folder).status().unwrap();
    assert!(remounted.success());
    for settings in [
        compress,
        settings(&folder, &["*.log*"]),
        CleanLogs { action: Action::Truncate, ..settings(&folder, &["*.log*"]) },
    ] {
        let (would, _) = clean(CleanLogs { dry_run: true, ..settings.clone() }).await;
        let (result, text) = clean(settings).await;
        assert_eq!(result["errors"], would["errors"], "a dry run tells of it as well: {text}");
        assert!(result["errors"].as_u64().unwrap() > 0 && text.contains("Read-only file system"), "{text}");
    }
    assert_eq!(files(&folder), names(&["a.log", "b.log.zst"]));
}

#[tokio::test]
async fn the_daemons_own_folder_is_never_touched_whatever_leads_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (state, disk) = (folder.path().join("app/state"), folder.path().join("disk"));
    write(&state.join("lock"), 1, 40);
    write(&state.join("journal/000001/conf"), 1, 40);
    write(&disk.join("000/7.log"), 1, 40);
    symlink(&disk, state.join("outputs")).unwrap();
    write(&folder.path().join("app/x.log"), 1, 40);
    // The last names it by a link: as in `/var/lib/daybook`, which may be one.
    symlink(&state, folder.path().join("link")).unwrap();
    let patterns = ["**/*", "app/state/*", "app/state/journal/**/*", "disk/000/*"];
    for state_dir in [state.clone(), folder.path().join("link")] {
        write(&folder.path().join("app/x.log"), 1, 40);
        let recorder = Recorder::new();
        let context = Context { state_dir, ..recorder.context(NOW) };
        let result = settings(folder.path(), &patterns).worker().unwrap().run(context).await.unwrap();
        let text = recorder.text();
        assert_eq!((&result["deleted"], &result["errors"]), (&json!(1), &json!(0)), "{text}");
        assert_eq!(files(folder.path()), names(&["app/state/lock", "app/state/journal/000001/conf", "disk/000/7.log"]));
        assert!(text.contains("/app/state` is Daybook's own, and nothing in it is touched"), "{text}");
        assert!(text.contains("/disk` is Daybook's own"), "{text}");
    }
}
