//! What a frame shows when nothing moves, and the head drawn into it.
//!
//! All of the frame is made once. What a picture changes is the head's square, as far as it is in the frame. Towards the
//! square's borders the moving picture turns into the still one, and the body's motion comes to rest, so that there is
//! no seam.

use std::sync::atomic::{AtomicU64, Ordering};

use glam::Vec2;
use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, resize};

use super::axis::{Axis, Tap, mix, over, premultiplied, smoothstep, straight};
use super::layout::{Layout, Square};
use super::scene::Scene;
use super::{Area, Framing, Shift};
use crate::composite::background::{Background, Plate, cover};
use crate::error::Result;
use crate::frame::{Picture, Rgb, Rgba};

/// Over this part of the head's square at its sides the moving picture turns into the still one.
const SIDE_BAND: f32 = 0.1;
/// The same at its upper edge.
const TOP_BAND: f32 = 0.06;
/// The same at its lower edge, below the chin.
const BOTTOM_BAND: f32 = 0.22;
/// Beside the head's square and beside a whole photo: the dark of the placeholder card.
const BESIDE: [u8; 3] = [26, 28, 33];
/// How much light is left beside a whole photo.
const BESIDE_LIGHT: f32 = 0.55;
const OPAQUE: u32 = 0xff00_0000;

/// A frame at rest.
pub(in crate::composite) struct Still {
    /// What the whole frame shows, as it leaves.
    pub(in crate::composite) picture: Rgba,
    /// Tells this still picture from all others; never 0.
    pub(in crate::composite) id: u64,
    /// The head's square, as far as it is in the frame.
    pub(in crate::composite) area: Area,
    square: Square,
    /// In that area, alpha multiplied in: what is behind the person, and what the frame shows at rest.
    behind: Vec<u32>,
    at_rest: Vec<u32>,
    /// How much of a column and of a row moves, 0..=256.
    across: Vec<u32>,
    down: Vec<u32>,
    /// Where the area's columns and rows are in the generated square.
    columns: Axis,
    rows: Axis,
    /// Pixels of the generated square a side, after shrinking.
    source_px: usize,
    is_opaque: bool,
    is_mirrored: bool,
}

/// What a still picture is made of, beside the identity.
pub(super) struct Wish<'a> {
    pub(super) framing: Framing,
    pub(super) layout: Layout,
    pub(super) frame_px: (usize, usize),
    pub(super) background: &'a Background,
    pub(super) is_mirrored: bool,
    /// Pixels of the generated square a side.
    pub(super) generated_px: usize,
}

impl Wish<'_> {
    /// Where a column's middle is when nothing is mirrored.
    fn unmirrored(&self, x: f32) -> f32 {
        if self.is_mirrored { self.frame_px.0 as f32 - x } else { x }
    }

    /// The head's square as the frame shows it.
    fn shown_square(&self) -> Square {
        let head = self.layout.head;
        let mirrored = self.frame_px.0 as i32 - head.left - head.side as i32;
        Square { left: if self.is_mirrored { mirrored } else { head.left }, ..head }
    }
}

impl Still {
    /// Makes all of a frame. Slow: not for every picture.
    pub(super) fn new(scene: &Scene, wish: &Wish) -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let square = wish.shown_square();
        let area = visible(square, wish.frame_px);
        let source_px = wish.generated_px.min(square.side);
        let per_pixel = source_px as f32 / square.side as f32;
        let (left, top) = ((area.x as i32 - square.left) as f32, (area.y as i32 - square.top) as f32);
        let mut still = Self {
            picture: Rgba::new(wish.frame_px.0, wish.frame_px.1),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
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
            still.fade_bands(wish.frame_px);
            still.lay_photo(scene, wish)?;
        }
        Ok(still)
    }

    /// Where the square's border is inside the frame, what moves fades towards it.
    fn fade_bands(&mut self, (width, height): (usize, usize)) {
        let Square { left, top, side } = self.square;
        let side_px = side as f32;
        let ramp = |distance: f32, band: f32| smoothstep(0.0, band * side_px, distance);
        let (right, bottom) = (left + side as i32, top + side as i32);
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

/// The part of a square that is in the frame.
fn visible(square: Square, (width, height): (usize, usize)) -> Area {
    let range = |low: i32, length: usize| {
        let from = low.clamp(0, length as i32) as usize;
        let to = (low + square.side as i32).clamp(0, length as i32) as usize;
        (from, to - from)
    };
    let ((x, area_width), (y, area_height)) = (range(square.left, width), range(square.top, height));
    Area { x, y, width: area_width, height: area_height }
}

/// Reads all that a frame is made of at the frame's pixels.
struct Reader<'a> {
    scene: &'a Scene,
    photo: &'a Rgb,
    in_photo: [Axis; 2],
    in_matte: [Axis; 2],
    in_square: [Axis; 2],
    soft: [Vec<Tap>; 2],
    bare: [Vec<Tap>; 2],
    /// How much of the photo a column and a row show; the rest is how it goes on.
    photo_share: [Vec<f32>; 2],
    light: f32,
    backdrop: Backdrop,
}

/// The background that was asked for.
enum Backdrop {
    Own,
    Blur,
    Colour(u32),
    Picture(Rgb),
    None,
}

impl<'a> Reader<'a> {
    fn new(scene: &'a Scene, wish: &Wish) -> Result<Self> {
        let (width, height) = wish.frame_px;
        let Layout { scale, origin, head } = wish.layout;
        let (photo, level_scale) = scene.level(scale);
        let in_photo = |axis: usize, at: f32| {
            let at = if axis == 0 { wish.unmirrored(at) } else { at };
            (at - origin[axis]) / scale
        };
        let n = [width, height];
        // Along each axis: a picture's length there, and its pixels for one of the photo's.
        let axes = |lengths: [usize; 2], per_photo_pixel: [f32; 2]| -> [Axis; 2] {
            std::array::from_fn(|i| Axis::new(n[i], lengths[i], |at| in_photo(i, at) * per_photo_pixel[i]))
        };
        let photo_px = scene.subject.photo_px;
        let matte = [scene.everybody.width_px(), scene.everybody.height_px()];
        let size = scene.person.width_px();
        let corner = [head.left as f32, head.top as f32];
        let taps = |soft: &super::scene::Soft| -> [Vec<Tap>; 2] {
            std::array::from_fn(|i| (0..n[i]).map(|at| soft.tap(i, in_photo(i, at as f32 + 0.5))).collect())
        };
        let is_fill = wish.framing == Framing::Fill;
        let side = head.side as f32;
        let share = |i: usize| -> Vec<f32> {
            let (low, high) = (origin[i], origin[i] + photo_px[i] * scale);
            let band = side * if i == 0 { SIDE_BAND } else { TOP_BAND };
            let near = |distance: f32, is_seen: bool| match (is_seen, is_fill) {
                (false, _) => 1.0,
                (true, true) => smoothstep(0.0, band, distance),
                (true, false) => (distance + 0.5).clamp(0.0, 1.0),
            };
            // A filled frame stands on the photo's lower edge.
            let ends_high = high < n[i] as f32 - 0.5 && !(is_fill && i == 1);
            let at = |at: usize| {
                let at = if i == 0 { wish.unmirrored(at as f32 + 0.5) } else { at as f32 + 0.5 };
                near(at - low, low > 0.5) * near(high - at, ends_high)
            };
            (0..n[i]).map(at).collect()
        };
        Ok(Self {
            photo,
            in_photo: axes([photo.width_px(), photo.height_px()], [level_scale; 2]),
            in_matte: axes(matte, std::array::from_fn(|i| matte[i] as f32 / photo_px[i])),
            in_square: std::array::from_fn(|i| {
                let place = |at: f32| if i == 0 { wish.unmirrored(at) } else { at };
                Axis::new(n[i], size, |at| (place(at) - corner[i]) / side * size as f32)
            }),
            soft: taps(&scene.around),
            bare: taps(&scene.bare),
            photo_share: [share(0), share(1)],
            light: if is_fill { 1.0 } else { BESIDE_LIGHT },
            backdrop: match wish.background {
                Background::Own => Backdrop::Own,
                Background::Blur => Backdrop::Blur,
                Background::Colour([r, g, b]) => Backdrop::Colour(u32::from_le_bytes([*r, *g, *b, 255])),
                Background::Picture(picture) => Backdrop::Picture(cover(picture, wish.frame_px)?),
                Background::None => Backdrop::None,
            },
            scene,
        })
    }

    fn share(&self, x: usize, y: usize) -> u32 {
        (self.photo_share[0][x] * self.photo_share[1][y] * 256.0).round() as u32
    }

    fn around(&self, x: usize, y: usize) -> u32 {
        rounded(self.scene.around.read(self.soft[0][x], self.soft[1][y]).map(|v| v * self.light), x, y)
    }

    /// The photo and how it goes on; `photo` is what the photo itself shows here.
    fn own(&self, x: usize, y: usize, photo: u32) -> u32 {
        match self.share(x, y) {
            256 => photo,
            0 => self.around(x, y),
            share => mix(self.around(x, y), photo, share),
        }
    }

    fn photo(&self, x: usize, y: usize) -> u32 {
        read(self.photo, self.in_photo[0].taps()[x], self.in_photo[1].taps()[y])
    }

    fn everybody(&self, x: usize, y: usize) -> u32 {
        let matte = read(&self.scene.everybody, self.in_matte[0].taps()[x], self.in_matte[1].taps()[y]) & 255;
        (matte + (matte >> 7)) * self.share(x, y) / 256
    }

    /// What the frame shows where the head's square is not.
    fn at_rest(&self, x: usize, y: usize) -> u32 {
        let own = self.own(x, y, self.photo(x, y));
        match self.backdrop {
            Backdrop::Own => own,
            _ => mix(self.backdrop(x, y), own, self.everybody(x, y)),
        }
    }

    /// The same in the square, of which more is known the further inside one is.
    fn at_rest_in_square(&self, x: usize, y: usize, outside: u32, moving: u32) -> u32 {
        if matches!(self.backdrop, Backdrop::Own) {
            return outside;
        }
        let person = self.square(&self.scene.person, x, y) & 255;
        let person = (person + (person >> 7)) * self.share(x, y) / 256;
        let inside = mix(self.backdrop(x, y), self.own(x, y, self.photo(x, y)), person);
        mix(outside, inside, moving)
    }

    /// What is behind the person, in the square.
    fn behind(&self, x: usize, y: usize) -> u32 {
        if !matches!(self.backdrop, Backdrop::Own) {
            return self.backdrop(x, y);
        }
        let made_up = self.square(&self.scene.made_up, x, y) & 255;
        let seen = self.photo(x, y);
        let photo = match made_up + (made_up >> 7) {
            0 => seen,
            share => mix(seen, self.square(&self.scene.background, x, y), share),
        };
        self.own(x, y, photo)
    }

    fn square<const C: usize>(&self, picture: &Picture<C>, x: usize, y: usize) -> u32 {
        read(picture, self.in_square[0].taps()[x], self.in_square[1].taps()[y])
    }

    fn backdrop(&self, x: usize, y: usize) -> u32 {
        match &self.backdrop {
            Backdrop::Own | Backdrop::Blur => rounded(self.scene.bare.read(self.bare[0][x], self.bare[1][y]), x, y),
            Backdrop::Colour(colour) => *colour,
            Backdrop::Picture(picture) => {
                // A picture is nobody's mirror image.
                let [r, g, b] = picture.pixel(x, y);
                u32::from_le_bytes([r, g, b, 255])
            }
            Backdrop::None => 0,
        }
    }
}

/// A soft colour as a pixel; half a step of noise hides the bands of a slope.
fn rounded(colour: [f32; 3], x: usize, y: usize) -> u32 {
    let noise = ((x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0xc2b2_ae3d) >> 15) & 255;
    let [r, g, b] = colour.map(|v| (v + noise as f32 / 255.0).clamp(0.0, 255.0) as u8);
    u32::from_le_bytes([r, g, b, 255])
}

/// A pixel between four of a picture of one or three channels.
fn read<const C: usize>(picture: &Picture<C>, x: Tap, y: Tap) -> u32 {
    let at = |x: u32, y: u32| {
        let pixel = picture.pixel(x as usize, y as usize);
        u32::from_le_bytes([pixel[0], pixel[1 % C], pixel[2 % C], 255])
    };
    let upper = mix(at(x.first, y.first), at(x.second, y.first), x.weight);
    if y.weight == 0 {
        return upper;
    }
    mix(upper, mix(at(x.first, y.second), at(x.second, y.second), x.weight), y.weight)
}

fn put(from: &Rgb, to: &mut Rgba) {
    for (to, &[r, g, b]) in to.data_mut().as_chunks_mut::<4>().0.iter_mut().zip(from.data().as_chunks::<3>().0) {
        *to = [r, g, b, 255];
    }
}

/// The generated person on its way into the frame. Takes memory with the first picture only.
#[derive(Default)]
pub(super) struct Head {
    /// Alpha multiplied in, mirrored where the frame is.
    person: Rgba,
    shrunk: Rgba,
    line: Vec<u32>,
}

impl Head {
    /// Draws the person into the still picture's area of `out`, which has the frame's size.
    pub(super) fn draw(&mut self, generated: &Rgba, still: &Still, shift: Shift, out: &mut Rgba) -> Result<()> {
        let Self { person, shrunk, line } = self;
        let size = generated.width_px();
        person.reshape(size, size);
        let rows = person.data_mut().chunks_exact_mut(size * 4);
        for (to, from) in rows.zip(generated.data().chunks_exact(size * 4)) {
            let (to, from) = (to.as_chunks_mut::<4>().0.iter_mut(), from.as_chunks::<4>().0.iter());
            if still.is_mirrored {
                to.zip(from.rev()).for_each(|(to, from)| *to = premultiplied(*from).to_le_bytes());
            } else {
                to.zip(from).for_each(|(to, from)| *to = premultiplied(*from).to_le_bytes());
            }
        }
        let source = if still.source_px < size {
            shrunk.reshape(still.source_px, still.source_px);
            let side = Size::new(still.source_px as i32, still.source_px as i32);
            resize(&person.as_mat()?, &mut shrunk.as_mat_mut()?, side, 0.0, 0.0, INTER_AREA)?;
            &*shrunk
        } else {
            &*person
        };
        line.resize(still.source_px, 0);
        let shift = shift.in_pixels(still);
        let (area, stride) = (still.area, out.width_px());
        // Columns that move as they were generated lie between the first and the last of them.
        let whole = |share: &u32| *share == 256;
        let first = still.across.iter().position(whole).unwrap_or(area.width);
        let last = still.across.iter().rposition(whole).map_or(first, |last| last + 1);
        for (y, (&down, &row)) in still.down.iter().zip(still.rows.taps()).enumerate() {
            let at = y * area.width;
            let (behind, at_rest) = (&still.behind[at..][..area.width], &still.at_rest[at..][..area.width]);
            let to = &mut out.data_mut()[((area.y + y) * stride + area.x) * 4..][..area.width * 4];
            let to = to.as_chunks_mut::<4>().0;
            let mut fade = |columns: std::ops::Range<usize>| {
                for x in columns {
                    let share = still.across[x] * down / 256;
                    to[x] = still.finished(match share {
                        0 => at_rest[x],
                        _ => mix(at_rest[x], over(shift.read(source, still, x, y, share), behind[x]), share),
                    });
                }
            };
            if down < 256 {
                fade(0..area.width);
                continue;
            }
            fade(0..first);
            fade(last..area.width);
            if first == last {
                continue;
            }
            let taps = &still.columns.taps()[first..last];
            let columns = taps[0].first as usize..taps[taps.len() - 1].second as usize + 1;
            let upper = &source.row(row.first as usize).as_chunks::<4>().0[columns.clone()];
            let lower = &source.row(row.second as usize).as_chunks::<4>().0[columns.clone()];
            for ((line, upper), lower) in line[columns].iter_mut().zip(upper).zip(lower) {
                *line = mix(u32::from_le_bytes(*upper), u32::from_le_bytes(*lower), row.weight);
            }
            for ((to, tap), behind) in to[first..last].iter_mut().zip(taps).zip(&behind[first..last]) {
                let person = mix(line[tap.first as usize], line[tap.second as usize], tap.weight);
                *to = still.finished(over(person, *behind));
            }
        }
        Ok(())
    }
}

impl Still {
    fn finished(&self, pixel: u32) -> [u8; 4] {
        if self.is_opaque { (pixel | OPAQUE).to_le_bytes() } else { straight(pixel) }
    }
}

/// How far the generated body is from its place in the photo, in pixels of the frame: growth and a step.
struct PixelShift {
    growth: f32,
    step: Vec2,
    longest: Vec2,
    /// Pixels of the source for one of the frame's.
    per_pixel: f32,
    corner: Vec2,
}

impl Shift {
    fn in_pixels(self, still: &Still) -> PixelShift {
        let side = still.square.side as f32;
        let x = if still.is_mirrored { -self.step.x - self.growth } else { self.step.x };
        PixelShift {
            growth: self.growth,
            step: Vec2::new(x, self.step.y) * side,
            // No more than the bands take up without folding.
            longest: Vec2::new(SIDE_BAND, BOTTOM_BAND) * 0.6 * side,
            per_pixel: still.source_px as f32 / side,
            corner: Vec2::new(still.square.left as f32, still.square.top as f32),
        }
    }
}

impl PixelShift {
    /// The generated pixel that belongs to a place of the area where `share` of the motion is left.
    fn read(&self, source: &Rgba, still: &Still, x: usize, y: usize, share: u32) -> u32 {
        let at = Vec2::new((still.area.x + x) as f32 + 0.5, (still.area.y + y) as f32 + 0.5) - self.corner;
        let away = (at * self.growth + self.step).clamp(-self.longest, self.longest);
        let from = (at + away * (1.0 - share as f32 / 256.0)) * self.per_pixel;
        let (x, y) = (Tap::at(from.x, still.source_px), Tap::at(from.y, still.source_px));
        let at = |x: u32, y: u32| u32::from_le_bytes(source.pixel(x as usize, y as usize));
        let upper = mix(at(x.first, y.first), at(x.second, y.first), x.weight);
        mix(upper, mix(at(x.first, y.second), at(x.second, y.second), x.weight), y.weight)
    }
}
