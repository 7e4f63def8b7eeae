//! Completions and manual pages, made from the same flags as the help.

use clap::CommandFactory as _;
use effigy::error::OrError as _;
use effigy::{Error, ErrorKind, Result};

use super::{Cli, CompletionsArgs, ManArgs, terminal};

/// Prints completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "effigy", &mut script);
    terminal::print(&script)
}

/// Writes the manual pages into a folder.
pub(crate) fn man(args: &ManArgs) -> Result<()> {
    let about = || format!("cannot write manual pages to {}", args.dir.display());
    if args.dir.is_file() {
        let message = format!("the pages go into a folder, found a file: {}", args.dir.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    std::fs::create_dir_all(&args.dir).or_error(ErrorKind::Io, about)?;
    clap_mangen::generate_to(Cli::command(), &args.dir).or_error(ErrorKind::Io, about)
}
