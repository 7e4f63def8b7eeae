//! Reading a picture at another scale, one axis at a time, and mixing packed pixels.

/// Where the pixels of one axis of an output come from: two neighbours and how they are mixed.
#[derive(Clone, Debug, Default)]
pub(super) struct Axis {
    taps: Vec<Tap>,
}

/// Two neighbours of a source and the weight of the second, 0..=256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tap {
    pub(super) first: u32,
    pub(super) second: u32,
    pub(super) weight: u32,
}

impl Tap {
    /// For a place in a source of `length` pixels, counted from the corner of the first; clamped to it.
    #[inline(always)]
    pub(super) fn at(place: f32, length: usize) -> Self {
        let last = length.saturating_sub(1);
        let steps = ((place - 0.5).clamp(0.0, last as f32) * 256.0 + 0.5) as u32;
        let first = (steps >> 8).min(last as u32);
        Self { first, second: (first + 1).min(last as u32), weight: steps & 255 }
    }
}

impl Axis {
    /// For `n` output pixels; `place` turns the middle of one into a place in a source of `length` pixels.
    pub(super) fn new(n: usize, length: usize, place: impl Fn(f32) -> f32) -> Self {
        Self { taps: (0..n).map(|i| Tap::at(place(i as f32 + 0.5), length)).collect() }
    }

    pub(super) fn taps(&self) -> &[Tap] {
        &self.taps
    }
}

/// The mean of two pixels of four bytes; `weight` of the second is 0..=256.
#[inline(always)]
pub(super) fn mix(first: u32, second: u32, weight: u32) -> u32 {
    const LOW: u32 = 0x00ff_00ff;
    const HALF: u32 = 0x0080_0080;
    let low = (((first & LOW) * (256 - weight) + (second & LOW) * weight + HALF) >> 8) & LOW;
    let high = (((first >> 8) & LOW) * (256 - weight) + ((second >> 8) & LOW) * weight + HALF) & !LOW;
    low | high
}

/// A pixel with its alpha multiplied in, over another.
#[inline(always)]
pub(super) fn over(pixel: u32, under: u32) -> u32 {
    let alpha = pixel >> 24;
    // Never more than 255 in sum, see the test.
    pixel + mix(0, under, 256 - (alpha + (alpha >> 7)))
}

/// Multiplies alpha in.
#[inline(always)]
pub(super) fn premultiplied([r, g, b, alpha]: [u8; 4]) -> u32 {
    if alpha == 255 {
        return u32::from_le_bytes([r, g, b, alpha]);
    }
    let by = |sample: u8| {
        let product = u32::from(sample) * u32::from(alpha) + 128;
        ((product + (product >> 8)) >> 8) as u8
    };
    u32::from_le_bytes([by(r), by(g), by(b), alpha])
}

/// Divides alpha out.
#[inline(always)]
pub(super) fn straight(pixel: u32) -> [u8; 4] {
    let [r, g, b, alpha] = pixel.to_le_bytes();
    match alpha {
        255 => [r, g, b, 255],
        0 => [0; 4],
        _ => {
            let of = |sample: u8| ((u32::from(sample) * 255 + u32::from(alpha) / 2) / u32::from(alpha)).min(255) as u8;
            [of(r), of(g), of(b), alpha]
        }
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low).max(1e-6)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_the_same_size_is_read_exactly() {
        let axis = Axis::new(7, 7, |place| place);
        for (i, tap) in axis.taps().iter().enumerate() {
            assert_eq!((tap.first, tap.weight), (i as u32, 0));
        }
        let mirrored = Axis::new(7, 7, |place| 7.0 - place);
        assert!(mirrored.taps().iter().enumerate().all(|(i, tap)| (tap.first, tap.weight) == (6 - i as u32, 0)));
        assert_eq!(Tap::at(-9.0, 4), Tap { first: 0, second: 1, weight: 0 });
        assert_eq!(Tap::at(99.0, 4), Tap { first: 3, second: 3, weight: 0 });
        assert_eq!(Tap::at(1.0, 4), Tap { first: 0, second: 1, weight: 128 });
    }

    #[test]
    fn mixing_is_exact_at_the_ends_and_rounds_between() {
        let (a, b) = (0x01ff_7f00, 0xff00_80ff);
        assert_eq!((mix(a, b, 0), mix(a, b, 256)), (a, b));
        assert_eq!(mix(0x0000_0000, 0xffff_ffff, 128), 0x8080_8080);
    }

    #[test]
    fn no_sum_over_another_pixel_overflows() {
        for alpha in 0..=255u8 {
            for sample in [0, 1, 127, 128, 254, 255] {
                let person = premultiplied(
                    [sample; 3].map(|s: u8| s).into_iter().chain([alpha]).collect::<Vec<_>>()[..4].try_into().unwrap(),
                );
                for under in [0, 1, 128, 255u8] {
                    let mixed = over(person, u32::from_le_bytes([under, under, under, 255])).to_le_bytes();
                    let exact =
                        (f32::from(sample) * f32::from(alpha) + f32::from(under) * (255.0 - f32::from(alpha))) / 255.0;
                    assert!(
                        (f32::from(mixed[0]) - exact).abs() <= 1.6,
                        "{sample} {alpha} over {under}: {mixed:?}, {exact}"
                    );
                    assert_eq!(mixed[0], mixed[1], "a carry into the next channel");
                    assert!(mixed[3] >= 254, "{mixed:?}");
                }
                let back = straight(person);
                assert!(alpha < 64 || back[0].abs_diff(sample) <= 2, "{sample} {alpha}: {back:?}");
            }
        }
    }
}
