use crate::Script;

#[test]
fn occurrences() {
    let mut script = Script::new();
    script.run("occurrences backup");
    script.run("occurrences backup --limit 1 --json");
    script.run("occurrences backup --since 40h");
    script.run("occurrences mail");
    script.run("occurrences nobody");
    script.run("occurrences");
    insta::assert_snapshot!(script.text);
}
