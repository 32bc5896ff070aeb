use crate::Script;

#[test]
fn repair() {
    let mut script = Script::new();
    script.run("repair --dry-run");
    script.run("repair");
    script.run("repair --json");
    script.run("repair --last");
    script.run("repair --last --json");
    insta::assert_snapshot!(script.text);
}
