use std::process::Command;

use crate::{daybook, spawn};

/// What a real bash offers for the last of these words.
fn offered(words: &[&str]) -> Vec<String> {
    let mut print = daybook();
    print.args(["completions", "bash"]);
    let script = String::from_utf8(spawn(print, b"").stdout).unwrap();
    let list: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let (last, before) = (words.len() - 1, words[words.len() - 2]);
    let ask = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}; _daybook daybook '{}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
        list.join(" "),
        words[last]
    );
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", &ask]);
    let output = spawn(bash, b"");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_verbs_options_and_states() {
    assert_eq!(offered(&["daybook", "stat"]), ["status"]);
    assert_eq!(offered(&["daybook", "re"]), ["repair", "reload", "retry", "resume"]);
    assert_eq!(offered(&["daybook", "repair", "--d"]), ["--dry-run"]);
    assert_eq!(offered(&["daybook", "journal", "v"]), ["verify"]);
    assert_eq!(offered(&["daybook", "jobs", "--state", "dis"]), ["discarded"]);
}

#[test]
fn every_shell_gets_a_script_that_knows_every_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut print = daybook();
        print.args(["completions", shell]);
        let output = spawn(print, b"");
        assert!(output.status.success(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for verb in daybook::cli::definition().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            assert!(script.contains(verb.get_name()), "{shell} does not know {}", verb.get_name());
        }
    }
    let mut print = daybook();
    print.args(["completions", "cmd"]);
    assert_eq!(spawn(print, b"").status.code(), Some(2));
}
