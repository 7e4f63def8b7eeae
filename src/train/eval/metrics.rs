//! Distances between two pictures, and between what two faces do.

use crate::frame::Rgb;
use crate::geometry::{COEFFICIENT_NAMES, FaceObservation, N_COEFFICIENTS, N_LANDMARKS, rotation_from_frontal};

use super::blur::{Plane, gaussian};
use super::regions::{Labels, Region};

/// The PSNR of equal pictures, which would be infinite, in dB.
pub const MAX_PSNR_DB: f64 = 100.0;
/// Distances in pixels are given for a picture of this many a side.
pub const REFERENCE_PX: f64 = 256.0;

/// Sums over the samples of some pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    sum_abs: f64,
    sum_square: f64,
    n: f64,
}

impl Difference {
    /// Mean absolute difference of samples in 0..1; `None` of no pixels.
    pub fn l1(&self) -> Option<f64> {
        (self.n > 0.0).then(|| self.sum_abs / self.n / 255.0)
    }

    /// Peak signal-to-noise ratio in dB, at most [`MAX_PSNR_DB`]; `None` of no pixels.
    pub fn psnr_db(&self) -> Option<f64> {
        let mean_square = (self.n > 0.0).then(|| self.sum_square / self.n)?;
        Some((20.0 * 255.0_f64.log10() - 10.0 * mean_square.log10()).min(MAX_PSNR_DB))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            sum_abs: self.sum_abs + other.sum_abs,
            sum_square: self.sum_square + other.sum_square,
            n: self.n + other.n,
        }
    }
}

/// The difference of two pictures of one size in each region; pixels to be ignored are in none.
pub fn differences(truth: &Rgb, made: &Rgb, labels: &Labels) -> [Difference; Region::ALL.len()] {
    let mut sums = [[0_u64; 3]; Region::ALL.len()];
    let pixels = truth.data().as_chunks::<3>().0.iter().zip(made.data().as_chunks::<3>().0);
    for ((a, b), label) in pixels.zip(labels.data()) {
        let Some(sum) = sums.get_mut(usize::from(*label)) else { continue };
        for c in 0..3 {
            let d = u64::from(a[c].abs_diff(b[c]));
            sum[0] += d;
            sum[1] += d * d;
        }
        sum[2] += 3;
    }
    sums.map(|[sum_abs, sum_square, n]| Difference {
        sum_abs: sum_abs as f64,
        sum_square: sum_square as f64,
        n: n as f64,
    })
}

/// The angle between where two faces look, in degrees, relative to the camera: heads and eyes together. What a tracker is
/// wrong about in one person is nearly the same in both.
pub fn gaze_error_degs(truth: &FaceObservation, made: &FaceObservation) -> f64 {
    f64::from(crate::drive::gaze_of(truth).angle_between(crate::drive::gaze_of(made)).to_degrees())
}

/// Two pictures that follow each other, true and made.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    /// The truth: before, now.
    pub truth: [&'a Rgb; 2],
    /// What was made: before, now.
    pub made: [&'a Rgb; 2],
}

/// Temporal flicker: the mean of |(made now − made before) − (true now − true before)| over samples in 0..1.
///
/// It counts what trembles and what stands still but should not; a constant error does not count.
pub fn flicker(step: Step<'_>, labels: &Labels) -> Option<f64> {
    let (mut sum, mut n) = (0_u64, 0_u64);
    let [t0, t1] = step.truth.map(|picture| picture.data().as_chunks::<3>().0);
    let [m0, m1] = step.made.map(|picture| picture.data().as_chunks::<3>().0);
    for (i, label) in labels.data().iter().enumerate() {
        if usize::from(*label) >= Region::ALL.len() {
            continue;
        }
        for c in 0..3 {
            let change = |before: u8, now: u8| i32::from(now) - i32::from(before);
            sum += u64::from((change(m0[i][c], m1[i][c]) - change(t0[i][c], t1[i][c])).unsigned_abs());
        }
        n += 3;
    }
    (n > 0).then(|| sum as f64 / n as f64 / 255.0)
}

/// Half the width of the window of [`ssim`], in pixels.
const SSIM_REACH: usize = 5;

/// Structural similarity (Wang et al. 2004) of the luma: Gaussian window of 11 pixels and deviation 1.5, constants
/// 0.01 and 0.03; the mean over windows that lie inside the picture and whose middle counts. 1 is equal.
///
/// `None` of pictures below 11 pixels, or without pixels that count.
pub fn ssim(truth: &Rgb, made: &Rgb, labels: &Labels) -> Option<f64> {
    let (width, height) = (truth.width_px(), truth.height_px());
    if width.min(height) <= 2 * SSIM_REACH {
        return None;
    }
    let weights = gaussian(SSIM_REACH, 1.5);
    let (a, b) = (Plane::luma(truth), Plane::luma(made));
    let [mean_a, mean_b] = [a.blurred(&weights), b.blurred(&weights)];
    let [square_a, square_b, cross] = [(&a, &a), (&b, &b), (&a, &b)].map(|(x, y)| x.times(y).blurred(&weights));
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let (mut sum, mut n) = (0.0, 0_u64);
    let inner = width - 2 * SSIM_REACH;
    for i in 0..mean_a.data.len() {
        let (x, y) = (i % inner + SSIM_REACH, i / inner + SSIM_REACH);
        if usize::from(labels.data()[y * width + x]) >= Region::ALL.len() {
            continue;
        }
        let (ma, mb) = (mean_a.data[i], mean_b.data[i]);
        let (va, vb) = (square_a.data[i] - ma * ma, square_b.data[i] - mb * mb);
        let covariance = cross.data[i] - ma * mb;
        sum += (2.0 * ma * mb + c1) * (2.0 * covariance + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
        n += 1;
    }
    (n > 0).then(|| sum / n as f64)
}

/// How much fine detail a picture has against the truth: the mean distance of its luma from its mean in a Gaussian window of
/// deviation 1.5 pixels, as a share of the truth's. 1 is as much, less is blurred, more is grain; whether it is the same
/// detail is not asked.
///
/// `None` of pictures below 11 pixels, without pixels that count, or of a truth without detail.
pub fn fine_detail(truth: &Rgb, made: &Rgb, labels: &Labels) -> Option<f64> {
    let weights = gaussian(SSIM_REACH, 1.5);
    let detail = |picture: &Rgb| {
        let luma = Plane::luma(picture);
        let smooth = luma.blurred(&weights);
        let mut sum = 0.0;
        for (i, mean) in smooth.data.iter().enumerate() {
            let at = (i / smooth.width + SSIM_REACH) * luma.width + i % smooth.width + SSIM_REACH;
            if usize::from(labels.data()[at]) < Region::ALL.len() {
                sum += (luma.data[at] - mean).abs();
            }
        }
        sum
    };
    let of_truth = detail(truth);
    // Rounding leaves a little of none.
    (of_truth > 1e-6).then(|| detail(made) / of_truth)
}

/// How much a face smiles: the mean of both corners' coefficients, in 0..1.
pub fn smile(face: &FaceObservation) -> f64 {
    let of =
        |name: &str| COEFFICIENT_NAMES.iter().position(|other| *other == name).map_or(0.0, |i| face.coefficients[i]);
    f64::from(of("mouthSmileLeft") + of("mouthSmileRight")) / 2.0
}

/// How far the two faces' points are from each other in the mean (AKD), in pixels of a picture of
/// [`REFERENCE_PX`].
pub fn landmark_distance_px(truth: &FaceObservation, made: &FaceObservation) -> f64 {
    let sum: f32 =
        (0..N_LANDMARKS).map(|i| truth.landmarks_px[i].truncate().distance(made.landmarks_px[i].truncate())).sum();
    f64::from(sum) / N_LANDMARKS as f64 * REFERENCE_PX / truth.frame_size_px.0.max(1) as f64
}

/// Mean absolute difference of the expression coefficients.
pub fn expression_distance(truth: &FaceObservation, made: &FaceObservation) -> f64 {
    let sum: f32 = truth.coefficients.iter().zip(&made.coefficients).map(|(a, b)| (a - b).abs()).sum();
    f64::from(sum) / N_COEFFICIENTS as f64
}

/// The angle between the two heads' orientations, in degrees.
pub fn pose_error_degs(truth: &FaceObservation, made: &FaceObservation) -> f64 {
    let turn = rotation_from_frontal(&truth.pose).inverse() * rotation_from_frontal(&made.pose);
    // By both parts of the quaternion: the arc cosine alone is blind to small angles.
    f64::from(2.0 * turn.xyz().length().atan2(turn.w.abs())).to_degrees()
}

#[cfg(test)]
mod tests {
    use super::*;
    use glam::{Mat3, Vec3};

    fn flat(side: usize, rgb: [u8; 3]) -> Rgb {
        Rgb::from_data(side, side, rgb.repeat(side * side)).unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found}, expected {expected}");
    }

    #[test]
    fn l1_and_psnr_of_a_known_difference_in_each_region() {
        let truth = flat(4, [100, 100, 100]);
        let mut made = truth.clone();
        let mut labels = Labels::all(4, Region::Rest);
        // One pixel of the mouth is off by (3, 4, 0), one that is ignored by a lot.
        labels.set(1, 2, Some(Region::Mouth));
        labels.set(2, 2, Some(Region::Mouth));
        labels.set(0, 0, None);
        made.data_mut()[(2 * 4 + 1) * 3..][..3].copy_from_slice(&[103, 96, 100]);
        made.data_mut()[..3].copy_from_slice(&[255, 0, 255]);
        let found = differences(&truth, &made, &labels);
        let mouth = found[Region::Mouth as usize];
        close(mouth.l1().unwrap(), 7.0 / 6.0 / 255.0);
        close(mouth.psnr_db().unwrap(), 10.0 * (255.0_f64 * 255.0 * 6.0 / 25.0).log10());
        close(found[Region::Rest as usize].psnr_db().unwrap(), MAX_PSNR_DB);
        assert_eq!(found[Region::Eyes as usize].l1(), None);
        let whole = found.iter().fold(Difference::default(), |a, b| a.plus(b));
        close(whole.l1().unwrap(), 7.0 / 45.0 / 255.0);
    }

    #[test]
    fn ssim_is_one_for_equal_pictures_and_wangs_formula_for_flat_ones() {
        let labels = Labels::all(20, Region::Rest);
        let (a, b) = (flat(20, [50, 50, 50]), flat(20, [200, 200, 200]));
        close(ssim(&a, &a, &labels).unwrap(), 1.0);
        // Without variance only the first factor is left.
        let c1 = 2.55_f64 * 2.55;
        close(ssim(&a, &b, &labels).unwrap(), (2.0 * 50.0 * 200.0 + c1) / (2500.0 + 40_000.0 + c1));
        // One window, checked by its own sums: a step edge against its mirror image.
        let labels = Labels::all(11, Region::Rest);
        let mut edge = flat(11, [0, 0, 0]);
        let mut mirror = edge.clone();
        for i in 0..121 {
            let (left, right) = (if i % 11 < 5 { 255 } else { 0 }, if i % 11 > 5 { 255 } else { 0 });
            edge.data_mut()[i * 3..][..3].copy_from_slice(&[left; 3]);
            mirror.data_mut()[i * 3..][..3].copy_from_slice(&[right; 3]);
        }
        let w: Vec<f64> = (0..11).map(|i| (-(f64::from(i) - 5.0).powi(2) / 4.5).exp()).collect();
        let share = w[..5].iter().sum::<f64>() / w.iter().sum::<f64>();
        let mean = 255.0 * share;
        let variance = 255.0 * 255.0 * share - mean * mean;
        let c2 = 7.65_f64 * 7.65;
        let expected =
            (2.0 * mean * mean + c1) * (-2.0 * mean * mean + c2) / ((2.0 * mean * mean + c1) * (2.0 * variance + c2));
        let found = ssim(&edge, &mirror, &labels).unwrap();
        assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        assert_eq!(ssim(&flat(10, [0; 3]), &flat(10, [0; 3]), &Labels::all(10, Region::Rest)), None);
    }

    #[test]
    fn fine_detail_is_a_share_of_the_truths() {
        let labels = Labels::all(32, Region::Rest);
        let checks = |low: u8, high: u8| {
            let grey = (0..32 * 32).flat_map(|i| [if (i % 32 + i / 32) % 2 == 0 { low } else { high }; 3]);
            Rgb::from_data(32, 32, grey.collect()).unwrap()
        };
        let truth = checks(100, 180);
        close(fine_detail(&truth, &truth, &labels).unwrap(), 1.0);
        // Brightness is no detail; half the contrast is half of it, twice the contrast twice.
        for (low, high, share) in [(50, 130, 1.0), (120, 160, 0.5), (60, 220, 2.0), (140, 140, 0.0)] {
            close(fine_detail(&truth, &checks(low, high), &labels).unwrap(), share);
        }
        assert_eq!(fine_detail(&checks(7, 7), &truth, &labels), None);
        assert_eq!(fine_detail(&flat(10, [0; 3]), &flat(10, [9; 3]), &Labels::all(10, Region::Rest)), None);
    }

    #[test]
    fn a_smile_is_the_mean_of_both_corners() {
        let mut face = FaceObservation::default();
        for (name, value) in [("mouthSmileLeft", 0.5), ("mouthSmileRight", 0.25), ("jawOpen", 1.0)] {
            face.coefficients[COEFFICIENT_NAMES.iter().position(|other| *other == name).unwrap()] = value;
        }
        close(smile(&face), 0.375);
    }

    #[test]
    fn flicker_counts_changes_that_the_truth_has_not_and_no_constant_error() {
        let labels = Labels::all(2, Region::Rest);
        let [t0, t1] = [flat(2, [100; 3]), flat(2, [110; 3])];
        let offset = [flat(2, [140; 3]), flat(2, [150; 3])];
        let found = flicker(Step { truth: [&t0, &t1], made: [&offset[0], &offset[1]] }, &labels);
        assert_eq!(found, Some(0.0));
        // Stands still while the truth moves by 10; moves by 7 against it.
        let found = flicker(Step { truth: [&t0, &t1], made: [&t0, &t0] }, &labels).unwrap();
        close(found, 10.0 / 255.0);
        let found = flicker(Step { truth: [&t0, &t1], made: [&t0, &flat(2, [93; 3])] }, &labels).unwrap();
        close(found, 17.0 / 255.0);
    }

    #[test]
    fn distances_of_faces_are_in_their_units() {
        let truth = FaceObservation { frame_size_px: (512, 512), ..FaceObservation::default() };
        let mut made = truth.clone();
        made.landmarks_px.iter_mut().for_each(|p| *p += Vec3::new(6.0, 8.0, 100.0));
        close(landmark_distance_px(&truth, &made), 5.0);
        made.coefficients[3] = 0.5;
        made.coefficients[7] = 0.02;
        close(expression_distance(&truth, &made), 0.01);
        made.pose.camera_from_head *= Mat3::from_rotation_y(0.2);
        assert!((pose_error_degs(&truth, &made) - 0.2_f64.to_degrees()).abs() < 1e-4);
        assert_eq!(pose_error_degs(&truth, &truth), 0.0);
    }
}
