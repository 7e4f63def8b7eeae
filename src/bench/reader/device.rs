//! A video device of Linux: a virtual camera's far side, or any camera.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use v4l::buffer::Type;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;
use v4l::{Device, Format};

use super::{Look, MAX_READ_WAIT, Reader};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;

/// Buffers between driver and reader: few, so that what is read is new.
const N_BUFFERS: u32 = 3;
/// The longest the first picture may take.
const MAX_OPEN_WAIT: Duration = Duration::from_secs(5);
/// `POLLIN` of poll(2).
const POLLIN: i16 = 1;

/// How brightness lies in a device's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// One sample every `step` bytes from `first` on: YUYV, and every format with the brightness in a plane of its own.
    Samples { first: usize, step: usize },
    /// Blue, green and red every `step` bytes, or red first.
    Colours { step: usize, is_red_first: bool },
    /// JPEG.
    Jpeg,
}

impl Packing {
    fn of(fourcc: &[u8; 4]) -> Option<Self> {
        Some(match fourcc {
            b"YUYV" | b"YVYU" => Self::Samples { first: 0, step: 2 },
            b"UYVY" | b"VYUY" => Self::Samples { first: 1, step: 2 },
            b"GREY" | b"NV12" | b"NV21" | b"YU12" | b"YV12" | b"422P" => Self::Samples { first: 0, step: 1 },
            b"BGR3" => Self::Colours { step: 3, is_red_first: false },
            b"RGB3" => Self::Colours { step: 3, is_red_first: true },
            b"XR24" | b"AR24" | b"BGR4" => Self::Colours { step: 4, is_red_first: false },
            b"XB24" | b"AB24" | b"RGB4" => Self::Colours { step: 4, is_red_first: true },
            b"MJPG" | b"JPEG" => Self::Jpeg,
            _ => return None,
        })
    }

    /// Brightness of a picture; false when it is torn.
    fn unpack(self, data: &[u8], format: &Format, picture: &mut Grey) -> Result<bool> {
        let (width, height) = (format.width as usize, format.height as usize);
        let step = match self {
            Self::Jpeg => return super::decode_jpeg(data, picture),
            Self::Samples { step, .. } | Self::Colours { step, .. } => step,
        };
        let stride = (format.stride as usize).max(width * step);
        if data.len() < stride * (height - 1) + width * step {
            return Ok(false);
        }
        picture.reshape(width, height);
        for (row, samples) in data.chunks(stride).zip(picture.data_mut().chunks_exact_mut(width)) {
            for (pixel, sample) in row.chunks_exact(step).zip(samples) {
                *sample = match self {
                    Self::Samples { first, .. } => pixel[first],
                    Self::Colours { is_red_first, .. } => {
                        let (r, b) = if is_red_first { (pixel[0], pixel[2]) } else { (pixel[2], pixel[0]) };
                        ((77 * u32::from(r) + 150 * u32::from(pixel[1]) + 29 * u32::from(b)) >> 8) as u8
                    }
                    Self::Jpeg => 0,
                };
            }
        }
        Ok(true)
    }
}

/// Reads a device as its driver delivers it; its format is not changed.
///
/// A picture's moment is when the driver handed it over.
pub struct DeviceReader {
    name: String,
    format: Format,
    packing: Packing,
    /// `None` only while it is being closed.
    stream: Option<Stream<'static>>,
}

impl DeviceReader {
    /// Opens the device.
    ///
    /// # Errors
    /// - [`ErrorKind::NoDevice`], [`ErrorKind::PermissionDenied`], [`ErrorKind::DeviceBusy`]: it cannot be opened.
    /// - [`ErrorKind::BackendUnavailable`]: its pixels are in a format that is not read here.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let device = Device::with_path(path).map_err(|error| {
            let (kind, advice) = match error.kind() {
                std::io::ErrorKind::NotFound => (ErrorKind::NoDevice, "; `ls /dev/video*` lists what there is"),
                std::io::ErrorKind::PermissionDenied => {
                    (ErrorKind::PermissionDenied, "; join its group: `sudo usermod -aG video $USER`, then log in again")
                }
                _ => (ErrorKind::NoDevice, ""),
            };
            Error::new(kind, format!("cannot open {shown}{advice}")).because(error)
        })?;
        let context = || format!("{shown} delivers no pictures; start what writes to it first");
        // The crate below panics for formats that it does not know.
        let format = catch_unwind(AssertUnwindSafe(|| device.format()))
            .unwrap_or_else(|_| Err(std::io::Error::other("unknown format")))
            .or_error(ErrorKind::NoDevice, context)?;
        let packing = Packing::of(&format.fourcc.repr).filter(|_| format.width > 0 && format.height > 0);
        let packing = packing.ok_or_else(|| {
            let message = format!("{shown} delivers {} pictures, which are not read here", format.fourcc);
            Error::new(ErrorKind::BackendUnavailable, message)
        })?;
        let mut stream = Stream::with_buffers(&device, Type::VideoCapture, N_BUFFERS)
            .or_error(ErrorKind::DeviceBusy, || format!("{shown} is in use by another program"))?;
        // The first picture starts the stream; a wait that ends without one would leave the crate's buffers in disorder.
        stream.set_timeout(MAX_OPEN_WAIT);
        stream.next().or_error(ErrorKind::DeviceLost, context)?;
        let name = format!("{shown}, {}x{} {}", format.width, format.height, format.fourcc);
        Ok(Self { name, format, packing, stream: Some(stream) })
    }
}

impl Reader for DeviceReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        let Some(stream) = &mut self.stream else { return Ok(Look::Ended) };
        let lost = || Error::new(ErrorKind::DeviceLost, format!("{} is gone", self.name));
        match stream.handle().poll(POLLIN, MAX_READ_WAIT.as_millis() as i32) {
            Ok(0) => return Ok(Look::Idle),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(Look::Idle),
            Err(error) => return Err(lost().because(error)),
        }
        match stream.next() {
            Ok((data, meta)) => {
                let at = clock.now();
                let data = data.get(..meta.bytesused as usize).filter(|data| !data.is_empty()).unwrap_or(data);
                if !self.packing.unpack(data, &self.format, picture)? {
                    picture.reshape(0, 0);
                }
                Ok(Look::At(at))
            }
            Err(error) => Err(lost().because(error)),
        }
    }
}

impl Drop for DeviceReader {
    fn drop(&mut self) {
        // The crate below panics when a stream cannot be stopped.
        let stream = self.stream.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(stream)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::latency::{Origin, Stamp, draw, read_whole};
    use v4l::FourCC;

    #[test]
    fn a_code_is_read_out_of_every_packing() {
        let stamp = Stamp { origin: Origin::Output, frame_id: 9, time: Timestamp::from_nanos(1000) };
        let (width, height) = (256, 48);
        let mut grey = Grey::from_data(width, height, vec![100; width * height]).unwrap();
        draw(&stamp, &mut grey);
        for fourcc in [b"YUYV", b"UYVY", b"NV12", b"RGB3", b"BGR3", b"XR24", b"GREY"] {
            let packing = Packing::of(fourcc).unwrap();
            let step = match packing {
                Packing::Samples { step, .. } | Packing::Colours { step, .. } => step,
                Packing::Jpeg => unreachable!(),
            };
            // Rows are longer than their pixels, as drivers like it.
            let stride = width * step + 32;
            let mut data = vec![128; stride * height];
            for (row, samples) in data.chunks_mut(stride).zip(grey.data().chunks(width)) {
                for (pixel, &sample) in row.chunks_exact_mut(step).zip(samples) {
                    match packing {
                        Packing::Samples { first, .. } => pixel[first] = sample,
                        _ => pixel.fill(sample),
                    }
                }
            }
            let mut format = Format::new(width as u32, height as u32, FourCC::new(fourcc));
            format.stride = stride as u32;
            let mut picture = Grey::default();
            assert!(packing.unpack(&data, &format, &mut picture).unwrap());
            assert_eq!(read_whole(&picture), Some(stamp), "{}", format.fourcc);
            assert!(!packing.unpack(&data[..data.len() / 2], &format, &mut picture).unwrap(), "torn");
        }
        assert_eq!(Packing::of(b"H264"), None);
    }
}
