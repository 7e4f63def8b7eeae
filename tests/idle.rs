//! The portrait by itself: what it does while nobody drives it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use effigy::DrivingSignal;
use effigy::clock::Timestamp;
use effigy::drive::{DriveOptions, Driver, Motion, Presence};
use effigy::glam::Quat;

use crate::common;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000)
}

fn driver(motion: Motion) -> Driver {
    Driver::new(DriveOptions { motion, ..DriveOptions::default() }, common::identity(512)).unwrap()
}

/// What a portrait does that nobody drove so far, at these times.
fn alone(driver: &mut Driver, times_ms: impl Iterator<Item = u64>) -> Vec<DrivingSignal> {
    let mut signal = common::rest();
    times_ms
        .map(|ms| {
            driver.drive(None, None, at(ms), &mut signal);
            signal.clone()
        })
        .collect()
}

#[test]
fn it_breathes_blinks_and_glances_without_a_jump() {
    let signals = alone(&mut driver(Motion::Relative), (0..30_000).step_by(40));
    let turned = |signal: &DrivingSignal| Quat::IDENTITY.angle_between(signal.rotation);
    assert!(signals.iter().map(turned).fold(0.0, f32::max) > 0.004, "the head moves");
    assert!(signals.iter().any(|signal| signal.eye_openness[0] < 0.5), "eyes shut now and then");
    let open = signals.iter().filter(|signal| signal.eye_openness[0] > 0.8).count();
    assert!(open * 10 > signals.len() * 7, "and are open most of the time: {open} of {}", signals.len());
    let irises = |signal: &DrivingSignal| signal.displacement[468].x;
    let (least, most) = signals.iter().map(irises).fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(x), b.max(x)));
    assert!(most - least > 0.002, "eyes glance: {least} to {most}");
    for pair in signals.windows(2) {
        assert!(pair[0].rotation.angle_between(pair[1].rotation) < 0.02);
        assert!((pair[0].scale - pair[1].scale).abs() < 0.01);
    }
}

#[test]
fn it_stays_near_rest_for_hours_and_is_the_same_each_time() {
    // Half a minute of every hour of two days.
    let times = || (0..48).flat_map(|hour| (0..15).map(move |i| hour * 3_600_000 + i * 2_000));
    let signals = alone(&mut driver(Motion::Relative), times());
    assert_eq!(signals.len(), 720);
    for signal in &signals {
        assert!(Quat::IDENTITY.angle_between(signal.rotation) < 0.15, "{}", signal.rotation);
        assert!(signal.translation.length() < 0.2 && (0.9..1.1).contains(&signal.scale), "{signal:?}");
        assert!(signal.displacement.iter().all(|shift| shift.is_finite() && shift.length() < 0.25));
        assert!(signal.eye_openness.iter().all(|open| (0.0..=1.3).contains(open)));
    }
    let mean = signals.iter().map(|signal| signal.rotation.to_scaled_axis()).sum::<effigy::glam::Vec3>() / 720.0;
    assert!(mean.length() < 0.01, "it does not lean: {mean}");
    assert!(signals == alone(&mut driver(Motion::Relative), times()));
}

#[test]
fn a_lost_face_eases_into_it_and_out_of_it() {
    let mut driver = driver(Motion::Relative);
    let mut signal = common::rest();
    let mut shown = Vec::new();
    let mut play = |driver: &mut Driver, from: u64, to: u64, is_seen: bool| {
        let mut last = Presence::Lost;
        for ms in (from..to).step_by(33) {
            let face = common::observation(at(ms));
            last = driver.drive(is_seen.then_some(&face), None, at(ms), &mut signal);
            shown.push(signal.clone());
        }
        last
    };
    play(&mut driver, 0, 1000, true);
    assert!(matches!(play(&mut driver, 1000, 5000, false), Presence::Idle { ease } if ease == 1.0));
    assert!(matches!(play(&mut driver, 5000, 6000, true), Presence::Tracking { ease } if ease == 1.0));
    for pair in shown.windows(2).skip(2) {
        let step = pair[0].rotation.angle_between(pair[1].rotation);
        assert!(step < 0.03, "a jump of {step} radians");
        let far =
            pair[0].displacement.iter().zip(&pair[1].displacement).map(|(a, b)| a.distance(*b)).fold(0.0, f32::max);
        assert!(far < 0.12, "a jump of {far} face widths");
    }
}

#[test]
fn absolute_motion_idles_where_the_portrait_is() {
    let identity = common::identity(512);
    for signal in alone(&mut driver(Motion::Absolute), (0..8000).step_by(100)) {
        assert!(signal.rotation.angle_between(identity.shape.rotation) < 0.15);
        let centre = identity.shape.centre_px / identity.size_px() as f32;
        assert!(signal.translation.distance(centre) < 0.1, "{} {centre}", signal.translation);
    }
}
