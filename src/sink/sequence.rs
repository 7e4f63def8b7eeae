//! A PNG for each frame.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};

use crate::composite::OutFrame;
use crate::credentials::{Signing, Statement};
use crate::error::{Error, ErrorKind, Result};
use crate::files;

use super::recorder::cannot_write;
use super::{Delivery, Sink};

/// Frames that may wait to be written.
const QUEUE: usize = 8;
/// More digits than any count of frames has.
const MAX_DIGITS: usize = 12;

/// Writes pictures with a number in their name, from 1 on; with alpha where a picture has any.
///
/// The folder is made if it is missing; a `%` in its name is only that. Older pictures of the same name are replaced.
#[derive(Debug)]
pub struct SequenceSink {
    name: String,
    folder: PathBuf,
    before: String,
    after: String,
    n_digits: usize,
    pictures: PngWriter,
    /// Whether there was no first picture before.
    is_new: bool,
    n_written: u64,
}

impl SequenceSink {
    /// Whether the file's name holds exactly one place for a number, such as `%04d` or `%d`.
    pub fn is_pattern(path: &Path) -> bool {
        path.file_name().and_then(|name| split(name.to_str()?)).is_some()
    }

    /// Prepares the folder. With `signing` each picture is signed as it is written; one that cannot be is written unsigned,
    /// and a warning says so once.
    ///
    /// # Errors
    /// - [`ErrorKind::Config`]: the path lacks the place for a number.
    /// - [`ErrorKind::Io`], [`ErrorKind::PermissionDenied`]: no file can be made in the folder.
    pub fn open(pattern: &Path, signing: Option<Signing>) -> Result<Self> {
        let Some((before, n_digits, after)) = pattern.file_name().and_then(|name| split(name.to_str()?)) else {
            let message = format!("{} lacks one place for the frame's number, such as %04d", pattern.display());
            return Err(Error::new(ErrorKind::Config, message));
        };
        let mut sink = Self {
            name: format!("{}, PNG", pattern.display()),
            folder: pattern.parent().unwrap_or(Path::new("")).to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            n_digits,
            pictures: PngWriter::new(signing),
            is_new: true,
            n_written: 0,
        };
        let first = sink.path(1);
        if !sink.folder.as_os_str().is_empty() {
            std::fs::create_dir_all(&sink.folder).map_err(|error| cannot_write(&sink.folder, error))?;
        }
        files::check_regular(&first).map_err(|error| cannot_write(&first, error))?;
        // The first picture's file is made now, so that a run does not start in vain; one of before stays until it is replaced.
        sink.is_new = !first.exists();
        File::options().create(true).append(true).open(&first).map_err(|error| cannot_write(&first, error))?;
        Ok(sink)
    }

    /// Pictures written so far.
    pub fn n_written(&self) -> u64 {
        self.n_written
    }

    /// The path of picture `number`.
    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{}{number:0digits$}{}", self.before, self.after, digits = self.n_digits))
    }
}

impl Sink for SequenceSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Every(QUEUE)
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let path = self.path(self.n_written + 1);
        if let Err(error) = self.pictures.write(&path, frame) {
            let message = format!("the pictures 1 to {} are kept", self.n_written);
            return Err(Error::new(error.kind(), message).because(error));
        }
        self.n_written += 1;
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        if self.n_written == 0 && self.is_new {
            // The empty file made by `open`; without it there is nothing to complete.
            let _ = std::fs::remove_file(self.path(1));
        }
        Ok(())
    }
}

/// Writes single pictures, signed where that was asked for; one that cannot be signed is written all the same, and a warning
/// says so once.
#[derive(Debug)]
pub(super) struct PngWriter {
    signing: Option<Signing>,
    rgb: Vec<u8>,
    png: Vec<u8>,
}

impl PngWriter {
    pub(super) fn new(signing: Option<Signing>) -> Self {
        Self { signing, rgb: Vec::new(), png: Vec::new() }
    }

    /// Writes `frame` to `path`.
    ///
    /// # Errors
    /// When the file cannot be written; then what was there before stays.
    pub(super) fn write(&mut self, path: &Path, frame: &OutFrame) -> Result<()> {
        let picture = frame.picture();
        let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
        let is_opaque = picture.data().chunks_exact(4).all(|rgba| rgba[3] == u8::MAX);
        let (samples, color) = if is_opaque {
            self.rgb.clear();
            self.rgb.extend(picture.data().chunks_exact(4).flat_map(|rgba| [rgba[0], rgba[1], rgba[2]]));
            (&self.rgb[..], ExtendedColorType::Rgb8)
        } else {
            (picture.data(), ExtendedColorType::Rgba8)
        };
        let fail = |error: std::io::Error| cannot_write(path, error);
        self.png.clear();
        PngEncoder::new_with_quality(&mut self.png, CompressionType::Fast, FilterType::Adaptive)
            .write_image(samples, width, height, color)
            .map_err(|error| fail(std::io::Error::other(error)))?;
        let signed = self.signed(path, frame);
        // Half a picture would be taken for one, and take an older one's place.
        let part = path.with_extension(format!("png.{}.part", std::process::id()));
        let written = std::fs::write(&part, signed.as_deref().unwrap_or(&self.png));
        written.and_then(|()| std::fs::rename(&part, path)).map_err(|error| {
            let _ = std::fs::remove_file(&part);
            fail(error)
        })
    }

    /// The picture in hand, signed; `None` where that was not asked for, or fails.
    fn signed(&mut self, path: &Path, frame: &OutFrame) -> Option<Vec<u8>> {
        let signing = self.signing.as_ref()?;
        let mut statement = Statement::of_run(signing.mark);
        statement.add(frame);
        match signing.credentials.sign_png(&self.png, &statement) {
            Ok(signed) => Some(signed),
            Err(error) => {
                log::warn!("{} and the pictures behind it are complete and not signed: {error}", path.display());
                // What failed once would say so for each picture.
                self.signing = None;
                None
            }
        }
    }
}

/// Splits `a_%04d.png` into `a_`, 4, `.png`; `None` unless there is exactly one such place.
fn split(pattern: &str) -> Option<(&str, usize, &str)> {
    let (before, rest) = pattern.split_once('%')?;
    let (digits, after) = rest.split_once('d')?;
    let n_digits = if digits.is_empty() { 1 } else { digits.parse().ok()? };
    ((1..=MAX_DIGITS).contains(&n_digits) && !after.contains('%')).then_some((before, n_digits, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Rgba;
    use crate::trace::Trace;

    #[test]
    fn one_place_for_the_number_is_needed() {
        assert_eq!(split("b_%04d.png"), Some(("b_", 4, ".png")));
        assert!(SequenceSink::is_pattern(Path::new("100%/%d.png")) && !SequenceSink::is_pattern(Path::new("%d/a.png")));
        assert_eq!(split("%d.png"), Some(("", 1, ".png")));
        for wrong in ["a.png", "%s.png", "%04d_%04d.png", "%99d.png", "%0d.png", "%-3d.png", "100%.png"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn alpha_is_kept_and_an_opaque_picture_has_none() {
        let folder = std::env::temp_dir().join(format!("effigy-sequence-{}", std::process::id()));
        let mut sink = SequenceSink::open(&folder.join("deep/%04d.png"), None).unwrap();
        let opaque = Rgba::from_data(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 255]).unwrap();
        let clear = Rgba::from_data(2, 1, vec![1, 2, 3, 255, 4, 5, 6, 7]).unwrap();
        for picture in [&opaque, &clear] {
            let frame = OutFrame::from_picture_for_test(picture.clone(), Trace::default());
            assert!(sink.present(&frame).unwrap().is_continue());
        }
        sink.finish().unwrap();
        let first = image::open(folder.join("deep/0001.png")).unwrap();
        let second = image::open(folder.join("deep/0002.png")).unwrap();
        assert_eq!((first.color(), second.color()), (image::ColorType::Rgb8, image::ColorType::Rgba8));
        assert_eq!(first.into_rgba8().into_raw(), opaque.data());
        assert_eq!(second.into_rgba8().into_raw(), clear.data());
        assert_eq!(sink.n_written(), 2);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
