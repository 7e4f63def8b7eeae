//! The data set that `effigy prepare` writes and training reads.
//!
//! ```text
//! DATASET/
//!   dataset.json        format and settings it was made with
//!   statistics.json     counts, reasons, histograms; statistics.svg draws them
//!   annotations.jsonl   one line a clip: where from, what was dropped and why
//!   clips/NAME/
//!     clip.json         who, which rights, what was dropped
//!     pictures.bin      JPEG files back to back, 256×256
//!     mattes.bin        PNG files back to back: of one channel the matte; of three the matte, eyes, inner mouth
//!     flow.bin          displacements to the next frame, where asked for
//!     frames.jsonl      one frame a line: all numbers, and where its pictures lie
//! ```
//!
//! `frames.jsonl` is written last and moved into place, so a folder that has it is whole; others are passed over.
//! A data set can therefore be read while more is added to it.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use image::GrayImage;
use image::imageops::{FilterType, resize};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use effigy_base::clock::Timestamp;
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::frame::{Grey, Rgb};
use effigy_base::geometry::{FaceObservation, HeadPose, Landmarks, MouthContents, N_COEFFICIENTS};

pub use record::{ClipInfo, DropCount, FrameRecord, Seeds, TruthRecord};
pub use writer::ClipWriter;
pub use writer::{encode_jpeg, put, put_json, reject};

mod balance;
mod record;
mod writer;

/// Width and height of the stored pictures, in pixels.
pub const SIZE_PX: usize = 256;
/// Frames a second that clips are brought to.
pub const RATE_HZ: f32 = 25.0;
/// Width and height of a stored optical flow, in cells.
pub const FLOW_SIZE: usize = 64;
/// Steps of a stored displacement in one pixel of the picture.
pub const FLOW_STEPS_PER_PX: f32 = 4.0;
/// One person of so many is kept for validation.
const VALIDATION_SHARE: u64 = 10;

/// What a clip is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A person before a camera.
    Filmed,
    /// A rendered person, with the truth.
    Synthetic,
    /// One photo.
    Portrait,
}

/// What a clip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To learn from.
    Train,
    /// To measure with; nobody in it is in [`Split::Train`].
    Validation,
}

impl Split {
    /// Where a person belongs: by the hash of the name alone, so that it never changes when people are added.
    pub fn of_person(person: &str) -> Self {
        let hash = Sha256::digest(format!("effigy:{person}"));
        let number = hash.iter().take(8).rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        if number.is_multiple_of(VALIDATION_SHARE) { Self::Validation } else { Self::Train }
    }
}

/// A data set, its numbers in memory, its pictures on disk.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Its folder.
    pub dir: PathBuf,
    /// All whole clips, by name.
    pub clips: Vec<Clip>,
}

/// One clip of one person.
#[derive(Clone, Debug)]
pub struct Clip {
    /// Its folder.
    pub dir: PathBuf,
    /// Unique in the data set.
    pub name: String,
    /// Who is seen. Clips with the same name show the same person.
    pub person: String,
    /// Class of rights as the manifest says; `synthetic` for rendered people.
    pub rights: String,
    /// What it is.
    pub kind: Kind,
    /// What it is for.
    pub split: Split,
    /// Unit of [`Frame::index`], frames a second; 0 where the frames are instants without order.
    pub fps: f32,
    /// A part of all its pictures that is not the person's: left, top, width, height in stored pixels.
    pub ignore_px: Option<[u32; 4]>,
    /// What a rendered clip was made from. Clips that differ in the person alone are each other's answer.
    pub seeds: Option<Seeds>,
    /// Its frames, in order of time where they have one. Gaps are where frames were dropped.
    pub frames: Vec<Frame>,
}

/// What is known about one frame; lengths in stored pixels.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Time in units of 1 / [`Clip::fps`].
    pub index: u64,
    /// What the tracker sees.
    pub landmarks_px: Box<Landmarks>,
    /// The head as the tracker sees it, for a camera that took the stored square.
    pub pose: HeadPose,
    /// The tracker's coefficients.
    pub coefficients: [f32; N_COEFFICIENTS],
    /// How sure the tracker is, 0..1.
    pub presence: f32,
    /// How often to draw this frame, so that people, poses and expressions are balanced; 1 in the mean of its split.
    pub weight: f32,
    /// What is true; of rendered frames only.
    pub truth: Option<Box<Truth>>,
    picture: [u64; 2],
    matte: [u64; 2],
    flow: Option<[u64; 2]>,
}

/// What is true of a rendered frame; lengths in stored pixels.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The points.
    pub landmarks_px: Landmarks,
    /// The coefficients that were set, in the tracker's order.
    pub coefficients: [f32; N_COEFFICIENTS],
    /// The head, for the camera that rendered it: its focal length differs from the tracker's assumption.
    pub pose: HeadPose,
}

/// Where things are in a rendered frame, 0..255, [`SIZE_PX`] square.
#[derive(Clone, Debug)]
pub struct Masks {
    /// The eyeballs that can be seen.
    pub eyes: Grey,
    /// The inner mouth: teeth, tongue, dark.
    pub mouth: Grey,
}

/// Optical flow from a frame to the next: for each cell of a grid of [`FLOW_SIZE`] squared over the picture how far
/// what is there moves, in stored pixels (x to the right, y down).
pub type Flow = Vec<[f32; 2]>;

impl Dataset {
    /// Reads the numbers of all whole clips.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when the folder is no data set, or a file in it is torn.
    pub fn open(dir: &Path) -> Result<Self> {
        let folder = dir.join("clips");
        let about = || format!("expected a data set in {} (`effigy prepare` makes one)", dir.display());
        let mut dirs: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(&folder).or_error(ErrorKind::Io, about)? {
            let path = entry.or_error(ErrorKind::Io, about)?.path();
            if path.join("frames.jsonl").is_file() {
                dirs.push(path);
            }
        }
        dirs.sort();
        let mut clips = dirs.par_iter().map(|dir| Clip::open(dir)).collect::<Result<Vec<_>>>()?;
        balance::set_weights(&mut clips);
        Ok(Self { dir: dir.to_owned(), clips })
    }

    /// The clips of one split.
    pub fn split(&self, split: Split) -> impl Iterator<Item = &Clip> {
        self.clips.iter().filter(move |clip| clip.split == split)
    }
}

impl Clip {
    fn open(dir: &Path) -> Result<Self> {
        let info = ClipInfo::read(dir)?;
        let path = dir.join("frames.jsonl");
        let text =
            std::fs::read_to_string(&path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
        let frame = |(i, line): (usize, &str)| -> Result<Frame> {
            let about = || format!("line {} of {} is torn; delete its folder and prepare again", i + 1, path.display());
            let record: FrameRecord = serde_json::from_str(line).or_error(ErrorKind::Io, about)?;
            record.into_frame().ok_or_else(|| Error::new(ErrorKind::Io, about()))
        };
        Ok(Self {
            dir: dir.to_owned(),
            name: info.name,
            split: Split::of_person(&info.person),
            person: info.person,
            rights: info.rights,
            kind: info.kind,
            fps: info.fps,
            ignore_px: info.ignore_px,
            seeds: info.seeds,
            frames: text.lines().enumerate().map(frame).collect::<Result<_>>()?,
        })
    }

    /// Decodes the picture of frame number `frame` of [`Clip::frames`].
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read; [`ErrorKind::Photo`] when it is torn.
    pub fn picture(&self, frame: usize) -> Result<Rgb> {
        effigy_photo::decode(&self.bytes("pictures.bin", self.frame(frame)?.picture)?)
    }

    /// Decodes the matte: 255 is person. The truth where the frame was rendered, else the matte network's.
    ///
    /// # Errors
    /// As [`Clip::picture`].
    pub fn matte(&self, frame: usize) -> Result<Grey> {
        let stored = effigy_photo::decode(&self.bytes("mattes.bin", self.frame(frame)?.matte)?)?;
        channel(&stored, 0)
    }

    /// Decodes where eyes and inner mouth are; `None` for frames that were not rendered.
    ///
    /// # Errors
    /// As [`Clip::picture`].
    pub fn masks(&self, frame: usize) -> Result<Option<Masks>> {
        if self.kind != Kind::Synthetic {
            return Ok(None);
        }
        let stored = effigy_photo::decode(&self.bytes("mattes.bin", self.frame(frame)?.matte)?)?;
        Ok(Some(Masks { eyes: channel(&stored, 1)?, mouth: channel(&stored, 2)? }))
    }

    /// Reads the optical flow to the next frame; `None` where it was not asked for, or there is no next frame
    /// directly after.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be read.
    pub fn flow(&self, frame: usize) -> Result<Option<Flow>> {
        let Some(place) = self.frame(frame)?.flow else { return Ok(None) };
        let bytes = self.bytes("flow.bin", place)?;
        let px = |byte: &u8| f32::from(byte.cast_signed()) / FLOW_STEPS_PER_PX;
        Ok(Some(bytes.as_chunks().0.iter().map(|[x, y]: &[u8; 2]| [px(x), px(y)]).collect()))
    }

    fn frame(&self, frame: usize) -> Result<&Frame> {
        self.frames.get(frame).ok_or_else(|| {
            let message = format!("frame {frame} of {} was asked for, it has {}", self.name, self.frames.len());
            Error::new(ErrorKind::Internal, message)
        })
    }

    fn bytes(&self, name: &str, [offset, length]: [u64; 2]) -> Result<Vec<u8>> {
        let path = self.dir.join(name);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        File::open(&path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(offset))?;
                file.read_exact(&mut bytes)
            })
            .or_error(ErrorKind::Io, || format!("cannot read {length} bytes at {offset} of {}", path.display()))?;
        Ok(bytes)
    }
}

impl Frame {
    /// The frame as the face stage would hand it on. It was taken at `index` in units of 1 / 25 s.
    pub fn observation(&self) -> FaceObservation {
        FaceObservation {
            captured: Timestamp::from_nanos((self.index as f64 * 1e9 / f64::from(RATE_HZ)) as u64),
            frame_size_px: (SIZE_PX, SIZE_PX),
            landmarks_px: *self.landmarks_px,
            presence: self.presence,
            coefficients: self.coefficients,
            pose: self.pose,
            mouth: MouthContents::UNKNOWN,
            covered: 0.0,
        }
    }
}

/// One channel of a picture, brought to [`SIZE_PX`].
fn channel(picture: &Rgb, index: usize) -> Result<Grey> {
    let data = picture.data().as_chunks::<3>().0.iter().map(|pixel| pixel[index]).collect();
    let grey = Grey::from_data(picture.width_px(), picture.height_px(), data)?;
    if (grey.width_px(), grey.height_px()) == (SIZE_PX, SIZE_PX) {
        return Ok(grey);
    }
    let size =
        |px: usize| u32::try_from(px).or_error(ErrorKind::Io, || "a picture of a data set is too large".to_owned());
    let (width, height) = (size(grey.width_px())?, size(grey.height_px())?);
    let Some(grey) = GrayImage::from_raw(width, height, grey.data().to_vec()) else {
        return Err(Error::new(ErrorKind::Internal, "a channel has another size than its picture"));
    };
    let resized = resize(&grey, SIZE_PX as u32, SIZE_PX as u32, FilterType::Triangle);
    Grey::from_data(SIZE_PX, SIZE_PX, resized.into_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_split_is_by_name_and_never_changes() {
        // Written down: a person must not move to the other side when the code changes.
        let validation: Vec<u32> =
            (0..60).filter(|i| Split::of_person(&format!("person-{i}")) == Split::Validation).collect();
        assert_eq!(validation, [4, 18, 22, 53]);
        let share = (0..2000).filter(|i| Split::of_person(&format!("{i}")) == Split::Validation).count();
        assert!((150..250).contains(&share), "{share} of 2000 are in validation, expected a tenth");
    }
}
