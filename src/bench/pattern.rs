//! The test pattern as something to give to other programs.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::capture::PatternPlayer;
use crate::clock::Clock;
use crate::composite::{CompositeOptions, Compositor, OutFrame};
use crate::error::Result;
use crate::generate::Portrait;
use crate::sink::Sink;
use crate::trace::Trace;

/// Shows the pattern on `sink` until `is_over`, or the sink is closed; answers with the number of pictures.
///
/// Every picture carries its number, counted from 1, and the moment at which it was due.
///
/// # Errors
/// When the pattern cannot be read, or the sink cannot go on.
pub fn play(sink: &mut dyn Sink, size_px: usize, clock: &dyn Clock, is_over: &AtomicBool) -> Result<u64> {
    let shown = show(sink, size_px, clock, is_over);
    // A file is completed also after an error; the first error is the one that counts.
    let finished = sink.finish();
    shown.and_then(|n| finished.map(|()| n))
}

fn show(sink: &mut dyn Sink, size_px: usize, clock: &dyn Clock, is_over: &AtomicBool) -> Result<u64> {
    let mut player = PatternPlayer::open(size_px)?;
    let mut compositor = Compositor::new(CompositeOptions { size_px, ..CompositeOptions::default() })?;
    compositor.set_stamp(true);
    let (mut portrait, mut frame) = (Portrait::default(), OutFrame::blank(size_px, size_px));
    let mut n_shown = 0;
    while !is_over.load(Ordering::Relaxed) {
        let Some(due) = player.read(&mut portrait.picture, clock)? else { continue };
        n_shown += 1;
        compositor.compose(&portrait, Trace::new(n_shown, due), &mut frame)?;
        if sink.present(&frame)? == ControlFlow::Break(()) {
            break;
        }
    }
    Ok(n_shown)
}
