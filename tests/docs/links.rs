//! Links between files lead somewhere, and the index has every page.

use crate::pages::{self, root};

#[test]
fn every_link_leads_to_a_file() {
    let mut broken = Vec::new();
    for page in pages::all() {
        let folder = root().join(&page.name).parent().unwrap().to_owned();
        for rest in page.prose().split("](").skip(1) {
            let target = rest.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", page.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_index_has_every_page() {
    let index = pages::page("docs/README.md").text;
    for page in pages::all().iter().filter(|page| page.name.starts_with("docs/") && page.name != "docs/README.md") {
        let name = page.name.trim_start_matches("docs/");
        assert!(index.contains(&format!("({name})")), "docs/README.md does not tell of {name}");
    }
}
