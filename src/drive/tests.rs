//! A driver over time: whatever changes, what is shown goes on without a step, as fast at any rate of frames.

use glam::{Mat3, Quat, Vec2, Vec3};

use super::*;
use crate::frame::{Grey, Rgb};
use crate::geometry::{HeadPose, Landmarks, MESH_POINTS_CM, N_COEFFICIENTS, N_MESH_POINTS};
use crate::identity::{Basis, Consent, Framing, Manifest};
use crate::signal::{Composition, N_NUMBERS};

const SIZE_PX: usize = 512;

/// The mesh as a portrait, of which no picture is needed.
fn identity() -> Arc<Identity> {
    // The mesh has no irises: each is in the middle between the corners of its eye.
    let iris = |corners: [usize; 2], i: usize| {
        let [from, to] = corners.map(|corner| MESH_POINTS_CM[corner]);
        from.midpoint(to) + 0.6 * [Vec3::ZERO, Vec3::X, Vec3::Y, -Vec3::X, -Vec3::Y][i]
    };
    let landmarks_px: Landmarks = std::array::from_fn(|i| {
        let at_cm = match i {
            0..N_MESH_POINTS => MESH_POINTS_CM[i],
            N_MESH_POINTS..473 => iris([33, 133], i - N_MESH_POINTS),
            _ => iris([362, 263], i - 473),
        };
        at_cm * Vec3::new(12.0, -12.0, -12.0) + Vec2::splat(0.5 * SIZE_PX as f32).extend(0.0)
    });
    let consent = Consent {
        basis: Basis::Synthetic,
        by: String::new(),
        at_unix_secs: 0,
        until_unix_secs: None,
        purpose: None,
        statement_sha256: None,
        spoken: None,
    };
    let manifest = Manifest {
        format: 1,
        name: "mesh".to_owned(),
        consent,
        created_unix_secs: 0,
        framing: Framing::Keep,
        photo_sha256: String::new(),
        views: Vec::new(),
        models: Default::default(),
        tensors: Default::default(),
    };
    let pose = HeadPose::default();
    Arc::new(Identity {
        manifest,
        maker: None,
        portrait: Rgb::new(SIZE_PX, SIZE_PX),
        matte: Grey::new(SIZE_PX, SIZE_PX),
        background: Rgb::new(SIZE_PX, SIZE_PX),
        shape: FaceShape::new(&landmarks_px, &pose),
        landmarks_px,
        coefficients: [0.0; N_COEFFICIENTS],
        pose,
        emphasis: None,
        photo: None,
        views: Vec::new(),
    })
}

/// A driver whose pose is shown as it is, and the portrait at rest.
fn driver() -> (Driver, Box<DrivingSignal>) {
    let options = DriveOptions { motion: Motion::Absolute, is_filtered: false, ..DriveOptions::default() };
    let driver = Driver::new(options, identity()).unwrap();
    let rest = Box::new(driver.rest());
    (driver, rest)
}

/// What the face stage would say of the portrait's own face, turned so far.
fn turned(driver: &Driver, yaw_rads: f32, captured: Timestamp) -> FaceObservation {
    let shape = FaceShape { rotation: Quat::from_rotation_y(yaw_rads), ..driver.identity.shape.clone() };
    let flip = Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
    FaceObservation {
        captured,
        frame_size_px: (SIZE_PX, SIZE_PX),
        landmarks_px: shape.landmarks_px(),
        presence: 1.0,
        pose: HeadPose { camera_from_head: Mat3::from_quat(shape.rotation) * flip, ..HeadPose::default() },
        ..FaceObservation::default()
    }
}

/// When a frame is seen.
fn at(frame: u64, rate_hz: u64) -> Timestamp {
    Timestamp::from_nanos(frame * 1_000_000_000 / rate_hz)
}

/// Shows a frame in which the head is turned so far, or no head is; gives how far it is turned in what is shown.
fn show(driver: &mut Driver, signal: &mut DrivingSignal, yaw_rads: Option<f32>, now: Timestamp) -> f32 {
    let seen = yaw_rads.map(|yaw_rads| turned(driver, yaw_rads, now));
    driver.drive(seen.as_ref(), None, now, signal);
    signal.rotation.to_scaled_axis().y
}

#[test]
fn a_face_that_comes_back_is_eased_in_alike_at_any_rate() {
    const ASIDE_RADS: f32 = 0.4;
    const RATES_HZ: [u64; 4] = [15, 30, 60, 120];
    // Lost for 0.4 s, while the last picture stands, and for a second, when the portrait is coming to rest: in fifteenths of
    // a second, at which there is a frame at every rate.
    for away in [6, 15] {
        // How far it is shown turned, from the last frame without a face on.
        let shown = RATES_HZ.map(|rate_hz| {
            let (mut driver, mut signal) = driver();
            let back = rate_hz + away * rate_hz / 15;
            let mut angles = Vec::new();
            for i in 0..3 * rate_hz {
                let yaw_rads = if i <= rate_hz { 0.0 } else { ASIDE_RADS };
                let is_lost = i > rate_hz && i <= back;
                let angle = show(&mut driver, &mut signal, (!is_lost).then_some(yaw_rads), at(i, rate_hz));
                if i >= back {
                    angles.push(angle);
                }
            }
            angles
        });
        let at_fifteenth = |k: usize, later: u64| shown[k][(later * RATES_HZ[k] / 15) as usize];
        for (k, angles) in shown.iter().enumerate() {
            let rate_hz = RATES_HZ[k];
            for later in 1..4 {
                let (found, expected) = (at_fifteenth(k, later), at_fifteenth(3, later));
                assert!((found - expected).abs() < 0.03, "{rate_hz} Hz, {later}: {found} instead of {expected}");
            }
            // Within 0.2 s, in the middle one and a half times as fast as in the mean.
            let fastest = 1.55 * ASIDE_RADS / 0.2;
            for (i, pair) in angles.windows(2).enumerate() {
                let speed = (pair[1] - pair[0]).abs() * rate_hz as f32;
                assert!(speed < fastest, "{rate_hz} Hz, frame {i}: {speed} radians a second");
            }
            assert!((angles[angles.len() - 1] - ASIDE_RADS).abs() < 1e-3, "{rate_hz} Hz: it does not arrive");
        }
    }
}

#[test]
fn frames_a_second_apart_are_shown_as_they_are() {
    let (mut driver, mut signal) = driver();
    for i in 0..6 {
        let yaw_rads = 0.1 * i as f32;
        let shown = show(&mut driver, &mut signal, Some(yaw_rads), at(i, 1));
        assert!((shown - yaw_rads).abs() < 1e-3, "second {i}: {shown}");
    }
}

#[test]
fn another_camera_takes_over_while_the_face_is_away_and_is_not_cut_short_by_its_return() {
    let (mut driver, mut signal) = driver();
    let shown: Vec<f32> = (0..30)
        .map(|i| {
            if i == 5 {
                driver.meet_camera(at(i, 30));
            }
            // Lost in some frames while it is taken over, at the end for longer.
            let is_lost = matches!(i, 7..10 | 12..);
            let yaw_rads = if i < 5 { 0.0 } else { 0.4 };
            show(&mut driver, &mut signal, (!is_lost).then_some(yaw_rads), at(i, 30))
        })
        .collect();
    for (i, pair) in shown.windows(2).enumerate() {
        assert!((pair[1] - pair[0]).abs() < 0.1, "frame {i}: {shown:?}");
    }
    assert!((shown[18] - 0.4).abs() < 1e-3, "what the face did stands: {shown:?}");
}

#[test]
fn another_square_takes_a_latents_motion_over_without_a_step() {
    let latent = |reference: u32, value: f32| {
        let mut latent = DriverLatent::NONE;
        latent.set(reference, Composition::Differences, &[value; N_NUMBERS]);
        latent
    };
    let (mut driver, mut signal) = driver();
    let shown: Vec<f32> = (0..40)
        .map(|i| {
            let now = at(i, 30);
            let seen = match i {
                0 => latent(1, 0.0),
                1..15 => latent(1, 1.0),
                // The head has left the first square.
                15..30 => latent(2, 5.0),
                _ => latent(2, 5.5),
            };
            driver.see_latent(&seen, now);
            show(&mut driver, &mut signal, Some(0.0), now);
            signal.latent.values()[7]
        })
        .collect();
    assert_eq!((shown[0], shown[14]), (0.0, 1.0));
    for (i, pair) in shown[14..30].windows(2).enumerate() {
        // Nine frames long, one and a half times as fast as in the mean in the middle.
        assert!((pair[1] - pair[0]).abs() < 0.17, "frame {i}: {shown:?}");
    }
    assert!(shown[25..30].iter().all(|value| *value == 0.0), "{shown:?}");
    assert!(shown[30..].iter().all(|value| *value == 0.5), "motion of the new square: {shown:?}");
}
