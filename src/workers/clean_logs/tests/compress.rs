//! Compressing: what is kept, what a kill leaves, what is never overwritten, and how it ends early.

use std::fs;
use std::io::Read;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};

use serde_json::json;

use super::super::change::Change;
use super::super::compress::{Format, Stage, compress};
use super::super::folder::{File, Own, open};
use super::*;

/// Some pieces of text that compresses.
fn content() -> Vec<u8> {
    (0..40_000).flat_map(|line| format!("line {line}\n").into_bytes()).collect()
}

fn write_content(path: &Path, age_days: u64) {
    write(path, 0, age_days);
    fs::write(path, content()).unwrap();
    let modified = SystemTime::UNIX_EPOCH + Duration::new(NOW.0 as u64 / 1000 - age_days * DAY, 123_456_789);
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

fn expanded(path: &Path) -> Vec<u8> {
    let (file, mut bytes) = (fs::File::open(path).unwrap(), Vec::new());
    match path.extension().unwrap().to_str() {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes).unwrap(),
        _ => zstd::Decoder::new(file).unwrap().read_to_end(&mut bytes).unwrap(),
    };
    bytes
}

fn compressing(folder: &Path, compress: Compress) -> CleanLogs {
    CleanLogs { older_than: None, compress, ..settings(folder, &["**/*.log*"]) }
}

fn look(folder: &Path, name: &str) -> File {
    let stat = rustix::fs::stat(folder.join(name)).unwrap();
    File::new(name.as_ref(), &stat).unwrap()
}

#[tokio::test]
async fn a_compressed_file_has_the_owner_mode_and_times_of_the_original() {
    for (setting, suffix) in [(Compress::Gzip, "gz"), (Compress::Zstd, "zst")] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log.1");
        write_content(&path, 2);
        // Only root can give a file away.
        let _: std::io::Result<()> = chown(&path, Some(1234), Some(5678));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2640)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let (result, text) = clean(compressing(folder.path(), setting)).await;
        let twin = folder.path().join(format!("app.log.1.{suffix}"));
        let after = fs::metadata(&twin).unwrap();
        let kept = |of: &fs::Metadata| {
            (of.uid(), of.gid(), of.mode(), of.mtime(), of.mtime_nsec(), of.atime(), of.atime_nsec())
        };
        assert_eq!(kept(&after), kept(&before));
        assert_eq!(after.mtime_nsec(), 123_456_789);
        assert_eq!(expanded(&twin), content());
        assert_eq!(files(folder.path()), names(&[&format!("app.log.1.{suffix}")]));
        assert_eq!(result["bytes"], before.len() - after.len());
        assert!(text.contains(&format!("app.log.1, {} bytes, 1day", before.len())), "{text}");
        assert!(text.contains(&format!("now {} bytes", after.len())), "{text}");
    }
}

#[tokio::test]
async fn only_what_is_old_enough_kept_and_not_compressed_is_compressed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, size, age) in [
        ("app.log", 10, 0),
        ("app.log.1", 10, 2),
        ("app.log.2", 10, 3),
        ("app.log.3", 10, 4),
        ("app.log.4.gz", 10, 5),
        ("empty.log", 0, 5),
        ("sub/old.log", 10, 40),
    ] {
        write(&folder.path().join(name), size, age);
    }
    let settings = CleanLogs {
        older_than: Some(Duration::from_secs(30 * DAY)),
        keep_files: Some(3),
        ..compressing(folder.path(), Compress::Zstd)
    };
    let (would, _) = clean(CleanLogs { dry_run: true, ..settings.clone() }).await;
    let (result, text) = clean(settings.clone()).await;
    let expected = names(&["app.log", "app.log.1.zst", "app.log.2.zst", "empty.log"]);
    assert_eq!(files(folder.path()), expected, "{text}");
    assert_eq!((&result["compressed"], &result["deleted"]), (&json!(2), &json!(3)));
    assert_eq!((&would["would_compress"], &would["would_delete"]), (&json!(2), &json!(3)));
    let (result, _) = clean(settings).await;
    assert_eq!((&result["compressed"], &result["deleted"]), (&json!(0), &json!(0)), "all is done");
}

#[tokio::test]
async fn a_file_of_that_name_is_never_overwritten() {
    type Make = fn(&Path);
    let makes: [Make; 6] = [
        |twin| fs::write(twin, "somebody else's").unwrap(),
        |twin| write(twin, 100, 2),
        // Of the same time and of the right kind, but with something else in it.
        |twin| {
            fs::write(twin, zstd::encode_all(&b"line 0\n"[..], 3).unwrap()).unwrap();
            let modified = fs::metadata(twin.with_extension("")).unwrap().modified().unwrap();
            fs::File::options().write(true).open(twin).unwrap().set_modified(modified).unwrap();
        },
        // The right content, of another time.
        |twin| fs::write(twin, zstd::encode_all(&content()[..], 3).unwrap()).unwrap(),
        |twin| symlink("missing", twin).unwrap(),
        |twin| fs::create_dir(twin).unwrap(),
    ];
    for (number, make) in makes.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        write_content(&path, 2);
        let twin = folder.path().join("app.log.zst");
        make(&twin);
        let before = (fs::symlink_metadata(&twin).unwrap().ino(), fs::read(&twin).ok());
        let (would, _) = clean(CleanLogs { dry_run: true, ..compressing(folder.path(), Compress::Zstd) }).await;
        let (result, text) = clean(compressing(folder.path(), Compress::Zstd)).await;
        assert_eq!((&result["compressed"], &result["errors"]), (&json!(0), &json!(0)), "{number}: {text}");
        assert_eq!((&would["would_compress"], &would["left"]), (&json!(0), &result["left"]), "{number}");
        assert!(text.contains("app.log: there is another file of its name with .zst"), "{number}: {text}");
        assert_eq!((fs::symlink_metadata(&twin).unwrap().ino(), fs::read(&twin).ok()), before, "{number}");
        assert_eq!(fs::read(&path).unwrap(), content(), "{number}");
        // It is no reason not to write the other format.
        clean(compressing(folder.path(), Compress::Gzip)).await;
        assert_eq!(expanded(&folder.path().join("app.log.gz")), content(), "{number}");
    }
}

const STAGES: [&str; 6] = ["made", "copying", "copied", "synced", "renamed", "done"];

/// The process that is killed: nothing unless started by the test below.
#[test]
fn a_process_that_is_killed_at_a_stage() {
    let Some(folder) = std::env::var_os("DAYBOOK_TEST_KILLED_IN") else { return };
    let last = std::env::var("DAYBOOK_TEST_KILLED_AT").unwrap();
    let (folder, opened) = (Path::new(&folder), open(Path::new(&folder), &Own::default()).unwrap());
    let mut kill = |stage| {
        let name = match stage {
            Stage::Made => "made",
            Stage::Copying(_) => "copying",
            Stage::Copied => "copied",
            Stage::Synced => "synced",
            Stage::Renamed => "renamed",
            Stage::Done => "done",
        };
        if name == last {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
        ControlFlow::Continue(())
    };
    let _ = compress(opened.as_fd(), &look(folder, "app.log.1"), Format::Zstd, false, &mut kill);
}

#[tokio::test]
async fn a_run_that_is_killed_at_any_stage_is_completed_by_the_next() {
    for stage in STAGES {
        // The second time with another format, as the setting may have changed in between.
        for next in [Compress::Zstd, Compress::Gzip] {
            let folder = tempfile::tempdir().unwrap();
            write_content(&folder.path().join("app.log.1"), 2);
            write(&folder.path().join("app.log.2"), 10, 3);
            let before = fs::metadata(folder.path().join("app.log.1")).unwrap();
            let killed = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "workers::clean_logs::tests::compress::a_process_that_is_killed_at_a_stage"])
                .env("DAYBOOK_TEST_KILLED_IN", folder.path())
                .env("DAYBOOK_TEST_KILLED_AT", stage)
                .output()
                .unwrap();
            assert_eq!(killed.status.signal(), Some(9), "{stage}");

            let (original, twin) = (folder.path().join("app.log.1"), folder.path().join("app.log.1.zst"));
            let renamed = ["renamed", "done"].contains(&stage);
            assert_eq!((original.exists(), twin.exists()), (stage != "done", renamed), "{stage}");
            if original.exists() {
                assert_eq!(fs::read(&original).unwrap(), content(), "{stage}");
            }
            // Both forms of one file count as one: the older file is not crowded out.
            let settings = CleanLogs { keep_files: Some(2), ..compressing(folder.path(), next) };
            let (would, _) = clean(CleanLogs { dry_run: true, ..settings.clone() }).await;
            let (result, text) = clean(settings).await;
            let suffix = if renamed || next == Compress::Zstd { "zst" } else { "gz" };
            let expected = [
                format!("app.log.1.{suffix}"),
                format!("app.log.2.{}", if next == Compress::Zstd { "zst" } else { "gz" }),
            ];
            assert_eq!(files(folder.path()), expected.into_iter().collect(), "{stage}: {text}");
            assert_eq!((&result["deleted"], &result["errors"]), (&json!(0), &json!(0)), "{stage}: {text}");
            assert_eq!(would["would_compress"], result["compressed"], "{stage}");
            let twin = folder.path().join(format!("app.log.1.{suffix}"));
            assert_eq!(expanded(&twin), content(), "{stage}");
            let after = fs::metadata(twin).unwrap();
            assert_eq!((after.mtime(), after.mtime_nsec()), (before.mtime(), before.mtime_nsec()), "{stage}");
        }
    }
}

#[test]
fn what_another_run_is_writing_is_no_leftover() {
    let folder = tempfile::tempdir().unwrap();
    write_content(&folder.path().join("app.log.1"), 2);
    let (file, opened) = (look(folder.path(), "app.log.1"), open(folder.path(), &Own::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut meanwhile = |stage| {
        if stage == Stage::Copied {
            let (result, text) = runtime.block_on(clean(compressing(folder.path(), Compress::Zstd)));
            assert_eq!((&result["compressed"], &result["left"]), (&json!(0), &json!(1)), "{text}");
            assert!(text.contains("another run is compressing it"), "{text}");
        }
        ControlFlow::Continue(())
    };
    let done = compress(opened.as_fd(), &file, Format::Zstd, false, &mut meanwhile).unwrap();
    assert!(matches!(done, Change::Done { freed: 1.. }), "{done:?}");
    assert_eq!(files(folder.path()), names(&["app.log.1.zst"]));
}

#[test]
fn a_file_that_is_written_to_meanwhile_stays() {
    for at in [Stage::Made, Stage::Copied, Stage::Synced, Stage::Renamed] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.log");
        write_content(&path, 2);
        let (file, opened) = (look(folder.path(), "app.log"), open(folder.path(), &Own::default()).unwrap());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mut write = |stage| {
            if stage == at {
                let mut file = fs::File::options().write(true).open(&path).unwrap();
                // In place, and with the time set back.
                std::io::Write::write_all(&mut file, b"LINE").unwrap();
                file.set_modified(modified).unwrap();
            }
            ControlFlow::Continue(())
        };
        let change = compress(opened.as_fd(), &file, Format::Zstd, false, &mut write).unwrap();
        assert_eq!(change, Change::Left("it was changed meanwhile"), "{at:?}");
        assert_eq!(files(folder.path()), names(&["app.log"]), "{at:?}");
        assert!(fs::read(&path).unwrap().starts_with(b"LINE 0"), "{at:?}");
    }
}

#[test]
fn stopping_leaves_the_original_alone() {
    for format in [Format::Gzip, Format::Zstd] {
        for at in [Stage::Made, Stage::Copying(128 * 1024)] {
            let folder = tempfile::tempdir().unwrap();
            write_content(&folder.path().join("app.log"), 2);
            let (file, opened) = (look(folder.path(), "app.log"), open(folder.path(), &Own::default()).unwrap());
            let mut stop = |stage| if stage == at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            let change = compress(opened.as_fd(), &file, format, false, &mut stop).unwrap();
            assert_eq!((change, files(folder.path())), (Change::Stopped, names(&["app.log"])));
            assert_eq!(look(folder.path(), "app.log"), file);
        }
    }
}

/// A large file: a hole, which takes no room.
fn large(path: &Path) {
    write(path, 0, 2);
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_len(192 << 20).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
}

#[tokio::test]
async fn a_large_file_tells_how_far_it_is_and_can_be_cancelled_within() {
    let folder = tempfile::tempdir().unwrap();
    large(&folder.path().join("app.log"));
    let (recorder, told) = (Recorder::new(), Arc::new(Mutex::new(Vec::new())));
    let (cancel, telling) = (recorder.cancel.clone(), told.clone());
    let mut context = recorder.context(NOW);
    context.progress = Arc::new(move |_, _, message: &str| {
        telling.lock().unwrap().push(message.to_owned());
        if message.contains("MiB") {
            cancel.send_replace(true);
        }
    });
    let error = compressing(folder.path(), Compress::Zstd).worker().unwrap().run(context).await.unwrap_err();
    assert!(error.is_cancelled());
    let told = told.lock().unwrap().clone();
    assert_eq!(told[0], "deleted 0 of 1 files; 64 of 192 MiB of app.log");
    assert_eq!(files(folder.path()), names(&["app.log"]));
}

#[test]
fn a_run_that_nobody_waits_for_any_more_ends_within_a_large_file() {
    let folder = tempfile::tempdir().unwrap();
    large(&folder.path().join("app.log"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (reached, mut is_reached) = tokio::sync::mpsc::unbounded_channel();
    let (dropped, is_dropped) = mpsc::channel();
    let mut context = Recorder::new().context(NOW);
    let is_dropped = Mutex::new(is_dropped);
    context.progress = Arc::new(move |_, _, message: &str| {
        if message.contains("64 of") {
            reached.send(()).unwrap();
            is_dropped.lock().unwrap().recv().unwrap();
        }
    });
    let worker = compressing(folder.path(), Compress::Zstd).worker().unwrap();
    runtime.block_on(async {
        let mut run = worker.run(context);
        tokio::select! {
            result = &mut run => panic!("{result:?}"),
            reached = is_reached.recv() => reached.unwrap(),
        }
    });
    dropped.send(()).unwrap();
    // Waits for the thread.
    drop(runtime);
    assert_eq!(files(folder.path()), names(&["app.log"]));
}
