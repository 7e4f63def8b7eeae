//! Writes clips for training: resumable, compact, the same for the same seeds.
//!
//! A clip is a folder `clips/PERSON-SCENE-MOTION` with
//! `frames.bin` (JPEG pictures back to back), `masks.bin` (PNG pictures of half the side, back to back: red coverage, green eyes, blue inner mouth) and
//! `truth.jsonl` (one [`Record`] a line: where both pictures lie, and the [`Truth`]).
//! `truth.jsonl` is written last and moved into place, so a folder that has it is whole.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use image::{ExtendedColorType, ImageEncoder as _, codecs};
use serde::{Deserialize, Serialize};

use super::{
    Error, ErrorKind,
    motion::{LOOP_SECS, Motion},
    person::{Person, Studio},
    random::Rng,
    render::{Frame, Quality, Renderer},
    scene::Scene,
    truth::Truth,
};
use crate::error::OrError as _;
use crate::photo;
use crate::shard::Shard;

/// What to write.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Seed of the first person.
    pub first_person: u64,
    /// How many people.
    pub n_people: u64,
    /// Frames of each clip.
    pub n_frames: u64,
    /// Width and height of the pictures, in pixels; even.
    pub side_px: usize,
    /// Time between frames, seconds; 0 takes random instants of the motion.
    pub step_secs: f32,
    /// Adds to each clip a second one: another identity with the same motion, light, background and camera.
    pub cross_identity: bool,
    /// Quality of the pictures, 1 to 100.
    pub jpeg_quality: u8,
    /// Which part of the clips.
    pub shard: Shard,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            first_person: 0,
            n_people: 400,
            n_frames: 50,
            side_px: 256,
            step_secs: 0.0,
            cross_identity: false,
            jpeg_quality: 95,
            shard: Shard::WHOLE,
        }
    }
}

/// Seeds of a clip; two clips that differ in the person alone are each other's answer key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipSeeds {
    /// The person.
    pub person: u64,
    /// Light, background, camera.
    pub scene: u64,
    /// What the face does.
    pub motion: u64,
}

/// One line of `truth.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Counts the frames of the clip from 0.
    pub frame: u64,
    /// The instant of the motion, in seconds.
    pub at_secs: f32,
    /// Seed of the motion.
    pub motion_seed: u64,
    /// Offset and length in `frames.bin`.
    pub picture: [u64; 2],
    /// Offset and length in `masks.bin`.
    pub masks: [u64; 2],
    /// What is true of the picture, at its full size.
    pub truth: Truth,
}

/// What [`write()`] reports after each clip.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Clips that are there.
    pub n_done: u64,
    /// Clips in all.
    pub n_clips: u64,
    /// Bytes of all clips so far.
    pub bytes: u64,
}

/// Added to a person's seed for the other identity of a cross-identity pair.
const OTHER_PERSON: u64 = 1 << 40;

/// Clips of a plan's part, in order.
pub fn clips(plan: &Plan) -> Vec<ClipSeeds> {
    let mut out = Vec::new();
    for person in plan.first_person..plan.first_person + plan.n_people {
        let seeds = ClipSeeds { person, scene: person, motion: person };
        out.push(seeds);
        if plan.cross_identity {
            out.push(ClipSeeds { person: person + OTHER_PERSON, ..seeds });
        }
    }
    out.into_iter().enumerate().filter(|(i, _)| plan.shard.has(*i)).map(|(_, seeds)| seeds).collect()
}

/// Writes the clips of `plan` that `dir` does not hold yet; `progress` may stop the work by returning `false`.
///
/// # Errors
/// When a file cannot be written; [`ErrorKind::Config`] when `dir` holds a clip of the same seeds that was made otherwise.
pub fn write(
    studio: &Studio,
    plan: &Plan,
    dir: &Path,
    mut progress: impl FnMut(Progress) -> bool,
) -> Result<(), Error> {
    let clips = clips(plan);
    // All that is there is looked at before the first is rendered.
    check_found(plan, &clips, dir)?;
    let mut bytes = 0;
    for (i, seeds) in clips.iter().enumerate() {
        let folder = folder_of(dir, *seeds);
        if !folder.join("truth.jsonl").exists() {
            write_clip(studio, plan, *seeds, &folder)?;
        }
        for name in ["frames.bin", "masks.bin", "truth.jsonl"] {
            bytes += fs::metadata(folder.join(name)).map_or(0, |m| m.len());
        }
        if !progress(Progress { n_done: i as u64 + 1, n_clips: clips.len() as u64, bytes }) {
            break;
        }
    }
    Ok(())
}

fn folder_of(dir: &Path, seeds: ClipSeeds) -> PathBuf {
    dir.join("clips").join(format!("{:06}-{:06}-{:06}", seeds.person, seeds.scene, seeds.motion))
}

/// What of a [`Record`] tells how a clip was made.
#[derive(Deserialize)]
struct Made {
    at_secs: f32,
    picture: [u64; 2],
}

/// Refuses a folder whose clips were made otherwise: kept beside new ones they would be what nobody asked for.
fn check_found(plan: &Plan, clips: &[ClipSeeds], dir: &Path) -> Result<(), Error> {
    /// A number that went through a text may be off by less.
    const SAME_SECS: f32 = 1e-3;
    for seeds in clips {
        let folder = folder_of(dir, *seeds);
        let path = folder.join("truth.jsonl");
        if !path.exists() {
            continue;
        }
        let torn = || format!("{} is torn; delete it and render it again", folder.display());
        let text = fs::read_to_string(&path).or_error(ErrorKind::Io, torn)?;
        let made: Vec<Made> = text
            .lines()
            .map(|line| serde_json::from_str::<Made>(line).or_error(ErrorKind::Io, torn))
            .collect::<Result<_, _>>()?;
        let refused = |what: String| {
            let message = format!("{} holds clips {what}; use another folder", dir.display());
            Err(Error::new(ErrorKind::Config, message))
        };
        if made.len() as u64 != plan.n_frames {
            return refused(format!("of {} frames, asked for {}", made.len(), plan.n_frames));
        }
        let times_secs = times_secs(plan, *seeds);
        if made.iter().zip(&times_secs).any(|(made, secs)| (made.at_secs - secs).abs() > SAME_SECS) {
            return refused("with frames at other times, as of another rate".to_owned());
        }
        let Some(first) = made.first() else { continue };
        let coded = part_of(&folder.join("frames.bin"), first.picture)?;
        let side_px = photo::decode(&coded).or_error(ErrorKind::Io, torn)?.width_px();
        if side_px != plan.side_px {
            return refused(format!("of {side_px} pixels, asked for {}", plan.side_px));
        }
    }
    Ok(())
}

/// Reads a part of a file: where it begins, and how long it is.
fn part_of(path: &Path, [offset, length]: [u64; 2]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            file.take(length).read_to_end(&mut bytes)
        })
        .or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

/// Times of a clip's frames: they depend on the motion's seed only, so that a pair shares them.
pub fn times_secs(plan: &Plan, seeds: ClipSeeds) -> Vec<f32> {
    let mut rng = Rng::new(seeds.motion, 31);
    let start = rng.range(0.0, LOOP_SECS);
    (0..plan.n_frames)
        .map(|i| if plan.step_secs > 0.0 { start + i as f32 * plan.step_secs } else { rng.range(0.0, LOOP_SECS) })
        .collect()
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |e| Error::new(ErrorKind::Io, format!("cannot write {}: {e}", path.display()))
}

fn write_clip(studio: &Studio, plan: &Plan, seeds: ClipSeeds, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(io(folder))?;
    let person = Person::sample(seeds.person, studio);
    // The picture is coded once, at the end: a scene's own compression would only add to it.
    let mut scene = Scene::sample(seeds.scene);
    scene.jpeg_quality = None;
    let motion = Motion::sample(seeds.motion);
    let mut renderer = Renderer::new(studio, &person, scene, Quality { side_px: plan.side_px, samples: 2 });
    let (mut pictures, mut masks, mut lines) = (Vec::new(), Vec::new(), String::new());
    for (i, at_secs) in times_secs(plan, seeds).into_iter().enumerate() {
        let frame = renderer.render(&motion.at(at_secs), i as u64);
        let picture = append(&mut pictures, |out| encode_jpeg(&frame, plan.jpeg_quality, out))?;
        let mask = append(&mut masks, |out| encode_masks(&frame, out))?;
        let record = Record {
            frame: i as u64,
            at_secs,
            motion_seed: seeds.motion,
            picture,
            masks: mask,
            truth: frame.truth.rounded(),
        };
        lines += &serde_json::to_string(&record).map_err(|e| Error::new(ErrorKind::Io, format!("truth: {e}")))?;
        lines.push('\n');
    }
    put(&folder.join("frames.bin"), &pictures)?;
    put(&folder.join("masks.bin"), &masks)?;
    put(&folder.join("truth.jsonl"), lines.as_bytes())
}

fn append(
    to: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), image::ImageError>,
) -> Result<[u64; 2], Error> {
    let start = to.len() as u64;
    encode(to).map_err(|e| Error::new(ErrorKind::Io, format!("cannot code a picture: {e}")))?;
    Ok([start, to.len() as u64 - start])
}

/// Writes beside the place and moves there, so that an interrupted write leaves nothing half done, and one that fails
/// nothing at all.
fn put(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside: PathBuf = path.with_extension("part");
    let written = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It may not be there: what failed says enough.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(io(path))
}

fn encode_jpeg(frame: &Frame, quality: u8, out: &mut Vec<u8>) -> Result<(), image::ImageError> {
    let n = frame.side_px as u32;
    codecs::jpeg::JpegEncoder::new_with_quality(out, quality).write_image(&frame.rgb, n, n, ExtendedColorType::Rgb8)
}

/// Coverage, eyes and inner mouth as one RGB picture of half the side.
fn encode_masks(frame: &Frame, out: &mut Vec<u8>) -> Result<(), image::ImageError> {
    let (n, half) = (frame.side_px, frame.side_px / 2);
    let mut rgb = Vec::with_capacity(half * half * 3);
    for y in 0..half {
        for x in 0..half {
            for plane in [&frame.alpha, &frame.eye_mask, &frame.mouth_mask] {
                let at = |dx: usize, dy: usize| u32::from(plane[(2 * y + dy) * n + 2 * x + dx]);
                rgb.push(((at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4) as u8);
            }
        }
    }
    let (compression, filter) = (codecs::png::CompressionType::Best, codecs::png::FilterType::Adaptive);
    codecs::png::PngEncoder::new_with_quality(out, compression, filter).write_image(
        &rgb,
        half as u32,
        half as u32,
        ExtendedColorType::Rgb8,
    )
}

/// A grid of random people in random scenes, `columns` × `rows` cells of `cell_px`, as a JPEG.
///
/// # Errors
/// When the picture cannot be coded.
pub fn contact_sheet(
    studio: &Studio,
    first_person: u64,
    [columns, rows]: [usize; 2],
    cell_px: usize,
    mut progress: impl FnMut(usize),
) -> Result<Vec<u8>, Error> {
    let (width, height) = (columns * cell_px, rows * cell_px);
    let mut sheet = vec![0u8; width * height * 3];
    for i in 0..columns * rows {
        let seed = first_person + i as u64;
        let person = Person::sample(seed, studio);
        let motion = Motion::sample(seed);
        let mut renderer =
            Renderer::new(studio, &person, Scene::sample(seed), Quality { side_px: cell_px, samples: 3 });
        let frame = renderer.render(&motion.at(Rng::new(seed, 41).range(0.0, LOOP_SECS)), 0);
        let (cx, cy) = (i % columns * cell_px, i / columns * cell_px);
        for (y, row) in frame.rgb.chunks_exact(3 * cell_px).enumerate() {
            let at = 3 * ((cy + y) * width + cx);
            sheet[at..at + 3 * cell_px].copy_from_slice(row);
        }
        progress(i + 1);
    }
    let mut out = Vec::new();
    codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 88)
        .write_image(&sheet, width as u32, height as u32, ExtendedColorType::Rgb8)
        .map_err(|e| Error::new(ErrorKind::Io, format!("cannot code the contact sheet: {e}")))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_that_were_made_otherwise_are_refused() {
        let dir = std::env::temp_dir().join(format!("effigy-studio-found-{}", std::process::id()));
        let plan = Plan { first_person: 5, n_people: 2, n_frames: 3, side_px: 64, ..Plan::default() };
        let seeds = clips(&plan);
        // One is there, the other is yet to be made.
        let folder = folder_of(&dir, seeds[1]);
        fs::create_dir_all(&folder).unwrap();
        let mut picture = Vec::new();
        codecs::jpeg::JpegEncoder::new(&mut picture)
            .write_image(&[0; 64 * 64 * 3], 64, 64, ExtendedColorType::Rgb8)
            .unwrap();
        fs::write(folder.join("frames.bin"), &picture).unwrap();
        let line = |secs: f32| format!("{{\"at_secs\": {secs}, \"picture\": [0, {}], \"frame\": 0}}\n", picture.len());
        let text: String = times_secs(&plan, seeds[1]).into_iter().map(line).collect();
        fs::write(folder.join("truth.jsonl"), text).unwrap();
        check_found(&plan, &seeds, &dir).unwrap();
        for (other, expected) in [
            (Plan { n_frames: 5, ..plan.clone() }, "holds clips of 3 frames, asked for 5; use another folder"),
            (Plan { step_secs: 0.04, ..plan.clone() }, "holds clips with frames at other times"),
            (Plan { side_px: 128, ..plan.clone() }, "holds clips of 64 pixels, asked for 128"),
        ] {
            let error = check_found(&other, &seeds, &dir).unwrap_err();
            assert!(error.kind() == ErrorKind::Config && error.to_string().contains(expected), "{error}");
        }
        fs::write(folder.join("truth.jsonl"), "{\"at_secs\": 0").unwrap();
        let error = check_found(&plan, &seeds, &dir).unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("is torn"), "{error}");
        fs::remove_dir_all(dir).unwrap();
    }
}
