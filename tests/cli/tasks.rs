use crate::Script;

#[test]
fn tasks() {
    let mut script = Script::new();
    script.run("tasks");
    script.run("pause mail");
    script.run("tasks");
    script.run("tasks --json");
    insta::assert_snapshot!(script.text);
}
