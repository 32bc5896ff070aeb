use crate::Script;

#[test]
fn status() {
    let mut script = Script::new();
    script.run("status");
    script.run("status --json");
    insta::assert_snapshot!(script.text);
}

#[test]
fn problems_are_shown() {
    let mut script = Script::new();
    script.served.fake.break_it();
    script.run("pause mail").run("status");
    insta::assert_snapshot!(script.text);
}
