//! Whatever the bytes: an answer, never a panic.

use daybook::config::check_text;
use proptest::prelude::*;

/// Right and wrong lines, to be put together in any order.
fn line() -> impl Strategy<Value = String> {
    let keys = daybook::config::keys::TASK.keys().map(|key| key.name).collect::<Vec<_>>();
    let main = daybook::config::keys::MAIN.keys().map(|key| key.name).collect::<Vec<_>>();
    let key = prop_oneof![
        proptest::sample::select(keys),
        proptest::sample::select(main),
        proptest::sample::select(vec!["url", "every", "keep", "level", "\"\"", "a.b", "\"ä\""])
    ];
    let value = prop_oneof![
        "[0-9]{1,25}",
        "-?[0-9]{1,3}\\.[0-9]{1,3}",
        "\"[a-z0-9 */@:.{}\\[\\]]{0,12}\"",
        "\\PC{0,8}",
        proptest::sample::select(vec![
            "true",
            "[]",
            "{}",
            "nan",
            "-inf",
            "2026-01-01",
            "08:00:00",
            "0xff",
            "[[[[1]]]]",
            "[\"a\", 1, {}]",
            "{ age = \"1d\", size = 1 }",
            "{ first = \"1s\", factor = 1 }",
            "\"passivate-users\"",
            "\"clean-logs\"",
            "\"\\u0000\"",
            "\"-1y\"",
            "[\"/var/log/x/*.log\"]",
        ])
        .prop_map(str::to_owned)
    ];
    let header = proptest::sample::select(vec![
        "[task.a]",
        "[task.\"b c\"]",
        "[task]",
        "[databases.app]",
        "[log]",
        "[repair]",
        "[[task]]",
        "[task.a.env]",
    ]);
    prop_oneof![3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")), 1 => header.prop_map(str::to_owned)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn lines_in_any_order_are_answered(lines in proptest::collection::vec(line(), 0..12)) {
        let text = lines.join("\n");
        let lines_count = lines.len().max(1) + text.matches('\n').count();
        if let Err(errors) = check_text("a.toml", text.as_str()) {
            prop_assert!(!errors.problems.is_empty());
            for problem in errors.problems {
                prop_assert!((1..=lines_count).contains(&problem.line), "{problem}");
                prop_assert!(problem.column >= 1 && !problem.message.is_empty(), "{problem}");
                prop_assert!(!problem.to_string().contains('\n'), "{problem}");
            }
        }
    }

    #[test]
    fn any_text_is_answered(text in "(\\PC|[\n\t\r\"'\\[\\]{}=.#]){0,200}") {
        let _ = check_text("a.toml", text);
    }
}

#[test]
fn deep_nesting_is_answered() {
    for text in [
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "a.".repeat(100_000),
    ] {
        assert!(check_text("a.toml", text).is_err());
    }
}
