//! `cargo bench`: every figure that the project promises, each as a ratio to something measured in the same run.
//!
//! `cargo bench -- add latency` runs the parts with these names. README.md beside this file says what each part
//! measures, what it came to, and what limits it.

mod add;
mod attempts;
mod batch;
mod checkpoint;
mod commit;
mod finish;
mod idle;
mod latency;
mod logs;
mod passivate;
mod recovery;
mod schedule;
#[path = "../tests/support/servers/mod.rs"]
#[allow(dead_code, reason = "the tests need the rest")]
mod servers;
mod support;
mod sweep;

const PARTS: [(&str, fn()); 13] = [
    ("commit", commit::run),
    ("add", add::run),
    ("finish", finish::run),
    ("latency", latency::run),
    ("attempts", attempts::run),
    ("schedule", schedule::run),
    ("recovery", recovery::run),
    ("checkpoint", checkpoint::run),
    ("sweep", sweep::run),
    ("idle", idle::run),
    ("logs", logs::run),
    ("passivate", passivate::run),
    ("batch", batch::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [flag, handlers, dir] if flag == "--daemon" => return support::daemon::main(handlers, dir.as_ref()),
        [flag, kept, dir] if flag == "--batch-memory" => return batch::memory::main(kept, dir.as_ref()),
        [flag] if flag == "--stamp" => return latency::stamp(),
        [word, rest @ ..] if word == "shim" => {
            let code = daybook::shim::run(rest.iter().map(Into::into));
            // A shim's exit code says nothing that its run file does not say.
            std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
        }
        _ => {}
    }
    // Cargo passes `--bench`; any other word selects a part by name.
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    for (name, run) in PARTS {
        if words.is_empty() || words.iter().any(|word| name.starts_with(word.as_str())) {
            run();
        }
    }
    support::remove(&support::root());
}
