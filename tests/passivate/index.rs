//! The indexes that docs/workers.md names are used: a run that finds few costs no look at the table.

use daybook::database::Kind;
use daybook::workers::{Columns, PassivateUsers};
use serde_json::json;

use crate::site::{Site, chunks_of};

const DOCS: &str = include_str!("../../docs/workers.md");

/// The statement in the docs below the line that names this kind of database.
fn documented(kind: Kind) -> String {
    let name = match kind {
        Kind::Postgres => "-- PostgreSQL",
        Kind::MySql => "-- MySQL and MariaDB",
        Kind::Sqlite => "-- SQLite",
    };
    let lines: Vec<&str> = DOCS.lines().skip_while(|line| *line != name).skip(1).collect();
    let end = lines.iter().position(|line| line.ends_with(';')).expect("a statement");
    lines[..=end].join("\n").trim_end_matches(';').to_owned()
}

#[tokio::test]
async fn the_documented_index_leads_to_the_few_and_to_nothing() {
    for site in Site::all() {
        site.users(20_000).await;
        site.run("UPDATE users SET is_active = false WHERE (id % 2 = 1 OR id % 10 = 0) AND id > 1000").await;
        // No index: it looks at every row.
        let dry = PassivateUsers { dry_run: true, ..chunks_of(1000) };
        let result = site.work(dry.clone()).await.ok();
        assert_eq!((&result["checked"], &result["candidates"]), (&json!(20_000), &json!(600)), "{result}");
        // An index on the column `active` alone would lead to every active user.
        site.run("CREATE INDEX plain ON users (is_active)").await;
        assert_eq!(site.work(dry.clone()).await.ok()["checked"], 20_000, "{:?}", site.kind);

        site.run(&documented(site.kind)).await;
        let result = site.work(dry).await.ok();
        assert_eq!((&result["checked"], &result["candidates"]), (&json!(600), &json!(600)), "{:?} {result}", site.kind);
        let columns = Columns { tenant: Some("tenant_id".into()), ..Columns::default() };
        let result = site.work(PassivateUsers { columns, ..chunks_of(250) }).await.ok();
        assert_eq!((&result["checked"], &result["passivated"]), (&json!(600), &json!(600)), "{:?} {result}", site.kind);
        assert!(site.is_done().await, "{:?}", site.kind);
        let result = site.work(chunks_of(250)).await.ok();
        assert_eq!((&result["checked"], &result["chunks"]), (&json!(0), &json!(0)), "{:?} {result}", site.kind);
    }
}

/// The statistics of PostgreSQL still tell of thousands who are gone when the next run comes.
#[tokio::test]
async fn old_statistics_do_not_lead_astray() {
    for site in Site::all() {
        site.users(100_000).await;
        site.run(&documented(site.kind)).await;
        match site.kind {
            Kind::Postgres => site.run("ALTER TABLE users SET (autovacuum_enabled = false); ANALYZE users").await,
            Kind::MySql => site.run("ANALYZE TABLE users").await,
            Kind::Sqlite => site.run("ANALYZE").await,
        }
        site.run("UPDATE users SET is_active = false WHERE (id % 2 = 1 OR id % 10 = 0) AND id > 100").await;
        let result = site.work(chunks_of(250)).await.ok();
        assert_eq!((&result["checked"], &result["passivated"]), (&json!(60), &json!(60)), "{:?} {result}", site.kind);
    }
}

/// The plan of the statement that the docs give as what is asked, by the server's own word.
#[tokio::test]
async fn the_documented_statement_uses_the_documented_index() {
    let lines: Vec<&str> = DOCS.lines().skip_while(|line| !line.starts_with("SELECT id")).collect();
    let end = lines.iter().position(|line| line.ends_with(';')).expect("a statement");
    let asked = lines[..=end].join(" ");
    for site in Site::all() {
        site.users(20_000).await;
        site.run(&documented(site.kind)).await;
        site.run("UPDATE users SET is_active = false WHERE id % 2 = 1 OR id % 10 = 0").await;
        let asked = asked.trim_end_matches(';').replace(":cutoff", &site.ago(30));
        let plan = match site.kind {
            // The one planner that goes by statistics, which do not know of the change yet.
            Kind::Postgres => {
                site.run("ANALYZE users").await;
                site.texts(&format!("EXPLAIN {asked}")).await.join("\n")
            }
            Kind::MySql => site.texts(&format!("EXPLAIN FORMAT=JSON {asked}")).await.join("\n"),
            Kind::Sqlite => {
                let mut connection = site.connect().await;
                let rows = connection.rows("explain", &format!("EXPLAIN QUERY PLAN {asked}"), &[]).await.unwrap();
                format!("{rows:?}")
            }
        };
        assert!(plan.contains("users_seen"), "{:?}\n{plan}", site.kind);
        let scans = ["Seq Scan", "\"ALL\"", "SCAN users"];
        assert!(!scans.iter().any(|scan| plan.contains(scan)), "{:?}\n{plan}", site.kind);
    }
}
