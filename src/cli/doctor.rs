//! `effigy doctor`: what is there, what is missing, and what to type about each.

use std::path::Path;

use effigy::capture::{self, SourceSpec};
use effigy::generate::cards::{self, Card};
use effigy::settings::{self, Library, SettingsFile};
use effigy::{Error, ErrorKind, Result, onnx, sink};

use super::settings::settings_path;
use super::{devices, terminal};

/// Less than this is soon full of recordings, in bytes.
const LOW_DISK: u64 = 2 << 30;

/// Drivers that draw on the processor: no graphics card.
const SOFTWARE_DRIVERS: [&str; 3] = ["llvmpipe", "SwiftShader", "Microsoft Basic Render"];

/// How a check ended.
enum State {
    Good(String),
    /// Something optional is missing; what to type.
    Lacking(String),
    /// Something that a run needs.
    Bad(String),
}

use State::{Bad, Good, Lacking};

/// Checks everything and says what to type. What a run cannot do without makes it fail.
pub(crate) fn run() -> Result<()> {
    let checks = [
        ("runtime", runtime()),
        ("camera", camera()),
        ("window", window()),
        ("page", page()),
        ("graphics card", graphics_card()),
        ("virtual camera", virtual_camera()),
        ("PipeWire", pipewire()),
        ("portal", portal()),
        ("settings", settings_file()),
        ("identities", identities()),
        ("folders", folders()),
        ("disk", disk(Path::new("."))),
    ];
    let mut text = String::new();
    let mut n_bad = 0;
    for (name, state) in &checks {
        let (mark, about) = match state {
            Good(about) => ("ok", about),
            Lacking(about) => ("--", about),
            Bad(about) => ("NO", about),
        };
        n_bad += u32::from(matches!(state, Bad(_)));
        text += &format!("{mark}  {name:<14}  {about}\n");
    }
    terminal::print(text.as_bytes())?;
    match n_bad {
        0 => Ok(()),
        n => Err(Error::new(
            ErrorKind::BackendUnavailable,
            format!("{n} of {} checks say NO; each says what to type", checks.len()),
        )),
    }
}

fn of<T>(outcome: Result<T>, good: impl FnOnce(T) -> String, bad: fn(String) -> State) -> State {
    match outcome {
        Ok(value) => Good(good(value)),
        Err(error) => bad(error.to_string()),
    }
}

fn runtime() -> State {
    of(onnx::runtime_path(), |path| format!("ONNX Runtime {path}"), Bad)
}

fn camera() -> State {
    match capture::cameras() {
        Ok(cameras) if cameras.is_empty() => Lacking(
            "none; plug one in and look with `ls /dev/video*`, or drive by `--source talk.mp4`, `--source vmc:39539`"
                .to_owned(),
        ),
        Ok(cameras) => match cameras.iter().find(|camera| camera.trouble.is_none()) {
            Some(camera) => {
                Good(format!("{} ({})", camera.name, SourceSpec::Camera(capture::CameraChoice::Index(camera.index))))
            }
            None => Lacking(cameras[0].trouble.as_ref().map_or(String::new(), ToString::to_string)),
        },
        Err(error) => Lacking(error.to_string()),
    }
}

fn window() -> State {
    if devices::has_display() {
        Good("a display is there".to_owned())
    } else {
        Lacking("no display here (DISPLAY is not set); show the picture by `effigy run --sink http`".to_owned())
    }
}

fn page() -> State {
    match std::net::TcpListener::bind(sink::http::DEFAULT_ADDRESS) {
        Ok(_) => Good("the control page can be served: `effigy run --sink http`".to_owned()),
        Err(error) => Bad(format!("no port can be opened here ({error}); look at the firewall or sandbox")),
    }
}

fn graphics_card() -> State {
    let mut advice = String::new();
    for card in cards::nvidia().into_iter().chain(cards::others()) {
        match card {
            Card::Ready(text) if SOFTWARE_DRIVERS.iter().any(|name| text.contains(name)) => {}
            Card::Ready(text) => return Good(text),
            Card::Missing(text) if advice.is_empty() => advice = text,
            Card::Missing(_) => {}
        }
    }
    if advice.is_empty() {
        "only a driver that draws on the processor was found".clone_into(&mut advice);
    }
    Lacking(format!("none is used, the processor does the work: {advice}"))
}

#[cfg(target_os = "linux")]
fn virtual_camera() -> State {
    match sink::loopbacks() {
        Ok(entries) => match entries.iter().find(|entry| entry.trouble.is_none()) {
            Some(entry) if entry.is_both => {
                Lacking("browsers do not show it; load it anew: `sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1 card_label=effigy`".to_owned())
            }
            Some(entry) => Good(format!("{}: `effigy run --sink vcam`", entry.path.display())),
            None => Lacking(entries.iter().find_map(|entry| entry.trouble.as_ref()).map_or(String::new(), ToString::to_string)),
        },
        Err(error) => Lacking(error.to_string()),
    }
}

#[cfg(not(target_os = "linux"))]
fn virtual_camera() -> State {
    Lacking("by way of OBS: show the window there and start OBS's virtual camera".to_owned())
}

#[cfg(all(target_os = "linux", feature = "pipewire"))]
fn pipewire() -> State {
    of(sink::PipewireSink::probe(), |()| "`effigy run --sink pipewire`".to_owned(), Lacking)
}

#[cfg(not(all(target_os = "linux", feature = "pipewire")))]
fn pipewire() -> State {
    of("pipewire".parse::<sink::SinkSpec>(), |spec| spec.to_string(), Lacking)
}

/// Whether the desktop's portal can be reached, which sandboxed programs get PipeWire's cameras by.
fn portal() -> State {
    let is_set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if !cfg!(target_os = "linux") {
        return Good("not needed here".to_owned());
    }
    if is_set("DBUS_SESSION_BUS_ADDRESS").is_none() {
        return Lacking(
            "no desktop session (DBUS_SESSION_BUS_ADDRESS is not set); needed by browsers for PipeWire's cameras only"
                .to_owned(),
        );
    }
    let folders = ["/usr/share/dbus-1/services", "/usr/local/share/dbus-1/services"];
    let has = |folder: &&str| Path::new(folder).join("org.freedesktop.portal.Desktop.service").exists();
    match folders.iter().find(|folder| has(folder)) {
        Some(_) => Good("xdg-desktop-portal is installed".to_owned()),
        None => Lacking(
            "`sudo apt install xdg-desktop-portal xdg-desktop-portal-gtk` lets browsers find PipeWire's cameras"
                .to_owned(),
        ),
    }
}

fn settings_file() -> State {
    let read = || {
        let path = settings_path()?;
        let file = SettingsFile::read(&path)?;
        let n_settings = file.as_ref().map_or(Ok(0), |file| file.settings().map(|settings| settings.len()))?;
        Ok(match file {
            Some(_) => format!("{n_settings} in {}", path.display()),
            None => format!("none yet; `effigy config edit` makes {}", path.display()),
        })
    };
    of(read(), |text| text, Bad)
}

fn identities() -> State {
    match Library::of_user().and_then(|library| Ok((library.list()?.len(), library))) {
        Ok((0, _)) => {
            Lacking("the library is empty; `effigy enroll me.jpg -o me.effigy --consent self`, `effigy identities add me.effigy`".to_owned())
        }
        Ok((n, library)) => Good(format!("{n} in {}", library.folder().display())),
        Err(error) => Lacking(error.to_string()),
    }
}

/// Whether what must be kept can be written.
fn folders() -> State {
    let probe = |folder: Result<std::path::PathBuf>| {
        let path = folder?.join(".probe");
        settings::write_atomically(&path, b"")?;
        // Empty and hidden: it harms nobody if it stays.
        let _ = std::fs::remove_file(&path);
        Ok::<_, Error>(())
    };
    for folder in [settings::config_dir(), settings::state_dir(), settings::data_dir(), settings::cache_dir()] {
        if let Err(error) = probe(folder) {
            return Bad(format!("{error}; make the folder yours: `sudo chown -R $USER ~/.config ~/.local ~/.cache`"));
        }
    }
    Good("settings, library and thumbnails can be written".to_owned())
}

#[cfg(unix)]
fn disk(folder: &Path) -> State {
    match rustix::fs::statvfs(folder) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let gib = free as f64 / f64::from(1 << 30);
            if free < LOW_DISK {
                Lacking(format!(
                    "{gib:.1} GiB free here; a recording takes 1 to 10 GiB an hour: `df -h .` shows where to make room"
                ))
            } else {
                Good(format!("{gib:.0} GiB free here"))
            }
        }
        Err(error) => Lacking(format!("the free space is not known: {error}")),
    }
}

#[cfg(not(unix))]
fn disk(_: &Path) -> State {
    Good(format!("not checked here; a recording needs {} GiB", LOW_DISK >> 30))
}
