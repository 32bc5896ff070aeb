use crate::Script;

#[test]
fn output() {
    let mut script = Script::new();
    script.run("output 1");
    script.run("output 3 -f");
    script.run("output 2 --attempt 4");
    script.run("output 1 --json");
    script.run("output 7");
    script.run("output 2 --attempt 6");
    script.run("output 99");
    script.run("output 1 --attempt 0");
    insta::assert_snapshot!(script.text);
}
