//! `clean-logs` on real folders: against a plain model, files that vanish. The hostile and the strange are in
//! `hostile.rs`, what is compressed in `compress.rs`.

mod compress;
mod hostile;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::SystemTime;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::context::tests::Recorder;
use super::group::log_name;
use super::*;
use crate::core::time::Timestamp;

/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp(1_795_251_600_000);
const DAY: u64 = 86_400;

fn write(path: &Path, size: usize, age_days: u64) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, vec![b'x'; size]).unwrap();
    let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(NOW.0 as u64) - Duration::from_secs(age_days * DAY);
    fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
}

/// All regular files below a folder, as paths relative to it.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                found.insert(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn settings(folder: &Path, patterns: &[&str]) -> CleanLogs {
    let paths = patterns.iter().map(|pattern| format!("{}/{pattern}", folder.display())).collect();
    CleanLogs { paths, older_than: Some(Duration::from_secs(30 * DAY)), ..CleanLogs::default() }
}

async fn clean(settings: CleanLogs) -> (Value, String) {
    let recorder = Recorder::new();
    let result = settings.worker().unwrap().run(recorder.context(NOW)).await.unwrap();
    (result, recorder.text())
}

/// Files by name, age in days and size; sizes differ, so that orders are told apart.
fn tree() -> impl Strategy<Value = Vec<(String, u64, usize)>> {
    let path = (
        prop::sample::select(vec!["", "a/", "b/", "a/c/"]),
        0..5u32,
        prop::sample::select(vec!["log", "log.1", "log-20261101.gz", "txt"]),
    );
    prop::collection::vec((path, 0..60u64, 0..50usize), 0..40)
        .prop_map(|files| files.into_iter().map(|((f, n, e), age, size)| (format!("{f}{n}.{e}"), age, size)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Exactly the files that a plain model names are deleted.
    #[test]
    fn the_right_files_are_deleted(
        files_made in tree(),
        older_than in prop::option::of(1..60u64),
        keep_files in prop::option::of(0..4u32),
        keep_size in prop::option::of(0..300u64),
        group in prop::sample::select(vec![Group::Name, Group::Folder, Group::All]),
    ) {
        prop_assume!(older_than.is_some() || keep_files.is_some() || keep_size.is_some());
        let folder = tempfile::tempdir().unwrap();
        let mut model = std::collections::BTreeMap::new();
        for (name, age, size) in files_made {
            write(&folder.path().join(&name), size, age);
            model.insert(name, (age, size));
        }
        fs::create_dir_all(folder.path().join("empty")).unwrap();
        let everything = model.clone();
        model.retain(|name, (age, _)| name.ends_with(".txt") || older_than.is_none_or(|limit| *age <= limit));
        let group_of = |name: &str| match group {
            Group::All => Default::default(),
            Group::Folder => (Path::new(name).parent().map(Path::to_path_buf), None),
            Group::Name => {
                let path = Path::new(name);
                (path.parent().map(Path::to_path_buf), path.file_name().map(log_name))
            }
        };
        // Oldest first; among files of the same age the later name counts as newer.
        let mut logs: Vec<_> = model.iter().filter(|(name, _)| !name.ends_with(".txt")).map(|(name, f)| (name.clone(), *f)).collect();
        logs.sort_by_key(|(name, (age, _))| {
            let path = Path::new(name);
            (std::cmp::Reverse(*age), path.parent().unwrap().to_path_buf(), path.file_name().unwrap().to_owned())
        });
        for (place, (name, (_, size))) in logs.iter().enumerate() {
            let newer: Vec<_> =
                logs[place + 1..].iter().filter(|(other, _)| group_of(other) == group_of(name)).collect();
            let by_count = keep_files.is_some_and(|keep| newer.len() >= keep as usize);
            let bytes: usize = newer.iter().map(|(_, (_, size))| size).sum::<usize>() + size;
            let by_size = keep_size.is_some_and(|keep| bytes as u64 > keep);
            if by_count || by_size {
                model.remove(name);
            }
        }
        let settings = CleanLogs {
            older_than: older_than.map(|days| Duration::from_secs(days * DAY)), keep_files, keep_size, group,
            ..settings(folder.path(), &["**/*.log*"])
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let dry = CleanLogs { dry_run: true, ..settings.clone() };
        let (would, _) = runtime.block_on(clean(dry));
        assert_eq!(files(folder.path()).len(), everything.len());
        let (result, text) = runtime.block_on(clean(settings));
        assert_eq!(files(folder.path()), model.keys().cloned().collect::<BTreeSet<_>>(), "{text}");
        let bytes: usize = everything.iter().filter(|(name, _)| !model.contains_key(*name)).map(|(_, (_, size))| size).sum();
        assert_eq!(result["bytes"], bytes);
        assert_eq!(result["deleted"], everything.len() - model.len());
        assert_eq!(would["would_delete"], result["deleted"]);
        assert_eq!(result["examined"], everything.keys().filter(|name| !name.ends_with(".txt")).count());
    }
}

#[tokio::test]
async fn lines_progress_and_result_tell_what_was_done() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("app/old.log"), 10, 40);
    write(&folder.path().join("app/new\nline.log"), 10, 31);
    write(&folder.path().join("app/new.log"), 10, 29);
    let recorder = Recorder::new();
    let worker = settings(folder.path(), &["**/*.log"]).worker().unwrap();
    let result = worker.run(recorder.context(NOW)).await.unwrap();
    assert_eq!(
        result,
        json!({
            "examined": 3, "deleted": 2, "truncated": 0, "compressed": 0, "bytes": 20, "left": 0, "vanished": 0,
            "errors": 0, "first_errors": [], "dry_run": false,
        })
    );
    let text = recorder.text();
    let line = format!(
        "deleted {}/app/old.log, 10 bytes, 1month 9days 13h 26m 24s old: older than 30days",
        folder.path().display()
    );
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("new\\nline.log"), "{text}");
    assert!(text.ends_with("deleted 2 of 3 files, 20 bytes; 0 left, 0 errors"), "{text}");
    assert_eq!(recorder.progress.lock().unwrap().last(), Some(&(3, 3)));
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.log"), 10, 40);
    let (result, text) = clean(CleanLogs { dry_run: true, ..settings(folder.path(), &["*.log"]) }).await;
    assert_eq!((&result["deleted"], &result["would_delete"], &result["bytes"]), (&json!(null), &json!(1), &json!(10)));
    assert!(text.contains("would delete"), "{text}");
    assert_eq!(files(folder.path()), names(&["a.log"]));
}

#[tokio::test]
async fn a_file_of_two_patterns_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a/x.log"), 10, 40);
    let both = settings(folder.path(), &["a/*.log", "**/x*"]);
    let (result, _) = clean(CleanLogs { dry_run: true, ..both }).await;
    assert_eq!((&result["examined"], &result["would_delete"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_link_in_the_base_is_refused_with_advice_and_the_other_patterns_go_on() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("real/x.log"), 1, 40);
    write(&folder.path().join("other/x.log"), 1, 40);
    symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
    let settings = settings(folder.path(), &["link/*.log", "other/*.log"]);
    let error = settings.worker().unwrap().run(Recorder::new().context(NOW)).await.unwrap_err().to_string();
    assert!(error.contains("link` is a symbolic link or no folder; write the path that it leads to"), "{error}");
    assert_eq!(files(folder.path()), names(&["real/x.log"]));
}

#[tokio::test]
async fn a_missing_base_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (result, text) = clean(settings(folder.path(), &["not/here/*.log"])).await;
    assert_eq!((&result["examined"], &result["errors"]), (&json!(0), &json!(0)));
    assert!(text.contains("/not` does not exist, so there is nothing to clean for `"), "{text}");
}

#[tokio::test]
async fn files_that_vanish_during_the_run_are_reported_and_the_rest_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..10 {
        write(&folder.path().join(format!("{file}.log")), 1, 40);
    }
    // By count, all files are looked at before the first is deleted; the newest name goes last.
    let settings = CleanLogs {
        older_than: None,
        keep_files: Some(0),
        group: Group::Folder,
        ..settings(folder.path(), &["*.log"])
    };
    let recorder = Recorder::new();
    let mut context = recorder.context(NOW);
    let (path, write_line) = (folder.path().to_path_buf(), context.log.clone());
    context.log = Arc::new(move |line| {
        if line.contains("/0.log") {
            fs::remove_file(path.join("5.log")).unwrap();
            fs::write(path.join("6.log"), "somebody wrote this meanwhile").unwrap();
        }
        write_line(line);
    });
    let result = settings.worker().unwrap().run(context).await.unwrap();
    let text = recorder.text();
    assert_eq!(
        (&result["deleted"], &result["vanished"], &result["errors"]),
        (&json!(8), &json!(1), &json!(0)),
        "{text}"
    );
    assert!(text.contains("/5.log is gone already"), "{text}");
    assert!(text.contains("/6.log: it was changed meanwhile"), "{text}");
    assert_eq!(result["left"], 1);
    assert_eq!(files(folder.path()), names(&["6.log"]));
}

#[tokio::test]
async fn thousands_of_files_in_a_folder_in_chunks_and_a_cancelled_run_is_completed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..4000u64 {
        write(&folder.path().join(format!("{file}.log")), 1, if file % 10 == 0 { 3 } else { 40 });
    }
    let worker = settings(folder.path(), &["*.log"]).worker().unwrap();
    let recorder = Recorder::new();
    let mut context = recorder.context(NOW);
    let cancel = recorder.cancel.clone();
    context.progress = Arc::new(move |_, _, _| {
        cancel.send_replace(true);
    });
    let error = worker.run(context).await.unwrap_err();
    assert!(error.is_cancelled());
    let left = files(folder.path()).len();
    assert!((3000..4000).contains(&left), "{left}");

    let recorder = Recorder::new();
    let result = worker.run(recorder.context(NOW)).await.unwrap();
    assert_eq!(files(folder.path()).len(), 400);
    assert_eq!(result["deleted"], left - 400);
    assert!(recorder.progress.lock().unwrap().len() >= left / 1000);
}

#[test]
fn settings_are_checked_before_anything_runs() {
    let refused = |settings: CleanLogs| settings.worker().err().expect("refused").to_string();
    let paths = vec!["/l/*.log".to_owned()];
    assert!(refused(CleanLogs { paths: paths.clone(), ..CleanLogs::default() }).contains("give one of"));
    assert!(CleanLogs { paths, compress: Compress::Zstd, ..CleanLogs::default() }.worker().is_ok());
    let path = |path: &str| CleanLogs { paths: vec![path.into()], keep_files: Some(1), ..CleanLogs::default() };
    assert!(refused(path("logs/*.log")).contains("must be absolute"));
    assert!(refused(CleanLogs { keep_files: Some(1), ..CleanLogs::default() }).contains("give 1 to 256"));
}
