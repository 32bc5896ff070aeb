use crate::Script;

#[test]
fn wrong_options() {
    let mut script = Script::new();
    script.run("daemon --state").run("daemon now").run("daemon --state-dir /proc");
    insta::assert_snapshot!(script.text);
}
