//! Finding v4l2loopback devices, and saying why one cannot be used.

use std::path::{Path, PathBuf};

use v4l::Device;
use v4l::capability::Flags;

use crate::error::{Error, ErrorKind, Result};

/// How the module calls itself.
pub(super) const DRIVER: &str = "v4l2 loopback";
/// What loads the module so that browsers see a camera.
pub(super) const MODPROBE: &str = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=effigy";
/// What to do without the module.
const INSTALL: &str = "(Debian, Ubuntu: `sudo apt install v4l2loopback-dkms` first)";

/// A loopback device of this machine.
#[derive(Debug)]
pub struct LoopbackEntry {
    /// Its node, such as `/dev/video10`.
    pub path: PathBuf,
    /// The name that other programs show.
    pub card: String,
    /// Whether it is camera and output at once, which browsers do not show.
    pub is_both: bool,
    /// Why it cannot be used.
    pub trouble: Option<Error>,
}

/// Lists the loopback devices, in the order of their numbers.
///
/// # Errors
/// [`ErrorKind::NoDevice`]: there is none; the message says how to make one.
pub fn loopbacks() -> Result<Vec<LoopbackEntry>> {
    let (mut entries, mut denied) = (Vec::new(), None);
    for path in nodes() {
        match Device::with_path(&path).and_then(|device| device.query_caps()) {
            Ok(caps) if caps.driver == DRIVER => {
                let both = Flags::VIDEO_CAPTURE | Flags::VIDEO_OUTPUT;
                let is_both = caps.capabilities.contains(both);
                let trouble = is_held(caps.capabilities).then(|| busy(&path));
                entries.push(LoopbackEntry { path, card: caps.card, is_both, trouble });
            }
            Ok(_) => {}
            // Whose device it is cannot be asked; its place among virtual devices tells.
            Err(error) if is_virtual(&path) => {
                let trouble = Some(trouble(&path, error));
                entries.push(LoopbackEntry { path, card: String::new(), is_both: false, trouble });
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                denied = Some(trouble(&path, error));
            }
            Err(_) => {}
        }
    }
    if !entries.is_empty() {
        return Ok(entries);
    }
    Err(denied.unwrap_or_else(|| {
        let message = format!(
            "no v4l2loopback device; make one with `{MODPROBE}` {INSTALL}, or use `--sink pipewire`, which needs no \
             kernel module"
        );
        Error::new(ErrorKind::NoDevice, message)
    }))
}

/// Whether a program writes to a device with exclusive_caps, which is then a camera and no output.
///
/// Older versions of the module let a second program write all the same, and readers would see both in turn. What is
/// neither camera nor output is what a program of before left behind, and free.
pub(super) fn is_held(capabilities: Flags) -> bool {
    capabilities & (Flags::VIDEO_CAPTURE | Flags::VIDEO_OUTPUT) == Flags::VIDEO_CAPTURE
}

/// The nodes of cameras and outputs, in the order of their numbers.
fn nodes() -> Vec<PathBuf> {
    let mut numbers: Vec<u32> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix("video")?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers.into_iter().map(|number| PathBuf::from(format!("/dev/video{number}"))).collect()
}

/// Whether the node belongs to no piece of hardware.
fn is_virtual(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    std::fs::canonicalize(Path::new("/sys/class/video4linux").join(name))
        .is_ok_and(|place| place.starts_with("/sys/devices/virtual"))
}

/// What else could be used.
pub(super) fn others() -> String {
    match loopbacks() {
        Ok(entries) => {
            let paths: Vec<_> = entries.iter().map(|entry| entry.path.display().to_string()).collect();
            format!("there is {}: `--sink vcam` finds it by itself", paths.join(", "))
        }
        Err(error) => error.to_string(),
    }
}

/// Another program writes to the device.
pub(super) fn busy(path: &Path) -> Error {
    let shown = path.display();
    let message =
        format!("another program writes to {shown} (`fuser {shown}` names it); end it, or choose another device");
    Error::new(ErrorKind::DeviceBusy, message)
}

/// An error of the device with a kind of ours and with advice.
pub(super) fn trouble(path: &Path, error: std::io::Error) -> Error {
    let shown = path.display();
    // Numbers of the kernel, the same on all Linux systems.
    const EBUSY: i32 = 16;
    if error.raw_os_error() == Some(EBUSY) {
        return busy(path).because(error);
    }
    let (kind, message) = match error.kind() {
        std::io::ErrorKind::NotFound => (ErrorKind::NoDevice, format!("there is no {shown}; {}", others())),
        std::io::ErrorKind::PermissionDenied => (
            ErrorKind::PermissionDenied,
            format!("{shown} may not be used; `sudo usermod -aG video $USER`, then log in again"),
        ),
        _ => (ErrorKind::DeviceLost, format!("the virtual camera {shown} fails")),
    };
    Error::new(kind, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_kernel_say_what_to_do() {
        let path = Path::new("/dev/video97");
        let table = [
            (2, ErrorKind::NoDevice, "there is no /dev/video97; "),
            (13, ErrorKind::PermissionDenied, "usermod -aG video"),
            (16, ErrorKind::DeviceBusy, "another program writes to /dev/video97"),
            (19, ErrorKind::DeviceLost, "the virtual camera /dev/video97 fails"),
        ];
        for (code, kind, part) in table {
            let error = trouble(path, std::io::Error::from_raw_os_error(code));
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn a_camera_that_is_no_output_is_held_and_what_is_neither_is_free() {
        let (camera, output) = (Flags::VIDEO_CAPTURE, Flags::VIDEO_OUTPUT);
        let found = [camera, output, camera | output, Flags::empty()].map(|flags| is_held(flags | Flags::STREAMING));
        assert_eq!(found, [true, false, false, false]);
    }
}
