//! The example of the product loads as it stands; the shipped files say what the code does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use daybook::config::keys::{Kind, MAIN, Section};
use daybook::config::{
    Action, Batch, Config, Each, Handler, ItemSource, Process, Rate, WorkerConfig, check_text, example_file, load,
    reference_page,
};
use daybook::core::policy::{
    Backoff, BatchPolicy, Dst, MaxFailures, Missed, OnInterrupt, Overlap, TaskPolicy, WhenBusy,
};
use daybook::database::Address;

const DAY: Duration = Duration::from_secs(86_400);

fn etc(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("etc").join(name)
}

#[test]
fn the_example_of_the_product_loads_as_it_stands() {
    let config = check_text("/etc/daybook/daybook.toml", include_str!("product.toml")).unwrap();
    let defaults = Config { databases: config.databases.clone(), tasks: config.tasks.clone(), ..Config::default() };
    assert_eq!(config, Config { sources: config.sources.clone(), ..defaults });
    assert_eq!(config.databases["app"], Address::Url("sqlite:///var/lib/app/app.db".into()));
    assert_eq!(config.tasks.keys().collect::<Vec<_>>(), ["backup", "clean-logs", "client-auth", "passivate-users"]);

    let backup = &config.tasks["backup"];
    assert_eq!(backup.timeout, Some(Duration::from_secs(7200)));
    assert_eq!(backup.policy.schedules, ["30 2 * * *"]);
    assert_eq!(backup.policy.timezone, "Europe/Berlin");
    let (first, max) = (Duration::from_secs(60), Duration::from_secs(3600));
    assert_eq!(backup.policy.backoff, Backoff { first, factor: 2.0, max, jitter: 0.1 });
    assert_eq!((backup.policy.attempts, backup.policy.give_up_after), (5, 2 * DAY));
    assert_eq!((backup.policy.missed, backup.policy.overlap), (Missed::Last, Overlap::Forbid));
    assert_eq!((backup.policy.concurrency, backup.policy.queue_size, backup.policy.priority), (1, 1000, 5));
    assert_eq!((backup.policy.on_interrupt, backup.policy.dst), (OnInterrupt::Retry, Dst::Vixie));
    let mut process = Process::new(Action::Shell("/usr/local/bin/backup --all".into()));
    process.env.0.insert("LANG".into(), "C.UTF-8".into());
    assert_eq!(backup.handler, Handler::Process(Box::new(process)));

    let users = daybook::workers::PassivateUsers { database: "app".into(), ..Default::default() };
    let handler = &config.tasks["passivate-users"].handler;
    assert_eq!(*handler, Handler::Worker(WorkerConfig::PassivateUsers(Box::new(users))));
    let logs = daybook::workers::CleanLogs {
        paths: vec!["/var/log/app/**/*.log*".into()],
        older_than: Some(30 * DAY),
        ..Default::default()
    };
    assert_eq!(config.tasks["clean-logs"].handler, Handler::Worker(WorkerConfig::CleanLogs(logs)));
}

#[test]
fn the_batch_of_the_product_is_what_it_says() {
    let config = check_text("/etc/daybook/daybook.toml", include_str!("product.toml")).unwrap();
    let task = &config.tasks["client-auth"];
    let seconds = Duration::from_secs;
    let process = Process::new(Action::Shell("set-auth $DAYBOOK_OP $DAYBOOK_ITEM".into()));
    let batch = Batch {
        source: ItemSource::Given,
        each: Each::Process(Box::new(process)),
        concurrency: 8,
        rate: Some(Rate { items: 500, per: seconds(1) }),
        hours: None,
        timeout: seconds(30),
    };
    assert_eq!(task.handler, Handler::Batch(Box::new(batch)));
    let policy = BatchPolicy {
        ops: vec!["on".into(), "modify".into(), "off".into()],
        given: true,
        exclusive: Some("client-auth".into()),
        when_busy: WhenBusy::Queue,
        attempts: 1,
        backoff: Backoff { first: seconds(1), factor: 2.0, max: seconds(60), jitter: 0.0 },
        chunk: 1,
        max_failures: Some(MaxFailures::Percent(50)),
    };
    let whole = TaskPolicy {
        attempts: 11,
        backoff: Backoff { first: seconds(300), factor: 2.0, max: seconds(6 * 3600), jitter: 0.0 },
        give_up_after: daybook::core::limits::DURATION_MAX,
        concurrency: 16,
        lock: Some("client:{item}".into()),
        batch: Some(policy),
        timezone: task.policy.timezone.clone(),
        ..TaskPolicy::default()
    };
    assert_eq!(task.policy, whole);
    assert_eq!(task.timeout, None);
}

/// `UPDATE=1` writes the file anew from the tables of keys.
#[test]
fn the_shipped_main_file_is_what_the_tables_of_keys_say() {
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(etc("daybook.toml"), example_file()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(etc("daybook.toml")).unwrap(), example_file());
}

#[test]
fn the_reference_page_is_what_the_tables_of_keys_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/config.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&page, reference_page()).unwrap();
    }
    assert_eq!(std::fs::read_to_string(page).unwrap(), reference_page());
}

#[test]
fn the_reference_page_has_every_key() {
    fn names(section: &Section, found: &mut Vec<&'static str>) {
        for key in section.keys() {
            found.push(key.name);
            let tables = if let Kind::Tables(inner) = key.kind { Some(inner) } else { None };
            if let Some(inner) = key.kind.inner().or(tables) {
                names(inner, found);
            }
        }
    }
    let (page, mut found) = (reference_page(), Vec::new());
    names(&MAIN, &mut found);
    let in_words =
        |name: &str| [format!("`{name}`"), format!(".{name}`"), format!("[{name}]"), format!("[{name}.NAME]")];
    for name in found {
        assert!(in_words(name).iter().any(|shown| page.contains(shown)), "{name} is missing");
    }
}

#[test]
fn the_shipped_files_load() {
    // A copy: for root, the files of a checkout may belong to somebody whom it does not trust.
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("tasks.d")).unwrap();
    let included = ["backup", "clean-logs", "passivate-users"].map(|name| format!("tasks.d/{name}.toml"));
    for name in included.iter().map(String::as_str).chain(["daybook.toml"]) {
        std::fs::copy(etc(name), folder.path().join(name)).unwrap();
    }
    assert_eq!(std::fs::read_dir(etc("tasks.d")).unwrap().count(), included.len(), "all are copied");
    let config = load(&folder.path().join("daybook.toml")).unwrap();
    assert_eq!(config.tasks.keys().collect::<Vec<_>>(), ["backup", "clean-logs", "passivate-users"]);
    let names: Vec<_> =
        config.sources.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_owned()).collect();
    let tasks = ["backup", "clean-logs", "passivate-users"].map(|name| PathBuf::from(format!("tasks.d/{name}.toml")));
    assert_eq!(names[0], Path::new("daybook.toml"));
    assert_eq!(names[1..], tasks);
    let defaults = Config { databases: config.databases.clone(), tasks: config.tasks.clone(), ..Config::default() };
    assert_eq!(config, Config { sources: config.sources.clone(), ..defaults }, "the main file changes nothing");
}

#[test]
fn the_examples_of_batches_load() {
    // A copy, as above.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("daybook.toml");
    std::fs::copy(etc("examples/client-auth/daybook.toml"), &copy).unwrap();
    let config = load(&copy).unwrap();
    assert_eq!(config.tasks.keys().collect::<Vec<_>>(), ["client-auth", "client-auth-one"]);
    let policy = config.tasks["client-auth"].policy.batch.as_ref().unwrap();
    assert_eq!((&policy.ops[..], policy.attempts), (&["on", "modify", "off"].map(String::from)[..], 2));

    let reward = std::fs::read_to_string(etc("examples/nightly-reward.toml")).unwrap();
    std::fs::write(&copy, format!("[databases.app]\nurl = \"postgres:///app\"\n{reward}")).unwrap();
    let config = load(&copy).unwrap();
    assert_eq!(config.tasks["nightly-reward"].policy.schedules, ["0 2 * * *"]);
    assert_eq!(std::fs::read_dir(etc("examples")).unwrap().count(), 2, "all are loaded");
}

/// Every `#key = value` line without its `#`.
fn uncommented(text: &str) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

#[test]
fn the_defaults_it_shows_are_those_of_the_code() {
    let shown = check_text("/etc/daybook/daybook.toml", uncommented(&example_file())).unwrap();
    let least = r#"
        [databases.app]
        url = "sqlite:///var/lib/app/app.db"
        [task.backup]
        shell = "/usr/local/bin/backup --all"
        [task.clear-temporary]
        database = "app"
        sql = "delete from sessions where expires_at < unixepoch() - :days * 86400"
        [task.passivate-users]
        worker = "passivate-users"
        database = "app"
        [task.clean-logs]
        worker = "clean-logs"
        paths = ["/var/log/app/**/*.log*"]
        older_than = "30d"
        [task.client-auth]
        items = "given"
        each = { shell = "set-auth $DAYBOOK_OP $DAYBOOK_ITEM" }
    "#;
    assert_eq!(shown, check_text("/etc/daybook/daybook.toml", least).unwrap());
    let empty = check_text("/etc/daybook/daybook.toml", "").unwrap();
    assert_eq!(empty, Config { sources: empty.sources.clone(), ..Config::default() });
}

/// The examples of keys without a default are right as well, where they can stand together.
#[test]
fn the_examples_it_shows_are_right() {
    let mut others = vec!["# url_file = ", "# credential = ", "# command = "];
    if !rustix::process::geteuid().is_root() {
        others.extend(["# user = ", "# group = ", "# groups = "]);
    }
    let examples: String = example_file()
        .lines()
        .filter(|line| !others.iter().any(|other| line.starts_with(other)))
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains([' ', '`', ':'])) => rest,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let shown = check_text("/etc/daybook/daybook.toml", uncommented(&examples)).unwrap();
    assert_eq!(shown.tasks["backup"].policy.schedules, ["30 2 * * *"]);
    assert_eq!(shown.tasks["backup"].policy.from.unwrap().to_string(), "2026-11-30T23:00:00.000Z");
    assert_eq!(shown.tasks["backup"].policy.until.unwrap().to_string(), "2027-01-30T23:00:00.000Z");
}

#[test]
fn every_key_is_in_the_main_file() {
    fn check(section: &Section, text: &str) {
        for key in section.keys().filter(|key| !matches!(key.kind, Kind::Later)) {
            let name = key.name;
            let shown = [format!("#{name} = "), format!("# {name} = "), format!("#[{name}")];
            let explained = format!("{name}: ");
            let has = |line: &str| {
                let inner = line.strip_prefix("#   ").is_some_and(|rest| rest.trim_start().starts_with(&explained));
                inner || shown.iter().any(|shown| line.starts_with(shown))
            };
            assert!(text.lines().any(has), "{name} is missing");
            let tables = if let Kind::Tables(inner) = key.kind { Some(inner) } else { None };
            if let Some(inner) = key.kind.inner().or(tables) {
                check(inner, text);
            }
        }
    }
    check(&MAIN, &example_file());
}

/// A value of each choice is taken as it is named.
#[test]
fn every_choice_is_known_to_the_code() {
    use daybook::config::keys::GENERAL;
    let mut count = 0;
    for key in GENERAL.iter().filter(|key| key.name != "worker") {
        let Kind::Choice(names) = key.kind else { continue };
        for name in names {
            check_text("a.toml", format!("[task.a]\nshell = \"true\"\n{} = \"{name}\"", key.name)).unwrap();
            count += 1;
        }
    }
    for name in ["queue", "refuse"] {
        let text = format!("[task.a]\nitems = \"given\"\neach = {{ shell = \"true\" }}\nwhen_busy = \"{name}\"");
        check_text("a.toml", text).unwrap();
    }
    let Kind::Table(log) = &MAIN.find("log").unwrap().kind else { panic!("`log` is a table") };
    for key in log.keys() {
        let Kind::Choice(names) = key.kind else { continue };
        for name in names {
            check_text("a.toml", format!("[log]\n{} = \"{name}\"", key.name)).unwrap();
            count += 1;
        }
    }
    assert_eq!(count, 3 + 3 + 4 + 3 + 5 + 2);
}

#[test]
fn overlap_allow_has_a_concurrency_of_its_own() {
    let concurrency = |keys: &str| {
        let config = check_text("a.toml", format!("[task.a]\nshell = \"true\"\n{keys}")).unwrap();
        config.tasks["a"].policy.concurrency
    };
    assert_eq!(concurrency(""), 1);
    assert_eq!(concurrency("overlap = \"allow\""), 16);
    assert_eq!(concurrency("overlap = \"allow\"\nconcurrency = 1"), 1);
}

#[test]
fn a_duration_for_backoff_is_the_same_wait_each_time() {
    let config = check_text("a.toml", "[task.a]\nshell = \"true\"\nbackoff = \"200ms\"").unwrap();
    let wait = Duration::from_millis(200);
    assert_eq!(config.tasks["a"].policy.backoff, Backoff { first: wait, factor: 1.0, max: wait, jitter: 0.0 });
}

#[test]
fn the_examples_of_statements_load() {
    let text = include_str!("../../docs/sql.md");
    let examples: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        // With a url in place of a file, the statements are checked as well.
        let example = example.replace("url_file = \"/etc/daybook/app.url\"", "url = \"postgres:///app\"");
        let example = example.replace("credential = \"shop-url\"", "url = \"mysql:///shop\"");
        check_text("docs/sql.md", example).unwrap();
    }
}
