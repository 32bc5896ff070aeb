//! The same with a process for each client, which outlives the daemon.

use rustix::process::Signal;
use serde_json::json;

use crate::base::Base;
use crate::daemon::{Daemon, touch, until};
use crate::site::{Site, counts};

/// Each handling is a line of `handled` and leaves `ID.auth`. Clients 11 to 14 take until the file `open` is there.
const BY_PROCESS: &str = r#"
[task.by-process]
op = ["on", "off"]
items = "given"
lock = "client:{item}"
concurrency = 4
each = { shell = """
    echo "$DAYBOOK_ITEM $DAYBOOK_OP $DAYBOOK_ATTEMPT" >> $DIR/handled
    if [ "$DAYBOOK_ITEM" -gt 10 ] && [ "$DAYBOOK_ITEM" -lt 15 ]; then
        until [ -e $DIR/open ]; do sleep 0.02; done
    fi
    echo "$DAYBOOK_OP" > "$DIR/$DAYBOOK_ITEM.auth"
""" }
"#;

/// A batch over 40 clients, four of which are being handled; ten are done.
fn in_the_middle(site: &Site<'_>, daemon: &Daemon<'_>) -> u64 {
    let on = site.batch("by-process", 1..=40, &["--op", "on"]);
    until("four are being handled", || (site.place.read("handled").lines().count() == 14).then_some(()));
    site.wait_counts(daemon, on, [10, 0, 0, 0, 26, 4]);
    let refused = site.refused(&["batch", "advance", &on.to_string(), "12"]);
    assert!(refused.contains("item `12` of batch 1 is being handled"), "{refused}");
    let held = site.refused(&["item", "check", "client:12"]);
    assert!(held.contains("batch 1 of task `by-process` handles it"), "{held}");
    on
}

/// How often each client was handled, and that all of them are on.
fn handlings(site: &Site<'_>) -> Vec<usize> {
    let handled = site.place.read("handled");
    let count = |client: i64| handled.lines().filter(|line| line.starts_with(&format!("{client} on "))).count();
    (1..=40).for_each(|client| assert_eq!(site.place.read(&format!("{client}.auth")), "on\n", "{client}"));
    (1..=40).map(count).collect()
}

#[test]
fn what_is_being_handled_goes_on_without_the_daemon() {
    for signal in [Signal::KILL, Signal::TERM] {
        let base = Base::file();
        let site = Site::new(&base, BY_PROCESS);
        let mut daemon = site.start();
        let on = in_the_middle(&site, &daemon);
        daemon.signal(signal);
        // A stop waits for none of them: there is nobody who would let them go on.
        daemon.wait_exit();
        assert_eq!(site.place.read("handled").lines().count(), 14);
        site.open();
        drop(daemon);
        let daemon = site.start();
        let shown = site.wait(&daemon, on, "completed");
        assert_eq!(counts(&shown), [40, 0, 0, 0, 0, 0]);
        assert_eq!(handlings(&site), [1; 40], "{signal:?}");
        daemon.stop();
    }
}

#[test]
fn what_was_being_handled_when_all_died_is_handled_again() {
    let base = Base::file();
    let site = Site::new(&base, BY_PROCESS);
    let daemon = site.start();
    let on = in_the_middle(&site, &daemon);
    daemon.kill_with_shims();
    for process in site.place.job_processes() {
        // It may have ended with its shim.
        let _: Result<(), _> = rustix::process::kill_process(process, Signal::KILL);
    }
    site.open();
    let daemon = site.start();
    site.wait(&daemon, on, "completed");
    let twice = |client| if (11..15).contains(&client) { 2 } else { 1 };
    assert_eq!(handlings(&site), (1..=40).map(twice).collect::<Vec<_>>());
    assert_eq!(site.item(on, 12), json!({"item": "12", "state": "done", "error": null, "attempts": 2}));
    daemon.stop();
}

#[test]
fn an_item_is_handled_ahead_of_its_turn_while_the_run_is_busy() {
    let base = Base::file();
    let site = Site::new(&base, BY_PROCESS);
    let daemon = site.start();
    let on = in_the_middle(&site, &daemon);
    // All four places are taken, and it is done at once.
    site.daybook(&["batch", "advance", &on.to_string(), "40"]);
    assert_eq!(site.place.read("40.auth"), "on\n");
    site.wait_counts(&daemon, on, [10, 1, 0, 0, 25, 4]);
    site.open();
    let shown = site.wait(&daemon, on, "completed");
    assert_eq!(counts(&shown), [39, 1, 0, 0, 0, 0]);
    assert_eq!(handlings(&site), [1; 40]);
    daemon.stop();
}

/// Without its name in `refused`, a client is done. As in docs/batches.md, without its `jq`.
const IN_CHUNKS: &str = r#"
[task.in-chunks]
items = { file = "$DIR/clients.txt" }
chunk = 4
lock = "client:{item}"

[task.in-chunks.each]
shell = """
    failed=""
    lines=0
    while read -r line; do
        lines=$((lines + 1))
        item=${line#*:?}
        item=${item%%[!0-9]*}
        if [ -e "$DIR/refused.$item" ]; then
            failed="$failed,\\"$item\\": \\"has no phone\\""
        else
            echo "$item on $DAYBOOK_ATTEMPT" >> $DIR/handled
        fi
    done
    echo $lines >> $DIR/calls
    echo "{\\"failed\\": {${failed#,}}}" > "$DAYBOOK_RESULT"
"""
"#;

#[test]
fn a_call_for_several_answers_for_each() {
    let base = Base::file();
    let site = Site::new(&base, IN_CHUNKS);
    let daemon = site.start();
    site.list(1..=10);
    for client in [3, 7] {
        touch(&site.place.path(&format!("refused.{client}")));
    }
    let refused = site.refused(&["batch", "start", "in-chunks", "--wait"]);
    assert!(refused.contains("2 of 10 items failed"), "{refused}");
    let batch = 1;
    let item = json!({"item": "7", "state": "failed", "error": "has no phone", "attempts": 1});
    assert_eq!((site.item(batch, 7), site.place.read("calls").as_str()), (item, "4\n4\n2\n"));
    for client in [3, 7] {
        std::fs::remove_file(site.place.path(&format!("refused.{client}"))).unwrap();
    }
    site.daybook(&["batch", "repair", "1", "--wait"]);
    assert_eq!((counts(&site.show(batch)), site.place.read("calls").as_str()), ([10, 0, 0, 0, 0, 0], "4\n4\n2\n2\n"));
    let handled = site.place.read("handled");
    let mut lines: Vec<&str> = handled.lines().collect();
    lines.sort_unstable();
    let expected =
        ["1 on 1", "10 on 1", "2 on 1", "3 on 2", "4 on 1", "5 on 1", "6 on 1", "7 on 2", "8 on 1", "9 on 1"];
    assert_eq!(lines, expected);
    daemon.stop();
}

/// Every item is a line of `handled`.
const FROM_A_FILE: &str = r#"
[task.from-a-file]
items = { file = "$DIR/items" }
each = { shell = "echo \"$DAYBOOK_ITEM\" >> $DIR/handled" }

[task.given]
items = "given"
each = { shell = "echo \"$DAYBOOK_ITEM\" >> $DIR/handled" }
"#;

#[test]
fn a_file_has_the_same_items_whoever_reads_it() {
    let base = Base::file();
    let site = Site::new(&base, FROM_A_FILE);
    let daemon = site.start();
    let path = site.place.path("items");
    let file = path.to_string_lossy().into_owned();
    let starts = [vec!["batch", "start", "from-a-file"], vec!["batch", "start", "given", "--items", &file]];
    let array = r#"["a b", 1.50, {"z": 1, "a": 2}]"#;
    let lines = "a b\r\n\n1.50\n{\"z\":1,\"a\":2}";
    let blanks = " \n".repeat(20_000);
    let mark = "\u{feff}";
    for text in [
        array.to_owned(),
        format!("\n {array}\n"),
        format!("{mark}{array}"),
        format!("{mark}{blanks}{array}"),
        lines.to_owned(),
        format!("{mark}{lines}\n"),
        format!("{blanks}{lines}"),
    ] {
        std::fs::write(&path, &text).unwrap();
        for start in &starts {
            site.daybook(&[start.as_slice(), &["--wait"]].concat());
            let handled = site.place.read("handled");
            assert_eq!(handled, "a b\n1.50\n{\"z\":1,\"a\":2}\n", "{start:?} {text:.20?}");
            std::fs::remove_file(site.place.path("handled")).unwrap();
        }
    }
    for (wrong, what) in [
        ("true", "is neither a string, a number nor an object"),
        ("null", "is neither a string, a number nor an object"),
        ("[1]", "is neither a string, a number nor an object"),
        ("\"\"", "is empty"),
        ("\"a\\nb\"", "has a line break or a NUL"),
    ] {
        std::fs::write(&path, format!("[1, {wrong}]")).unwrap();
        let read = site.refused(&[starts[0].as_slice(), &["--wait"]].concat());
        assert!(read.contains(&format!("item 2 {what}")), "{wrong}: {read}");
        let given = site.place.cli(&starts[1]);
        let given = String::from_utf8_lossy(&given.stderr).into_owned();
        assert!(given.contains("line 2") && given.contains(&format!("the item {what}")), "{wrong}: {given}");
    }
    assert!(!site.place.path("handled").exists());
    daemon.stop();
}
