//! Connections: accepted up to a bound, served as HTTP/1.1, ended in good order.

use std::convert::Infallible;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use axum::response::IntoResponse;
use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as HyperService, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

use super::handlers::{App, add, router};
use super::problem::{Problem, TOO_MANY_CONNECTIONS};
use super::service::Service;
use crate::descriptors::{Purpose, are_short};

/// Connections that are open at once; more are told so and closed.
pub const CONNECTIONS_MAX: usize = 1024;
/// A connection that has sent no whole request head for this long is closed.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long a stop waits for answers that are under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(5);
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
fn full() -> Vec<u8> {
    let why = format!("{CONNECTIONS_MAX} connections are open, or no file descriptor is left for one more; try again");
    let problem = Problem::new(TOO_MANY_CONNECTIONS, why);
    let mut body = Vec::new();
    problem.write(&mut body);
    let length = body.len();
    let mut answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
         content-type: application/problem+json\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes();
    answer.append(&mut body);
    answer
}

/// Serves the API until `stop` is done, then lets answers that are under way end.
pub async fn serve(listener: UnixListener, service: Arc<dyn Service>, stop: impl Future<Output = ()>) {
    let router = router(service.clone());
    let graceful = GracefulShutdown::new();
    let (stopper, stopped) = watch::channel(false);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIME_MAX).max_headers(64);
    let full = full();
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
        let place = places.clone().try_acquire_owned().ok().filter(|_| !are_short(&stream, Purpose::Connection));
        let Some(place) = place else {
            // A fresh socket takes so little at once; who does not read it has been told as well as can be.
            stream.into_std().and_then(|mut stream| stream.write_all(&full)).ok();
            continue;
        };
        let serving = connection(&builder, stream, service.clone(), router.clone(), Stop(stopped.clone()), &graceful);
        tokio::spawn(async move {
            serving.await;
            drop(place);
        });
    }
    drop(listener);
    stopper.send_replace(true);
    tokio::time::timeout(STOP_TIME_MAX, graceful.shutdown()).await.ok();
}

fn connection(
    builder: &http1::Builder,
    stream: UnixStream,
    service: App,
    router: Router,
    stop: Stop,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let caller = Caller { user: stream.peer_cred().ok().map(|cred| cred.uid()) };
    let surroundings = Surroundings { caller, stop };
    let rest = TowerToHyperService::new(router);
    let answer = service_fn(move |request: Request<Incoming>| {
        // Adding is most of what a busy daemon is asked, so it does not go through the router.
        if request.method() == Method::POST && request.uri().path() == "/v1/jobs" {
            let service = service.clone();
            return Either::Left(async move { Ok(add::add(&*service, request).await.into_response()) });
        }
        Either::Right(routed(rest.clone(), surroundings.clone(), request))
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
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(surroundings.caller);
    request.extensions_mut().insert(surroundings.stop);
    router.call(request).await
}
