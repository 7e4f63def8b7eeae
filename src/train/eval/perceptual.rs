//! How far two pictures are for a network that names things: MobileNetV2's features.

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use opencv::core::Size;
use opencv::imgproc::{INTER_AREA, INTER_CUBIC, resize};

use super::regions::Labels;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgb;
use crate::train::features::{Classifier, FrozenFeatures};

/// Pictures are brought to this size before the network sees them, whatever `--size` is.
const SIDE_PX: usize = 256;
/// The tap that motion is seen in: 32 channels of stride 8. The last one has more, and half the places along each side.
const MOTION_TAP: usize = 3;

/// The frozen network, ready to compare pictures.
pub(super) struct Perceptual {
    network: FrozenFeatures,
    classifier: Classifier,
    device: Device,
}

/// What the network sees in one picture.
pub(super) struct Seen {
    /// For each tap: channels, width, height, activations.
    taps: Vec<(usize, [usize; 2], Vec<f32>)>,
    /// The probability of each class of ImageNet.
    pub(super) classes: Vec<f32>,
}

impl Perceptual {
    /// Reads the weights.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is missing or another one.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let device = Device::flex();
        let (network, classifier) = (FrozenFeatures::load(path, &device)?, Classifier::load(path, &device)?);
        Ok(Self { network, classifier, device })
    }

    /// Looks at several square pictures.
    ///
    /// # Errors
    /// When a picture operation fails.
    pub(super) fn look(&self, pictures: &[&Rgb]) -> Result<Vec<Seen>> {
        let area = SIDE_PX * SIDE_PX;
        let mut values = Vec::with_capacity(pictures.len() * 3 * area);
        for picture in pictures {
            let scaled = scaled(picture, SIDE_PX)?;
            let pixels = scaled.data().as_chunks::<3>().0;
            for c in 0..3 {
                values.extend(pixels.iter().map(|pixel| f32::from(pixel[c]) / 127.5 - 1.0));
            }
        }
        let data = TensorData::new::<f32, _>(values, [pictures.len(), 3, SIDE_PX, SIDE_PX]);
        let taps = self.network.features(Tensor::from_data(data, &self.device));
        let numbers = |data: TensorData| {
            let values = data.try_into_vec::<f32>().map_err(|error| error.to_string());
            values.or_error(ErrorKind::Internal, || "cannot read the features".to_owned())
        };
        let classes = match taps.last() {
            Some(last) => numbers(self.classifier.probabilities(last.clone()).into_data())?,
            None => Vec::new(),
        };
        let of_each = classes.chunks_exact(classes.len() / pictures.len().max(1));
        let mut seen: Vec<Seen> = of_each.map(|classes| Seen { taps: Vec::new(), classes: classes.to_vec() }).collect();
        for tap in taps {
            let [_, channels, height, width] = tap.dims();
            let values = numbers(tap.into_data())?;
            for (seen, values) in seen.iter_mut().zip(values.chunks_exact(channels * width * height)) {
                seen.taps.push((channels, [width, height], values.to_vec()));
            }
        }
        Ok(seen)
    }
}

impl Seen {
    /// The distance of two pictures: at each place of each tap the squared distance of the two activations after
    /// both were brought to length 1; the mean over places that count, then over taps. 0 is equal, 4 opposite.
    ///
    /// The form is that of LPIPS without its learned weights; the network is another.
    pub(super) fn distance(&self, other: &Self, labels: &Labels) -> f64 {
        let taps = self.taps.iter().zip(&other.taps);
        let distances: Vec<f64> = taps
            .filter_map(|((channels, [width, height], a), (_, _, b))| {
                let area = width * height;
                let (mut sum, mut n) = (0.0, 0_u32);
                for place in places(labels, *width, *height) {
                    let (mut aa, mut bb, mut ab) = (0.0_f32, 0.0_f32, 0.0_f32);
                    for c in 0..*channels {
                        let (a, b) = (a[c * area + place], b[c * area + place]);
                        aa += a * a;
                        bb += b * b;
                        ab += a * b;
                    }
                    // Two places where nothing is active are equal.
                    let scale = (aa.sqrt() * bb.sqrt()).max(1e-10);
                    let cosine = if aa.max(bb) < 1e-10 { 1.0 } else { ab / scale };
                    sum += f64::from(2.0 - 2.0 * cosine.clamp(-1.0, 1.0));
                    n += 1;
                }
                (n > 0).then(|| sum / f64::from(n))
            })
            .collect();
        distances.iter().sum::<f64>() / distances.len().max(1) as f64
    }

    /// The last tap's mean over places that count: 96 numbers for the Fréchet distance.
    pub(super) fn pooled(&self, labels: &Labels) -> Vec<f32> {
        self.taps.last().map_or_else(Vec::new, |tap| means(tap, labels, |i| tap.2[i]))
    }

    /// The mean of each channel of stride 8 over places that count: 32 numbers.
    pub(super) fn shown(&self, labels: &Labels) -> Vec<f32> {
        self.taps.get(MOTION_TAP).map_or_else(Vec::new, |tap| means(tap, labels, |i| tap.2[i]))
    }

    /// How much each of these channels changed since the frame before, in the mean over places that count.
    pub(super) fn change(&self, before: &Self, labels: &Labels) -> Vec<f32> {
        let taps = self.taps.get(MOTION_TAP).zip(before.taps.get(MOTION_TAP));
        taps.map_or_else(Vec::new, |(now, before)| means(now, labels, |i| (now.2[i] - before.2[i]).abs()))
    }

    /// Activations of the tap that motion is seen in, and none of the others.
    #[cfg(test)]
    pub(super) fn of_motion(n_channels: usize, size: [usize; 2], values: Vec<f32>) -> Self {
        let mut taps = vec![(0, [0, 0], Vec::new()); MOTION_TAP];
        taps.push((n_channels, size, values));
        Self { taps, classes: Vec::new() }
    }
}

/// For each channel of a tap, the mean of a number over the places that count.
fn means(tap: &(usize, [usize; 2], Vec<f32>), labels: &Labels, number: impl Fn(usize) -> f32) -> Vec<f32> {
    let &(n_channels, [width, height], _) = tap;
    let places: Vec<usize> = places(labels, width, height).collect();
    let mean = |c: usize| {
        places.iter().map(|place| number(c * width * height + place)).sum::<f32>() / places.len().max(1) as f32
    };
    (0..n_channels).map(mean).collect()
}

/// Indices of the places of a map whose middle counts.
fn places(labels: &Labels, width: usize, height: usize) -> impl Iterator<Item = usize> {
    (0..width * height).filter(move |i| {
        let (x, y) = ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
        labels.counts(x / width as f32, y / height as f32)
    })
}

/// A square picture in another size.
pub(super) fn scaled(picture: &Rgb, side_px: usize) -> Result<Rgb> {
    if picture.width_px() == side_px && picture.height_px() == side_px {
        return Ok(picture.clone());
    }
    if picture.data().is_empty() {
        return Err(Error::new(ErrorKind::Photo, "expected a picture, found an empty one"));
    }
    let method = if picture.width_px() > side_px { INTER_AREA } else { INTER_CUBIC };
    let mut out = Rgb::new(side_px, side_px);
    let size = Size::new(side_px as i32, side_px as i32);
    resize(&picture.as_mat()?, &mut out.as_mat_mut()?, size, 0.0, 0.0, method)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::eval::regions::Region;

    #[test]
    fn the_distance_is_the_angle_between_activations_and_ignores_their_length() {
        // Two places, two channels: equal direction at the first, a right angle at the second.
        let seen = |values: [f32; 4]| Seen { taps: vec![(2, [2, 1], values.to_vec())], classes: Vec::new() };
        let (a, b) = (seen([3.0, 1.0, 4.0, 0.0]), seen([6.0, 0.0, 8.0, 2.0]));
        let mut labels = Labels::all(2, Region::Rest);
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        near(a.distance(&b, &labels), 1.0);
        near(a.distance(&a, &labels), 0.0);
        assert_eq!(b.pooled(&labels), [3.0, 5.0]);
        labels.ignore([0.5, 0.0, 0.5, 1.0]);
        near(a.distance(&b, &labels), 0.0);
        assert_eq!(b.pooled(&labels), [6.0, 8.0]);
    }
}
