//! Memory stays where it was while identities change, runs begin and end, and frames pass. Resident memory of the process:
//! most of it is ONNX Runtime's, FFmpeg's, OpenCV's and the C library's, which no allocator of ours sees.
//!
//! Counts are small here; `effigy bench memory` does it 1000 times, 100 times and for an hour, and `benches/runs` holds
//! what it said. One test alone in its process, since it looks at the whole of it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "these are tests, and say what they found")]

mod common;

use effigy::Generator;
use effigy::bench::memory::{Course, Strain, measure};
use effigy::bench::scenario::Engine;
use effigy::generate::choose::{OpenExecutor, open_on_cpu};
use effigy::generate::cpu::CpuExecutor;
use effigy::generate::network::Size;
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::weights::Weights;

/// In f32, or in 8 bits where the processor multiplies bytes, which takes several times as long to prepare.
fn generator(weights: &Weights, is_f32: bool) -> effigy::Result<Box<dyn Generator>> {
    let in_f32: OpenExecutor = |plan| Ok(Box::new(CpuExecutor::new(plan, 2)?.in_f32()));
    let open = if is_f32 { in_f32 } else { open_on_cpu };
    Ok(Box::new(NeuralGenerator::new(weights.clone(), 512, open)?))
}

#[test]
fn memory_in_use_stays_within_5_percent() {
    let weights = Weights::random(Size::Small, 1);
    let mut grown = Vec::new();
    for (strain, is_f32, n_warm_up, n) in [
        (Strain::Switches, true, 14, 50),
        (Strain::Switches, false, 11, 18),
        (Strain::Runs, false, 3, 9),
        (Strain::Frames, true, 100, 400),
    ] {
        let generator = || generator(&weights, is_f32);
        let engine = Engine { identities: vec![common::identity(512)], generator: &generator, size_px: 512 };
        let growth = measure(strain, &engine, Course { n_warm_up, n }).unwrap();
        eprintln!("{n} {}: {growth:?}, {:+.1} %", strain.name(), 100.0 * growth.share());
        if growth.share() > 0.05 {
            grown.push((strain, growth));
        }
    }
    assert!(grown.is_empty(), "{grown:?}");
}
