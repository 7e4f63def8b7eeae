//! All that a frame at rest is made of, read at the frame's pixels.

use super::Framing;
use super::axis::{Axis, Tap, mix, smoothstep};
use super::layout::Layout;
use super::scene::{Scene, Soft};
use super::wish::{SIDE_BAND, TOP_BAND, Wish};
use crate::composite::background::{Background, cover};
use crate::error::Result;
use crate::frame::{Picture, Rgb};

/// How much light is left beside a whole photo.
const BESIDE_LIGHT: f32 = 0.55;

/// Reads all that a frame is made of at the frame's pixels.
pub(super) struct Reader<'a> {
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
    pub(super) fn new(scene: &'a Scene, wish: &Wish) -> Result<Self> {
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
        let taps = |soft: &Soft| -> [Vec<Tap>; 2] {
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
    pub(super) fn at_rest(&self, x: usize, y: usize) -> u32 {
        let own = self.own(x, y, self.photo(x, y));
        match self.backdrop {
            Backdrop::Own => own,
            _ => mix(self.backdrop(x, y), own, self.everybody(x, y)),
        }
    }

    /// The same in the square, of which more is known the further inside one is.
    pub(super) fn at_rest_in_square(&self, x: usize, y: usize, outside: u32, moving: u32) -> u32 {
        if matches!(self.backdrop, Backdrop::Own) {
            return outside;
        }
        let person = self.square(&self.scene.person, x, y) & 255;
        let person = (person + (person >> 7)) * self.share(x, y) / 256;
        let inside = mix(self.backdrop(x, y), self.own(x, y, self.photo(x, y)), person);
        mix(outside, inside, moving)
    }

    /// What is behind the person, in the square.
    pub(super) fn behind(&self, x: usize, y: usize) -> u32 {
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
