//! `daybook man`: the man pages, for packages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::failure::Failure;
use crate::config::keys::{Key, Kind, MAIN, Section, Shown};
use crate::error::Exit;

/// Write the man pages into a folder
///
/// daybook(1), one page for each command, and daybook.toml(5). Made from the definition of the command line
/// and from the tables of the config's keys; packages install them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder; it is made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let failed = |error: io::Error| {
        let message = format!("failed to write man pages into `{}`", args.folder.display());
        Failure::new(Exit::Disk, message).because(error.to_string())
    };
    write(&args.folder).map_err(failed)?;
    Ok(Exit::Done)
}

fn write(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(super::definition(), folder)?;
    fs::write(folder.join("daybook.toml.5"), config_page())
}

/// daybook.toml(5): every key with its default and a sentence why.
fn config_page() -> String {
    let mut page = Roff::new();
    let version = concat!("daybook ", env!("CARGO_PKG_VERSION"));
    page.control("TH", ["daybook.toml", "5", "", version]);
    page.control("SH", ["NAME"]).text([roman("daybook.toml - the config of the daybook daemon")]);
    page.control("SH", ["DESCRIPTION"]);
    paragraph(
        &mut page,
        "`/etc/daybook/daybook.toml` and the files that its `include` names, in TOML. Durations are text with a unit (ms, s, m, h, \
         d, w): `\"5m\"`, `\"1h 30m\"`. Sizes are text with a unit (B, KB, MB, GB, KiB, MiB, GiB): `\"2GB\"`. Instants are RFC \
         3339. The values shown are the defaults, unless it is said otherwise. Unknown keys are refused. `daybook check` \
         says what is wrong, with file, line and column; `daybook reload` applies a changed file.",
    );
    section(&mut page, "", &MAIN);
    page.control("SH", ["SEE ALSO"]).text([bold("daybook"), roman("(1)")]);
    page.render()
}

/// The keys of a table, then the tables in it.
fn section(page: &mut Roff, name: &str, table: &Section) {
    let title = if name.is_empty() { "KEYS OF THE MAIN FILE".to_owned() } else { format!("[{name}]") };
    page.control("SH", [title.as_str()]);
    paragraph(page, table.doc);
    for key in table.keys().filter(|key| !matches!(key.shown, Shown::Section) && !matches!(key.kind, Kind::Later)) {
        entry(page, key);
    }
    for key in table.keys() {
        match key.kind {
            Kind::Table(inner) if matches!(key.shown, Shown::Section) => section(page, key.name, inner),
            Kind::Tables(inner) => section(page, &format!("{}.NAME", key.name), inner),
            _ => {}
        }
    }
}

fn entry(page: &mut Roff, key: &Key) {
    page.control("TP", []);
    match key.shown {
        Shown::Default(value) | Shown::Required(value) | Shown::Example(value) => {
            page.text([bold(key.name), roman(" = "), roman(value)])
        }
        Shown::Section | Shown::Nowhere => page.text([bold(key.name)]),
    };
    let only = match key.handlers {
        [] => String::new(),
        handlers => {
            let names: Vec<String> = handlers.iter().map(|handler| handler.to_string()).collect();
            format!(" Only with {}.", names.join(" or "))
        }
    };
    let is_example = matches!(key.shown, Shown::Required(_) | Shown::Example(_));
    let example = if is_example { " There is no default; this is an example." } else { "" };
    page.text(inlines(&format!("{}{only}{example}", key.doc)));
    if let Kind::Table(inner) | Kind::TableOrDuration(inner) = key.kind {
        page.control("RS", []);
        for key in inner.keys() {
            page.control("TP", []).text([bold(key.name)]).text(inlines(key.doc));
        }
        page.control("RE", []);
    }
}

fn paragraph(page: &mut Roff, text: &str) {
    page.control("PP", []).text(inlines(text));
}

/// Text with its `names` in italics.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts.map(|(number, part)| if number % 2 == 1 { italic(part) } else { roman(part) }).collect()
}
