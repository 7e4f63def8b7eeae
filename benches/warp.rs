//! How long the warp and the compositor take for one frame, on one core.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a bench talks to its reader and may stop at once")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use common::{identity, open_mouth, rest};
use effigy::composite::{CompositeOptions, Compositor};
use effigy::generate::warp::WarpGenerator;
use effigy::trace::Trace;
use effigy::{Generator, OutFrame, Portrait};
use glam::Quat;

const FRAMES: usize = 300;

fn main() {
    for size_px in [512, 1024] {
        let identity = identity(size_px);
        let mut generator = WarpGenerator::new(size_px);
        generator.adopt(identity.clone()).unwrap();
        let mut compositor = Compositor::new(CompositeOptions { size_px, ..Default::default() }).unwrap();
        compositor.adopt(&identity).unwrap();
        let (mut portrait, mut out) = (Portrait::default(), OutFrame::blank(size_px, size_px));
        let (mut generate, mut compose) = (Vec::new(), Vec::new());
        for i in 0..FRAMES {
            let mut signal = rest();
            let t = i as f32 * 0.05;
            signal.rotation = Quat::from_rotation_y(0.6 * t.sin()) * Quat::from_rotation_z(0.3 * (t * 0.7).sin());
            open_mouth(&mut signal, &identity, 0.1 + 0.1 * (t * 3.0).sin());
            let begin = Instant::now();
            generator.generate(&signal, &mut portrait).unwrap();
            generate.push(begin.elapsed());
            let begin = Instant::now();
            compositor.compose(&portrait, Trace::default(), &mut out).unwrap();
            compose.push(begin.elapsed());
        }
        print("generate", size_px, &mut generate);
        print("compose", size_px, &mut compose);
    }
}

fn print(what: &str, size_px: usize, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("{what:9} {size_px:5}  median {:6.2} ms  p99 {:6.2} ms", at(0.5), at(0.99));
}
