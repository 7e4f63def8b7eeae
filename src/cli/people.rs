//! The synthetic people that the program carries with it.

use std::sync::Arc;

use effigy::demo::PORTRAITS;
use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};
use effigy::{Identity, Result};

use super::terminal;

/// Enrols all of them.
pub(super) fn enroll() -> Result<Vec<Arc<Identity>>> {
    let progress = terminal::spinner("enrolling the program's own portraits");
    let mut enroller = Enroller::new()?;
    let mut one = |(name, photo): (&str, &[u8])| {
        let options = EnrollOptions {
            name: name.to_owned(),
            basis: Basis::Synthetic,
            consent_by: "the makers of this program".to_owned(),
            framing: Framing::Keep,
            face: None,
        };
        enroller.enroll(photo, &options).map(Arc::new)
    };
    let identities = PORTRAITS.into_iter().map(&mut one).collect();
    progress.finish_and_clear();
    identities
}
