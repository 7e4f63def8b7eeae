//! Joins the parts of a data set, or of rendered people, that several processes made.

use std::path::{Path, PathBuf};

use super::{Settings, is_whole, write_statistics};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::train::dataset::{ClipInfo, put};

/// Files that two folders of one clip have in common: of a data set's clip, and of a rendered person's.
const COMMON_FILES: [&str; 3] = ["clip.json", "frames.jsonl", "truth.jsonl"];

/// Joins data sets that [`super::prepare`] made with one [`super::Options::shard`] each, or folders of rendered people, in
/// `output`; returns how many clips it holds. A data set gets its statistics, so that it is the one that a single process
/// would have made, byte for byte. The output may be one of the inputs.
///
/// # Errors
/// - [`ErrorKind::Config`]: an input is neither, they were made otherwise, or two have another clip under one name.
/// - [`ErrorKind::Io`]: a file cannot be read or written.
pub fn merge(inputs: &[PathBuf], output: &Path) -> Result<usize> {
    let config = |message: String| Error::new(ErrorKind::Config, message);
    let mut settings: Option<(Option<Settings>, &PathBuf)> = None;
    for input in inputs {
        if !input.join("clips").is_dir() {
            return Err(config(format!(
                "{} has no folder `clips`; expected a data set or rendered people",
                input.display()
            )));
        }
        let own = settings_of(input)?;
        match &settings {
            Some((other, with)) if *other != own => {
                let message = "were made with other settings or by another command (see their dataset.json)";
                return Err(config(format!("{} and {} {message}", with.display(), input.display())));
            }
            Some(_) => {}
            None => settings = Some((own, input)),
        }
    }
    let (settings, first) = settings.ok_or_else(|| config("expected at least one folder to join".to_owned()))?;
    let clips = output.join("clips");
    std::fs::create_dir_all(&clips).or_error(ErrorKind::Io, || format!("cannot make {}", clips.display()))?;
    if let (true, here) = (settings.is_some(), output.join("dataset.json")) {
        if settings_of(output)?.is_some_and(|own| Some(own) != settings) {
            return Err(config(format!("the data set in {} was made with other settings", output.display())));
        }
        if !here.exists() {
            let from = first.join("dataset.json");
            put(&here, &std::fs::read(&from).or_error(ErrorKind::Io, || format!("cannot read {}", from.display()))?)?;
        }
    }
    for input in inputs {
        for clip in clips_in(&input.join("clips"))? {
            take(&clip, &clips)?;
        }
    }
    if settings.is_some() {
        write_statistics(output)?;
    }
    Ok(clips_in(&clips)?.len())
}

fn settings_of(folder: &Path) -> Result<Option<Settings>> {
    let path = folder.join("dataset.json");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).map(Some).or_error(ErrorKind::Config, || format!("{} is no data set's", path.display()))
}

/// The clips' folders that are whole, by name.
fn clips_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let about = || format!("cannot look into the folder {}", folder.display());
    let mut clips = Vec::new();
    for entry in std::fs::read_dir(folder).or_error(ErrorKind::Io, about)? {
        let path = entry.or_error(ErrorKind::Io, about)?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && is_clip(&path) {
            clips.push(path);
        }
    }
    clips.sort();
    Ok(clips)
}

/// Whether a folder is a whole clip of a data set, or a rendered person's, whose truth is written last.
fn is_clip(folder: &Path) -> bool {
    folder.join("truth.jsonl").is_file() || ClipInfo::read(folder).is_ok_and(|info| is_whole(folder, &info))
}

/// Copies a clip's folder beside its place and moves it there, if there is no whole one yet.
fn take(clip: &Path, clips: &Path) -> Result<()> {
    let name = clip.file_name().unwrap_or_default();
    let to = clips.join(name);
    let about = || format!("cannot copy {} to {}", clip.display(), clips.display());
    if is_clip(&to) {
        for name in COMMON_FILES {
            let [here, there] = [&to, clip].map(|folder| std::fs::read(folder.join(name)).ok());
            if here != there {
                let message = format!("{} and {} are different clips under one name", to.display(), clip.display());
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        return Ok(());
    }
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    let beside = clips.join(beside);
    if beside.exists() {
        std::fs::remove_dir_all(&beside).or_error(ErrorKind::Io, about)?;
    }
    std::fs::create_dir(&beside).or_error(ErrorKind::Io, about)?;
    for entry in std::fs::read_dir(clip).or_error(ErrorKind::Io, about)? {
        let file = entry.or_error(ErrorKind::Io, about)?.path();
        // What a killed process was writing.
        if file.extension().is_some_and(|extension| extension == "part") {
            continue;
        }
        std::fs::copy(&file, beside.join(file.file_name().unwrap_or_default())).or_error(ErrorKind::Io, about)?;
    }
    if to.exists() {
        std::fs::remove_dir_all(&to).or_error(ErrorKind::Io, about)?;
    }
    std::fs::rename(&beside, &to).or_error(ErrorKind::Io, about)
}
