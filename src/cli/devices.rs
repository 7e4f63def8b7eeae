//! `effigy devices`: what this build and machine have, and what to do about what is missing.

#![expect(clippy::print_stdout, reason = "the list is this command's output")]

use effigy::{Result, capture, models};

use super::DevicesArgs;

/// Prints everything that `run` could use.
pub(crate) fn run(_args: &DevicesArgs) -> Result<()> {
    cameras();
    println!("\nSinks");
    row("window", &window());
    row("file", "H.264 or MPEG-4 video (file:out.mp4), PNG sequence (file:folder/)");
    row("null", "shows nothing; for measuring");
    println!("\nGraphics cards");
    cuda();
    wgpu();
    println!("\nBackends");
    row("warp", "ready: mesh warp on the processor");
    row("cpu", &runtime());
    row("cuda, wgpu", "this version has no trained network to run on them");
    Ok(())
}

fn row(name: &str, state: &str) {
    println!("  {name:<12} {state}");
}

fn cameras() {
    println!("Cameras");
    match capture::cameras() {
        Ok(cameras) if cameras.is_empty() => {
            row("none", "plug one in; on Linux, `ls /dev/video*` shows what the system sees. Or use --source FILE or pattern");
        }
        Ok(cameras) => {
            for camera in cameras {
                row(&format!("camera:{}", camera.index), &camera.to_string());
            }
        }
        Err(error) => row("none", &error.to_string()),
    }
}

fn window() -> String {
    if !cfg!(feature = "window") {
        return "not in this build: build with the feature `window`".to_owned();
    }
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|key| std::env::var_os(key).is_some_and(|v| !v.is_empty()));
    if cfg!(target_os = "linux") && !has_display {
        "no display (DISPLAY is not set): use --sink file:out.mp4, or start a desktop session".to_owned()
    } else {
        "ready".to_owned()
    }
}

fn runtime() -> String {
    match models::runtime_path() {
        Ok(path) => format!("ONNX Runtime found: {}", path.display()),
        Err(error) => error.to_string(),
    }
}

#[cfg(feature = "cuda")]
fn cuda() {
    // SAFETY is the library's matter here: only its safe calls are used, and it is asked first
    // whether the driver is there, since making a context panics without it.
    if !cudarc_is_present() {
        return row("NVIDIA", "none: no driver (libcuda) found; on a machine with such a card install NVIDIA's driver");
    }
    match cudarc::driver::CudaContext::device_count() {
        Ok(0) | Err(_) => row("NVIDIA", "the driver is there, but no card answers: see `nvidia-smi`"),
        Ok(n) => {
            for i in 0..n as usize {
                match cudarc::driver::CudaContext::new(i) {
                    Ok(card) => row("NVIDIA", &card.name().unwrap_or_else(|_| "a card without a name".to_owned())),
                    Err(error) => row("NVIDIA", &format!("card {i} cannot be opened: {error}")),
                }
            }
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda() {
    row("NVIDIA", "not in this build: build with the feature `cuda`");
}

#[cfg(feature = "wgpu")]
fn wgpu() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let cards = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    if cards.is_empty() {
        row("other", "none: no Vulkan driver found; on Debian, apt install mesa-vulkan-drivers");
    }
    for card in cards {
        let info = card.get_info();
        row("wgpu", &format!("{} ({}, {})", info.name, info.backend, info.driver_info));
    }
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() {
    row("other", "not in this build: build with the feature `wgpu`");
}
