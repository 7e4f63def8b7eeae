#![allow(clippy::unwrap_used, reason = "these are tests")]

use burn::tensor::{Device, Tensor, TensorData};
use glam::Vec2;

use super::painter::{Before, Occluder};
use super::{Batch, Learner as _, Occlusion, SIZE_PX};
use effigy_base::random::Rng;

#[test]
fn what_is_painted_covers_what_it_says() {
    const N: usize = 64;
    let pattern = vec![0.2; 3 * N * N];
    let (mut n_large, mut n_covered, mut n_white) = (0, 0, 0);
    for seed in 0..60 {
        let mut rng = Rng::new(seed, 0);
        let before = Before { target: Vec2::splat(0.5), skin: [0.9, 0.7, 0.6], face: 0.6 };
        // Hardly any surface is as bright as this: what is covered has another colour.
        let mut picture = vec![1.0; 3 * N * N];
        let covered = Occluder::draw(&before, &mut rng).paint(&mut picture, N, &pattern);
        assert!(picture.iter().all(|value| (0.0..=1.0).contains(value)), "seed {seed}");
        for (i, covered) in covered.iter().enumerate() {
            assert!((0.0..=1.0).contains(covered));
            let darkest = (0..3).map(|c| picture[c * N * N + i]).fold(1.0, f32::min);
            n_covered += usize::from(*covered > 0.99);
            n_white += usize::from(*covered > 0.99 && darkest > 0.999);
        }
        n_large += usize::from(covered.iter().sum::<f32>() > 0.01 * (N * N) as f32);
    }
    assert!(50 * n_white < n_covered, "{n_white} of {n_covered} covered pixels show the face");
    assert!(n_large >= 50, "{n_large} of 60 cover something");
}

/// Noise, each picture with a plain block somewhere; then how much of each place it covers, and that each counts.
fn blocks(n: usize, rng: &mut Rng) -> Tensor<4> {
    let area = SIZE_PX * SIZE_PX;
    let mut values = Vec::with_capacity(n * 6 * area);
    for _ in 0..n {
        let (left, top) = (4 * rng.below(10), 4 * rng.below(10));
        let is_in = |i: usize| (left..left + 24).contains(&(i % SIZE_PX)) && (top..top + 24).contains(&(i / SIZE_PX));
        for _ in 0..3 {
            values.extend((0..area).map(|i| if is_in(i) { 0.5 } else { rng.unit() }));
        }
        values.extend((0..area).map(|i| f32::from(is_in(i))));
        values.extend(std::iter::repeat_n(1.0, area));
        values.extend(std::iter::repeat_n(0.0, area));
    }
    Tensor::from_data(TensorData::new(values, [n, 6, SIZE_PX, SIZE_PX]), &Device::flex().autodiff())
}

#[test]
fn the_network_learns_to_see_a_block() {
    let mut learner = Occlusion::new(1, &Device::flex().autodiff());
    let mut first = 0.0;
    let mut last = 0.0;
    for step in 0..60 {
        let mut rng = Rng::new(5, step as u64);
        let pictures = blocks(6, &mut rng);
        last = learner.step(Batch { pictures, step, rate: 2e-3, rng })[0].1;
        if step == 0 {
            first = last;
        }
    }
    assert!(last < 0.4 * first, "a loss of {first} became {last}");
    let (figures, rows) = learner.validate(blocks(8, &mut Rng::new(6, 0)));
    let figure = |name: &str| figures.iter().find(|(known, _)| *known == name).unwrap().1;
    assert!(figure("recall") > 0.8 && figure("precision") > 0.8, "{figures:?}");
    assert_eq!(figure("alarms_of_clean"), 0.0, "no picture is clean");
    assert_eq!((rows.len(), rows[0].len()), (8, 3));
    let (name, bytes) = learner.weights().unwrap();
    assert_eq!(name, super::FILE_NAME);
    effigy_network::occlusion::read(&bytes).unwrap();
}
