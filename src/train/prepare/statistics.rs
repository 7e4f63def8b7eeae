//! What is in a data set: counts, reasons, histograms, as JSON and as JSON Lines.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::error::{ErrorKind, OrError as _, Result};
use crate::geometry::COEFFICIENT_NAMES;
use crate::train::dataset::{ClipInfo, Dataset, Frame, Kind, Split, put, put_json};

/// `statistics.json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Statistics {
    pub(super) clips: u64,
    pub(super) frames: u64,
    pub(super) people: u64,
    /// By kind, split and class of rights.
    pub(super) groups: Vec<Group>,
    /// Frames of each person, most first.
    pub(super) frames_of_person: Vec<(String, u64)>,
    /// Frames left out of clips that were taken.
    pub(super) dropped_frames: BTreeMap<String, u64>,
    /// Clips of which nothing was taken.
    pub(super) rejected_clips: BTreeMap<String, u64>,
    pub(super) histograms: Vec<Histogram>,
}

#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) kind: Kind,
    pub(super) split: Split,
    pub(super) rights: String,
    pub(super) clips: u64,
    pub(super) frames: u64,
    pub(super) people: u64,
}

/// Counts of frames: bin `i` holds what is from `low + i * step` on; the ends take what lies beyond.
#[derive(Debug, Serialize)]
pub(super) struct Histogram {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) low: f32,
    pub(super) step: f32,
    pub(super) counts: Vec<u64>,
    /// The same with each frame counted by its weight: what training sees.
    pub(super) weighted: Vec<f32>,
}

impl Histogram {
    fn new(name: &'static str, unit: &'static str, low: f32, step: f32, n: usize) -> Self {
        Self { name, unit, low, step, counts: vec![0; n], weighted: vec![0.0; n] }
    }

    fn add(&mut self, value: f32, weight: f32) {
        let bin = (((value - self.low) / self.step).floor().max(0.0) as usize).min(self.counts.len() - 1);
        self.counts[bin] += 1;
        self.weighted[bin] += weight;
    }
}

/// Clips and frames of each person.
type ByPerson<'a> = BTreeMap<&'a str, (u64, u64)>;

/// One line of `annotations.jsonl`.
#[derive(Serialize)]
struct Annotation<'a> {
    #[serde(flatten)]
    info: &'a ClipInfo,
    split: Split,
}

/// Writes `annotations.jsonl` and `statistics.json` for what the data set holds.
pub(super) fn write(output: &Path) -> Result<Statistics> {
    let dataset = Dataset::open(output)?;
    let infos = infos(&output.join("clips"))?;
    let statistics = Statistics::of(&dataset, &infos);
    let mut lines = Vec::new();
    for info in &infos {
        let line = Annotation { info, split: Split::of_person(&info.person) };
        serde_json::to_writer(&mut lines, &line).or_error(ErrorKind::Internal, || "cannot write a line".to_owned())?;
        lines.push(b'\n');
    }
    put(&output.join("annotations.jsonl"), &lines)?;
    put_json(&output.join("statistics.json"), &statistics)?;
    Ok(statistics)
}

/// All clips, taken or not, by name.
fn infos(folder: &Path) -> Result<Vec<ClipInfo>> {
    let about = || format!("cannot look into the folder {}", folder.display());
    let mut infos = Vec::new();
    for entry in std::fs::read_dir(folder).or_error(ErrorKind::Io, about)? {
        let dir = entry.or_error(ErrorKind::Io, about)?.path();
        // What is being made has no such file yet.
        if dir.join("clip.json").is_file() {
            infos.push(ClipInfo::read(&dir)?);
        }
    }
    infos.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(infos)
}

impl Statistics {
    fn of(dataset: &Dataset, infos: &[ClipInfo]) -> Self {
        let mut statistics = Self {
            clips: dataset.clips.len() as u64,
            histograms: vec![
                Histogram::new("yaw", "degrees", -60.0, 5.0, 24),
                Histogram::new("pitch", "degrees", -40.0, 5.0, 16),
                Histogram::new("roll", "degrees", -30.0, 5.0, 12),
                Histogram::new("mouth opening", "share of the face's height", 0.0, 0.02, 16),
                Histogram::new("blink", "coefficient", 0.0, 0.1, 10),
                Histogram::new("face size", "pixels of 256", 60.0, 10.0, 18),
                Histogram::new("weight", "times the mean", 0.0, 0.25, 25),
            ],
            ..Self::default()
        };
        let mut groups: BTreeMap<(Kind, Split, &str), ByPerson<'_>> = BTreeMap::new();
        let mut people: BTreeMap<&str, u64> = BTreeMap::new();
        for clip in &dataset.clips {
            let n = clip.frames.len() as u64;
            statistics.frames += n;
            *people.entry(&clip.person).or_default() += n;
            let group = groups.entry((clip.kind, clip.split, &clip.rights)).or_default();
            let (clips, frames) = group.entry(&clip.person).or_default();
            (*clips, *frames) = (*clips + 1, *frames + n);
            for frame in &clip.frames {
                for (histogram, value) in statistics.histograms.iter_mut().zip(values(frame)) {
                    histogram.add(value, frame.weight);
                }
            }
        }
        statistics.groups = groups
            .into_iter()
            .map(|((kind, split, rights), people)| Group {
                kind,
                split,
                rights: rights.to_owned(),
                clips: people.values().map(|(clips, _)| clips).sum(),
                frames: people.values().map(|(_, frames)| frames).sum(),
                people: people.len() as u64,
            })
            .collect();
        statistics.people = people.len() as u64;
        statistics.frames_of_person = people.into_iter().map(|(name, n)| (name.to_owned(), n)).collect();
        statistics.frames_of_person.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
        for info in infos {
            if let Some(reason) = &info.rejected {
                let reason = reason.split(':').next().unwrap_or(reason).to_owned();
                *statistics.rejected_clips.entry(reason).or_default() += 1;
                continue;
            }
            for drop in &info.dropped {
                *statistics.dropped_frames.entry(drop.reason.clone()).or_default() += drop.count;
            }
        }
        statistics
    }
}

/// The values of a frame in the order of the histograms.
fn values(frame: &Frame) -> [f32; 7] {
    let [yaw, pitch, roll] = frame.pose.yaw_pitch_roll_rads().map(f32::to_degrees);
    let points = &frame.landmarks_px;
    // Forehead to chin, and the inner edges of the lips.
    let height = points[10].distance(points[152]).max(1.0);
    let opening = points[13].distance(points[14]) / height;
    let of = |name| COEFFICIENT_NAMES.iter().position(|other| *other == name).map_or(0.0, |i| frame.coefficients[i]);
    let blink = 0.5 * (of("eyeBlinkLeft") + of("eyeBlinkRight"));
    let (low, high) = points.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), p| (l.min(p.y), h.max(p.y)));
    [yaw, pitch, roll, opening, blink, high - low, frame.weight]
}
