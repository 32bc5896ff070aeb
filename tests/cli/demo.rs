use crate::Script;

#[test]
fn wrong_options() {
    let mut script = Script::new();
    script.run("demo --dir").run("demo now");
    insta::assert_snapshot!(script.text);
}
