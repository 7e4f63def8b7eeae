//! No false time, whatever the picture; the right one wherever it can be read.

use super::{LEAST_WIDTH_PX, N_ROWS, Origin, Place, Stamp, draw, read, read_at, read_whole};
use crate::clock::Timestamp;
use crate::frame::{Grey, Rgb, Rgba};

/// A generator of random numbers, so that a failure can be repeated (Steele, Lea, Flood: SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn stamp(&mut self) -> Stamp {
        let time = Timestamp::from_nanos(self.next() % (1 << 50) * 1000);
        Stamp { origin: Origin::Output, frame_id: self.next() as u32, time }
    }
}

fn stamp(frame_id: u32) -> Stamp {
    let time = Timestamp::from_nanos(86_400_123_456_000 + u64::from(frame_id) * 33_333_000);
    Stamp { origin: Origin::Pattern, frame_id, time }
}

#[test]
fn a_stamp_is_read_back_at_every_size() {
    for width in (LEAST_WIDTH_PX..700).step_by(13).chain([1024, 1280, 1920]) {
        let stamp = stamp(width as u32);
        let mut picture = Rgb::new(width, width * 3 / 4);
        assert!(draw(&stamp, &mut picture));
        assert_eq!(read_whole(&picture), Some(stamp), "{width}");
    }
    let mut small = Rgba::new(LEAST_WIDTH_PX - 1, 100);
    assert!(!draw(&stamp(1), &mut small), "too small to be read");
    assert!(small.data().iter().all(|&sample| sample == 0));
    let mut clear = Rgba::new(512, 512);
    draw(&stamp(1), &mut clear);
    assert!(clear.row(47).chunks_exact(4).all(|p| p[3] == 255), "the strip is opaque");
    assert!(clear.row(48).iter().all(|&sample| sample == 0), "the strip ends after 6 of 64 parts");
}

#[test]
fn a_stamp_is_found_within_a_larger_picture_mirrored_and_stretched() {
    let stamp = stamp(77);
    for (width, height, is_mirrored) in [(400, 300, false), (300, 400, true), (512, 512, false), (512, 512, true)] {
        let mut inner = Rgb::new(512, 512);
        inner.data_mut().iter_mut().enumerate().for_each(|(i, sample)| *sample = (i * 7 % 256) as u8);
        draw(&stamp, &mut inner);
        let (left, top) = (93, 41);
        let mut screen = Rgb::from_data(800, 600, vec![70; 800 * 600 * 3]).unwrap();
        for y in 0..height {
            for x in 0..width {
                let from_x = if is_mirrored { width - 1 - x } else { x } * 512 / width;
                let pixel = inner.pixel(from_x, y * 512 / height);
                let at = ((top + y) * 800 + left + x) * 3;
                screen.data_mut()[at..at + 3].copy_from_slice(&pixel);
            }
        }
        let mut place = None;
        assert_eq!(read(&screen, &mut place), Some(stamp), "{width}x{height} mirrored: {is_mirrored}");
        let place = place.unwrap();
        assert_eq!(place.is_mirrored, is_mirrored);
        assert!((place.cell_px.0 - width as f32 / 64.0).abs() < 0.1, "{place:?}");
        assert_eq!(read_at(&screen, &place), Some((stamp, 0)), "the place is good for the next picture");
    }
}

/// A million pictures: no code at all, and codes that were damaged in every way that a video chain knows.
#[test]
fn no_picture_gives_a_false_time() {
    let mut random = Random(1);
    let (width, height) = (LEAST_WIDTH_PX, 2 * N_ROWS);
    let place = Place::whole(width);
    let (mut picture, mut other) = (Grey::new(width, height), Grey::new(width, height));
    let (mut n_read, mut n_mended) = (0, 0);
    for round in 0..1_000_000 {
        if round % 16 == 0 {
            // Nothing but noise, with the bars in place in every other one, which is as far as chance leads.
            if round % 32 == 0 {
                draw(&random.stamp(), &mut picture);
            }
            let columns = if round % 32 == 0 { 18..114 } else { 0..width };
            for row in picture.data_mut().chunks_exact_mut(width) {
                for samples in row[columns.clone()].chunks_mut(8) {
                    samples.copy_from_slice(&random.next().to_le_bytes()[..samples.len()]);
                }
            }
            assert_eq!(read_at(&picture, &place), None, "noise, round {round}");
            continue;
        }
        let (first, second) = (random.stamp(), random.stamp());
        draw(&first, &mut picture);
        match round % 4 {
            // Something covers a part.
            0 => {
                let (left, cover) = (random.below(width), random.below(width));
                let value = random.next() as u8;
                for row in picture.data_mut().chunks_exact_mut(width) {
                    let right = (left + cover).min(width);
                    row[left..right].fill(value);
                }
            }
            // Single cells flip.
            1 => {
                for _ in 0..random.below(24) {
                    let (x, y) = (18 + 2 * random.below(48), 2 + 2 * random.below(4));
                    for at in [y * width + x, y * width + x + 1, (y + 1) * width + x, (y + 1) * width + x + 1] {
                        picture.data_mut()[at] = 255 - picture.data()[at];
                    }
                }
            }
            // Torn between two pictures, at a row or at a column; or both at once, as a blending screen shows them.
            kind => {
                draw(&second, &mut other);
                let cut = random.below(width * height);
                let weight = random.below(256);
                for at in 0..width * height {
                    let (old, new) = (picture.data()[at], other.data()[at]);
                    picture.data_mut()[at] = match (kind, random.0 & 1) {
                        (2, 0) => {
                            if at < cut {
                                old
                            } else {
                                new
                            }
                        }
                        (2, _) => {
                            if at % width < cut % width {
                                old
                            } else {
                                new
                            }
                        }
                        _ => ((usize::from(old) * weight + usize::from(new) * (255 - weight)) / 255) as u8,
                    };
                }
            }
        }
        if let Some((read, mended)) = read_at(&picture, &place) {
            assert!(read == first || (read == second && round % 4 >= 2), "round {round}: {read:?}");
            n_read += 1;
            n_mended += usize::from(mended > 0);
        }
    }
    // The damage was neither too little nor too much to tell anything.
    assert!((200_000..900_000).contains(&n_read) && n_mended > 50_000, "{n_read} read, {n_mended} of them mended");
}

#[test]
fn a_search_through_noise_and_stripes_finds_nothing() {
    let mut random = Random(2);
    let mut picture = Grey::new(320, 240);
    for round in 0..300 {
        let period = 1 + random.below(12);
        for (i, sample) in picture.data_mut().iter_mut().enumerate() {
            *sample = match round % 3 {
                0 => random.next() as u8,
                1 => {
                    if (i / period).is_multiple_of(2) {
                        20
                    } else {
                        230
                    }
                }
                // Wide cells of noise.
                _ => {
                    if (i % 320 / period).wrapping_mul(2_654_435_761) >> 7 & 1 == 0 {
                        10
                    } else {
                        240
                    }
                }
            };
        }
        assert_eq!(read(&picture, &mut None), None, "round {round}");
    }
}
