//! What the config says to the worker `clean-logs`. What it does is in `workers`.

use std::path::{Component, Path};

use crate::config::problem::{Place, quoted};
use crate::config::table::Table;
use crate::workers::clean_logs::{Action, CleanLogs, Compress, Group};

/// Reads the worker's keys; `None` if no path is right.
pub(super) fn read(table: &Table<'_>) -> Option<CleanLogs> {
    if !table.has("paths") {
        table.report_whole("names no files", "add `paths`, as [\"/var/log/app/**/*.log*\"]");
    }
    let paths = table.texts("paths").unwrap_or_default();
    let paths: Vec<String> = paths.into_iter().filter_map(|(path, place)| glob(table, path, place)).collect();
    let default = CleanLogs::default();
    let worker = CleanLogs {
        paths,
        older_than: table.duration("older_than"),
        keep_files: table.integer("keep_files").and_then(|files| u32::try_from(files).ok()),
        keep_size: table.size("keep_size"),
        group: table.choice("group").unwrap_or(default.group),
        action: table.choice("action").unwrap_or(default.action),
        compress: table.choice("compress").unwrap_or(default.compress),
        compress_after: table.duration("compress_after").unwrap_or(default.compress_after),
        open_files: table.choice("open_files").unwrap_or(default.open_files),
        dry_run: table.flag("dry_run").unwrap_or(false),
    };
    check_together(table, &worker);
    (!worker.paths.is_empty()).then_some(worker)
}

/// Reports what is missing, and what would do nothing beside the other keys.
fn check_together(table: &Table<'_>, worker: &CleanLogs) {
    let has_limit = ["older_than", "keep_files", "keep_size"].iter().any(|key| table.has(key));
    let counts = table.has("keep_files") || table.has("keep_size");
    let compresses = worker.compress != Compress::None;
    if !has_limit && !compresses {
        table.report_whole("would do nothing", "add one of `older_than`, `keep_files`, `keep_size` and `compress`");
    }
    let idle = |key: &'static str, message: &str, hint: &str| {
        table.report(table.key_place(key), key, message.to_owned(), hint);
    };
    if worker.action != Action::default() && !has_limit {
        idle("action", "has no limit to act on", "add one of `older_than`, `keep_files` and `keep_size`");
    }
    if worker.group != Group::default() && !counts {
        idle("group", "has no limit to count for", "add `keep_files` or `keep_size`");
    }
    if worker.compress_after != CleanLogs::COMPRESS_AFTER_DEFAULT && !compresses {
        idle("compress_after", "compresses nothing", "add `compress = \"zstd\"` or `compress = \"gzip\"`");
    }
}

/// A glob made absolute. It must lie below some plain folder, so that none takes in the whole file system.
fn glob(table: &Table<'_>, pattern: &str, place: Place) -> Option<String> {
    let report = |message: String, hint: &str| table.report(place, "paths", message, hint);
    if let Err(error) = globset::GlobBuilder::new(pattern).literal_separator(true).build() {
        report(
            format!("{} is not a glob: {}", quoted(pattern), error.kind()),
            "write it as \"/var/log/app/**/*.log*\"",
        );
        return None;
    }
    let components: Vec<Component<'_>> = Path::new(pattern).components().collect();
    if components.contains(&Component::ParentDir) {
        report(format!("{} has `..` in it", quoted(pattern)), "write the path without it");
        return None;
    }
    if Path::new(pattern).is_relative() {
        if components.is_empty() {
            report("is empty".into(), "write a path");
            return None;
        }
        // The folder is a path and not a pattern, whatever characters it has.
        let folder = globset::escape(&table.context.source.folder.to_string_lossy());
        return Some(format!("{}/{pattern}", folder.trim_end_matches('/')));
    }
    let first = components.get(1).map(|first| first.as_os_str().to_string_lossy()).unwrap_or_default();
    if components.len() < 3 || first.contains(['*', '?', '[', '{']) {
        let message = format!("{} takes in files of the whole system", quoted(pattern));
        report(message, "name a folder first, as in \"/var/log/app/*.log\"");
        return None;
    }
    Some(pattern.to_owned())
}
