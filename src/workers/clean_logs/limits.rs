//! Which files of a group are beyond `keep_files` and `keep_size`. Pure: nothing is looked at here.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};

use super::folder::{Found, Instant};
use super::group::{log_name, without_compression};
use super::{CleanLogs, Group};

/// Why a file is beyond the limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reason {
    Age,
    Count,
    Size,
}

/// The files that are kept, and those beyond a limit: the oldest first, so that a run that ends early has left the
/// newest. `files` are those of a folder, or all with `group = "all"`.
pub(super) fn beyond(files: Vec<Found>, settings: &CleanLogs) -> (Vec<Found>, Vec<(Found, Reason)>) {
    if settings.keep_files.is_none() && settings.keep_size.is_none() {
        return (files, Vec::new());
    }
    let (mut kept, mut beyond) = (Vec::new(), Vec::new());
    for group in groups(files, settings.group) {
        of_group(group, settings, &mut kept, &mut beyond);
    }
    (kept, beyond)
}

fn groups(files: Vec<Found>, group: Group) -> Vec<Vec<Found>> {
    match group {
        Group::Folder | Group::All => vec![files],
        Group::Name => {
            let mut logs: BTreeMap<OsString, Vec<Found>> = BTreeMap::new();
            for found in files {
                logs.entry(log_name(&found.file.name)).or_default().push(found);
            }
            logs.into_values().collect()
        }
    }
}

fn of_group(mut files: Vec<Found>, settings: &CleanLogs, kept: &mut Vec<Found>, beyond: &mut Vec<(Found, Reason)>) {
    files.sort_by(|a, b| (a.file.modified, &a.folder, &a.file.name).cmp(&(b.file.modified, &b.folder, &b.file.name)));
    let too_many = settings.keep_files.map_or(0, |keep| files.len().saturating_sub(keep as usize));
    let mut bytes: u64 = files[too_many..].iter().map(|found| found.file.size).sum();
    for (place, found) in files.into_iter().enumerate() {
        if place < too_many {
            beyond.push((found, Reason::Count));
        } else if settings.keep_size.is_some_and(|keep| bytes > keep) {
            bytes -= found.file.size;
            beyond.push((found, Reason::Size));
        } else {
            kept.push(found);
        }
    }
}

/// Takes the files out of `files` whose compressed form stands beside them with the same time: what a run leaves that is
/// killed before it has deleted the original. They are not to be counted twice.
pub(super) fn take_twins(files: &mut Vec<Found>) -> Vec<Found> {
    let compressed: HashSet<(&OsStr, Instant)> =
        files.iter().filter_map(|found| Some((without_compression(&found.file.name)?, found.file.modified))).collect();
    let is_twin: Vec<bool> =
        files.iter().map(|found| compressed.contains(&(found.file.name.as_os_str(), found.file.modified))).collect();
    let mut is_twin = is_twin.into_iter();
    files.extract_if(.., |_| is_twin.next().unwrap_or(false)).collect()
}
