//! Connections: kept alive, pipelined, cut off, slow, and not HTTP at all.

use std::io::Write;
use std::net::Shutdown;

use daybook::control::CONNECTIONS_MAX;
use daybook::control::client::{self, Client, Kind};
use hyper::Method;

use crate::get;
use crate::support::Served;
use crate::wire::Connection;

#[test]
fn a_connection_is_kept_alive() {
    let served = Served::start();
    let mut connection = Connection::open(&served.socket);
    for number in 0..100 {
        let reply = connection.request("POST", "/v1/jobs", &[], br#"{"task":"mail"}"#);
        assert_eq!(reply.json()["id"], 8 + number);
        assert_eq!(connection.request("GET", "/healthz", &[], b"").status, 200);
        // A refusal does not end it either.
        assert_eq!(connection.request("POST", "/v1/jobs", &[], b"{").status, 400);
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let served = Served::start();
    let mut connection = Connection::open(&served.socket);
    let body = r#"{"task":"mail"}"#;
    let one = format!("POST /v1/jobs HTTP/1.1\r\nhost: d\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    connection.send(one.repeat(50).as_bytes());
    for number in 0..50 {
        assert_eq!(connection.reply().json()["id"], 8 + number);
    }
}

#[test]
fn a_slow_client_keeps_nobody_waiting() {
    let served = Served::start();
    let mut slow = Connection::open(&served.socket);
    let body = r#"{"task":"mail"}"#;
    let request = format!("POST /v1/jobs HTTP/1.1\r\nhost: d\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    for byte in request.as_bytes() {
        slow.send(&[*byte]);
        assert_eq!(get(&served, "/healthz").status, 200);
    }
    assert_eq!(slow.reply().status, 201);
}

#[test]
fn what_is_not_http_is_refused_and_closed() {
    let served = Served::start();
    for nonsense in [
        "hello\r\n\r\n",
        "GET /v1/status HTTP/9.9\r\n\r\n",
        "GET /v1/status HTTP/1.1\r\nbad header\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\ncontent-length: x\r\n\r\n",
    ] {
        let mut connection = Connection::open(&served.socket);
        connection.send(nonsense.as_bytes());
        let (status, _) = connection.head();
        assert!((400..=505).contains(&status), "{nonsense}: {status}");
        assert!(connection.is_closed(), "{nonsense}");
    }
    let mut connection = Connection::open(&served.socket);
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    connection.send(format!("GET /v1/status HTTP/1.1\r\n{many}\r\n").as_bytes());
    assert_eq!(connection.head().0, 431);
    assert_eq!(get(&served, "/healthz").status, 200);
}

#[test]
fn a_request_that_is_cut_off_adds_nothing() {
    let served = Served::start();
    let before = served.fake.jobs_len();
    let mut connection = Connection::open(&served.socket);
    connection.send(b"POST /v1/jobs HTTP/1.1\r\nhost: d\r\ncontent-length: 100\r\n\r\n{\"task\":\"mail\"}");
    connection.stream.shutdown(Shutdown::Write).unwrap();
    assert!(connection.is_closed() || connection.stream.write_all(b"x").is_err() || served.fake.jobs_len() == before);
    assert_eq!(served.fake.jobs_len(), before);
}

#[test]
fn one_point_zero_is_answered_and_closed() {
    let served = Served::start();
    let mut connection = Connection::open(&served.socket);
    connection.send(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(connection.reply().status, 200);
    assert!(connection.is_closed());
}

#[test]
fn more_large_bodies_than_there_is_room_for_take_turns() {
    let served = Served::start();
    let blank = vec![b' '; 33 << 20];
    std::thread::scope(|scope| {
        let ask = || Connection::open(&served.socket).request("POST", "/v1/repair", &[], &blank).status;
        let asking: Vec<_> = (0..9).map(|_| scope.spawn(ask)).collect();
        for asked in asking {
            assert_eq!(asked.join().unwrap(), 200);
        }
    });
}

/// Both ends of each connection are in this process.
fn allow_many_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).unwrap();
}

#[test]
fn idle_connections_lock_nobody_out() {
    allow_many_files();
    let served = Served::start();
    let mut kept = Connection::open(&served.socket);
    assert_eq!(kept.request("GET", "/healthz", &[], b"").status, 200);
    // Silent ones, of which some have begun to ask.
    let mut silent: Vec<Connection> = (0..CONNECTIONS_MAX - 1).map(|_| Connection::open(&served.socket)).collect();
    silent[1].send(b"GET /healthz HTTP/1.1\r\nhost");
    for _ in 0..100 {
        assert_eq!(get(&served, "/healthz").status, 200);
    }
    let mut more: Vec<Connection> = (0..100).map(|_| Connection::open(&served.socket)).collect();
    assert_eq!(more[99].request("GET", "/healthz", &[], b"").status, 200);
    assert!(silent[0].is_closed() && silent[1].is_closed(), "the oldest have made room");
    assert_eq!(silent[CONNECTIONS_MAX - 2].request("GET", "/healthz", &[], b"").status, 200);
    assert_eq!(kept.request("GET", "/healthz", &[], b"").status, 200, "who has been served goes later");
}

#[test]
fn those_who_begin_to_ask_and_never_end_lock_nobody_out() {
    allow_many_files();
    let served = Served::start();
    let begin = |_| {
        let mut connection = Connection::open(&served.socket);
        connection.send(b"POST /v1/jobs HTTP/1.1\r\nhost: d\r\ncontent-length: 100\r\n\r\n{\"task\"");
        connection
    };
    let mut silent: Vec<Connection> = (0..CONNECTIONS_MAX).map(begin).collect();
    for _ in 0..100 {
        assert_eq!(get(&served, "/healthz").status, 200);
    }
    assert!(silent[0].is_closed(), "the oldest has made room");
}

#[test]
fn one_connection_too_many_is_told_so_and_the_others_go_on() {
    allow_many_files();
    let served = Served::start();
    let follow = |_| {
        let mut connection = Connection::open(&served.socket);
        connection.send(b"GET /v1/journal?follow=1 HTTP/1.1\r\nhost: d\r\n\r\n");
        connection
    };
    let mut open: Vec<Connection> = (0..CONNECTIONS_MAX).map(follow).collect();
    for connection in &mut open {
        assert_eq!(connection.head().0, 200);
    }
    let told = get(&served, "/healthz");
    assert_eq!((told.status, told.json()["code"].as_str()), (503, Some("too_many_connections")));
    assert_eq!(told.header("connection"), Some("close"));
    assert_eq!(told.header("retry-after"), Some("1"));
    // Also Daybook's own client says so.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = runtime.block_on(async {
        let mut client = Client::connect(&served.socket).await.unwrap();
        client.ask(Method::GET, "/v1/status", Kind::Json, "").await.map(drop)
    });
    assert!(matches!(asked, Err(client::Error::Refused(said)) if said.code == "too_many_connections"));
    for connection in &mut open {
        assert!(connection.chunk().is_some());
    }
    drop(open.pop());
    while get(&served, "/healthz").status == 503 {}
}
