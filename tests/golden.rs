//! The warp and the compositor, judged by their pictures.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at once, as tests do")]

use std::sync::Arc;

use crate::common::{even, identity, opaque, open_mouth, rest, shrunk, with_mark};
use effigy::clock::Timestamp;
use effigy::composite::{Background, CardReason, CompositeOptions, Compositor};
use effigy::drive::{DriveOptions, Driver, Motion};
use effigy::face::{FaceTracker, TrackerOptions};
use effigy::generate::warp::WarpGenerator;
use effigy::identity::{Basis, EnrollOptions, Enroller, Framing};
use effigy::trace::Trace;
use effigy::{FaceObservation, Generator, Identity, OutFrame, Portrait, RawFrame};
use glam::{Quat, Vec2};

fn generated(size_px: usize, identity: &Arc<Identity>, signal: &effigy::DrivingSignal) -> Portrait {
    let mut generator = WarpGenerator::new(size_px);
    generator.adopt(identity.clone()).unwrap();
    let mut portrait = Portrait::default();
    generator.generate(signal, &mut portrait).unwrap();
    portrait
}

/// Peak signal-to-noise ratio inside the person, in dB.
fn psnr_db(portrait: &Portrait, identity: &Identity) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    let wanted = identity.portrait.data().chunks_exact(3).zip(identity.matte.data());
    for (pixel, (rgb, _)) in portrait.picture.data().chunks_exact(4).zip(wanted).filter(|(_, (_, a))| **a >= 250) {
        for c in 0..3 {
            sum += (f64::from(pixel[c]) - f64::from(rgb[c])).powi(2);
            count += 1;
        }
    }
    10.0 * (255.0 * 255.0 / (sum / f64::from(count)).max(1e-9)).log10()
}

#[test]
fn a_signal_that_changes_nothing_gives_back_the_portrait() {
    for size in [512, 1024] {
        let identity = identity(size);
        let portrait = generated(size, &identity, &rest());
        let psnr = psnr_db(&portrait, &identity);
        assert!(psnr >= 45.0, "{psnr:.1} dB at {size}");
        let differ = portrait.picture.data().chunks_exact(4).zip(identity.matte.data());
        let worst = differ.map(|(pixel, &a)| pixel[3].abs_diff(a)).max().unwrap();
        assert!(worst <= 3, "alpha differs by {worst} at {size}");
    }
}

#[test]
fn portrait_and_output_may_have_different_sizes() {
    for (from, to) in [(512, 1024), (1024, 512)] {
        let (small, large) = (identity(from), identity(to));
        let psnr = psnr_db(&generated(to, &small, &rest()), &large);
        assert!(psnr >= 35.0, "{psnr:.1} dB from {from} to {to}");
    }
}

#[test]
fn an_absolute_signal_that_names_the_portraits_own_pose_gives_back_the_portrait() {
    let identity = identity(512);
    let mut signal = rest();
    signal.is_relative = false;
    signal.rotation = identity.shape.rotation;
    signal.translation = identity.shape.centre_px / 512.0;
    signal.scale = identity.shape.width_px / 512.0;
    assert!(psnr_db(&generated(512, &identity, &signal), &identity) >= 45.0);
}

/// A camera's frame is smaller than the portrait, and the tracker's view of it another: neither may move the face.
#[test]
fn a_portrait_driven_by_its_own_picture_in_half_the_size_gives_back_the_portrait() {
    let mut enroller = Enroller::new().unwrap();
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    for (name, file) in effigy::demo::PORTRAITS {
        let options = EnrollOptions {
            name: name.to_owned(),
            basis: Basis::Synthetic,
            consent_by: String::new(),
            framing: Framing::Keep,
            face: None,
        };
        let identity = Arc::new(enroller.enroll(file, &options).unwrap());
        let half = shrunk(&identity.portrait, 2);
        let options = DriveOptions { motion: Motion::Absolute, is_filtered: false, ..DriveOptions::default() };
        let mut driver = Driver::new(options, identity.clone()).unwrap();
        let mut signal = rest();
        let mut face = FaceObservation::default();
        tracker.reset();
        for i in 0..4 {
            let frame = RawFrame::new(half.clone(), Timestamp::from_nanos(i * 33_333_333));
            assert!(tracker.observe(&frame, &mut face).unwrap());
            driver.drive(Some(&face), None, frame.captured(), &mut signal);
        }
        let portrait = generated(512, &identity, &signal);
        // Brows, lids and nose: what is full of edges, and moves with nothing but the head.
        let inner = [70, 300, 4].map(|i| identity.landmarks_px[i].truncate());
        let [left, right, below] = inner.map(|p| p.as_uvec2());
        let (mut sum, mut n) = (0.0, 0.0);
        for y in left.y.min(right.y)..below.y {
            for x in left.x..right.x {
                let [a, b] = [
                    portrait.picture.pixel(x as usize, y as usize)[1],
                    identity.portrait.pixel(x as usize, y as usize)[1],
                ];
                sum += (f64::from(a) - f64::from(b)).powi(2);
                n += 1.0;
            }
        }
        let psnr = 10.0 * (255.0 * 255.0 * n / f64::max(sum, 1e-9)).log10();
        assert!(psnr >= 32.5, "{name}: {psnr:.1} dB");
    }
}

/// The driven picture's colour at each inner landmark is the portrait's at the landmark's old place.
#[test]
fn colours_travel_with_the_landmarks() {
    let identity = identity(512);
    let mut signal = rest();
    signal.rotation = Quat::from_rotation_y(0.25) * Quat::from_rotation_z(0.2);
    signal.translation = Vec2::new(0.1, -0.05);
    let mut generator = WarpGenerator::new(512);
    generator.adopt(identity.clone()).unwrap();
    let mut portrait = Portrait::default();
    generator.generate(&signal, &mut portrait).unwrap();
    let shape = &identity.shape;
    // Nose, brows, cheeks, chin, lips.
    for i in [1, 4, 6, 9, 105, 334, 50, 280, 199, 0, 17] {
        let expected = shape.centre_px
            + signal.translation * shape.width_px
            + (signal.rotation * shape.rotation * shape.points[i]).truncate() * shape.width_px;
        let found = generator.landmarks_px()[i].truncate();
        assert!(expected.distance(found) < 0.01, "point {i} is at {found}, not {expected}");
        let old = identity.landmarks_px[i];
        let was = identity.portrait.pixel(old.x as usize, old.y as usize);
        let is = portrait.picture.pixel(found.x as usize, found.y as usize);
        for c in 0..3 {
            assert!(was[c].abs_diff(is[c]) <= 16, "point {i}: {was:?} became {is:?}");
        }
    }
}

#[test]
fn hair_moves_out_of_its_silhouette_and_the_border_stays() {
    let identity = identity(512);
    let mut signal = rest();
    signal.translation = Vec2::new(0.3, 0.0);
    let portrait = generated(512, &identity, &signal);
    // 0.3 face widths are 46 pixels; the head's right edge was at 420.
    assert_eq!(identity.matte.pixel(440, 230)[0], 0);
    assert_eq!(portrait.picture.pixel(440, 230)[3], 255);
    assert_eq!(portrait.picture.pixel(110, 230)[3], 0);
    let last = 511 * 512;
    for x in (0..512).step_by(16) {
        assert!(portrait.picture.pixel(x, 511)[3].abs_diff(identity.matte.data()[last + x]) <= 40, "column {x}");
    }
}

#[test]
fn an_open_mouth_is_dark_inside_and_a_closed_one_has_no_line() {
    let identity = identity(512);
    let mut signal = rest();
    open_mouth(&mut signal, &identity, 0.25);
    let mut generator = WarpGenerator::new(512);
    generator.adopt(identity.clone()).unwrap();
    let mut portrait = Portrait::default();
    generator.generate(&signal, &mut portrait).unwrap();
    let [upper, lower] = [13, 14].map(|i| generator.landmarks_px()[i].truncate());
    let middle = upper.lerp(lower, 0.6);
    let [r, g, b, a] = portrait.picture.pixel(middle.x as usize, middle.y as usize);
    assert!(r < 130 && g < 60 && b < 60 && a == 255, "the mouth is {r} {g} {b}");
    assert!(psnr_db(&generated(512, &identity, &rest()), &identity) >= 45.0);
}

#[test]
fn no_signal_tears_a_hole() {
    let identity = identity(512);
    for (yaw, pitch) in [(0.6, 0.0), (-0.6, 0.2), (0.0, 0.35), (0.3, -0.35)] {
        let mut signal = rest();
        signal.rotation = Quat::from_rotation_y(yaw) * Quat::from_rotation_x(pitch);
        open_mouth(&mut signal, &identity, 0.2);
        let mut generator = WarpGenerator::new(512);
        generator.adopt(identity.clone()).unwrap();
        let mut portrait = Portrait::default();
        generator.generate(&signal, &mut portrait).unwrap();
        // Between the nose and any other point all is person; only a silhouette's soft edge is less than solid.
        let nose = generator.landmarks_px()[4].truncate();
        for target in generator.landmarks_px().iter().take(468) {
            for step in 0..50 {
                let at = nose.lerp(target.truncate(), step as f32 / 52.0);
                let alpha = portrait.picture.pixel(at.x as usize, at.y as usize)[3];
                assert!(alpha > 100, "alpha {alpha} at {at} with yaw {yaw}, pitch {pitch}");
            }
        }
    }
}

#[test]
fn signals_out_of_all_bounds_are_drawn_without_a_panic() {
    let identity = identity(512);
    for bad in [f32::NAN, f32::INFINITY, 1e20, -5.0, 0.0] {
        let mut signal = rest();
        signal.scale = bad;
        signal.translation = Vec2::splat(bad);
        signal.displacement[14].y = bad;
        signal.displacement[159].y = bad;
        generated(512, &identity, &signal);
    }
}

fn compositor(background: Background, badge: bool, identity: &Identity) -> Compositor {
    let mut compositor = Compositor::new(CompositeOptions { background, badge, ..Default::default() }).unwrap();
    compositor.adopt(identity).unwrap();
    compositor
}

#[test]
fn each_background_is_where_the_person_is_not() {
    let identity = identity(512);
    let portrait = generated(512, &identity, &rest());
    let mut out = OutFrame::blank(512, 512);
    compositor(Background::Colour([0, 255, 0]), false, &identity)
        .compose(&portrait, Trace::default(), &mut out)
        .unwrap();
    let green = even([0, 255, 0, 255], (512, 512));
    assert_eq!(out.picture().pixel(5, 5), with_mark(&green).pixel(5, 5));
    compositor(Background::Own, false, &identity).compose(&portrait, Trace::default(), &mut out).unwrap();
    assert_eq!(out.picture().pixel(5, 5), with_mark(&opaque(&identity.background)).pixel(5, 5));
    let picture = effigy::Rgb::from_data(4, 2, [7, 8, 9].repeat(8)).unwrap();
    compositor(Background::Picture(picture), false, &identity).compose(&portrait, Trace::default(), &mut out).unwrap();
    assert_eq!(out.picture().pixel(5, 5), with_mark(&even([7, 8, 9, 255], (512, 512))).pixel(5, 5));
    compositor(Background::Blur, false, &identity).compose(&portrait, Trace::default(), &mut out).unwrap();
    assert_eq!(out.picture().pixel(5, 5)[3], 255);
}

#[test]
fn a_transparent_background_keeps_the_persons_alpha() {
    let identity = identity(512);
    let portrait = generated(512, &identity, &rest());
    let mut out = OutFrame::blank(512, 512);
    compositor(Background::None, false, &identity).compose(&portrait, Trace::default(), &mut out).unwrap();
    assert_eq!(out.picture(), &with_mark(&portrait.picture));
    let (out, portrait) = (out.picture().data().as_chunks::<4>().0, portrait.picture.data().as_chunks::<4>().0);
    assert!(out.iter().zip(portrait).all(|(a, b)| a[3] == b[3]));
    // Nothing is put where nothing is seen.
    assert!(out.iter().zip(portrait).all(|(a, b)| a[3] != 0 || a == b));
}

#[test]
fn the_badge_is_in_its_corner_and_readable_in_the_mirror_too() {
    let identity = identity(512);
    let portrait = generated(512, &identity, &rest());
    let [mut plain, mut marked, mut mirrored] = std::array::from_fn(|_| OutFrame::blank(512, 512));
    let green = || Background::Colour([0, 255, 0]);
    compositor(green(), false, &identity).compose(&portrait, Trace::default(), &mut plain).unwrap();
    let mut with_badge = compositor(green(), true, &identity);
    with_badge.compose(&portrait, Trace::default(), &mut marked).unwrap();
    with_badge.set_mirror(true);
    with_badge.compose(&portrait, Trace::default(), &mut mirrored).unwrap();
    let changed: Vec<_> = (0..512 * 512)
        .map(|i| (i % 512, i / 512))
        .filter(|&(x, y)| plain.picture().pixel(x, y) != marked.picture().pixel(x, y))
        .collect();
    assert!(changed.len() > 800, "only {} pixels are marked", changed.len());
    assert!(changed.iter().all(|&(x, y)| x > 400 && y > 400));
    let white = changed.iter().filter(|&&(x, y)| marked.picture().pixel(x, y)[..3].iter().all(|&c| c > 200)).count();
    assert!(white > 80, "the letters have {white} pixels");
    // The letters are opaque white, so they are the same over any picture.
    let ink = |out: &OutFrame| {
        let lit = |&&(x, y): &&(usize, usize)| out.picture().pixel(x, y)[..3].iter().all(|&c| c > 240);
        changed.iter().filter(lit).copied().collect::<Vec<_>>()
    };
    assert_eq!(ink(&marked), ink(&mirrored));
    // What is mirrored is the person, not the invisible mark.
    let options = CompositeOptions { background: Background::None, badge: false, mirror: true, ..Default::default() };
    Compositor::new(options).unwrap().compose(&portrait, Trace::default(), &mut mirrored).unwrap();
    let mut flipped = portrait.picture.clone();
    for row in flipped.data_mut().chunks_exact_mut(512 * 4) {
        row.as_chunks_mut::<4>().0.reverse();
    }
    assert_eq!(mirrored.picture(), &with_mark(&flipped));
}

#[test]
fn a_card_replaces_every_pixel_and_differs_by_reason() {
    let identity = identity(512);
    let mut compositor = compositor(Background::Own, true, &identity);
    let mut frames = CardReason::ALL.map(|_| OutFrame::blank(512, 512));
    for (frame, reason) in frames.iter_mut().zip(CardReason::ALL) {
        let portrait = generated(512, &identity, &rest());
        compositor.compose(&portrait, Trace::default(), frame).unwrap();
        compositor.card(reason, Trace::default(), frame);
        assert!(frame.picture().data().chunks_exact(4).all(|p| p[3] == 255));
        let [r, g, b, _] = frame.picture().pixel(256, 20);
        assert!(r < 70 && g < 70 && b < 70, "the ground is {r} {g} {b}");
    }
    assert_ne!(frames[0].picture(), frames[1].picture());
    assert_ne!(frames[1].picture(), frames[2].picture());
}

#[test]
fn a_portrait_of_another_size_is_refused() {
    let identity = identity(512);
    let mut compositor = compositor(Background::Own, true, &identity);
    let error = compositor.compose(&Portrait::default(), Trace::default(), &mut OutFrame::blank(1, 1)).unwrap_err();
    assert_eq!(error.kind(), effigy::ErrorKind::Internal);
}

#[test]
fn the_invisible_mark_is_in_portraits_and_cards_with_and_without_the_badge() {
    use effigy::mark::{Detector, Key, Message, NormalMap};
    let identity = identity(512);
    let portrait = generated(512, &identity, &rest());
    let mut detector = Detector::new(Key::PUBLIC);
    let mut check = |out: &OutFrame, what: &str| {
        let luma: Vec<u8> = out.picture().data().chunks_exact(4).map(|p| p[1]).collect();
        let mut map = NormalMap::default();
        assert!(detector.map(&luma, (512, 512), &mut map));
        let finding = detector.look(&map);
        assert!(finding.is_marked(), "{what}: {finding:?}");
        assert_eq!(finding.message, Some(Message::of_run(0xace)), "{what}: {finding:?}");
    };
    for (badge, mirror) in [(true, false), (false, false), (false, true)] {
        let options = CompositeOptions { badge, mirror, run_id: 0xace, ..Default::default() };
        let mut compositor = Compositor::new(options).unwrap();
        compositor.adopt(&identity).unwrap();
        let mut out = OutFrame::blank(512, 512);
        compositor.compose(&portrait, Trace::default(), &mut out).unwrap();
        check(&out, "portrait");
        for reason in CardReason::ALL {
            compositor.card(reason, Trace::default(), &mut out);
            check(&out, "card");
        }
    }
}
