//! Photos from a page: checked before they are decoded, enrolled one at a time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use image::ImageBuffer;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::command;
use super::shared::{Shared, entry};
use crate::base64::base64;
use crate::composite::Background;
use crate::control::{Control, MAX_IDENTITIES};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::identity::{Basis, EnrollOptions, Enroller, ExaminedPhoto, Framing, Identity, Remark, Seal, Signer};
use crate::photo;

/// The largest upload, in bytes.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// The largest picture, in pixels: more than phones take, and 150 MB when decoded.
const MAX_PIXELS: u64 = 50_000_000;
/// The longest side, in pixels.
const MAX_SIDE_PX: u32 = 12_000;
/// An upload must be there within this time.
const UPLOAD_TIME: Duration = Duration::from_secs(50);
/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 64;
/// The longer side of the picture in which a face is chosen.
const CHOICE_PX: u32 = 800;

/// What comes with a photo, in the request's query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Form {
    /// The identity's name.
    name: Option<String>,
    /// On what basis the face may be shown.
    basis: Option<Basis>,
    /// Who says so.
    by: Option<String>,
    /// Which face, counted from the left from 1.
    face: Option<usize>,
    /// Whether to ask before a photo is taken that may look bad.
    #[serde(default)]
    ask: bool,
    /// Whether it is kept in the library, for later runs.
    #[serde(default)]
    keep: bool,
}

/// Reads an upload.
pub(super) async fn receive(body: Body) -> Result<Bytes> {
    let too_large = || format!("the upload is torn or larger than {} MB", MAX_BYTES >> 20);
    timeout(UPLOAD_TIME, to_bytes(body, MAX_BYTES))
        .await
        .or_error(ErrorKind::Photo, || "the upload takes too long".to_owned())?
        .or_error(ErrorKind::Photo, too_large)
}

/// Looks at a picture's head: kind and size. Nothing of it is decoded yet.
pub(super) fn check(bytes: &[u8]) -> Result<(u32, u32)> {
    let (width, height) = photo::size_px(bytes)?;
    let n_pixels = u64::from(width) * u64::from(height);
    if width.max(height) > MAX_SIDE_PX || n_pixels > MAX_PIXELS || n_pixels == 0 {
        let most = MAX_PIXELS / 1_000_000;
        let message = format!("the picture has {width}x{height} pixels; at most {most} million are taken here");
        return Err(Error::new(ErrorKind::Photo, message));
    }
    Ok((width, height))
}

/// Checks what comes with a photo.
pub(super) fn check_form(form: Form, consent_by: &str, is_badged: bool) -> Result<EnrollOptions> {
    let refuse = |message: &'static str| Err(Error::new(ErrorKind::Config, message));
    let Some(basis) = form.basis else {
        return refuse("say on what basis this face may be shown: self, subject, synthetic or public-domain");
    };
    if !is_badged && !basis.may_go_unmarked() {
        return refuse("without the visible mark only your own face or a synthetic one can be enrolled");
    }
    let is_fit = |text: &str| {
        (1..=MAX_NAME_CHARS).contains(&text.chars().count())
            && !text.contains(char::is_control)
            && !text.trim().is_empty()
    };
    let name = form.name.unwrap_or_default();
    if !is_fit(&name) {
        return refuse("the identity's name must have 1 to 64 printable characters");
    }
    let consent_by = match (form.by, basis) {
        (Some(by), _) if is_fit(&by) => by,
        (Some(by), _) if !by.is_empty() => return refuse("who agreed must be a name of 1 to 64 printable characters"),
        (_, Basis::Subject) => return refuse("another person's consent needs the name of who agreed"),
        _ => consent_by.to_owned(),
    };
    Ok(EnrollOptions { name, basis, consent_by, framing: Framing::Face, face: form.face })
}

/// Does slow work beside the server, which goes on meanwhile.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .or_error(ErrorKind::Internal, || "the work broke down, which is a defect of this program".to_owned())?
}

/// What became of a photo.
pub(super) enum Outcome {
    /// It is an identity at this place of the gallery.
    Enrolled { index: usize, remarks: Vec<Remark> },
    /// It may look bad, and whoever sends it wants to be asked.
    Ask { remarks: Vec<Remark> },
    /// It shows several faces, and nobody has said which one is meant.
    Choose(Choice),
}

/// Faces to choose from.
#[derive(Debug, Serialize)]
pub(super) struct Choice {
    /// Left, top, width and height of each face from left to right, in shares of the photo.
    pub(super) faces: Vec<[f32; 4]>,
    /// The photo as a small JPEG the right way up, in base64: no browser shows every kind of photo.
    pub(super) photo: String,
}

impl Choice {
    pub(super) fn new(photo: &ExaminedPhoto) -> Result<Self> {
        let picture = &photo.picture;
        let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
        let about = || "the photo cannot be shown".to_owned();
        let whole = ImageBuffer::<image::Rgb<u8>, _>::from_raw(width, height, picture.data())
            .ok_or_else(|| Error::new(ErrorKind::Internal, about()))?;
        let scale = (CHOICE_PX as f32 / width.max(height) as f32).min(1.0);
        let side = |length: u32| ((length as f32 * scale) as u32).max(1);
        let small = resize(&whole, side(width), side(height), FilterType::Triangle);
        let mut jpeg = Vec::new();
        small.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 85)).or_error(ErrorKind::Internal, about)?;
        // A box may reach beyond the photo, where nobody can click.
        let faces = photo.faces.iter().map(|face| {
            let [left, top, right, bottom] = face.box_px;
            let (x, y) = (|v: f32| (v / width as f32).clamp(0.0, 1.0), |v: f32| (v / height as f32).clamp(0.0, 1.0));
            [x(left), y(top), x(right) - x(left), y(bottom) - y(top)]
        });
        Ok(Self { faces: faces.collect(), photo: base64(&jpeg) })
    }
}

/// Enrols a photo and adds it behind the other identities.
pub(super) async fn enroll(shared: &Arc<Shared>, form: Form, photo: Bytes) -> Result<Outcome> {
    let (n_frames, is_badged) = {
        let live = shared.live();
        (live.n_frames, live.shown.is_badged)
    };
    if n_frames == 0 {
        return Err(Error::new(ErrorKind::DeviceBusy, "the run has not shown anything yet; try again"));
    }
    if shared.gallery().len() >= MAX_IDENTITIES {
        let message = format!("a run holds at most {MAX_IDENTITIES} identities");
        return Err(Error::new(ErrorKind::Config, message));
    }
    let is_asking = form.ask;
    let library = shared.library.clone().filter(|_| form.keep);
    let options = check_form(form, &shared.consent_by, is_badged)?;
    let found = beside(move || {
        check(&photo)?;
        let mut enroller = Enroller::new()?;
        let photo = enroller.examine(&photo)?;
        if options.face.is_none() && photo.needs_choice() {
            return Ok(Err(Outcome::Choose(Choice::new(&photo)?)));
        }
        let enrolled = enroller.enroll_examined(&photo, &options)?;
        if is_asking && enrolled.remarks.iter().any(|remark| remark.kind.is_warning()) {
            return Ok(Err(Outcome::Ask { remarks: enrolled.remarks }));
        }
        let identity = Arc::new(enrolled.identity);
        let entry = entry(&identity, library.is_none())?;
        let kept = library.map(|library| library.keep(&identity, &Signer::open_or_create()?)).transpose()?;
        Ok(Ok((identity, entry, kept, enrolled.remarks)))
    })
    .await?;
    match found {
        Err(outcome) => Ok(outcome),
        Ok((identity, entry, kept, remarks)) => {
            for remark in remarks.iter().filter(|remark| remark.kind.is_warning()) {
                log::warn!("{}: {}", identity.manifest.name, remark.text);
            }
            // Who is told that it failed will try again: nothing of it stays.
            send(shared, Control::Add(identity)).inspect_err(|_| {
                drop(kept.as_ref().map(|kept| std::fs::remove_file(&kept.path)));
            })?;
            if let Some(kept) = &kept {
                log::info!("kept for later runs: {}", kept.path.display());
            }
            // Nobody else adds any, so that a place in the gallery is the pipeline's own.
            Ok(Outcome::Enrolled { index: shared.add_to_gallery(entry), remarks })
        }
    }
}

/// Puts a picture behind the person.
pub(super) async fn background(shared: &Arc<Shared>, photo: Bytes) -> Result<()> {
    let picture = beside(move || {
        check(&photo)?;
        photo::decode(&photo)
    })
    .await?;
    send(shared, Control::Background(Background::Picture(picture)))
}

/// The signed file of an identity that was enrolled on a page, sealed where that is wished.
pub(super) async fn file(identity: Arc<Identity>, seal: Option<Seal>) -> Result<Vec<u8>> {
    beside(move || {
        let bytes = identity.to_bytes(&Signer::open_or_create()?)?;
        match seal {
            Some(seal) => seal.apply(&bytes),
            None => Ok(bytes),
        }
    })
    .await
}

fn send(shared: &Shared, control: Control) -> Result<()> {
    command::send(&shared.control, control).map_err(|why| Error::new(ErrorKind::DeviceBusy, why))
}
