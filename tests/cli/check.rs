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
    insta::assert_snapshot!(script.text);
}
