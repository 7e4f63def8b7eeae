use super::*;
use crate::demo::PORTRAITS;
use crate::identity::{Basis, EnrollOptions, Enroller, Framing, Identity};

fn identity() -> Identity {
    let (name, photo) = PORTRAITS[0];
    let options = EnrollOptions {
        name: name.to_owned(),
        basis: Basis::Synthetic,
        consent_by: "a test".to_owned(),
        framing: Framing::Keep,
        face: None,
    };
    Enroller::new().unwrap().enroll(photo, &options).unwrap()
}

/// The portrait (1, 3, s, s), and where the tracker looks for its face.
fn portrait(identity: &Identity, device: &Device) -> (Tensor<4>, Crops) {
    let px = identity.size_px();
    let (pixels, _) = identity.portrait.data().as_chunks::<3>();
    let planes: Vec<f32> = (0..3).flat_map(|c| pixels.iter().map(move |rgb| f32::from(rgb[c]) / 255.0)).collect();
    let points = identity.landmarks_px.iter().flat_map(|point| [point.x / px as f32, point.y / px as f32]).collect();
    let group = Group { size_px: px, n_frames: 1, points, ..Group::default() };
    (Tensor::from_data(TensorData::new(planes, [1, 3, px, px]), device), Crops::new(&group, device))
}

#[test]
fn it_reads_what_the_program_reads() {
    let device = Device::flex();
    let identity = identity();
    let (picture, crops) = portrait(&identity, &device);
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
    let apart = coefficients.iter().zip(&identity.coefficients).map(|(a, b)| (a - b).abs()).sum::<f32>() / 52.0;
    assert!(apart < 0.03, "{apart} from the coefficients that the program reads");
}

#[test]
fn an_open_mouth_is_asked_of_the_mouths_pixels() {
    const JAW_OPEN: usize = 25;
    let device = Device::flex().autodiff();
    let identity = identity();
    let (picture, crops) = portrait(&identity, &device.clone().inner());
    let picture = Tensor::from_inner(picture).require_grad();
    let tracker = FrozenTracker::load(&device).unwrap();
    let jaw = tracker.read(&picture, &crops).coefficients.narrow(1, JAW_OPEN, 1).sum();
    let gradients = jaw.backward();
    let slopes: Vec<f32> = picture.grad(&gradients).unwrap().abs().sum_dim(1).try_into_vec_as().unwrap();
    let px = identity.size_px();
    let lips = [13, 14, 61, 291].map(|i| identity.landmarks_px[i].truncate());
    let (low, high) = (lips.into_iter().fold(Vec2::MAX, Vec2::min), lips.into_iter().fold(Vec2::MIN, Vec2::max));
    let reach = 0.5 * (high.x - low.x);
    let is_mouth = |i: &usize| {
        let (x, y) = ((i % px) as f32, (i / px) as f32);
        x > low.x - reach && x < high.x + reach && y > low.y - reach && y < high.y + reach
    };
    let (inside, outside): (Vec<usize>, Vec<usize>) = (0..px * px).partition(is_mouth);
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
