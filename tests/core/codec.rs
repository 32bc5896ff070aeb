//! The stored form of events: what is written is read back, and no bytes whatever make the reader panic.

use daybook::core::codec::{self, CodecError};
use daybook::core::event::*;
use daybook::core::id::{JobId, TaskId};
use daybook::core::json::Json;
use daybook::core::policy::TaskPolicy;
use daybook::core::repair::Door;
use daybook::core::time::Timestamp;

use crate::samples::Random;

fn encode(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| codec::put_event(event, &mut bytes));
    bytes
}

#[test]
fn the_samples_have_every_event() {
    let numbers: Vec<u16> = Random::new(1).events().iter().map(Event::number).collect();
    let all: Vec<u16> = Event::ALL.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, all);
}

#[test]
fn every_event_is_read_back() {
    for seed in 0..2000 {
        let events = Random::new(seed).events();
        assert_eq!(codec::events(&encode(&events)).unwrap(), events, "seed {seed}");
        for event in events {
            let bytes = encode(std::slice::from_ref(&event));
            assert_eq!(codec::events(&bytes).unwrap(), [event], "seed {seed}");
        }
    }
}

#[test]
fn a_cut_payload_is_an_error_or_fewer_events() {
    let events = Random::new(7).events();
    let bytes = encode(&events);
    let mut ends = vec![0];
    events.iter().for_each(|event| ends.push(ends.last().unwrap() + encode(std::slice::from_ref(event)).len()));
    for length in 0..bytes.len() {
        match codec::events(&bytes[..length]) {
            Ok(read) => assert_eq!(read, events[..ends.iter().position(|end| *end == length).unwrap()]),
            Err(CodecError::Malformed(_)) => assert!(!ends.contains(&length), "cut at {length}"),
            Err(CodecError::Unknown { number }) => panic!("a cut at {length} made an event {number}"),
        }
    }
}

#[test]
fn damaged_and_random_bytes_never_panic() {
    let mut random = Random::new(11);
    for seed in 0..500 {
        let mut bytes = encode(&Random::new(seed).events());
        for _ in 0..40 {
            let place = random.below(bytes.len() as u64) as usize;
            bytes[place] = random.next() as u8;
            // Damage may well read as other events; all that is asked is that it ends in one or the other.
            let _: Result<Vec<Event>, CodecError> = codec::events(&bytes);
        }
    }
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random.below(64)).map(|_| random.next() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            *first %= 50;
        }
        let _: Result<Vec<Event>, CodecError> = codec::events(&bytes);
    }
}

#[test]
fn a_great_length_asks_for_no_memory() {
    // Events with a text or a list, whose length is said to be 2^63.
    for number in [1u8, 6, 7, 8, 9, 20, 25, 40] {
        let mut bytes = vec![number];
        bytes.extend([1; 4]);
        bytes.extend([253, 0, 0, 0, 0, 0, 0, 0, 128]);
        bytes.extend([0; 16]);
        let _: Result<Vec<Event>, CodecError> = codec::events(&bytes);
    }
    let mut bytes = vec![10, 1, 253];
    bytes.extend(u64::MAX.to_le_bytes());
    assert!(matches!(codec::events(&bytes), Err(CodecError::Malformed(_))));
}

#[test]
fn an_unknown_number_is_named() {
    for number in 0..=u16::MAX {
        if Event::ALL.iter().any(|(known, _)| *known == number) {
            continue;
        }
        let mut bytes = encode(&[JobDue { job: JobId(1) }.into()]);
        codec::put(&number, &mut bytes).unwrap();
        match codec::events(&bytes) {
            Err(CodecError::Unknown { number: named }) => assert_eq!(named, number),
            other => panic!("{number}: {other:?}"),
        }
    }
}

#[test]
fn what_is_frequent_is_small() {
    let at = Timestamp(1_800_000_000_000);
    let (job, task) = (JobId(1_000_000), TaskId(20));
    let bytes = |event: Event| encode(&[event]).len();
    let added = JobAdded {
        job,
        task,
        priority: 5,
        due: at,
        relative: false,
        key: None,
        args: Json::parse(r#"{"to":"a@b.c"}"#).unwrap(),
        occurrence: None,
    };
    assert!(bytes(added.into()) <= 38);
    assert!(bytes(AttemptStarted { job, attempt: 1 }.into()) <= 7);
    assert!(bytes(JobCompleted { job, result: None, note: None }.into()) <= 8);
    assert!(bytes(JobDue { job }.into()) <= 6);
    assert!(bytes(AttemptFailed { job, error: "exit code 1".into(), retry_at: at }.into()) <= 28);
    assert!(bytes(SweepFinished { door: Door::Timer, found: 0, fixed: 0, left: None }.into()) <= 5);
    let defined = TaskDefined { task, name: "backup".into(), policy: TaskPolicy::default(), next: vec![Some(at); 1] };
    assert!(bytes(defined.into()) <= 80);
}
