use crate::Script;

#[test]
fn why() {
    let mut script = Script::new();
    script.run("why 7");
    script.run("why 1 --json");
    script.run("why 99");
    insta::assert_snapshot!(script.text);
}
