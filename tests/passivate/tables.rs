//! Tables as applications have them: types of keys and moments, other names, what is missing or wrong.

use daybook::database::Kind;
use daybook::workers::{Columns, PassivateUsers};
use serde_json::json;

use crate::servers::PASSWORD;
use crate::site::{Site, chunks_of};

#[tokio::test]
async fn the_right_users_are_passivated_counted_and_told_of() {
    for site in Site::all() {
        site.users(20_000).await;
        let columns = Columns { tenant: Some("tenant_id".into()), ..Columns::default() };
        let outcome = site.work(PassivateUsers { columns, ..chunks_of(700) }).await;
        assert!(outcome.lines.contains("passivated 4711 of 0, last seen 2026-10-12T09:00:00.000Z"), "{:?}", site.kind);
        assert!(outcome.lines.contains("passivated 10 of 3, last seen 2026-09-22T09:00:00.000Z"), "{:?}", site.kind);
        let result = outcome.ok();
        assert_eq!(result["checked"], 20_000, "{result}");
        assert_eq!((&result["candidates"], &result["passivated"]), (&json!(12_000), &json!(12_000)), "{result}");
        assert_eq!((&result["locked"], &result["unreadable"]), (&json!(0), &json!(0)), "{result}");
        let of_tenant = site.number("SELECT count(*) FROM users WHERE is_active = false AND tenant_id = 3").await;
        assert_eq!(result["tenants"]["3"], of_tenant, "{result}");
        assert!(site.is_done().await, "{:?}", site.kind);
        assert_eq!(site.work(chunks_of(700)).await.ok()["passivated"], 0);
    }
}

/// A type of key, and the n-th key.
fn keys(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::Postgres => &[
            ("smallint", "n"),
            ("bigint", "-n"),
            ("uuid", "gen_random_uuid()"),
            ("text", "'Us\"er ''' || n"),
            ("varchar(20) COLLATE \"C\"", "chr(64 + n % 60) || n"),
            ("char(12)", "'user' || n"),
            ("numeric(20, 2)", "n / 4.0"),
            ("bytea", "decode(md5(n::text), 'hex')"),
        ],
        Kind::MySql => &[
            ("smallint", "n"),
            ("bigint", "-n"),
            ("bigint unsigned", "18446744073709551615 - n"),
            ("uuid", "uuid()"),
            ("varchar(40)", "concat('Us\"er `''', n)"),
            ("varchar(40) CHARACTER SET latin1 COLLATE latin1_bin", "concat(char(64 + n % 60), n)"),
            ("binary(16)", "unhex(md5(n))"),
        ],
        Kind::Sqlite => &[("int", "n")],
    }
}

#[tokio::test]
async fn keys_of_every_type_other_names_and_where() {
    for site in Site::servers() {
        for (number, (key, value)) in keys(site.kind).iter().enumerate() {
            let table = format!("people_{number}");
            let (gone, here) = (site.ago(31), site.ago(29));
            site.run(&format!(
                "CREATE TABLE {table} (person {key} PRIMARY KEY, status varchar(9), seen timestamp NULL, made date, tenant int,
                                       note varchar(99))"
            ))
            .await;
            site.run(&format!(
                "INSERT INTO {table} SELECT {value}, 'on', CASE WHEN n % 2 = 0 THEN {gone} ELSE {here} END, '2020-02-29', n % 4, NULL
                 FROM {}",
                site.numbers(500)
            ))
            .await;
            let settings = PassivateUsers {
                table: if site.kind == Kind::Postgres { format!("public.{table}") } else { table.clone() },
                columns: Columns {
                    id: "person".into(),
                    active: "status".into(),
                    last_login: "seen".into(),
                    created: "made".into(),
                    tenant: None,
                },
                active: "'on' -- and no other".into(),
                set: [("status".into(), "'off'".into()), ("note".into(), "concat('was ', status) -- before".into())]
                    .into(),
                condition: Some("tenant = 0 OR tenant = 3 -- those two".into()),
                ..chunks_of(7)
            };
            let result = site.work(settings).await.ok();
            assert_eq!((&result["checked"], &result["passivated"]), (&json!(500), &json!(125)), "{key}: {result}");
            let off =
                format!("SELECT count(*) FROM {table} WHERE status = 'off' AND tenant = 0 AND note LIKE 'was o%'");
            assert_eq!(site.number(&off).await, 125, "{key}");
        }
    }
}

#[tokio::test]
async fn users_whose_key_is_null_are_left_alone_and_told_of() {
    for site in Site::servers() {
        for index in ["", "CREATE INDEX seen ON users (is_active, last_login_at, created_at)"] {
            site.run("CREATE TABLE users (id int UNIQUE, is_active boolean, last_login_at date, created_at date)")
                .await;
            site.run("INSERT INTO users VALUES (1, true, NULL, '2020-01-01'), (NULL, true, NULL, '2020-01-01')").await;
            site.run("INSERT INTO users VALUES (NULL, true, '2020-01-01', NULL), (NULL, false, '2020-01-01', NULL)")
                .await;
            if !index.is_empty() {
                site.run(index).await;
            }
            let outcome = site.work(chunks_of(7)).await;
            assert!(outcome.lines.contains("left alone 2 users whose key, column `id` of"), "{}", outcome.lines);
            let result = outcome.ok();
            assert_eq!((&result["passivated"], &result["without_key"]), (&json!(1), &json!(2)), "{result}");
            site.run("DROP TABLE users").await;
        }
    }
}

#[tokio::test]
async fn moments_of_every_type_and_those_that_are_none() {
    for site in Site::servers() {
        let (types, never): (&[&str], &[&str]) = match site.kind {
            Kind::Postgres => (
                &["timestamptz", "timestamp", "timestamp(0)", "date"],
                &["'-infinity'", "'0001-01-01'", "'1970-01-01'"],
            ),
            Kind::MySql | Kind::Sqlite => {
                (&["datetime", "datetime(6)", "timestamp", "date"], &["'0000-00-00'", "'1970-01-01 12:00:00'"])
            }
        };
        for kind in types {
            site.run(&format!(
                "CREATE TABLE users (id int PRIMARY KEY, is_active boolean, last_login_at {kind} NULL, created_at {kind} NULL)"
            ))
            .await;
            let mut rows = vec![
                "(1, true, '2026-10-22 08:59:59', NULL)".to_owned(),
                "(2, true, '2026-10-23 09:00:01', '2020-01-01')".to_owned(),
                "(3, true, NULL, '2026-10-21')".to_owned(),
                "(4, true, NULL, '2026-10-23 10:00:00')".to_owned(),
                "(5, true, NULL, NULL)".to_owned(),
                "(6, NULL, '2020-01-01', NULL)".to_owned(),
                "(7, false, '2020-01-01', NULL)".to_owned(),
            ];
            let mut unreadable = 1;
            // MySQL's timestamp has no moment before 1970, and 12:00 of that day is one only as a timestamp.
            let sets_mode = site.kind == Kind::MySql;
            for (number, moment) in never.iter().enumerate() {
                rows.push(format!("({}, true, {moment}, '2020-01-01')", 10 + number));
                rows.push(format!("({}, true, NULL, {moment})", 20 + number));
                unreadable += 2;
            }
            let mode = if sets_mode { "SET SESSION sql_mode = ''; " } else { "" };
            site.run(&format!("{mode}INSERT INTO users VALUES {}", rows.join(", "))).await;
            let result = site.work(chunks_of(7)).await.ok();
            let gone = site.texts("SELECT id FROM users WHERE is_active = false ORDER BY id").await;
            assert_eq!(gone, ["1", "3", "7"], "{kind}: {result}");
            assert_eq!(result["unreadable"], unreadable, "{kind}: {result}");
            site.run("DROP TABLE users").await;
        }
    }
}

#[tokio::test]
async fn what_is_missing_or_wrong_is_named() {
    for site in Site::servers() {
        site.users(5).await;
        let error = async |settings: PassivateUsers| site.work(settings).await.error();
        let text = error(PassivateUsers { table: "user".into(), ..PassivateUsers::default() }).await;
        assert_eq!(text, "find table `user` in database `app`: it does not exist (nearest: `users`); correct `table`");
        let columns = Columns { last_login: "last_login".into(), ..Columns::default() };
        let text = error(PassivateUsers { columns, ..PassivateUsers::default() }).await;
        assert!(text.contains("(nearest: `last_login_at`); correct `columns.last_login`"), "{text}");
        let columns = Columns { tenant: Some("tenant".into()), ..Columns::default() };
        let text = error(PassivateUsers { columns, ..PassivateUsers::default() }).await;
        assert!(text.contains("(nearest: `tenant_id`); correct `columns.tenant`"), "{text}");
        let columns = Columns { created: "logins".into(), ..Columns::default() };
        let text = error(PassivateUsers { columns, ..PassivateUsers::default() }).await;
        assert!(text.contains("it must be a timestamp, a datetime or a date"), "{text}");
        let text = error(PassivateUsers { condition: Some("absent = 1".into()), ..PassivateUsers::default() }).await;
        assert!(text.contains("absent") && text.ends_with("(check `active`, `set` and `where`)"), "{text}");
        let set = [("is_active".to_owned(), "absent".to_owned())].into();
        let text = error(PassivateUsers { set, ..PassivateUsers::default() }).await;
        assert!(text.contains("absent") && text.ends_with("(check `active`, `set` and `where`)"), "{text}");
        assert!(!text.contains(PASSWORD) && !text.contains("127.0.0.1"), "{text}");
        assert_eq!(site.inactive().await, 0);
    }
}

/// A user whom a trigger keeps active is told of, and not as done.
#[tokio::test]
async fn a_change_that_did_not_happen_is_not_told_as_done() {
    for site in Site::servers().filter(|site| site.kind == Kind::Postgres) {
        site.users(5).await;
        site.run(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 3 THEN RETURN NULL; END IF; RETURN NEW; END';
             CREATE TRIGGER keep BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION keep()",
        )
        .await;
        let outcome = site.work(chunks_of(100)).await;
        assert!(outcome.lines.contains("left alone 3: its row was locked by somebody else, or a trigger kept it"));
        assert!(!outcome.lines.contains("passivated 3,"), "{}", outcome.lines);
        let result = outcome.ok();
        assert_eq!((&result["passivated"], &result["locked"]), (&json!(2), &json!(1)), "{result}");
    }
}
