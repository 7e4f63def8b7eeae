//! The candidate motions of one frame, as the network wants them.

use glam::{Vec2, Vec3};
use pulp::Arch;

use crate::generate::network::margin_px;
use crate::generate::plan::{PLACES_PER_PX, UNDRAWN};
use crate::generate::warp::{Canvas, WarpGenerator};
use crate::geometry::HeadPlacement;

/// Pixels of the finest coarse map along which the full map is read, each way.
const READS: usize = 4;
/// Parts of the map that threads take one after another.
const N_BANDS: usize = 8;

/// Where the face mesh and the sheet around it say that each pixel comes from.
#[derive(Clone)]
pub(crate) struct Maps {
    /// (s, s), packed places in the photo; see [`crate::generate::plan::Finish`].
    pub(crate) full: Vec<u32>,
    /// At each of the features' sizes: (3, n, n), u and v in picture units, and coverage 0..1.
    pub(crate) coarse: [Vec<f32>; 3],
    /// At each of the features' sizes: (2, n, n), how far that is from the head's motion; see [`deform`].
    pub(crate) deformation: [Vec<f32>; 3],
    output_px: usize,
    features_px: [usize; 3],
}

impl Maps {
    /// Makes room for maps of pictures of `output_px`, and coarse ones of `features_px`, each twice the one before.
    pub(crate) fn new(output_px: usize, features_px: [usize; 3]) -> Self {
        Self {
            full: vec![UNDRAWN; output_px * output_px],
            coarse: features_px.map(|px| vec![0.0; 3 * px * px]),
            deformation: features_px.map(|px| vec![0.0; 2 * px * px]),
            output_px,
            features_px,
        }
    }

    /// Takes over another's, of the same sizes. Allocates nothing.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.full.clone_from(&other.full);
        for (to, from) in
            self.coarse.iter_mut().chain(&mut self.deformation).zip(other.coarse.iter().chain(&other.deformation))
        {
            to.clone_from(from);
        }
        (self.output_px, self.features_px) = (other.output_px, other.features_px);
    }

    /// Takes the motion that `mapper` follows; `pose` is that of [`pose`] for the same signal.
    pub(crate) fn take(&mut self, mapper: &WarpGenerator, pose: &[f32; 12]) {
        let size = self.output_px;
        let finest = self.features_px[2];
        let n = finest * finest;
        let per_cell = (size / finest).max(1);
        let step = (per_cell / READS).max(1);
        let canvas = mapper.canvas();
        let (sums, drawn) = self.coarse[2].split_at_mut(2 * n);
        let (sums_u, sums_v) = sums.split_at_mut(n);
        // Rows of whole cells, so that no cell is another band's too.
        let n_cells = finest.div_ceil(N_BANDS) * finest;
        let cells = sums_u.chunks_mut(n_cells).zip(sums_v.chunks_mut(n_cells)).zip(drawn.chunks_mut(n_cells));
        let rows = self.full.chunks_mut(n_cells / finest * per_cell * size);
        canvas.second().share_parts(rows.zip(cells).enumerate(), |_, (i, (full, ((u, v), drawn)))| {
            let mut sums = Sums { u, v, drawn, finest, per_cell, step };
            let first = i * (n_cells / finest) * per_cell;
            Arch::new().dispatch(|| take_band(canvas, first, full, &mut sums));
        });
        let (margin, scale) = (margin_px(size) as f32, 1.0 / size as f32);
        let per_pixel = (size / finest / step).max(1).pow(2) as f32;
        for at in 0..n {
            let drawn = self.coarse[2][2 * n + at];
            let own = Vec2::new((at % finest) as f32 + 0.5, (at / finest) as f32 + 0.5) / finest as f32;
            let sum = Vec2::new(self.coarse[2][at], self.coarse[2][n + at]);
            let place = if drawn > 0.0 { (sum / drawn - margin) * scale } else { own };
            self.coarse[2][at] = place.x;
            self.coarse[2][n + at] = place.y;
            self.coarse[2][2 * n + at] = drawn / per_pixel;
        }
        let [map32, map64, map128] = &mut self.coarse;
        halve(map128, map64, self.features_px[1]);
        halve(map64, map32, self.features_px[0]);
        for (map, to) in self.coarse.iter().zip(&mut self.deformation) {
            deform(map, pose, to);
        }
    }
}

/// Sums of places over the cells of the finest coarse map, and how many pixels each has, in a band of them.
struct Sums<'a> {
    u: &'a mut [f32],
    v: &'a mut [f32],
    drawn: &'a mut [f32],
    finest: usize,
    /// Pixels of a cell each way, and every how many of them is read.
    per_cell: usize,
    step: usize,
}

impl Sums<'_> {
    /// Adds the drawn pixels of row `y` of the band.
    #[inline(always)]
    fn add_row(&mut self, y: usize, places: &[Vec2], depths: &[f32]) {
        let first = y / self.per_cell * self.finest;
        let cells = self.u[first..].iter_mut().zip(&mut self.v[first..]).zip(&mut self.drawn[first..]);
        let pixels = places.chunks_exact(self.per_cell).zip(depths.chunks_exact(self.per_cell));
        for (((u, v), drawn), (places, depths)) in cells.zip(pixels) {
            for (place, &depth) in places.iter().step_by(self.step).zip(depths.iter().step_by(self.step)) {
                if depth < f32::MAX {
                    *u += place.x;
                    *v += place.y;
                    *drawn += 1.0;
                }
            }
        }
    }

    /// Adds what fills a gap.
    fn add(&mut self, y: usize, x: usize, place: Vec2) {
        let cell = y / self.per_cell * self.finest + x / self.per_cell;
        self.u[cell] += place.x;
        self.v[cell] += place.y;
        self.drawn[cell] += 1.0;
    }
}

/// Packs the rows of a band that begins with row `first`, and sums them.
#[inline(always)]
fn take_band(canvas: &Canvas, first: usize, full: &mut [u32], sums: &mut Sums) {
    sums.u.fill(0.0);
    sums.v.fill(0.0);
    sums.drawn.fill(0.0);
    let size = canvas.size_px();
    for (y, row) in full.chunks_exact_mut(size).enumerate() {
        let (places, depths) = canvas.drawn_row(first + y);
        for ((packed, place), &depth) in row.iter_mut().zip(places).zip(depths) {
            *packed = if depth < f32::MAX { pack(*place) } else { UNDRAWN };
        }
        let is_read = y.is_multiple_of(sums.step);
        if is_read {
            sums.add_row(y, places, depths);
        }
        if !canvas.has_holes(first + y) {
            continue;
        }
        for (x, packed) in row.iter_mut().enumerate() {
            if let Some(place) = canvas.hole(first + y, x) {
                *packed = pack(place);
                if is_read && x.is_multiple_of(sums.step) {
                    sums.add(y, x, place);
                }
            }
        }
    }
}

/// A place in the photo in 1/32 of its pixels.
#[inline(always)]
fn pack(place: Vec2) -> u32 {
    // Saturates below zero; the photo is less than 2048 pixels wide, so that the upper end is never UNDRAWN.
    let steps = |v: f32| ((v * PLACES_PER_PX + 0.5) as u32).min(0xfffe);
    steps(place.x) | steps(place.y) << 16
}

/// Shrinks a map to `px`: each pixel is the mean of four, counted by their coverage.
fn halve(from: &[f32], to: &mut [f32], px: usize) {
    let (n, wide) = (px * px, 2 * px);
    for at in 0..n {
        let first = at / px * 2 * wide + at % px * 2;
        let four = [first, first + 1, first + wide, first + wide + 1];
        let coverage = four.map(|i| from[8 * n + i]);
        let sum: f32 = coverage.iter().sum();
        for plane in 0..2 {
            let values = four.map(|i| from[plane * 4 * n + i]);
            let counted: f32 = values.iter().zip(coverage).map(|(v, c)| v * c).sum();
            to[plane * n + at] = if sum > 0.0 { counted / sum } else { values.iter().sum::<f32>() / 4.0 };
        }
        to[2 * n + at] = sum / 4.0;
    }
}

/// Writes how far a map (3, n, n) is from the head's motion in `pose`: (2, n, n), 0 where nothing is drawn.
fn deform(map: &[f32], pose: &[f32; 12], to: &mut [f32]) {
    /// A lid that shuts moves by a fiftieth of the picture: numbers of the size that layers like.
    const SCALE: f32 = 16.0;
    let n = to.len() / 2;
    let px = n.isqrt();
    let (to_u, to_v) = to.split_at_mut(n);
    for at in 0..n {
        let own = Vec2::new((at % px) as f32 + 0.5, (at / px) as f32 + 0.5) / px as f32;
        let head = |row: usize| pose[row] * own.x + pose[row + 1] * own.y + pose[row + 2];
        let coverage = SCALE * map[2 * n + at];
        to_u[at] = coverage * (map[at] - head(6));
        to_v[at] = coverage * (map[n + at] - head(9));
    }
}

/// From the picture to the portrait along the body's motion and along the head's, as `Flow::Body` wants it, from `now`
/// back to `rest`, both in a picture of `size_px`.
pub(crate) fn pose(rest: &HeadPlacement, now: &HeadPlacement, size_px: usize) -> [f32; 12] {
    let (body, head) = (body_pose(rest, now, size_px), head_pose(rest, now, size_px));
    std::array::from_fn(|i| if i < 6 { body[i] } else { head[i - 6] })
}

/// The foot of the neck in head space. Fitted to the optical flow of the shoulders in the training clips: (1.7, 1.1) down
/// and behind explains those of sitting speakers best, (0.9, 1.0) those of one who moves about; the rendered people's is
/// at (1.0, 0.4).
const NECK: Vec3 = Vec3::new(0.0, 1.2, 0.8);

/// The body goes where the foot of the neck goes, about which the head turns, and grows with the head, but does not turn
/// with it.
pub(crate) fn body_pose(rest: &HeadPlacement, now: &HeadPlacement, size_px: usize) -> [f32; 6] {
    let size = size_px as f32;
    let neck = |placement: &HeadPlacement| placement.project(NECK).truncate() / size;
    let scale = rest.width_px / now.width_px;
    let origin = neck(rest) - neck(now) * scale;
    [scale, 0.0, origin.x, 0.0, scale, origin.y]
}

/// The plane through the head's middle.
fn head_pose(rest: &HeadPlacement, now: &HeadPlacement, size_px: usize) -> [f32; 6] {
    /// Depth of the plane behind the head's centre, in face widths: between face and ears.
    const DEPTH: f32 = 0.2;
    let size = size_px as f32;
    let back = |at: Vec2| rest.project(now.unproject(at * size, DEPTH)).truncate() / size;
    let origin = back(Vec2::ZERO);
    let (right, down) = (back(Vec2::X) - origin, back(Vec2::Y) - origin);
    [right.x, down.x, origin.x, right.y, down.y, origin.y]
}

#[cfg(test)]
mod tests {
    use glam::Quat;

    use super::*;

    #[test]
    fn a_head_that_moves_and_grows_is_followed_back() {
        let rest = HeadPlacement { centre_px: Vec2::new(256.0, 200.0), width_px: 150.0, rotation: Quat::IDENTITY };
        let same = head_pose(&rest, &rest, 512);
        for (found, expected) in same.iter().zip([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]) {
            assert!((found - expected).abs() < 1e-5, "{same:?}");
        }
        let now = HeadPlacement { centre_px: Vec2::new(300.0, 180.0), width_px: 300.0, ..rest };
        let [a, b, c, d, e, f] = head_pose(&rest, &now, 512);
        let at = now.centre_px / 512.0;
        let back = Vec2::new(a * at.x + b * at.y + c, d * at.x + e * at.y + f) * 512.0;
        assert!(back.distance(rest.centre_px) < 1e-2, "{back}");
        assert!((a - 0.5).abs() < 1e-5 && (e - 0.5).abs() < 1e-5);
    }

    #[test]
    fn a_body_goes_and_grows_with_the_head_but_does_not_nod() {
        let rest = HeadPlacement { centre_px: Vec2::new(256.0, 200.0), width_px: 150.0, rotation: Quat::IDENTITY };
        let back = |now: &HeadPlacement, at_px: Vec2| {
            let [a, b, c, d, e, f] = body_pose(&rest, now, 512);
            let at = at_px / 512.0;
            Vec2::new(a * at.x + b * at.y + c, d * at.x + e * at.y + f) * 512.0
        };
        let shoulder_px = Vec2::new(80.0, 480.0);
        assert!(back(&rest, shoulder_px).distance(shoulder_px) < 1e-2);
        let shift_px = Vec2::new(30.0, -20.0);
        let now = HeadPlacement { centre_px: rest.centre_px + shift_px, ..rest };
        assert!(back(&now, shoulder_px + shift_px).distance(shoulder_px) < 1e-2);
        let now = HeadPlacement { width_px: 300.0, ..rest };
        let neck_px = back(&now, now.centre_px);
        assert!(neck_px.distance(rest.centre_px) < 1e-2, "a head that comes nearer takes the body with it: {neck_px}");
        // A head that turns about the foot of its neck.
        let rotation = Quat::from_rotation_x(0.3) * Quat::from_rotation_y(0.4) * Quat::from_rotation_z(0.2);
        let still = HeadPlacement { rotation, ..rest };
        let foot = |placement: &HeadPlacement| placement.project(NECK).truncate();
        let now = HeadPlacement { centre_px: rest.centre_px + foot(&rest) - foot(&still), rotation, ..rest };
        assert!(now.centre_px.distance(rest.centre_px) > 20.0);
        assert!(back(&now, shoulder_px).distance(shoulder_px) < 1e-2);
    }

    #[test]
    fn a_face_that_only_moves_is_not_deformed_and_a_lid_that_shuts_is() {
        let rest = HeadPlacement { centre_px: Vec2::new(256.0, 200.0), width_px: 150.0, rotation: Quat::IDENTITY };
        let now = HeadPlacement { centre_px: Vec2::new(276.0, 190.0), width_px: 160.0, ..rest };
        let pose = pose(&rest, &now, 512);
        let (px, n) = (4, 16);
        let mut map = vec![1.0; 3 * n];
        for at in 0..n {
            let own = Vec2::new((at % px) as f32 + 0.5, (at / px) as f32 + 0.5) / px as f32;
            let back = (own * 512.0 - now.centre_px) * (rest.width_px / now.width_px) + rest.centre_px;
            (map[at], map[n + at]) = (back.x / 512.0, back.y / 512.0);
        }
        let mut found = vec![9.0; 2 * n];
        deform(&map, &pose, &mut found);
        assert!(found.iter().all(|v| v.abs() < 1e-4), "{found:?}");
        // Half covered, a fiftieth of the picture further down in the portrait; and where nothing is drawn.
        (map[n + 5], map[2 * n + 5]) = (map[n + 5] + 0.02, 0.5);
        (map[6], map[2 * n + 6]) = (0.9, 0.0);
        deform(&map, &pose, &mut found);
        assert!((found[n + 5] - 0.16).abs() < 1e-4 && found[5].abs() < 1e-4, "{found:?}");
        assert_eq!((found[6], found[n + 6]), (0.0, 0.0));
    }

    #[test]
    fn a_coarse_map_counts_only_what_is_drawn() {
        let px = 2;
        // (3, 4, 4): the upper left four pixels have one drawn, at (0.3, 0.7).
        let mut from = vec![0.9; 48];
        from[32..].fill(0.0);
        (from[5], from[16 + 5], from[32 + 5]) = (0.3, 0.7, 1.0);
        let mut to = vec![0.0; 12];
        halve(&from, &mut to, px);
        assert_eq!((to[0], to[4], to[8]), (0.3, 0.7, 0.25));
        assert_eq!((to[1], to[8 + 1]), (0.9, 0.0));
    }
}
