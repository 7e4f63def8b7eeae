//! Who is shown: a portrait and everything that can be computed from it once.

use std::path::Path;
use std::sync::Arc;

use crate::error::{ErrorKind, OrError as _, Result};
use crate::frame::{Grey, Rgb};
use crate::geometry::{FaceShape, HeadPose, Landmarks, N_COEFFICIENTS};

pub use whole_photo::{PhotoCrop, WholePhoto};

pub use disclosed::DisclosedConsent;
pub use enroll::{EnrollOptions, Enrolled, Enroller, ExaminedPhoto};
pub use manifest::{Basis, Consent, Framing, Manifest, SpokenStatement, ViewOrigin, utc};
pub use photo_check::{Remark, RemarkKind};
pub use photo_measure::PhotoMeasures;
pub use revocation::{now_unix_secs, sha256};
pub use sealed::{Ask, Opener, Seal, is_sealed, new_key};
pub use side_view::SideView;
pub use signing::Signer;

mod choose;
mod container;
mod disclosed;
mod enroll;
mod framing;
mod manifest;
mod photo_check;
mod photo_measure;
pub(crate) mod plate;
mod revocation;
mod sealed;
mod side_view;
mod signing;
mod skin;
mod whole_photo;

/// An enrolled portrait with all that does not depend on the driver.
///
/// All pictures but the photo are square and of one size, one of [`Identity::SIZES_PX`]. Holds no device memory.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Where it comes from and who may be shown.
    pub manifest: Manifest,
    /// The public key of who signed the file it was read from, hexadecimal.
    pub maker: Option<String>,
    /// The portrait.
    pub portrait: Rgb,
    /// Who is the person and who is background: 255 is person.
    pub matte: Grey,
    /// The background with the person filled in.
    pub background: Rgb,
    /// The face's points in pixels of the portrait.
    pub landmarks_px: Landmarks,
    /// Strength of each expression on the portrait.
    pub coefficients: [f32; N_COEFFICIENTS],
    /// The head's pose on the portrait.
    pub pose: HeadPose,
    /// The face of the portrait, taken apart into pose and shape.
    pub shape: FaceShape,
    /// How much more of each expression must be asked of this portrait than shall be seen in its pictures, 0.5..4; none
    /// where that was not tried.
    pub emphasis: Option<Box<[f32; N_COEFFICIENTS]>>,
    /// The photo that the portrait is a square of; `None` in files of earlier versions.
    pub photo: Option<Arc<WholePhoto>>,
    /// Further views of the same person, at most [`Identity::MAX_VIEWS`] less the portrait itself.
    pub views: Vec<SideView>,
}

impl Identity {
    /// Sizes of the pictures: the photo decides which one is worth its memory.
    pub const SIZES_PX: [usize; 2] = [512, 1024];

    /// The least and the largest [`Identity::emphasis`].
    pub const EMPHASIS: [f32; 2] = [0.5, 4.0];

    /// The most views that an identity has, the portrait among them.
    pub const MAX_VIEWS: usize = 8;

    /// How many views it has, the portrait among them.
    pub fn n_views(&self) -> usize {
        1 + self.views.len()
    }

    /// Width and height of all pictures, in pixels.
    pub fn size_px(&self) -> usize {
        self.portrait.width_px()
    }

    /// Reads an identity file that is not sealed and checks all of it: format, signature, hashes, shapes, ranges. For all
    /// others see [`Opener::identity`].
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] with the reason why it is refused, [`ErrorKind::Config`] when it is sealed,
    /// [`ErrorKind::Io`] when it cannot be read.
    pub fn load(path: &Path) -> Result<Self> {
        Opener::default().identity(path)
    }

    /// Reads an identity from the bytes of its file.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] with the reason why it is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        container::from_bytes(bytes)
    }

    /// Writes the identity as the bytes of a file, signed.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] only.
    pub fn to_bytes(&self, signer: &Signer) -> Result<Vec<u8>> {
        container::to_bytes(self, signer)
    }

    /// Writes the identity to a file, signed. A file that was there is replaced when all is written.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the file cannot be written.
    pub fn save(&self, path: &Path, signer: &Signer) -> Result<()> {
        write_whole(path, &self.to_bytes(signer)?)
    }

    /// Writes the identity to a file, signed and sealed: nothing of it is on the disk in the plain.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_sealed(&self, path: &Path, signer: &Signer, seal: &Seal) -> Result<()> {
        write_whole(path, &seal.apply(&self.to_bytes(signer)?)?)
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let about = || format!("cannot write the identity {}", path.display());
    let mut unfinished = path.as_os_str().to_owned();
    // Two processes that write the same file do not write into each other's.
    unfinished.push(format!(".{}.part", std::process::id()));
    let unfinished = Path::new(&unfinished);
    let written = write_new(unfinished, path, bytes).and_then(|()| std::fs::rename(unfinished, path));
    if written.is_err() {
        let _ = std::fs::remove_file(unfinished);
    }
    written.or_error(ErrorKind::Io, about)
}

/// Writes a file that is its owner's alone, since it shows a face; or whose that was before, which it will replace.
fn write_new(path: &Path, before: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    if let Ok(meta) = std::fs::metadata(before) {
        file.set_permissions(meta.permissions())?;
    }
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()
}
