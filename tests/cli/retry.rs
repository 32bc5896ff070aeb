use crate::Script;

#[test]
fn retry() {
    let mut script = Script::new();
    script.run("retry 5");
    script.run("retry 3");
    script.run("retry 2 --json");
    script.run("retry 99");
    insta::assert_snapshot!(script.text);
}
