//! A video device of Linux: a virtual camera's far side, or any camera.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use v4l::Device;
use v4l::buffer::{Flags, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;

use super::packing::{Layout, Packing};
use super::{Arrival, Legs, Look, MAX_READ_WAIT, Reader};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;

/// Buffers between driver and reader: few, so that what is read is new.
const N_BUFFERS: u32 = 3;
/// The longest the first picture may take.
const MAX_OPEN_WAIT: Duration = Duration::from_secs(5);
/// A driver's stamp that is older is by another clock.
const MAX_STAMP_AGE: Duration = Duration::from_secs(30);
/// `POLLIN` of poll(2).
const POLLIN: i16 = 1;

/// Reads a device as its driver delivers it; its format is not changed.
///
/// A picture's moment is when the driver handed it over.
pub struct DeviceReader {
    name: String,
    layout: Layout,
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
        let (width_px, height_px) = (format.width as usize, format.height as usize);
        let layout = Layout { packing, width_px, height_px, stride: format.stride as usize };
        Ok(Self { name, layout, stream: Some(stream) })
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
                // Stamped when its buffer was filled, unless it is a writer's own time. A driver that does not tell its
                // clock and counts by another one has another year.
                let stamped = Timestamp::default() + Duration::from(meta.timestamp);
                let is_own = (meta.flags & Flags::TIMESTAMP_MASK) != Flags::TIMESTAMP_COPY;
                let is_near = stamped <= at && at.since(stamped) < MAX_STAMP_AGE;
                let since = (is_own && is_near).then_some(stamped);
                if !self.layout.unpack(data, picture)? {
                    picture.reshape(0, 0);
                }
                Ok(Look::At(Arrival { since, at }))
            }
            Err(error) => Err(lost().because(error)),
        }
    }

    fn legs(&self) -> Option<Legs> {
        Some(Legs {
            first: "until the driver stamped it: taken up by the camera's thread, packed, written",
            last: "in the driver's buffer until the reader had it",
        })
    }
}

impl Drop for DeviceReader {
    fn drop(&mut self) {
        // The crate below panics when a stream cannot be stopped.
        let stream = self.stream.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(stream)));
    }
}
