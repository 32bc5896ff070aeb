use crate::Script;

#[test]
fn resume() {
    let mut script = Script::new();
    script.run("resume mail");
    script.run("pause mail");
    script.run("resume mail");
    script.run("pause mail");
    script.run("resume mail --json");
    script.run("resume nobody");
    insta::assert_snapshot!(script.text);
}
