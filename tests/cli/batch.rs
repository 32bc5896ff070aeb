use std::process::{Command, Stdio};

use daybook::core::command::ItemOutcome;

use crate::{Script, daybook, spawn};

const START: &str = "batch start clients --op on --items items";

/// A daemon with a file of items.
fn script(items: &str) -> Script {
    let script = Script::new();
    std::fs::write(script.served.folder.path().join("items"), items).unwrap();
    script
}

#[test]
fn start() {
    let mut script = script("a\nb\r\n\nb\n");
    script.run(START).run("batch show 101").run("batch list").run("batch items 101");
    script.run("batch start letters --items array.json");
    std::fs::write(script.served.folder.path().join("array.json"), "[{\"client\": 1},\n {\"client\": 2}]").unwrap();
    script.run("batch start letters --items array.json --key k --priority 9 --params {\"a\":1.50} --restore --json");
    script.run("batch start letters --items array.json --key k");
    script.run("batch items 102 --json").run("batch show 102 --json");
    script.run_with("batch start letters --items -", b"{\"client\":3}\n", &[]);
    script.run("batch start players").run("batch start players --params {\"a\":1} --op x --key p");
    script.run("batch show 104").run("batch list --task players --json").run("batch list --state completed");
    insta::assert_snapshot!(script.text);
}

#[test]
fn what_cannot_be_started() {
    let mut script = script("a\n\0\n");
    script.run(START).run("batch start clients --op on").run("batch start clients --items items");
    script.run("batch start clients --op up --items items").run("batch start nobody --items items --json");
    script.run("batch start players --items items").run("batch start mail").run("batch start invoice --items items");
    script.run("batch start clients --params {").run("batch").run("batch start");
    for (name, text) in [("broken", "[1, 2"), ("wrong", "[1, null]")] {
        std::fs::write(script.served.folder.path().join(name), text).unwrap();
        script.run(&format!("batch start clients --op on --items {name}"));
    }
    std::fs::create_dir(script.served.folder.path().join("folder")).unwrap();
    script.run("batch start clients --op on --items folder").run("batch list");
    insta::assert_snapshot!(script.text);
}

#[test]
fn how_far_it_is_and_repair() {
    let mut script = script("a\nb\nc\n");
    script.run(START).run("batch repair 101");
    script.served.fake.pass(2);
    script.served.fake.handle(101, 2, &["b"]);
    script.run("batch show 101").run("batch show 101 --json");
    script.served.fake.handle(101, 2, &[]);
    script.run("batch show 101").run("batch items 101 --state failed,done").run("batch items 101 --state skipped");
    script.run("batch items 101 --state gone").run("batch items 101 --limit 1").run("batch list");
    script.run("batch repair 101");
    script.served.fake.begin(101, 1);
    script.run("batch show 101").run("batch repair 101 --json");
    script.served.fake.end(101, ItemOutcome::Done);
    script.served.fake.handle(101, 0, &[]);
    script.run("batch show 101").run("batch repair 101").run("batch show 7").run("batch repair 7").run("batch items 7");
    insta::assert_snapshot!(script.text);
}

/// Runs `daybook` with these words, and does something meanwhile.
fn meanwhile(script: &mut Script, words: &str, act: impl FnOnce(&Script)) {
    let mut command: Command = daybook();
    command.arg("--socket").arg(&script.served.socket).current_dir(script.served.folder.path());
    command.args(words.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    act(script);
    let output = child.wait_with_output().unwrap();
    script.text.push_str(&format!("$ daybook {words}\n"));
    script.note(&output);
}

/// How many items of a batch are in a state that `batch show` counts.
fn counted(script: &Script, batch: u64, key: &str) -> u64 {
    let mut command = daybook();
    command.arg("--socket").arg(&script.served.socket).args(["batch", "show", &batch.to_string(), "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&spawn(command, b"").stdout).unwrap_or_default();
    shown[key].as_u64().unwrap_or(0)
}

#[test]
fn wait() {
    let mut script = script("a\nb\n");
    let handle = |failing: &'static [&'static str]| {
        move |script: &Script| {
            while script.served.fake.is_waiting() {
                std::thread::yield_now();
            }
            script.served.fake.handle(101, 9, failing);
        }
    };
    meanwhile(&mut script, "batch start clients --op on --items items --wait", handle(&["b"]));
    meanwhile(&mut script, "batch repair 101 --wait", handle(&["b"]));
    meanwhile(&mut script, "batch repair 101 --wait --json", handle(&[]));
    insta::assert_snapshot!(script.text);
}

#[test]
fn advance() {
    let mut script = script("a\nb\nc\n");
    script.run(START);
    for (item, outcome) in [
        ("a", ItemOutcome::Done),
        ("b", ItemOutcome::Failed { error: "no such client".into() }),
        ("c", ItemOutcome::Returned),
    ] {
        meanwhile(&mut script, &format!("batch advance 101 {item}"), |script| {
            while counted(script, 101, "running") == 0 {}
            script.served.fake.end(101, outcome);
        });
    }
    script.run("batch advance 101 c --no-wait").run("batch advance 101 c").run("batch advance 101 a --json");
    script.run("batch advance 101 z").run("batch advance 7 a").run("batch items 101");
    insta::assert_snapshot!(script.text);
}

#[test]
fn a_long_list_of_items_has_one_header() {
    let script = script(&(0..2500).map(|n| format!("client-{n}\n")).collect::<String>());
    let run = |words: &[&str]| {
        let mut command = daybook();
        command.arg("--socket").arg(&script.served.socket).current_dir(script.served.folder.path()).args(words);
        String::from_utf8(spawn(command, b"").stdout).unwrap()
    };
    run(&START.split(' ').collect::<Vec<_>>());
    let text = run(&["batch", "items", "101"]);
    assert_eq!((text.lines().count(), text.matches("STATE").count()), (2501, 1));
    assert!(text.lines().last().unwrap().ends_with("client-2499"), "{:?}", text.lines().last());
    assert_eq!(run(&["batch", "items", "101", "--json"]).lines().count(), 2500);
}
