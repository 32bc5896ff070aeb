//! Random appending, syncing, reopening, retaining and searching, compared with a plain list.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook::core::id::Seq;
use daybook::core::time::Timestamp;
use daybook::history::{Options, Row, Store};
use proptest::prelude::*;

const MINUTE_MS: i64 = 60_000;

#[derive(Clone, Debug)]
enum Step {
    /// Instant moves by so much; each row has a term and a size.
    Append {
        later_ms: i64,
        rows: Vec<(u64, usize)>,
    },
    Advance(u64),
    AppendAgain,
    Sync,
    Reopen,
    Retain,
    Search {
        term: u64,
        back_ms: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![8 => 0..400usize, 1 => 5_000..30_000usize];
    prop_oneof![
        12 => (-2_000..MINUTE_MS / 2, prop::collection::vec((0..6u64, size), 0..6))
            .prop_map(|(later_ms, rows)| Step::Append { later_ms, rows }),
        1 => (1..4u64).prop_map(Step::Advance),
        1 => Just(Step::AppendAgain),
        2 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        1 => Just(Step::Retain),
        3 => (0..8u64, 0..4 * MINUTE_MS).prop_map(|(term, back_ms)| Step::Search { term, back_ms }),
    ]
}

type Kept = (Seq, Row);

fn found(rows: daybook::history::Rows) -> Vec<(Seq, Timestamp, Vec<u8>)> {
    rows.map(Result::unwrap).map(|found| (found.seq, found.at, found.bytes)).collect()
}

fn newest_first(model: &[Kept], keep: impl Fn(&Row) -> bool) -> Vec<(Seq, Timestamp, Vec<u8>)> {
    let kept = model.iter().rev().filter(|(_, row)| keep(row));
    kept.map(|(seq, row)| (*seq, row.at, row.bytes.clone())).collect()
}

fn run(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    // Partitions of a minute; rows are kept for five.
    let keep_age = Duration::from_secs(300);
    let options = || Options { batch_rows: 7, ..Options::keep(keep_age, 1 << 40) };
    let mut store = Store::open(dir.path(), options()).unwrap();
    let (mut model, mut seq, mut now): (Vec<Kept>, u64, i64) = (Vec::new(), 0, 1_000_000);
    for step in steps {
        match step {
            Step::Append { later_ms, rows } => {
                seq += 1;
                now += later_ms;
                let rows = rows.into_iter().enumerate().map(|(number, (term, size))| {
                    let bytes = (0..size).map(|place| (place as u64 * seq + number as u64) as u8).collect();
                    Row { at: Timestamp(now), terms: vec![term, term, 100 + seq], bytes }
                });
                let rows: Vec<Row> = rows.collect();
                model.extend(rows.iter().map(|row| (Seq(seq), row.clone())));
                store.append(Seq(seq), rows);
            }
            Step::Advance(by) => {
                seq += by;
                store.advance(Seq(seq));
            }
            Step::AppendAgain => {
                store.append(Seq(seq), vec![Row { at: Timestamp(now), terms: vec![0], bytes: b"again".to_vec() }]);
            }
            Step::Sync => {
                store.sync(Seq(seq)).unwrap();
                assert_eq!(store.applied(), Seq(seq));
            }
            Step::Reopen => {
                drop(store);
                store = Store::open(dir.path(), options()).unwrap();
                assert_eq!(store.applied(), Seq(seq));
            }
            Step::Retain => {
                let dropped = store.retain(Timestamp(now), keep_age, 1 << 40).unwrap();
                let left: BTreeSet<Seq> = found(store.scan(None)).into_iter().map(|row| row.0).collect();
                let gone = model.iter().filter(|(seq, _)| !left.contains(seq));
                assert_eq!(gone.clone().count() as u64, dropped.rows);
                assert!(gone.clone().all(|(_, row)| row.at < Timestamp(now) - keep_age));
                model.retain(|(seq, _)| left.contains(seq));
                // Whatever is a partition's span past its age is gone; the open partition may hold it back.
                let past = Timestamp(now) - keep_age - Duration::from_secs(130);
                assert!(model.iter().all(|(_, row)| row.at >= past) || now < 0);
            }
            Step::Search { term, back_ms } => {
                assert_eq!(found(store.find(term)), newest_first(&model, |row| row.terms.contains(&term)));
                let since = Timestamp(now - back_ms);
                assert_eq!(found(store.scan(Some(since))), newest_first(&model, |row| row.at >= since));
                assert!(model.iter().all(|(_, row)| row.terms.iter().all(|&term| store.may_contain(term))));
            }
        }
    }
    assert_eq!(found(store.scan(None)), newest_first(&model, |_| true));
    // While the thread writes, a row may be counted both as waiting and as written.
    store.sync(Seq(seq)).unwrap();
    assert_eq!(store.stats().rows, model.len() as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_store_answers_as_a_plain_list_would(steps in prop::collection::vec(step(), 1..120)) {
        run(steps);
    }
}
