use crate::Script;

#[test]
fn pause() {
    let mut script = Script::new();
    script.run("pause mail");
    script.run("pause mail");
    script.run("pause mail --json");
    script.run("pause nobody");
    insta::assert_snapshot!(script.text);
}
