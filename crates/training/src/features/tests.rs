//! The trunk against plain loops with the normalisation left where it was, and against numbers of another program.
//!
//! The test of the true weights reads them from the folder that `EFFIGY_SHARED` names, else from `shared` beside the
//! project; without them it says that it could not look.

#![allow(clippy::print_stderr, reason = "a test that could not look says so")]

use std::path::PathBuf;

use super::*;

const HEIGHT: usize = 48;
const WIDTH: usize = 40;

/// A pattern of whole numbers, the same on every machine.
fn pattern() -> Vec<f32> {
    let value = |c: usize, y: usize, x: usize| (x * 7 + y * 13 + c * 29 + (x * y) % 11 * 5) % 64;
    let mut values = Vec::new();
    for c in 0..3 {
        for y in 0..HEIGHT {
            values.extend((0..WIDTH).map(|x| value(c, y, x) as f32 / 32.0 - 1.0));
        }
    }
    values
}

fn picture(device: &Device) -> Tensor<4> {
    Tensor::from_data(TensorData::new::<f32, _>(pattern(), [1, 3, HEIGHT, WIDTH]), device)
}

/// Weights of this network's extents, and statistics of its normalisation, that look random.
fn random_state() -> BTreeMap<String, Array> {
    let mut seed = 7_u64;
    let mut uniform = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f32 / (1 << 24) as f32
    };
    let mut state = BTreeMap::new();
    let mut layer = |convolution: String, norm: String, dims: [usize; 4]| {
        let deviation = (6.0 / (dims[1] * dims[2] * dims[3]) as f32).sqrt();
        let n: usize = dims.iter().product();
        let values = (0..n).map(|_| (uniform() * 2.0 - 1.0) * deviation).collect();
        state.insert(format!("{convolution}.weight"), Array { dims: dims.to_vec(), values });
        for (name, low, high) in
            [("weight", 0.5, 1.5), ("bias", -0.3, 0.3), ("running_mean", -0.3, 0.3), ("running_var", 0.5, 2.0)]
        {
            let values = (0..dims[0]).map(|_| low + (high - low) * uniform()).collect();
            state.insert(format!("{norm}.{name}"), Array { dims: vec![dims[0]], values });
        }
    };
    layer("features.0.0".into(), "features.0.1".into(), [32, 3, 3, 3]);
    let channels = [32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96];
    for i in 1..=13 {
        let block = format!("features.{i}.conv");
        let (n_in, n_out) = (channels[i - 1], channels[i]);
        let (n, wide) = if i == 1 { (0, n_in) } else { (1, n_in * 6) };
        if i > 1 {
            layer(format!("{block}.0.0"), format!("{block}.0.1"), [wide, n_in, 1, 1]);
        }
        layer(format!("{block}.{n}.0"), format!("{block}.{n}.1"), [wide, 1, 3, 3]);
        layer(format!("{block}.{}", n + 1), format!("{block}.{}", n + 2), [n_out, wide, 1, 1]);
    }
    state
}

/// Channels, height, width, values: one picture on its way through the loops.
struct Plain(usize, usize, usize, Vec<f64>);

impl Plain {
    fn layer(&self, state: &BTreeMap<String, Array>, names: [&str; 2], stride: usize, is_clamped: bool) -> Self {
        let get = |name: String| &state[&name].values;
        let Array { dims, values: weight } = &state[&format!("{}.weight", names[0])];
        let (n_out, n_in, side) = (dims[0], dims[1], dims[2]);
        let norm = |what: &str, c: usize| f64::from(get(format!("{}.{what}", names[1]))[c]);
        let (height, width) = (self.1.div_ceil(stride), self.2.div_ceil(stride));
        let reach = side as isize / 2;
        let mut out = Vec::with_capacity(n_out * height * width);
        for o in 0..n_out {
            let first = if n_in == 1 { o } else { 0 };
            for y in 0..height {
                for x in 0..width {
                    let mut sum = 0.0;
                    for i in 0..n_in {
                        for (dy, dx) in (0..side).flat_map(|dy| (0..side).map(move |dx| (dy, dx))) {
                            let at_y = (y * stride + dy) as isize - reach;
                            let at_x = (x * stride + dx) as isize - reach;
                            if (0..self.1 as isize).contains(&at_y) && (0..self.2 as isize).contains(&at_x) {
                                let place = ((first + i) * self.1 + at_y as usize) * self.2 + at_x as usize;
                                sum += self.3[place] * f64::from(weight[((o * n_in + i) * side + dy) * side + dx]);
                            }
                        }
                    }
                    let spread = (norm("running_var", o) + 1e-5).sqrt();
                    let y = (sum - norm("running_mean", o)) / spread * norm("weight", o) + norm("bias", o);
                    out.push(if is_clamped { y.clamp(0.0, 6.0) } else { y });
                }
            }
        }
        Self(n_out, height, width, out)
    }
}

#[test]
fn the_folded_trunk_equals_plain_loops_without_folding() {
    let state = random_state();
    let device = Device::flex();
    let found = FrozenFeatures::from_state(&state, &device).unwrap().features(picture(&device));

    let area = HEIGHT * WIDTH;
    let rgb = pattern().into_iter().enumerate().map(|(i, value)| {
        let c = i / area;
        ((f64::from(value) + 1.0) / 2.0 - f64::from(MEAN[c])) / f64::from(DEVIATION[c])
    });
    let mut x = Plain(3, HEIGHT, WIDTH, rgb.collect()).layer(&state, ["features.0.0", "features.0.1"], 2, true);
    let mut expected = vec![(0, x.3.clone())];
    for (i, stride) in (1..=13).zip([1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1]) {
        let name = |n: usize, part: &str| format!("features.{i}.conv.{n}{part}");
        let mut y = Plain(x.0, x.1, x.2, x.3.clone());
        let mut n = 0;
        if i > 1 {
            y = y.layer(&state, [&name(0, ".0"), &name(0, ".1")], 1, true);
            n = 1;
        }
        y = y.layer(&state, [&name(n, ".0"), &name(n, ".1")], stride, true);
        y = y.layer(&state, [&name(n + 1, ""), &name(n + 2, "")], 1, false);
        if stride == 1 && y.0 == x.0 {
            y.3.iter_mut().zip(&x.3).for_each(|(y, x)| *y += x);
        }
        x = y;
        expected.push((i, x.3.clone()));
    }
    for (t, tap) in TAPS.into_iter().enumerate() {
        let dims = found[t].dims();
        let ceil = |n: usize| n.div_ceil(TAP_STRIDES[t]);
        assert_eq!(dims, [1, TAP_CHANNELS[t], ceil(HEIGHT), ceil(WIDTH)]);
        let values = found[t].to_data().try_to_vec::<f32>().unwrap();
        let (block, expected) = &expected[tap];
        assert_eq!((*block, expected.len()), (tap, values.len()));
        let spread = (expected.iter().map(|v| v * v).sum::<f64>() / expected.len() as f64).sqrt();
        assert!(spread > 0.05, "tap {tap} is dead: the comparison would say nothing");
        for (found, expected) in values.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-4 * spread.max(1.0), "{tap}: {found} {expected}");
        }
    }
}

#[test]
fn gradients_reach_the_picture_and_match_finite_differences() {
    let device = Device::flex().autodiff();
    let frozen = FrozenFeatures::from_state(&random_state(), &device).unwrap();
    let loss =
        |rgb: Tensor<4>| frozen.features(rgb).into_iter().map(|f| f.powf_scalar(2.0).mean()).reduce(|a, b| a + b);
    let rgb = picture(&device).require_grad();
    let gradients = loss(rgb.clone()).unwrap().backward();
    let gradient = rgb.grad(&gradients).unwrap().to_data().try_to_vec::<f32>().unwrap();

    // Along the gradient itself, where the change is largest against rounding.
    let length = gradient.iter().map(|g| g * g).sum::<f32>().sqrt();
    let plain = Device::flex();
    let step = 2e-3;
    let at = |side: f32| {
        let values = pattern().iter().zip(&gradient).map(|(v, g)| v + side * step * g / length).collect();
        let rgb = Tensor::from_data(TensorData::new::<f32, _>(values, [1, 3, HEIGHT, WIDTH]), &plain);
        loss(rgb).unwrap().into_scalar::<f32>()
    };
    let slope = (at(1.0) - at(-1.0)) / (2.0 * step);
    assert!((slope / length - 1.0).abs() < 0.02, "slope {slope}, length of the gradient {length}");
}

/// Means, deviations and single activations by a NumPy program that reads the file with Python's own pickle and
/// leaves the normalisation unfolded, in double precision.
#[test]
fn the_true_weights_give_the_numbers_of_another_program() {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let folder = std::env::var_os("EFFIGY_SHARED").map_or_else(beside, PathBuf::from);
    let path = folder.join("data/models").join(FILE_NAME);
    if !path.exists() {
        eprintln!("no MobileNetV2 weights at {}: their numbers are not compared", path.display());
        return;
    }
    let device = Device::flex();
    let found = FrozenFeatures::load(&path, &device).unwrap().features(picture(&device));
    // The same program goes on to the classes.
    let last = found[found.len() - 1].clone();
    let classes =
        Classifier::load(&path, &device).unwrap().probabilities(last).into_data().try_into_vec::<f32>().unwrap();
    assert_eq!(classes.len(), N_CLASSES);
    for (class, expected) in [(508, 4.652_637e-3), (673, 4.297_501e-3), (0, 5.149_784e-4), (999, 2.336_789e-3)] {
        assert!((classes[class] / expected - 1.0).abs() < 1e-3, "{class}: {} {expected}", classes[class]);
    }
    let entropy: f64 = classes.iter().map(|&p| -f64::from(p) * f64::from(p).ln()).sum();
    assert!((entropy - 6.742_157_4).abs() < 1e-4, "{entropy}");
    let expected: [(f64, f64, [f64; 4]); 5] = [
        (0.314_678_9, 0.394_680_3, [0.0, 0.677_545_1, 0.0, 0.0]),
        (0.012_519_7, 1.443_647_4, [0.635_798_6, -2.414_534_2, 0.335_506_3, -2.744_466_8]),
        (-0.008_499_6, 1.339_897_9, [-1.219_581_3, -0.358_598_4, -0.961_585_1, 0.014_003_0]),
        (0.020_834_3, 1.115_794_2, [-0.748_843_1, 0.109_859_9, 0.662_767_3, -1.787_632_7]),
        (-0.046_522_7, 0.803_446_3, [-0.780_160_0, 0.973_172_2, 0.430_700_9, -0.236_636_9]),
    ];
    for (tap, (mean, deviation, picks)) in found.into_iter().zip(expected) {
        let [_, channels, height, width] = tap.dims();
        let values = tap.into_data().try_to_vec::<f32>().unwrap();
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 2e-4, "{found} {expected}");
        let n = values.len() as f64;
        let found_mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        near(found_mean, mean);
        near((values.iter().map(|&v| (f64::from(v) - found_mean).powi(2)).sum::<f64>() / n).sqrt(), deviation);
        for (i, pick) in picks.into_iter().enumerate() {
            let place = (i * channels / 4 * height + i * height / 4) * width + (3 - i) * width / 4;
            near(f64::from(values[place]), pick);
        }
    }
}

#[test]
fn a_missing_or_foreign_file_is_refused_with_what_to_give() {
    let missing = FrozenFeatures::load(std::path::Path::new("/no/such.pth"), &Device::flex()).err().unwrap();
    assert_eq!(missing.kind(), ErrorKind::Model);
    assert!(missing.to_string().contains("torchvision's mobilenet_v2-b0353104.pth"), "{missing}");
    let foreign =
        FrozenFeatures::load(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), &Device::flex())
            .err()
            .unwrap()
            .to_string();
    assert!(foreign.contains("expected SHA-256 b0353104"), "{foreign}");
}
