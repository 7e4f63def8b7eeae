//! Opening and writing a v4l2loopback device.

use std::fmt;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use v4l::buffer::Type;
use v4l::capability::Flags;
use v4l::v4l2;
use v4l::video::Output;
use v4l::video::output::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

use crate::error::{Error, ErrorKind, Result};
use crate::sink::camera::{CameraOptions, Packing, SIDES_PX};

use super::find::{DRIVER, MODPROBE, busy, is_held, loopbacks, others, trouble};

/// The packings that can be written, the one most programs read first.
const PACKINGS: [(Packing, &[u8; 4]); 2] = [(Packing::Yuyv, b"YUYV"), (Packing::Nv12, b"NV12")];

/// A loopback device that takes pictures.
pub(super) struct Loopback {
    device: Device,
    path: PathBuf,
    card: String,
    packing: Packing,
    size_px: (usize, usize),
    rate_hz: f64,
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width_px, height_px) = self.size_px;
        let (path, card, packing) = (self.path.display(), &self.card, self.packing.name());
        write!(f, "virtual camera {path} \"{card}\", {packing} {width_px}x{height_px} {}/s", self.rate_hz)
    }
}

impl Loopback {
    /// Opens the device at `path`, or the first that can be had: one called effigy before others.
    pub(super) fn open(path: Option<&Path>, options: &CameraOptions) -> Result<Self> {
        if let Some(path) = path {
            return Self::open_one(path, options);
        }
        let mut entries = loopbacks()?;
        entries.sort_by_key(|entry| !entry.card.eq_ignore_ascii_case("effigy"));
        let mut first_error = None;
        for entry in entries {
            match Self::open_one(&entry.path, options) {
                Ok(device) => return Ok(device),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.unwrap_or_else(|| Error::new(ErrorKind::NoDevice, "no v4l2loopback device")))
    }

    /// Opens a device that was lost: the one of that name, which may have got another number.
    pub(super) fn open_again(card: &str, options: &CameraOptions) -> Result<Self> {
        match loopbacks()?.iter().find(|entry| entry.card == card) {
            Some(entry) => Self::open_one(&entry.path, options),
            None => Err(Error::new(ErrorKind::NoDevice, format!("no v4l2loopback device \"{card}\""))),
        }
    }

    /// The name that other programs show.
    pub(super) fn card(&self) -> &str {
        &self.card
    }

    fn open_one(path: &Path, options: &CameraOptions) -> Result<Self> {
        let fail = |error| trouble(path, error);
        let device = Device::with_path(path).map_err(fail)?;
        let caps = device.query_caps().map_err(fail)?;
        if caps.driver != DRIVER {
            let message = format!(
                "{} is \"{}\" (driver {}), no v4l2loopback device; {}",
                path.display(),
                caps.card,
                caps.driver,
                others()
            );
            return Err(Error::new(ErrorKind::NoDevice, message));
        }
        if is_held(caps.capabilities) {
            return Err(busy(path));
        }
        let (packing, size_px) = negotiate(&device, path, options)?;
        let rate = Fraction::new(1000, (options.rate_hz * 1000.0).round() as u32);
        // Not all versions keep a rate; readers then see the one at which pictures come.
        let kept = Output::set_params(&device, &Parameters::new(rate)).map(|kept| kept.interval);
        let rate_hz = match kept {
            Ok(kept) if kept.numerator > 0 && kept.denominator > 0 => {
                (f64::from(kept.denominator) / f64::from(kept.numerator) * 1000.0).round() / 1000.0
            }
            _ => options.rate_hz,
        };
        start(&device).map_err(fail)?;
        Ok(Self { device, path: path.to_owned(), card: caps.card, packing, size_px, rate_hz })
    }

    /// Its node.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    pub(super) fn size_px(&self) -> (usize, usize) {
        self.size_px
    }

    /// Writes one picture as it was packed.
    pub(super) fn write(&mut self, packed: &[u8]) -> Result<()> {
        match self.device.write(packed) {
            Ok(n) if n == packed.len() => {}
            Ok(n) => {
                let message = format!("{self} took {n} of {} bytes; another program changed its format", packed.len());
                return Err(Error::new(ErrorKind::DeviceLost, message));
            }
            // Its buffers are full for the moment: the picture is dropped, the next one is newer.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(trouble(&self.path, error)),
        }
        // A device that was removed still takes writes while it is open; its node is gone.
        if self.path.exists() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::DeviceLost, format!("{self} is gone")))
    }

    /// Says what keeps browsers from showing this camera.
    pub(super) fn advise(&self) {
        let both = Flags::VIDEO_CAPTURE | Flags::VIDEO_OUTPUT;
        if self.device.query_caps().is_ok_and(|caps| caps.capabilities.contains(both)) {
            log::warn!(
                "{} says that it is camera and output at once, which browsers do not show; load the module anew: \
                 `sudo modprobe -r v4l2loopback && {MODPROBE}`",
                self.path.display()
            );
        }
    }
}

/// Says that this is the writer: only of a writer that said so does the module notice the end, and offer the device
/// as an output again while readers still hold it.
#[expect(unsafe_code, reason = "the crate starts a device only together with buffers, which are not used here")]
fn start(device: &Device) -> std::io::Result<()> {
    let handle = device.handle();
    let mut kind = Type::VideoOutput as std::os::raw::c_int;
    // SAFETY: the descriptor is open while `handle` lives, and VIDIOC_STREAMON reads one `int`, which `kind` is.
    unsafe { v4l2::ioctl(handle.fd(), v4l2::vidioc::VIDIOC_STREAMON, std::ptr::from_mut(&mut kind).cast()) }
}

/// Asks for the size in each packing; takes what the device insists on if that can be written.
fn negotiate(device: &Device, path: &Path, options: &CameraOptions) -> Result<(Packing, (usize, usize))> {
    let (width_px, height_px) = options.size_px;
    let (mut last, mut refusal) = (None, None);
    for (_, code) in PACKINGS {
        let mut wanted = Format::new(width_px as u32, height_px as u32, FourCC::new(code));
        wanted.colorspace = v4l::format::Colorspace::SRGB;
        match Output::set_format(device, &wanted) {
            Ok(format) => {
                let packing = packing(format.fourcc);
                let size_px = (format.width as usize, format.height as usize);
                let is_writable = [size_px.0, size_px.1].iter().all(|side| side % 2 == 0 && SIDES_PX.contains(side));
                match packing {
                    Some(packing) if is_writable && format.size as usize >= packing.n_bytes(size_px) => {
                        if size_px != options.size_px {
                            log::warn!(
                                "{} keeps its size of {}x{}, since another program uses it; the picture is fitted in",
                                path.display(),
                                size_px.0,
                                size_px.1
                            );
                        }
                        return Ok((packing, size_px));
                    }
                    _ => last = Some(format),
                }
            }
            Err(error) => refusal = Some(error),
        }
    }
    Err(match (last, refusal) {
        (Some(format), _) => Error::new(
            ErrorKind::Config,
            format!(
                "{} insists on {} {}x{}, and YUYV or NV12 is written; end the programs that use it, or load it anew: \
                 `sudo modprobe -r v4l2loopback && {MODPROBE}`",
                path.display(),
                format.fourcc,
                format.width,
                format.height
            ),
        ),
        (None, Some(error)) => trouble(path, error),
        (None, None) => Error::new(ErrorKind::Internal, "no packing was asked for"),
    })
}

fn packing(fourcc: FourCC) -> Option<Packing> {
    PACKINGS.iter().find(|(_, code)| **code == fourcc.repr).map(|(packing, _)| *packing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_loopback_is_refused() {
        let options = CameraOptions { size_px: (64, 64), rate_hz: 30.0 };
        let error = Loopback::open(Some(Path::new("/dev/null")), &options).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
        let error = Loopback::open(Some(Path::new("/dev/video9999")), &options).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NoDevice, "{error}");
    }

    #[test]
    fn packings_are_known_by_their_four_letters() {
        assert_eq!(packing(FourCC::new(b"YUYV")), Some(Packing::Yuyv));
        assert_eq!(packing(FourCC::new(b"NV12")), Some(Packing::Nv12));
        assert_eq!(packing(FourCC::new(b"MJPG")), None);
    }
}
