use crate::Script;

#[test]
fn show() {
    let mut script = Script::new();
    script.run("show 1");
    script.run("show 2");
    script.run("show 3");
    script.run("show 4");
    script.run("show 3 --json");
    script.run("show 99");
    insta::assert_snapshot!(script.text);
}
