//! Warnings and errors that come in floods: of those from one place in the code, some a minute are written, and the
//! rest is counted and told. Nothing is left out silently.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Clock;

/// Lines from one place that are written in a minute.
const LINES: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);

/// What each place has said lately.
pub(super) struct Limits {
    clock: Arc<dyn Clock>,
    /// As many as there are places in the code.
    places: Mutex<HashMap<Identifier, Place>>,
}

struct Place {
    level: Level,
    message: String,
    /// When its minute began.
    since: Duration,
    written: u32,
    suppressed: u64,
}

impl Limits {
    pub fn new(clock: Arc<dyn Clock>) -> Limits {
        Limits { clock, places: Mutex::default() }
    }

    /// Whether this one is written; if not, it is counted.
    fn admit(&self, event: &Event<'_>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() > Level::WARN || metadata.target() == module_path!() {
            return true;
        }
        let now = self.clock.now().awake;
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(metadata.callsite()).or_insert_with(|| {
            let mut message = Message(String::new());
            event.record(&mut message);
            Place { level: *metadata.level(), message: message.0, since: now, written: 0, suppressed: 0 }
        });
        if now.saturating_sub(place.since) >= MINUTE {
            (place.since, place.written) = (now, 0);
        }
        if place.written < LINES {
            place.written += 1;
            return true;
        }
        place.suppressed += 1;
        false
    }

    /// Says how many were left out since this was last called, a line for each place.
    pub fn tell(&self) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let untold = places.values_mut().filter(|place| place.suppressed > 0);
        let untold = untold.map(|it| (it.level, it.message.clone(), std::mem::take(&mut it.suppressed)));
        let untold: Vec<(Level, String, u64)> = untold.collect();
        // Not while the lock is held: what follows comes back here.
        drop(places);
        for (level, like, suppressed) in untold {
            match level {
                Level::ERROR => tracing::error!(suppressed, like, "errors like one above were left out"),
                _ => tracing::warn!(suppressed, like, "warnings like one above were left out"),
            }
        }
    }
}

/// Takes the message out of an event. It is constant, so that of the first stands for all from its place.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// The limits as a part of the subscriber.
pub(super) struct Limit(pub Arc<Limits>);

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.0.admit(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::core::time::Timestamp;
    use tracing_subscriber::layer::SubscriberExt;

    /// Keeps the messages that get through, and what was left out.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Written {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            struct All(String);
            impl Visit for All {
                fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                    self.0.push_str(&format!("{field}={value:?} "));
                }
            }
            let mut all = All(format!("{} ", event.metadata().level()));
            event.record(&mut all);
            self.0.lock().unwrap().push(all.0.trim_end().to_owned());
        }
    }

    #[test]
    fn a_flood_is_written_in_part_and_counted() {
        let clock = Arc::new(SimulatedClock::at(Timestamp(0)));
        let (limits, written) = (Arc::new(Limits::new(clock.clone())), Written::default());
        let take = || std::mem::take(&mut *written.0.lock().unwrap());
        let flood = || (0..25).for_each(|number| tracing::warn!(number, "the sky falls"));
        let subscriber = tracing_subscriber::registry().with(Limit(limits.clone())).with(written.clone());
        tracing::subscriber::with_default(subscriber, || {
            flood();
            assert_eq!(take().len(), 10);
            (0..25).for_each(|_| tracing::error!("the sky is gone"));
            (0..25).for_each(|_| tracing::info!("nothing of note"));
            assert_eq!(take().len(), 10 + 25, "each place has a count of its own, and only warnings and errors have");
            limits.tell();
            let mut told = take();
            told.sort();
            let errors = r#"ERROR message=errors like one above were left out suppressed=15 like="the sky is gone""#;
            let warnings = r#"WARN message=warnings like one above were left out suppressed=15 like="the sky falls""#;
            assert_eq!(told, [errors, warnings]);
            limits.tell();
            flood();
            assert_eq!(take(), [""; 0], "within its minute nothing more, and nothing is told twice");
            clock.pass(MINUTE);
            flood();
            assert_eq!(take().len(), 10, "a minute later it speaks again");
            limits.tell();
            assert!(take()[0].contains("suppressed=40"), "15 of this minute and 25 of the one before");
        });
    }
}
