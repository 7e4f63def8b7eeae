//! One clip, from file to folder.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::checks::{self, Reason};
use super::collect::{Job, Origin};
use super::flow::FlowChain;
use super::framing::Square;
use super::measure::{self, Measured};
use super::outcome::{Fault, Outcome};
use super::{Checks, UNREADABLE, rendered};
use crate::error::{Error, Result};
use crate::face::{FaceTracker, Matter, TrackerOptions};
use crate::frame::Rgb;
use crate::geometry::FaceObservation;
use crate::train::dataset::{ClipInfo, ClipWriter, FrameRecord, Kind, RATE_HZ, reject};

/// What one thread works with.
pub(super) struct Workshop {
    pub(super) tracker: FaceTracker,
    matter: Matter,
}

impl Workshop {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { tracker: FaceTracker::new(TrackerOptions::default())?, matter: Matter::new(1)? })
    }

    /// Makes a clip's folder, in the place of what is there; `None` when it was stopped, which leaves that as it is.
    pub(super) fn make(
        &mut self,
        job: &Job,
        dir: &Path,
        checks: &Checks,
        stop: &AtomicBool,
    ) -> Result<Option<ClipInfo>> {
        let mut info = info_of(job);
        let outcome = match &job.origin {
            Origin::Rendered(folder) => rendered::make(&mut self.tracker, folder, dir, &mut info, checks, stop),
            _ => self.make_filmed(job, dir, &mut info, checks, stop),
        };
        match outcome {
            Ok(Outcome::Stored) => Ok(Some(info)),
            Ok(Outcome::Stopped) => Ok(None),
            Ok(Outcome::Rejected(reason)) => {
                info.rejected = Some(reason);
                reject(dir, &info)?;
                Ok(Some(info))
            }
            // A file that cannot be read is the file's fault, not the work's.
            Err(Fault::Source(error)) => {
                info.rejected = Some(format!("{UNREADABLE}: {error}"));
                // A clip that is there is worth more than the note that it cannot be made anew.
                if !dir.join("frames.jsonl").is_file() {
                    reject(dir, &info)?;
                }
                Ok(Some(info))
            }
            Err(Fault::Work(error)) => {
                Err(Error::new(error.kind(), format!("cannot prepare {}", job.file)).because(error))
            }
        }
    }

    fn make_filmed(
        &mut self,
        job: &Job,
        dir: &Path,
        info: &mut ClipInfo,
        checks: &Checks,
        stop: &AtomicBool,
    ) -> std::result::Result<Outcome, Fault> {
        let measured = measure::measure(&mut self.tracker, &job.origin, stop).map_err(Fault::of_source)?;
        let Some(measured) = measured else { return Ok(Outcome::Stopped) };
        info.source_rate_hz = measured.rate_hz;
        info.n_source_frames = measured.looks.len() as u64;
        let mut decisions = checks::decide(&measured, checks);

        // The square, and what of the faces is in it.
        let kept = |outcome: &std::result::Result<u64, Reason>, i: usize| {
            outcome.ok().and_then(|_| measured.looks[i].face.as_deref())
        };
        let faces: Vec<&FaceObservation> =
            decisions.outcomes.iter().enumerate().filter_map(|(i, outcome)| kept(outcome, i)).collect();
        let square = (!faces.is_empty()).then(|| Square::around(&faces, decisions.size_px));
        let mut in_square: Vec<Option<FaceObservation>> = vec![None; measured.looks.len()];
        if let Some(square) = &square {
            info.crop_px = Some([square.left, square.top, square.side]);
            info.ignore_px = job.ignore_rect.and_then(|rect| square.rect(rect));
            for (i, outcome) in decisions.outcomes.iter_mut().enumerate() {
                if let Some(face) = kept(outcome, i) {
                    in_square[i] = square.face(face);
                    if in_square[i].is_none() {
                        *outcome = Err(Reason::OutsideCrop);
                    }
                }
            }
        }
        info.dropped = checks::counts(&decisions.outcomes);
        info.n_frames = decisions.outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        if let Some(rate_hz) = decisions.distinct_rate_hz
            && rate_hz < checks.min_rate_hz
        {
            let reason = format!(
                "frame rate: {rate_hz:.1} pictures a second differ, at least {} are needed",
                checks.min_rate_hz
            );
            return Ok(Outcome::Rejected(reason));
        }
        let min_frames = if info.kind == Kind::Portrait { 1 } else { checks.min_frames as u64 };
        let Some(square) = square.filter(|_| info.n_frames >= min_frames) else {
            return Ok(Outcome::Rejected(checks::main_reason(&info.dropped)));
        };
        self.store(job, dir, info, &measured, &decisions.outcomes, &square, &in_square, checks, stop)
    }

    #[expect(clippy::too_many_arguments, reason = "all that was found out about a clip, in one place only")]
    fn store(
        &mut self,
        job: &Job,
        dir: &Path,
        info: &ClipInfo,
        measured: &Measured,
        outcomes: &[std::result::Result<u64, Reason>],
        square: &Square,
        in_square: &[Option<FaceObservation>],
        checks: &Checks,
        stop: &AtomicBool,
    ) -> std::result::Result<Outcome, Fault> {
        let mut writer = ClipWriter::new(dir);
        let mut picture = Rgb::default();
        let mut chain = checks.has_flow.then(FlowChain::default);
        measure::for_each_picture(&job.origin, |i, frame| {
            // A decoder may give another picture at the end the second time.
            let (Some(Ok(tick)), Some(Some(seen))) = (outcomes.get(i), in_square.get(i)) else {
                return Ok(i < measured.looks.len());
            };
            square.cut(frame.picture(), &mut picture)?;
            let matte = self.matter.matte(&picture)?;
            if let Some(chain) = &mut chain {
                chain.next(*tick, &picture, &mut writer);
            }
            writer.add(FrameRecord::new(*tick, i as u64, seen), &picture, &matte)?;
            Ok(!stop.load(Ordering::Relaxed))
        })
        .map_err(Fault::of_source)?;
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Stopped);
        }
        writer.finish(info).map_err(Fault::Work)?;
        Ok(Outcome::Stored)
    }
}

/// What is known of a clip before it is read.
fn info_of(job: &Job) -> ClipInfo {
    ClipInfo {
        name: job.name.clone(),
        person: job.person.clone(),
        rights: job.rights.clone(),
        kind: job.kind(),
        fps: RATE_HZ,
        file: job.file.clone(),
        source: job.origin.digest(),
        source_rate_hz: None,
        n_source_frames: 0,
        n_frames: 0,
        crop_px: None,
        ignore_px: None,
        seeds: None,
        dropped: Vec::new(),
        rejected: None,
    }
}
