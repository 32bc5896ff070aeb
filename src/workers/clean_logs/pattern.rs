//! Patterns of `clean-logs`: what they match, and from which folder a walk for them starts.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::super::Error;

/// Bytes of one pattern.
const PATTERN_BYTES_MAX: usize = 4096;
/// What makes a name more than literal. `]` and `}` are harmless alone.
const WILDCARDS: [char; 5] = ['*', '?', '[', '{', '\\'];

/// One entry of `paths`.
#[derive(Debug)]
pub(super) struct Pattern {
    /// As written.
    pub text: String,
    /// The folders before the first wildcard, from the root.
    pub base: Vec<String>,
    /// How many folders deep below `base` a match can be; none when the pattern has `**`.
    pub depth_max: Option<usize>,
    matcher: GlobMatcher,
}

impl Pattern {
    /// Parses an absolute pattern.
    pub fn parse(text: &str) -> Result<Pattern, Error> {
        let refuse = |problem: &str| {
            let value = format!("{:?}", text.chars().take(256).collect::<String>());
            Err(Error::Setting { key: "paths", value, problem: problem.into() })
        };
        if text.len() > PATTERN_BYTES_MAX || text.contains('\0') {
            return refuse("it is over 4 KiB or holds a NUL");
        }
        let Some(names) = text.strip_prefix('/') else {
            return refuse("it must be absolute, as in /var/log/app/*.log");
        };
        let names: Vec<&str> = names.split('/').collect();
        if names.iter().any(|name| matches!(*name, "" | "." | "..")) {
            return refuse(
                "it must not have `//`, `.` or `..` in it, nor end in `/`: name files, as in /var/log/app/*.log",
            );
        }
        // The last name is the file's, even if it is literal.
        let wild = names.iter().position(|name| name.contains(WILDCARDS)).unwrap_or(names.len() - 1);
        if wild == 0 {
            return refuse("it must start with a folder that is no wildcard");
        }
        let glob = match GlobBuilder::new(text).literal_separator(true).build() {
            Ok(glob) => glob,
            Err(error) => return refuse(&format!("it is no pattern: {}", error.kind())),
        };
        // An upper bound: alternatives in braces may hold more separators than one match has.
        let depth_max = (!text.contains("**")).then(|| names.len() - 1 - wild);
        let base = names[..wild].iter().map(|name| (*name).to_owned()).collect();
        Ok(Pattern { text: text.to_owned(), base, depth_max, matcher: glob.compile_matcher() })
    }

    /// Whether the absolute path `path` matches.
    pub fn matches(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_and_depth() {
        let check = |text: &str, base: &str, depth| {
            let pattern = Pattern::parse(text).unwrap();
            assert_eq!((pattern.base.join("/").as_str(), pattern.depth_max), (base, depth), "{text}");
        };
        check("/var/log/app/**/*.log*", "var/log/app", None);
        check("/var/log/app/*.log", "var/log/app", Some(0));
        check("/var/log/*/old/*.log", "var/log", Some(2));
        check("/var/log/app.log", "var/log", Some(0));
        check("/var/{a/b,c}/x", "var", Some(2));
    }

    #[test]
    fn matches_stay_within_their_folders() {
        let check = |text: &str, path: &str| Pattern::parse(text).unwrap().matches(Path::new(path));
        assert!(check("/l/**/*.log*", "/l/x.log"));
        assert!(check("/l/**/*.log*", "/l/a/b/x.log.1"));
        assert!(check("/l/[a-c]?/{x,y}.log", "/l/b2/y.log"));
        assert!(!check("/l/*.log", "/l/a/x.log"));
        assert!(!check("/l/**/*.log", "/l2/x.log"));
        assert!(!check("/l/*.log", "/l/x.log.1"));
    }

    #[test]
    fn bad_patterns_are_refused_with_a_reason() {
        let check = |text: &str, part: &str| {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("logs/*.log", "must be absolute");
        check("/var/log/../x/*.log", "`..`");
        check("/var/log/", "end in `/`");
        check("/", "end in `/`");
        check("/**/*.log", "no wildcard");
        check("/etc", "no wildcard");
        check("/var/[/x", "no pattern");
        check(&format!("/{}", "a".repeat(5000)), "over 4 KiB");
    }
}
