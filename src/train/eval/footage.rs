//! What is played: clips that drive themselves, and pairs of synthetic people doing the same.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::capture::{ClipSource, RawFrame, Read, Source as _, SourceOptions};
use crate::clock::{ManualClock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files::Kind;
use crate::frame::Rgb;
use crate::geometry::{COEFFICIENT_NAMES, N_COEFFICIENTS};
use crate::photo;
use crate::studio::dataset::Record;

/// Two frames of a rendered clip this close in time follow each other.
const MAX_STEP_SECS: f32 = 0.1;
/// The rate at which random instants are played.
const INSTANTS_HZ: f64 = 25.0;

/// A clip that drives a portrait taken from itself.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipCase {
    /// The video.
    pub path: PathBuf,
    /// What is no part of the person's picture (an inset): left, top, width, height in pixels of the video.
    pub ignore_rect: Option<[f32; 4]>,
}

/// Two rendered clips that differ in the person alone.
#[derive(Clone, Debug, PartialEq)]
pub struct PairCase {
    /// The folder of the clip that drives.
    pub driver: PathBuf,
    /// The folder of the clip with the portrait and the true answer.
    pub truth: PathBuf,
}

/// One frame of the driver and its answer.
#[derive(Debug, Default)]
pub(super) struct Moment {
    pub(super) index: u64,
    /// The driver's square picture and its time.
    pub(super) driver: RawFrame,
    /// What a perfect generator would make: square.
    pub(super) truth: Rgb,
    /// Whether it follows the frame before by one step of the clip.
    pub(super) follows: bool,
}

/// Frames in order.
pub(super) enum Footage {
    Clip { source: Box<ClipSource>, frame: Box<RawFrame>, next: u64 },
    Pair { driver: Rendered, truth: Rendered, next: usize },
}

impl Footage {
    pub(super) fn of_clip(path: &Path) -> Result<Self> {
        let options = SourceOptions { paced: false, ..SourceOptions::default() };
        Ok(Self::Clip { source: Box::new(ClipSource::open(path, &options)?), frame: Box::default(), next: 0 })
    }

    pub(super) fn of_pair(case: &PairCase) -> Result<Self> {
        let (driver, truth) = (Rendered::open(&case.driver)?, Rendered::open(&case.truth)?);
        let is_same = |(a, b): (&Record, &Record)| (a.at_secs - b.at_secs).abs() < 1e-3;
        if driver.records.len() != truth.records.len() || !driver.records.iter().zip(&truth.records).all(is_same) {
            let message = format!(
                "{} and {} are no pair: their frames are of other moments; write them again with `effigy synth data --cross`",
                case.driver.display(),
                case.truth.display()
            );
            return Err(Error::new(ErrorKind::Io, message));
        }
        Ok(Self::Pair { driver, truth, next: 0 })
    }

    /// How many frames there will be, where that is known.
    pub(super) fn n_frames(&self) -> Option<u64> {
        match self {
            Self::Clip { source, .. } => source.n_frames(),
            Self::Pair { driver, .. } => Some(driver.records.len() as u64),
        }
    }

    /// Width and height of the video that was read last, before the square was cut out of it.
    pub(super) fn video_size_px(&self) -> (usize, usize) {
        match self {
            Self::Clip { frame, .. } => (frame.picture().width_px(), frame.picture().height_px()),
            Self::Pair { .. } => (1, 1),
        }
    }

    /// The frame of a rendered pair that makes the best portrait: frontal and calm, by its truth.
    pub(super) fn calmest(&self) -> Option<u64> {
        let Self::Pair { truth, .. } = self else { return None };
        let unrest =
            truth.records.iter().map(|record| unrest(&record.truth.coefficients, record.truth.yaw_pitch_roll_degs));
        let calmest = unrest.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b))?;
        Some(calmest.0 as u64)
    }

    /// Reads the next frame; false at the end.
    pub(super) fn next(&mut self, moment: &mut Moment) -> Result<bool> {
        match self {
            Self::Clip { source, frame, next } => {
                // Unpaced, the source never waits for the clock.
                let clock = ManualClock::new();
                loop {
                    match source.read(frame, &clock)? {
                        Read::Fresh => break,
                        Read::Idle => {}
                        Read::Ended => return Ok(false),
                    }
                }
                moment.truth = square(frame.picture())?;
                moment.driver.set_picture(&moment.truth);
                moment.driver.set_captured(frame.captured());
                moment.follows = *next > 0;
                moment.index = *next;
                *next += 1;
            }
            Self::Pair { driver, truth, next } => {
                let i = *next;
                if i >= driver.records.len() {
                    return Ok(false);
                }
                moment.driver.set_picture(&driver.picture(i)?);
                moment.driver.set_captured(Timestamp::from_nanos((i as f64 / INSTANTS_HZ * 1e9) as u64));
                moment.truth = truth.picture(i)?;
                let step = |i: usize| driver.records[i].at_secs - driver.records[i - 1].at_secs;
                moment.follows = i > 0 && step(i) > 0.0 && step(i) <= MAX_STEP_SECS;
                moment.index = i as u64;
                *next += 1;
            }
        }
        Ok(true)
    }
}

/// How far a face is from frontal and calm, by the sum of expressive coefficients and its turn.
fn unrest(coefficients: &[f32], yaw_pitch_roll_degs: [f32; 3]) -> f32 {
    let expressive =
        |name: &str| ["jaw", "mouth", "cheekPuff", "eyeBlink", "noseSneer"].iter().any(|p| name.starts_with(p));
    let expression: f32 = (0..N_COEFFICIENTS.min(coefficients.len()))
        .filter(|&i| expressive(COEFFICIENT_NAMES[i]))
        .map(|i| coefficients[i])
        .sum();
    expression + 2.0 * yaw_pitch_roll_degs.map(|angle| angle.abs().to_radians()).iter().sum::<f32>()
}

/// The square in the middle, as enrolment with the photo's own framing cuts it.
pub(super) fn square(picture: &Rgb) -> Result<Rgb> {
    let (width, height) = (picture.width_px(), picture.height_px());
    let side = width.min(height);
    if width == height {
        return Ok(picture.clone());
    }
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let mut data = Vec::with_capacity(side * side * 3);
    for y in top..top + side {
        data.extend_from_slice(&picture.row(y)[left * 3..(left + side) * 3]);
    }
    Rgb::from_data(side, side, data)
}

/// A rectangle of the video in 0..1 of the square in its middle.
pub(super) fn in_square([x, y, width, height]: [f32; 4], (video_width, video_height): (usize, usize)) -> [f32; 4] {
    let side = video_width.min(video_height).max(1);
    let margin = |extent: usize| ((extent - side.min(extent)) / 2) as f32;
    let side = side as f32;
    [(x - margin(video_width)) / side, (y - margin(video_height)) / side, width / side, height / side]
}

/// A clip that the studio rendered: pictures and truth.
pub(super) struct Rendered {
    folder: PathBuf,
    pictures: std::fs::File,
    records: Vec<Record>,
}

impl Rendered {
    fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("truth.jsonl");
        let about = || format!("cannot read {}; it is written by `effigy synth data`", path.display());
        let text = std::fs::read_to_string(&path).or_error(ErrorKind::Io, about)?;
        let lines = text.lines().map(|line| serde_json::from_str(line).or_error(ErrorKind::Io, about));
        let records = lines.collect::<Result<Vec<Record>>>()?;
        let pictures = std::fs::File::open(folder.join("frames.bin")).or_error(ErrorKind::Io, about)?;
        Ok(Self { folder: folder.to_owned(), pictures, records })
    }

    fn picture(&mut self, i: usize) -> Result<Rgb> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let about = || format!("picture {i} in {} is torn; write it again", self.folder.display());
        let [offset, length] = self.records[i].picture;
        if length > photo::MAX_FILE_BYTES {
            return Err(Error::new(ErrorKind::Io, about()));
        }
        let mut bytes = vec![0; length as usize];
        self.pictures.seek(SeekFrom::Start(offset)).or_error(ErrorKind::Io, about)?;
        self.pictures.read_exact(&mut bytes).or_error(ErrorKind::Io, about)?;
        photo::decode(&bytes).or_error(ErrorKind::Io, about)
    }
}

/// What a folder's manifest says of its clips, as far as evaluation needs it.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    clips: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: PathBuf,
    #[serde(default)]
    ignore_rect: Option<[f32; 4]>,
}

/// The clips at `path`: a video, a folder with a `manifest.json`, or a folder of videos.
///
/// A video's manifest is looked for in its own folder and the one above.
///
/// # Errors
/// [`ErrorKind::Io`] when there is nothing such.
pub fn clips(path: &Path) -> Result<Vec<ClipCase>> {
    let about = || format!("cannot read {}; give clips, or a folder of clips", path.display());
    let kind = Kind::of(&std::fs::metadata(path).or_error(ErrorKind::Io, about)?);
    if matches!(kind, Kind::Pipe | Kind::Device) {
        let message = format!("{} is a pipe or device, and a clip is read more than once; name a file", path.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    if kind != Kind::Folder {
        let above = path.parent().into_iter().flat_map(|folder| [Some(folder), folder.parent()]).flatten();
        let listed = above.filter_map(|folder| manifest(folder).transpose()).collect::<Result<Vec<_>>>()?;
        let same =
            |case: &&ClipCase| matches!((case.path.canonicalize(), path.canonicalize()), (Ok(a), Ok(b)) if a == b);
        let ignore_rect = listed.iter().flatten().find(same).and_then(|case| case.ignore_rect);
        return Ok(vec![ClipCase { path: path.to_owned(), ignore_rect }]);
    }
    if let Some(listed) = manifest(path)?
        && !listed.is_empty()
    {
        return Ok(listed);
    }
    let is_video = |path: &PathBuf| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        ["mp4", "mov", "m4v", "mkv", "webm", "avi"].contains(&extension.as_str())
    };
    let entries = std::fs::read_dir(path).or_error(ErrorKind::Io, about)?;
    let mut videos: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_video).collect();
    videos.sort();
    if videos.is_empty() {
        let message = format!("no clips in {}: no manifest.json with clips and no video file", path.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    let alone = videos.iter().map(|video| clips(video)).collect::<Result<Vec<_>>>()?;
    Ok(alone.into_iter().flatten().collect())
}

/// The clips that a folder's manifest lists; `None` without a manifest.
fn manifest(folder: &Path) -> Result<Option<Vec<ClipCase>>> {
    let path = folder.join("manifest.json");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(None) };
    let manifest: Manifest = serde_json::from_str(&text).or_error(ErrorKind::Io, || {
        format!("expected {{\"clips\": [{{\"file\", \"ignore_rect\"}}]}} in {}", path.display())
    })?;
    let case = |entry: Entry| ClipCase { path: folder.join(entry.file), ignore_rect: entry.ignore_rect };
    Ok(Some(manifest.clips.into_iter().map(case).collect()))
}

/// The pairs in a folder that `effigy synth data --cross` wrote: of each scene and motion, the first person drives
/// and each other one answers.
///
/// # Errors
/// [`ErrorKind::Io`] when there are none.
pub fn pairs(folder: &Path) -> Result<Vec<PairCase>> {
    let about = || format!("cannot read {}; write it with `effigy synth data --cross -o DIR`", folder.display());
    let inner = folder.join("clips");
    let entries = std::fs::read_dir(if inner.is_dir() { &inner } else { folder }).or_error(ErrorKind::Io, about)?;
    let mut folders: Vec<(String, u64, PathBuf)> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("truth.jsonl").is_file())
        .filter_map(|path| {
            let (person, rest) = path.file_name()?.to_str()?.split_once('-')?;
            Some((rest.to_owned(), person.parse().ok()?, path))
        })
        .collect();
    folders.sort();
    let pairs: Vec<PairCase> = folders
        .chunk_by(|a, b| a.0 == b.0)
        .flat_map(|alike| {
            alike[1..].iter().map(|other| PairCase { driver: alike[0].2.clone(), truth: other.2.clone() })
        })
        .collect();
    if pairs.is_empty() {
        let message = format!(
            "no two clips in {} differ in the person alone; write some with `effigy synth data --cross -o DIR`",
            folder.display()
        );
        return Err(Error::new(ErrorKind::Io, message));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_and_what_is_ignored_in_it_are_cut_alike() {
        let wide = Rgb::from_data(4, 2, (0..24).collect()).unwrap();
        assert_eq!(square(&wide).unwrap().data(), [3, 4, 5, 6, 7, 8, 15, 16, 17, 18, 19, 20]);
        assert_eq!(in_square([1.0, 0.0, 1.0, 1.0], (4, 2)), [0.0, 0.0, 0.5, 0.5]);
        assert_eq!(in_square([0.0, 446.0, 132.0, 66.0], (512, 512)), [0.0, 446.0 / 512.0, 132.0 / 512.0, 66.0 / 512.0]);
    }

    #[test]
    fn clips_know_their_manifest_and_pairs_find_each_other() {
        let folder = std::env::temp_dir().join(format!("effigy_eval_footage_{}", std::process::id()));
        let clips_folder = folder.join("clips");
        std::fs::create_dir_all(&clips_folder).unwrap();
        std::fs::write(clips_folder.join("a.mp4"), "").unwrap();
        std::fs::write(clips_folder.join("b.MP4"), "").unwrap();
        let text =
            r#"{"split": "test", "clips": [{"file": "clips/a.mp4", "ignore_rect": [0, 446, 132, 66], "fps": 25}]}"#;
        std::fs::write(folder.join("manifest.json"), text).unwrap();
        let a = ClipCase { path: clips_folder.join("a.mp4"), ignore_rect: Some([0.0, 446.0, 132.0, 66.0]) };
        let b = ClipCase { path: clips_folder.join("b.MP4"), ignore_rect: None };
        assert_eq!(clips(&folder).unwrap(), std::slice::from_ref(&a));
        assert_eq!(clips(&a.path).unwrap(), std::slice::from_ref(&a));
        assert_eq!(clips(&clips_folder).unwrap(), [a, b]);
        assert!(pairs(&folder).unwrap_err().to_string().contains("effigy synth data --cross"));

        for name in ["000002-000002-000002", "1099511627778-000002-000002", "000003-000003-000003"] {
            std::fs::create_dir_all(clips_folder.join(name)).unwrap();
            std::fs::write(clips_folder.join(name).join("truth.jsonl"), "").unwrap();
        }
        let pair = PairCase {
            driver: clips_folder.join("000002-000002-000002"),
            truth: clips_folder.join("1099511627778-000002-000002"),
        };
        assert_eq!(pairs(&folder).unwrap(), [pair]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
