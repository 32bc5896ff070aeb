//! A database on real files: closed, damaged, held.

use std::fs;

use super::*;

#[test]
fn entries_come_back_after_closing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b");
    let db = Database::open_or_create(&path, 1 << 20).unwrap();
    db.put(b"k1", b"v1").unwrap();
    db.put_together([(b"k2", &b"v2"[..]), (b"k3", b"v3")].into_iter()).unwrap();
    db.put_meta(b"m").unwrap();
    db.sync().unwrap();
    drop(db);
    fs::write(path.join("snap.0000000000000000.generating"), b"half").unwrap();
    let db = Database::open_or_create(&path, 1 << 20).unwrap();
    assert_eq!(db.get(b"k1").unwrap().unwrap(), b"v1");
    assert_eq!(db.meta().unwrap().unwrap(), b"m");
    let mut seen = Vec::new();
    db.walk_back(b"k2", b"k9", |key, _| {
        seen.push(key.to_vec());
        true
    })
    .unwrap();
    assert_eq!(seen, [b"k3".to_vec(), b"k2".to_vec()]);
    seen.reverse();
    let keys: Vec<_> = db.range("k2", "k9").map(|entry| entry.unwrap().0.to_vec()).collect();
    assert_eq!(keys, seen);
    db.remove_range(b"k2", b"k3").unwrap();
    assert!(db.get(b"k3").unwrap().is_none());
}

#[test]
fn damage_is_an_error_and_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let db = Database::open_or_create(&path, 1 << 20).unwrap();
    (0..1000u32).for_each(|key| db.put(&key.to_be_bytes(), &[7; 5000]).unwrap());
    db.sync().unwrap();
    drop(db);
    drop(Database::open(&path, 1 << 20).unwrap()); // leaves a snapshot, so the log is not read through again
    let file = path.join("db");
    let mut bytes = fs::read(&file).unwrap();
    bytes.iter_mut().skip(600_000).step_by(1000).for_each(|byte| *byte ^= 0x55);
    fs::write(&file, bytes).unwrap();
    let read = Database::open(&path, 1 << 20).and_then(|db| {
        (0..1000u32).try_for_each(|key| db.get(&key.to_be_bytes()).map(|value| assert!(value.is_some())))
    });
    assert!(matches!(&read, Err(Error::Damaged { dir: named, .. }) if *named == path), "{read:?}");
}

#[test]
fn a_held_lock_is_an_error_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let _held = Database::open(dir.path(), 1 << 20).unwrap();
    assert!(matches!(Database::open(dir.path(), 1 << 20), Err(Error::Busy { .. })));
}

#[test]
fn opening_makes_no_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gone");
    assert!(matches!(Database::open(&path, 1 << 20), Err(Error::File(FileError { what: "list", .. }))));
    assert!(!path.exists());
}

#[test]
fn what_is_written_to_a_deleted_file_is_not_taken_for_durable() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let db = Database::open_or_create(&path, 1 << 20).unwrap();
    db.put(b"key", b"value").unwrap();
    db.sync().unwrap();
    fs::remove_dir_all(&path).unwrap();
    db.put(b"key", b"another").unwrap();
    let error = db.sync().unwrap_err();
    assert!(matches!(&error, Error::File(FileError { what: "sync", .. })), "{error}");
    assert!(error.to_string().ends_with("it was deleted while it was in use"), "{error}");
}
