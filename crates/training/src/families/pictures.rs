//! Where the pictures come from that a family learns.

use crate::dataset::{Clip, Dataset, Kind, SIZE_PX, Split};
use crate::pick::Picker;
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_base::frame::Rgb;
use effigy_base::random::Rng;

/// How often a picture is a frame of a clip, where there are clips; the others are anybody's portrait.
const FRAMES: f32 = 0.5;

/// Pictures to learn from and to validate with.
pub trait Pictures {
    /// What it holds, in a few words.
    fn about(&self) -> String;

    /// Draws `n` clips of `n_frames` frames that follow each other: (n, 3 n_frames, s, s), 0..1.
    ///
    /// # Errors
    /// When a picture cannot be read.
    fn batch(&self, n: usize, n_frames: usize, size_px: usize, rng: &mut Rng) -> Result<Vec<f32>>;

    /// Up to `n` of people that nobody learns from, the same every time; `None` where there are none.
    ///
    /// # Errors
    /// As [`Pictures::batch`].
    fn validation(&self, n: usize, n_frames: usize, size_px: usize) -> Result<Option<Vec<f32>>>;
}

/// The pictures of a data set of `effigy prepare`.
pub struct DatasetPictures {
    dataset: Dataset,
}

impl DatasetPictures {
    /// Takes a data set from which clips of `n_frames` frames shall be drawn.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it has nothing of the kind.
    pub fn new(dataset: Dataset, n_frames: usize) -> Result<Self> {
        let pictures = Self { dataset };
        let has_any = match n_frames {
            1 => !Picker::new(&pictures.dataset, Split::Train).is_empty(),
            _ => pictures.runs(Split::Train, n_frames).next().is_some(),
        };
        if has_any {
            return Ok(pictures);
        }
        let folder = pictures.dataset.dir.display();
        let what =
            if n_frames == 1 { "nobody to train on".to_owned() } else { format!("no clip of {n_frames} frames") };
        Err(Error::new(ErrorKind::Config, format!("{folder} has {what}; add clips with `effigy prepare`")))
    }

    /// Clips with a run of frames without a gap, and where the runs begin.
    fn runs(&self, split: Split, n_frames: usize) -> impl Iterator<Item = (&Clip, Vec<usize>)> {
        let clips = self.dataset.split(split).filter(|clip| clip.kind == Kind::Filmed);
        clips.filter_map(move |clip| {
            let last = clip.frames.len().checked_sub(n_frames)?;
            let is_whole =
                |&at: &usize| clip.frames[at + n_frames - 1].index - clip.frames[at].index == (n_frames - 1) as u64;
            let begins: Vec<usize> = (0..=last).filter(is_whole).collect();
            (!begins.is_empty()).then_some((clip, begins))
        })
    }
}

impl Pictures for DatasetPictures {
    fn about(&self) -> String {
        format!("{} clips", self.dataset.clips.len())
    }

    fn batch(&self, n: usize, n_frames: usize, size_px: usize, rng: &mut Rng) -> Result<Vec<f32>> {
        let picker = Picker::new(&self.dataset, Split::Train);
        let runs: Vec<_> = if n_frames > 1 { self.runs(Split::Train, n_frames).collect() } else { Vec::new() };
        let mut values = Vec::with_capacity(n * n_frames * 3 * size_px * size_px);
        for _ in 0..n {
            let (clip, first) = if let Some((clip, begins)) = runs.get(rng.below(runs.len())) {
                (*clip, begins[rng.below(begins.len())])
            } else if rng.chance(FRAMES) {
                let pick = picker.pick(1, rng);
                (pick.clip, pick.frames.first().copied().unwrap_or_default())
            } else {
                picker.portrait(rng)
            };
            let is_mirrored = rng.chance(0.5);
            for frame in first..first + n_frames {
                append(&clip.picture(frame)?, size_px, is_mirrored, &mut values);
            }
        }
        Ok(values)
    }

    fn validation(&self, n: usize, n_frames: usize, size_px: usize) -> Result<Option<Vec<f32>>> {
        let all: Vec<(&Clip, usize)> = if n_frames > 1 {
            self.runs(Split::Validation, n_frames).map(|(clip, begins)| (clip, begins[begins.len() / 2])).collect()
        } else {
            let frames = |clip: &Clip| (0..clip.frames.len()).step_by(25).collect::<Vec<_>>();
            self.dataset
                .split(Split::Validation)
                .flat_map(|clip| frames(clip).into_iter().map(move |f| (clip, f)))
                .collect()
        };
        let step = all.len().div_ceil(n).max(1);
        let mut values = Vec::new();
        for (clip, first) in all.into_iter().step_by(step) {
            for frame in first..first + n_frames {
                append(&clip.picture(frame)?, size_px, false, &mut values);
            }
        }
        Ok((!values.is_empty()).then_some(values))
    }
}

/// Adds a stored picture in planes, each pixel the mean of those it covers.
fn append(picture: &Rgb, size_px: usize, is_mirrored: bool, values: &mut Vec<f32>) {
    let (each, width) = ((SIZE_PX / size_px).max(1), picture.width_px());
    let scale = 1.0 / (255.0 * (each * each) as f32);
    for c in 0..3 {
        for y in 0..size_px {
            for x in 0..size_px {
                let x = if is_mirrored { size_px - 1 - x } else { x };
                let rows =
                    (y * each..(y + 1) * each).flat_map(|row| (x * each..(x + 1) * each).map(move |col| (row, col)));
                let sum: u32 = rows.map(|(row, col)| u32::from(picture.data()[3 * (row * width + col) + c])).sum();
                values.push(sum as f32 * scale);
            }
        }
    }
}
