//! What a frame shows when nothing moves.
//!
//! All of the frame is made once. What a picture changes is the head's square, as far as it is in the frame.

use std::sync::atomic::{AtomicU64, Ordering};

use super::axis::{Axis, smoothstep, straight};
use super::layout::Square;
use super::reader::Reader;
use super::scene::Scene;
use super::wish::{BOTTOM_BAND, SIDE_BAND, TOP_BAND, Wish};
use super::{Area, Framing};
use crate::composite::background::{Background, Plate, cover};
use crate::error::Result;
use crate::frame::{Rgb, Rgba};

/// Beside the head's square and beside a whole photo: the dark of the placeholder card.
const BESIDE: [u8; 3] = [26, 28, 33];

/// Read bilinearly, a source may have so many pixels for one.
const MAX_SHRUNK: f32 = 1.4;

/// A frame at rest.
pub(in crate::composite) struct Still {
    /// What the whole frame shows, as it leaves.
    pub(in crate::composite) picture: Rgba,
    /// Tells this still picture from all others; never 0.
    pub(in crate::composite) id: u64,
    /// The head's square, as far as it is in the frame.
    pub(in crate::composite) area: Area,
    pub(super) square: Square,
    /// In that area, alpha multiplied in: what is behind the person, and what the frame shows at rest.
    pub(super) behind: Vec<u32>,
    pub(super) at_rest: Vec<u32>,
    /// How much of a column and of a row moves, 0..=256.
    pub(super) across: Vec<u32>,
    pub(super) down: Vec<u32>,
    /// Where the area's columns and rows are in the generated square.
    pub(super) columns: Axis,
    pub(super) rows: Axis,
    /// Pixels of the generated square a side, after shrinking.
    pub(super) source_px: usize,
    pub(super) is_opaque: bool,
    pub(super) is_mirrored: bool,
}

impl Still {
    /// A number that no still picture has yet.
    pub(in crate::composite) fn next_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Makes all of a frame. Slow: not for every picture.
    pub(super) fn new(scene: &Scene, wish: &Wish) -> Result<Self> {
        let square = wish.shown_square();
        let area = visible(square, wish.columns, wish.frame_px.1);
        // A little larger, it is read as it is: shrinking first would cost more than all the rest.
        let is_near = wish.generated_px as f32 <= square.side as f32 * MAX_SHRUNK;
        let source_px = if is_near { wish.generated_px } else { square.side };
        let per_pixel = source_px as f32 / square.side as f32;
        let (left, top) = ((area.x as i32 - square.left) as f32, (area.y as i32 - square.top) as f32);
        let mut still = Self {
            picture: Rgba::new(wish.frame_px.0, wish.frame_px.1),
            id: Self::next_id(),
            area,
            square,
            behind: vec![0; area.width * area.height],
            at_rest: vec![0; area.width * area.height],
            across: vec![256; area.width],
            down: vec![256; area.height],
            columns: Axis::new(area.width, source_px, |x| (x + left) * per_pixel),
            rows: Axis::new(area.height, source_px, |y| (y + top) * per_pixel),
            source_px,
            is_opaque: *wish.background != Background::None,
            is_mirrored: wish.is_mirrored,
        };
        if wish.framing == Framing::Head {
            still.lay_square(scene, wish)?;
        } else {
            still.fade_bands(wish.frame_px, wish.columns);
            still.lay_photo(scene, wish)?;
        }
        Ok(still)
    }

    /// Where the square's border, or that of the columns in which it may move, is inside the frame, what moves fades towards it.
    fn fade_bands(&mut self, (width, height): (usize, usize), columns: (usize, usize)) {
        let Square { left, top, side } = self.square;
        let side_px = side as f32;
        let ramp = |distance: f32, band: f32| smoothstep(0.0, band * side_px, distance);
        let (right, bottom) = (left + side as i32, top + side as i32);
        let (left, right) = (left.max(columns.0 as i32), right.min(columns.1 as i32));
        for (i, share) in self.across.iter_mut().enumerate() {
            let x = (self.area.x + i) as f32 + 0.5;
            let from_left = if left > 0 { ramp(x - left as f32, SIDE_BAND) } else { 1.0 };
            let from_right = if right < width as i32 { ramp(right as f32 - x, SIDE_BAND) } else { 1.0 };
            *share = (from_left * from_right * 256.0).round() as u32;
        }
        for (i, share) in self.down.iter_mut().enumerate() {
            let y = (self.area.y + i) as f32 + 0.5;
            let from_top = if top > 0 { ramp(y - top as f32, TOP_BAND) } else { 1.0 };
            let from_bottom = if bottom < height as i32 { ramp(bottom as f32 - y, BOTTOM_BAND) } else { 1.0 };
            *share = (from_top * from_bottom * 256.0).round() as u32;
        }
    }

    /// The square alone, and the background beside it.
    fn lay_square(&mut self, scene: &Scene, wish: &Wish) -> Result<()> {
        let (width, height) = wish.frame_px;
        let beside = match wish.background {
            Background::Own | Background::Blur => Some(BESIDE),
            Background::Colour(colour) => Some(*colour),
            Background::None => None,
            Background::Picture(picture) => {
                put(&cover(picture, (width, height))?, &mut self.picture);
                let area = self.area;
                for (i, behind) in self.behind.iter_mut().enumerate() {
                    let at = self.picture.pixel(area.x + i % area.width, area.y + i / area.width);
                    *behind = u32::from_le_bytes(at);
                }
                self.at_rest.clone_from(&self.behind);
                return Ok(());
            }
        };
        let beside = beside.map_or([0; 4], |[r, g, b]| [r, g, b, 255]);
        self.picture.data_mut().as_chunks_mut::<4>().0.fill(beside);
        let plate = Plate::new(wish.background, Some(&scene.background), self.square.side)?;
        let Some(plate) = plate.picture() else { return Ok(()) };
        let area = self.area;
        for y in 0..area.height {
            for x in 0..area.width {
                let from = if wish.is_mirrored { area.width - 1 - x } else { x };
                let [r, g, b] = plate.pixel(from, y);
                self.behind[y * area.width + x] = u32::from_le_bytes([r, g, b, 255]);
            }
        }
        self.at_rest.clone_from(&self.behind);
        self.show_area();
        Ok(())
    }

    /// Puts what the area shows at rest into the picture.
    fn show_area(&mut self) {
        let (area, stride) = (self.area, self.picture.width_px());
        let all = self.picture.data_mut().as_chunks_mut::<4>().0;
        for (y, row) in self.at_rest.chunks_exact(area.width.max(1)).enumerate() {
            for (pixel, &still) in all[(area.y + y) * stride + area.x..].iter_mut().zip(row) {
                *pixel = straight(still);
            }
        }
    }

    /// The photo, how it goes on, and the background that was asked for.
    fn lay_photo(&mut self, scene: &Scene, wish: &Wish) -> Result<()> {
        let (width, height) = wish.frame_px;
        let reader = Reader::new(scene, wish)?;
        let area = self.area;
        let mut row = vec![0; width];
        for y in 0..height {
            for (x, pixel) in row.iter_mut().enumerate() {
                *pixel = reader.at_rest(x, y);
            }
            let in_area = area.contains_row(y).then(|| (y - area.y) * area.width);
            if let Some(first) = in_area {
                let share = |x: usize| self.across[x] * self.down[y - area.y] / 256;
                for x in 0..area.width {
                    let at_rest = reader.at_rest_in_square(area.x + x, y, row[area.x + x], share(x));
                    row[area.x + x] = at_rest;
                    self.at_rest[first + x] = at_rest;
                    self.behind[first + x] = reader.behind(area.x + x, y);
                }
            }
            let to = &mut self.picture.data_mut()[y * width * 4..][..width * 4];
            for (to, &pixel) in to.as_chunks_mut::<4>().0.iter_mut().zip(&row) {
                *to = straight(pixel);
            }
        }
        Ok(())
    }
}

/// The part of a square that is in these columns of a frame of this height.
fn visible(square: Square, columns: (usize, usize), height: usize) -> Area {
    let range = |low: i32, (least, most): (usize, usize)| {
        let from = low.clamp(least as i32, most as i32) as usize;
        let to = (low + square.side as i32).clamp(least as i32, most as i32) as usize;
        (from, to - from)
    };
    let ((x, area_width), (y, area_height)) = (range(square.left, columns), range(square.top, (0, height)));
    Area { x, y, width: area_width, height: area_height }
}

fn put(from: &Rgb, to: &mut Rgba) {
    for (to, &[r, g, b]) in to.data_mut().as_chunks_mut::<4>().0.iter_mut().zip(from.data().as_chunks::<3>().0) {
        *to = [r, g, b, 255];
    }
}
