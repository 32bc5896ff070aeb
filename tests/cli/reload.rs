use crate::Script;

#[test]
fn reload() {
    let mut script = Script::new();
    script.run("reload");
    script.run("reload --json");
    script.run("reload --wait").run("reload --wait --json");
    insta::assert_snapshot!(script.text);
}

#[test]
fn a_bad_config_is_told() {
    let mut script = Script::new();
    script.served.fake.set_config_errors(&["daybook.toml:3:1: sokket: unknown key; did you mean `socket`?"]);
    script.run("reload");
    script.served.fake.set_config_errors(&["daybook.toml:3:1: first", "tasks.d/a.toml:9:2: second"]);
    script.run("reload").run("reload --json");
    insta::assert_snapshot!(script.text);
}
