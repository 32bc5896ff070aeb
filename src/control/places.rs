//! Places for connections: how many there are, and who gives up his when all are taken.
//!
//! A connection is idle until a whole request has arrived, and again once its answer has been handed over. When
//! there is no place, the one that has been idle for longest is closed, so that those who only hold a place do not
//! lock out those who want something. One that is being answered keeps its place.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;

/// Connections that are open at once. One more takes the place of an idle one; where none is idle, it is told so.
pub const CONNECTIONS_MAX: usize = 1024;
/// How many others may become idle later than a connection that has had an answer, and yet are closed before it.
const SERVED_LEAD: u64 = CONNECTIONS_MAX as u64 / 2;
/// The mark of a connection that is being answered.
const BUSY: u64 = u64::MAX;

/// All places.
#[derive(Default)]
pub struct Places {
    taken: Mutex<HashMap<u64, Arc<Stay>>>,
    /// Grows whenever a connection becomes idle: what is less was earlier.
    turn: AtomicU64,
}

/// What others see of a connection that has a place.
#[derive(Default)]
struct Stay {
    /// The turn at which it became idle, or [`BUSY`].
    idle: AtomicU64,
    asked_to_leave: Notify,
    /// Given once it has left, or when it is busy and stays.
    answered: Notify,
}

/// The place of one connection. It is free again when this is dropped, which is done after the connection is closed.
pub struct Place {
    id: u64,
    places: Arc<Places>,
    stay: Arc<Stay>,
}

/// As long as this is there, a request or its answer is under way.
pub struct Busy {
    places: Arc<Places>,
    stay: Arc<Stay>,
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, HashMap<u64, Arc<Stay>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> u64 {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    /// A place, if one is free.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let mut taken = self.taken();
        if taken.len() >= CONNECTIONS_MAX {
            return None;
        }
        let id = self.turn();
        let stay = Arc::new(Stay { idle: AtomicU64::new(id), ..Stay::default() });
        taken.insert(id, stay.clone());
        Some(Place { id, places: self.clone(), stay })
    }

    /// Has the connection closed that has been idle for longest. False if none is idle.
    pub async fn make_room(&self) -> bool {
        loop {
            let idle = |stay: &&Arc<Stay>| stay.idle.load(Ordering::Relaxed);
            let oldest = self.taken().values().min_by_key(idle).filter(|stay| idle(stay) != BUSY).cloned();
            let Some(oldest) = oldest else { return false };
            oldest.asked_to_leave.notify_one();
            oldest.answered.notified().await;
            if idle(&&oldest) != BUSY {
                return true;
            }
        }
    }
}

impl Place {
    /// A request with this body: the connection becomes busy when all of the body has arrived, or an answer is there
    /// before that.
    pub fn asked<B: HttpBody>(&self, body: B) -> (Arriving<B>, Busy) {
        let turn = if body.is_end_stream() { BUSY } else { self.places.turn() };
        self.stay.idle.fetch_max(turn, Ordering::Relaxed);
        let busy = Busy { places: self.places.clone(), stay: self.stay.clone() };
        (Arriving { body, stay: self.stay.clone() }, busy)
    }

    /// Serves the connection until it ends, or is idle when another one needs its place.
    pub async fn hold(self: Arc<Self>, serving: impl Future<Output = ()>) {
        {
            let mut serving = std::pin::pin!(serving);
            loop {
                tokio::select! {
                    biased; // a request that is there already makes it busy
                    () = &mut serving => break,
                    () = self.stay.asked_to_leave.notified() => {}
                }
                if self.stay.idle.load(Ordering::Relaxed) != BUSY {
                    break;
                }
                self.stay.answered.notify_one();
            }
        }
        // The connection is closed now, and `serving` had the only other part in the place.
        drop(self);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.id);
        self.stay.answered.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stay.idle.store(self.places.turn() + SERVED_LEAD, Ordering::Relaxed);
    }
}

/// The body of a request, which makes its connection busy when it is at its end.
pub struct Arriving<B> {
    body: B,
    stay: Arc<Stay>,
}

impl<B: HttpBody + Unpin> HttpBody for Arriving<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        // A chunked one does not know its end before it is asked for more.
        if matches!(frame, Poll::Ready(None)) || frame.is_ready() && self.body.is_end_stream() {
            self.stay.idle.store(BUSY, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that keeps its connection busy until it is at its end.
pub struct Held {
    body: Body,
    _busy: Busy,
}

impl Held {
    pub fn new(body: Body, busy: Busy) -> Held {
        busy.stay.idle.store(BUSY, Ordering::Relaxed);
        Held { body, _busy: busy }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_was_served_goes_after_those_who_were_not_and_who_is_busy_stays() {
        let places = Arc::new(Places::default());
        assert!(!places.make_room().await, "nobody is there");
        let take = || Arc::new(places.take().expect("a place is free"));
        let [busy, served, silent, late] = [take(), take(), take(), take()];
        let (_, under_way) = busy.asked(Body::empty());
        drop(served.asked(Body::empty()));
        let mut order = Vec::new();
        let mut stays: HashMap<&str, _> = [("busy", busy), ("served", served), ("silent", silent), ("late", late)]
            .map(|(name, place)| (name, place.hold(std::future::pending()).boxed()))
            .into();
        while !places.taken().is_empty() {
            let mut room = places.make_room().boxed();
            if room.as_mut().now_or_never() == Some(false) {
                break;
            }
            let left: Vec<&str> =
                stays.iter_mut().filter_map(|(name, stay)| stay.now_or_never().map(|()| *name)).collect();
            for name in left {
                stays.remove(name);
                order.push(name);
            }
            assert_eq!(room.now_or_never(), Some(true));
        }
        assert_eq!(order, ["silent", "late", "served"]);
        drop(under_way);
    }

    #[tokio::test]
    async fn who_becomes_busy_when_asked_stays_and_another_goes() {
        let places = Arc::new(Places::default());
        let [first, second] = [Arc::new(places.take().unwrap()), Arc::new(places.take().unwrap())];
        let mut room = places.make_room().boxed();
        assert!(room.as_mut().now_or_never().is_none(), "the first one is asked");
        let (_, _busy) = first.asked(Body::empty());
        let mut first = first.hold(std::future::pending()).boxed();
        let mut second = second.hold(std::future::pending()).boxed();
        assert!(first.as_mut().now_or_never().is_none());
        assert!(room.as_mut().now_or_never().is_none(), "the second one is asked");
        assert!(second.as_mut().now_or_never().is_some());
        assert_eq!(room.now_or_never(), Some(true));
        assert!(first.now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_has_sent_but_a_part_goes_and_who_is_answered_stays() {
        let places = Arc::new(Places::default());
        let [part, early, whole] = [(); 3].map(|()| Arc::new(places.take().expect("a place is free")));
        let endless = || Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>());
        let _asked = part.asked(endless());
        let (_unread, busy) = early.asked(endless());
        let _answer = Held::new(Body::empty(), busy);
        let chunks = futures_util::stream::iter([Ok::<_, axum::Error>("all "), Ok("of it")]);
        let (arriving, _busy) = whole.asked(Body::from_stream(chunks));
        http_body_util::BodyExt::collect(arriving).await.unwrap();
        let mut room = places.make_room().boxed();
        assert!(room.as_mut().now_or_never().is_none(), "somebody is asked");
        assert!(part.hold(std::future::pending()).now_or_never().is_some());
        assert_eq!(room.now_or_never(), Some(true));
        assert_eq!(places.make_room().now_or_never(), Some(false), "the others are busy");
        drop([early, whole]);
    }
}
