//! What the sink's thread and the server's thread share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use axum::body::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, RgbImage};
use tokio::sync::{Semaphore, oneshot};

use super::gate::{Bucket, Gate};
use super::stream::Frames;
use super::{About, HttpOptions};
use crate::composite::Shown;
use crate::error::{ErrorKind, OrError as _, Result};
use crate::frame::Rgba;
use crate::identity::{Basis, Identity};
use crate::settings::Library;
use crate::sink::contours::CONTOURS;
use crate::trace::{Stage, Trace};

/// Stages whose times are shown; presenting is the server's own.
pub(super) const STAGES: [Stage; 5] = [Stage::Capture, Stage::Face, Stage::Drive, Stage::Generate, Stage::Composite];
/// Clients of `/stream` and single frames at one time.
const MAX_WATCHERS: usize = 100;
/// Pages at one time.
const MAX_PAGES: usize = 24;
/// Requests for a whole picture that may wait.
const MAX_PENDING_PICTURES: usize = 8;
/// Side of an identity's thumbnail, in pixels.
const THUMBNAIL_PX: u32 = 192;

/// What the newest frame said.
#[derive(Default)]
pub(super) struct Live {
    pub(super) shown: Shown,
    /// The driver's lines as a page gets them, see [`write_face`].
    pub(super) face: Vec<u8>,
    /// Frames so far.
    pub(super) n_frames: u64,
    /// Mean time of each of [`STAGES`] over the last moments, in milliseconds.
    pub(super) stages_ms: [f32; STAGES.len()],
}

/// An identity as pages see it.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) basis: Basis,
    pub(super) thumbnail: Bytes,
    /// One that was enrolled on a page can be saved; the others lie in files already.
    pub(super) unsaved: Option<Arc<Identity>>,
}

/// Everything that both threads know.
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) control: crossbeam_channel::Sender<crate::control::Control>,
    pub(super) figures: Arc<crate::report::LiveFigures>,
    pub(super) messages: Arc<super::MessageLog>,
    pub(super) about: About,
    pub(super) consent_by: String,
    pub(super) library: Option<Library>,
    /// Cloned for each who watches.
    pub(super) frames: Frames,
    live: Mutex<Live>,
    gallery: Mutex<Vec<Entry>>,
    gallery_version: AtomicU64,
    n_watchers: AtomicUsize,
    n_pages: AtomicUsize,
    pictures: Mutex<Vec<oneshot::Sender<Arc<Rgba>>>>,
    wants_picture: AtomicBool,
    /// One photo at a time.
    pub(super) uploads: Arc<Semaphore>,
    /// Cameras are listed for one page at a time: drivers are slow.
    pub(super) listings: Arc<Semaphore>,
    pub(super) commands: Mutex<Bucket>,
    pub(super) downloads: Mutex<Bucket>,
}

impl Shared {
    pub(super) fn new(gate: Gate, frames: Frames, options: HttpOptions) -> Result<Self> {
        let entry = |identity: &Arc<Identity>| entry(identity, false);
        let gallery = options.identities.iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            gate,
            control: options.control,
            figures: options.figures,
            messages: options.messages,
            about: options.about,
            consent_by: options.consent_by,
            library: options.library,
            frames,
            live: Mutex::default(),
            gallery: Mutex::new(gallery),
            gallery_version: AtomicU64::new(0),
            n_watchers: AtomicUsize::new(0),
            n_pages: AtomicUsize::new(0),
            pictures: Mutex::default(),
            wants_picture: AtomicBool::new(false),
            uploads: Arc::new(Semaphore::new(1)),
            listings: Arc::new(Semaphore::new(1)),
            // Fingers and sliders are slower than this; a program that is not is slowed down.
            commands: Mutex::new(Bucket::new(60.0, 120.0)),
            downloads: Mutex::new(Bucket::new(10.0, 20.0)),
        })
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gallery(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.gallery.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever the gallery does.
    pub(super) fn gallery_version(&self) -> u64 {
        self.gallery_version.load(Ordering::Acquire)
    }

    /// Puts an identity behind the others; its place.
    pub(super) fn add_to_gallery(&self, entry: Entry) -> usize {
        let mut gallery = self.gallery();
        gallery.push(entry);
        self.gallery_version.fetch_add(1, Ordering::AcqRel);
        gallery.len() - 1
    }

    /// Takes one from a bucket.
    pub(super) fn take(bucket: &Mutex<Bucket>) -> bool {
        bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now())
    }

    /// Whether JPEGs are wanted.
    pub(super) fn is_watched(&self) -> bool {
        self.n_watchers.load(Ordering::Relaxed) > 0
    }

    pub(super) fn n_watchers(&self) -> usize {
        self.n_watchers.load(Ordering::Relaxed)
    }

    pub(super) fn has_pages(&self) -> bool {
        self.n_pages.load(Ordering::Relaxed) > 0
    }

    /// Asks for JPEGs as long as the answer lives; `None` when too many do.
    pub(super) fn watch(self: &Arc<Self>) -> Option<Watcher> {
        Watcher::new(self, |shared| &shared.n_watchers, MAX_WATCHERS)
    }

    /// Asks for state as long as the answer lives; `None` when too many do.
    pub(super) fn open_page(self: &Arc<Self>) -> Option<Watcher> {
        Watcher::new(self, |shared| &shared.n_pages, MAX_PAGES)
    }

    /// Asks for the next picture, with alpha; `None` when too many do.
    pub(super) fn ask_picture(&self) -> Option<oneshot::Receiver<Arc<Rgba>>> {
        let mut pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        pictures.retain(|asker| !asker.is_closed());
        if pictures.len() >= MAX_PENDING_PICTURES {
            return None;
        }
        let (asker, picture) = oneshot::channel();
        pictures.push(asker);
        self.wants_picture.store(true, Ordering::Release);
        Some(picture)
    }

    /// Gives a picture to all who asked for one.
    pub(super) fn answer_pictures(&self, picture: &Rgba) {
        if self.wants_picture.swap(false, Ordering::AcqRel) {
            let askers = std::mem::take(&mut *self.pictures.lock().unwrap_or_else(PoisonError::into_inner));
            let picture = Arc::new(picture.clone());
            for asker in askers {
                // Who asked may have gone.
                let _ = asker.send(Arc::clone(&picture));
            }
        }
    }
}

/// Counts as one who watches, or as one page, until it is dropped.
pub(super) struct Watcher {
    shared: Arc<Shared>,
    count: fn(&Shared) -> &AtomicUsize,
}

impl Watcher {
    fn new(shared: &Arc<Shared>, count: fn(&Shared) -> &AtomicUsize, most: usize) -> Option<Self> {
        let watcher = Self { shared: Arc::clone(shared), count };
        let n_before = count(shared).fetch_add(1, Ordering::Relaxed);
        (n_before < most).then_some(watcher)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        (self.count)(&self.shared).fetch_sub(1, Ordering::Relaxed);
    }
}

/// Describes an identity for the gallery.
pub(super) fn entry(identity: &Arc<Identity>, is_unsaved: bool) -> Result<Entry> {
    let about = || "a thumbnail cannot be made".to_owned();
    let side = identity.size_px() as u32;
    let picture = RgbImage::from_raw(side, side, identity.portrait.data().to_vec());
    let small =
        DynamicImage::from(picture.unwrap_or_default()).resize(THUMBNAIL_PX, THUMBNAIL_PX, FilterType::Triangle);
    let mut thumbnail = Vec::new();
    small.write_with_encoder(JpegEncoder::new_with_quality(&mut thumbnail, 85)).or_error(ErrorKind::Internal, about)?;
    Ok(Entry {
        name: identity.manifest.name.clone(),
        basis: identity.manifest.consent.basis,
        thumbnail: thumbnail.into(),
        unsaved: is_unsaved.then(|| Arc::clone(identity)),
    })
}

/// Sums stage times up and gives their means a few times a second.
pub(super) struct StageMeter {
    since: Instant,
    n_frames: u32,
    sums_ms: [f32; STAGES.len()],
}

impl StageMeter {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), n_frames: 0, sums_ms: [0.0; STAGES.len()] }
    }

    /// Adds a frame; the means when it is time.
    pub(super) fn record(&mut self, trace: &Trace) -> Option<[f32; STAGES.len()]> {
        if trace.frame_id != 0 {
            self.n_frames += 1;
            for (sum, stage) in self.sums_ms.iter_mut().zip(STAGES) {
                *sum += trace.span(stage).duration().as_secs_f32() * 1e3;
            }
        }
        if self.since.elapsed().as_millis() < 200 {
            return None;
        }
        let n_frames = self.n_frames.max(1) as f32;
        let means = self.sums_ms.map(|sum| sum / n_frames);
        *self = Self::new();
        Some(means)
    }
}

/// Writes the driver's lines: 1, the frame's aspect in thousandths, then each point's x and y in 65536ths of twice
/// the frame's size, counted from a quarter of that outside it. Without a face there are no points.
///
/// Numbers are 16 bits, least byte first. A page gets points of contours only, in the order of [`CONTOURS`].
pub(super) fn write_face(frame: &crate::composite::OutFrame, message: &mut Vec<u8>) {
    message.clear();
    message.push(1);
    let aspect = (frame.driver_aspect * 1000.0).clamp(0.0, f32::from(u16::MAX)) as u16;
    message.extend_from_slice(&aspect.to_le_bytes());
    let Some(points) = &frame.driver_landmarks else { return };
    for index in CONTOURS.iter().flat_map(|contour| contour.points) {
        for value in points[*index].to_array() {
            let scaled = ((value + 0.5) / 2.0 * 65_536.0).clamp(0.0, 65_535.0) as u16;
            message.extend_from_slice(&scaled.to_le_bytes());
        }
    }
}
