//! What a camera can deliver and which of it to ask for.

use std::fmt;
use std::str::FromStr;

use super::choice::CameraChoice;
use crate::error::{Error, ErrorKind, Result};

/// How a camera packs its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Each picture is a JPEG file: little traffic on the cable, some work to decode.
    Mjpeg,
    /// 4:2:2, two bytes a pixel, interleaved Y U Y V.
    Yuyv,
    /// 4:2:0, twelve bits a pixel, a plane of Y and a plane of U V pairs.
    Nv12,
}

impl fmt::Display for PixelFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mjpeg => "MJPEG",
            Self::Yuyv => "YUYV",
            Self::Nv12 => "NV12",
        })
    }
}

/// Which pixel format to ask a camera for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatPreference {
    /// Raw where it is fast enough at the size asked for, else MJPEG.
    #[default]
    Auto,
    /// This one only.
    Only(PixelFormat),
}

impl FromStr for FormatPreference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "auto" => Ok(Self::Auto),
            "mjpeg" | "mjpg" => Ok(Self::Only(PixelFormat::Mjpeg)),
            "yuyv" | "yuy2" => Ok(Self::Only(PixelFormat::Yuyv)),
            "nv12" => Ok(Self::Only(PixelFormat::Nv12)),
            _ => Err(Error::new(
                ErrorKind::Config,
                format!("no camera format {text:?}; choose auto, mjpeg, yuyv or nv12"),
            )),
        }
    }
}

/// Sides that can be asked of a camera, in pixels.
pub const SIDES_PX: std::ops::RangeInclusive<usize> = 64..=7680;
/// Rates that can be asked of a camera, in frames a second.
pub const RATES_HZ: std::ops::RangeInclusive<u32> = 1..=240;

/// One combination that a camera offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraFormat {
    /// Width in pixels.
    pub width_px: usize,
    /// Height in pixels.
    pub height_px: usize,
    /// How pixels are packed.
    pub pixels: PixelFormat,
    /// Frames a second that the driver promises.
    pub rate_hz: u32,
}

impl fmt::Display for CameraFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{} {} {}/s", self.width_px, self.height_px, self.pixels, self.rate_hz)
    }
}

impl FromStr for CameraFormat {
    type Err = Error;

    /// Reads what [`fmt::Display`] writes: `1280x720 MJPEG 30/s`.
    fn from_str(text: &str) -> Result<Self> {
        let mut parts = text.split_ascii_whitespace();
        let mut read = || {
            let (width, height) = parts.next()?.split_once('x')?;
            let FormatPreference::Only(pixels) = parts.next()?.parse().ok()? else { return None };
            let rate = parts.next()?.strip_suffix("/s")?;
            let format = Self {
                width_px: width.parse().ok()?,
                height_px: height.parse().ok()?,
                pixels,
                rate_hz: rate.parse().ok()?,
            };
            let is_fit = SIDES_PX.contains(&format.width_px)
                && SIDES_PX.contains(&format.height_px)
                && RATES_HZ.contains(&format.rate_hz);
            (parts.next().is_none() && is_fit).then_some(format)
        };
        read().ok_or_else(|| {
            let message = format!("no camera format {text:?}; give it as `effigy devices` does: 1280x720 MJPEG 30/s");
            Error::new(ErrorKind::Config, message)
        })
    }
}

/// What an open camera is and offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CameraState {
    /// Its number: on Linux that of `/dev/videoN`.
    pub index: u32,
    /// What it delivers.
    pub format: CameraFormat,
    /// What it offers, the largest pictures first.
    pub formats: Vec<CameraFormat>,
}

/// A camera of this machine.
#[derive(Debug)]
pub struct CameraEntry {
    /// Its number: on Linux that of `/dev/videoN`.
    pub index: u32,
    /// What it calls itself.
    pub name: String,
    /// What it offers, the largest pictures first; empty while it cannot be used.
    pub formats: Vec<CameraFormat>,
    /// Why it cannot be used now, and what to do about it.
    pub trouble: Option<Error>,
}

impl CameraEntry {
    /// How it is chosen among `all`: by its name, which stays when its number changes, where no other has that name in its own.
    pub fn choice(&self, all: &[Self]) -> CameraChoice {
        let name = self.name.to_lowercase();
        let n_alike = all.iter().filter(|other| other.name.to_lowercase().contains(&name)).count();
        let is_text = !name.trim().is_empty() && name.parse::<u32>().is_err();
        if n_alike <= 1 && is_text { CameraChoice::Name(self.name.clone()) } else { CameraChoice::Index(self.index) }
    }
}

/// What is asked of a camera.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) size_px: (usize, usize),
    pub(super) rate_hz: f64,
    pub(super) preference: FormatPreference,
}

/// Puts what a camera offers in the order in which to try it; what is not wanted is left out.
///
/// The size nearest to the one asked for comes first, then a rate that is high enough, then raw
/// pixels: those need no decoding, but at large sizes a USB camera offers them only slowly.
#[cfg_attr(not(feature = "webcam"), allow(dead_code, reason = "only cameras choose"))]
pub(super) fn in_order(offers: &[CameraFormat], wanted: &Wanted) -> Vec<CameraFormat> {
    let mut offers: Vec<_> = offers
        .iter()
        .filter(|offer| offer.width_px > 0 && offer.height_px > 0 && offer.rate_hz > 0)
        .filter(|offer| match wanted.preference {
            FormatPreference::Auto => true,
            FormatPreference::Only(pixels) => offer.pixels == pixels,
        })
        .copied()
        .collect();
    let enough_hz = wanted.rate_hz.clamp(1.0, 30.0);
    offers.sort_by_key(|offer| {
        let size_gap =
            offer.width_px.abs_diff(wanted.size_px.0).pow(2) + offer.height_px.abs_diff(wanted.size_px.1).pow(2);
        // Of what is fast enough the nearest to the wish, of what is slow the fastest.
        let is_slow = f64::from(offer.rate_hz) < enough_hz;
        let pixels = match offer.pixels {
            PixelFormat::Yuyv => 0,
            PixelFormat::Nv12 => 1,
            PixelFormat::Mjpeg => 2,
        };
        let rate_gap = (f64::from(offer.rate_hz) - wanted.rate_hz).abs() as u32;
        (size_gap, is_slow, if is_slow { rate_gap } else { 0 }, pixels, rate_gap)
    });
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(width_px: usize, height_px: usize, pixels: PixelFormat, rate_hz: u32) -> CameraFormat {
        CameraFormat { width_px, height_px, pixels, rate_hz }
    }

    #[test]
    fn raw_is_taken_where_it_is_fast_enough_else_mjpeg() {
        use PixelFormat::{Mjpeg, Nv12, Yuyv};
        let usb = [
            offer(640, 480, Yuyv, 30),
            offer(640, 480, Mjpeg, 30),
            offer(1280, 720, Yuyv, 10),
            offer(1280, 720, Mjpeg, 30),
            offer(1280, 720, Mjpeg, 60),
            offer(1920, 1080, Nv12, 5),
        ];
        let table = [
            ((640, 480), 30.0, FormatPreference::Auto, Some(usb[0])),
            ((1280, 720), 30.0, FormatPreference::Auto, Some(usb[3])),
            ((1280, 720), 60.0, FormatPreference::Auto, Some(usb[4])),
            ((1280, 720), 30.0, FormatPreference::Only(Yuyv), Some(usb[2])),
            ((1900, 1000), 30.0, FormatPreference::Auto, Some(usb[5])),
            ((640, 480), 30.0, FormatPreference::Only(Nv12), Some(usb[5])),
        ];
        for (size_px, rate_hz, preference, expected) in table {
            let found = in_order(&usb, &Wanted { size_px, rate_hz, preference }).first().copied();
            assert_eq!(found, expected, "{size_px:?} at {rate_hz}, {preference:?}");
        }
        assert!(in_order(&usb[..1], &Wanted { preference: FormatPreference::Only(Mjpeg), ..WISH }).is_empty());
    }

    const WISH: Wanted = Wanted { size_px: (640, 480), rate_hz: 30.0, preference: FormatPreference::Auto };

    #[test]
    fn formats_are_read_as_they_are_written() {
        let format = offer(1280, 720, PixelFormat::Mjpeg, 60);
        assert_eq!(format.to_string().parse::<CameraFormat>().unwrap(), format);
        for wrong in [
            "",
            "auto",
            "1280x720",
            "1280x720 MJPEG 60",
            "1280x720 auto 60/s",
            "1280x720 MJPEG 60/s x",
            "1x64 MJPEG 1/s",
            "64x64 MJPEG 241/s",
            "x MJPEG 1/s",
        ] {
            let error = wrong.parse::<CameraFormat>().unwrap_err();
            assert!(error.to_string().contains("1280x720 MJPEG 30/s"), "{error}");
        }
    }

    #[test]
    fn a_camera_is_chosen_by_its_name_where_that_is_clear() {
        let entry = |index, name: &str| CameraEntry { index, name: name.into(), formats: Vec::new(), trouble: None };
        let all = [entry(0, "HD Cam"), entry(2, "HD Cam Pro"), entry(4, "Logi"), entry(5, "7"), entry(6, "")];
        let table = ["camera:0", "camera:HD Cam Pro", "camera:Logi", "camera:5", "camera:6"];
        for (camera, expected) in all.iter().zip(table) {
            assert_eq!(crate::capture::SourceSpec::Camera(camera.choice(&all)).to_string(), expected);
        }
    }

    #[test]
    fn preferences_are_read_from_text() {
        assert_eq!("MJPG".parse::<FormatPreference>().unwrap(), FormatPreference::Only(PixelFormat::Mjpeg));
        let error = "h264".parse::<FormatPreference>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_eq!(error.to_string(), "no camera format \"h264\"; choose auto, mjpeg, yuyv or nv12");
    }
}
