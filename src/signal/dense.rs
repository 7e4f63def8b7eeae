//! What the driver shows beside what the mesh knows: how hair, ears, collar and the tracker's own errors move, and light and
//! shade that come and go with an expression.

use glam::Vec2;

use crate::geometry::{HeadPlacement, N_FINE_POINTS, N_LANDMARKS};
#[cfg(feature = "train")]
use crate::geometry::{MIRRORED_FINE_POINTS, MIRRORED_POINTS};

/// Cells of the grid, each way.
const N: usize = 64;

/// How far from where the mesh would put them parts of the driver are seen. Carries no picture.
///
/// All shifts are in face widths, x to the picture's right and y down.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseMotion {
    /// Which frame it was measured from: those of one number can be compared. 0 is none, [`Self::PORTRAIT`] the portrait's.
    pub reference: u32,
    /// The shift of each of the face's points.
    pub points: [Vec2; N_LANDMARKS],
    /// Shifts around the face, each at the place where the part is seen: (64, 64) over [`Self::REACH`] to each side of the
    /// head's centre, rows from top to bottom.
    pub around: [Vec2; N * N],
    /// How much brighter the face is at each point of the fine mesh: the natural logarithm of the ratio; 0 at its outline and
    /// between the lips.
    pub light: [f32; N_FINE_POINTS],
}

impl Default for DenseMotion {
    fn default() -> Self {
        Self::NONE
    }
}

impl DenseMotion {
    /// All is where the mesh puts it.
    pub const NONE: Self = Self {
        reference: 0,
        points: [Vec2::ZERO; N_LANDMARKS],
        around: [Vec2::ZERO; N * N],
        light: [0.0; N_FINE_POINTS],
    };
    /// Cells of the grid, each way.
    pub const N: usize = N;
    /// The number of the frame that the portrait shows: what is measured from it needs nothing to count from.
    pub const PORTRAIT: u32 = u32::MAX;
    /// The grid reaches so far from the head's centre, in face widths.
    pub const REACH: f32 = 2.0;

    /// Where a part around the face goes that the mesh puts at `at_px`, for a head at `placement`.
    pub(crate) fn moved(&self, at_px: Vec2, placement: &HeadPlacement) -> Vec2 {
        let place = (at_px - placement.centre_px) / placement.width_px;
        // A shift stands where the part is seen, so it is looked up there.
        at_px + self.at(place + self.at(place)) * placement.width_px
    }

    /// The shift at a place, in face widths from the head's centre; none beyond the grid.
    fn at(&self, place: Vec2) -> Vec2 {
        let cell = (place / Self::REACH + 1.0) * (0.5 * N as f32) - 0.5;
        let last = (N - 1) as f32;
        // A place that is not a number is nowhere.
        let is_inside = cell.x >= 0.0 && cell.y >= 0.0 && cell.x < last && cell.y < last;
        if !is_inside {
            return Vec2::ZERO;
        }
        let (x, y) = (cell.x as usize, cell.y as usize);
        let t = cell - cell.floor();
        let row = |y: usize| self.around[y * N + x].lerp(self.around[y * N + x + 1], t.x);
        row(y).lerp(row(y + 1), t.y)
    }

    /// What has changed since `neutral`, `strength` times; all of it when that was measured from another frame.
    pub(crate) fn take(&mut self, seen: &Self, neutral: &Self, strength: f32) {
        let counts = if neutral.reference == seen.reference { 1.0 } else { 0.0 };
        let change = |(seen, neutral): (&Vec2, &Vec2)| (*seen - *neutral * counts) * strength;
        self.reference = seen.reference;
        for (to, change) in self.points.iter_mut().zip(seen.points.iter().zip(&neutral.points).map(change)) {
            *to = change;
        }
        for (to, change) in self.around.iter_mut().zip(seen.around.iter().zip(&neutral.around).map(change)) {
            *to = change;
        }
        for (to, (seen, neutral)) in self.light.iter_mut().zip(seen.light.iter().zip(&neutral.light)) {
            *to = (seen - neutral * counts) * strength;
        }
    }

    /// Goes towards `other`: by the part `t` of the way, or all of it when that was measured from another frame.
    pub(crate) fn follow(&mut self, other: &Self, t: f32) {
        *self = if self.reference == other.reference { self.lerp(other, t) } else { other.clone() };
    }

    /// The motion between two others: `t` = 0 is `self`, 1 is `other`.
    #[must_use]
    pub(super) fn lerp(&self, other: &Self, t: f32) -> Self {
        Self {
            reference: other.reference,
            points: std::array::from_fn(|i| self.points[i].lerp(other.points[i], t)),
            around: std::array::from_fn(|i| self.around[i].lerp(other.around[i], t)),
            light: std::array::from_fn(|i| self.light[i] + (other.light[i] - self.light[i]) * t),
        }
    }

    /// The motion with left and right exchanged.
    #[cfg(feature = "train")]
    #[must_use]
    pub(crate) fn mirrored(&self) -> Self {
        const FLIP: Vec2 = Vec2::new(-1.0, 1.0);
        Self {
            reference: self.reference,
            points: std::array::from_fn(|i| self.points[MIRRORED_POINTS[i]] * FLIP),
            around: std::array::from_fn(|i| self.around[i / N * N + N - 1 - i % N] * FLIP),
            light: std::array::from_fn(|i| self.light[MIRRORED_FINE_POINTS[i]]),
        }
    }
}

#[cfg(test)]
mod tests {
    use glam::Quat;

    use super::*;

    const PLACEMENT: HeadPlacement =
        HeadPlacement { centre_px: Vec2::new(300.0, 200.0), width_px: 50.0, rotation: Quat::IDENTITY };

    /// A motion that shifts one cell and its neighbours' halves.
    fn one_cell(column: usize, row: usize, shift: Vec2) -> Box<DenseMotion> {
        let mut motion = Box::new(DenseMotion::NONE);
        motion.around[row * N + column] = shift;
        motion
    }

    #[test]
    fn a_shift_moves_what_is_seen_at_its_place_and_nothing_far_away() {
        // The cell's middle is 8.5 cells right of the middle and 4.5 above: a cell is a sixteenth of a face width.
        let motion = one_cell(40, 27, Vec2::new(0.02, -0.01));
        let middle_px = PLACEMENT.centre_px + Vec2::new(8.5, -4.5) / 16.0 * 50.0;
        let seen = motion.moved(middle_px - Vec2::new(1.0, -0.5), &PLACEMENT);
        assert!(seen.distance(middle_px) < 0.35, "{seen} is not {middle_px}");
        for far_px in [PLACEMENT.centre_px, Vec2::new(-1e4, 3.0), Vec2::new(390.0, 290.0)] {
            assert_eq!(motion.moved(far_px, &PLACEMENT), far_px);
        }
        assert!(motion.moved(Vec2::NAN, &PLACEMENT).is_nan(), "no panic");
    }

    #[test]
    fn neutral_counts_only_when_it_was_measured_from_the_same_frame() {
        let mut seen = one_cell(1, 1, Vec2::new(0.05, 0.0));
        let mut neutral = one_cell(1, 1, Vec2::new(0.02, 0.0));
        (seen.reference, neutral.reference) = (3, 3);
        let mut motion = Box::new(DenseMotion::NONE);
        motion.take(&seen, &neutral, 0.5);
        assert!((motion.around[N + 1].x - 0.015).abs() < 1e-6);
        neutral.reference = 2;
        motion.take(&seen, &neutral, 1.0);
        assert!((motion.around[N + 1].x - 0.05).abs() < 1e-6);

        let mut kept = neutral.clone();
        kept.follow(&seen, 0.5);
        assert_eq!(kept, seen, "shifts from two frames are not mixed");
        neutral.reference = 3;
        neutral.follow(&seen, 0.5);
        assert!((neutral.around[N + 1].x - 0.035).abs() < 1e-6);
    }
}
