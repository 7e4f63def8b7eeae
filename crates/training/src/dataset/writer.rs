//! Writes one clip; its folder becomes whole with the last file.

use std::path::{Path, PathBuf};

use image::codecs::{jpeg, png};
use image::{ExtendedColorType, ImageEncoder as _};

use super::{ClipInfo, FLOW_STEPS_PER_PX, Flow, FrameRecord};
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::frame::{Grey, Rgb};

/// Quality of the stored pictures, 1 to 100: errors stay below what a camera's own noise is.
const JPEG_QUALITY: u8 = 95;

/// Collects a clip in memory and writes it at the end.
#[derive(Debug)]
pub struct ClipWriter {
    dir: PathBuf,
    pictures: Vec<u8>,
    mattes: Vec<u8>,
    flow: Vec<u8>,
    records: Vec<FrameRecord>,
}

impl ClipWriter {
    /// A clip that will stand in the folder `dir`.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), pictures: Vec::new(), mattes: Vec::new(), flow: Vec::new(), records: Vec::new() }
    }

    /// Frames so far.
    pub fn n_frames(&self) -> usize {
        self.records.len()
    }

    /// Adds a frame with its picture and matte.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a picture cannot be coded.
    pub fn add(&mut self, record: FrameRecord, picture: &Rgb, matte: &Grey) -> Result<()> {
        self.add_coded(record, &encode_jpeg(picture)?, &encode_png(matte)?);
        Ok(())
    }

    /// Adds a frame whose picture (JPEG) and matte (PNG) are coded already.
    pub fn add_coded(&mut self, mut record: FrameRecord, picture: &[u8], matte: &[u8]) {
        record.picture = append(&mut self.pictures, picture);
        record.matte = append(&mut self.mattes, matte);
        self.records.push(record);
    }

    /// Gives the frame that was added last its flow to the next.
    pub fn set_flow(&mut self, flow: &Flow) {
        let step = |px: f32| ((px * FLOW_STEPS_PER_PX).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
        let bytes: Vec<u8> = flow.iter().flat_map(|[x, y]| [step(*x), step(*y)]).collect();
        if let Some(record) = self.records.last_mut() {
            record.flow = Some(append(&mut self.flow, &bytes));
        }
    }

    /// Writes everything, over a clip that was there; the folder is whole afterwards, and is not in between.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when a file cannot be written.
    pub fn finish(self, info: &ClipInfo) -> Result<()> {
        make_folder(&self.dir)?;
        unmake(&self.dir)?;
        put(&self.dir.join("pictures.bin"), &self.pictures)?;
        put(&self.dir.join("mattes.bin"), &self.mattes)?;
        if !self.flow.is_empty() {
            put(&self.dir.join("flow.bin"), &self.flow)?;
        }
        put_json(&self.dir.join("clip.json"), info)?;
        let mut lines = Vec::new();
        for record in &self.records {
            serde_json::to_writer(&mut lines, record)
                .or_error(ErrorKind::Internal, || "cannot write a frame".into())?;
            lines.push(b'\n');
        }
        put(&self.dir.join("frames.jsonl"), &lines)
    }
}

/// Notes that nothing of a clip was taken, so that it is not tried again. What was taken before is no clip any more.
///
/// # Errors
/// [`ErrorKind::Io`] when the file cannot be written.
pub fn reject(dir: &Path, info: &ClipInfo) -> Result<()> {
    make_folder(dir)?;
    unmake(dir)?;
    put_json(&dir.join("clip.json"), info)
}

fn make_folder(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir).or_error(ErrorKind::Io, || format!("cannot make the folder {}", dir.display()))
}

/// Takes away what makes a clip's folder whole.
fn unmake(dir: &Path) -> Result<()> {
    let path = dir.join("frames.jsonl");
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::new(ErrorKind::Io, format!("cannot replace {}", path.display())).because(error))
        }
        _ => Ok(()),
    }
}

/// Writes JSON for people to read.
pub fn put_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .or_error(ErrorKind::Internal, || format!("cannot write {}", path.display()))?;
    text.push(b'\n');
    put(path, &text)
}

/// Writes beside the place and moves there, so that an interrupted write leaves nothing half done; one that fails leaves
/// nothing at all. Several processes may write the same file: the last one's stays.
pub fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let about = || format!("cannot write {}", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // It may not be there: what failed says enough.
        let _ = std::fs::remove_file(&beside);
    }
    written.or_error(ErrorKind::Io, about)
}

fn append(to: &mut Vec<u8>, bytes: &[u8]) -> [u64; 2] {
    let start = to.len() as u64;
    to.extend_from_slice(bytes);
    [start, bytes.len() as u64]
}

/// A picture as data sets store it.
///
/// # Errors
/// [`ErrorKind::Internal`] when the encoder refuses it.
pub fn encode_jpeg(picture: &Rgb) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    jpeg::JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY)
        .write_image(picture.data(), picture.width_px() as u32, picture.height_px() as u32, ExtendedColorType::Rgb8)
        .or_error(ErrorKind::Internal, || "cannot code a picture".to_owned())?;
    Ok(out)
}

fn encode_png(matte: &Grey) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    png::PngEncoder::new_with_quality(&mut out, png::CompressionType::Fast, png::FilterType::Adaptive)
        .write_image(matte.data(), matte.width_px() as u32, matte.height_px() as u32, ExtendedColorType::L8)
        .or_error(ErrorKind::Internal, || "cannot code a matte".to_owned())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_nothing_beside_the_place() {
        let folder = std::env::temp_dir().join(format!("effigy-dataset-put-{}", std::process::id()));
        // No file can be moved over a folder.
        let place = folder.join("clip.json");
        std::fs::create_dir_all(&place).unwrap();
        let error = put(&place, b"{}").unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("clip.json"), "{error}");
        let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["clip.json"]);
        put(&folder.join("other.json"), b"{}").unwrap();
        assert_eq!(std::fs::read(folder.join("other.json")).unwrap(), b"{}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
