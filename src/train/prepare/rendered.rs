//! Rendered people: tracked like filmed ones, with the truth beside.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use glam::{Mat3, Vec3};

use super::Checks;
use super::checks::{self, Reason};
use super::flow::FlowChain;
use super::measure::face_px;
use super::outcome::{Fault, Outcome};
use crate::capture::RawFrame;
use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::face::FaceTracker;
use crate::frame::Rgb;
use crate::geometry::{FaceObservation, HeadPose, Landmarks, N_LANDMARKS, head_pose};
use crate::photo;
use crate::studio::dataset::Record;
use crate::studio::truth::Truth as Rendered;
use crate::train::dataset::{ClipInfo, ClipWriter, FrameRecord, SIZE_PX, Seeds, Truth, TruthRecord};

/// A face that is found further from where it is than this share of the picture is not found.
const MAX_DISTANCE: f32 = 0.1;
/// The smallest face, in stored pixels: a render is sharp to the pixel, so less will do than of a camera's picture.
const MIN_FACE_PX: f32 = 56.0;

/// Makes a clip of a rendered clip's folder.
pub(super) fn make(
    tracker: &mut FaceTracker,
    folder: &Path,
    dir: &Path,
    info: &mut ClipInfo,
    checks: &Checks,
    stop: &AtomicBool,
) -> std::result::Result<Outcome, Fault> {
    let source = Source::open(folder).map_err(Fault::of_source)?;
    let records = &source.records;
    info.n_source_frames = records.len() as u64;
    info.seeds = records.first().map(|record| Seeds {
        person: record.truth.person_seed,
        scene: record.truth.scene_seed,
        motion: record.motion_seed,
    });
    let step_secs = even_step_secs(records);
    info.fps = step_secs.map_or(0.0, |secs| 1.0 / secs);
    let mut writer = ClipWriter::new(dir);
    let mut outcomes = Vec::new();
    // Between random instants nothing flows.
    let mut chain = (checks.has_flow && step_secs.is_some()).then(FlowChain::default);
    for record in records {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::Stopped);
        }
        outcomes.push(add(tracker, &source, record, &mut writer, &mut chain).map_err(Fault::of_source)?);
    }
    info.dropped = checks::counts(&outcomes);
    info.n_frames = writer.n_frames() as u64;
    if writer.n_frames() == 0 {
        return Ok(Outcome::Rejected(checks::main_reason(&info.dropped)));
    }
    writer.finish(info).map_err(Fault::Work)?;
    Ok(Outcome::Stored)
}

fn add(
    tracker: &mut FaceTracker,
    source: &Source,
    record: &Record,
    writer: &mut ClipWriter,
    chain: &mut Option<FlowChain>,
) -> Result<std::result::Result<u64, Reason>> {
    let coded = source.slice(&source.pictures, record.picture)?;
    let mut picture = photo::decode(coded)?;
    let side_px = picture.width_px();
    let truth = truth(&record.truth, SIZE_PX as f32 / side_px as f32)
        .ok_or_else(|| source.torn("a truth does not have the numbers that it should"))?;
    let mut coded = coded.to_vec();
    if side_px != SIZE_PX {
        let square = super::framing::Square { left: 0.0, top: 0.0, side: side_px as f32 };
        let mut scaled = Rgb::default();
        square.cut(&picture, &mut scaled)?;
        coded = crate::train::dataset::encode_jpeg(&scaled)?;
        picture = scaled;
    }
    // Each frame stands alone: found first, then seen where it was found, as every frame after the first is.
    tracker.reset();
    let mut seen = FaceObservation::default();
    let mut shot = RawFrame::new(picture.clone(), Timestamp::default());
    let mut is_seen = tracker.observe(&shot, &mut seen)?;
    shot.set_captured(Timestamp::from_nanos(40_000_000));
    is_seen = is_seen && tracker.observe(&shot, &mut seen)?;
    if !is_seen || distance_px(&seen.landmarks_px, &truth.landmarks_px) > MAX_DISTANCE * SIZE_PX as f32 {
        return Ok(Err(Reason::NoFace));
    }
    if face_px(&seen) < MIN_FACE_PX {
        return Ok(Err(Reason::TooSmall));
    }
    if let Some(pose) = head_pose(&seen.landmarks_px, (SIZE_PX, SIZE_PX)) {
        seen.pose = pose;
    }
    let mut line = FrameRecord::new(record.frame, record.frame, &seen);
    line.truth = Some(TruthRecord::new(&truth));
    if let Some(chain) = chain {
        chain.next(record.frame, &picture, writer);
    }
    writer.add_coded(line, &coded, source.slice(&source.masks, record.masks)?);
    Ok(Ok(record.frame))
}

/// A rendered clip's files.
struct Source {
    folder: std::path::PathBuf,
    records: Vec<Record>,
    pictures: Vec<u8>,
    masks: Vec<u8>,
}

impl Source {
    fn open(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))
        };
        let text = read("truth.jsonl")?;
        let mut source = Self {
            folder: folder.to_owned(),
            records: Vec::new(),
            pictures: read("frames.bin")?,
            masks: read("masks.bin")?,
        };
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let record = serde_json::from_slice(line).map_err(|error| source.torn("truth.jsonl").because(error))?;
            source.records.push(record);
        }
        Ok(source)
    }

    fn slice<'a>(&self, bytes: &'a [u8], [offset, length]: [u64; 2]) -> Result<&'a [u8]> {
        let range = offset as usize..offset.saturating_add(length) as usize;
        bytes.get(range).ok_or_else(|| self.torn("a picture lies beyond the end of its file"))
    }

    fn torn(&self, what: &str) -> Error {
        let message = format!("{} is torn: {what}; delete it and run `effigy synth data` again", self.folder.display());
        Error::new(ErrorKind::Io, message)
    }
}

/// Time between frames, where it is the same between all.
fn even_step_secs(records: &[Record]) -> Option<f32> {
    let mut steps = records.windows(2).map(|pair| pair[1].at_secs - pair[0].at_secs);
    let first = steps.next().filter(|step| *step > 1e-3)?;
    steps.all(|step| (step - first).abs() < 1e-3).then_some(first)
}

fn truth(rendered: &Rendered, scale: f32) -> Option<Truth> {
    if rendered.landmarks.len() != N_LANDMARKS {
        return None;
    }
    let landmarks_px: Landmarks = std::array::from_fn(|i| Vec3::from_array(rendered.landmarks[i]) * scale);
    // The truth's camera looks along -z with y up, the tracker's along z with y down.
    let flip = Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
    let [x, y, z] = rendered.rotation;
    Some(Truth {
        landmarks_px,
        coefficients: rendered.coefficients.as_slice().try_into().ok()?,
        pose: HeadPose {
            camera_from_head: flip * Mat3::from_cols(x.into(), y.into(), z.into()).transpose(),
            translation_cm: flip * Vec3::from_array(rendered.translation_cm),
        },
    })
}

fn distance_px(a: &Landmarks, b: &Landmarks) -> f32 {
    a.iter().zip(b).map(|(a, b)| a.truncate().distance(b.truncate())).sum::<f32>() / N_LANDMARKS as f32
}
