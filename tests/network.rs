//! The network: its budget, its text, the two exact foldings, its weights file.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::sync::Arc;

use crate::common::{identity, open_mouth, rest};
use effigy::generate::cpu::CpuExecutor;
use effigy::generate::network::{
    self, EMBEDDING, FrameOptions, Size, encoder, fold_upsampling, frame, modulate, pooled_embedding,
};
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::plan::{Executor, Plan, Role};
use effigy::generate::twin::TwinExecutor;
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::kernels::conv2d::{Conv2dShape, conv2d};
use effigy::kernels::upconv2d::{UpConv2dShape, upconv2d};
use effigy::{Generator, Portrait, Result};
use glam::{Quat, Vec2, Vec3};

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

fn on_cpu(plan: Plan) -> Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::new(plan, 2)?.in_f32()))
}

fn on_cpu_in_any_form(plan: Plan) -> Result<Box<dyn Executor>> {
    Ok(Box::new(CpuExecutor::new(plan, 2)?))
}

fn on_twins(plan: Plan) -> Result<Box<dyn Executor>> {
    Ok(Box::new(TwinExecutor::new(plan)))
}

/// Weights with one motion only (0 staying, 1 the body's, 2 the head's, 3 the mesh's) and no trust in the decoder.
fn distrustful(motion: usize) -> Weights {
    let mut weights = Weights::random(Size::Small, 1);
    for (name, dims, _) in weights.clone().iter().filter(|(name, ..)| name.starts_with("motion.out")) {
        let mut only = vec![-40.0, -40.0, -40.0, -40.0, 0.0, 0.0, 0.0];
        only[motion] = 40.0;
        let n = dims.iter().product();
        weights.set(name, &if n == only.len() { only } else { vec![0.0; n] }).unwrap();
    }
    weights.set("decoder.out.bias", &[0.0, 0.0, 0.0, 0.0, -60.0]).unwrap();
    weights
}

#[test]
fn without_trust_the_network_shows_what_the_warp_shows() {
    let identity = identity(512);
    let mut neural = NeuralGenerator::new(distrustful(3), 512, on_cpu).unwrap();
    let mut warp = WarpGenerator::new(512);
    neural.adopt(Arc::clone(&identity)).unwrap();
    warp.adopt(Arc::clone(&identity)).unwrap();
    let (mut found, mut expected) = (Portrait::default(), Portrait::default());
    let mut signal = rest();
    signal.rotation = Quat::from_rotation_y(0.2);
    neural.generate(&signal, &mut found).unwrap();
    warp.generate(&signal, &mut expected).unwrap();
    let pixels = found.picture.data().chunks_exact(4).zip(expected.picture.data().chunks_exact(4));
    // The warp softens edges and rounds otherwise; nearly all pixels are the same. Colour counts where there is some.
    let differs = |(a, b): &(&[u8], &[u8])| {
        let n = if b[3] > 8 { 0..4 } else { 3..4 };
        n.into_iter().any(|c| a[c].abs_diff(b[c]) > 6)
    };
    let n_other = pixels.filter(differs).count();
    assert!(n_other < 512 * 512 / 100, "{n_other} pixels differ");
}

/// Mean absolute difference of the green of two pictures where both show the person, the second one shifted by
/// `shift_px` to the right and down.
fn difference(found: &Portrait, portrait: &Portrait, shift_px: [usize; 2]) -> f64 {
    let (found, portrait) = (&found.picture, &portrait.picture);
    let (mut sum, mut n) = (0.0, 0.0);
    for y in shift_px[1]..found.height_px() {
        for x in shift_px[0]..found.width_px() {
            let (a, b) = (found.pixel(x, y), portrait.pixel(x - shift_px[0], y - shift_px[1]));
            if a[3] > 250 && b[3] > 250 {
                sum += f64::from(a[1].abs_diff(b[1]));
                n += 1.0;
            }
        }
    }
    assert!(n > 1000.0, "there is nobody in both");
    sum / n
}

#[test]
fn the_bodys_motion_goes_with_a_head_that_moves_as_a_whole_but_not_with_one_that_turns() {
    let identity = identity(512);
    let mut neural = NeuralGenerator::new(distrustful(1), 512, on_cpu).unwrap();
    neural.adopt(Arc::clone(&identity)).unwrap();
    let (mut portrait, mut found) = (Portrait::default(), Portrait::default());
    neural.generate(&rest(), &mut portrait).unwrap();
    let shift_px = [77, 38];
    let mut signal = rest();
    signal.translation = Vec2::new(shift_px[0] as f32, shift_px[1] as f32) / identity.shape.width_px;
    neural.generate(&signal, &mut found).unwrap();
    let (moved, stayed) = (difference(&found, &portrait, shift_px), difference(&found, &portrait, [0, 0]));
    assert!(moved < 0.1 && stayed > 5.0, "{moved:.2} of 255 off, {stayed:.2} where nothing had moved");

    // About the foot of the neck: the head goes aside and the body does not.
    signal.rotation = Quat::from_rotation_y(0.2) * Quat::from_rotation_z(0.1);
    let foot = Vec3::new(0.0, 1.2, 0.8);
    signal.translation = (foot - signal.rotation * foot).truncate();
    neural.generate(&signal, &mut found).unwrap();
    let moved = difference(&found, &portrait, [0, 0]);
    assert!(moved < 0.1, "{moved:.2} of 255 off");
}

#[test]
fn what_moves_beside_the_mesh_moves_in_the_networks_map_and_not_in_the_bare_warp() {
    let identity = identity(512);
    let (width_px, centre_px) = (identity.shape.width_px, identity.shape.centre_px);
    let shift_px = 8;
    let mut signal = rest();
    signal.dense.around.fill(Vec2::new(shift_px as f32 / width_px, 0.0));
    let made = |generator: &mut dyn Generator| {
        generator.adopt(Arc::clone(&identity)).unwrap();
        let mut pictures = [Portrait::default(), Portrait::default()];
        generator.generate(&rest(), &mut pictures[0]).unwrap();
        generator.generate(&signal, &mut pictures[1]).unwrap();
        pictures.map(|portrait| portrait.picture)
    };
    let mut neural = NeuralGenerator::new(distrustful(3), 512, on_cpu).unwrap();
    assert!(neural.is_dense());
    let [still, moved] = made(&mut neural);
    // Mean difference of the green from the picture at rest, shifted, in a box of places in face widths.
    let difference = |low: Vec2, high: Vec2, shift_px: usize| {
        let [low, high] = [low, high].map(|place| (centre_px + place * width_px).as_uvec2());
        let places = (low.y..high.y).flat_map(|y| (low.x..high.x).map(move |x| (x as usize, y as usize)));
        let each = places.map(|(x, y)| f64::from(moved.pixel(x, y)[1].abs_diff(still.pixel(x - shift_px, y)[1])));
        let (sum, n) = each.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
        sum / n
    };
    let forehead = identity.landmarks_px[10].truncate() - centre_px;
    let above = forehead.y / width_px;
    let hair = (Vec2::new(-0.3, above - 0.25), Vec2::new(0.3, above - 0.1));
    let (followed, stayed) = (difference(hair.0, hair.1, shift_px), difference(hair.0, hair.1, 0));
    assert!(followed < 0.4 * stayed, "{followed:.2} from where it should be, {stayed:.2} from where it was");
    let nose = difference(Vec2::new(-0.2, -0.1), Vec2::new(0.2, 0.3), 0);
    assert!(nose < 0.5, "the face is the tracker's: {nose:.2}");

    let mut warp = WarpGenerator::new(512);
    assert!(!warp.is_dense());
    let [still, moved] = made(&mut warp);
    assert_eq!(still, moved);
}

#[test]
fn a_frame_is_the_same_on_the_twins_and_identities_switch() {
    let weights = Weights::random(Size::Small, 3);
    let (one, other) = (identity(512), identity(1024));
    let mut cpu = NeuralGenerator::new(weights.clone(), 512, on_cpu).unwrap();
    let mut twin = NeuralGenerator::new(weights, 512, on_twins).unwrap();
    assert_eq!((cpu.name(), cpu.backend(), twin.backend()), ("small", "cpu", "twin"));
    let mut signal = rest();
    signal.rotation = Quat::from_rotation_y(0.3);
    open_mouth(&mut signal, &one, 0.15);
    let (mut found, mut expected) = (Portrait::default(), Portrait::default());
    assert!(cpu.generate(&signal, &mut found).is_err(), "nothing was adopted");
    cpu.adopt(Arc::clone(&one)).unwrap();
    twin.adopt(Arc::clone(&one)).unwrap();
    cpu.generate(&signal, &mut found).unwrap();
    twin.generate(&signal, &mut expected).unwrap();
    let worst = |a: &Portrait, b: &Portrait| {
        a.picture.data().iter().zip(b.picture.data()).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
    };
    assert!(worst(&found, &expected) <= 3, "{} steps of 255 apart", worst(&found, &expected));

    while !cpu.prepare(&other).unwrap() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    cpu.adopt(Arc::clone(&other)).unwrap();
    let mut second = Portrait::default();
    cpu.generate(&signal, &mut second).unwrap();
    assert!(cpu.prepare(&one).unwrap(), "the first identity was not kept");
    cpu.adopt(one).unwrap();
    cpu.generate(&signal, &mut expected).unwrap();
    assert_eq!(worst(&found, &expected), 0, "switching there and back changed the picture");
}

/// PSNR of two pictures, colour counted by alpha.
fn psnr_db(found: &Portrait, expected: &Portrait) -> f64 {
    let shown = |p: &[u8], c: usize| if c == 3 { f64::from(p[3]) } else { f64::from(p[c]) * f64::from(p[3]) / 255.0 };
    let pixels = || found.picture.data().chunks_exact(4).zip(expected.picture.data().chunks_exact(4));
    let seen = pixels().filter(|(a, b)| a[3] > 0 || b[3] > 0);
    let (mut squares, mut n) = (0.0, 0.0);
    for (a, b) in seen {
        squares += (0..4).map(|c| (shown(a, c) - shown(b, c)).powi(2)).sum::<f64>();
        n += 4.0;
    }
    10.0 * (255.0 * 255.0 * n / squares).log10()
}

/// Random weights, then trained ones where there are some.
fn weights_to_round() -> Vec<Weights> {
    let trained = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/generator_small.safetensors");
    let trained = trained.is_file().then(|| Weights::load(&trained).unwrap());
    [Some(Weights::random(Size::Small, 3)), trained].into_iter().flatten().collect()
}

#[test]
fn in_8_bits_the_picture_stays_close_to_the_twins() {
    if CpuExecutor::new(frame(&FrameOptions::new(Size::Small, 512)), 1).unwrap().wants_examples() {
        let identity = identity(512);
        for weights in weights_to_round() {
            let mut bytes = NeuralGenerator::new(weights.clone(), 512, on_cpu_in_any_form).unwrap();
            let mut twin = NeuralGenerator::new(weights, 512, on_twins).unwrap();
            bytes.adopt(Arc::clone(&identity)).unwrap();
            twin.adopt(Arc::clone(&identity)).unwrap();
            assert_eq!(bytes.backend(), "cpu int8");
            // No example of those the ranges are from.
            let mut signal = rest();
            signal.rotation = Quat::from_rotation_y(0.22) * Quat::from_rotation_x(-0.1);
            signal.scale = 1.07;
            open_mouth(&mut signal, &identity, 0.12);
            let (mut found, mut expected) = (Portrait::default(), Portrait::default());
            bytes.generate(&signal, &mut found).unwrap();
            twin.generate(&signal, &mut expected).unwrap();
            let psnr_db = psnr_db(&found, &expected);
            // The examples were at least 41.5 dB close; a signal that was none may be a little less.
            assert!(psnr_db >= 40.0, "{} is {psnr_db:.1} dB from the twins", bytes.backend());
        }
    }
}

#[test]
fn without_rounded_places_the_picture_is_closer() {
    let identity = identity(512);
    let weights = Weights::built_in().unwrap();
    let (tensors, frames) = typical(&weights, &identity, 512).unwrap();
    let plan = frame(&FrameOptions::new(weights.size(), 512));
    let params = effigy::generate::network::fold(&plan, &weights, &tensors.encoded.embedding).unwrap();
    let params: Vec<&[f32]> = params.iter().map(Vec::as_slice).collect();
    let adoption = Adoption { params: params.clone(), constants: tensors.constants() };
    let examples: Vec<Vec<TensorView>> = frames.iter().map(|frame| frame.views().to_vec()).collect();
    let mut executor = CpuExecutor::new(plan, 2).unwrap();
    let mut closeness_db = |rung| {
        executor.adopt(&adoption).unwrap();
        assert_eq!(executor.rung(), None);
        let psnr_db = executor.settle_at(rung, &params, &examples).unwrap();
        assert_eq!((executor.rung(), executor.backend()), (Some(rung), "cpu int8"));
        psnr_db
    };
    let [all, _, decoder] = Rung::LADDER.map(&mut closeness_db);
    println!("{all:.1} dB with all in 8 bits, {decoder:.1} with the motion network in f32");
    if executor.wants_examples() {
        assert!(decoder >= all + 2.0, "{all:.1} dB, {decoder:.1} dB with the motion network in f32");
        // What is chosen is the first that is close enough.
        executor.adopt(&adoption).unwrap();
        executor.settle(&adoption, &examples).unwrap();
        assert_eq!(executor.rung().is_some(), decoder >= 41.5);
        assert_eq!(executor.rung() == Some(Rung::All), all >= 41.5);
    }
}
