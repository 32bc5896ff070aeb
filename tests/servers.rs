//! The servers that other tests use are what those tests take them for.

#[path = "support/servers/mod.rs"]
#[allow(dead_code, reason = "the tests of what uses databases need the rest")]
mod servers;

use servers::{Kind, Server};

#[test]
fn each_test_has_a_database_of_its_own() {
    for server in servers::all() {
        let (one, other) = (server.database(), server.database());
        server.run(&one, &["CREATE TABLE things (id integer)", "INSERT INTO things VALUES (1), (2)"]);
        server.run(&other, &["CREATE TABLE things (id integer)"]);
        assert_eq!(server.number(&one, "SELECT count(*) FROM things"), 2, "{:?}", server.kind);
        assert_eq!(server.number(&other, "SELECT count(*) FROM things"), 0, "{:?}", server.kind);
    }
}

#[test]
fn a_server_that_was_stopped_goes_on_where_it_was() {
    for server in [Kind::Postgres, Kind::Mariadb].into_iter().filter_map(Server::own) {
        let database = server.database();
        server.run(&database, &["CREATE TABLE things (id integer)", "INSERT INTO things VALUES (7)"]);
        server.stop();
        let refused = std::net::TcpStream::connect(("127.0.0.1", server.port));
        assert!(refused.is_err(), "{:?} still listens", server.kind);
        server.start();
        assert_eq!(server.number(&database, "SELECT id FROM things"), 7, "{:?}", server.kind);
    }
}
