//! Patterns of `clean-logs`: what they match, and in which folders a walk for them looks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use super::super::Error;

/// Bytes of one pattern.
const PATTERN_BYTES_MAX: usize = 4096;
/// What makes a name more than literal. `]` and `}` are harmless alone.
const WILDCARDS: [char; 5] = ['*', '?', '[', '{', '\\'];

/// All entries of `paths`.
///
/// Each has a base: the folders before its first wildcard. A walk starts at every base, and does not enter those of the
/// others: so each folder is walked through once, by the walk of its nearest base, and a file of several
/// patterns is found once.
#[derive(Debug)]
pub(super) struct Patterns {
    list: Vec<Pattern>,
    matcher: GlobSet,
    /// The bases, each with the first pattern that has it.
    bases: BTreeMap<PathBuf, String>,
}

impl Patterns {
    /// Parses absolute patterns.
    pub fn parse(texts: &[String]) -> Result<Patterns, Error> {
        let mut matcher = GlobSetBuilder::new();
        let (mut list, mut bases) = (Vec::new(), BTreeMap::new());
        for text in texts {
            let (pattern, glob) = Pattern::parse(text)?;
            matcher.add(glob);
            bases.entry(pattern.base.clone()).or_insert_with(|| text.clone());
            list.push(pattern);
        }
        let matcher = matcher.build().map_err(|error| Error::Setting {
            key: "paths",
            value: format!("{} patterns", texts.len()),
            problem: format!("they are too much together: {}", error.kind()),
        })?;
        Ok(Patterns { list, matcher, bases })
    }

    /// The folders to start from, each with a pattern that asks for it.
    pub fn bases(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.bases.iter().map(|(base, text)| (base.as_path(), text.as_str()))
    }

    /// Whether a walk goes into a folder that it has met.
    pub fn enters(&self, folder: &Path) -> bool {
        !self.bases.contains_key(folder) && self.list.iter().any(|pattern| pattern.reaches(folder))
    }

    /// Whether the absolute path `path` matches.
    pub fn matches(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }
}

/// One entry of `paths`.
#[derive(Debug)]
struct Pattern {
    /// The folders before the first wildcard.
    base: PathBuf,
    /// How many folders deep below `base` a match can be; none when the pattern has `**`.
    depth_max: Option<usize>,
}

impl Pattern {
    /// Parses an absolute pattern.
    fn parse(text: &str) -> Result<(Pattern, Glob), Error> {
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
        let base = Path::new("/").join(names[..wild].join("/"));
        Ok((Pattern { base, depth_max }, glob))
    }

    /// Whether a match can be in `folder`, as far as its depth tells.
    fn reaches(&self, folder: &Path) -> bool {
        let Ok(below) = folder.strip_prefix(&self.base) else { return false };
        self.depth_max.is_none_or(|depth_max| below.components().count() <= depth_max)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn base_and_depth() {
        let check = |text: &str, base: &str, depth| {
            let (pattern, _) = Pattern::parse(text).unwrap();
            assert_eq!((pattern.base.to_str().unwrap(), pattern.depth_max), (base, depth), "{text}");
        };
        check("/var/log/app/**/*.log*", "/var/log/app", None);
        check("/var/log/app/*.log", "/var/log/app", Some(0));
        check("/var/log/*/old/*.log", "/var/log", Some(2));
        check("/var/log/app.log", "/var/log", Some(0));
        check("/var/{a/b,c}/x", "/var", Some(2));
    }

    #[test]
    fn matches_stay_within_their_folders() {
        let check = |text: &str, path: &str| Patterns::parse(&[text.to_owned()]).unwrap().matches(Path::new(path));
        assert!(check("/l/**/*.log*", "/l/x.log"));
        assert!(check("/l/**/*.log*", "/l/a/b/x.log.1"));
        assert!(check("/l/[a-c]?/{x,y}.log", "/l/b2/y.log"));
        assert!(!check("/l/*.log", "/l/a/x.log"));
        assert!(!check("/l/**/*.log", "/l2/x.log"));
        assert!(!check("/l/*.log", "/l/x.log.1"));
        let not_utf8 = Path::new(std::ffi::OsStr::from_bytes(b"/l/x\xff.log"));
        assert!(Patterns::parse(&["/l/*.log".to_owned()]).unwrap().matches(not_utf8));
    }

    #[test]
    fn each_folder_is_walked_once_by_its_nearest_base() {
        let texts = ["/l/*.log", "/l/*/old/*", "/l/app/**/*.log", "/l/app/x/*.log", "/m/*.log"];
        let patterns = Patterns::parse(&texts.map(str::to_owned)).unwrap();
        let bases: Vec<_> = patterns.bases().map(|(base, _)| base.to_str().unwrap()).collect();
        assert_eq!(bases, ["/l", "/l/app", "/l/app/x", "/m"]);
        let enters = |folder: &str| patterns.enters(Path::new(folder));
        assert!(enters("/l/other") && enters("/l/other/old") && enters("/l/app/y") && enters("/l/app/x/deep"));
        assert!(!enters("/l/app") && !enters("/l/app/x"), "they are bases of their own");
        assert!(!enters("/l/other/old/deeper") && !enters("/m/any"), "no pattern reaches there");
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
