//! Every config on a page is one that the daemon would take.

use daybook::config::check_text;

use crate::pages;

#[test]
fn every_config_on_a_page_passes_the_check() {
    let mut checked = 0;
    // The reference is printed from the tables of keys and has a test of its own.
    for page in pages::all().iter().filter(|page| page.name != "docs/config.md") {
        for block in page.blocks().iter().filter(|block| block.language == "toml") {
            if block.text.contains("\nuser ") && !rustix::process::geteuid().is_root() {
                eprintln!("skipped: {} needs root, as only root may run jobs as others", block.place);
                continue;
            }
            if let Err(errors) = check_text("/etc/daybook/daybook.toml", &block.text) {
                panic!("{}: {errors}", block.place);
            }
            checked += 1;
        }
    }
    assert!(checked > 15, "only {checked} configs were found: the test looks at nothing");
}

/// A key that stands in a table of the pages beside its value, such as `missed = "last"`.
#[test]
fn every_key_in_a_table_is_one() {
    let page = pages::page("docs/moving-from-cron.md");
    let mut checked = 0;
    for text in page.quoted() {
        let Some((key, value)) = text.split_once(" = ") else { continue };
        if !key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') || value.contains("...") {
            continue;
        }
        let handler = if ["shell", "command", "worker"].contains(&key) { "" } else { "\ncommand = [\"true\"]" };
        if let Err(errors) = check_text("table", format!("[task.t]\n{text}{handler}\n")) {
            panic!("`{text}`: {errors}");
        }
        checked += 1;
    }
    assert!(checked > 15, "only {checked} keys were found: the test looks at nothing");
}
