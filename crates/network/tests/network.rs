//! The network: its budget, its text, the two exact foldings, its weights file.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use effigy_network::kernels::conv2d::{Conv2dShape, conv2d};
use effigy_network::kernels::upconv2d::{UpConv2dShape, upconv2d};
use effigy_network::network::{
    self, EMBEDDING, FrameOptions, Size, encoder, fold_upsampling, frame, modulate, pooled_embedding,
};
use effigy_network::plan::Role;
use effigy_network::weights::Weights;

#[test]
fn budgets_hold_everything_included() {
    for (size, limit) in [(Size::Small, 1.0e9), (Size::Large, 6.0e9)] {
        for output in [512, 1024] {
            let plan = frame(&FrameOptions::new(size, output));
            assert!(plan.total_macs() as f64 <= limit, "{} takes {} MACs", plan.name(), plan.total_macs());
        }
        let n: usize = Weights::expected(size).iter().map(|param| param.dims.iter().product::<usize>()).sum();
        assert!(2 * n <= 12 << 20, "{} has {n} weights, {} bytes in 16 bits", size.name(), 2 * n);
    }
}

/// Compares a text with its file; `EFFIGY_BLESS=1` writes the file.
fn compare(name: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets").join(name);
    if std::env::var_os("EFFIGY_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{} is not what the network is now; EFFIGY_BLESS=1 accepts it", path.display());
}

#[test]
fn the_networks_are_the_ones_reviewed() {
    for size in Size::ALL {
        let text = format!("{}\n{}", frame(&FrameOptions::new(size, 512)), encoder(size));
        compare(&format!("plan_{}.txt", size.name()), &text);
    }
}

/// Numbers from -1 to 1 that look random.
fn noise(seed: u64, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(step).take(n).collect()
}

fn check(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 2e-5 + 2e-5 * b.abs(), "{what} at {i}: folded {a}, unfolded {b}");
    }
}

#[test]
fn an_upsampling_convolution_folds_exactly() {
    for (seed, [c_in, h, w, c_out]) in (1..).zip([[1, 1, 1, 1], [3, 5, 4, 2], [8, 1, 9, 5], [17, 12, 7, 3]]) {
        let (x, weight) = (noise(seed, c_in * h * w), noise(seed + 50, c_out * c_in * 9));
        let (bias, residual) = (noise(seed + 90, c_out), noise(seed + 70, c_out * 4 * h * w));
        let mut large = Vec::with_capacity(4 * x.len());
        for c in 0..c_in {
            for i in 0..2 * h {
                large.extend((0..2 * w).map(|j| x[(c * h + i / 2) * w + j / 2]));
            }
        }
        let [ci, hi, wi, co] = [c_in, h, w, c_out].map(|n| n as u32);
        let whole = Conv2dShape {
            c_in: ci,
            h_in: 2 * hi,
            w_in: 2 * wi,
            c_out: co,
            h_out: 2 * hi,
            w_out: 2 * wi,
            kernel: 3,
            stride: 1,
            activation: 2,
            has_residual: 1,
        };
        let phases = UpConv2dShape { c_in: ci, h_in: hi, w_in: wi, c_out: co, activation: 2, has_residual: 1 };
        let (mut expected, mut found) = (vec![0.0; residual.len()], vec![f32::NAN; residual.len()]);
        conv2d(&whole, &large, &weight, &bias, &residual, &mut expected);
        upconv2d(&phases, &x, &fold_upsampling(&weight, c_out, c_in), &bias, &residual, &mut found);
        check(&format!("{c_in}x{h}x{w} to {c_out}"), &found, &expected);
    }
}

#[test]
fn an_identity_folds_exactly() {
    let size = Size::Small;
    let plan = frame(&FrameOptions::new(size, 512));
    for seed in [1, 2, 3] {
        let weights = Weights::random(size, seed);
        let embedding: Vec<f32> = noise(seed, EMBEDDING).iter().map(|v| v * 2.0).collect();
        let folded = network::fold(&plan, &weights, &embedding).unwrap();
        for (layer, kernel) in [("decoder.in", 3), ("decoder.block1.b", 3), ("decoder.conv64", 3)] {
            let at = plan.params().iter().position(|p| p.name == format!("{layer}.weight")).unwrap();
            let dims = plan.params()[at].dims.clone();
            let (c_out, c_in, h, w) = (dims[0], dims[1], 6, 5);
            let x = noise(seed + 7, c_in * h * w);
            let raw = weights.get(&format!("{layer}.weight"), &dims).unwrap();
            let bias = weights.get(&format!("{layer}.bias"), &[c_out]).unwrap();
            let style = weights.get(&format!("{layer}.style"), &[c_in, EMBEDDING]).unwrap();
            let shift = weights.get(&format!("{layer}.shift"), &[c_out, EMBEDDING]).unwrap();
            let (scale, demodulation) = modulate(raw, style, &embedding, c_out);
            let scaled: Vec<f32> = x.iter().enumerate().map(|(i, v)| v * scale[i / (h * w)]).collect();
            let shape = Conv2dShape {
                c_in: c_in as u32,
                h_in: h as u32,
                w_in: w as u32,
                c_out: c_out as u32,
                h_out: h as u32,
                w_out: w as u32,
                kernel,
                stride: 1,
                activation: 0,
                has_residual: 0,
            };
            let (mut expected, mut found) = (vec![0.0; c_out * h * w], vec![0.0; c_out * h * w]);
            conv2d(&shape, &scaled, raw, &vec![0.0; c_out], &[], &mut expected);
            for (i, y) in expected.iter_mut().enumerate() {
                let o = i / (h * w);
                let t: f32 = shift[o * EMBEDDING..][..EMBEDDING].iter().zip(&embedding).map(|(a, b)| a * b).sum();
                *y = *y * demodulation[o] + bias[o] + t;
            }
            conv2d(&shape, &x, &folded[at], &folded[at + 1], &[], &mut found);
            check(&format!("{layer}, seed {seed}"), &found, &expected);
        }
        // No embedding, no change.
        let plain = network::fold(&plan, &weights, &[0.0; EMBEDDING]).unwrap();
        let at = plan.params().iter().position(|p| p.name == "decoder.in.weight").unwrap();
        check("decoder.in", &plain[at], weights.get("decoder.in.weight", &plan.params()[at].dims).unwrap());
    }
}

#[test]
fn weights_survive_their_file_and_a_wrong_file_is_refused() {
    let weights = Weights::random(Size::Small, 5);
    let bytes = weights.to_bytes().unwrap();
    let read = Weights::from_bytes(&bytes).unwrap();
    for ((name, dims, values), (_, _, stored)) in weights.iter().zip(read.iter()) {
        let worst = values.iter().zip(stored).map(|(a, b)| (a - b).abs() - a.abs() / 1024.0).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{name} {dims:?} is {worst} off");
    }
    assert_eq!(Weights::from_bytes(&read.to_bytes().unwrap()).unwrap(), read);
    for (bytes, expected) in [
        (&bytes[..bytes.len() / 2], "expected a safetensors file"),
        (&b"not weights"[..], "expected a safetensors file"),
    ] {
        let error = Weights::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = weights.get("decoder.in.weight", &[1, 2, 3, 3]).unwrap_err().to_string();
    assert!(error.contains("expected decoder.in.weight as [1, 2, 3, 3], found [96, 106, 3, 3]"), "{error}");
    let last = vec![0.5; 96 * 16 * 16];
    assert_eq!(pooled_embedding(&weights, &last, 96).unwrap().len(), EMBEDDING);
    assert_eq!(frame(&FrameOptions::new(Size::Small, 512)).of_role(Role::Output).count(), 1);
}
