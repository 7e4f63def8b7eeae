//! From what was typed to a list of clips, each with a name, a person and rights.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use effigy_base::hex::hex;

use super::manifest::Manifest;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::train::dataset::Kind;

/// Endings of videos.
const VIDEOS: [&str; 6] = ["mp4", "mov", "m4v", "mkv", "webm", "avi"];
/// Endings of photos.
const PHOTOS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
/// Folders below a given one that are looked into.
const MAX_DEPTH: usize = 4;
/// Bytes at the beginning of a file, and as many at its end, that it is known by.
const N_END_BYTES: u64 = 64 << 10;

/// What to make one clip of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A video file.
    Video(PathBuf),
    /// A picture file.
    Photo(PathBuf),
    /// A clip's folder that `effigy synth data` wrote.
    Rendered(PathBuf),
}

impl Origin {
    /// SHA-256, in hexadecimal, of the length, the first and the last bytes of the file; of a rendered clip's truth. `None`
    /// where that cannot be read.
    pub(super) fn digest(&self) -> Option<String> {
        let path = match self {
            Self::Video(path) | Self::Photo(path) => path.clone(),
            Self::Rendered(folder) => folder.join("truth.jsonl"),
        };
        // A pipe would be waited for.
        let n_bytes = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?.len();
        let mut file = File::open(path).ok()?;
        let mut ends = Vec::new();
        file.by_ref().take(N_END_BYTES).read_to_end(&mut ends).ok()?;
        file.seek(SeekFrom::Start(n_bytes.saturating_sub(N_END_BYTES))).ok()?;
        file.take(N_END_BYTES).read_to_end(&mut ends).ok()?;
        Some(hex(&Sha256::new().chain_update(n_bytes.to_le_bytes()).chain_update(&ends).finalize()))
    }
}

/// One clip to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its name in the data set.
    pub name: String,
    /// What to make it of.
    pub origin: Origin,
    /// Who is seen.
    pub person: String,
    /// Class of rights.
    pub rights: String,
    /// A part that is not the person's: left, top, width, height in pixels of the file.
    pub ignore_rect: Option<[u32; 4]>,
    /// How the manifest calls it, or its file name.
    pub file: String,
}

impl Job {
    /// What the clip will be.
    pub fn kind(&self) -> Kind {
        match self.origin {
            Origin::Video(_) => Kind::Filmed,
            Origin::Photo(_) => Kind::Portrait,
            Origin::Rendered(_) => Kind::Synthetic,
        }
    }
}

/// Lists the clips in `inputs`, or all of the manifest when there are no inputs: filmed ones first, by name.
pub(super) fn collect(inputs: &[PathBuf], manifest: &Manifest) -> Result<Vec<Job>> {
    let mut origins = Vec::new();
    for entry in manifest.entries().iter().filter(|_| inputs.is_empty()) {
        origins.push(file(&entry.path).ok_or_else(|| unknown(&entry.path))?);
    }
    for input in inputs {
        if input.is_dir() {
            let before = origins.len();
            walk(input, 0, &mut origins)?;
            if origins.len() == before {
                let message = format!("no clip, photo or rendered person in the folder {}", input.display());
                return Err(Error::new(ErrorKind::Config, message));
            }
        } else if input.exists() && !input.is_file() {
            let message = format!("{} is a pipe or device, and a clip is read twice; name a file", input.display());
            return Err(Error::new(ErrorKind::Config, message));
        } else if input.exists() {
            origins.push(file(input).ok_or_else(|| unknown(input))?);
        } else {
            let message = format!("{} does not exist; expected a clip, a photo or a folder", input.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    let mut jobs: Vec<Job> = origins.into_iter().map(|origin| job(origin, manifest)).collect();
    jobs.sort_by(|a, b| (a.kind(), &a.name).cmp(&(b.kind(), &b.name)));
    jobs.dedup();
    let mut seen: HashMap<&str, &Job> = HashMap::new();
    for job in &jobs {
        if let Some(other) = seen.insert(&job.name, job) {
            let message = format!(
                "two inputs have the same name, {} and {}; rename one, or prepare them into different folders",
                other.file, job.file
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    Ok(jobs)
}

fn walk(folder: &Path, depth: usize, out: &mut Vec<Origin>) -> Result<()> {
    if folder.join("truth.jsonl").is_file() {
        out.push(Origin::Rendered(folder.to_owned()));
        return Ok(());
    }
    let about = || format!("cannot look into the folder {}", folder.display());
    for entry in std::fs::read_dir(folder).or_error(ErrorKind::Io, about)? {
        let path = entry.or_error(ErrorKind::Io, about)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_hidden {
            continue;
        }
        if path.is_file() {
            out.extend(file(&path));
        } else if path.is_dir() && depth < MAX_DEPTH {
            walk(&path, depth + 1, out)?;
        }
    }
    Ok(())
}

/// What a file is by its ending.
fn file(path: &Path) -> Option<Origin> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    if VIDEOS.contains(&ending.as_str()) {
        return Some(Origin::Video(path.to_owned()));
    }
    PHOTOS.contains(&ending.as_str()).then(|| Origin::Photo(path.to_owned()))
}

fn unknown(path: &Path) -> Error {
    let message = format!(
        "{} is neither a clip ({}) nor a photo ({}) by its name",
        path.display(),
        VIDEOS.join(", "),
        PHOTOS.join(", ")
    );
    Error::new(ErrorKind::Config, message)
}

fn job(origin: Origin, manifest: &Manifest) -> Job {
    let (Origin::Video(path) | Origin::Photo(path) | Origin::Rendered(path)) = &origin;
    let part =
        |name: Option<&std::ffi::OsStr>| name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, file_name) = (part(path.file_stem()), part(path.file_name()));
    if let Origin::Rendered(_) = origin {
        // PERSON-SCENE-MOTION
        let person = file_name.split('-').next().unwrap_or_default();
        return Job {
            name: format!("synthetic-{file_name}"),
            person: format!("synthetic-{person}"),
            rights: "synthetic".to_owned(),
            ignore_rect: None,
            file: file_name.clone(),
            origin,
        };
    }
    let entry = manifest.about(path);
    Job {
        name: stem.clone(),
        person: entry.and_then(|entry| entry.person.clone()).unwrap_or(stem),
        rights: entry.and_then(|entry| entry.rights.clone()).unwrap_or_else(|| "unknown".to_owned()),
        ignore_rect: entry.and_then(|entry| entry.ignore_rect),
        file: entry.map_or(file_name, |entry| entry.file.clone()),
        origin,
    }
}
