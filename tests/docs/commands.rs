//! Every `daybook ...` on a page is a command line that is understood.

use clap::error::ErrorKind;

use crate::pages;

/// The words of a command line up to what a shell would do with it.
fn words(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or_default();
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (quote, c) {
            (None, '|' | '>' | '<' | ';' | '&' | ')') => break,
            (None, ' ') => words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty())),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (_, c) => word.push(c),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

/// Why a command line is not one. Names in capitals stand for a value, and a part of a line may leave something out.
fn misunderstood(line: &str) -> Option<String> {
    let tolerated = [ErrorKind::ValueValidation, ErrorKind::InvalidValue, ErrorKind::MissingRequiredArgument];
    let error = daybook::cli::definition().try_get_matches_from(words(line)).err()?;
    let harmless = !error.use_stderr() || tolerated.contains(&error.kind());
    (!harmless && error.kind() != ErrorKind::MissingSubcommand).then(|| error.to_string())
}

#[test]
fn every_command_line_on_a_page_is_understood() {
    let mut checked = 0;
    for page in pages::all() {
        let blocks = page.blocks();
        let shells = blocks.iter().filter(|block| ["sh", "console", "toml"].contains(&block.language));
        let lines = shells.flat_map(|block| block.text.lines().map(|line| (block.place.clone(), line.to_owned())));
        let quoted = page.quoted().into_iter().map(|text| (page.name.clone(), text));
        for (place, line) in lines.chain(quoted) {
            let line = line.trim_start_matches("$ ").trim_start_matches("sudo ").trim();
            let Some(start) =
                line.starts_with("daybook ").then_some(0).or_else(|| line.find("$(daybook ").map(|at| at + 2))
            else {
                continue;
            };
            // `daybook ...` stands for any.
            if line.contains("...") || line.contains("VERB") {
                continue;
            }
            if let Some(error) = misunderstood(&line[start..]) {
                panic!("{place}: {line}\n{error}");
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} command lines were found: the test looks at nothing");
}

/// What `help` of each verb ends with.
#[test]
fn every_verb_has_examples_and_exit_codes() {
    for mut verb in daybook::cli::definition().get_subcommands().filter(|verb| !verb.is_hide_set()).cloned() {
        let help = verb.render_long_help().to_string();
        let examples: Vec<&str> =
            help.lines().filter(|line| line.starts_with("  ") && line.contains("daybook ")).collect();
        assert!(help.contains("\nExamples:\n") && !examples.is_empty(), "{help}");
        assert!(help.contains("\nExit codes: 0 ") || help.contains("\nExit codes: as of "), "{help}");
        for line in examples {
            for command in line.split(" && ").filter_map(|part| part.find("daybook ").map(|start| &part[start..])) {
                assert_eq!(misunderstood(command), None, "{line}");
            }
        }
    }
}

#[test]
fn what_is_wrong_would_be_found() {
    for line in ["daybook frobnicate", "daybook jobs --sort", "daybook status now", "daybook journal check"] {
        assert!(misunderstood(line).is_some(), "{line}");
    }
    for line in ["daybook retry JOB", "daybook jobs --state discarded | wc -l", "daybook add t --arg 'a=b c' # x"] {
        assert_eq!(misunderstood(line), None, "{line}");
    }
}
