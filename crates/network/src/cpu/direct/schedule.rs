//! Parts of work that follow each other, shared out between threads that may come late.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How often a thread looks whether the other has ended before it lets others have its processor.
const N_LOOKS: usize = 400;

/// A part of a layer: some of its rows, once all parts before `after` have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) layer: usize,
    pub(super) rows: std::ops::Range<usize>,
    pub(super) after: usize,
}

/// Cuts layers of so many rows into parts; `stage` says of each which layers it can be done beside: those of the same number.
pub(super) fn parts(layers: &[(usize, usize)]) -> Vec<Part> {
    /// Enough that the two end at about the same time.
    const N_PARTS: usize = 8;
    let mut parts: Vec<Part> = Vec::new();
    let (mut after, mut before) = (0, None);
    for (layer, &(n_rows, stage)) in layers.iter().enumerate() {
        if before != Some(stage) {
            (after, before) = (parts.len(), Some(stage));
        }
        let n = n_rows.div_ceil(N_PARTS).max(1);
        parts.extend((0..n_rows).step_by(n).map(|row| Part { layer, rows: row..(row + n).min(n_rows), after }));
    }
    parts
}

/// How far a run is. Each thread takes the next part; a thread that never comes takes none, and is not waited for.
#[derive(Debug, Default)]
pub(super) struct Progress {
    n_taken: AtomicUsize,
    n_done: AtomicUsize,
    has_failed: AtomicBool,
}

impl Progress {
    /// Works until nothing is left.
    pub(super) fn work(&self, parts: &[Part], mut run: impl FnMut(&Part)) {
        /// Lets the other thread go on waiting for nothing when this one panics.
        struct Guard<'a>(&'a Progress);
        impl Drop for Guard<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.has_failed.store(true, Ordering::Release);
                }
            }
        }
        let guard = Guard(self);
        while let Some(part) = parts.get(self.n_taken.fetch_add(1, Ordering::Relaxed)) {
            let mut n_looks = 0;
            while self.n_done.load(Ordering::Acquire) < part.after {
                if self.has_failed.load(Ordering::Acquire) {
                    return;
                }
                n_looks += 1;
                if n_looks % N_LOOKS == 0 {
                    std::thread::yield_now();
                } else {
                    std::hint::spin_loop();
                }
            }
            run(part);
            self.n_done.fetch_add(1, Ordering::AcqRel);
        }
        drop(guard);
    }
}
