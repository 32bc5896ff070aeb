use crate::Script;

#[test]
fn check() {
    let mut script = Script::new();
    let config = script.served.folder.path().join("daybook.toml");
    std::fs::write(&config, "[task.a]\nshell = \"true\"\n").unwrap();
    script.run("check --config daybook.toml").run("check --config daybook.toml --json");
    std::fs::write(&config, "sokket = 1\n[task.a]\nshel = \"true\"\n").unwrap();
    script.run("check --config daybook.toml").run("check --config daybook.toml --json");
    script.run("check --config none.toml");
    std::fs::write(&config, "[task.a]\ncommand = [\"no-such-program\"]\ncwd = \"nowhere\"\n").unwrap();
    script.run("check --config daybook.toml").run("check --config daybook.toml --json");
    insta::assert_snapshot!(script.text);
}
