//! The pages and what is in them.

use std::fs;
use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A page: its path below the root, and its text.
pub struct Page {
    pub name: String,
    pub text: String,
}

/// A fenced block of a page.
pub struct Block<'p> {
    pub language: &'p str,
    pub text: String,
    /// Where it is, for a message.
    pub place: String,
}

/// The README, and all pages of `docs/`.
pub fn all() -> Vec<Page> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push(root().join("README.md"));
    paths.sort();
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| Page { name: name(path), text: fs::read_to_string(path).unwrap() }).collect()
}

pub fn page(name: &str) -> Page {
    all().into_iter().find(|page| page.name == name).unwrap_or_else(|| panic!("there is no {name}"))
}

impl Page {
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let mut inside = false;
        for (number, line) in self.text.lines().enumerate() {
            match (line.trim().strip_prefix("```"), inside) {
                (Some(language), false) => {
                    let place = format!("{}:{}", self.name, number + 1);
                    blocks.push(Block { language: language.trim(), text: String::new(), place });
                    inside = true;
                }
                (Some(_), true) => inside = false,
                (None, true) => {
                    let text = &mut blocks.last_mut().unwrap().text;
                    text.push_str(line);
                    text.push('\n');
                }
                (None, false) => {}
            }
        }
        assert!(!inside, "{}: a block does not end", self.name);
        blocks
    }

    /// The text without its blocks.
    pub fn prose(&self) -> String {
        let mut inside = false;
        let lines = self.text.lines().filter(|line| {
            let fence = line.trim().starts_with("```");
            inside ^= fence;
            !fence && !inside
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// What stands `between` backticks.
    pub fn quoted(&self) -> Vec<String> {
        let prose = self.prose();
        let quoted = prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        quoted.map(|text| text.replace("\\|", "|")).collect()
    }
}
