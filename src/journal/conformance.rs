//! What every store must do. One suite, run over each of them.

use std::cell::RefCell;

use super::*;

const EPOCH: Epoch = Epoch(1);

/// A store that can be closed and opened again.
trait Store {
    type Journal: Journal;
    fn open(&self) -> Result<(Self::Journal, Opened), Error>;
    /// Ends the journal as `kill -9` does.
    fn close(&self, journal: Self::Journal);
}

#[derive(Default)]
struct Memory(RefCell<Disk>);

impl Store for Memory {
    type Journal = MemoryJournal;
    fn open(&self) -> Result<(MemoryJournal, Opened), Error> {
        MemoryJournal::open(self.0.borrow().clone())
    }
    fn close(&self, journal: MemoryJournal) {
        self.0.replace(journal.disk());
    }
}

struct OnDisk(tempfile::TempDir);

impl Store for OnDisk {
    type Journal = SledJournal;
    fn open(&self) -> Result<(SledJournal, Opened), Error> {
        SledJournal::open(self.0.path())
    }
    fn close(&self, journal: SledJournal) {
        drop(journal);
    }
}

/// Makes each function below a test of each store.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod memory {
            $(#[test] fn $name() { super::$name(super::Memory::default()) })*
        }
        mod on_disk {
            $(#[test] fn $name() { super::$name(super::OnDisk(tempfile::tempdir().unwrap())) })*
        }
    };
}

suite!(
    begins_empty,
    commits_are_read_as_they_were_appended,
    large_commits_come_back,
    a_wrong_number_is_fenced,
    an_older_writer_is_fenced,
    too_large_a_commit_is_refused_and_nothing_has_happened,
    a_reader_sees_what_is_appended_while_it_reads,
    rotation_changes_nothing_for_readers,
    rotating_an_empty_generation_does_nothing,
    a_checkpoint_is_read_back,
    a_newer_checkpoint_takes_the_place_of_the_older,
    a_misplaced_checkpoint_is_refused,
    opening_needs_only_what_follows_the_checkpoint,
    nothing_that_is_needed_is_dropped,
    dropping_goes_by_age,
    dropping_goes_by_size,
    dropped_commits_are_named_as_such,
    the_head_follows_only_when_told,
);

fn payload(seq: u64) -> Vec<u8> {
    format!("commit {seq}").into_bytes()
}

/// A commit's time is a thousand times its number.
fn append(journal: &mut impl Journal, count: u64) {
    for _ in 0..count {
        let seq = journal.last().next();
        journal.append(EPOCH, seq, Timestamp(seq.0 as i64 * 1000), seq.0 as u32, &payload(seq.0)).unwrap();
    }
}

fn read(journal: &impl Journal, from: u64) -> Vec<u64> {
    let commits = journal.reader().read(Seq(from)).map(Result::unwrap);
    let check = |commit: Commit| {
        let seq = commit.seq.0;
        assert_eq!((commit.at.0, commit.events, commit.payload), (seq as i64 * 1000, seq as u32, payload(seq)));
        seq
    };
    commits.map(check).collect()
}

fn checkpoint(journal: &impl Journal, seq: u64, chunks: &[Vec<u8>]) -> Result<Written, Error> {
    let checksum = match journal.reader().read(Seq(seq.max(1))).next() {
        Some(commit) if seq > 0 => commit?.checksum,
        _ => 0,
    };
    journal.upkeep().put_checkpoint(Seq(seq), checksum, &seq.to_le_bytes(), &mut chunks.iter().cloned())
}

fn begins_empty(store: impl Store) {
    let (journal, opened) = store.open().unwrap();
    let empty = Opened { intact: true, ..Opened::default() };
    assert_eq!(opened, empty);
    assert_eq!((journal.last(), journal.reader().first(), journal.reader().last()), (Seq(0), Seq(1), Seq(0)));
    assert!(read(&journal, 0).is_empty());
    assert!(journal.upkeep().latest_checkpoint().unwrap().is_none());
    store.close(journal);
    assert_eq!(store.open().unwrap().1, empty, "nor is it damaged by being opened");
}

fn commits_are_read_as_they_were_appended(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 300);
    assert_eq!(read(&journal, 1), (1..=300).collect::<Vec<_>>());
    assert_eq!(read(&journal, 299), [299, 300]);
    assert!(read(&journal, 301).is_empty());
    let tip = journal.tip();
    store.close(journal);
    let (mut journal, opened) = store.open().unwrap();
    assert_eq!((journal.tip(), opened.tip, opened.cut), (tip, tip, None));
    append(&mut journal, 2);
    assert_eq!(read(&journal, 1), (1..=302).collect::<Vec<_>>());
}

fn large_commits_come_back(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    let mut word = 7u64;
    let mut noise = |length: usize| -> Vec<u8> {
        let mut next = || {
            word = word.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (word >> 56) as u8
        };
        (0..length).map(|_| next()).collect()
    };
    let payloads = [noise(6_000), noise(300_000), vec![5; 1_000_000], Vec::new(), noise(6 * 1024 - 48)];
    for (index, payload) in payloads.iter().enumerate() {
        journal.append(EPOCH, Seq(index as u64 + 1), Timestamp(0), 1, payload).unwrap();
    }
    store.close(journal);
    let (journal, _) = store.open().unwrap();
    let commits: Vec<Commit> = journal.reader().read(Seq(1)).map(Result::unwrap).collect();
    assert!(commits.iter().map(|commit| &commit.payload).eq(&payloads));
}

fn a_wrong_number_is_fenced(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 2);
    for seq in [0, 1, 2, 4] {
        let error = journal.append(EPOCH, Seq(seq), Timestamp(0), 1, b"x").unwrap_err();
        assert!(matches!(error, Error::Fenced { got, expected, .. } if got == Seq(seq) && expected == Seq(3)));
    }
    append(&mut journal, 1);
    assert_eq!(read(&journal, 1), [1, 2, 3]);
}

fn an_older_writer_is_fenced(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    journal.append(Epoch(5), Seq(1), Timestamp(0), 1, b"x").unwrap();
    let error = journal.append(Epoch(4), Seq(2), Timestamp(0), 1, b"x").unwrap_err();
    assert!(matches!(error, Error::Fenced { seen: Epoch(5), .. }));
    journal.append(Epoch(6), Seq(2), Timestamp(0), 1, b"x").unwrap();
    assert!(journal.append(Epoch(5), Seq(3), Timestamp(0), 1, b"x").is_err());
}

fn too_large_a_commit_is_refused_and_nothing_has_happened(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    let error = journal.append(EPOCH, Seq(1), Timestamp(0), 1, &vec![0; PAYLOAD_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
    append(&mut journal, 1);
    assert_eq!(read(&journal, 1), [1]);
}

fn a_reader_sees_what_is_appended_while_it_reads(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 2);
    let reader = journal.reader();
    let mut commits = reader.read(Seq(1));
    assert_eq!(commits.next().unwrap().unwrap().seq, Seq(1));
    append(&mut journal, 1);
    journal.rotate().unwrap();
    append(&mut journal, 1);
    let rest: Vec<u64> = commits.map(|commit| commit.unwrap().seq.0).collect();
    assert_eq!(rest, [2, 3, 4]);
    assert_eq!(reader.last(), Seq(4));
}

fn rotation_changes_nothing_for_readers(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    for _ in 0..4 {
        append(&mut journal, 3);
        journal.rotate().unwrap();
    }
    append(&mut journal, 1);
    assert_eq!(read(&journal, 1), (1..=13).collect::<Vec<_>>());
    assert_eq!(read(&journal, 6), (6..=13).collect::<Vec<_>>());
    let rows: Vec<_> = journal.upkeep().generations().iter().map(|row| (row.first.0, row.last.0, row.until)).collect();
    let at = |seq: i64| Some(Timestamp(seq * 1000));
    assert_eq!(rows, [(1, 3, at(3)), (4, 6, at(6)), (7, 9, at(9)), (10, 12, at(12)), (13, 13, None)]);
    store.close(journal);
    let (journal, _) = store.open().unwrap();
    assert_eq!(read(&journal, 1), (1..=13).collect::<Vec<_>>());
}

fn rotating_an_empty_generation_does_nothing(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    journal.rotate().unwrap();
    append(&mut journal, 1);
    journal.rotate().unwrap();
    journal.rotate().unwrap();
    store.close(journal);
    let (mut journal, opened) = store.open().unwrap();
    assert_eq!((opened.tip.seq, opened.cut), (Seq(1), None), "an empty generation at the end is fine");
    journal.rotate().unwrap();
    append(&mut journal, 1);
    assert_eq!(journal.upkeep().generations().len(), 2);
    assert_eq!(read(&journal, 1), [1, 2]);
}

fn a_checkpoint_is_read_back(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 3);
    let chunks: Vec<Vec<u8>> = (0..200u32).map(|i| i.to_le_bytes().repeat(i as usize * 20)).collect();
    let written = checkpoint(&journal, 2, &chunks).unwrap();
    assert_eq!((written.chunks, written.bytes), (200, chunks.iter().map(|chunk| chunk.len() as u64).sum()));
    store.close(journal);
    let (journal, opened) = store.open().unwrap();
    assert_eq!(opened.checkpoint, Some(Seq(2)));
    let found = journal.upkeep().latest_checkpoint().unwrap().unwrap();
    let second = journal.reader().read(Seq(2)).next().unwrap().unwrap();
    assert_eq!((found.seq, found.checksum, found.count), (Seq(2), second.checksum, 200));
    assert_eq!(found.meta, 2u64.to_le_bytes());
    assert!(found.chunks.map(Result::unwrap).eq(chunks));
}

fn a_newer_checkpoint_takes_the_place_of_the_older(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 4);
    for (seq, chunk) in [(0, vec![0]), (2, vec![1]), (4, vec![2]), (4, vec![3])] {
        checkpoint(&journal, seq, std::slice::from_ref(&chunk)).unwrap();
        let found = journal.upkeep().latest_checkpoint().unwrap().unwrap();
        assert_eq!((found.seq, found.chunks.map(Result::unwrap).collect::<Vec<_>>()), (Seq(seq), vec![chunk]));
    }
}

fn a_misplaced_checkpoint_is_refused(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 3);
    let upkeep = journal.upkeep();
    let put = |seq, checksum| upkeep.put_checkpoint(Seq(seq), checksum, &[], &mut std::iter::empty());
    assert!(matches!(put(4, 0), Err(Error::Misplaced { .. })), "ahead of the journal");
    assert!(matches!(put(3, 1), Err(Error::Misplaced { .. })), "of another state");
    checkpoint(&journal, 2, &[]).unwrap();
    assert!(matches!(put(1, 0), Err(Error::Misplaced { .. })), "older than the newest");
    let large = vec![vec![0; CHUNK_BYTES_MAX + 1]];
    assert!(matches!(checkpoint(&journal, 3, &large), Err(Error::TooLarge { .. })));
    assert_eq!(journal.upkeep().latest_checkpoint().unwrap().unwrap().seq, Seq(2), "the good one stays");
}

/// Commits 1 to 9 in three generations and an empty one.
fn three_generations(store: &impl Store) {
    let (mut journal, _) = store.open().unwrap();
    for _ in 0..3 {
        append(&mut journal, 3);
        journal.rotate().unwrap();
    }
    store.close(journal);
}

const ALL: Keep = Keep { after: Seq(u64::MAX), since: Timestamp(i64::MAX), bytes_max: 0 };

fn opening_needs_only_what_follows_the_checkpoint(store: impl Store) {
    three_generations(&store);
    let (journal, _) = store.open().unwrap();
    checkpoint(&journal, 9, &[]).unwrap();
    assert_eq!(journal.upkeep().drop_before(ALL).unwrap().len(), 3);
    store.close(journal);
    let (mut journal, opened) = store.open().unwrap();
    assert_eq!((opened.tip.seq, opened.checkpoint), (Seq(9), Some(Seq(9))));
    append(&mut journal, 2);
    store.close(journal);
    assert_eq!(read(&store.open().unwrap().0, 10), [10, 11]);
}

fn nothing_that_is_needed_is_dropped(store: impl Store) {
    three_generations(&store);
    let (journal, _) = store.open().unwrap();
    assert!(journal.upkeep().drop_before(ALL).unwrap().is_empty(), "without a checkpoint all is needed");
    checkpoint(&journal, 5, &[]).unwrap();
    let firsts = |dropped: Vec<Generation>| dropped.iter().map(|row| row.first.0).collect::<Vec<_>>();
    let keep = Keep { after: Seq(2), ..ALL };
    assert!(journal.upkeep().drop_before(keep).unwrap().is_empty(), "somebody still needs commit 3");
    assert_eq!(firsts(journal.upkeep().drop_before(ALL).unwrap()), [1], "commit 6 is after the checkpoint");
    checkpoint(&journal, 9, &[]).unwrap();
    assert_eq!(firsts(journal.upkeep().drop_before(Keep { after: Seq(6), ..ALL }).unwrap()), [4]);
    assert_eq!(firsts(journal.upkeep().drop_before(ALL).unwrap()), [7], "the one that is written stays");
    assert_eq!(journal.reader().first(), Seq(10));
    store.close(journal);
    assert_eq!(store.open().unwrap().1.tip.seq, Seq(9));
}

fn dropping_goes_by_age(store: impl Store) {
    three_generations(&store);
    let (journal, _) = store.open().unwrap();
    checkpoint(&journal, 9, &[]).unwrap();
    let keep = |since| Keep { since: Timestamp(since), bytes_max: u64::MAX, ..ALL };
    let lasts = |since| -> Vec<u64> {
        journal.upkeep().drop_before(keep(since)).unwrap().iter().map(|row| row.last.0).collect()
    };
    assert!(lasts(3000).is_empty(), "not older than that");
    assert_eq!(lasts(6001), [3, 6]);
    assert!(lasts(9000).is_empty());
}

fn dropping_goes_by_size(store: impl Store) {
    three_generations(&store);
    let (journal, _) = store.open().unwrap();
    checkpoint(&journal, 9, &[]).unwrap();
    let rows = journal.upkeep().generations();
    let total: u64 = rows.iter().map(|row| row.bytes).sum();
    let keep = |bytes_max| Keep { since: Timestamp(i64::MIN), bytes_max, ..ALL };
    assert!(journal.upkeep().drop_before(keep(total)).unwrap().is_empty());
    let dropped = journal.upkeep().drop_before(keep(total - 1)).unwrap();
    assert_eq!(dropped, rows[..1], "one is enough");
}

fn dropped_commits_are_named_as_such(store: impl Store) {
    three_generations(&store);
    let (journal, _) = store.open().unwrap();
    checkpoint(&journal, 4, &[]).unwrap();
    journal.upkeep().drop_before(ALL).unwrap();
    let mut commits = journal.reader().read(Seq(2));
    assert!(matches!(commits.next(), Some(Err(Error::Dropped { seq: Seq(2), first: Seq(4) }))));
    assert!(commits.next().is_none(), "an error ends it");
    assert_eq!(read(&journal, 4), (4..=9).collect::<Vec<_>>());
}

fn the_head_follows_only_when_told(store: impl Store) {
    let (mut journal, _) = store.open().unwrap();
    append(&mut journal, 2);
    assert_eq!(journal.upkeep().mark_head().unwrap(), Seq(2));
    append(&mut journal, 2);
    store.close(journal);
    assert_eq!(store.open().unwrap().1.tip.seq, Seq(4), "the journal may be ahead of its head");
}

mod faults {
    use super::*;

    /// Four commits, of which the last has three parts.
    fn four() -> MemoryJournal {
        let (mut journal, _) = MemoryJournal::open(Disk::default()).unwrap();
        append(&mut journal, 3);
        let mut word = 3u32;
        let noise = std::iter::repeat_with(|| {
            word = word.wrapping_mul(1664525).wrapping_add(1013904223);
            (word >> 24) as u8
        });
        let noise: Vec<u8> = noise.take(15_000).collect();
        journal.append(EPOCH, Seq(4), Timestamp(4), 1, &noise).unwrap();
        journal
    }

    #[test]
    fn a_torn_commit_is_cut_and_replaced() {
        for parts in 1..=2 {
            let mut disk = four().disk();
            disk.tear(parts);
            let (mut journal, opened) = MemoryJournal::open(disk).unwrap();
            let cut = opened.cut.unwrap();
            assert_eq!((cut.seq, cut.parts as usize), (Seq(4), 3 - parts));
            append(&mut journal, 2);
            let (journal, opened) = MemoryJournal::open(journal.disk()).unwrap();
            assert_eq!(opened.cut, None, "and stays cut");
            assert_eq!(read(&journal, 1), [1, 2, 3, 4, 5]);
        }
    }

    #[test]
    fn every_byte_and_every_commit_counts() {
        let disk = four().disk();
        for seq in 1..=3 {
            for offset in 0..48 + payload(seq).len() {
                let mut disk = disk.clone();
                assert!(disk.corrupt(Seq(seq), offset, 0x10));
                let error = MemoryJournal::open(disk).map(drop).unwrap_err();
                assert!(matches!(error, Error::Damaged { seq: at, .. } if at == Seq(seq)), "{error}");
            }
            let mut disk = disk.clone();
            disk.lose(Seq(seq));
            let error = MemoryJournal::open(disk).map(drop).unwrap_err();
            assert!(matches!(error, Error::Damaged { seq: at, .. } if at == Seq(seq)), "{error}");
        }
        assert!(!disk.clone().corrupt(Seq(5), 0, 1), "there is none");
    }

    #[test]
    fn a_failed_append_poisons_whatever_reached_the_disk() {
        for (parts_kept, last) in [(0, 3), (1, 3), (usize::MAX, 4)] {
            let (mut journal, _) = MemoryJournal::open(Disk::default()).unwrap();
            append(&mut journal, 3);
            journal.fail(Fault { append: 4, parts_kept });
            let large: Vec<u8> = (0..20_000u32).flat_map(|i| i.wrapping_mul(2654435761).to_le_bytes()).collect();
            let error = journal.append(EPOCH, Seq(4), Timestamp(0), 1, &large).unwrap_err();
            assert!(matches!(error, Error::Io { .. }));
            assert!(matches!(journal.append(EPOCH, Seq(4), Timestamp(0), 1, b"x"), Err(Error::Poisoned)));
            assert!(matches!(journal.rotate(), Err(Error::Poisoned)));
            assert_eq!((journal.last(), journal.reader().last()), (Seq(3), Seq(3)), "it was not acknowledged");
            let (journal, opened) = MemoryJournal::open(journal.disk()).unwrap();
            assert_eq!((journal.last(), opened.cut.is_some()), (Seq(last), parts_kept == 1));
        }
    }

    #[test]
    fn a_journal_shorter_than_its_head_is_damaged() {
        let mut journal = four();
        journal.upkeep().mark_head().unwrap();
        let mut disk = journal.disk();
        disk.lose(Seq(4));
        let error = MemoryJournal::open(disk).map(drop).unwrap_err().to_string();
        assert!(error.contains("ends at commit 3") && error.contains("reached 4"), "{error}");
        journal.rotate().unwrap();
        append(&mut journal, 1);
        let mut disk = journal.disk();
        disk.lose_generation(Seq(1));
        let error = MemoryJournal::open(disk).map(drop).unwrap_err();
        assert!(matches!(error, Error::Damaged { seq: Seq(1), .. }), "{error}");
    }
}
