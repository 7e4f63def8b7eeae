//! What an opening mouth shows that the photo does not: teeth that keep their size and place, tongue and dark.
//!
//! A network that has seen one photo draws what is between its lips over whatever opening it is asked for. Where the mouth
//! opens further than the photo's, or shows teeth where that shows none, this layer covers it. The upper teeth stand still
//! in the head, the lower ones go with the chin ([`arch`]); the upper ones are the person's own where the photo or a view
//! shows them ([`teeth`]). How bright each height of the mouth is, and whether teeth are there, is what was seen of the
//! driver ([`seen`]); where nothing was, the anatomy decides. The layer lies between the lips' inner edges, at the picture's
//! full size.

use std::sync::Arc;

use glam::{Vec2, Vec3};

use self::arch::{Arch, Unprojection};
use self::lips::{Lips, Place};
use self::opening::Opening;
use self::seen::Seen;
use self::teeth::{Row, Teeth};
use super::views::{Mix, portraits};
use super::warp::{LOWER_LIP, UPPER_LIP, smoothstep};
use crate::error::Result;
use crate::face::{read_mouth, whites};
use crate::frame::Rgba;
use crate::geometry::{FaceShape, HeadPlacement, Landmarks, MouthContents, N_LANDMARKS};
use crate::identity::Identity;
use crate::signal::DrivingSignal;

mod arch;
mod lips;
mod opening;
mod photo;
mod seen;
mod teeth;

/// Points along each lip.
const N: usize = UPPER_LIP.len();

/// From where to where a wider opening than the view's, in face widths, makes the layer come in.
const EXCESS: [f32; 2] = [0.008, 0.03];

/// How much more a mouth must open that shows teeth as its view does: the view's picture is still good there.
const ALIKE: f32 = 0.03;

/// From where to where a mouth that shows teeth where the view shows none, or the other way round, does so, in shares of
/// its lines.
const OTHER: [f32; 2] = [0.4, 0.65];

/// The layer of one identity.
pub(super) struct MouthLayer {
    main: FaceShape,
    /// The main portrait's head at rest, in pixels of the picture.
    rest: HeadPlacement,
    size_px: usize,
    /// How far apart the lips are in each view, point by point, in face widths.
    gaps: Vec<[f32; N]>,
    /// What each view shows between them.
    shown: Vec<MouthContents>,
    /// How bright the whites of the eyes are in the main portrait, 1 is the skin's; 0 where its eyes are not open.
    whites: f32,
    teeth: Teeth,
    opening: Opening,
}

impl MouthLayer {
    /// The layer for pictures of `size_px`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn picture of teeth.
    pub(super) fn new(identity: &Arc<Identity>, size_px: usize) -> Result<Self> {
        let main = identity.shape.clone();
        let views: Vec<Arc<Identity>> = portraits(identity).collect();
        let shown: Vec<_> = views.iter().map(|view| read_mouth(&view.portrait, &view.landmarks_px)).collect();
        Ok(Self {
            rest: HeadPlacement::at_rest(&main, size_px as f32 / identity.size_px() as f32),
            gaps: views.iter().map(|view| gaps(&view.shape.points)).collect(),
            whites: whites(&identity.portrait, &identity.landmarks_px),
            teeth: Teeth::of(&views, &shown)?,
            shown,
            opening: Opening::new(size_px),
            main,
            size_px,
        })
    }

    /// Paints what the views of a `picture` cannot show of the mouth that `signal` asks for. `target` are the face's points in
    /// the picture, in pixels.
    pub(super) fn paint(&mut self, views: Mix, signal: &DrivingSignal, target: &Landmarks, picture: &mut Rgba) {
        let points: [Vec3; N_LANDMARKS] = std::array::from_fn(|i| self.main.points[i] + signal.displacement[i]);
        let now = gaps(&points);
        let of_front = self.share(views.front, &now, &signal.mouth);
        let share = views.back.map_or(of_front, |(back, of_back)| {
            of_front + (self.share(back, &now, &signal.mouth) - of_front) * of_back
        });
        if share <= 0.0 {
            return;
        }
        let Some(window) = self.opening.draw(target) else { return };
        let unprojection = Unprojection::of(&signal.placement(&self.rest, self.size_px));
        let mut upper = Arch::upper(&self.main.points, self.teeth.upper_shift);
        let mut lower = Arch::lower(&points, self.teeth.lower_from_chin);
        let lips = Lips::of(&unprojection, &upper, target);
        let seen = Seen::of(&signal.mouth, self.whites);
        seen.settle(&lips, &mut upper, &mut lower);
        // The upper arch may have moved: the lips again, as seen on it now.
        let lips = Lips::of(&unprojection, &upper, target);
        let widest = now.iter().copied().fold(0.0, f32::max);
        let open = 0.45 + 0.55 * smoothstep(0.01, 0.13, widest);
        let size = self.size_px;
        let data = picture.data_mut();
        for y in window.rows() {
            for x in window.columns() {
                let cover = share * self.opening.cover(x, y);
                if cover < 0.004 {
                    continue;
                }
                let at = Vec2::new(x as f32, y as f32) + 0.5;
                let [above, below] = [&upper, &lower].map(|arch| unprojection.meet(arch, at));
                let colour = self.colour(&seen, lips.place(above), above, below, open);
                let pixel = &mut data[(y * size + x) * 4..][..3];
                for (sample, value) in pixel.iter_mut().zip(colour) {
                    *sample = (f32::from(*sample) + (value - f32::from(*sample)) * cover + 0.5) as u8;
                }
            }
        }
    }

    /// How much of the layer a view needs, 0..1, where the lips are `now` so far apart and the driver's mouth shows `wanted`.
    fn share(&self, view: usize, now: &[f32; N], wanted: &MouthContents) -> f32 {
        let excess = now.iter().zip(&self.gaps[view]).map(|(now, photo)| now - photo).fold(0.0, f32::max);
        let [alike, other] = wanted.teeth_alike_and_other(&self.shown[view]);
        let excess = excess - ALIKE * smoothstep(0.3, 0.6, alike);
        smoothstep(EXCESS[0], EXCESS[1], excess).max(smoothstep(OTHER[0], OTHER[1], other))
    }

    /// The colour, 0..255, of a place between the lips, which is `above` on the upper arch and `below` on the lower one.
    #[inline]
    fn colour(&self, seen: &Seen, place: Place, above: Vec2, below: Vec2, open: f32) -> [f32; 3] {
        let guessed = open * place.light;
        let mut colour = self.teeth.flesh.behind(below, guessed);
        let mut light = guessed;
        let mut shown = 1.0;
        let mut tint = [1.0; 3];
        if let Some(line) = seen.line(place.t) {
            let known = self.teeth.flesh.like(line, place.aside);
            mix(&mut colour, known, seen.certainty);
            // A line's mean has the gaps between the teeth in it.
            let bright = (1.3 * line.light * self.teeth.skin_luma() / self.teeth.luma).clamp(0.65, 1.1) * place.aside;
            light += (bright - light) * seen.certainty;
            shown += (smoothstep(0.15, 0.6, line.teeth) - shown) * seen.certainty;
            tint = self.teeth.tint(known, seen.certainty);
        }
        for (row, place, dim) in [(Row::Lower, below, 0.9), (Row::Upper, above, 1.0)] {
            let [rgb @ .., alpha] = self.teeth.read(row, place);
            mix(&mut colour, std::array::from_fn(|c| rgb[c] * tint[c] * light * dim), alpha * shown);
        }
        colour
    }
}

/// The opening between the lips' inner edges as a closed line, in the points' pixels.
fn outline(points_px: &Landmarks) -> [Vec2; 2 * N] {
    std::array::from_fn(|i| {
        let point = if i < N { UPPER_LIP[i] } else { LOWER_LIP[2 * N - 1 - i] };
        points_px[point].truncate()
    })
}

/// The distance of the lips at each of their points, in face widths.
fn gaps(points: &[Vec3; N_LANDMARKS]) -> [f32; N] {
    std::array::from_fn(|i| (points[LOWER_LIP[i]].y - points[UPPER_LIP[i]].y).max(0.0))
}

fn mix(colour: &mut [f32; 3], other: [f32; 3], share: f32) {
    for (value, other) in colour.iter_mut().zip(other) {
        *value += (other - *value) * share;
    }
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
}
