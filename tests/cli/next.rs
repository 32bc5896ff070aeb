use crate::Script;

#[test]
fn next() {
    let mut script = Script::new();
    script.run("next");
    script.run("next backup --count 2");
    script.run("next backup --count 2 --from 2027-01-01T00:00:00Z --json");
    script.run("next mail");
    script.run("next nobody");
    script.run("next backup --from noon");
    insta::assert_snapshot!(script.text);
}
