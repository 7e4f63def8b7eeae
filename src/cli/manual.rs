//! Completions and manual pages, made from the same flags as the help.

use std::io::Write as _;

use clap::CommandFactory as _;
use effigy::error::OrError as _;
use effigy::{ErrorKind, Result};

use super::{Cli, CompletionsArgs, ManArgs};

/// Prints completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "effigy", &mut script);
    std::io::stdout().write_all(&script).or_error(ErrorKind::Io, || "cannot print completions".to_owned())
}

/// Writes the manual pages into a folder.
pub(crate) fn man(args: &ManArgs) -> Result<()> {
    let about = || format!("cannot write manual pages to {}", args.dir.display());
    std::fs::create_dir_all(&args.dir).or_error(ErrorKind::Io, about)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).or_error(ErrorKind::Io, about)
}
