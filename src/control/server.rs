//! Connections: accepted up to a bound, served as HTTP/1.1, ended in good order.

use std::convert::Infallible;
use std::fmt;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Method, Response};
use axum::response::IntoResponse;
use futures_util::future::{Either, TryFutureExt};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as HyperService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::handlers::{App, add, router};
use super::places::{Arriving, CONNECTIONS_MAX, Held, Place, Places};
use super::problem::{Problem, TOO_MANY_CONNECTIONS};
use super::service::Service;
use crate::descriptors::{Purpose, are_short};

/// A connection that has sent no whole request head for this long is closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a stop waits for answers that are under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// Connections that are being told at once that there is no place for them; the next one waits for its turn.
const REFUSALS_MAX: usize = 16;
/// How long such a one may take to ask, so that it can be answered.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(1);
/// After a failed accept (no free file descriptor), the next is tried this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of the socket.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    user: Option<u32>,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.user {
            Some(user) => write!(f, "user {user}"),
            None => f.write_str("an unknown user"),
        }
    }
}

/// Says when the server is to stop, to answers that would go on for ever.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Done when the server is to stop.
    pub async fn asked(mut self) {
        // Without a server there is nobody who could ask any more.
        self.0.wait_for(|asked| *asked).await.ok();
    }
}

/// What a handler may want to know of its connection.
#[derive(Clone)]
struct Surroundings {
    caller: Caller,
    stop: Stop,
}

/// What a connection is told for which there is no place.
fn full() -> Response<Body> {
    let why = format!(
        "{CONNECTIONS_MAX} connections are open and being answered, or no file descriptor is left for one more"
    );
    let mut answer = Problem::new(TOO_MANY_CONNECTIONS, why).into_response();
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// Serves the API until `stop` is done, then lets answers that are under way end.
pub async fn serve(listener: UnixListener, service: Arc<dyn Service>, stop: impl Future<Output = ()>) {
    let router = router(service.clone());
    let graceful = GracefulShutdown::new();
    let (stopper, stopped) = watch::channel(false);
    let places = Arc::new(Places::default());
    let refusals = Arc::new(Semaphore::new(REFUSALS_MAX));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIME_MAX).max_headers(64);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match admit(stream, &places).await {
            Ok((stream, place)) => {
                let place = Arc::new(place);
                let stop = Stop(stopped.clone());
                let answer = (service.clone(), router.clone());
                tokio::spawn(place.clone().hold(connection(&builder, stream, place, answer, stop, &graceful)));
            }
            Err(stream) => tokio::select! {
                () = &mut stop => break,
                turn = refusals.clone().acquire_owned() => drop(tokio::spawn(refuse(stream, turn.ok()))),
            },
        }
    }
    drop(listener);
    stopper.send_replace(true);
    tokio::time::timeout(STOP_TIME_MAX, graceful.shutdown()).await.ok();
}

/// A place for a new connection, that of an idle one if need be; the connection itself if there is none.
async fn admit(stream: UnixStream, places: &Arc<Places>) -> Result<(UnixStream, Place), UnixStream> {
    if !are_short(&stream, Purpose::Connection)
        && let Some(place) = places.take()
    {
        return Ok((stream, place));
    }
    if !places.make_room().await {
        return Err(stream);
    }
    // It gets the descriptor that has just become free, so that those which are kept stay so.
    let Ok(moved) = stream.as_fd().try_clone_to_owned().map(std::os::unix::net::UnixStream::from) else {
        return Err(stream);
    };
    let short = are_short(&moved, Purpose::Connection);
    match places.take().filter(|_| !short) {
        Some(place) => UnixStream::from_std(moved).map(|moved| (moved, place)).map_err(|_| stream),
        None => Err(stream),
    }
}

/// Tells a connection that there is no place for it, in answer to what it asks.
async fn refuse(stream: UnixStream, _turn: Option<OwnedSemaphorePermit>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REFUSAL_TIME_MAX).max_headers(64);
    let answer = service_fn(|_: Request<Incoming>| std::future::ready(Ok::<_, Infallible>(full())));
    let told = builder.serve_connection(TokioIo::new(stream), answer);
    // Who asks nothing, or does not read the answer, has been told as well as can be.
    tokio::time::timeout(2 * REFUSAL_TIME_MAX, told).await.ok();
}

fn connection(
    builder: &http1::Builder,
    stream: UnixStream,
    place: Arc<Place>,
    (service, router): (App, Router),
    stop: Stop,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let caller = Caller { user: stream.peer_cred().ok().map(|cred| cred.uid()) };
    let surroundings = Surroundings { caller, stop };
    let rest = TowerToHyperService::new(router);
    let answer = service_fn(move |request: Request<Incoming>| {
        let (head, body) = request.into_parts();
        let (body, busy) = place.asked(body);
        let request = Request::from_parts(head, body);
        // Adding is most of what a busy daemon is asked, so it does not go through the router.
        let answer = if request.method() == Method::POST && request.uri().path() == "/v1/jobs" {
            let service = service.clone();
            Either::Left(async move { Ok(add::add(&*service, request).await.into_response()) })
        } else {
            Either::Right(routed(rest.clone(), surroundings.clone(), request))
        };
        answer.map_ok(|answer: Response<Body>| answer.map(|body| Held::new(body, busy)))
    });
    let serving = graceful.watch(builder.serve_connection(TokioIo::new(stream), answer));
    async move {
        // A client that goes away or talks nonsense has had its answer, if one was possible.
        if let Err(error) = serving.await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

async fn routed(
    router: TowerToHyperService<Router>,
    surroundings: Surroundings,
    mut request: Request<Arriving<Incoming>>,
) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(surroundings.caller);
    request.extensions_mut().insert(surroundings.stop);
    router.call(request).await
}
