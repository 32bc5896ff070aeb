//! The benchmarks' client talks to the server as any other does.

use crate::client::Client;
use crate::support::Served;

#[test]
fn the_lean_client() {
    let served = Served::start();
    let mut client = Client::connect(&served.socket).unwrap();
    for number in 0..3 {
        let (status, body) = client.post("/v1/jobs", br#"{"task":"mail"}"#).unwrap();
        assert_eq!((status, body), (201, format!(r#"{{"id":{},"created":true}}"#, 8 + number).as_bytes()));
    }
    let lines = vec![r#"{"task":"mail"}"#; 5_000].join("\n");
    let (status, body) = client.post_lines("/v1/jobs", lines.as_bytes()).unwrap();
    assert_eq!((status, body.iter().filter(|byte| **byte == b'\n').count()), (201, 5_000));
    assert_eq!(client.get("/healthz").unwrap(), (200, br#"{"ok":true}"#.as_slice()));
    assert_eq!(client.post("/v1/jobs", b"{").unwrap().0, 400);
}
