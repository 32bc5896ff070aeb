//! Every mistake with the exact words about it, in `mistakes.txt`: blocks of a title, a file, and its problems.
//!
//! With `UPDATE=1` in the environment the answers in the file are replaced by today's, to be reviewed.

use std::fmt::Write;

use daybook::config::check_text;

struct Block {
    title: String,
    file: String,
    answer: String,
}

fn blocks(text: &str) -> Vec<Block> {
    let parse = |block: &str| {
        let (title, rest) = block.split_once('\n').expect("a title");
        let (file, answer) = rest.split_once("-> \n").or_else(|| rest.split_once("->\n")).expect("a `->` line");
        Block { title: title.to_owned(), file: file.to_owned(), answer: answer.trim_end().to_owned() }
    };
    text.split("=== ").skip(1).map(parse).collect()
}

fn answer(file: &str) -> String {
    match check_text("daybook.toml", file) {
        Ok(_) => "fine".into(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn mistakes_are_told_in_these_words() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config/mistakes.txt");
    let blocks = blocks(&std::fs::read_to_string(path).unwrap());
    assert!(blocks.len() > 40, "the file was read as {} blocks", blocks.len());
    if std::env::var_os("UPDATE").is_some() {
        let mut text = String::new();
        for block in &blocks {
            writeln!(text, "=== {}\n{}->\n{}\n", block.title, block.file, answer(&block.file)).unwrap();
        }
        return std::fs::write(path, text).unwrap();
    }
    for block in blocks {
        assert_eq!(answer(&block.file), block.answer, "{}", block.title);
    }
}

#[test]
fn all_mistakes_of_all_tasks_are_told_at_once() {
    let mut text = String::new();
    for number in 0..1500 {
        writeln!(text, "[task.t{number}]\nshell = \"true\"\nshedule = \"@daily\"").unwrap();
    }
    let errors = check_text("daybook.toml", text).unwrap_err();
    assert_eq!((errors.problems.len(), errors.omitted), (1000, 500));
    assert!(errors.problems.is_sorted_by_key(|problem| problem.line));
    assert!(errors.to_string().ends_with("\nand 500 more"));
}
