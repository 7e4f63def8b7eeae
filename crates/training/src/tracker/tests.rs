use std::collections::BTreeMap;

use effigy_base::geometry::COEFFICIENT_NAMES;
use serde::Deserialize;

use super::*;

/// A face of the demo, and what the program reads from it.
#[derive(Deserialize)]
struct Face {
    landmarks_px: Vec<[f32; 3]>,
    coefficients: BTreeMap<String, f32>,
}

const PX: usize = 512;

fn face() -> Face {
    serde_json::from_str(include_str!("../../../../tests/data/face_portrait_a.json")).unwrap()
}

/// Its picture (1, 3, s, s), and where the tracker looks for its face.
fn portrait(face: &Face, device: &Device) -> (Tensor<4>, Crops) {
    let photo = effigy_photo::decode(include_bytes!("../../../../models/demo/portrait_a.png")).unwrap();
    let (pixels, _) = photo.data().as_chunks::<3>();
    let planes: Vec<f32> = (0..3).flat_map(|c| pixels.iter().map(move |rgb| f32::from(rgb[c]) / 255.0)).collect();
    let points = face.landmarks_px.iter().flat_map(|point| [point[0] / PX as f32, point[1] / PX as f32]).collect();
    let group = Group { size_px: PX, n_frames: 1, points, ..Group::default() };
    (Tensor::from_data(TensorData::new(planes, [1, 3, PX, PX]), device), Crops::new(&group, device))
}

#[test]
fn it_reads_what_the_program_reads() {
    let device = Device::flex();
    let face = face();
    let (picture, crops) = portrait(&face, &device);
    let tracker = FrozenTracker::load(&device).unwrap();
    let reading = tracker.read(&picture, &crops);

    let mut session = Model::FaceLandmarks.open(1).unwrap();
    let crop: Vec<f32> = crops.cut(&picture).permute([0, 2, 3, 1]).try_into_vec_as().unwrap();
    session.input_mut(0).copy_from_slice(&crop);
    session.run().unwrap();
    let points: Vec<f32> = reading.points.try_into_vec_as().unwrap();
    for (found, expected) in points.as_chunks::<2>().0.iter().zip(session.output(0).as_chunks::<3>().0) {
        for axis in 0..2 {
            let (found, expected) = (found[axis] * CROP_PX as f32, expected[axis]);
            assert!((found - expected).abs() < 0.05, "expected {expected} px of the crop, found {found}");
        }
    }

    let asked: Vec<f32> = tracker.asked(&crops).points.try_into_vec_as().unwrap();
    let apart = asked.iter().zip(&points).map(|(a, b)| (a - b).abs()).sum::<f32>() / points.len() as f32;
    assert!(apart < 0.005, "{apart} of the crop from where the program sees the points");
    let coefficients: Vec<f32> = reading.coefficients.try_into_vec_as().unwrap();
    let apart =
        coefficients.iter().zip(COEFFICIENT_NAMES).map(|(a, name)| (a - face.coefficients[name]).abs()).sum::<f32>()
            / 52.0;
    assert!(apart < 0.03, "{apart} from the coefficients that the program reads");
}

#[test]
fn an_open_mouth_is_asked_of_the_mouths_pixels() {
    const JAW_OPEN: usize = 25;
    let device = Device::flex().autodiff();
    let face = face();
    let (picture, crops) = portrait(&face, &device.clone().inner());
    let picture = Tensor::from_inner(picture).require_grad();
    let tracker = FrozenTracker::load(&device).unwrap();
    let jaw = tracker.read(&picture, &crops).coefficients.narrow(1, JAW_OPEN, 1).sum();
    let gradients = jaw.backward();
    let slopes: Vec<f32> = picture.grad(&gradients).unwrap().abs().sum_dim(1).try_into_vec_as().unwrap();
    let lips = [13, 14, 61, 291].map(|i| Vec2::from_slice(&face.landmarks_px[i]));
    let (low, high) = (lips.into_iter().fold(Vec2::MAX, Vec2::min), lips.into_iter().fold(Vec2::MIN, Vec2::max));
    let reach = 0.5 * (high.x - low.x);
    let is_mouth = |i: &usize| {
        let (x, y) = ((i % PX) as f32, (i / PX) as f32);
        x > low.x - reach && x < high.x + reach && y > low.y - reach && y < high.y + reach
    };
    let (inside, outside): (Vec<usize>, Vec<usize>) = (0..PX * PX).partition(is_mouth);
    let mean = |at: &[usize]| at.iter().map(|&i| slopes[i]).sum::<f32>() / at.len() as f32;
    assert!(mean(&inside) > 4.0 * mean(&outside), "{} in the mouth, {} elsewhere", mean(&inside), mean(&outside));
}

#[test]
fn a_torn_network_is_refused() {
    let bytes = Model::FaceLandmarks.read().unwrap();
    assert_eq!(graph::read(&bytes).unwrap().nodes.len(), 581);
    for n in [0, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(graph::read(&bytes[..n]).is_err(), "{n} bytes of it");
    }
}
