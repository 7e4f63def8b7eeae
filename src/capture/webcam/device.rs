//! Finding and opening cameras, and saying why one cannot be opened.

use std::time::Duration;

use crossbeam_channel::bounded;
use nokhwa::utils::{ApiBackend, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution};
use nokhwa::{Buffer, Camera, NokhwaError};

use crate::capture::format::{Wanted, in_order};
use crate::capture::{CameraChoice, CameraEntry, CameraFormat, PixelFormat};
use crate::error::{Error, ErrorKind, OrError as _, Result};

use super::Description;

/// The packings that can be decoded.
const PACKINGS: [FrameFormat; 3] = [FrameFormat::MJPEG, FrameFormat::YUYV, FrameFormat::NV12];
/// A driver may refuse what it offers; after so many refusals the camera is given up.
const MAX_ATTEMPTS: usize = 6;
/// The longest that listing all cameras may take.
const MAX_LIST_WAIT: Duration = Duration::from_secs(5);

/// A camera that streams.
pub(super) struct OpenCamera {
    camera: Camera,
    pub(super) description: Description,
}

impl OpenCamera {
    /// Opens the camera chosen.
    pub(super) fn open(choice: &CameraChoice, wanted: &Wanted) -> Result<Self> {
        let present = present()?;
        let chosen: Vec<_> = present.iter().filter(|(index, name)| choice.fits(*index, name)).collect();
        let mut first_error = None;
        for (index, name) in chosen {
            match Self::open_one(*index, name, wanted) {
                Ok(camera) => return Ok(camera),
                // A node without pictures, such as a webcam's second one for metadata, is no camera.
                Err(error) if error.kind() == ErrorKind::NoDevice && *choice == CameraChoice::First => {}
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.unwrap_or_else(|| no_camera(choice, &present)))
    }

    /// Opens a camera that was lost: the one of that name, which may have got another number.
    pub(super) fn open_again(index: u32, name: &str, wanted: &Wanted) -> Result<Self> {
        let mut namesakes: Vec<_> = present()?.into_iter().filter(|(_, present)| present == name).collect();
        namesakes.sort_by_key(|(present, _)| present.abs_diff(index));
        let mut last_error = no_camera(&CameraChoice::Name(name.to_owned()), &namesakes);
        for (index, name) in &namesakes {
            match Self::open_one(*index, name, wanted) {
                Ok(camera) => return Ok(camera),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    /// Waits for the next picture, for as long as the driver likes.
    pub(super) fn frame(&mut self) -> Result<Buffer> {
        self.camera.frame().map_err(|error| trouble(self.description.index, &self.description.name, error))
    }

    fn open_one(index: u32, name: &str, wanted: &Wanted) -> Result<Self> {
        let fail = |error| trouble(index, name, error);
        let (mut camera, offers) = formats(index, name)?;
        let mut refusal = None;
        for format in in_order(&offers, wanted).into_iter().take(MAX_ATTEMPTS) {
            let packing = [packing(format.pixels)];
            let size = Resolution::new(format.width_px as u32, format.height_px as u32);
            let exact = nokhwa::utils::CameraFormat::new(size, packing[0], format.rate_hz);
            let request = RequestedFormat::with_formats(RequestedFormatType::Exact(exact), &packing);
            match camera.set_camera_requset(request).and_then(|_| camera.open_stream()) {
                Ok(()) => {
                    let format = negotiated(&camera).unwrap_or(format);
                    let description = Description { index, name: name.to_owned(), format, formats: offers };
                    return Ok(Self { camera, description });
                }
                Err(error) => refusal = Some(fail(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| {
            let offered = offers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let message = format!("camera {index} \"{name}\" has no {:?}; it offers {offered}", wanted.preference);
            Error::new(ErrorKind::NoDevice, message)
        }))
    }
}

/// Lists the cameras of this machine with what they offer.
///
/// A camera that another program uses is listed with that as its trouble.
///
/// # Errors
/// - [`ErrorKind::NoDevice`]: the system's list cannot be read.
/// - [`ErrorKind::DeviceLost`]: a driver does not answer.
pub fn cameras() -> Result<Vec<CameraEntry>> {
    let (list_tx, list_rx) = bounded(1);
    std::thread::Builder::new()
        .name("cameras".into())
        .spawn(move || drop(list_tx.try_send(list())))
        .or_error(ErrorKind::Internal, || "cannot start a thread that lists cameras".into())?;
    list_rx.recv_timeout(MAX_LIST_WAIT).unwrap_or_else(|_| {
        let message = "a camera's driver does not answer; unplug the cameras one by one to find which";
        Err(Error::new(ErrorKind::DeviceLost, message))
    })
}

fn list() -> Result<Vec<CameraEntry>> {
    let mut entries = Vec::new();
    for (index, name) in present()? {
        let (formats, trouble) = match formats(index, &name) {
            Ok((_, formats)) => (formats, None),
            Err(error) if error.kind() == ErrorKind::NoDevice => continue,
            Err(error) => (Vec::new(), Some(error)),
        };
        entries.push(CameraEntry { index, name, formats, trouble });
    }
    Ok(entries)
}

/// Number and name of what the system calls a camera, in the order of the numbers.
fn present() -> Result<Vec<(u32, String)>> {
    let infos = nokhwa::query(ApiBackend::Auto).or_error(ErrorKind::NoDevice, || {
        "cannot list cameras; use `--source pattern` or a clip: `--source FILE`".into()
    })?;
    let mut present: Vec<_> =
        infos.iter().filter_map(|info| Some((info.index().as_index().ok()?, info.human_name()))).collect();
    present.sort();
    Ok(present)
}

/// Opens the camera and asks what it offers, the largest pictures first.
fn formats(index: u32, name: &str) -> Result<(Camera, Vec<CameraFormat>)> {
    probe(index, name)?;
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &PACKINGS);
    let fail = |error| trouble(index, name, error);
    let mut camera = Camera::new(CameraIndex::Index(index), any).map_err(fail)?;
    let mut formats: Vec<_> =
        camera.compatible_camera_formats().map_err(fail)?.iter().filter_map(camera_format).collect();
    formats.sort_by_key(|format| std::cmp::Reverse((format.width_px * format.height_px, format.rate_hz)));
    formats.dedup();
    Ok((camera, formats))
}

/// Opens the device file alone, whose error is exact; nokhwa has only words.
fn probe(index: u32, name: &str) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Ok(());
    }
    match std::fs::File::options().read(true).write(true).open(format!("/dev/video{index}")) {
        Ok(_) => Ok(()),
        Err(error) => Err(explain(index, name, error.raw_os_error()).because(error)),
    }
}

/// Gives nokhwa's words a kind; the system's error number at their end is what can be relied on.
fn trouble(index: u32, name: &str, error: NokhwaError) -> Error {
    let words = error.to_string();
    // Spelt like this in the crate: no packing was found that can be decoded.
    if words.contains("Failed to Fufill") {
        let message = format!("camera {index} \"{name}\" offers no MJPEG, YUYV or NV12; choose another camera");
        return Error::new(ErrorKind::NoDevice, message);
    }
    let number = words.split("os error ").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
    explain(index, name, number).because(error)
}

/// What the system's error number means for a camera, and what to do.
fn explain(index: u32, name: &str, os_error: Option<i32>) -> Error {
    let device = if cfg!(target_os = "linux") { format!("/dev/video{index}") } else { "the camera".into() };
    let (kind, message) = match os_error {
        // EPERM, EACCES
        Some(1 | 13) if cfg!(target_os = "linux") => (
            ErrorKind::PermissionDenied,
            format!(
                "camera {index} \"{name}\": this user may not open {device}; add it to the group video with \
                 `sudo usermod -aG video $USER` and log in again"
            ),
        ),
        Some(1 | 13) => (
            ErrorKind::PermissionDenied,
            format!("camera {index} \"{name}\" may not be used; allow it in the system's privacy settings"),
        ),
        // EBUSY
        Some(16) => (
            ErrorKind::DeviceBusy,
            format!(
                "camera {index} \"{name}\" is in use by another program; close that program \
                 (`fuser -v {device}` names it), or choose another camera with `--source camera:N`"
            ),
        ),
        // ENOENT, ENXIO, ENODEV
        Some(2 | 6 | 19) => (
            ErrorKind::DeviceLost,
            format!("camera {index} \"{name}\" is gone; plug it in again (`effigy devices` lists what there is)"),
        ),
        _ => (
            ErrorKind::DeviceLost,
            format!("camera {index} \"{name}\" cannot be used; choose another with `--source camera:N` or a clip"),
        ),
    };
    Error::new(kind, message)
}

fn no_camera(choice: &CameraChoice, present: &[(u32, String)]) -> Error {
    const INSTEAD: &str = "use `--source pattern` or a clip: `--source FILE`";
    let list: Vec<_> = present.iter().map(|(index, name)| format!("{index} \"{name}\"")).collect();
    let message = match choice {
        _ if present.is_empty() => format!("no camera found; plug one in, or {INSTEAD}"),
        CameraChoice::First => format!("none of these delivers pictures: {}; {INSTEAD}", list.join(", ")),
        CameraChoice::Index(index) => format!("no camera {index}; there is {}; or {INSTEAD}", list.join(", ")),
        CameraChoice::Name(part) => {
            format!("no camera has \"{part}\" in its name; there is {}; or {INSTEAD}", list.join(", "))
        }
    };
    Error::new(ErrorKind::NoDevice, message)
}

fn negotiated(camera: &Camera) -> Option<CameraFormat> {
    camera_format(&camera.camera_format())
}

fn camera_format(format: &nokhwa::utils::CameraFormat) -> Option<CameraFormat> {
    Some(CameraFormat {
        width_px: format.width() as usize,
        height_px: format.height() as usize,
        pixels: pixel_format(format.format())?,
        rate_hz: format.frame_rate(),
    })
}

/// Our name of nokhwa's packing; `None` for one that is not decoded.
pub(super) fn pixel_format(format: FrameFormat) -> Option<PixelFormat> {
    match format {
        FrameFormat::MJPEG => Some(PixelFormat::Mjpeg),
        FrameFormat::YUYV => Some(PixelFormat::Yuyv),
        FrameFormat::NV12 => Some(PixelFormat::Nv12),
        _ => None,
    }
}

fn packing(pixels: PixelFormat) -> FrameFormat {
    match pixels {
        PixelFormat::Mjpeg => FrameFormat::MJPEG,
        PixelFormat::Yuyv => FrameFormat::YUYV,
        PixelFormat::Nv12 => FrameFormat::NV12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn each_trouble_has_its_kind_and_says_what_to_do() {
        let table = [
            (13, ErrorKind::PermissionDenied, "sudo usermod -aG video $USER"),
            (16, ErrorKind::DeviceBusy, "fuser -v /dev/video3"),
            (19, ErrorKind::DeviceLost, "plug it in again"),
            (5, ErrorKind::DeviceLost, "choose another with `--source camera:N`"),
        ];
        for (number, kind, advice) in table {
            let words = format!("V4L2 Error: {}", std::io::Error::from_raw_os_error(number));
            let error = trouble(3, "Cam", NokhwaError::OpenDeviceError("3".into(), words));
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().starts_with("camera 3 \"Cam\"") && error.to_string().contains(advice), "{error}");
        }
        let error = trouble(3, "Cam", NokhwaError::ReadFrameError("odd".into()));
        assert_eq!(error.kind(), ErrorKind::DeviceLost);
        let error = probe(4_000_000, "Cam").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error}");
    }

    #[test]
    fn a_camera_that_is_not_there_is_answered_with_those_that_are() {
        let present = [(0, "HD Webcam".to_owned()), (2, "Logi 920".to_owned())];
        let table = [
            (CameraChoice::First, &present[..0], "no camera found; plug one in, or use `--source pattern` or a clip"),
            (CameraChoice::Index(7), &present[..], "no camera 7; there is 0 \"HD Webcam\", 2 \"Logi 920\"; or use"),
            (CameraChoice::Name("x".into()), &present[..], "no camera has \"x\" in its name; there is 0 \"HD Webcam\""),
        ];
        for (choice, present, expected) in table {
            let error = no_camera(&choice, present);
            assert_eq!(error.kind(), ErrorKind::NoDevice);
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
