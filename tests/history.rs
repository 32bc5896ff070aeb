//! A store of history from outside: what is visible when, what survives, what retention drops, how damage is told.

use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use daybook::core::id::Seq;
use daybook::core::time::Timestamp;
use daybook::history::{Error, Found, Options, Row, Store};

const DAY_MS: i64 = 86_400_000;

fn row(at: i64, terms: &[u64], text: &str) -> Row {
    Row { at: Timestamp(at), terms: terms.to_vec(), bytes: text.into() }
}

/// The partitions are small: 256 KiB, or a day.
const KEPT: Duration = Duration::from_secs(90 * 86_400);

fn options() -> Options {
    Options::keep(KEPT, 8 << 20)
}

fn texts(rows: impl Iterator<Item = Result<Found, Error>>) -> Vec<String> {
    rows.map(|found| String::from_utf8(found.unwrap().bytes).unwrap()).collect()
}

fn partitions(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

#[test]
fn what_a_power_cut_left_of_a_new_partition_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    // sled would refuse it: the file was made, and its bytes were not written yet.
    let left = dir.path().join(format!("{:020}-{:020}.new", 10, 1));
    fs::create_dir(&left).unwrap();
    fs::write(left.join("conf"), [0; 62]).unwrap();
    fs::write(left.join("db"), "").unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    assert!(!left.exists());
    // Also when it comes into the way of one that is made.
    fs::create_dir(&left).unwrap();
    fs::write(left.join("conf"), [0; 62]).unwrap();
    store.append(Seq(1), vec![row(10, &[1], "a")]);
    store.sync(Seq(1)).unwrap();
    assert_eq!(partitions(dir.path()), [left.with_extension("")]);
    drop(store);
    assert_eq!(texts(Store::open(dir.path(), options()).unwrap().find(1)), ["a"]);
}

#[test]
fn rows_are_visible_at_once_and_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(store.applied(), Seq(0));
    assert!(partitions(dir.path()).is_empty(), "no database before the first row");
    store.append(Seq(1), vec![row(10, &[1, 2], "a"), row(11, &[2], "b")]);
    store.append(Seq(3), vec![row(12, &[1], "c")]);
    assert_eq!(texts(store.find(1)), ["c", "a"]);
    assert_eq!(texts(store.find(2)), ["b", "a"]);
    assert!(store.may_contain(2) && !store.may_contain(3));
    store.sync(Seq(3)).unwrap();
    assert_eq!(texts(store.scan(None)), ["c", "b", "a"]);
    drop(store);
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(store.applied(), Seq(3));
    assert_eq!(texts(store.find(1)), ["c", "a"]);
    assert_eq!(texts(store.scan(Some(Timestamp(11)))), ["c", "b"]);
    store.append(Seq(3), vec![row(12, &[1], "again")]);
    store.append(Seq(4), vec![row(13, &[1], "d")]);
    assert_eq!(texts(store.find(1)), ["d", "c", "a"]);
    assert_eq!(texts(store.find(77)), [] as [&str; 0]);
    let stats = store.stats();
    assert_eq!((stats.rows, stats.oldest), (4, Some(Timestamp(10))));
    assert!(stats.bytes > 0);
}

#[test]
fn a_commit_without_rows_counts_as_applied() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    store.advance(Seq(7));
    store.sync(Seq(7)).unwrap();
    assert!(matches!(store.sync(Seq(8)), Err(Error::NotAppended { up_to: Seq(8), appended: Seq(7) })));
    drop(store);
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(store.applied(), Seq(7));
    store.append(Seq(9), vec![row(1, &[1], "a")]);
    store.advance(Seq(12));
    drop(store); // the last handle writes what is pending
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(store.applied(), Seq(12));
    assert_eq!(texts(store.find(1)), ["a"]);
}

#[test]
fn a_search_goes_through_memory_and_all_partitions_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    for seq in 1..=40u64 {
        let at = seq as i64 * DAY_MS / 4; // four a partition
        store.append(Seq(seq), vec![row(at, &[seq % 2, 1000 + seq], &format!("r{seq}"))]);
        if seq <= 37 {
            store.sync(Seq(seq)).unwrap();
        }
    }
    assert!(partitions(dir.path()).len() >= 9);
    let expected: Vec<String> = (1..=40).rev().map(|seq| format!("r{seq}")).collect();
    assert_eq!(texts(store.scan(None)), expected);
    let odd: Vec<String> = (1..=40).rev().filter(|seq| seq % 2 == 1).map(|seq| format!("r{seq}")).collect();
    assert_eq!(texts(store.find(1)), odd);
    for seq in 1..=40 {
        assert!(store.may_contain(1000 + seq));
        assert_eq!(texts(store.find(1000 + seq)), [format!("r{seq}")]);
    }
    assert!((2000..3000).all(|term| !store.may_contain(term)));
    // A filter there is no memory for is asked on disk, and says the same.
    drop(store);
    let store = Store::open(dir.path(), Options { filter_bytes_max: 0, ..options() }).unwrap();
    assert!((1001..=1040).all(|term| store.may_contain(term)));
    assert!((2000..2100).all(|term| !store.may_contain(term)));
    let since = Timestamp(30 * DAY_MS / 4);
    assert_eq!(texts(store.scan(Some(since))), expected[..11]);
}

#[test]
fn a_search_sees_the_moment_it_was_asked_at() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    store.append(Seq(1), vec![row(1, &[5], "a")]);
    store.sync(Seq(1)).unwrap();
    store.append(Seq(2), vec![row(2, &[5], "b")]);
    let mut rows = store.find(5);
    store.append(Seq(3), vec![row(3, &[5], "c")]);
    store.sync(Seq(3)).unwrap(); // all three are in one chunk now
    assert_eq!(texts(&mut rows), ["b", "a"]);
}

#[test]
fn long_rows_are_cut_over_values() {
    let dir = tempfile::tempdir().unwrap();
    let mut noise = Vec::new();
    let mut word = 1u64;
    while noise.len() < 4 << 20 {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        noise.extend_from_slice(&(word >> 16).to_le_bytes()[..4]);
    }
    let sizes = [128 << 10, 10, 4 << 20, 6 << 10, 12 << 10, 0];
    for _ in 0..2 {
        let store = Store::open(dir.path(), options()).unwrap();
        for (number, &size) in sizes.iter().enumerate() {
            let bytes = noise[..size].to_vec();
            store.append(Seq(number as u64 + 1), vec![Row { at: Timestamp(1), terms: vec![size as u64], bytes }]);
        }
        store.sync(Seq(6)).unwrap();
        for size in sizes {
            let found: Vec<_> = store.find(size as u64).map(Result::unwrap).collect();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].bytes, noise[..size]);
        }
    }
    for path in partitions(dir.path()) {
        assert_eq!(fs::read_dir(path.join("blobs")).unwrap().count(), 0, "sled never syncs blobs");
    }
}

#[test]
fn a_row_beyond_the_bounds_stops_the_store_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    store.append(Seq(1), vec![Row { at: Timestamp(1), terms: vec![], bytes: vec![0; (4 << 20) + 1] }]);
    let told = store.sync(Seq(1)).unwrap_err().to_string();
    assert!(told.contains("commit 1") && told.contains("4194305"), "{told}");
    store.append(Seq(2), vec![row(1, &[], "x")]); // neither waits nor panics
}

#[test]
fn retention_drops_whole_partitions_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    for day in 0..20u64 {
        store.append(Seq(day + 1), vec![row(day as i64 * DAY_MS, &[day], &format!("d{day}"))]);
    }
    store.sync(Seq(20)).unwrap();
    let mut searching = store.scan(None);
    assert_eq!(searching.next().unwrap().unwrap().bytes, b"d19");
    let dropped = store.retain(Timestamp(100 * DAY_MS), KEPT, 8 << 20).unwrap();
    assert_eq!((dropped.partitions, dropped.rows), (10, 10));
    assert_eq!(texts(store.scan(None)), (10..20).rev().map(|day| format!("d{day}")).collect::<Vec<_>>());
    assert!(texts(searching).len() < 19, "a search under way ends where rows were dropped");
    assert_eq!(store.stats().oldest, Some(Timestamp(10 * DAY_MS)));
    // The last one is sealed when its span is over, and goes too; how far it got is not forgotten.
    assert_eq!(store.retain(Timestamp(1000 * DAY_MS), KEPT, 8 << 20).unwrap().rows, 10);
    assert!(partitions(dir.path()).is_empty() && !store.may_contain(19));
    drop(store);
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(store.applied(), Seq(20));
    store.append(Seq(21), vec![row(1000 * DAY_MS, &[1], "new")]);
    assert_eq!(texts(store.scan(None)), ["new"]);
}

#[test]
fn retention_drops_the_oldest_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let mut word = 7u64;
    for seq in 1..=400u64 {
        let mut text = String::new();
        while text.len() < 32 << 10 {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            text += &format!("{word:x}");
        }
        store.append(Seq(seq), vec![row(seq as i64, &[seq], &text)]);
    }
    store.sync(Seq(400)).unwrap();
    let before = store.stats();
    assert!(before.bytes > 8 << 20);
    let dropped = store.retain(Timestamp(400), KEPT, 8 << 20).unwrap();
    let after = store.stats();
    assert!(after.bytes <= 8 << 20 && after.rows > 50, "{after:?}");
    assert_eq!(after.rows + dropped.rows, before.rows);
    let left: Vec<u64> = store.scan(None).map(|found| found.unwrap().seq.0).collect();
    assert_eq!(left, (dropped.rows + 1..=400).rev().collect::<Vec<_>>());
    assert_eq!(store.retain(Timestamp(400), KEPT, 8 << 20).unwrap().rows, 0);
}

#[test]
fn a_partition_without_its_file_is_sealed_again_and_a_half_deleted_one_goes() {
    let dir = tempfile::tempdir().unwrap();
    let fill = |store: &Store| {
        for day in 0..4u64 {
            store.append(Seq(day + 1), vec![row(day as i64 * DAY_MS, &[day, 99], &format!("d{day}"))]);
        }
        store.sync(Seq(4)).unwrap();
    };
    fill(&Store::open(dir.path(), options()).unwrap());
    let paths = partitions(dir.path());
    fs::write(paths[1].join("sealed"), "rubbish").unwrap();
    fs::remove_file(paths[2].join("sealed")).unwrap();
    let half = paths[0].with_extension("drop");
    fs::rename(&paths[0], &half).unwrap();
    fs::write(half.join("db"), "").unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!(texts(store.find(99)), ["d3", "d2", "d1"]);
    assert_eq!(texts(store.find(1)), ["d1"]);
    assert!(!half.exists() && paths[1].join("sealed").metadata().unwrap().len() > 20);
}

#[test]
fn damage_is_reported_with_its_partition() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Store::open(dir.path(), options()).unwrap();
        for seq in 1..=3000u64 {
            let at = seq as i64 / 1000 * DAY_MS;
            store.append(
                Seq(seq),
                vec![row(at, &[seq], &format!("row {seq} {:x}", seq.wrapping_mul(0x9e37_79b9_7f4a_7c15)))],
            );
        }
        store.sync(Seq(3000)).unwrap();
    }
    let damaged = partitions(dir.path())[1].clone();
    let mut file = fs::File::options().read(true).write(true).open(damaged.join("db")).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes.iter_mut().skip(3000).step_by(700).for_each(|byte| *byte ^= 0x55);
    file.seek(SeekFrom::Start(0)).unwrap();
    file.write_all(&bytes).unwrap();
    for path in fs::read_dir(&damaged).unwrap().map(|entry| entry.unwrap().path()) {
        if path.file_name().unwrap().to_string_lossy().starts_with("snap.") {
            fs::remove_file(path).unwrap();
        }
    }
    let store = Store::open(dir.path(), options()).unwrap(); // sealed ones are not opened
    let (good, bad): (Vec<_>, Vec<_>) = store.scan(None).partition(Result::is_ok);
    assert!(good.len() >= 1000 && !bad.is_empty());
    for error in bad {
        let told = error.unwrap_err().to_string();
        assert!(told.contains(damaged.to_str().unwrap()) && told.contains("delete"), "{told}");
    }
    assert_eq!(texts(store.find(3000)).len(), 1, "the others are still readable");
    assert!(store.find(1500).next().is_some_and(|found| found.is_err()));
}

#[test]
fn a_clock_that_is_set_back_by_a_year_costs_no_row_and_is_no_reason_to_keep_more() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let (before, back) = (800 * DAY_MS, 435 * DAY_MS);
    for (seq, at, text) in [(1, before, "a"), (2, before + 1, "b"), (3, back, "c"), (4, back + 1, "d")] {
        store.append(Seq(seq), vec![row(at, &[1], text)]);
        store.sync(Seq(seq)).unwrap();
    }
    assert_eq!(store.retain(Timestamp(back + 2), KEPT, u64::MAX).unwrap().rows, 0);
    assert_eq!(texts(store.find(1)), ["d", "c", "b", "a"], "newest is what was written last");
    drop(store);
    let store = Store::open(dir.path(), options()).unwrap();
    assert_eq!((store.applied(), texts(store.find(1))), (Seq(4), ["d", "c", "b", "a"].map(String::from).to_vec()));
    // What is of the time before is bounded by its size.
    assert_eq!(store.retain(Timestamp(back + 2), KEPT, 0).unwrap().rows, 2);
    assert_eq!(texts(store.find(1)), ["d", "c"]);
    // The clock is right again: what is too old by it goes, and what was never written is not missed.
    store.append(Seq(5), vec![row(before + 2, &[1], "e")]);
    store.sync(Seq(5)).unwrap();
    assert_eq!(store.retain(Timestamp(before + 3), KEPT, u64::MAX).unwrap().rows, 2);
    assert_eq!(texts(store.find(1)), ["e"]);
}
