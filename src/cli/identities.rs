//! `effigy identities`: the library.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use effigy::settings::Library;
use effigy::{Error, ErrorKind, Result};

use super::opener::{KeyArgs, is_sealed_file};
use super::terminal;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy identities add me.effigy
  effigy identities list
  effigy identities rename me 'me, smiling'
  effigy identities move 'me, smiling' 1
  effigy run --identity me                 by its name; without --identity all are there, on the keys 1 to 9")]
pub(crate) struct IdentitiesArgs {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    keys: KeyArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the library in its order: number, name, consent, size, views if there is more than one, thumbnail
    List,
    /// Put a copy of an identity file at the end of the library
    Add {
        /// The identity file
        file: PathBuf,
        /// Its name in the library; otherwise the file's
        #[arg(long)]
        name: Option<String>,
    },
    /// Give an identity another name
    Rename {
        /// Its name or number
        which: String,
        /// The new name
        name: String,
    },
    /// Move an identity to another number, which is its key
    Move {
        /// Its name or number
        which: String,
        /// The number, from 1
        number: usize,
    },
    /// Remove an identity's file from the library
    Remove {
        /// Its name or number
        which: String,
    },
}

pub(crate) fn run(args: &IdentitiesArgs) -> Result<()> {
    let library = Library::of_user()?;
    match &args.what {
        What::List => list(&library, &args.keys),
        What::Add { file, name } => {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let shelved = library.add(file, name.as_ref().unwrap_or(&stem), &args.keys.opener()?)?;
            log::info!("identity: {} ({})", shelved.name, shelved.path.display());
            Ok(())
        }
        What::Rename { which, name } => library.rename(which, name).map(|_| ()),
        What::Move { number: 0, .. } => Err(Error::new(ErrorKind::Config, "numbers count from 1")),
        What::Move { which, number } => library.reorder(which, *number),
        What::Remove { which } => {
            let removed = library.remove(which)?;
            log::info!("identity: {} is removed", removed.path.display());
            Ok(())
        }
    }
}

fn list(library: &Library, keys: &KeyArgs) -> Result<()> {
    let all = library.list()?;
    let opener = keys.silent_opener()?;
    let mut text = String::new();
    if all.is_empty() {
        text = format!(
            "no identities in {}; `effigy identities add FILE.effigy` puts one there\n",
            library.folder().display()
        );
    }
    let width = all.iter().map(|shelved| shelved.name.chars().count()).max().unwrap_or(0);
    for (i, shelved) in all.iter().enumerate() {
        // One that is damaged must not hide the others.
        let is_sealed = is_sealed_file(&shelved.path);
        if is_sealed && !opener.has_secrets() {
            // A list asks nobody for a passphrase.
            text += &format!("{:>2}  {:width$}  sealed; --passphrase-file or --key shows more\n", i + 1, shelved.name);
            continue;
        }
        let identity = opener.identity(&shelved.path);
        let about = match identity.and_then(|it| library.thumbnail(shelved, &it, is_sealed).map(|made| (it, made))) {
            Ok((identity, thumbnail)) => {
                let thumbnail = thumbnail.map_or_else(|| "sealed".to_owned(), |path| path.display().to_string());
                let basis = identity.manifest.consent.basis.name();
                let n_views = identity.n_views();
                let views = if n_views > 1 { format!("{n_views} views  ") } else { String::new() };
                format!("{basis:<13} {:>4}  {views}{thumbnail}", identity.size_px())
            }
            Err(error) => error.to_string(),
        };
        text += &format!("{:>2}  {:width$}  {about}\n", i + 1, shelved.name);
    }
    terminal::print(text.as_bytes())
}
