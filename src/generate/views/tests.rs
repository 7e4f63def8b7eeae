use glam::{Quat, Vec2, Vec3};

use super::*;
use crate::geometry::N_LANDMARKS;

/// Views of a face that looks straight, to the left and to the right.
fn views() -> Views {
    let points: [Vec3; N_LANDMARKS] = std::array::from_fn(|i| {
        Vec3::new((i as f32 * 0.7).sin(), (i as f32 * 1.3).cos(), 0.1 * (i as f32).sin()) * 0.5
    });
    let face = |yaw: f32| FaceShape {
        centre_px: Vec2::new(256.0 + 100.0 * yaw, 250.0),
        width_px: 140.0 + 20.0 * yaw,
        rotation: Quat::from_rotation_y(yaw),
        points: points.map(|point| point * (1.0 + 0.02 * yaw)),
    };
    let shapes = vec![face(0.0), face(0.5), face(-0.5)];
    let main = shapes[0].clone();
    Views {
        rest: HeadPlacement::at_rest(&main, 1.0),
        size_px: 512,
        shown: shapes.iter().map(|shape| Wish::of_view(shape, &main)).collect(),
        signal: Box::new(DrivingSignal::rest(&main, 512, Motion::Absolute)),
        main,
        shapes,
        front: 0,
        back: None,
        since_secs: f32::INFINITY,
        saved_secs: MOST_SAVED_SECS,
        last: None,
        now: None,
    }
}

fn turned(views: &Views, yaw: f32) -> DrivingSignal {
    DrivingSignal { rotation: Quat::from_rotation_y(yaw), ..DrivingSignal::rest(&views.main, 512, Motion::Relative) }
}

#[test]
fn a_turn_brings_the_side_view_and_both_are_drawn_for_a_moment_only() {
    let mut views = views();
    let straight = turned(&views, 0.0);
    assert_eq!(views.choose(&straight), Mix { front: 0, back: None });
    let mut mixes = Vec::new();
    for i in 0..60 {
        views.set_time(Timestamp::from_nanos((i + 1) * 40_000_000));
        let signal = turned(&views, 0.5);
        mixes.push(views.choose(&signal));
    }
    let n_mixed = mixes.iter().filter(|mix| mix.back.is_some()).count();
    assert!((1..=3).contains(&n_mixed), "{n_mixed}: {mixes:?}");
    assert_eq!(mixes[59], Mix { front: 1, back: None });
    let shares: Vec<f32> = mixes.iter().filter_map(|mix| mix.back.map(|(_, share)| share)).collect();
    assert!(shares.windows(2).all(|pair| pair[1] < pair[0]), "{shares:?}");
}

#[test]
fn however_the_head_shakes_at_most_fifteen_of_a_hundred_pictures_are_drawn_twice() {
    let mut views = views();
    let (mut n_mixed, mut n_wrong, n) = (0, 0, 3000);
    for i in 0..n {
        views.set_time(Timestamp::from_nanos(i * 33_333_333));
        let signal = turned(&views, if i / 12 % 2 == 0 { 0.5 } else { -0.5 });
        let mix = views.choose(&signal);
        n_mixed += u64::from(mix.back.is_some());
        n_wrong += u64::from(mix.front != if i / 12 % 2 == 0 { 1 } else { 2 });
    }
    assert!(n_mixed > 0 && n_mixed * 100 <= n * 15, "{n_mixed} of {n}");
    assert!(n_wrong * 10 <= n, "where there is no time for a change there is a cut: {n_wrong} of {n}");
}

#[test]
fn a_head_between_two_views_does_not_take_turns() {
    let mut views = views();
    let mut changes = 0;
    let mut before = 0;
    for i in 0..500 {
        views.set_time(Timestamp::from_nanos(i * 33_333_333));
        let signal = turned(&views, 0.25 + 0.02 * (i as f32).sin());
        let front = views.choose(&signal).front;
        changes += u32::from(front != before);
        before = front;
    }
    assert!(changes <= 1, "{changes}");
}

#[test]
fn a_tilt_changes_no_view() {
    let mut views = views();
    for i in 0..100 {
        let signal = DrivingSignal {
            rotation: Quat::from_rotation_z(0.01 * i as f32),
            ..DrivingSignal::rest(&views.main, 512, Motion::Relative)
        };
        assert_eq!(views.choose(&signal).front, 0);
    }
}

#[test]
fn every_view_is_asked_for_the_same_points() {
    let mut views = views();
    let mut signal = turned(&views, 0.3);
    signal.translation = Vec2::new(0.1, -0.2);
    signal.scale = 1.1;
    for (i, shift) in signal.displacement.iter_mut().enumerate() {
        *shift = Vec3::new(0.0, 0.01 * (i % 7) as f32, 0.0);
    }
    let points = |views: &Views, view: usize, asked: &DrivingSignal| {
        let mut points = [Vec3::ZERO; N_LANDMARKS];
        let shape = &views.shapes[view];
        asked.landmarks_px(shape, &asked.placement(&HeadPlacement::at_rest(shape, 1.0), 512), &mut points);
        points
    };
    let main = points(&views, 0, &signal);
    for view in 0..3 {
        let asked = views.signal_of(view, &signal).clone();
        for (a, b) in points(&views, view, &asked).iter().zip(&main) {
            assert!(a.distance(*b) < 1e-2, "view {view}: {a} is not {b}");
        }
    }
}

#[test]
fn colours_are_mixed_by_their_alpha() {
    let picture = |rgba: [u8; 4]| Rgba::from_data(1, 1, rgba.to_vec()).unwrap();
    for (front, back, share, mixed) in [
        ([200, 0, 0, 255], [0, 100, 0, 255], 0.5, [100, 50, 0, 255]),
        // What is not there has no colour.
        ([200, 10, 20, 255], [0, 0, 0, 0], 0.5, [200, 10, 20, 128]),
        ([200, 10, 20, 255], [9, 9, 9, 255], 0.0, [200, 10, 20, 255]),
        ([200, 10, 20, 255], [9, 9, 9, 255], 1.0, [9, 9, 9, 255]),
        ([1, 2, 3, 0], [4, 5, 6, 0], 0.5, [0, 0, 0, 0]),
    ] {
        let mut to = picture(front);
        mix(&mut to, &picture(back), share);
        assert_eq!(to.data(), mixed);
    }
}
