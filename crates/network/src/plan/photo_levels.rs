//! The photo as the finished picture reads it: oversampled, and without its finest bands.

use super::Shape;

/// Pixels of the whole photo for one of the picture, each way. Reading between pixels is bilinear, which blurs what is as
/// fine as a pixel; at twice the resolution the photo has nothing so fine.
const OVERSAMPLING: usize = 2;
/// Weights of the six pixels from two before to three behind a pixel, for a place a quarter of a pixel behind it: Lanczos'
/// kernel of three lobes, scaled to the sum 1.
const LANCZOS: [f32; 6] = [0.030_112_3, -0.133_274_6, 0.892_770_8, 0.271_010_6, -0.067_997_3, 0.007_378_3];

/// Sizes of the photo's levels and how they lie in one tensor (1, rows, columns) of words.
///
/// Above the whole photo, twice as fine as the picture. Below it on the left the photo at the decoder's resolution, which
/// has all that the decoder can paint; to the right of that the photo at a quarter of it, which has what the decoder
/// paints well. Between two levels lies a band of a Laplacian pyramid (Burt and Adelson 1983).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhotoLevels {
    /// Width and height of photo and margin in the picture's pixels.
    pub side_px: usize,
    /// Width and height without the finest band.
    pub fine_px: usize,
    /// Width and height without both bands.
    pub coarse_px: usize,
}

impl PhotoLevels {
    /// Levels for a picture of `size_px`, a photo with a margin around it, and a decoder that paints `decoded_px`.
    pub const fn new(size_px: usize, margin_px: usize, decoded_px: usize) -> Self {
        let side_px = size_px + 2 * margin_px;
        let fine_px = larger(side_px * decoded_px / size_px, 2);
        Self { side_px, fine_px, coarse_px: larger(fine_px / 4, 2) }
    }

    /// Extents of the tensor.
    pub const fn shape(&self) -> Shape {
        Shape::new(1, OVERSAMPLING * self.side_px + self.fine_px, OVERSAMPLING * self.side_px)
    }

    /// Where the levels begin in the tensor and how wide they are, in words: the whole photo, then fine, then coarse.
    pub const fn squares(&self) -> [(usize, usize); 3] {
        let whole_px = OVERSAMPLING * self.side_px;
        let below = whole_px * whole_px;
        [(0, whole_px), (below, self.fine_px), (below + self.fine_px, self.coarse_px)]
    }

    /// Lays out a photo with its margin: `pixels` (side, side), red in the lowest byte, alpha in the highest.
    ///
    /// # Panics
    /// When there are more or fewer pixels.
    pub fn lay_out(&self, pixels: &[u32]) -> Vec<u32> {
        let side = self.side_px;
        assert_eq!(pixels.len(), side * side, "a photo of {side} pixels each way");
        let stride = OVERSAMPLING * side;
        let photo = Planes { side, values: pixels.iter().map(|word| word.to_le_bytes().map(f32::from)).collect() };
        let mut words = vec![0; self.shape().len()];
        let fine = photo.shrunk(self.fine_px);
        let coarse = fine.shrunk(self.coarse_px);
        for (level, (first, _)) in [photo.doubled(), fine, coarse].iter().zip(self.squares()) {
            for (y, row) in level.values.chunks_exact(level.side).enumerate() {
                let to = &mut words[first + y * stride..][..level.side];
                for (to, pixel) in to.iter_mut().zip(row) {
                    *to = u32::from_le_bytes(pixel.map(|v| (v + 0.5).clamp(0.0, 255.0) as u8));
                }
            }
        }
        words
    }
}

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// A square picture in floats.
struct Planes {
    side: usize,
    values: Vec<[f32; 4]>,
}

impl Planes {
    /// Twice as many pixels each way, between the old ones; the border's pixel goes on.
    fn doubled(&self) -> Self {
        let n = self.side;
        let weighted = |read: &dyn Fn(usize) -> [f32; 4], at: usize| {
            // New pixel 2 i lies a quarter before the old one's centre, 2 i + 1 a quarter behind.
            let (i, is_behind) = (at / 2, at % 2 == 1);
            let mut sum = [0.0; 4];
            for (tap, weight) in LANCZOS.iter().enumerate() {
                let offset = tap as isize - 2;
                let from = if is_behind { i as isize + offset } else { i as isize - offset };
                let pixel = read(from.clamp(0, n as isize - 1) as usize);
                for (sum, value) in sum.iter_mut().zip(pixel) {
                    *sum += weight * value;
                }
            }
            sum
        };
        let wide: Vec<_> = (0..n)
            .flat_map(|y| {
                let row = &self.values[y * n..][..n];
                (0..2 * n).map(move |x| weighted(&|i| row[i], x))
            })
            .collect();
        let values = (0..2 * n).flat_map(|y| {
            let wide = &wide;
            (0..2 * n).map(move |x| weighted(&|i| wide[i * 2 * n + x], y))
        });
        Self { side: 2 * n, values: values.collect() }
    }

    /// Fewer pixels: each the mean of those that it covers, in part where its border cuts them.
    fn shrunk(&self, px: usize) -> Self {
        let n = self.side;
        let scale = n as f32 / px as f32;
        let covered = |at: usize| {
            let (low, high) = (at as f32 * scale, (at + 1) as f32 * scale);
            let last = (high.ceil() as usize).min(n);
            (low as usize..last).map(move |i| (i, ((i + 1) as f32).min(high) - (i as f32).max(low)))
        };
        let mut values = Vec::with_capacity(px * px);
        for y in 0..px {
            for x in 0..px {
                let mut sum = [0.0; 5];
                for (j, down) in covered(y) {
                    for (i, across) in covered(x) {
                        let weight = down * across;
                        for (sum, value) in sum.iter_mut().zip(self.values[j * n + i]) {
                            *sum += weight * value;
                        }
                        sum[4] += weight;
                    }
                }
                values.push([0, 1, 2, 3].map(|c| sum[c] / sum[4].max(f32::MIN_POSITIVE)));
            }
        }
        Self { side: px, values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a level bilinear at a place in parts of its width, as the kernels do.
    fn read(words: &[u32], levels: &PhotoLevels, first: usize, px: usize, [x, y]: [f32; 2]) -> f32 {
        let stride = OVERSAMPLING * levels.side_px;
        let (x0, x1, fx) = crate::kernels::sample::taps(x * px as f32 - 0.5, px);
        let (y0, y1, fy) = crate::kernels::sample::taps(y * px as f32 - 0.5, px);
        let at = |y: usize, x: usize| (words[first + y * stride + x] & 0xff) as f32;
        let upper = at(y0, x0) * (1.0 - fx) + at(y0, x1) * fx;
        let lower = at(y1, x0) * (1.0 - fx) + at(y1, x1) * fx;
        upper * (1.0 - fy) + lower * fy
    }

    #[test]
    fn each_level_keeps_the_waves_that_it_can_show_in_their_place() {
        let levels = PhotoLevels::new(64, 8, 32);
        assert_eq!((levels.side_px, levels.fine_px, levels.coarse_px), (80, 40, 10));
        let wave = |at_px: f32, length_px: f32| 128.0 + 100.0 * (std::f32::consts::TAU * at_px / length_px).sin();
        let picture = |length_px: f32| -> Vec<u32> {
            (0..80 * 80).map(|i| wave((i % 80) as f32 + 0.5, length_px).round() as u32 | 0xff00_0000).collect()
        };
        // Length of a wave; then how much of it a level keeps at least and at most.
        let cases = [
            (3.0, [0.8, 1.05], [0.0, 0.25], [0.0, 0.05]),
            (12.0, [0.95, 1.05], [0.7, 1.0], [0.0, 0.1]),
            (80.0, [0.97, 1.03], [0.95, 1.03], [0.85, 1.0]),
        ];
        for (length_px, whole, fine, coarse) in cases {
            let words = levels.lay_out(&picture(length_px));
            for ((first, px), [least, most]) in levels.squares().into_iter().zip([whole, fine, coarse]) {
                let places = (0..1000).map(|i| 0.2 + 0.6 * i as f32 / 1000.0);
                let (mut same, mut power) = (0.0, 0.0);
                for x in places {
                    let truth = wave(x * 80.0, length_px) - 128.0;
                    same += (read(&words, &levels, first, px, [x, 0.5]) - 128.0) * truth;
                    power += truth * truth;
                }
                let kept = same / power;
                assert!((least..=most).contains(&kept), "{length_px} px at {px} px: {kept}");
            }
        }
    }
}
