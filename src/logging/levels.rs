//! From the config's levels to a filter by part.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::config::{LogLevel, Logs};

/// sqlx tells the texts of statements under this name. They may have values in them, so nobody is to see them.
const STATEMENTS: &str = "sqlx::query";
/// Parts that are not ours. Of interest only when something is wrong with them.
const LIBRARIES: [&str; 2] = ["sqlx", "tokio_cron_scheduler"];

/// The filter that these levels stand for.
pub(super) fn targets(logs: &Logs) -> Targets {
    let mut targets = Targets::new().with_default(LevelFilter::WARN).with_target("daybook", filter(logs.level));
    for (part, level) in &logs.levels {
        let target = if LIBRARIES.contains(part) { (*part).to_owned() } else { format!("daybook::{part}") };
        targets = targets.with_target(target, filter(*level));
    }
    targets.with_target(STATEMENTS, LevelFilter::OFF)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::LOG_PARTS;
    use tracing::Level;

    #[test]
    fn a_part_has_its_own_level_and_statements_have_none() {
        let levels = [("engine", LogLevel::Trace), ("sqlx", LogLevel::Trace), ("exec", LogLevel::Error)].into();
        let targets = targets(&Logs { level: LogLevel::Info, levels, ..Logs::default() });
        for (target, level, written) in [
            ("daybook::daemon::start", Level::INFO, true),
            ("daybook::daemon::start", Level::DEBUG, false),
            ("daybook::engine::run", Level::TRACE, true),
            ("daybook::exec::lines", Level::WARN, false),
            ("daybook::exec::lines", Level::ERROR, true),
            ("sqlx_core::pool", Level::INFO, true),
            ("sqlx::query", Level::ERROR, false),
            ("hyper::proto", Level::WARN, true),
            ("hyper::proto", Level::INFO, false),
        ] {
            assert_eq!(targets.would_enable(target, &level), written, "{target} {level}");
        }
    }

    /// Whoever logs can be given a level of its own.
    #[test]
    fn every_module_that_logs_is_a_part() {
        fn logs(path: &std::path::Path) -> bool {
            match std::fs::read_dir(path) {
                Ok(entries) => entries.map(|entry| entry.unwrap().path()).any(|path| logs(&path)),
                Err(_) => std::fs::read_to_string(path).unwrap().contains("tracing::"),
            }
        }
        let mut found = 0;
        for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
            let path = entry.unwrap().path();
            if logs(&path) {
                let part = path.file_stem().unwrap().to_str().unwrap();
                assert!(LOG_PARTS.find(part).is_some(), "`{part}` logs; add it to LOG_PARTS in config::keys");
                found += 1;
            }
        }
        assert!(found > 4, "the test looks at nothing");
    }

    /// A name that stands for nothing would be a level that changes nothing.
    #[test]
    fn parts_are_modules_or_libraries() {
        let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for key in LOG_PARTS.keys() {
            let is_module = source.join(key.name).is_dir() || source.join(key.name).with_extension("rs").is_file();
            assert!(is_module != LIBRARIES.contains(&key.name), "{} is neither", key.name);
        }
    }
}
