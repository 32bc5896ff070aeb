use crate::Script;

#[test]
fn jobs() {
    let mut script = Script::new();
    script.run("jobs");
    script.run("jobs --state running,retryable");
    script.run("jobs --state completed --state discarded");
    script.run("jobs --task backup");
    script.run("jobs --since 1m");
    script.run("jobs --limit 2 --json");
    script.run("jobs --after 3 --limit 1");
    script.run("jobs --task none");
    script.run("jobs --task none --json");
    script.run("jobs --state broken");
    script.run("jobs --since yesterday");
    script.run("jobs --limit 0");
    insta::assert_snapshot!(script.text);
}

#[test]
fn orphans_are_shown() {
    let mut script = Script::new();
    for job in [3, 5, 6] {
        script.served.fake.orphan(job);
    }
    script.run("jobs --orphaned").run("jobs --orphaned --state running --json");
    script.run("show 5").run("status");
    insta::assert_snapshot!(script.text);
}
