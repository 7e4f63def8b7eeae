//! `effigy seal` and `effigy unseal`: identity files that open with a passphrase or key only.

use std::path::{Path, PathBuf};

use clap::Args;
use effigy::identity::{Opener, Seal, new_key};
use effigy::settings::{Library, write_atomically};
use effigy::{Error, ErrorKind, Result, files};

use super::opener::{KeyArgs, is_sealed_file};
use super::outputs::is_same_file;

/// The largest file that is sealed or opened, in bytes: checked again when it is read as an identity.
const MAX_BYTES: u64 = 128 << 20;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy seal me.effigy                                the terminal asks for a passphrase
  effigy seal me.effigy --passphrase-file secret.txt
  effigy seal me.effigy --new-key me.key               makes a key and seals to it
  effigy seal ann.effigy --to age1… --to age1…         to public keys: one secret key of them opens it
  effigy run --identity me.effigy --key me.key

The file is replaced by its sealed form, an age file (https://age-encryption.org): `age -d` opens it, too. Who forgets
the passphrase, or loses the key, has lost the identity. What was on the disk before may be left in free space, in
backups and in copies.")]
pub(crate) struct SealArgs {
    /// The identity file
    #[arg(value_name = "FILE")]
    identity: PathBuf,
    /// To what: `passphrase`, or a public key (age1…); keys may be repeated [default: passphrase]
    #[arg(long, value_name = "passphrase|age1…")]
    to: Vec<String>,
    /// Make a key, write its secret half into this file, and seal to it
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,
    /// Seal to the passphrase in this file's first line; without it EFFIGY_PASSPHRASE is taken, or the terminal asks
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy unseal me.effigy
  effigy unseal me.effigy --key me.key -o open.effigy")]
pub(crate) struct UnsealArgs {
    /// The sealed identity file
    #[arg(value_name = "FILE")]
    identity: PathBuf,
    /// Where the open file is written; otherwise in the place of the sealed one
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// What `--seal` and `--to` name: `passphrase`, or public keys.
///
/// # Errors
/// [`ErrorKind::Config`] when both are named, or a key is none; those of asking for a passphrase.
pub(crate) fn seal_of(to: &[String], passphrase_file: Option<&Path>) -> Result<Seal> {
    let words: Vec<&str> = to.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    match &*words {
        [] | ["passphrase"] => {
            KeyArgs { passphrase_file: passphrase_file.map(Path::to_owned), key: None }.new_passphrase()
        }
        words if words.contains(&"passphrase") => {
            Err(Error::new(ErrorKind::Config, "seal either to a passphrase or to keys, not to both"))
        }
        words => Seal::to_keys(words.iter().copied()),
    }
}

/// Seals an identity file in its place.
pub(crate) fn seal(args: &SealArgs) -> Result<()> {
    let path = &args.identity;
    if is_sealed_file(path) {
        let message = format!("{} is sealed already; to seal it otherwise, `effigy unseal` it first", path.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    // Only what is an identity is made unreadable.
    let identity = Opener::default().identity(path)?;
    let seal = match &args.new_key {
        Some(file) => {
            if is_same_file(file, path) || file.exists() {
                let message = format!("--new-key would replace {}; name a file that is not there", file.display());
                return Err(Error::new(ErrorKind::Config, message));
            }
            let words: Vec<&str> = args.to.iter().flat_map(|text| text.split(',')).collect();
            if words.contains(&"passphrase") {
                return Err(Error::new(ErrorKind::Config, "seal either to a passphrase or to keys, not to both"));
            }
            let (secret, public) = new_key();
            let seal = Seal::to_keys(words.into_iter().chain([&*public]))?;
            write_atomically(file, secret.as_bytes())?;
            log::info!(
                "key: {} opens what is sealed to {public}; keep a copy where the identity is not",
                file.display()
            );
            seal
        }
        None => seal_of(&args.to, args.passphrase_file.as_deref())?,
    };
    let bytes = read(path)?;
    write_atomically(path, &seal.apply(&bytes)?)?;
    forget_face(path);
    let what = match &seal {
        Seal::Passphrase(_) => "the passphrase".to_owned(),
        Seal::Keys(keys) if keys.len() == 1 => "the key".to_owned(),
        Seal::Keys(keys) => format!("one of {} keys", keys.len()),
    };
    log::info!("sealed: {} opens with {what} only; copies made before do not need it", path.display());
    let preview = path.with_extension("png");
    if image::image_dimensions(&preview).is_ok_and(|(width, height)| width == 3 * height) {
        log::warn!("the preview {} still shows the face; delete it if it shall not", preview.display());
    }
    warn_of_recordings(path, identity.manifest.consent.spoken.is_some());
    Ok(())
}

/// Opens a sealed identity file for good.
pub(crate) fn unseal(args: &UnsealArgs) -> Result<()> {
    let path = &args.identity;
    if path.is_file() && !is_sealed_file(path) {
        return Err(Error::new(ErrorKind::Config, format!("{} is not sealed", path.display())));
    }
    let opener = args.keys.opener()?;
    let bytes = opener
        .open(path, read(path)?, MAX_BYTES)
        .map_err(|error| Error::new(error.kind(), format!("cannot use {}", path.display())).because(error))?;
    // What is no identity of ours stays as it is.
    effigy::Identity::from_bytes(&bytes)?;
    let output = args.output.as_ref().unwrap_or(path);
    write_atomically(output, &bytes)?;
    log::info!("unsealed: whoever has {} can show this face", output.display());
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    files::read(path, MAX_BYTES).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the identity {}", path.display())).because(error)
    })
}

/// Of a library's sealed identity no thumbnail is kept.
fn forget_face(path: &Path) {
    let Ok(library) = Library::of_user() else { return };
    let all = library.list().unwrap_or_default();
    if let Some(shelved) = all.iter().find(|shelved| is_same_file(&shelved.path, path))
        && let Err(error) = library.forget_thumbnail(shelved)
    {
        log::warn!("{error}");
    }
}

fn warn_of_recordings(path: &Path, has_recording: bool) {
    if has_recording {
        log::warn!(
            "the recording of the statement beside {} is not sealed; `age` seals it, too, and `effigy verify` reads it then",
            path.display()
        );
    }
}
