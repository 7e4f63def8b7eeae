//! Looking ahead: the portrait of a driver whose face is made of numbers, on a clock that is moved by hand.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use effigy::clock::{Clock, ManualClock, Timestamp};
use effigy::drive::{DriveOptions, Driver};
use effigy::geometry::{FaceShape, HeadPose};
use effigy::glam::{Mat3, Quat, Vec3};
use effigy::{DrivingSignal, FaceObservation};

use crate::common;

/// What the face stage would say of a head that is turned so far.
fn turned(yaw_rads: f32, now: Timestamp) -> FaceObservation {
    let shape = FaceShape { rotation: Quat::from_rotation_y(yaw_rads), ..common::identity(512).shape.clone() };
    let flip = Mat3::from_diagonal(Vec3::new(1.0, -1.0, -1.0));
    let pose = HeadPose { camera_from_head: Mat3::from_quat(shape.rotation) * flip, ..HeadPose::default() };
    FaceObservation {
        captured: now,
        frame_size_px: (512, 512),
        landmarks_px: shape.landmarks_px(),
        presence: 1.0,
        pose,
        ..FaceObservation::default()
    }
}

/// Half a second of rest, then half a radian within 0.4 s, then rest.
fn yaw(secs: f32) -> f32 {
    let x = ((secs - 0.8) / 0.4).clamp(0.0, 1.0);
    0.5 * x * x * x * (10.0 + x * (6.0 * x - 15.0))
}

fn driver(predict_ms: f32) -> Driver {
    let drive = DriveOptions { predict_ms, ..DriveOptions::default() };
    Driver::new(drive, common::identity(512)).unwrap()
}

/// Plays the turn at times in milliseconds; gives the angle that is shown at each.
fn play(driver: &mut Driver, times_ms: impl Iterator<Item = u64>) -> Vec<(f32, f32)> {
    let clock = ManualClock::new();
    let mut signal = common::rest();
    times_ms
        .map(|ms| {
            clock.advance(Duration::from_millis(ms).saturating_sub(clock.now().since(Timestamp::default())));
            let now = clock.now();
            let secs = now.as_secs_f64() as f32;
            driver.drive(Some(&turned(yaw(secs), now)), None, now, &mut signal);
            (secs, signal.rotation.to_scaled_axis().y)
        })
        .collect()
}

/// When the angle first is half of the turn, between frames in proportion.
fn half_way(shown: &[(f32, f32)]) -> f32 {
    let i = shown.iter().position(|(_, angle)| *angle > 0.25).unwrap();
    let ((from, low), (to, high)) = (shown[i - 1], shown[i]);
    from + (to - from) * (0.25 - low) / (high - low)
}

#[test]
fn a_turn_is_shown_earlier_at_any_rate_and_with_frames_missing() {
    let at_rate = |rate: u64| (0..2 * rate).map(move |i| i * 1000 / rate).collect::<Vec<_>>();
    let mut missing = at_rate(30);
    missing.retain(|ms| ms % 7 != 3);
    for (name, times) in [("15", at_rate(15)), ("25", at_rate(25)), ("60", at_rate(60)), ("missing", missing)] {
        let (now, ahead) =
            (play(&mut driver(0.0), times.iter().copied()), play(&mut driver(66.0), times.iter().copied()));
        let gained_ms = 1e3 * (half_way(&now) - half_way(&ahead));
        assert!((20.0..90.0).contains(&gained_ms), "{name}: {gained_ms} ms");
        let most = |shown: &[(f32, f32)]| shown.iter().map(|(_, angle)| *angle).fold(0.0, f32::max);
        assert!(most(&ahead) < 1.1 * most(&now), "{name}: shoots to {} past {}", most(&ahead), most(&now));
        let (end, ahead_end) = (now.last().unwrap().1, ahead.last().unwrap().1);
        assert!((end - ahead_end).abs() < 0.01, "{name}: it rests at {ahead_end} instead of {end}");
    }
}

#[test]
fn rest_is_what_was_seen_and_not_what_was_expected() {
    let mut driver = driver(100.0);
    let mut signal = common::rest();
    let at = |ms: u64| Timestamp::from_nanos(ms * 1_000_000);
    for ms in (0..1000).step_by(33) {
        let secs = ms as f32 / 1000.0;
        driver.drive(Some(&turned(yaw(secs), at(ms))), None, at(ms), &mut signal);
    }
    // In the midst of the turn: this is my face at rest.
    driver.calibrate();
    let seen = yaw(1.023);
    driver.drive(Some(&turned(seen, at(1023))), None, at(1023), &mut signal);
    for ms in (1056..3000).step_by(33) {
        driver.drive(Some(&turned(seen, at(ms))), None, at(ms), &mut signal);
    }
    assert!(signal.rotation.to_scaled_axis().length() < 0.02, "{}", signal.rotation);
}

#[test]
fn a_face_that_was_lost_is_held_then_idles_and_comes_back_without_the_past() {
    let mut driver = driver(100.0);
    let mut signal = common::rest();
    let at = |ms: u64| Timestamp::from_nanos(ms * 1_000_000);
    let mut last = 0;
    for ms in (0..1000).step_by(33) {
        driver.drive(Some(&turned(yaw(ms as f32 / 1000.0), at(ms))), None, at(ms), &mut signal);
        last = ms;
    }
    let held = signal.clone();
    driver.drive(None, None, at(last + 300), &mut signal);
    assert_eq!(signal, held, "what was expected last stands");
    let mut before: Option<DrivingSignal> = None;
    for ms in (last + 520..last + 4000).step_by(33) {
        driver.drive(None, None, at(ms), &mut signal);
        if let Some(before) = &before {
            assert!(before.rotation.angle_between(signal.rotation) < 0.04, "no jump while it comes to rest");
        }
        before = Some(signal.clone());
    }
    for ms in (last + 4000..last + 6000).step_by(33) {
        driver.drive(Some(&turned(0.1, at(ms))), None, at(ms), &mut signal);
    }
    assert!((signal.rotation.to_scaled_axis().y - 0.1).abs() < 0.04, "{}", signal.rotation);
}

#[test]
fn the_same_frames_give_the_same_signals_and_it_can_be_set_while_it_runs() {
    let times: Vec<u64> = (0..60).map(|i| i * 33).collect();
    let one = play(&mut driver(66.0), times.iter().copied());
    assert_eq!(one, play(&mut driver(66.0), times.iter().copied()));
    assert_ne!(one, play(&mut driver(0.0), times.iter().copied()));
    let mut driver = driver(0.0);
    for (asked, held) in [(66.0, 66.0), (500.0, 120.0), (-5.0, 0.0), (f32::NAN, 0.0)] {
        driver.set_predict_ms(asked);
        assert_eq!(driver.predict_ms(), held);
    }
}

#[test]
fn absolute_motion_looks_ahead_too() {
    let identity = common::identity(512);
    let angle = |predict_ms: f32| {
        let drive = DriveOptions {
            predict_ms,
            motion: effigy::drive::Motion::Absolute,
            is_filtered: false,
            ..DriveOptions::default()
        };
        let mut driver = Driver::new(drive, Arc::clone(&identity)).unwrap();
        play(&mut driver, (0..30).map(|i| i * 33)).last().unwrap().1
    };
    assert!((angle(0.0) - yaw(0.957)).abs() < 1e-3);
    assert!(angle(66.0) > angle(0.0) + 0.03, "{} {}", angle(66.0), angle(0.0));
}
