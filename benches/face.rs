//! How long the face stage takes for a frame: `cargo bench --bench face [-- PICTURE]`.
//!
//! The picture (a portrait; else that of the demo or of the shared data) sways over the frame. Prints median,
//! 99th percentile and the CPU time of a frame, in milliseconds, for following a face, for finding it anew, and for measuring
//! what moves beside the mesh.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use effigy::clock::Timestamp;
use effigy::drive::DenseMotion;
use effigy::face::{FaceObservation, FaceTracker, TrackerOptions};
use effigy::flow::DenseTracker;
use effigy::{RawFrame, Result, Rgb};

const N_FRAMES: usize = 300;

fn main() -> Result<()> {
    let Some(portrait) = portrait() else {
        println!("no portrait: name one, `cargo bench --bench face -- PICTURE`");
        return Ok(());
    };
    println!(
        "{:<10} {:>7} {:<7} {:>10} {:>10} {:>10} {:>8}",
        "frame", "threads", "what", "median ms", "p99 ms", "cpu ms", "faces"
    );
    for (width_px, height_px) in [(640, 480), (512, 512)] {
        for n_threads in [1, 2] {
            for what in ["follow", "find"] {
                measure(&portrait, (width_px, height_px), n_threads, what)?;
            }
        }
        measure(&portrait, (width_px, height_px), 1, "dense")?;
    }
    Ok(())
}

fn measure(portrait: &Rgb, size_px: (usize, usize), n_threads: usize, what: &str) -> Result<()> {
    let mut tracker = FaceTracker::new(TrackerOptions { n_threads, ..TrackerOptions::default() })?;
    let mut out = FaceObservation::default();
    let (mut dense, mut motion) = (DenseTracker::new()?, Box::new(DenseMotion::NONE));
    let mut frame = RawFrame::new(Rgb::new(size_px.0, size_px.1), Timestamp::default());
    let mut picture = Rgb::new(size_px.0, size_px.1);
    let (mut times_ms, mut n_faces, mut cpu_ms) = (Vec::with_capacity(N_FRAMES), 0, 0.0);
    for i in 0..N_FRAMES + 20 {
        draw(portrait, (20.0 * (i as f32 * 0.1).sin()) as isize, &mut picture);
        frame.set_picture(&picture);
        frame.set_captured(Timestamp::from_nanos(i as u64 * 33_333_333));
        if what == "find" {
            tracker.reset();
        }
        let (start, cpu_start) = (Instant::now(), cpu_time_ms());
        let found = tracker.observe(&frame, &mut out)?;
        let (start, cpu_start) = match what {
            "dense" => (Instant::now(), cpu_time_ms()),
            _ => (start, cpu_start),
        };
        if what == "dense" {
            dense.observe(&frame, found.then_some(&out), &mut motion)?;
        }
        if i >= 20 {
            times_ms.push(start.elapsed().as_secs_f64() * 1e3);
            cpu_ms += cpu_time_ms() - cpu_start;
            n_faces += usize::from(found);
        }
    }
    times_ms.sort_by(f64::total_cmp);
    println!(
        "{:<10} {n_threads:>7} {what:<7} {:>10.2} {:>10.2} {:>10.2} {:>8}",
        format!("{}x{}", size_px.0, size_px.1),
        times_ms[N_FRAMES / 2],
        times_ms[N_FRAMES * 99 / 100],
        cpu_ms / N_FRAMES as f64,
        format!("{n_faces}/{N_FRAMES}"),
    );
    Ok(())
}

/// Puts the portrait's middle into the frame's, `shift_px` to the right, its edges repeated.
fn draw(portrait: &Rgb, shift_px: isize, out: &mut Rgb) {
    let (width_px, height_px) = (out.width_px(), out.height_px());
    let from = |to: usize, extent: usize, portrait: usize, shift: isize| {
        (to as isize - shift - (extent as isize - portrait as isize) / 2).clamp(0, portrait as isize - 1) as usize
    };
    for (i, pixel) in out.data_mut().chunks_exact_mut(3).enumerate() {
        let x = from(i % width_px, width_px, portrait.width_px(), shift_px);
        let y = from(i / width_px, height_px, portrait.height_px(), 0);
        pixel.copy_from_slice(&portrait.pixel(x, y));
    }
}

fn portrait() -> Option<Rgb> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    paths.extend(project.join("models/demo").read_dir().into_iter().flatten().filter_map(|e| Some(e.ok()?.path())));
    paths.push(project.join("../shared/data/test/portraits/congress_C001085.jpg"));
    let picture = paths.iter().find_map(|path| image::open(path).ok())?.into_rgb8();
    let (width_px, height_px) = (picture.width() as usize, picture.height() as usize);
    Rgb::from_data(width_px, height_px, picture.into_raw()).ok()
}

#[cfg(unix)]
fn cpu_time_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 * 1e-6
}

#[cfg(not(unix))]
fn cpu_time_ms() -> f64 {
    f64::NAN
}
