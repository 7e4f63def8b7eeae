//! The mark on drawn pictures: it is there, it is faint, it is found, and nothing else is.

use super::*;

const SIZE: usize = 512;

/// A picture with soft shapes and grain, no two alike: RGBA, row by row.
fn drawn(seed: u32) -> Vec<[u8; 4]> {
    let phase = |k: u32| (seed.wrapping_mul(2_654_435_761).rotate_left(k * 5) % 628) as f32 / 100.0;
    (0..SIZE * SIZE)
        .map(|i| {
            let (x, y) = ((i % SIZE) as f32, (i / SIZE) as f32);
            let soft = (x * 0.011 + phase(1)).sin() * 40.0 + (y * 0.017 + phase(2)).cos() * 30.0;
            let fine = ((x * 0.31 + phase(3)).sin() * (y * 0.27 + phase(4)).sin()) * 12.0;
            let grain = ((i as u32).wrapping_mul(0x9e37_79b9) ^ seed).wrapping_mul(0x85eb_ca6b) >> 29;
            let value = (128.0 + soft + fine + grain as f32) as u8;
            [value, value.saturating_sub(10), value.saturating_add(12), 255]
        })
        .collect()
}

fn luma(pixels: &[[u8; 4]]) -> Vec<u8> {
    pixels.iter().map(|p| ((77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2])) >> 8) as u8).collect()
}

fn look(luma: &[u8], size: (usize, usize)) -> Finding {
    let mut detector = Detector::new(Key::PUBLIC);
    let mut map = NormalMap::default();
    assert!(detector.map(luma, size, &mut map));
    detector.look(&map)
}

fn marked(seed: u32, id: u16) -> Vec<[u8; 4]> {
    let mut pixels = drawn(seed);
    Embedder::new((SIZE, SIZE), Message::of_run(id), Key::PUBLIC).mark(&mut pixels);
    pixels
}

#[test]
fn a_marked_picture_says_its_run() {
    for (seed, id) in [(1, 0), (2, 0xffff), (3, 0x1234)] {
        let finding = look(&luma(&marked(seed, id)), (SIZE, SIZE));
        assert!(finding.is_marked(), "{finding:?}");
        assert_eq!(finding.message, Some(Message::of_run(id)), "{finding:?}");
        assert!((finding.side_share - 1.0).abs() < 0.02 && finding.angle_rads.abs() < 0.02, "{finding:?}");
    }
}

#[test]
fn an_unmarked_picture_is_not_found_and_another_key_sees_nothing() {
    for seed in 1..5 {
        assert!(!look(&luma(&drawn(seed)), (SIZE, SIZE)).is_marked());
    }
    let mut detector = Detector::new(Key(77));
    let mut map = NormalMap::default();
    detector.map(&luma(&marked(1, 9)), (SIZE, SIZE), &mut map);
    assert!(!detector.look(&map).is_marked());
}

#[test]
fn mirrored_cut_small_and_framed_pictures_are_found() {
    let whole = luma(&marked(5, 0xbeef));
    let mirrored: Vec<u8> = whole.chunks_exact(SIZE).flat_map(|row| row.iter().rev().copied()).collect();
    let cut: Vec<u8> = whole.chunks_exact(SIZE).skip(51).take(410).flat_map(|row| &row[60..470]).copied().collect();
    let half: Vec<u8> = (0..256 * 256)
        .map(|i| {
            let at = i / 256 * 2 * SIZE + i % 256 * 2;
            ([at, at + 1, at + SIZE, at + SIZE + 1].iter().map(|&at| u32::from(whole[at])).sum::<u32>() / 4) as u8
        })
        .collect();
    let mut framed = vec![20; 912 * SIZE];
    for (to, from) in framed.chunks_exact_mut(912).zip(whole.chunks_exact(SIZE)) {
        to[200..200 + SIZE].copy_from_slice(from);
    }
    for (what, picture, size) in [
        ("mirrored", mirrored, (512, 512)),
        ("cut", cut, (410, 410)),
        ("half", half, (256, 256)),
        ("framed", framed, (912, 512)),
    ] {
        let finding = look(&picture, size);
        assert!(finding.is_marked(), "{what}: {finding:?}");
        assert_eq!(finding.message, Some(Message::of_run(0xbeef)), "{what}: {finding:?}");
        assert_eq!(finding.is_mirrored, what == "mirrored");
    }
}

#[test]
fn the_mark_is_faint_on_an_even_ground_and_the_same_in_every_picture() {
    for size in [512, 1024] {
        let ground = vec![[150, 120, 100, 255]; size * size];
        let mut embedder = Embedder::new((size, size), Message::of_run(7), Key::PUBLIC);
        let (mut first, mut second) = (ground.clone(), ground.clone());
        embedder.mark(&mut first);
        embedder.mark(&mut second);
        assert_eq!(first, second);
        let changes: Vec<f32> = first.iter().zip(&ground).map(|(a, b)| f32::from(a[1]) - f32::from(b[1])).collect();
        let mean = changes.iter().sum::<f32>() / changes.len() as f32;
        let power = changes.iter().map(|c| c * c).sum::<f32>() / changes.len() as f32;
        assert!(mean.abs() < 0.02, "the ground became brighter by {mean}");
        // 48.6 dB at least.
        assert!((0.3..0.9).contains(&power), "{power}");
        assert!(changes.iter().all(|c| c.abs() <= 4.0));
    }
}

#[test]
fn a_picture_marked_in_parts_is_marked_as_one_where_it_is_even() {
    for size in [(300, 200), (641, 479), (64, 200), (5, 3)] {
        let mut embedder = Embedder::new(size, Message::of_run(7), Key::PUBLIC);
        let mut whole = vec![[90, 120, 100, 255]; size.0 * size.1];
        let mut parts = whole.clone();
        embedder.mark(&mut whole);
        let (x, y) = (size.0 / 3, size.1 / 2);
        embedder.mark_part(&mut parts, 0..size.0, 0..y);
        embedder.mark_part(&mut parts, 0..x, y..size.1);
        embedder.mark_part(&mut parts, x..size.0 + 9, y..size.1 + 9);
        let differs = whole.iter().zip(&parts).filter(|(a, b)| a[1].abs_diff(b[1]) > 1).count();
        assert_eq!(differs, 0, "{size:?}");
        let before = parts.clone();
        embedder.mark_part(&mut parts, 4..4, 0..2);
        assert_eq!(parts, before, "nothing is in no columns");
    }
}

#[test]
fn what_is_transparent_stays() {
    let mut pixels = vec![[9, 8, 7, 0]; SIZE * SIZE];
    Embedder::new((SIZE, SIZE), Message::of_run(7), Key::PUBLIC).mark(&mut pixels);
    assert!(pixels.iter().all(|p| *p == [9, 8, 7, 0]));
}

#[test]
fn any_message_comes_back_and_errors_are_mended() {
    for id in (0..=u16::MAX).step_by(997) {
        let message = Message::of_run(id);
        let mut received = message.encode();
        assert_eq!(Message::decode(&received), Some(message));
        // Some are lost, some are wrong.
        for (i, value) in received.iter_mut().enumerate() {
            *value *= [1.0, 0.0, 1.0, 1.0, -0.3, 1.0, 0.0, 1.0][(i * 5 + usize::from(id)) % 8];
        }
        assert_eq!(Message::decode(&received), Some(message), "{id}");
    }
}

#[test]
fn pictures_of_any_shape_are_looked_at_without_a_panic() {
    let mut detector = Detector::new(Key::PUBLIC);
    let mut map = NormalMap::default();
    for (width, height) in [(1, 1), (2, 1), (1, 900), (900, 1), (3, 7), (17, 400), (4000, 3), (640, 481)] {
        let luma: Vec<u8> = (0..width * height).map(|i| (i * 37 % 251) as u8).collect();
        assert!(detector.map(&luma, (width, height), &mut map));
        assert!(detector.look(&map).score.is_finite());
    }
    assert!(!detector.map(&[], (0, 5), &mut map));
    assert!(!detector.map(&[1, 2, 3], (2, 2), &mut map));
}
