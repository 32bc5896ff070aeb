use crate::Script;

#[test]
fn add() {
    let mut script = Script::new();
    script.run("add mail --arg to=eve --arg n=3 --arg list=[1,2]");
    script.run("add mail --args {\"a\":1} --priority 9 --in 5m --json");
    script.run("show 9 --json");
    script.run("add mail --at 2027-01-01T00:00:00Z --key new-year");
    script.run("add mail --key new-year");
    script.run("add mail --key new-year --json");
    script.run("add quick --key new-year");
    script.run("add nobody");
    script.run("add full");
    insta::assert_snapshot!(script.text);
}

#[test]
fn wrong_options() {
    let mut script = Script::new();
    script.run("add");
    script.run("add mail --priority 10");
    script.run("add mail --arg to");
    script.run("add mail --args {");
    script.run("add mail --in soon");
    script.run("add mail --in 1s --at 2027-01-01T00:00:00Z");
    script.run("add mail --each - --key k");
    let long = format!("add mail --key {}", "k".repeat(257));
    script.run(&long);
    script.text = script.text.replace(&"k".repeat(257), "k(257)");
    insta::assert_snapshot!(script.text);
}

#[test]
fn wait() {
    let mut script = Script::new();
    script.run("add quick --wait");
    script.run("add quick --wait --json");
    script.run("add quick --arg fail=true --wait");
    script.run("add quick --arg fail=true --arg quiet=true --wait");
    script.run("add quick --arg fail=true --wait --json");
    insta::assert_snapshot!(script.text);
}

#[test]
fn each() {
    let mut script = Script::new();
    script.run_with("add mail --each - --priority 3", b"{\"to\":1}\n\n[2]\n3", &[]);
    script.run_with("add mail --each - --json", b"{\"to\":1}\n{\"to\":2}\n", &[]);
    script.run("show 8 --json");
    script.run_with("add full --each -", b"1\n2\n", &[]);
    script.run_with("add full --each - --json", b"1\n", &[]);
    script.run_with("add mail --each -", b"", &[]);
    script.run_with("add mail --each -", b"1\n{\n", &[]);
    script.run("add mail --each no-such-file");
    std::fs::create_dir(script.served.folder.path().join("folder")).unwrap();
    script.run("add mail --each folder");
    insta::assert_snapshot!(script.text);
}

#[test]
fn each_takes_many_calls() {
    let mut script = Script::new();
    let before = script.served.fake.jobs_len();
    let mut lines: Vec<String> = (0..12_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    std::fs::write(script.served.folder.path().join("lines"), lines.join("\n")).unwrap();
    script.run("add mail --each lines");
    assert_eq!(script.served.fake.jobs_len(), before + 12_000);
    lines[11_000] = "no".to_owned();
    std::fs::write(script.served.folder.path().join("lines"), lines.join("\n")).unwrap();
    script.run("add mail --each lines");
    assert_eq!(script.served.fake.jobs_len(), before + 22_000);
    insta::assert_snapshot!(script.text);
}
