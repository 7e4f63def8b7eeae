use opencv::imgproc::{INTER_AREA, resize};

use super::*;
use crate::demo;
use crate::face::{FaceTracker, TrackerOptions};
use crate::frame::Grey;
use crate::geometry::N_LANDMARKS;

fn portrait(i: usize) -> Rgb {
    let whole = photo::decode(demo::PORTRAITS[i].1).unwrap();
    let mut out = Rgb::new(SIZE_PX, SIZE_PX);
    let size = Size::new(SIZE_PX as i32, SIZE_PX as i32);
    resize(&whole.as_mat().unwrap(), &mut out.as_mat_mut().unwrap(), size, 0.0, 0.0, INTER_AREA).unwrap();
    out
}

fn seen(picture: &Rgb) -> FaceObservation {
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    tracker.find_faces(picture).unwrap().swap_remove(0).observation
}

/// A seed whose augmentation is mirrored or not, as wanted.
fn seed_with(is_flipped: bool) -> u64 {
    (0..).find(|seed| Augmentation::sample(*seed, &Ranges::default()).is_flipped() == is_flipped).unwrap()
}

#[test]
fn mirroring_twice_changes_nothing() {
    let flipped = Augmentation { is_flipped: true, ..Augmentation::NONE };
    let picture = portrait(0);
    assert!(flipped.moved(&flipped.moved(&picture).unwrap()).unwrap() == picture);
    assert!(Augmentation::NONE.picture(&picture).unwrap() == picture);
    assert!(Augmentation::NONE.degraded(&picture, 3).unwrap() == picture);
}

#[test]
fn the_tracker_sees_in_the_changed_picture_what_was_made_of_what_it_saw() {
    for is_flipped in [false, true] {
        for portrait_number in 0..3 {
            let picture = portrait(portrait_number);
            let change = Augmentation::sample(seed_with(is_flipped), &Ranges::default());
            let expected = change.observation(&seen(&picture));
            let found = seen(&change.picture(&picture).unwrap());
            let distance: f32 = expected
                .landmarks_px
                .iter()
                .zip(&found.landmarks_px)
                .map(|(a, b)| a.truncate().distance(b.truncate()))
                .sum::<f32>()
                / N_LANDMARKS as f32;
            assert!(distance < 1.5, "points are {distance} pixels off (mirrored: {is_flipped})");
            let angles = [&expected, &found].map(|face| face.pose.yaw_pitch_roll_rads().map(f32::to_degrees));
            assert!((0..3).all(|i| (angles[0][i] - angles[1][i]).abs() < 4.0), "{angles:?}");
            let mean: f32 =
                expected.coefficients.iter().zip(&found.coefficients).map(|(a, b)| (a - b).abs()).sum::<f32>() / 52.0;
            assert!(mean < 0.04, "coefficients are {mean} off");
        }
    }
}

#[test]
fn a_point_goes_where_the_picture_goes() {
    // A disc, whose middle is easily found to a hundredth of a pixel.
    let (middle, radius_px) = (Vec2::new(117.3, 96.8), 9.0);
    let mut picture = Rgb::new(SIZE_PX, SIZE_PX);
    for y in 0..SIZE_PX {
        for x in 0..SIZE_PX {
            let at = Vec2::new(x as f32, y as f32) + 0.5;
            let value = (255.0 * (radius_px - at.distance(middle) + 0.5).clamp(0.0, 1.0)) as u8;
            picture.data_mut()[3 * (y * SIZE_PX + x)..][..3].fill(value);
        }
    }
    for is_flipped in [false, true] {
        let change = Augmentation::sample(seed_with(is_flipped), &Ranges::default());
        let (mut sum, mut total) = (Vec2::ZERO, 0.0);
        for (i, rgb) in change.moved(&picture).unwrap().data().as_chunks::<3>().0.iter().enumerate() {
            let at = Vec2::new((i % SIZE_PX) as f32, (i / SIZE_PX) as f32) + 0.5;
            sum += at * f32::from(rgb[0]);
            total += f32::from(rgb[0]);
        }
        let (found, said) = (sum / total, change.point(middle));
        assert!(found.distance(said) < 0.05, "mirrored: {is_flipped}: the disc is at {found}, not {said}");
    }
}

#[test]
fn elsewhere_only_the_part_differs() {
    let change = Augmentation::sample(3, &Ranges::default());
    let other = change.elsewhere(0.35, &mut Rng::new(5, 0));
    assert!(!change.shows_the_same_as(&other) && change.shows_the_same_as(&change));
    assert_eq!(Augmentation { part: change.part, ..other }, change);
    let [left, top, side] = other.part;
    assert!(left >= 0.0 && top >= 0.0 && left.max(top) + side <= SIZE_PX as f32 + 1e-3);
    assert!(side >= SIZE_PX as f32 / 1.35 - 1e-3);
}

#[test]
fn a_wrong_table_would_be_noticed() {
    // The same comparison without the exchange of sides: the test above can fail.
    let picture = portrait(0);
    let flipped = Augmentation { is_flipped: true, ..Augmentation::NONE };
    let (before, after) = (seen(&picture), seen(&flipped.picture(&picture).unwrap()));
    let distance =
        |i: usize| flipped.point(before.landmarks_px[i].truncate()).distance(after.landmarks_px[i].truncate());
    assert!((0..N_LANDMARKS).map(distance).sum::<f32>() / N_LANDMARKS as f32 > 20.0);
    assert!((flipped.pose(&before.pose).yaw_pitch_roll_rads()[0] - after.pose.yaw_pitch_roll_rads()[0]).abs() < 0.05);
}

#[test]
fn a_seed_is_one_change_and_frames_share_all_but_the_noise() {
    let ranges = Ranges::default();
    assert_eq!(Augmentation::sample(5, &ranges), Augmentation::sample(5, &ranges));
    assert_ne!(Augmentation::sample(5, &ranges), Augmentation::sample(6, &ranges));
    let picture = portrait(1);
    let change = Augmentation { noise: 4.0, ..Augmentation::sample(5, &ranges) };
    assert!(change.picture(&picture).unwrap() == change.picture(&picture).unwrap());
    let [a, again, b] = [1, 1, 2].map(|frame| change.degraded(&picture, frame).unwrap());
    assert!(a == again && a != b);
    // Never beyond the picture's border.
    for seed in 0..200 {
        let [left, top, side] = Augmentation::sample(seed, &ranges).part;
        assert!(left >= 0.0 && top >= 0.0 && left.max(top) + side <= SIZE_PX as f32 + 1e-3);
    }
}

#[test]
fn picture_rectangle_and_flow_move_together() {
    let change = Augmentation::sample(seed_with(true), &Ranges::default());
    let mut matte = Grey::new(SIZE_PX, SIZE_PX);
    for y in 60..120 {
        matte.data_mut()[y * SIZE_PX + 40..][..80].fill(255);
    }
    let moved = change.moved(&matte).unwrap();
    let [left, top, width, height] = change.rect([40, 60, 80, 60]).unwrap();
    for (x, y, is_inside) in [(2, 2, true), (-4, 2, false), (2, -4, false)] {
        let at = |start: u32, offset: i32| (start as i32 + offset) as usize;
        assert_eq!(moved.pixel(at(left, x), at(top, y))[0] > 127, is_inside, "{x} {y}");
        let (right, bottom) = (left + width - 1, top + height - 1);
        assert_eq!(moved.pixel(at(right, -x), at(bottom, -y))[0] > 127, is_inside, "{x} {y}");
    }
    let flow: Flow = (0..FLOW_SIZE * FLOW_SIZE).map(|i| [3.0, if i % FLOW_SIZE < 32 { 1.0 } else { -1.0 }]).collect();
    let moved = change.flow(&flow);
    let scale = SIZE_PX as f32 / change.part[2];
    assert!(moved.iter().all(|[x, _]| (x + 3.0 * scale).abs() < 1e-4), "mirrored, it goes left");
    assert!(moved[0][1] < 0.0 && moved[FLOW_SIZE - 1][1] > 0.0, "what was left is right");
    assert_eq!(Augmentation::NONE.flow(&flow), flow);
}
