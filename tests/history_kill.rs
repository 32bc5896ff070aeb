//! A child that writes at full speed is killed again and again: what is applied is there, once, and nothing else.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use daybook::core::id::Seq;
use daybook::core::time::Timestamp;
use daybook::history::{Options, Row, Store};

const CHILD: &str = "DAYBOOK_TEST_HISTORY_CHILD";
const ROUNDS: usize = 8;

fn options() -> Options {
    Options { batch_rows: 40, pending_bytes_max: 64 << 10, ..Options::keep(Duration::from_secs(90 * 86_400), 8 << 20) }
}

/// The rows of a commit are a function of its number: none, some, sometimes a long one.
fn rows(seq: u64) -> Vec<Row> {
    let count = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
    let long = if seq.is_multiple_of(97) { 40_000 } else { 150 };
    (0..count)
        .map(|number| {
            let mut word = seq << 8 | number;
            let step = |_| {
                word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                (word >> 58) as u8
            };
            Row { at: Timestamp(seq as i64), terms: vec![seq, number], bytes: (0..long).map(step).collect() }
        })
        .collect()
}

fn write_for_ever(dir: &Path) -> ! {
    let store = Store::open(dir, options()).unwrap();
    let mut told = store.applied();
    for seq in told.0 + 1.. {
        store.append(Seq(seq), rows(seq));
        let applied = store.applied();
        if applied > told {
            told = applied;
            println!("applied {}", told.0);
        }
    }
    unreachable!("there are commits enough");
}

fn check(store: &Store) {
    let found: Vec<(u64, Vec<u8>)> =
        store.scan(None).map(Result::unwrap).map(|found| (found.seq.0, found.bytes)).collect();
    let applied = store.applied().0;
    let mut number = 0;
    for seq in (1..=applied).rev() {
        for row in rows(seq).into_iter().rev() {
            assert!(number < found.len(), "rows of commit {seq} are missing");
            assert_eq!(found[number], (seq, row.bytes));
            number += 1;
        }
    }
    assert_eq!(number, found.len(), "there are rows too many");
    for seq in (1..=applied).step_by(1 + applied as usize / 50) {
        assert_eq!(store.find(seq).filter(|found| found.as_ref().unwrap().seq.0 == seq).count(), rows(seq).len());
    }
}

#[test]
fn what_is_applied_survives_kills_and_nothing_is_there_twice() {
    if let Some(dir) = std::env::var_os(CHILD) {
        write_for_ever(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_is_applied_survives_kills_and_nothing_is_there_twice", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = lines.filter_map(|line| line.unwrap().split_once("applied ")?.1.parse::<u64>().ok());
        // A different number of batches each time: in the middle of a partition, near sealing, at the start.
        let told: Vec<u64> = told.take(1 + round * 7 % 23).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(dir.path(), options()).unwrap();
        let applied = store.applied().0;
        assert!(applied >= *told.last().unwrap(), "{applied} after {told:?}");
        check(&store);
        // From a little before, as if the journal did not know: what is there already is ignored.
        for seq in applied.saturating_sub(5).max(1)..applied + 30 {
            store.append(Seq(seq), rows(seq));
        }
        store.sync(Seq(applied + 29)).unwrap();
        check(&store);
    }
}
