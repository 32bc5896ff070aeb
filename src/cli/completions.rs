//! `daybook completions`

use clap_complete::Shell;

use super::failure::Failure;
use super::render::Out;
use crate::error::Exit;

/// What help ends with.
const HELP: &str = r#"Examples:
  daybook completions bash

Exit codes: 0 done, 2 no such shell"#;

/// Print completions for a shell
///
/// Made from the definition of the command line. Packages install them; for one person:
///
///   bash: daybook completions bash > ~/.local/share/bash-completion/completions/daybook
///   zsh:  daybook completions zsh > ~/.zfunc/_daybook    (a folder of $fpath)
///   fish: daybook completions fish > ~/.config/fish/completions/daybook.fish
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: &Args) -> Result<Exit, Failure> {
    let (mut definition, mut script) = (super::definition(), Vec::new());
    clap_complete::generate(args.shell, &mut definition, "daybook", &mut script);
    let mut out = Out::new();
    out.raw(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
