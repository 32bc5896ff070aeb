use crate::Script;

#[test]
fn item() {
    let mut script = Script::new();
    std::fs::write(script.served.folder.path().join("items"), "17\n18\n").unwrap();
    script.run("item check client:17").run("batch start clients --op on --items items");
    script.run("item check client:17").run("item check client:17 --json");
    script.served.fake.begin(101, 1);
    script.run("item check client:17").run("item check client:17 --json").run("item remove client:17");
    script.run("item remove client:18").run("item remove client:18 --json").run("item remove a/b");
    script.served.fake.invoice("99");
    script.run("item check client:99");
    script.run("item overrides").run("item override client:18 {\"length\":6}").run("item override a/b [1] --json");
    script.run("item overrides").run("item overrides --json").run("item check client:18");
    script.run("item restore client:18").run("item restore client:18").run("item restore a/b --json");
    script.run("item override client:18 {").run("item override client:18").run("item").run("item check");
    insta::assert_snapshot!(script.text);
}
