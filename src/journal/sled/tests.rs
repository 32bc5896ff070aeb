//! Damage to real files, and a real `kill -9`.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::records::Records;
use super::*;
use crate::journal::record::encode;
use crate::journal::{Keep, parts};

const EPOCH: Epoch = Epoch(1);

/// Differs in every commit and does not compress.
fn noise(seq: u64, length: usize) -> Vec<u8> {
    let mut word = seq;
    let next = || {
        word = word.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (word >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn append(journal: &mut SledJournal, count: u64, length: usize) {
    for _ in 0..count {
        let seq = journal.last().next();
        journal.append(EPOCH, seq, Timestamp(seq.0 as i64), 1, &noise(seq.0, length)).unwrap();
    }
}

fn written(dir: &Path, count: u64, length: usize) -> SledJournal {
    let (mut journal, _) = SledJournal::open(dir).unwrap();
    append(&mut journal, count, length);
    journal
}

/// Reads all commits and compares them with what was appended.
fn read(journal: &SledJournal, length: usize) -> u64 {
    let commits = journal.reader().read(Seq(1)).map(Result::unwrap);
    commits.map(|commit| assert_eq!(commit.payload, noise(commit.seq.0, length))).count() as u64
}

fn generation(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("journal/gen-{first:020}"))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

fn damage(result: Result<(SledJournal, Opened), Error>) -> (Seq, String) {
    match result {
        Err(Error::Damaged { seq, what, hint }) => (seq, format!("{what} ({hint})")),
        Err(error) => panic!("not damage: {error}"),
        Ok((_, opened)) => panic!("opened: {opened:?}"),
    }
}

/// Puts only the first `parts` parts of the next commit, as a kill during `append` leaves them.
fn put_torn(journal: SledJournal, parts: usize) {
    let tip = journal.tip();
    let mut record = Vec::new();
    let head = Head { seq: tip.seq.next(), at: Timestamp(0), events: 1, previous: tip.checksum };
    encode(head, &noise(9, 20_000), &mut Compressor::default(), &mut record);
    journal.live.database().put_each(parts::cut(tip.seq.next().0, &record).take(parts)).unwrap();
    journal.live.sync().unwrap();
}

#[test]
fn a_torn_commit_is_cut_and_stays_cut() {
    let dir = tempfile::tempdir().unwrap();
    put_torn(written(dir.path(), 5, 100), 2);
    let (mut journal, opened) = SledJournal::open(dir.path()).unwrap();
    let cut = opened.cut.unwrap();
    assert_eq!((cut.seq, cut.parts, opened.tip.seq), (Seq(6), 2, Seq(5)));
    append(&mut journal, 2, 100);
    drop(journal);
    let (journal, opened) = SledJournal::open(dir.path()).unwrap();
    assert_eq!((opened.cut, read(&journal, 100)), (None, 7));
}

#[test]
fn a_torn_commit_at_the_start_of_a_generation_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        put_torn(written(dir.path(), 0, 100), round);
        let (journal, opened) = SledJournal::open(dir.path()).unwrap();
        assert_eq!((opened.tip.seq, opened.cut.map(|cut| cut.seq)), (Seq(0), Some(Seq(1))));
        assert_eq!(journal.upkeep().generations().len(), 1, "the old one was replaced");
    }
    assert_eq!(read(&written(dir.path(), 3, 100), 100), 3);
}

#[test]
fn a_missing_part_in_the_middle_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 5, 20_000);
    let (database, key) = (journal.live.database(), [0, 0, 0, 0, 0, 0, 0, 3, 0, 1]);
    assert!(database.get(&key).unwrap().is_some());
    database.remove_range(&key, &key).unwrap();
    journal.live.sync().unwrap();
    let mut commits = journal.reader().read(Seq(1));
    assert_eq!(commits.next().unwrap().unwrap().seq, Seq(1), "what stands before it is shown");
    assert_eq!(commits.next().unwrap().unwrap().seq, Seq(2));
    assert!(matches!(commits.next(), Some(Err(Error::Damaged { seq: Seq(3), .. }))));
    drop((commits, journal));
    let (seq, what) = damage(SledJournal::open(dir.path()));
    assert_eq!(seq, Seq(3));
    assert!(what.contains("part 1 is missing") && what.contains("backup"), "{what}");
}

#[test]
fn a_file_cut_anywhere_is_never_shown_short_of_its_head() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 40, 700);
    journal.upkeep().mark_head().unwrap();
    drop(journal);
    let whole = fs::metadata(generation(dir.path(), 1).join("db")).unwrap().len();
    let data = 80_000; // More than the 40 commits take; beyond it there are only zeros.
    let places = (0..data).step_by(2_711).chain([1, 15, whole - 1]);
    let mut opened = 0;
    for place in places {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        let file = OpenOptions::new().write(true).open(generation(copied.path(), 1).join("db")).unwrap();
        file.set_len(place).unwrap();
        match SledJournal::open(copied.path()) {
            Ok((journal, _)) => {
                assert_eq!(read(&journal, 700), 40, "cut at {place}");
                opened += 1;
            }
            Err(Error::Damaged { .. }) => {}
            Err(error) => panic!("cut at {place}: {error}"),
        }
    }
    assert!(opened > 0, "cutting zeros off does no harm");
}

#[test]
fn a_file_cut_after_its_head_loses_a_tail_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = written(dir.path(), 10, 700);
    journal.upkeep().mark_head().unwrap();
    append(&mut journal, 30, 700);
    drop(journal);
    for place in (0..80_000).step_by(3_301) {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        let file = OpenOptions::new().write(true).open(generation(copied.path(), 1).join("db")).unwrap();
        file.set_len(place).unwrap();
        match SledJournal::open(copied.path()) {
            Ok((mut journal, opened)) => {
                assert!(opened.tip.seq >= Seq(10), "cut at {place}: {opened:?}");
                append(&mut journal, 1, 700);
                assert_eq!(read(&journal, 700), opened.tip.seq.0 + 1);
            }
            Err(Error::Damaged { .. }) => {}
            Err(error) => panic!("cut at {place}: {error}"),
        }
    }
}

#[test]
fn flipped_bytes_are_damage_or_harmless_but_never_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 40, 700);
    journal.upkeep().mark_head().unwrap();
    drop(journal);
    let mut damaged = 0;
    for place in (0..60_000).step_by(1_709) {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        let path = generation(copied.path(), 1).join("db");
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let mut bytes = [0; 16];
        file.read_exact_at(&mut bytes, place).unwrap();
        file.write_all_at(&bytes.map(|byte| byte ^ 0x5a), place).unwrap();
        match SledJournal::open(copied.path()) {
            Ok((journal, _)) => assert_eq!(read(&journal, 700), 40, "flipped at {place}"),
            Err(Error::Damaged { .. }) => damaged += 1,
            Err(error) => panic!("flipped at {place}: {error}"),
        }
    }
    assert!(damaged > 0, "some of these bytes matter");
}

#[test]
fn a_panic_inside_sled_is_damage_and_not_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path(), 300, 6_000));
    let generation = generation(dir.path(), 1);
    // A table of pages that points past the end of the file.
    drop(SledJournal::open(dir.path()).unwrap());
    OpenOptions::new().write(true).open(generation.join("db")).unwrap().set_len(600_000).unwrap();
    let (seq, what) = damage(SledJournal::open(dir.path()));
    assert!(seq >= Seq(1) && what.contains("backup"), "{what}");
}

#[test]
fn what_a_kill_during_an_opening_leaves_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(written(dir.path(), 3, 100));
    fs::write(generation(dir.path(), 1).join("snap.00000000000FFFFF.generating"), b"half").unwrap();
    assert_eq!(read(&SledJournal::open(dir.path()).unwrap().0, 100), 3);
}

#[test]
fn half_made_directories_are_removed_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = written(dir.path(), 3, 100);
    journal.rotate().unwrap();
    drop(journal);
    let names = ["journal/gen-00000000000000000004.new", "journal/gen-00000000000000000001.drop"];
    names.iter().for_each(|name| fs::create_dir(dir.path().join(name)).unwrap());
    fs::write(dir.path().join("journal/head.new"), b"half").unwrap();
    let half = dir.path().join("checkpoint/00000000000000000003.new");
    fs::create_dir(&half).unwrap();
    drop(Records::open(&half, Seq(3)).unwrap());
    let (mut journal, opened) = SledJournal::open(dir.path()).unwrap();
    assert_eq!(opened.leftovers.len(), 4);
    assert_eq!((opened.checkpoint, half.exists()), (None, false));
    append(&mut journal, 1, 100);
    assert_eq!(read(&journal, 100), 4);
}

#[test]
fn a_missing_generation_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = written(dir.path(), 3, 100);
    for _ in 0..2 {
        journal.rotate().unwrap();
        append(&mut journal, 3, 100);
    }
    drop(journal);
    for (first, seq) in [(1, 1), (4, 4), (7, 7)] {
        let copied = tempfile::tempdir().unwrap();
        copy(dir.path(), copied.path());
        fs::remove_dir_all(generation(copied.path(), first)).unwrap();
        let (at, what) = damage(SledJournal::open(copied.path()));
        assert_eq!(at, Seq(seq), "{what}");
    }
}

#[test]
fn a_damaged_head_or_another_journals_head_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 3, 100);
    journal.upkeep().mark_head().unwrap();
    drop(journal);
    let path = dir.path().join("journal/head");
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[1..]).unwrap();
    assert!(damage(SledJournal::open(dir.path())).1.contains("head"));
    fs::remove_file(dir.path().join("journal").join(super::open::REACHED)).unwrap();
    crate::journal::head::write(&path, Tip { seq: Seq(2), at: Timestamp(0), checksum: 1 }).unwrap();
    let (seq, what) = damage(SledJournal::open(dir.path()));
    assert!(seq == Seq(2) && what.contains("the head file knows it with another checksum"), "{what}");
    fs::write(&path, good).unwrap();
    SledJournal::open(dir.path()).unwrap();
}

#[test]
fn a_damaged_checkpoint_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let journal = written(dir.path(), 3, 100);
    let tip = journal.tip();
    let mut chunks = (0..100).map(|number| noise(number, 5_000));
    journal.upkeep().put_checkpoint(tip.seq, tip.checksum, &[], &mut chunks).unwrap();
    drop(journal);
    let path = dir.path().join("checkpoint/00000000000000000003/db");
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&[0x77; 64], 200_000).unwrap();
    let (journal, _) = SledJournal::open(dir.path()).unwrap();
    let read = journal.upkeep().latest_checkpoint().map(|found| found.unwrap().chunks.find_map(Result::err));
    let error = read.unwrap_or_else(Some).expect("64 wrong bytes in the middle are noticed");
    assert!(matches!(error, Error::Damaged { seq: Seq(3), .. }), "{error}");
}

#[test]
fn a_generation_that_is_read_is_dropped_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = written(dir.path(), 3, 100);
    journal.rotate().unwrap();
    let (tip, upkeep) = (journal.tip(), journal.upkeep());
    upkeep.put_checkpoint(tip.seq, tip.checksum, &[], &mut std::iter::empty()).unwrap();
    let keep = Keep { after: Seq(u64::MAX), since: Timestamp(i64::MAX), bytes_max: 0 };
    let mut commits = journal.reader().read(Seq(1));
    commits.next().unwrap().unwrap();
    assert!(upkeep.drop_before(keep).unwrap().is_empty());
    drop(commits);
    assert_eq!(upkeep.drop_before(keep).unwrap().len(), 1);
    assert!(!generation(dir.path(), 1).exists());
}

/// Not a test by itself: what `kill_9_loses_nothing_acknowledged` starts and kills.
#[test]
fn child_that_appends_until_killed() {
    let Some(dir) = std::env::var_os("DAYBOOK_TEST_JOURNAL_CHILD") else {
        return;
    };
    let (mut journal, _) = SledJournal::open(Path::new(&dir)).unwrap();
    let upkeep = journal.upkeep();
    let mut out = std::io::stdout();
    loop {
        let seq = journal.last().next();
        append(&mut journal, 1, 100 + seq.0 as usize % 20_000);
        writeln!(out, "acknowledged {seq}").unwrap();
        if seq.0.is_multiple_of(7) {
            journal.rotate().unwrap();
        }
        if seq.0.is_multiple_of(11) {
            let tip = journal.tip();
            upkeep.put_checkpoint(tip.seq, tip.checksum, &[], &mut (0..50).map(|n| noise(n, 9_000))).unwrap();
        }
    }
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::sled::tests::child_that_appends_until_killed", "--nocapture"])
            .env("DAYBOOK_TEST_JOURNAL_CHILD", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Killed after another number of commits each time, wherever the child is by then.
        let enough = acknowledged + 3 + round * 5;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            if let Some((_, seq)) = line.unwrap().split_once("acknowledged ") {
                acknowledged = seq.trim().parse().unwrap();
                if acknowledged >= enough {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        let (journal, opened) = SledJournal::open(dir.path()).unwrap();
        assert!(opened.tip.seq.0 >= acknowledged.max(enough), "{opened:?}, acknowledged {acknowledged}");
        let commits = journal.reader().read(journal.reader().first()).map(Result::unwrap);
        let check = |commit: crate::journal::Commit| {
            assert_eq!(commit.payload, noise(commit.seq.0, 100 + commit.seq.0 as usize % 20_000));
        };
        assert_eq!(commits.map(check).count() as u64, opened.tip.seq.0);
        acknowledged = opened.tip.seq.0;
    }
}
