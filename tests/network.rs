//! The generator with the network: what it shows on each executor, and what moves.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{identity, open_mouth, rest};
use effigy::generate::cpu::{CpuExecutor, Rung};
use effigy::generate::network::{FrameOptions, Size, frame};
use effigy::generate::neural::{NeuralGenerator, typical};
use effigy::generate::plan::{Adoption, Executor, Plan, TensorView, TensorViewMut};
use effigy::generate::twin::TwinExecutor;
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
use effigy::{Error, ErrorKind, Generator, Identity, Portrait, Result};
use glam::{Quat, Vec2, Vec3};

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
fn light_that_changes_is_laid_over_the_networks_picture_and_not_over_the_bare_warp() {
    let identity = identity(512);
    // Where a cheek is, and where nothing of the face is.
    let [cheek, corner] = [identity.landmarks_px[50].truncate().as_uvec2(), glam::UVec2::new(500, 500)];
    let mut signal = rest();
    signal.dense.light.fill(-0.3);
    let made = |generator: &mut dyn Generator| {
        generator.adopt(Arc::clone(&identity)).unwrap();
        let mut portrait = Portrait::default();
        [&rest(), &signal].map(|signal| {
            generator.generate(signal, &mut portrait).unwrap();
            [cheek, corner].map(|at| portrait.picture.pixel(at.x as usize, at.y as usize).map(f32::from))
        })
    };
    let [rest, lit] = made(&mut NeuralGenerator::new(distrustful(3), 512, on_cpu).unwrap());
    for (rest, lit) in rest[0].iter().zip(lit[0]).take(3) {
        assert!((lit - rest * (-0.3_f32).exp()).abs() < 2.0, "{lit} of {rest}");
    }
    assert_eq!((rest[1], rest[0][3]), (lit[1], lit[0][3]));
    let [rest, lit] = made(&mut WarpGenerator::new(512));
    assert_eq!(rest, lit);
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
    if executor.wants_examples() {
        assert!(decoder >= all + 2.0, "{all:.1} dB, {decoder:.1} dB with the motion network in f32");
        // What is chosen is the first that is close enough.
        executor.adopt(&adoption).unwrap();
        executor.settle(&adoption, &examples).unwrap();
        assert_eq!(executor.rung().is_some(), decoder >= 41.5);
        assert_eq!(executor.rung() == Some(Rung::All), all >= 41.5);
    }
}

/// Asks for `identity` until it is there, or cannot be.
fn prepared(generator: &mut NeuralGenerator, identity: &Arc<Identity>) -> Result<()> {
    for _ in 0..6000 {
        if generator.prepare(identity)? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never ready")
}

#[test]
fn an_identity_that_has_no_room_is_told_once_and_who_is_shown_stays() {
    static N_OPENED: AtomicUsize = AtomicUsize::new(0);
    // One is opened to try, one for who is shown.
    let mut generator =
        NeuralGenerator::new(distrustful(1), 512, |plan| match N_OPENED.fetch_add(1, Ordering::Relaxed) {
            2 => Err(Error::new(ErrorKind::BackendUnavailable, "the script's card has no room")),
            _ => on_cpu(plan),
        })
        .unwrap();
    let (shown, other, third) = (identity(512), identity(512), identity(512));
    generator.adopt(shown).unwrap();
    let mut before = Portrait::default();
    generator.generate(&rest(), &mut before).unwrap();
    generator.prepare(&other).unwrap();
    // Whoever else is asked for meanwhile is not told of it.
    prepared(&mut generator, &third).unwrap();
    assert_eq!(prepared(&mut generator, &other).unwrap_err().kind(), ErrorKind::BackendUnavailable);
    let mut after = Portrait::default();
    generator.generate(&rest(), &mut after).unwrap();
    assert_eq!(before.picture, after.picture);
    prepared(&mut generator, &other).unwrap();
    generator.adopt(other).unwrap();
}

/// A card that is lost in its third frame.
struct Dying {
    twin: TwinExecutor,
    n_frames: usize,
}

impl Executor for Dying {
    fn backend(&self) -> &str {
        "dying"
    }

    fn plan(&self) -> &Plan {
        self.twin.plan()
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<()> {
        self.twin.adopt(adoption)
    }

    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        self.n_frames += 1;
        if self.n_frames > 2 {
            return Err(Error::new(ErrorKind::DeviceLost, "the script's card is gone"));
        }
        self.twin.run(inputs, outputs)
    }
}

#[test]
fn when_the_card_is_lost_the_processor_goes_on_with_the_same_person() {
    let open =
        |plan| -> Result<Box<dyn Executor>> { Ok(Box::new(Dying { twin: TwinExecutor::new(plan), n_frames: 0 })) };
    let mut generator = NeuralGenerator::new(distrustful(1), 512, open).unwrap();
    generator.adopt(identity(512)).unwrap();
    let mut found = [Portrait::default(), Portrait::default()];
    for portrait in [0, 1, 1] {
        generator.generate(&rest(), &mut found[portrait]).unwrap();
    }
    assert!(generator.backend().starts_with("cpu"), "{}", generator.backend());
    let [before, after] = &found;
    let off = difference(after, before, [0, 0]);
    assert!(off < 1.0, "{off} of 255 off");
}
