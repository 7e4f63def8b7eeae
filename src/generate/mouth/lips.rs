//! Where a place is between the lips.

use glam::Vec2;

use super::arch::{Arch, Unprojection};
use super::{LOWER_LIP, N, UPPER_LIP, smoothstep};
use crate::geometry::Landmarks;

/// The lips' inner edges, as seen on the upper teeth's surface: x from the middle of the teeth, y from their edge.
pub(super) struct Lips {
    upper: [Vec2; N],
    lower: [Vec2; N],
}

/// A place between the lips.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// From the upper lip, 0, to the lower one, 1.
    pub(super) t: f32,
    /// How much light falls there, 0..1: less under the upper lip and towards the corners.
    pub(super) light: f32,
    /// How much of it the corners leave, 0..1.
    pub(super) aside: f32,
}

impl Lips {
    pub(super) fn of(unprojection: &Unprojection, arch: &Arch, target: &Landmarks) -> Self {
        let meet = |i: usize| unprojection.meet(arch, target[i].truncate());
        Self { upper: UPPER_LIP.map(meet), lower: LOWER_LIP.map(meet) }
    }

    /// The heights of the lips' edges in their middle.
    pub(super) fn middle(&self) -> [f32; 2] {
        [self.upper[N / 2].y, self.lower[N / 2].y]
    }

    pub(super) fn place(&self, at: Vec2) -> Place {
        let [upper, lower] = [&self.upper, &self.lower].map(|lip| height(lip, at.x));
        let (left, right) = (self.upper[0].x, self.upper[N - 1].x);
        let from_middle = (2.0 * (at.x - left) / (right - left).max(1e-4) - 1.0).abs();
        let aside = 1.0 - 0.55 * smoothstep(0.5, 1.0, from_middle);
        let under = 0.6 + 0.4 * smoothstep(0.0, 0.05, at.y - upper);
        Place { t: ((at.y - upper) / (lower - upper).max(1e-4)).clamp(0.0, 1.0), light: under * aside, aside }
    }
}

/// The height of a lip's edge at `x`.
fn height(lip: &[Vec2; N], x: f32) -> f32 {
    lip.windows(2).find(|pair| x <= pair[1].x).map_or(lip[N - 1].y, |pair| {
        let t = ((x - pair[0].x) / (pair[1].x - pair[0].x).max(1e-4)).clamp(0.0, 1.0);
        pair[0].y + (pair[1].y - pair[0].y) * t
    })
}
