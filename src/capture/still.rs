//! One picture as the driver, delivered again and again.

use std::io::BufReader;
use std::path::Path;

use image::{DynamicImage, ImageDecoder as _, ImageReader, Limits};

use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgb;

use super::clip::cannot_read;
use super::pace::Pace;
use super::{RawFrame, Read, Source, SourceOptions};

/// How often a still is delivered, a second.
const RATE_HZ: f64 = 30.0;
/// The longest side of a picture that is read.
const MAX_SIDE_PX: u32 = 8192;
/// The memory that decoding a picture may take: 8192 x 8192 RGBA and as much again to turn it.
const MAX_DECODE_BYTES: u64 = 512 << 20;

/// A picture file, turned upright as its EXIF data say.
///
/// Paced, it is delivered 30 times a second without end; else once, unless it is looped.
pub struct StillSource {
    name: String,
    picture: Rgb,
    pace: Pace,
    endless: bool,
    next_index: u64,
}

impl StillSource {
    /// Reads the picture.
    ///
    /// # Errors
    /// - [`ErrorKind::Io`]: it does not exist, is torn, too large, or no PNG, JPEG or WebP.
    /// - [`ErrorKind::PermissionDenied`]: it may not be read.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        let picture = decode(path)?;
        Ok(Self {
            name: format!("{}, {}x{} still", path.display(), picture.width_px(), picture.height_px()),
            picture,
            pace: Pace::new(RATE_HZ, options.paced),
            endless: options.paced || options.looped,
            next_index: 0,
        })
    }
}

impl Source for StillSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        if !self.endless && self.next_index > 0 {
            return Ok(Read::Ended);
        }
        self.next_index += self.pace.overdue(self.next_index, clock);
        let Some(captured) = self.pace.wait(self.next_index, clock) else { return Ok(Read::Idle) };
        self.next_index += 1;
        frame.picture_mut().copy_from(&self.picture);
        frame.set_captured(captured);
        Ok(Read::Fresh)
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(RATE_HZ)
    }
}

fn decode(path: &Path) -> Result<Rgb> {
    let file = std::fs::File::open(path).map_err(|error| cannot_read(path, error))?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format();
    let mut reader = reader.map_err(|error| cannot_read(path, error))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE_PX);
    limits.max_image_height = Some(MAX_SIDE_PX);
    limits.max_alloc = Some(MAX_DECODE_BYTES);
    reader.limits(limits);
    let decoded = (|| {
        let mut decoder = reader.into_decoder()?;
        // A torn orientation is no reason to refuse the picture.
        let orientation = decoder.orientation().ok();
        let mut picture = DynamicImage::from_decoder(decoder)?;
        if let Some(orientation) = orientation {
            picture.apply_orientation(orientation);
        }
        Ok::<_, image::ImageError>(picture.into_rgb8())
    })();
    let picture = decoded.map_err(|error| {
        let expected = format!("expected a PNG, JPEG or WebP of at most {MAX_SIDE_PX} pixels a side");
        Error::new(ErrorKind::Io, format!("cannot decode {}; {expected}", path.display())).because(error)
    })?;
    Rgb::from_data(picture.width() as usize, picture.height() as usize, picture.into_raw())
}
