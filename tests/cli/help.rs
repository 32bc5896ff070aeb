use std::path::Path;

use crate::{daybook, spawn};

/// Every change of wording is reviewed here.
#[test]
fn help_of_all_commands() {
    let mut text = help(&[]);
    for verb in daybook::cli::definition().get_subcommands() {
        text.push_str(&help(&[verb.get_name()]));
        for part in verb.get_subcommands() {
            text.push_str(&help(&[verb.get_name(), part.get_name()]));
        }
    }
    insta::assert_snapshot!(text);
}

fn help(words: &[&str]) -> String {
    let mut command = daybook();
    command.args(words).arg("--help");
    let output = spawn(command, b"");
    assert!(output.status.success());
    let title = words.iter().fold("daybook".to_owned(), |title, word| format!("{title} {word}"));
    format!("=== {title}\n{}\n", String::from_utf8_lossy(&output.stdout))
}

/// A verb has a file of its own, and a file of tests with the same name.
#[test]
fn every_verb_has_its_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for verb in daybook::cli::definition().get_subcommands() {
        for folder in ["src/cli", "tests/cli"] {
            let file = root.join(folder).join(verb.get_name()).with_extension("rs");
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}
