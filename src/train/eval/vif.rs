//! Visual information fidelity: how much of what the true picture tells an eye the made one still tells it.

use super::blur::{Plane, gaussian};
use super::regions::{Labels, Region};
use crate::frame::Rgb;

/// Variance of the eye's own noise, of samples in 0..255.
const EYE_NOISE: f64 = 2.0;
/// Windows of the scales reach so far, from the finest on; their deviation is a fifth of their extent.
const REACHES: [usize; 4] = [8, 4, 2, 1];
/// Below this a variance is that of rounding.
const FLAT: f64 = 1e-10;

/// VIF of the luma in the pixel domain (VIFp; Sheikh and Bovik, "Image information and visual quality", 2006), over four
/// scales, each half as large as the one before.
///
/// In each window the made picture is taken for a gain of the true one with noise added; both are seen through the eye's
/// noise, and the bits that are left of the truth are counted. 1 is equal, 0 tells nothing; more than 1 is the truth with
/// more contrast. `None` of pictures below 41 pixels, of a truth without any detail, or without pixels that count.
pub fn vif(truth: &Rgb, made: &Rgb, labels: &Labels) -> Option<f64> {
    if truth.width_px().min(truth.height_px()) < 41 {
        return None;
    }
    let (mut a, mut b) = (Plane::luma(truth), Plane::luma(made));
    let (mut seen, mut shown) = (0.0, 0.0);
    // Where place 0 of this scale lies in the picture, and how far apart places are, in pixels.
    let (mut first, mut step) = (0, 1);
    for (scale, reach) in REACHES.into_iter().enumerate() {
        let weights = gaussian(reach, (2 * reach + 1) as f64 / 5.0);
        if scale > 0 {
            (a, b) = (a.blurred(&weights).halved(), b.blurred(&weights).halved());
            first += reach * step;
            step *= 2;
        }
        let [mean_a, mean_b] = [a.blurred(&weights), b.blurred(&weights)];
        let [square_a, square_b, cross] = [(&a, &a), (&b, &b), (&a, &b)].map(|(x, y)| x.times(y).blurred(&weights));
        for i in 0..mean_a.data.len() {
            let place = |at: usize| first + (at + reach) * step;
            let (x, y) = (place(i % mean_a.width), place(i / mean_a.width));
            if usize::from(labels.data()[y * labels.side_px() + x]) >= Region::ALL.len() {
                continue;
            }
            let (ma, mb) = (mean_a.data[i], mean_b.data[i]);
            let variances = [square_a.data[i] - ma * ma, square_b.data[i] - mb * mb].map(|v| v.max(0.0));
            let (is_seen, is_shown) = information(variances, cross.data[i] - ma * mb);
            seen += is_seen;
            shown += is_shown;
        }
    }
    (shown > 0.0).then(|| seen / shown)
}

/// What one window tells of the truth, and what the truth tells, by the variances of both and their covariance; in units
/// that fall out.
fn information([of_truth, of_made]: [f64; 2], covariance: f64) -> (f64, f64) {
    if of_truth < FLAT {
        return (0.0, 0.0);
    }
    // A gain below nothing, or of nothing, shows nothing.
    let gain = if of_made < FLAT { 0.0 } else { (covariance / (of_truth + FLAT)).max(0.0) };
    let noise = (of_made - gain * covariance).max(FLAT);
    let seen = (1.0 + gain * gain * of_truth / (noise + EYE_NOISE)).ln();
    (seen, (1.0 + of_truth / EYE_NOISE).ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 64;

    fn picture(of: impl Fn(i32, i32) -> i32) -> Rgb {
        let side = SIDE as i32;
        let grey = (0..side * side).map(|i| of(i % side, i / side).clamp(0, 255) as u8);
        Rgb::from_data(SIDE, SIDE, grey.flat_map(|value| [value; 3]).collect()).unwrap()
    }

    fn pattern(x: i32, y: i32) -> i32 {
        (x * 7 + y * 13 + (x * y) % 11 * 5 + x / 9 * 20 + y / 12 * 15) % 256
    }

    fn noise(x: i32, y: i32) -> i32 {
        (x * 31 + y * 17) % 13 - 6
    }

    /// Numbers of `sewar.full_ref.vifp` (sewar 0.4.10 from PyPI, NumPy 2.4.6) on the same pictures.
    #[test]
    fn the_numbers_are_those_of_another_program() {
        let labels = Labels::all(SIDE, Region::Rest);
        let truth = picture(pattern);
        for (made, expected) in [
            (picture(pattern), SEWAR[0]),
            (picture(|x, y| pattern(x, y) + noise(x, y)), SEWAR[1]),
            (picture(|x, y| pattern(x, y) + 3 * noise(x, y)), SEWAR[2]),
            (picture(|x, y| (pattern(x, y) + 128) / 2), SEWAR[3]),
            (picture(|x, y| 255 - pattern(x, y)), SEWAR[4]),
        ] {
            let found = vif(&truth, &made, &labels).unwrap();
            assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
    }

    const SEWAR: [f64; 5] = [1.0, 0.773_085_681_9, 0.547_390_116_7, 0.813_374_878_7, 0.0];

    #[test]
    fn more_noise_tells_less_and_more_contrast_more() {
        let labels = Labels::all(SIDE, Region::Rest);
        let truth = picture(|x, y| pattern(x, y) / 2 + 60);
        let found = |made: &Rgb| vif(&truth, made, &labels).unwrap();
        let noisy: Vec<f64> =
            (0..6).map(|k| found(&picture(|x, y| pattern(x, y) / 2 + 60 + k * noise(x, y)))).collect();
        assert!((noisy[0] - 1.0).abs() < 1e-9 && noisy.is_sorted_by(|a, b| a > b), "{noisy:?}");
        let contrast = found(&picture(pattern));
        assert!(contrast > 1.05, "{contrast}");
        let grey = found(&picture(|_, _| 100));
        assert!(grey.abs() < 1e-9, "{grey}");
    }

    #[test]
    fn what_does_not_count_and_what_is_too_small_is_not_measured() {
        let truth = picture(pattern);
        let broken = |x, y| if x < 20 { 255 - pattern(x, y) } else { pattern(x, y) };
        let mut labels = Labels::all(SIDE, Region::Rest);
        let whole = vif(&truth, &picture(broken), &labels).unwrap();
        labels.ignore([0.0, 0.0, 0.5, 1.0]);
        let right = vif(&truth, &picture(broken), &labels).unwrap();
        assert!(whole < 0.8 && right > 0.95, "{whole} {right}");
        labels.ignore([0.0, 0.0, 1.0, 1.0]);
        assert_eq!(vif(&truth, &truth, &labels), None);
        let flat = picture(|_, _| 9);
        assert_eq!(vif(&flat, &truth, &Labels::all(SIDE, Region::Rest)), None);
        let small = Rgb::new(40, 40);
        assert_eq!(vif(&small, &small, &Labels::all(40, Region::Rest)), None);
    }
}
