//! Expression carried across people: a clip of one person drives a photo of another, and the 52 coefficients of driver and
//! result are compared.
//!
//! There is no true picture to compare with, but what the driver's face expresses the portrait's shall. Everything is
//! played as `effigy run --every-frame --no-badge` plays it with default options.
//!
//! Over the 20 coefficients that drivers move most: *gain*, the slope of the result over the driver with each pair's means
//! removed; *correlation*; *jitter*, the power of the result's velocity above a quarter of the frame rate over the driver's.
//! Over all 52: *error*, the mean distance, offset included. *Lag* is where both fit best. Of lips that meet and eyes that
//! blink it is counted how many the result has too, lacks, or has by itself. *Smile* is the mean coefficient of both corners in
//! driver and in result. *Like* is how like the result is to the photo and to the driver, as a recognition network has it: a
//! generator that lets the driver's face through would be like the driver.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use glam::Vec3;
use serde::Serialize;

use self::figures::{Both, N_TOP, Powers, Rows, STRIDE, Seen};
use self::onlookers::Onlookers;
use super::footage::square;
use super::perceptual::scaled;
use super::play::enrolment;
use super::recognition::Recognizer;
use super::{OUTPUT_PX, Skipped};
use crate::capture::{ClipSource, RawFrame, Read, Source as _, SourceOptions};
use crate::clock::ManualClock;
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::drive::{DriveOptions, Driver, Presence};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::face::{Expression, FaceTracker, TrackerOptions};
use crate::flow::DenseTracker;
use crate::frame::Rgb;
use crate::generate::{Generator, Portrait};
use crate::geometry::{FaceObservation, N_COEFFICIENTS};
use crate::identity::{Enroller, Identity};
use crate::latents::LatentEncoder;
use crate::photo;
use crate::rehearse::Rehearsal;
use crate::signal::{DenseMotion, DriverLatent, DrivingSignal, Motion};
use crate::trace::Trace;

pub use self::figures::{AcrossFigures, Arrival, Events};
pub use self::report::{sheet, table};

mod figures;
mod onlookers;
mod report;

/// Of a clip no more frames are played: a quarter of a minute.
pub const MAX_FRAMES: usize = 350;
/// A pair with fewer frames that are compared says nothing.
const LEAST_COMPARED: usize = 10;
/// Width and height of the pictures that are kept to look at, in pixels.
const CELL_PX: usize = 256;
/// Frames that are kept of each pair.
const N_WORST: usize = 3;
/// Between two of them lie so many frames.
const APART: usize = 12;

/// A photo and the clip that drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcrossPair {
    /// The photo.
    pub portrait: PathBuf,
    /// The clip.
    pub clip: PathBuf,
}

impl AcrossPair {
    /// What it is called in reports: both names without their endings.
    pub fn name(&self) -> String {
        format!("{}<-{}", stem(&self.portrait), stem(&self.clip))
    }
}

/// What came of a pair.
#[derive(Clone, Debug, Serialize)]
pub struct PairReport {
    /// Its name.
    pub name: String,
    /// Frames that were played.
    pub n_frames: usize,
    /// Frames in which no face was seen, in the driver or in the result.
    pub n_lost: [usize; 2],
    /// The figures.
    pub figures: AcrossFigures,
    /// The frames to look at: the worst first, some apart.
    pub worst_frames: Vec<usize>,
    /// The portrait, then driver and result of each of these frames.
    #[serde(skip)]
    cells: Vec<Rgb>,
}

/// What came of all pairs.
#[derive(Clone, Debug, Serialize)]
pub struct AcrossReport {
    /// Version of this format.
    pub schema: u32,
    /// The generator's name.
    pub generator: String,
    /// What it ran on.
    pub backend: String,
    /// Whether the user stopped it.
    pub is_cut_short: bool,
    /// Pairs that were played.
    pub pairs: Vec<PairReport>,
    /// Pairs that could not be played, and why.
    pub skipped: Vec<Skipped>,
    /// Over all pairs; none where none was played.
    pub all: Option<AcrossFigures>,
}

/// The pairs of folders, or files, of photos and clips: those that are named, as `PHOTO:CLIP` without endings, else
/// each photo with two clips.
///
/// # Errors
/// [`ErrorKind::Io`] when there are none, [`ErrorKind::Config`] for a name that is not there.
pub fn across_pairs(portraits: &Path, clips: &Path, named: &[String]) -> Result<Vec<AcrossPair>> {
    let photos = files(portraits, &["jpg", "jpeg", "png", "webp", "heic", "avif", "tif", "tiff", "bmp"], "photos")?;
    let videos = files(clips, &["mp4", "mov", "m4v", "mkv", "webm", "avi"], "clips")?;
    if named.is_empty() {
        let each = photos.iter().enumerate().flat_map(|(i, portrait)| {
            let second = (videos.len() > 1).then_some(1);
            let clips = std::iter::once(0).chain(second).map(move |k| 2 * i + k);
            clips.map(|at| AcrossPair { portrait: portrait.clone(), clip: videos[at % videos.len()].clone() })
        });
        return Ok(each.collect());
    }
    let find = |among: &[PathBuf], name: &str, kind: &str, folder: &Path| {
        among.iter().find(|path| stem(path) == name).cloned().ok_or_else(|| {
            let message = format!("no {kind} called {name} in {}; name it without its ending", folder.display());
            Error::new(ErrorKind::Config, message)
        })
    };
    let pair = |name: &String| {
        let (portrait, clip) = name.split_once(':').ok_or_else(|| {
            Error::new(ErrorKind::Config, format!("expected PHOTO:CLIP, two names without endings, found {name}"))
        })?;
        let portrait = find(&photos, portrait, "photo", portraits)?;
        Ok(AcrossPair { portrait, clip: find(&videos, clip, "clip", clips)? })
    };
    named.iter().map(pair).collect()
}

/// The files of these endings in a folder, by name; a file is itself.
fn files(path: &Path, endings: &[&str], kind: &str) -> Result<Vec<PathBuf>> {
    let about = || format!("cannot read {}; give a folder of {kind}, or one file", path.display());
    if !std::fs::metadata(path).or_error(ErrorKind::Io, about)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_such = |path: &PathBuf| {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
        endings.contains(&ending.as_str())
    };
    let entries = std::fs::read_dir(path).or_error(ErrorKind::Io, about)?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_such).collect();
    files.sort();
    if files.is_empty() {
        let message = format!("no {kind} in {}: none that ends in {}", path.display(), endings.join(", "));
        return Err(Error::new(ErrorKind::Io, message));
    }
    Ok(files)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// What is being played: the pair, pairs before it, pairs in all, frames of it that were played.
pub type AcrossProgress<'a> = (&'a str, usize, usize, usize);

/// Plays every pair; `progress` may stop the work by returning `false`.
///
/// A pair that cannot be played is skipped and listed with the reason. `recognition` is the network of
/// [`super::MetricFiles::recognition`], which tells whom the result looks like.
///
/// # Errors
/// When a network is missing or a generator fails.
pub fn across(
    pairs: &[AcrossPair],
    generator: &mut dyn Generator,
    drive: DriveOptions,
    recognition: Option<&Path>,
    progress: &mut dyn FnMut(AcrossProgress<'_>) -> bool,
) -> Result<AcrossReport> {
    let mut stage = Stage::new(drive, recognition.map(Recognizer::open).transpose()?)?;
    let (mut rows, mut n_pieces) = (Rows::default(), 0.0);
    let mut powers: Powers = [[0.0; 3]; N_COEFFICIENTS];
    let (mut reports, mut skipped, mut is_cut_short) = (Vec::<PairReport>::new(), Vec::new(), false);
    for (i, pair) in pairs.iter().enumerate() {
        let name = pair.name();
        let mut report = |n_frames: usize| progress((&name, i, pairs.len(), n_frames));
        let played = match stage.play(pair, generator, &mut report) {
            Err(error) if matches!(error.kind(), ErrorKind::Photo | ErrorKind::Io) => {
                skipped.push(Skipped { case: name, reason: error.to_string() });
                continue;
            }
            other => other?,
        };
        let Some(played) = played else {
            is_cut_short = true;
            break;
        };
        let own = Rows::of(&played.compared);
        if own.len() < LEAST_COMPARED {
            let reason = format!("both faces were seen in {} of the frames that are compared: too few", own.len());
            skipped.push(Skipped { case: name, reason });
            continue;
        }
        let of_pair = figures::powers(&played.frames, played.rate_hz);
        for (sum, own) in powers.iter_mut().flatten().zip(of_pair.iter().flatten()) {
            *sum += own;
        }
        n_pieces += 1.0;
        rows.append(&own);
        reports.push(played.report(name, &own, &of_pair));
    }
    powers.iter_mut().flatten().for_each(|power| *power /= f64::max(n_pieces, 1.0));
    Ok(AcrossReport {
        schema: 1,
        generator: generator.name().to_owned(),
        backend: generator.backend().to_owned(),
        is_cut_short,
        all: (!reports.is_empty()).then(|| over_all(&reports, &rows, &powers)),
        pairs: reports,
        skipped,
    })
}

fn over_all(reports: &[PairReport], rows: &Rows, powers: &Powers) -> AcrossFigures {
    let mean = |of: &dyn Fn(&AcrossFigures) -> Option<f64>| {
        let values: Vec<f64> = reports.iter().filter_map(|report| of(&report.figures)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let events = |of: fn(&AcrossFigures) -> Events| {
        reports.iter().map(|report| of(&report.figures)).fold(Events::default(), Events::plus)
    };
    let mut all = figures_of(rows.arrivals(powers), powers);
    all.error = mean(&|figures| Some(figures.error)).unwrap_or(0.0);
    (all.lag_frames, all.lag_ms) = (mean(&|figures| figures.lag_frames), mean(&|figures| figures.lag_ms));
    let mean_of_both = |of: fn(&AcrossFigures) -> Option<[f64; 2]>| {
        Some([mean(&|figures| of(figures).map(|both| both[0]))?, mean(&|figures| of(figures).map(|both| both[1]))?])
    };
    all.smile = mean_of_both(|figures| figures.smile);
    all.likeness = mean_of_both(|figures| figures.likeness);
    (all.lip_contacts, all.blinks) = (events(|figures| figures.lip_contacts), events(|figures| figures.blinks));
    all
}

/// The figures that follow from the coefficients that count.
fn figures_of(coefficients: Vec<Arrival>, powers: &Powers) -> AcrossFigures {
    let values = |of: fn(&Arrival) -> f64| {
        let mean = coefficients.iter().map(of).sum::<f64>() / N_TOP as f64;
        (mean, coefficients.iter().map(of).fold(f64::INFINITY, f64::min))
    };
    let (gain, gain_min) = values(|arrival| arrival.gain);
    let [jitter, jitter_asked] = figures::jitter(powers, &coefficients);
    let (correlation, correlation_min) = values(|arrival| arrival.correlation);
    AcrossFigures {
        gain,
        gain_min,
        correlation,
        correlation_min,
        error: 0.0,
        lag_frames: None,
        lag_ms: None,
        jitter,
        jitter_asked,
        lip_contacts: Events::default(),
        blinks: Events::default(),
        smile: None,
        likeness: None,
        coefficients,
    }
}

/// Everything that a pair is played with.
struct Stage {
    drive: DriveOptions,
    enroller: Enroller,
    rehearsal: Rehearsal,
    /// Follows the driver, as a run does; and the result.
    followers: [FaceTracker; 2],
    dense: DenseTracker,
    onlookers: Onlookers,
    expression: Expression,
    compositor: Compositor,
}

/// A pair that was played.
struct Played {
    /// How like the result is to photo and driver, if anybody can tell.
    likeness: Option<[f64; 2]>,
    /// What the onlookers saw.
    compared: Vec<[Seen; 2]>,
    /// What was followed, frame by frame.
    frames: Vec<Both>,
    n_frames: usize,
    n_lost: [usize; 2],
    rate_hz: f64,
    portrait: Rgb,
    /// The frames worth looking at: number, distance, driver, result.
    kept: Vec<(usize, f64, [Rgb; 2])>,
}

impl Stage {
    fn new(drive: DriveOptions, recognizer: Option<Recognizer>) -> Result<Self> {
        let tracker = || FaceTracker::new(TrackerOptions { n_threads: 2, ..TrackerOptions::default() });
        let composite = CompositeOptions { size_px: OUTPUT_PX, badge: false, ..CompositeOptions::default() };
        Ok(Self {
            drive: DriveOptions { motion: Motion::Relative, is_filtered: false, ..drive },
            enroller: Enroller::new()?,
            rehearsal: Rehearsal::new()?,
            followers: [tracker()?, tracker()?],
            dense: DenseTracker::new()?,
            onlookers: Onlookers::new(recognizer)?,
            expression: Expression::new()?,
            compositor: Compositor::new(composite)?,
        })
    }

    fn enroll(&mut self, path: &Path) -> Result<Arc<Identity>> {
        let mut identity = self.enroller.enroll(&photo::read_bytes(path)?, &enrolment())?;
        self.rehearsal.rehearse(&mut identity)?;
        Ok(Arc::new(identity))
    }

    /// Plays a pair; `None` when `report` says to stop.
    fn play(
        &mut self,
        pair: &AcrossPair,
        generator: &mut dyn Generator,
        report: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Option<Played>> {
        let identity = self.enroll(&pair.portrait)?;
        generator.adopt(Arc::clone(&identity))?;
        self.compositor.adopt(&identity)?;
        let mut encoder = LatentEncoder::of(generator)?;
        let mut latent = DriverLatent::NONE;
        let mut driver = Driver::new(self.drive, Arc::clone(&identity))?;
        let mut signal = DrivingSignal::rest(&identity.shape, identity.size_px(), Motion::Relative);
        let options = SourceOptions { paced: false, ..SourceOptions::default() };
        let mut source = ClipSource::open(&pair.clip, &options)?;
        let mut played = Played {
            likeness: None,
            compared: Vec::new(),
            frames: Vec::new(),
            n_frames: 0,
            n_lost: [0; 2],
            rate_hz: source.frame_rate_hz().unwrap_or(25.0),
            portrait: portrait_of(&pair.portrait)?,
            kept: Vec::new(),
        };
        self.dense.reset();
        self.onlookers.meet(&identity.portrait)?;
        self.followers.iter_mut().for_each(FaceTracker::reset);
        let is_dense = self.drive.is_dense && generator.is_dense();
        let (mut frame, mut far_frame, clock) = (RawFrame::default(), RawFrame::default(), ManualClock::new());
        let (mut face, mut far_face) = (Box::<FaceObservation>::default(), Box::<FaceObservation>::default());
        let (mut portrait, mut out) = (Portrait::default(), OutFrame::blank(OUTPUT_PX, OUTPUT_PX));
        let mut motion = DenseMotion::NONE;
        while played.n_frames < MAX_FRAMES {
            match source.read(&mut frame, &clock)? {
                Read::Fresh => {}
                Read::Idle => continue,
                Read::Ended => break,
            }
            if !report(played.n_frames) {
                return Ok(None);
            }
            let number = played.n_frames;
            played.n_frames += 1;
            let [follower, far_follower] = &mut self.followers;
            let is_seen = follower.observe(&frame, &mut face)?;
            let seen = is_seen.then_some(&*face);
            if is_dense {
                self.dense.observe(&frame, seen, &mut motion)?;
                self.dense.forget_who_left(frame.captured(), &mut motion);
            }
            if let Some(encoder) = &mut encoder {
                encoder.encode(&frame, seen, &mut latent)?;
                driver.see_latent(&latent, frame.captured());
            }
            let presence = driver.drive(seen, is_dense.then_some(&motion), frame.captured(), &mut signal);
            played.n_lost[0] += usize::from(!is_seen);
            if presence == Presence::Lost {
                continue;
            }
            generator.generate(&signal, &mut portrait)?;
            self.compositor.compose(&portrait, Trace::default(), &mut out)?;
            let result = out.picture().opaque();
            if number.is_multiple_of(STRIDE)
                && let Some(both) = self.onlookers.glance([frame.picture(), &result])?
            {
                played.keep(number, both[0].distance(&both[1]), [frame.picture(), &result])?;
                played.compared.push(both);
            }
            far_frame.set_picture(&result);
            far_frame.set_captured(frame.captured());
            if !far_follower.observe(&far_frame, &mut far_face)? {
                played.n_lost[1] += 1;
            } else if is_seen {
                let own = &identity.shape.points;
                // The expression network looks at the shape alone: any place and size will do.
                let place = Vec3::new(256.0, 256.0, 0.0);
                let asked = std::array::from_fn(|i| (own[i] + signal.displacement[i]) * 150.0 + place);
                let mut coefficients = [0.0; N_COEFFICIENTS];
                self.expression.read(&asked, &mut coefficients)?;
                played.frames.push((number, Seen::of(&face), Seen::of(&far_face), coefficients));
            }
        }
        played.likeness = self.onlookers.likeness();
        Ok(Some(played))
    }
}

impl Played {
    /// Keeps the pictures of the worst frames, some apart.
    fn keep(&mut self, number: usize, distance: f64, pictures: [&Rgb; 2]) -> Result<()> {
        let near = self.kept.iter().position(|(other, ..)| number.abs_diff(*other) < APART);
        let place = match near {
            Some(near) if self.kept[near].1 < distance => Some(near),
            Some(_) => None,
            None if self.kept.len() < N_WORST => Some(self.kept.len()),
            None => (0..self.kept.len())
                .min_by(|a, b| self.kept[*a].1.total_cmp(&self.kept[*b].1))
                .filter(|least| self.kept[*least].1 < distance),
        };
        let Some(place) = place else { return Ok(()) };
        let [driver, result] = pictures;
        let row = (number, distance, [scaled(&square(driver)?, CELL_PX)?, scaled(result, CELL_PX)?]);
        if place == self.kept.len() {
            self.kept.push(row);
        } else {
            self.kept[place] = row;
        }
        Ok(())
    }

    fn report(mut self, name: String, rows: &Rows, powers: &Powers) -> PairReport {
        let mut figures = figures_of(rows.arrivals(powers), powers);
        figures.error = figures::error(&self.compared);
        figures.lag_frames = figures::lag_frames(&self.frames);
        figures.lag_ms = figures.lag_frames.map(|frames| frames * 1e3 / self.rate_hz);
        figures.lip_contacts = figures::lip_contacts(&self.frames);
        figures.blinks = figures::blinks(&self.frames);
        figures.smile = figures::smile(&self.compared);
        figures.likeness = self.likeness;
        self.kept.sort_by(|a, b| b.1.total_cmp(&a.1));
        PairReport {
            name,
            n_frames: self.n_frames,
            n_lost: self.n_lost,
            figures,
            worst_frames: self.kept.iter().map(|(number, ..)| *number).collect(),
            cells: std::iter::once(self.portrait).chain(self.kept.into_iter().flat_map(|(.., both)| both)).collect(),
        }
    }
}

/// The square in the middle of the photo, as it is enrolled.
fn portrait_of(path: &Path) -> Result<Rgb> {
    scaled(&square(&photo::read(path)?)?, CELL_PX)
}
