//! `effigy devices`: what this build and machine have, and what to do about what is missing.

use effigy::generate::cards::{self, Card};
use effigy::generate::network::{self, FrameOptions, Size};
use effigy::generate::roofline::Estimates;
use effigy::{Result, capture, microphone, onnx, sink};

use super::{DevicesArgs, ModelSize, terminal};

/// Prints everything that `run` could use.
pub(crate) fn run(args: &DevicesArgs) -> Result<()> {
    if let Some(model) = args.model {
        let size = match model {
            ModelSize::Small => Size::Small,
            ModelSize::Large => Size::Large,
        };
        let frame = network::frame(&FrameOptions::new(size, 512));
        let text = format!("{frame}\n{}\n{}", network::encoder(size), Estimates(&frame));
        return terminal::print(text.as_bytes());
    }
    let mut list = List::default();
    list.heading("Cameras");
    cameras(&mut list);
    list.heading("Microphones");
    microphones(&mut list);
    list.heading("Sinks");
    list.row("window", &window());
    list.row("http", &server());
    vcam(&mut list);
    list.row("pipewire", &pipewire());
    list.row("file", "video that plays whatever happens (file:out.mp4, .mkv, .mov), PNG sequence (file:folder/)");
    list.row("null", "shows nothing; for measuring");
    list.heading("Graphics cards");
    for (kind, cards) in [("NVIDIA", cards::nvidia()), ("wgpu", cards::others())] {
        for card in cards {
            match card {
                Card::Ready(text) => list.row(kind, &text),
                Card::Missing(advice) => list.row(kind, &format!("none: {advice}")),
            }
        }
    }
    list.heading("Backends");
    list.row("warp", "ready: mesh warp on the processor");
    list.row("cpu", &processor());
    list.row("cuda, wgpu", "ready where a card is listed above; the network is inside the program");
    terminal::print(list.text.as_bytes())
}

#[derive(Default)]
struct List {
    text: String,
}

impl List {
    fn heading(&mut self, heading: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        self.text += &format!("{gap}{heading}\n");
    }

    fn row(&mut self, name: &str, state: &str) {
        self.text += &format!("  {name:<12} {state}\n");
    }
}

fn cameras(list: &mut List) {
    match capture::cameras() {
        Ok(cameras) if cameras.is_empty() => {
            list.row(
                "none",
                "plug one in; on Linux, `ls /dev/video*` shows what the system sees. Or use --source FILE or pattern",
            );
        }
        Ok(cameras) => {
            for camera in cameras {
                list.row(&format!("camera:{}", camera.index), &camera.name);
                match &camera.trouble {
                    Some(trouble) => list.row("", &trouble.to_string()),
                    None => {
                        let formats: Vec<_> = camera.formats.iter().map(ToString::to_string).collect();
                        list.row("", &formats.join(", "));
                    }
                }
            }
        }
        Err(error) => list.row("none", &error.to_string()),
    }
}

fn microphones(list: &mut List) {
    match microphone::microphones() {
        Ok(names) if names.is_empty() => list.row("none", "plug one in; only --microphone needs one"),
        Ok(names) => names.iter().for_each(|name| list.row("", name)),
        Err(error) => list.row("none", &error.to_string()),
    }
}

/// Whether a window can be expected to open.
pub(crate) fn has_display() -> bool {
    let is_set = |key: &str| std::env::var_os(key).is_some_and(|value| !value.is_empty());
    cfg!(feature = "window") && (!cfg!(target_os = "linux") || is_set("DISPLAY"))
}

fn window() -> String {
    if !cfg!(feature = "window") {
        "not in this build: build with the feature `window`".to_owned()
    } else if has_display() {
        "ready".to_owned()
    } else {
        "no display (DISPLAY is not set): use --sink file:out.mp4, or start a desktop session".to_owned()
    }
}

/// Whether a port can be had for the control page.
fn server() -> String {
    match std::net::TcpListener::bind(sink::http::DEFAULT_ADDRESS) {
        Ok(_) => "ready: control page and browser source for OBS (http, http:8080); on this machine only".to_owned(),
        Err(error) => format!("no port can be opened here ({error}): look at the system's firewall or sandbox"),
    }
}

/// One row for each loopback device, or what to do to get one.
#[cfg(target_os = "linux")]
fn vcam(list: &mut List) {
    let entries = match effigy::sink::loopbacks() {
        Ok(entries) => entries,
        Err(error) => return list.row("vcam", &format!("none: {error}")),
    };
    for entry in entries {
        let state = match &entry.trouble {
            Some(trouble) => trouble.to_string(),
            None if entry.is_both => format!(
                "{} \"{}\": ready, but browsers do not show it; load v4l2loopback with exclusive_caps=1",
                entry.path.display(),
                entry.card
            ),
            None => format!("{} \"{}\": ready", entry.path.display(), entry.card),
        };
        list.row("vcam", &state);
    }
}

#[cfg(not(target_os = "linux"))]
fn vcam(list: &mut List) {
    list.row("vcam", "a part of Linux; on this system show the window in OBS and start OBS's virtual camera");
}

#[cfg(all(target_os = "linux", feature = "pipewire"))]
fn pipewire() -> String {
    match effigy::sink::PipewireSink::probe() {
        Ok(()) => "ready: a camera without a kernel module, for programs that take PipeWire's".to_owned(),
        Err(error) => format!("none: {error}"),
    }
}

#[cfg(not(all(target_os = "linux", feature = "pipewire")))]
fn pipewire() -> String {
    match "pipewire".parse::<effigy::sink::SinkSpec>() {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn processor() -> String {
    match onnx::runtime_path() {
        Ok(path) => format!("ready: the network `small` on the processor (ONNX Runtime {path})"),
        Err(error) => error.to_string(),
    }
}
