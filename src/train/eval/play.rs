//! Plays one case after the other with all contenders, and measures every frame.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use image::ImageEncoder as _;

use super::case::{Ending, Offer, PartCase};
use super::eye::Eye;
use super::footage::{Footage, Moment, in_square};
use super::instruments::Instruments;
use super::perceptual::scaled;
use super::recognition::Descriptor;
use super::record::{Played, Record};
use super::reel::Reel;
use super::regions::Labels;
use super::scores::Tally;
use super::windows::Windows;
use super::{CaseReport, Contender, EvalOptions, OUTPUT_PX, Skipped, Suite, SuiteReport};
use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::drive::{DriveOptions, Driver};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::face::{is_calm, unrest};
use crate::frame::Rgb;
use crate::generate::Portrait;
use crate::geometry::FaceObservation;
use crate::identity::{Basis, EnrollOptions, Framing, Identity};
use crate::signal::{DenseMotion, DrivingSignal, Motion};
use crate::trace::Trace;

mod measure;

/// The portrait of a clip is looked for in so many frames.
const PORTRAIT_FRAMES: u64 = 75;

/// Everything that one suite needs while it is played.
pub(super) struct Stage<'a> {
    contenders: &'a mut [Contender],
    instruments: &'a mut Instruments,
    options: EvalOptions,
    compositor: Compositor,
    reel: Reel,
    /// In place of the reel where a part is measured: the whole chooses.
    offers: Option<Vec<Offer>>,
    by_case: Vec<Vec<Tally>>,
    cases: Vec<CaseReport>,
    skipped: Vec<Skipped>,
    n_driver_lost: u64,
    /// Whether driver and truth are different pictures.
    is_cross: bool,
}

/// The portrait that a case is played with, and the frame it is from.
struct Cast {
    identity: Arc<Identity>,
    picture: Rgb,
    frame: u64,
}

/// The true picture of a moment with all that is measured on it once.
struct Truth {
    picture: Rgb,
    labels: Labels,
    face: Option<FaceObservation>,
    descriptor: Option<Descriptor>,
}

/// What is gathered while a case is played.
#[derive(Default)]
struct Course {
    /// The frame before, if it was measured: the truth, and what was made.
    before: Option<(Rgb, Vec<Rgb>)>,
    /// One for each contender.
    tallies: Vec<Tally>,
    /// Of the truth, then of each contender.
    windows: Vec<Windows>,
}

/// What frame by frame is told about the progress: case, frames read, frames in all; `false` stops.
type Report<'r> = dyn FnMut(&str, u64, Option<u64>) -> bool + 'r;

impl<'a> Stage<'a> {
    pub(super) fn new(
        contenders: &'a mut [Contender],
        instruments: &'a mut Instruments,
        options: EvalOptions,
        suite: &Suite,
    ) -> Result<Self> {
        if contenders.is_empty() || options.every == 0 || options.size_px < 64 {
            let message = "expected at least one generator, every 1 or more, and pictures of 64 pixels or more";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let composite = CompositeOptions { size_px: OUTPUT_PX, badge: false, ..CompositeOptions::default() };
        Ok(Self {
            contenders,
            instruments,
            options,
            compositor: Compositor::unmarked(composite)?,
            reel: Reel::new(suite.n_cases()),
            offers: None,
            by_case: Vec::with_capacity(suite.n_cases()),
            cases: Vec::new(),
            skipped: Vec::new(),
            n_driver_lost: 0,
            is_cross: matches!(suite, Suite::CrossIdentity(..)),
        })
    }

    /// Keeps all that is known of each case for [`Self::take_case`].
    pub(super) fn of_part(mut self) -> Self {
        self.offers = Some(Vec::new());
        self
    }

    /// Takes out what the case that was played last left.
    pub(super) fn take_case(&mut self, index: usize) -> PartCase {
        let ending = match (self.cases.pop(), self.by_case.pop(), self.skipped.pop()) {
            (Some(case), Some(tallies), _) => {
                Ending::Played { portrait_frame: case.portrait_frame, name: case.name, tallies }
            }
            (.., skipped) => {
                let Skipped { case: name, reason } = skipped.unwrap_or_default();
                Ending::Skipped { name, reason }
            }
        };
        PartCase {
            index,
            ending,
            n_driver_lost: std::mem::take(&mut self.n_driver_lost),
            offers: self.offers.replace(Vec::new()).unwrap_or_default(),
            backends: self.contenders.iter().map(|contender| contender.generator.backend().to_owned()).collect(),
        }
    }

    /// Plays a case; breaks off when `report` says so.
    pub(super) fn play(&mut self, suite: &Suite, i: usize, report: &mut Report<'_>) -> Result<ControlFlow<()>> {
        let name = match suite {
            Suite::SelfReenactment(cases) => file_name(&cases[i].path),
            Suite::CrossIdentity(cases, _) => file_name(&cases[i].truth),
        };
        let played = match suite {
            Suite::SelfReenactment(cases) => {
                let case = &cases[i];
                let open = || Footage::of_clip(&case.path);
                self.cast_clip(&open).and_then(|cast| {
                    let ignored = case.ignore_rect;
                    self.play_case(&name, &open, &cast, Motion::Absolute, ignored, report)
                })
            }
            Suite::CrossIdentity(cases, motion) => {
                let open = || Footage::of_pair(&cases[i]);
                self.cast_pair(&open).and_then(|cast| self.play_case(&name, &open, &cast, *motion, None, report))
            }
        };
        match played {
            // A torn clip, or a face that cannot be enrolled, is the case's fault, not the generator's.
            Err(error) if matches!(error.kind(), ErrorKind::Photo | ErrorKind::Io) => {
                self.skipped.push(Skipped { case: name, reason: error.to_string() });
                Ok(ControlFlow::Continue(()))
            }
            other => other,
        }
    }

    /// Enrols the first frame of a clip that shows a calm face from the front with open eyes; where there is none in
    /// the first seconds, the calmest of them, or the very first when none has a face.
    fn cast_clip(&mut self, open: &dyn Fn() -> Result<Footage>) -> Result<Cast> {
        let mut footage = open()?;
        let mut moment = Moment::default();
        let mut face = FaceObservation::default();
        let mut calmest: Option<(f32, Moment)> = None;
        self.instruments.follower.reset();
        while footage.next(&mut moment)? && moment.index < PORTRAIT_FRAMES {
            let is_seen = self.instruments.follower.observe(&moment.driver, &mut face)?;
            if is_seen && is_calm(&face) {
                return self.enroll(&moment);
            }
            let unrest = if is_seen { unrest(&face) } else { f32::MAX };
            if calmest.as_ref().is_none_or(|(least, _)| unrest < *least) {
                calmest = Some((unrest, std::mem::take(&mut moment)));
            }
        }
        let (_, calmest) = calmest.ok_or_else(|| Error::new(ErrorKind::Photo, "the clip has no frames"))?;
        self.enroll(&calmest)
    }

    /// Enrols the calmest frame of a rendered pair's true answer.
    fn cast_pair(&mut self, open: &dyn Fn() -> Result<Footage>) -> Result<Cast> {
        let mut footage = open()?;
        let calmest = footage.calmest().unwrap_or(0);
        let mut moment = Moment::default();
        while footage.next(&mut moment)? {
            if moment.index == calmest {
                return self.enroll(&moment);
            }
        }
        Err(Error::new(ErrorKind::Photo, "the clip has no frames"))
    }

    fn enroll(&mut self, moment: &Moment) -> Result<Cast> {
        let identity = Arc::new(self.instruments.enroller.enroll(&png(&moment.truth)?, &enrolment())?);
        Ok(Cast { identity, picture: scaled(&moment.truth, self.options.size_px)?, frame: moment.index })
    }

    fn play_case(
        &mut self,
        name: &str,
        open: &dyn Fn() -> Result<Footage>,
        cast: &Cast,
        motion: Motion,
        ignored: Option<[f32; 4]>,
        report: &mut Report<'_>,
    ) -> Result<ControlFlow<()>> {
        for contender in &mut *self.contenders {
            contender.generator.adopt(Arc::clone(&cast.identity))?;
        }
        self.compositor.adopt(&cast.identity)?;
        let options = DriveOptions {
            motion,
            is_filtered: self.options.is_live,
            // Rendered people are seen at instants that do not follow each other; no jump makes them somebody else.
            may_change: false,
            ..DriveOptions::default()
        };
        let mut driver = Driver::new(options, Arc::clone(&cast.identity))?;
        let mut signal = DrivingSignal::rest(&cast.identity.shape, cast.identity.size_px(), motion);
        let mut face = FaceObservation::default();
        // The driver's frame of the moment that the portrait shows is where its motion counts from.
        let mut footage = open()?;
        let mut moment = Moment::default();
        while footage.next(&mut moment)? && moment.index < cast.frame {}
        let at_portrait = moment.driver.captured();
        self.contenders.iter_mut().for_each(|contender| contender.generator.set_time(Timestamp::default()));
        self.instruments.follower.reset();
        self.instruments.dense.reset();
        if self.instruments.follower.observe(&moment.driver, &mut face)? {
            if !self.options.is_live {
                self.instruments.dense.refer_to_portrait(moment.driver.picture(), &face)?;
            }
        } else if motion == Motion::Relative {
            return Err(Error::new(ErrorKind::Photo, "the driver's face is not found where the portrait is from"));
        }
        if motion == Motion::Relative {
            driver.calibrate();
            driver.drive(Some(&face), None, Timestamp::default(), &mut signal);
        }
        let mut dense = DenseMotion::NONE;
        let eyes = self.contenders.iter().map(|contender| Eye::of(&*contender.generator));
        let mut eyes = eyes.collect::<Result<Vec<_>>>()?;
        for eye in eyes.iter_mut().flatten() {
            eye.rest(&moment.driver, &face)?;
        }

        let mut course = Course { tallies: vec![Tally::default(); self.contenders.len()], ..Course::default() };
        let mut footage = open()?;
        let n_frames = footage.n_frames();
        let mut moment = Moment::default();
        let mut flow = ControlFlow::Continue(());
        let mut ignored_in_square = None;
        while footage.next(&mut moment)? {
            if !report(name, moment.index, n_frames) {
                flow = ControlFlow::Break(());
                break;
            }
            if !moment.follows {
                self.instruments.follower.reset();
            }
            let is_seen = self.instruments.follower.observe(&moment.driver, &mut face)?;
            let is_late = self.options.is_live && moment.follows;
            let seen = is_seen.then_some(&face);
            if !is_late {
                self.measure_beside(&moment, seen, &mut dense)?;
            }
            driver.drive(seen, Some(&dense), moment.driver.captured(), &mut signal);
            if is_late {
                self.measure_beside(&moment, seen, &mut dense)?;
            }
            let is_measured = (moment.index / 2).is_multiple_of(self.options.every) && moment.index != cast.frame;
            if !is_measured || !is_seen {
                self.n_driver_lost += u64::from(is_measured && !is_seen);
                course.before = None;
                continue;
            }
            if let (Some(rect), None) = (ignored, ignored_in_square) {
                ignored_in_square = Some(in_square(rect, footage.video_size_px()));
            }
            let truth = self.truth(&moment, ignored_in_square)?;
            // What makes a clip of the portrait begins with it.
            let since_portrait = moment.driver.captured().since(at_portrait);
            self.contenders.iter_mut().for_each(|contender| {
                contender.generator.set_time(Timestamp::default() + since_portrait);
            });
            let mut made = self.generate(&mut signal, (&moment.driver, seen), &mut eyes, &mut course.tallies)?;
            made.iter_mut().for_each(|made| truth.labels.restore(&truth.picture, made));
            self.measure(name, &moment, cast, &truth, &made, &mut course)?;
            course.before = Some((truth.picture, made));
        }
        self.cases.push(CaseReport { name: name.to_owned(), portrait_frame: cast.frame });
        self.by_case.push(course.tallies);
        Ok(flow)
    }

    /// Measures what moves beside the mesh of the driver's face: from the frame of the portrait's moment, or as live from one
    /// that the tracker chooses.
    fn measure_beside(
        &mut self,
        moment: &Moment,
        face: Option<&FaceObservation>,
        motion: &mut DenseMotion,
    ) -> Result<()> {
        let dense = &mut self.instruments.dense;
        match face {
            _ if self.options.is_live => dense.observe(&moment.driver, face, motion),
            Some(face) => dense.follow(moment.driver.picture(), face, motion),
            None => Ok(()),
        }
    }

    /// What is true of a moment.
    fn truth(&mut self, moment: &Moment, ignored: Option<[f32; 4]>) -> Result<Truth> {
        let picture = scaled(&moment.truth, self.options.size_px)?;
        let face = self.instruments.find_face(&picture)?;
        let matte = self.instruments.matter.matte(&picture)?;
        let mut labels = Labels::of_face(self.options.size_px, face.as_ref(), &matte)?;
        if let Some(rect) = ignored {
            labels.ignore(rect);
        }
        let descriptor = match (&mut self.instruments.recognizer, &face) {
            (Some(recognizer), Some(face)) => Some(recognizer.describe(&picture, face)?),
            _ => None,
        };
        Ok(Truth { picture, labels, face, descriptor })
    }

    /// Lets every contender make its picture over the portrait's own background, in the size that is measured.
    fn generate(
        &mut self,
        signal: &mut DrivingSignal,
        (frame, face): (&RawFrame, Option<&FaceObservation>),
        eyes: &mut [Option<Eye>],
        tallies: &mut [Tally],
    ) -> Result<Vec<Rgb>> {
        let mut portrait = Portrait::default();
        let mut out = OutFrame::blank(OUTPUT_PX, OUTPUT_PX);
        let mut pictures = Vec::with_capacity(self.contenders.len());
        for ((contender, eye), tally) in self.contenders.iter_mut().zip(eyes).zip(tallies) {
            let begin = Instant::now();
            if let Some(eye) = eye {
                eye.see(frame, face, signal)?;
            }
            contender.generator.generate(signal, &mut portrait)?;
            let frame_ms = begin.elapsed().as_secs_f64() * 1e3;
            tally.add(&[("frame_ms", frame_ms)]);
            self.compositor.compose(&portrait, Trace::default(), &mut out)?;
            pictures.push(scaled(&out.picture().opaque(), self.options.size_px)?);
        }
        Ok(pictures)
    }

    /// The suite's report.
    pub(super) fn finish(self, suite: &Suite) -> SuiteReport {
        let contenders = self.contenders.iter().map(|contender| Played {
            label: contender.label.clone(),
            generator: contender.generator.name().to_owned(),
            backend: contender.generator.backend().to_owned(),
        });
        Record {
            contenders: contenders.collect(),
            by_case: self.by_case,
            cases: self.cases,
            skipped: self.skipped,
            n_driver_lost: self.n_driver_lost,
            reel: self.reel,
        }
        .report(suite, self.options)
    }
}

fn png(picture: &Rgb) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
    image::codecs::png::PngEncoder::new(&mut bytes)
        .write_image(picture.data(), width, height, image::ExtendedColorType::Rgb8)
        .or_error(ErrorKind::Internal, || "cannot code the portrait".to_owned())?;
    Ok(bytes)
}

/// How the portrait of a case is enrolled.
pub(super) fn enrolment() -> EnrollOptions {
    EnrollOptions {
        name: "evaluation".to_owned(),
        // Never written to a file: it lives as long as the case is played.
        basis: Basis::Subject,
        consent_by: "evaluation".to_owned(),
        framing: Framing::Keep,
        face: None,
    }
}

fn file_name(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
