//! Calls into sled, which answers damage with a panic as often as with an error.
//!
//! Each call runs where a panic is caught and becomes an error. Its message is kept out of standard error, as it would
//! read like a crash of ours; the text goes into the error instead.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Why a call into sled failed.
#[derive(Debug)]
pub enum Failure {
    /// It panicked, or says that its files are damaged.
    Damage(String),
    Io(std::io::Error),
}

/// Runs `call`, and turns its panic or error into a [`Failure`].
pub fn caught<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Failure> {
    install_hook();
    let before = QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    QUIET.set(before);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(Failure::Io(error)),
        Ok(Err(error)) => Err(Failure::Damage(error.to_string())),
        Err(panic) => Err(Failure::Damage(format!("sled panicked: {}", message(panic.as_ref())))),
    }
}

/// Puts a filter before the present hook, once in a process.
fn install_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.try_with(Cell::get).unwrap_or(false) {
                hook(info);
            }
        }));
    });
}

/// The first line of a panic's message, at most 200 characters of it.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_damage_with_its_message() {
        let failure = caught::<()>(|| panic!("segment 7 is odd\nand more")).unwrap_err();
        assert!(matches!(failure, Failure::Damage(text) if text == "sled panicked: segment 7 is odd"));
        assert_eq!(caught(|| Ok(5)).unwrap(), 5, "and the next call works");
    }
}
