//! The number that the invisible mark of a run's pictures says.

use std::sync::Arc;

use effigy::{Error, ErrorKind, Identity, Result};
use sha2::{Digest as _, Sha256};

use crate::cli::RunArgs;

/// The number of a run: drawn at random, never 0, so that it tells nothing of whom or what.
pub(super) fn run_id(args: &RunArgs, identities: &[Arc<Identity>]) -> Result<u16> {
    if args.every_frame {
        return Ok(following_run_id(identities, &args.source.to_string()));
    }
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Io, format!("the system gave no random number for the run: {error}")))?;
    Ok(u16::from_be_bytes(bytes).max(1))
}

/// The same where every frame is rendered, so that the same clip gives the same pictures: it follows from the identities'
/// portraits and the source's name.
pub(crate) fn following_run_id(identities: &[Arc<Identity>], source: &str) -> u16 {
    let mut hash = Sha256::new();
    for identity in identities {
        hash.update(&identity.manifest.photo_sha256);
    }
    hash.update(source);
    let hash = hash.finalize();
    u16::from_be_bytes([hash[0], hash[1]]).max(1)
}
