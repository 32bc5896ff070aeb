//! Calls of a real server on this machine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::super::context::tests::Recorder;
use super::*;
use crate::core::limits::RESULT_BYTES_MAX;
use crate::core::time::Timestamp;

/// What a server was asked.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    uri: String,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

#[derive(Clone)]
struct Server {
    address: String,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers every call with what `answer` makes of it. It lives as long as the test's runtime.
    async fn start<F: Future<Output = Response> + Send>(
        answer: impl Fn(Seen) -> F + Clone + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server { address, connections: Arc::default(), seen: Arc::default() };
        let (connections, seen) = (server.connections.clone(), server.seen.clone());
        let called = async move |request: Request| {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let body = String::from_utf8(body.to_vec()).unwrap();
            let (method, uri) = (head.method.to_string(), head.uri.to_string());
            let call = Seen { method, uri, headers: head.headers, body };
            seen.lock().unwrap().push(call.clone());
            answer(call).await
        };
        let listener = listener.tap_io(move |_| {
            connections.fetch_add(1, Ordering::SeqCst);
        });
        let router = Router::new().fallback(move |request: Request| {
            let called = called.clone();
            async move { called(request).await }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn http(&self, path: &str) -> Http {
        http(&format!("http://{}{path}", self.address))
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn http(url: &str) -> Http {
    Http { url: url.into(), method: Http::METHOD.into(), headers: BTreeMap::new(), body: None }
}

fn context(args: Json) -> Context {
    Context { args, ..Recorder::new().context(Timestamp(0)) }
}

async fn run(http: Http, args: Json) -> Result<Json, String> {
    http.worker().unwrap().run(context(args)).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_call_has_the_arguments_and_says_whose_it_is() {
    let server = Server::start(async |_| axum::Json(json!({ "changed": 3 })).into_response()).await;
    let mut http = server.http("/clients/{item}/auth?op={op}");
    http.headers.insert("Authorization".into(), "Bearer token".into());
    let worker = http.worker().unwrap();
    let args = json!({ "item": "a/b é\n\"..%", "op": "on", "level": 2 });
    for attempt in [1, 2] {
        let context = Context { attempt, ..context(args.clone()) };
        assert_eq!(worker.run(context).await.unwrap(), json!({ "changed": 3 }));
    }
    let [first, second] = server.seen().try_into().unwrap();
    assert_eq!((first.method.as_str(), first.uri.as_str()), ("POST", "/clients/a%2Fb%20%C3%A9%0A%22..%25/auth?op=on"));
    assert_eq!(serde_json::from_str::<Json>(&first.body).unwrap(), args);
    assert_eq!(first.header("content-type"), "application/json");
    assert_eq!(first.header("authorization"), "Bearer token");
    assert_eq!(first.header("user-agent"), concat!("daybook/", env!("CARGO_PKG_VERSION")));
    assert_eq!((first.header("daybook-job"), first.header("daybook-attempt")), ("7", "1"));
    assert_eq!(first.header("idempotency-key"), "7-a%2Fb%20%C3%A9%0A%22..%25");
    assert_eq!((second.header("daybook-job"), second.header("daybook-attempt")), ("7", "2"));
    assert_eq!(second.header("idempotency-key"), first.header("idempotency-key"));
}

#[tokio::test]
async fn each_item_has_a_key_of_its_own() {
    let server = Server::start(async |_| ().into_response()).await;
    let worker = server.http("/").worker().unwrap();
    let long = "é".repeat(100);
    for args in [json!(null), json!({"item": long.clone() + "1"}), json!({"item": long + "2"}), json!({"items": ["a"]})]
    {
        assert_eq!(worker.run(context(args)).await.unwrap(), Json::Null);
    }
    let seen = server.seen();
    let keys: Vec<&str> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!((keys[0], keys[3]), ("7", "7-%5B%22a%22%5D"));
    assert!(keys[1].starts_with("7-xxh3:") && keys[1] != keys[2] && keys[1].len() == 39, "{keys:?}");
    assert_eq!(seen[0].body, "{}");
}

#[tokio::test]
async fn what_is_sent_depends_on_the_method_and_the_body() {
    let server = Server::start(async |_| "done".into_response()).await;
    let args = json!({ "item": "a&b" });
    for method in Http::METHODS {
        let call = Http { method: method.into(), ..server.http("/") };
        assert_eq!(run(call, args.clone()).await, Ok(json!("done")));
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.method, method);
        assert_eq!(seen.body.is_empty(), method == "GET" || method == "DELETE", "{method}");
    }
    let headers = BTreeMap::from([("Content-Type".into(), "application/x-www-form-urlencoded".into())]);
    let form = Http { headers, body: Some("id={item}".into()), ..server.http("/") };
    run(form, args).await.unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!((seen.body.as_str(), seen.header("content-type")), ("id=a%26b", "application/x-www-form-urlencoded"));
}

#[tokio::test]
async fn an_answer_of_failure_is_told_by_its_first_lines_without_the_url() {
    let server = Server::start(async |seen: Seen| match seen.uri.as_str() {
        "/secret?token=secret" => {
            let body = format!("\n out of\tmemory \r\nat line 3\n\n{}\nfourth", "x".repeat(100_000));
            (axum::http::StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
        }
        _ => axum::http::StatusCode::NOT_FOUND.into_response(),
    })
    .await;
    let error = run(server.http("/secret?token=secret"), json!({})).await.unwrap_err();
    let begin =
        format!("call `POST {}`: it answered 500 Internal Server Error: out of memory at line 3 xxx", server.address);
    assert!(error.starts_with(&begin) && error.len() < 700, "{error}");
    let error = run(server.http("/"), json!({})).await.unwrap_err();
    assert_eq!(error, format!("call `POST {}`: it answered 404 Not Found", server.address));
}

#[tokio::test]
async fn no_answer_ends_with_the_time_of_the_attempt() {
    let server = Server::start(async |_| std::future::pending().await).await;
    let context = Context { timeout: Some(Duration::from_millis(50)), ..context(json!({})) };
    let error = server.http("/").worker().unwrap().run(context).await.unwrap_err().to_string();
    assert_eq!(error, format!("call `POST {}`: no answer within 50ms", server.address));
}

/// Tells when it is dropped.
struct Gone(Option<tokio::sync::oneshot::Sender<()>>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.take().map(|gone| gone.send(()));
    }
}

#[tokio::test]
async fn a_cancelled_call_ends_at_both_ends() {
    let recorder = Recorder::new();
    let (sender, gone) = tokio::sync::oneshot::channel();
    let (cancel, gone_once) = (recorder.cancel.clone(), Arc::new(Mutex::new(Some(sender))));
    let server = Server::start(move |_| {
        let guard = Gone(gone_once.lock().unwrap().take());
        cancel.send_replace(true);
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    })
    .await;
    let worker = server.http("/").worker().unwrap();
    let error = worker.run(recorder.context(Timestamp(0))).await.unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    gone.await.unwrap();
    // One that is cancelled before it begins calls nobody.
    assert!(worker.run(recorder.context(Timestamp(0))).await.unwrap_err().is_cancelled());
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = run(http(&format!("http://{address}/secret")), json!({})).await.unwrap_err();
    assert_eq!(error, format!("call `POST {address}`: no connection: Connection refused (os error 111)"));
}

#[tokio::test]
async fn tls_is_spoken_with_ring() {
    // The server's answer is no TLS, which only a client that speaks it can find out.
    let server = Server::start(async |_| "plain".into_response()).await;
    let error = run(http(&format!("https://{}/", server.address)), json!({})).await.unwrap_err();
    assert!(error.contains("no connection: received corrupt message of type InvalidContentType"), "{error}");
}

#[tokio::test]
async fn of_an_endless_answer_the_beginning_is_the_result() {
    let server = Server::start(async |seen: Seen| {
        let chunk: &'static [u8] = if seen.uri == "/text" { &[b'a'; 1000] } else { &[0; 1000] };
        let chunks =
            futures_util::stream::repeat(chunk).map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk)));
        Body::from_stream(chunks).into_response()
    })
    .await;
    let recorder = Recorder::new();
    for path in ["/text", "/zeros"] {
        let result = server.http(path).worker().unwrap().run(recorder.context(Timestamp(0))).await.unwrap();
        let bytes = result.to_string().len();
        assert!((RESULT_BYTES_MAX / 2..=RESULT_BYTES_MAX).contains(&bytes), "{path}: {bytes}");
    }
    assert!(recorder.text().contains("the result is the beginning of it"), "{}", recorder.text());
}

#[tokio::test]
async fn an_answer_that_says_it_is_json_and_is_not_is_a_text() {
    let server = Server::start(async |_| ([("content-type", "application/json")], "{oops").into_response()).await;
    assert_eq!(run(server.http("/"), json!({})).await, Ok(json!("{oops")));
}

#[tokio::test]
async fn connections_are_kept_and_shared() {
    let server = Server::start(async |_| axum::Json(json!(1)).into_response()).await;
    let worker = server.http("/{item}").worker().unwrap();
    let runs = futures_util::stream::iter(0..200).map(|item| worker.run(context(json!({ "item": item }))));
    let results: Vec<_> = runs.buffer_unordered(4).collect().await;
    assert!(results.iter().all(|result| result.as_ref().unwrap() == &json!(1)));
    assert_eq!(server.seen().len(), 200);
    // A few more than 4 may be begun, while one that is just given back is not seen yet.
    let connections = server.connections.load(Ordering::SeqCst);
    assert!(connections <= 16, "{connections} connections for 4 calls at once");
}

#[tokio::test]
async fn redirects_are_followed_only_where_they_repeat_the_call_at_the_same_server() {
    let redirect = |status: u16, to: String| {
        Response::builder().status(status).header("location", to).body(Body::empty()).unwrap()
    };
    let other = Server::start(async |_| "other".into_response()).await;
    let to_other = format!("http://{}/secret", other.address);
    let server = Server::start(move |seen: Seen| {
        let response = match seen.uri.as_str() {
            "/moved" => redirect(307, "/here".into()),
            "/here" => "here".into_response(),
            "/changed" => redirect(302, "/here".into()),
            "/loop" => redirect(308, "/loop?secret".into()),
            "/loop?secret" => redirect(307, "/loop".into()),
            _ => redirect(307, to_other.clone()),
        };
        async { response }
    })
    .await;
    assert_eq!(run(server.http("/moved"), json!({ "a": 1 })).await, Ok(json!("here")));
    let [first, second] = server.seen().try_into().unwrap();
    assert_eq!((&second.method, &second.body), (&first.method, &first.body));
    assert_eq!(second.header("idempotency-key"), "7");
    for path in ["/changed", "/other"] {
        let error = run(server.http(path), json!({})).await.unwrap_err();
        assert!(error.contains("not to another host") && !error.contains("secret"), "{error}");
    }
    assert!(other.seen().is_empty());
    let before = server.seen().len();
    let error = run(server.http("/loop"), json!({})).await.unwrap_err();
    assert!(error.ends_with(": it redirected more than 5 times") && !error.contains("secret"), "{error}");
    assert_eq!(server.seen().len() - before, 6);
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let refused = |http: Http| http.check().unwrap_err().to_string();
    let good = || http("http://h/");
    assert!(good().check().is_ok());
    assert!(refused(http("h/")).contains("use `url = …`: it must begin with"));
    assert!(refused(Http { method: "post".into(), ..good() }).contains("`method = post`: it must be one of DELETE"));
    let header = |name: &str, value: &str| Http { headers: [(name.into(), value.into())].into(), ..good() };
    assert!(refused(header("a b", "c")).contains("`headers = a b`: it is no name"));
    assert!(refused(header("a", "secret\n")).contains("must be in visible ASCII"));
    assert!(refused(header("Idempotency-Key", "1")).contains("set by the daemon"));
    assert!(refused(Http { body: Some("{".into()), ..good() }).contains("`body = …`: it is not JSON"));
    let all =
        format!("{:?}", Http { body: Some("secret".into()), url: "http://secret/".into(), ..header("a", "secret") });
    assert!(!all.contains("secret"), "{all}");
}
