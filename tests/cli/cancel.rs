use crate::Script;

#[test]
fn cancel() {
    let mut script = Script::new();
    script.run("cancel 7");
    script.run("cancel 3 --reason wrong_address");
    script.run("cancel 1");
    script.run("cancel 99");
    script.run("cancel 4 --json");
    script.run("cancel x");
    insta::assert_snapshot!(script.text);
}
