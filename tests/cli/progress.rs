use crate::Script;

#[test]
fn progress() {
    let mut script = Script::new();
    script.run_with("progress 4 10 half_way", b"", &[("DAYBOOK_JOB", "3"), ("DAYBOOK_ATTEMPT", "1")]);
    script.run("show 3");
    script.run("progress 5 10 --job 3 --json");
    script.run_with("progress 6 10", b"", &[("DAYBOOK_JOB", "3"), ("DAYBOOK_ATTEMPT", "2")]);
    script.run("progress 1 2 --job 7");
    script.run("progress 1 2");
    script.run("progress -1 2 --job 3");
    // More than was foreseen: it is taken, and shown as it was given.
    script.run("progress 5 2 --job 3").run("show 3").run("show 3 --json");
    insta::assert_snapshot!(script.text);
}
