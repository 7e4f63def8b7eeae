//! Where the pictures come from that a family learns.

use crate::dataset::{Clip, Dataset, Kind, SIZE_PX, Split};
use crate::pick::Picker;
use effigy_base::error::{Error, ErrorKind, Result};
use effigy_base::frame::Rgb;
use effigy_base::random::Rng;

/// How often a picture is a frame of a clip, where there are clips; the others are anybody's portrait.
const FRAMES: f32 = 0.5;

/// Which frames a learner wants together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// So many that follow each other; one is a picture.
    InRow(usize),
    /// So many of one person, from anywhere in a clip.
    OfOne(usize),
}

impl Frames {
    /// How many.
    pub fn n(self) -> usize {
        match self {
            Self::InRow(n) | Self::OfOne(n) => n,
        }
    }
}

/// Pictures to learn from and to validate with.
pub trait Pictures {
    /// What it holds, in a few words.
    fn about(&self) -> String;

    /// Draws `n` times some frames: (n, 3 frames, s, s), 0..1.
    ///
    /// # Errors
    /// When a picture cannot be read.
    fn batch(&self, n: usize, frames: Frames, size_px: usize, rng: &mut Rng) -> Result<Vec<f32>>;

    /// Up to `n` of people that nobody learns from, the same every time; `None` where there are none.
    ///
    /// # Errors
    /// As [`Pictures::batch`].
    fn validation(&self, n: usize, frames: Frames, size_px: usize) -> Result<Option<Vec<f32>>>;
}

/// The pictures of a data set of `effigy prepare`.
pub struct DatasetPictures {
    dataset: Dataset,
}

impl DatasetPictures {
    /// Takes a data set from which such frames shall be drawn.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it has nothing of the kind.
    pub fn new(dataset: Dataset, frames: Frames) -> Result<Self> {
        let pictures = Self { dataset };
        let (has_any, what) = match frames {
            Frames::InRow(1) | Frames::OfOne(_) => {
                (!Picker::new(&pictures.dataset, Split::Train).is_empty(), "nobody to train on".to_owned())
            }
            Frames::InRow(n) => (pictures.runs(Split::Train, n).next().is_some(), format!("no clip of {n} frames")),
        };
        if has_any {
            return Ok(pictures);
        }
        let folder = pictures.dataset.dir.display();
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

    fn batch(&self, n: usize, frames: Frames, size_px: usize, rng: &mut Rng) -> Result<Vec<f32>> {
        let picker = Picker::new(&self.dataset, Split::Train);
        let runs: Vec<_> = match frames {
            Frames::InRow(n) if n > 1 => self.runs(Split::Train, n).collect(),
            _ => Vec::new(),
        };
        let mut values = Vec::with_capacity(n * frames.n() * 3 * size_px * size_px);
        for _ in 0..n {
            let is_portrait = runs.is_empty() && !rng.chance(FRAMES);
            let (clip, drawn) = if let Some((clip, begins)) = runs.get(rng.below(runs.len())) {
                let first = begins[rng.below(begins.len())];
                (*clip, (first..first + frames.n()).collect())
            } else if is_portrait {
                let (clip, frame) = picker.portrait(rng);
                (clip, vec![frame; frames.n()])
            } else {
                let pick = picker.pick(1, rng);
                let others = (1..frames.n()).map(|_| rng.below(pick.clip.frames.len()));
                (pick.clip, pick.frames.into_iter().chain(others).collect())
            };
            let is_mirrored = rng.chance(0.5);
            let mut window = match frames {
                Frames::InRow(_) => Window::WHOLE,
                Frames::OfOne(_) => Window::draw(rng),
            };
            for i in 0..frames.n() {
                let Some(&frame) = drawn.get(i).or(drawn.last()) else { continue };
                // A portrait is there once: it moves by being cut out otherwise.
                if frames != Frames::InRow(1) && is_portrait {
                    window = Window::draw(rng);
                }
                append(&clip.picture(frame)?, size_px, is_mirrored, window, &mut values);
            }
        }
        Ok(values)
    }

    fn validation(&self, n: usize, frames: Frames, size_px: usize) -> Result<Option<Vec<f32>>> {
        let all: Vec<(&Clip, Vec<usize>)> = match frames {
            Frames::InRow(1) => {
                let each = |clip: &Clip| (0..clip.frames.len()).step_by(25).collect::<Vec<_>>();
                let clips = self.dataset.split(Split::Validation);
                clips.flat_map(|clip| each(clip).into_iter().map(move |frame| (clip, vec![frame]))).collect()
            }
            Frames::InRow(n) => {
                let runs = self.runs(Split::Validation, n);
                runs.map(|(clip, begins)| (clip, begins[begins.len() / 2]))
                    .map(|(clip, first)| (clip, (first..first + n).collect()))
                    .collect()
            }
            Frames::OfOne(n) => {
                let clips = self.dataset.split(Split::Validation).filter(|clip| clip.frames.len() >= n);
                clips.map(|clip| (clip, (0..n).map(|i| i * (clip.frames.len() - 1) / n.max(2)).collect())).collect()
            }
        };
        let step = all.len().div_ceil(n).max(1);
        let mut values = Vec::new();
        for (clip, drawn) in all.into_iter().step_by(step) {
            for frame in drawn {
                append(&clip.picture(frame)?, size_px, false, Window::WHOLE, &mut values);
            }
        }
        Ok((!values.is_empty()).then_some(values))
    }
}

/// The part of a stored picture that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    /// Left and upper edge, in stored pixels.
    corner: [f32; 2],
    /// Side in stored pixels.
    side: f32,
}

impl Window {
    const WHOLE: Self = Self { corner: [0.0; 2], side: SIZE_PX as f32 };

    /// A somewhat smaller one, somewhere.
    fn draw(rng: &mut Rng) -> Self {
        let side = SIZE_PX as f32 * rng.range(0.88, 1.0);
        let room = SIZE_PX as f32 - side;
        Self { corner: [rng.range(0.0, 1.0) * room, rng.range(0.0, 1.0) * room], side }
    }
}

/// Adds a window of a stored picture in planes, each pixel the mean of those it covers.
fn append(picture: &Rgb, size_px: usize, is_mirrored: bool, window: Window, values: &mut Vec<f32>) {
    let width = picture.width_px();
    let step = window.side / size_px as f32;
    // Stored pixels that each new one covers, to the nearest; never none.
    let covered = |at: usize, corner: f32| {
        let edge = |i: usize| ((corner + i as f32 * step).round() as usize).min(SIZE_PX);
        let from = edge(at).min(SIZE_PX - 1);
        from..edge(at + 1).max(from + 1)
    };
    for c in 0..3 {
        for y in 0..size_px {
            let rows = covered(y, window.corner[1]);
            for x in 0..size_px {
                let columns = covered(if is_mirrored { size_px - 1 - x } else { x }, window.corner[0]);
                let n = rows.len() * columns.len();
                let places = rows.clone().flat_map(|row| columns.clone().map(move |column| row * width + column));
                let sum: u32 = places.map(|place| u32::from(picture.data()[3 * place + c])).sum();
                values.push(sum as f32 / (255.0 * n as f32));
            }
        }
    }
}
