//! What no photo shows, filled in from what is seen around it: the background behind the person, the ground beyond the
//! photo's border.

use crate::frame::{Grey, Rgb};

/// Matte value above which a pixel tells nothing of the background.
const COVERED: u8 = 8;

/// Fills the person's place in `portrait` from the background around it, see [`fill`].
///
/// # Shapes
/// portrait (s, s, 3), matte (s, s, 1): 255 is person.
pub(crate) fn fill_background(portrait: &Rgb, matte: &Grey) -> Rgb {
    fill(portrait, &grow(matte, portrait.width_px() / 64 + 2))
}

/// Fills what is covered in a picture from what is not.
///
/// Push and pull (Gortler et al. 1996, The Lumigraph, section 3.3): the known pixels are averaged
/// into ever smaller pictures, and the holes are filled from the next smaller one. Smooth where
/// nothing is known, and exact where all is.
///
/// # Shapes
/// picture (h, w, 3), covered (h, w)
pub(super) fn fill(picture: &Rgb, covered: &[bool]) -> Rgb {
    let (width, height) = (picture.width_px(), picture.height_px());
    let known = picture
        .data()
        .chunks_exact(3)
        .zip(covered)
        .map(|(rgb, covered)| match covered {
            true => [0.0; 4],
            false => [f32::from(rgb[0]), f32::from(rgb[1]), f32::from(rgb[2]), 1.0],
        })
        .collect();
    let mut levels = vec![Level { width, height, pixels: known }];
    while levels[levels.len() - 1].width > 1 || levels[levels.len() - 1].height > 1 {
        levels.push(levels[levels.len() - 1].halved());
    }
    let mut filled = levels.pop().unwrap_or(Level { width: 1, height: 1, pixels: vec![[0.0; 4]] });
    if filled.pixels[0][3] == 0.0 {
        // The whole picture is covered: any plain colour is as good as another.
        filled.pixels[0] = [96.0, 96.0, 96.0, 1.0];
    }
    while let Some(finer) = levels.pop() {
        filled = finer.filled_from(&filled);
    }
    let mut whole = Rgb::new(width, height);
    for (out, pixel) in whole.data_mut().chunks_exact_mut(3).zip(&filled.pixels) {
        for c in 0..3 {
            out[c] = pixel[c].round().clamp(0.0, 255.0) as u8;
        }
    }
    whole
}

/// Where a pixel within `radius` columns and rows belongs to the person.
fn grow(matte: &Grey, radius: usize) -> Vec<bool> {
    let (width, height) = (matte.width_px(), matte.height_px());
    let spread = |get: &dyn Fn(usize) -> bool, n: usize, set: &mut dyn FnMut(usize)| {
        let mut until = 0;
        for i in 0..n + radius {
            if i < n && get(i) {
                until = i + 2 * radius + 1;
            }
            if i >= radius && i < until {
                set(i - radius);
            }
        }
    };
    let mut rows = vec![false; width * height];
    for y in 0..height {
        spread(&|x| matte.data()[y * width + x] > COVERED, width, &mut |x| rows[y * width + x] = true);
    }
    let mut all = vec![false; width * height];
    for x in 0..width {
        spread(&|y| rows[y * width + x], height, &mut |y| all[y * width + x] = true);
    }
    all
}

/// One picture of the pyramid: colour and how much of it is known, 0..1.
struct Level {
    width: usize,
    height: usize,
    pixels: Vec<[f32; 4]>,
}

impl Level {
    /// The mean of the known pixels of every 2x2 block.
    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut pixels = vec![[0.0; 4]; width * height];
        for y in 0..self.height {
            for x in 0..self.width {
                let [r, g, b, known] = self.pixels[y * self.width + x];
                let sum = &mut pixels[y / 2 * width + x / 2];
                *sum = [sum[0] + r * known, sum[1] + g * known, sum[2] + b * known, sum[3] + known];
            }
        }
        for [r, g, b, known] in &mut pixels {
            if *known > 0.0 {
                (*r, *g, *b) = (*r / *known, *g / *known, *b / *known);
                *known = known.min(1.0);
            }
        }
        Self { width, height, pixels }
    }

    /// This picture with its unknown part taken from the next smaller one, bilinearly.
    fn filled_from(mut self, coarse: &Self) -> Self {
        let at = |x: usize, y: usize| coarse.pixels[y.min(coarse.height - 1) * coarse.width + x.min(coarse.width - 1)];
        for y in 0..self.height {
            for x in 0..self.width {
                let pixel = &mut self.pixels[y * self.width + x];
                let known = pixel[3];
                if known >= 1.0 {
                    continue;
                }
                // Each fine pixel lies a quarter of a coarse pixel from its block's centre.
                let (near_x, near_y) = (x / 2, y / 2);
                let far_x = if x % 2 == 0 { near_x.saturating_sub(1) } else { near_x + 1 };
                let far_y = if y % 2 == 0 { near_y.saturating_sub(1) } else { near_y + 1 };
                let corners = [at(near_x, near_y), at(far_x, near_y), at(near_x, far_y), at(far_x, far_y)];
                for c in 0..3 {
                    let smooth = (9.0 * corners[0][c] + 3.0 * (corners[1][c] + corners[2][c]) + corners[3][c]) / 16.0;
                    pixel[c] = known * pixel[c] + (1.0 - known) * smooth;
                }
                pixel[3] = 1.0;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gradient_survives_behind_a_hole() {
        let size = 64;
        let mut portrait = Rgb::new(size, size);
        let mut matte = Grey::new(size, size);
        for y in 0..size {
            for x in 0..size {
                let hole = (24..40).contains(&x) && (24..40).contains(&y);
                portrait.data_mut()[(y * size + x) * 3] = if hole { 255 } else { 2 * x as u8 };
                matte.data_mut()[y * size + x] = if hole { 255 } else { 0 };
            }
        }
        let background = fill_background(&portrait, &matte);
        assert_eq!(background.pixel(3, 3)[0], 6, "what is known stays");
        for x in 24..40 {
            let filled = f32::from(background.pixel(x, 32)[0]);
            assert!((filled - 2.0 * x as f32).abs() < 16.0, "at {x}: {filled}");
        }
    }

    #[test]
    fn a_picture_without_background_still_gets_one() {
        let matte = Grey::from_data(8, 8, vec![255; 64]).unwrap();
        assert_eq!(fill_background(&Rgb::new(8, 8), &matte).pixel(4, 4), [96; 3]);
    }
}
