//! Every example of `daybook next` is asked of a daemon that has the tasks of its page.

use crate::daemon::Place;
use crate::pages;

#[test]
fn the_daemon_answers_what_the_page_says() {
    let page = pages::page("docs/dst-and-missed.md");
    let blocks = page.blocks();
    let tasks: Vec<&str> = blocks.iter().filter(|it| it.language == "toml").map(|it| it.text.as_str()).collect();
    let place = Place::with_top("execution = false", &tasks.join("\n"));
    let _daemon = place.start();
    let mut checked = 0;
    for block in blocks.iter().filter(|block| block.language == "console") {
        let mut said = String::new();
        for command in block.text.lines().filter_map(|line| line.strip_prefix("$ daybook ")) {
            let output = place.cli(command.split_whitespace());
            said.push_str(&format!("$ daybook {command}\n{}", String::from_utf8_lossy(&output.stdout)));
            said.push_str(&String::from_utf8_lossy(&output.stderr));
            checked += 1;
        }
        assert_eq!(said, block.text, "{}", block.place);
    }
    assert!(checked > 10, "only {checked} examples were found: the test looks at nothing");
}
