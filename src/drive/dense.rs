//! What motion beside the mesh counts from.

use crate::clock::Timestamp;
use crate::signal::DenseMotion;

/// The mean of what moves beside the mesh, which that motion counts from.
///
/// The tracker is wrong about the reference too, by as much as about any frame; in the mean that cancels.
#[derive(Default)]
pub(super) struct DenseMean {
    motion: Box<DenseMotion>,
    /// How long it has been taken, and until when.
    secs: f64,
    last: Option<Timestamp>,
}

impl DenseMean {
    /// The mean is that of so long.
    const SECS: f64 = 10.0;
    /// The first frame of a reference counts as if it had been seen for so long: a clip's first frame is often the portrait's.
    const FIRST_SECS: f64 = 1.0;
    /// The reference of what was not measured.
    const NOTHING: u32 = DenseMotion::NONE.reference;

    /// Takes a frame into the mean and gives it.
    pub(super) fn update(&mut self, seen: &DenseMotion, now: Timestamp) -> &DenseMotion {
        if seen.reference == Self::NOTHING {
            return &self.motion;
        }
        let is_new = self.motion.reference != seen.reference;
        let last = self.last.replace(now).filter(|_| !is_new);
        let elapsed_secs = last.map_or(Self::FIRST_SECS, |last| now.since(last).as_secs_f64().min(Self::FIRST_SECS));
        if is_new {
            self.secs = 0.0;
        }
        self.secs = (self.secs + elapsed_secs).min(Self::SECS);
        let share = if self.secs > 0.0 { elapsed_secs / self.secs } else { 1.0 };
        self.motion.follow(seen, share as f32);
        &self.motion
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = DenseMotion::N;

    #[test]
    fn the_mean_begins_anew_with_another_reference() {
        let mut mean = DenseMean::default();
        let mut seen = Box::new(DenseMotion::NONE);
        let mut millis = 0;
        for reference in [1, 2] {
            for (i, x) in [0.02, 0.04, 0.03, 0.03].into_iter().enumerate() {
                (seen.reference, seen.around[N + 1].x) = (reference, x);
                millis += 40;
                let found = mean.update(&seen, Timestamp::from_nanos(millis * 1_000_000)).around[N + 1].x;
                // The first counts a second, the others 40 ms each.
                let expected = [0.02, 0.020_769, 0.021_111, 0.021_429][i];
                assert!((found - expected).abs() < 2e-6, "{reference}, {i}: {found}");
            }
        }
        seen.reference = 3;
        seen.around[N + 1].x = -0.01;
        assert_eq!(mean.update(&seen, Timestamp::from_nanos(400_000_000)).around[N + 1].x, -0.01);
    }
}
