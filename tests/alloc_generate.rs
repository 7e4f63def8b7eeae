//! Making and composing a picture allocates nothing after the first one.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "common/allocator.rs"]
mod allocator;
mod common;

use std::sync::atomic::{AtomicUsize, Ordering};

use allocator::Noting;
use common::{identity, open_mouth, rest};
use effigy::composite::{CardReason, CompositeOptions, Compositor, Framing};
use effigy::generate::cpu::CpuExecutor;
use effigy::generate::family::{Family, Kind};
use effigy::generate::founding;
use effigy::generate::network::Size;
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::trace::Trace;
use effigy::{Generator, OutFrame, Portrait};
use glam::Quat;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Noting = Noting(|n_bytes| {
    if n_bytes > 0 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
});

/// The warp, the network and the founding families, one after the other: the count belongs to the process.
#[test]
fn the_frame_path_allocates_nothing() {
    let weights = || Weights::random(Size::Small, 1);
    // In 8 bits, where the processor multiplies bytes; and in f32.
    let network = NeuralGenerator::new(weights(), 512, |plan| Ok(Box::new(CpuExecutor::new(plan, 1)?)));
    let in_f32 = NeuralGenerator::new(weights(), 512, |plan| Ok(Box::new(CpuExecutor::new(plan, 1)?.in_f32())));
    let generators: [Box<dyn Generator>; 3] =
        [Box::new(WarpGenerator::new(512)), Box::new(network.unwrap()), Box::new(in_f32.unwrap())];
    let families = Kind::ALL.map(|kind| founding::open(Family::built_in(kind).unwrap(), 512).unwrap());
    generators.into_iter().chain(families).for_each(check);
}

fn check(mut generator: Box<dyn Generator>) {
    let identity = identity(512);
    generator.adopt(identity.clone()).unwrap();
    let mut compositor = Compositor::new(CompositeOptions::default()).unwrap();
    compositor.adopt(&identity).unwrap();
    let (mut portrait, mut out) = (Portrait::default(), OutFrame::blank(512, 512));
    // A head that is shrunk into its frame, and one that is enlarged.
    let mut framed = [(640, 360), (1280, 720)].map(|frame_px| {
        let framing = Framing::Fill;
        let options = CompositeOptions { frame_px: Some(frame_px), framing, ..CompositeOptions::default() };
        let mut compositor = Compositor::new(options).unwrap();
        compositor.adopt(&identity).unwrap();
        (compositor, OutFrame::blank(frame_px.0, frame_px.1))
    });
    let mut signal = rest();
    open_mouth(&mut signal, &identity, 0.2);
    let mut frame = |i: usize| {
        signal.rotation = Quat::from_rotation_y((i as f32 * 0.7).sin() * 0.6);
        generator.generate(&signal, &mut portrait).unwrap();
        compositor.compose(&portrait, Trace::default(), &mut out).unwrap();
        compositor.card(CardReason::Paused, Trace::default(), &mut out);
        for (compositor, out) in &mut framed {
            compositor.follow(&signal);
            compositor.compose(&portrait, Trace::default(), out).unwrap();
        }
    };
    frame(0);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (1..20).for_each(&mut frame);
    let after = ALLOCATIONS.load(Ordering::Relaxed);
    assert_eq!(after - before, 0, "19 frames of {} allocated {} times", generator.name(), after - before);
}
