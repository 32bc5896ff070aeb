//! The page about the journal lists the events as the code has them, and says how they are written.

use daybook::core::codec;
use daybook::core::event::{AttemptFailed, ClockStepped, Event, JobDue};
use daybook::core::id::JobId;
use daybook::core::time::Timestamp;

use crate::pages::{self, root};

const BEGIN: &str = "from src/core/event.rs -->\n";
const END: &str = "<!-- end of events -->";

/// The table of events: number, name, the doc comment of the struct, its fields.
fn table() -> String {
    let read = |file: &str| std::fs::read_to_string(root().join("src/core").join(file)).unwrap();
    let source = read("event.rs") + &read("event/batch.rs");
    let mut table = "| number | event | |\n|---|---|---|\n".to_owned();
    for (number, name) in Event::ALL {
        let declared = source.lines().find(|line| line.trim() == format!("{number} {} \"{name}\",", kind(line)));
        let declared = declared.unwrap_or_else(|| panic!("{name} is not declared on a line of its own"));
        let head = format!("pub struct {} {{", kind(declared));
        let (before, after) = source.split_once(&head).unwrap_or_else(|| panic!("{head} is missing"));
        let mut comment: Vec<&str> = before.lines().rev().skip_while(|line| !line.starts_with("///")).collect();
        comment.truncate(comment.iter().take_while(|line| line.starts_with("///")).count());
        let comment: Vec<&str> = comment.iter().rev().map(|line| line.trim_start_matches('/').trim()).collect();
        let body = after.split_once('}').map_or("", |(body, _)| body);
        let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
        let fields: Vec<String> = fields.map(|field| format!("`{field}`")).collect();
        let text = format!("{} {}", comment.join(" "), fields.join(", "));
        table.push_str(&format!("| {number} | `{name}` | {} |\n", text.trim_end()));
    }
    table
}

fn kind(line: &str) -> &str {
    line.split_whitespace().nth(1).unwrap_or_default()
}

#[test]
fn the_page_lists_the_events_of_the_code() {
    let page = pages::page("docs/journal.md").text;
    let (head, rest) = page.split_once(BEGIN).expect("the page has a place for the table");
    let (shown, tail) = rest.split_once(END).expect("the place for the table ends");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(root().join("docs/journal.md"), format!("{head}{BEGIN}{}{END}{tail}", table())).unwrap();
        return;
    }
    assert_eq!(shown, table(), "`UPDATE=1 cargo test --test docs` prints it anew");
}

/// By the page's own rules, and not by the code's.
#[test]
fn events_are_written_as_the_page_says() {
    let written = |event: Event| {
        let mut bytes = Vec::new();
        codec::put_event(&event, &mut bytes);
        bytes
    };
    assert_eq!(written(JobDue { job: JobId(250) }.into()), [2, 250]);
    assert_eq!(written(JobDue { job: JobId(300) }.into()), [2, 251, 44, 1]);
    assert_eq!(written(JobDue { job: JobId(70_000) }.into()), [2, 252, 112, 17, 1, 0]);
    assert_eq!(written(ClockStepped { milliseconds: -2 }.into()), [42, 3]);
    let failed = AttemptFailed { job: JobId(7), error: "no".into(), retry_at: Timestamp(100) };
    assert_eq!(written(failed.into()), [8, 7, 2, b'n', b'o', 200]);
}
