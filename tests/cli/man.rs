use std::path::Path;
use std::process::Command;

use daybook::config::keys::{Kind, MAIN, Section, Shown};

use crate::{daybook, spawn};

fn pages(folder: &Path) -> Vec<String> {
    let mut write = daybook();
    write.arg("man").arg(folder.join("man"));
    let output = spawn(write, b"");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut names: Vec<String> = std::fs::read_dir(folder.join("man"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn there_is_a_page_for_each_verb_and_for_the_config() {
    let folder = tempfile::tempdir().unwrap();
    let names = pages(folder.path());
    for verb in daybook::cli::definition().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let name = format!("daybook-{}.1", verb.get_name());
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    assert!(names.contains(&"daybook.1".to_owned()) && !names.contains(&"daybook-man.1".to_owned()), "{names:?}");
    let page = std::fs::read_to_string(folder.path().join("man/daybook.toml.5")).unwrap();
    fn all(page: &str, section: &Section) {
        for key in section.keys().filter(|key| !matches!(key.kind, Kind::Later)) {
            if !matches!(key.shown, Shown::Section) {
                assert!(page.contains(&format!("\\fB{}\\fR", key.name.replace('-', "\\-"))), "{} is missing", key.name);
            }
            if let Kind::Table(inner) | Kind::Tables(inner) | Kind::TableOrDuration(inner) = key.kind {
                all(page, inner);
            }
        }
    }
    all(&page, &MAIN);
}

#[test]
fn groff_has_nothing_to_say_about_the_pages() {
    let folder = tempfile::tempdir().unwrap();
    let names = pages(folder.path());
    if !has_groff() {
        return;
    }
    for name in names {
        let mut groff = Command::new("groff");
        groff.args(["-man", "-ww", "-Tutf8", "-z"]).arg(folder.path().join("man").join(&name));
        let output = spawn(groff, b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{name}: {said}");
    }
}

/// Whether groff is there; it is installed where that is possible.
fn has_groff() -> bool {
    let there = || Command::new("groff").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there() && rustix::process::geteuid().is_root() {
        let install = "apt-get install -y groff-base || { apt-get update && apt-get install -y groff-base; }";
        Command::new("sh").args(["-c", install]).output().ok();
    }
    if !there() {
        println!("skipped: there is no groff (Debian's package `groff-base`), and this is not root to install it");
        assert!(std::env::var_os("CI").is_none(), "with CI set, groff must be there");
    }
    there()
}
