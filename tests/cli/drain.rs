use crate::Script;

#[test]
fn drain() {
    let mut script = Script::new();
    script.run("drain");
    script.run("drain --kill --json");
    script.run("drain mail");
    insta::assert_snapshot!(script.text);
}
