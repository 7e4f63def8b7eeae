//! The visible mark, judged by pictures: readable over anything, in its corner, in its language, never over the mouth.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at once, as tests do")]

use std::collections::HashSet;
use std::sync::Arc;

use crate::common::{identity, motions, rest};
use effigy::clock::Timestamp;
use effigy::composite::{Background, BadgeLanguage, BadgePlace, CompositeOptions, Compositor, Framing, View};
use effigy::generate::warp::WarpGenerator;
use effigy::trace::Trace;
use effigy::{DrivingSignal, Generator, Identity, OutFrame, Portrait, Rgba};
use glam::Vec2;

/// What is drawn where the lips are: nothing else has this colour, nor a mixture with the badge.
const LIPS: [u8; 3] = [255, 0, 255];

/// Two compositors of the same pictures, one of them without the badge.
struct Pair {
    generator: WarpGenerator,
    portrait: Portrait,
    with: Compositor,
    without: Compositor,
}

impl Pair {
    fn new(identity: &Arc<Identity>, options: CompositeOptions) -> Self {
        let mut generator = WarpGenerator::new(options.size_px);
        generator.adopt(Arc::clone(identity)).unwrap();
        let make = |badge: bool| {
            let mut compositor = Compositor::new(CompositeOptions { badge, ..options.clone() }).unwrap();
            compositor.adopt(identity).unwrap();
            compositor
        };
        Self { generator, portrait: Portrait::default(), with: make(true), without: make(false) }
    }

    fn set_view(&mut self, view: View) {
        self.with.set_view(view);
        self.without.set_view(view);
    }

    /// The picture with the badge and the one without.
    fn frame(&mut self, signal: &DrivingSignal, secs: f64) -> [Rgba; 2] {
        self.generator.generate(signal, &mut self.portrait).unwrap();
        let trace = Trace::new(1, Timestamp::from_nanos((secs * 1e9) as u64));
        [&mut self.with, &mut self.without].map(|compositor| {
            let mut out = OutFrame::blank(1, 1);
            compositor.watch(signal);
            compositor.compose(&self.portrait, trace, &mut out).unwrap();
            out.picture().clone()
        })
    }
}

/// Left, top, right and bottom of what differs.
fn changed([with, without]: &[Rgba; 2]) -> [usize; 4] {
    let (width, height) = (with.width_px(), with.height_px());
    let mut found = [width, height, 0, 0];
    for (i, (a, b)) in with.data().chunks_exact(4).zip(without.data().chunks_exact(4)).enumerate() {
        if a != b {
            let (x, y) = (i % width, i / width);
            found = [found[0].min(x), found[1].min(y), found[2].max(x + 1), found[3].max(y + 1)];
        }
    }
    assert!(found[0] < found[2], "there is no badge");
    found
}

fn corner(pair: &[Rgba; 2]) -> BadgePlace {
    let [left, top, right, bottom] = changed(pair);
    let is_right = left + right > pair[0].width_px();
    let is_bottom = top + bottom > pair[0].height_px();
    BadgePlace::ALL[usize::from(is_bottom) * 2 + usize::from(is_right)]
}

/// Relative luminance as WCAG 2 has it, 0 to 1.
fn luminance(pixel: [u8; 4]) -> f64 {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(pixel[0]) + 0.7152 * linear(pixel[1]) + 0.0722 * linear(pixel[2])
}

/// The contrast of the letters against the plate around them, the darkest of the one against the lightest of the other but
/// for a tenth each, which are edges.
fn contrast(picture: &Rgba, [left, top, right, bottom]: [usize; 4]) -> f64 {
    // Within the rounded rim.
    let (inset_x, inset_y) = ((bottom - top) / 4, (bottom - top) / 5);
    let mut all = Vec::new();
    for y in top + inset_y..bottom - inset_y {
        all.extend((left + inset_x..right - inset_x).map(|x| luminance(picture.pixel(x, y))));
    }
    all.sort_by(f64::total_cmp);
    let middle = (all[0] + all[all.len() - 1]) / 2.0;
    let n_plate = all.partition_point(|light| *light < middle);
    let (plate, ink) = all.split_at(n_plate);
    assert!(
        ink.len() * 25 > all.len() && plate.len() * 3 > all.len(),
        "{} of {} pixels are letters",
        ink.len(),
        all.len()
    );
    (ink[ink.len() / 4] + 0.05) / (plate[plate.len() * 8 / 10] + 0.05)
}

#[test]
fn every_word_in_every_corner_is_readable_over_anything() {
    let plain = identity(512);
    // A wall that flickers from black to white, pixel by pixel, behind everybody.
    let mut noisy = (*plain).clone();
    let noise = |i: usize| if (i.wrapping_mul(2_654_435_761) >> 9) & 1 == 0 { 255 } else { 0 };
    noisy.background.data_mut().iter_mut().enumerate().for_each(|(i, sample)| *sample = noise(i / 3));
    noisy.portrait = noisy.background.clone();
    let noisy = Arc::new(noisy);
    let grounds = [[255, 255, 255], [0, 0, 0], [255, 255, 0], [128, 128, 128], [0, 255, 255], [255, 0, 0]];
    let grounds = grounds.map(Background::Colour).into_iter().chain([Background::Own]);
    let sizes = [(512, 512), (1280, 720), (1080, 1920)];
    for (i, (ground, frame_px)) in grounds.flat_map(|ground| sizes.map(|px| (ground.clone(), px))).enumerate() {
        let is_noise = ground == Background::Own;
        let identity = if is_noise { &noisy } else { &plain };
        let mut boxes = HashSet::new();
        for (p, place) in BadgePlace::ALL.into_iter().enumerate() {
            for (l, language) in BadgeLanguage::ALL.into_iter().enumerate() {
                // All of them over noise at one size; elsewhere each in its turn.
                let is_turn = (p, l) == (i % BadgePlace::ALL.len(), i % BadgeLanguage::ALL.len());
                if !is_turn && !(is_noise && (frame_px == (1280, 720) || p == i % BadgePlace::ALL.len())) {
                    continue;
                }
                let options = CompositeOptions {
                    frame_px: Some(frame_px),
                    background: ground.clone(),
                    badge_place: place,
                    badge_language: language,
                    ..CompositeOptions::default()
                };
                let pictures = Pair::new(identity, options).frame(&rest(), 0.0);
                let found = changed(&pictures);
                assert_eq!(corner(&pictures), place, "{language:?}, {frame_px:?}");
                assert!(boxes.insert((place.name(), language.name(), found)));
                let ratio = contrast(&pictures[0], found);
                assert!(ratio >= 4.5, "{language:?}, {place:?}, {frame_px:?}, over {ground:?}: {ratio:.1}");
                // A fifteenth of the shorter side: 44 pixels of 720 lines.
                let height = found[3] - found[1];
                assert!(height * 17 > frame_px.0.min(frame_px.1), "{height} pixels of {frame_px:?}");
            }
        }
    }
}

/// Somebody with lips of a colour of their own.
fn painted() -> Arc<Identity> {
    let mut identity = (*identity(512)).clone();
    let points = [61, 291, 0, 17, 37, 267, 84, 314].map(|i: usize| identity.landmarks_px[i].truncate());
    let (least, most) = points.iter().fold((points[0], points[0]), |(a, b), p| (a.min(*p), b.max(*p)));
    let (middle, half) = ((least + most) / 2.0, (most - least) / 2.0);
    for y in 0..512 {
        for x in 0..512 {
            let at = (Vec2::new(x as f32 + 0.5, y as f32 + 0.5) - middle) / half;
            if at.length() < 1.0 {
                identity.portrait.data_mut()[(y * 512 + x) * 3..][..3].copy_from_slice(&LIPS);
            }
        }
    }
    Arc::new(identity)
}

/// How many pixels of the lips are under the badge, and how many are in the picture.
fn covered([with, without]: &[Rgba; 2]) -> (usize, usize) {
    let is_lip = |p: &[u8]| p[0] > 200 && p[1] < 60 && p[2] > 200;
    let lips = with.data().chunks_exact(4).zip(without.data().chunks_exact(4)).filter(|(_, b)| is_lip(b));
    lips.fold((0, 0), |(covered, all), (a, b)| (covered + usize::from(a != b), all + 1))
}

#[test]
fn the_mouth_is_never_covered_however_large_and_wherever_it_is() {
    let identity = painted();
    let signals = motions(&identity);
    let (mut n_moved, mut n_shown) = (0, 0);
    let frames = [((1280, 720), false), ((512, 512), true), ((540, 960), false), ((160, 96), true)];
    for (i, (frame_px, mirror)) in frames.into_iter().enumerate() {
        for place in [BadgePlace::ALL[i], BadgePlace::ALL[3 - i]] {
            let options = CompositeOptions {
                frame_px: Some(frame_px),
                framing: Framing::Fill,
                badge_place: place,
                badge_language: BadgeLanguage::Ja,
                mirror,
                ..CompositeOptions::default()
            };
            let mut pair = Pair::new(&identity, options);
            let mut secs = 0.0;
            for zoom in [1.0, 2.0, 4.0] {
                for offset in
                    [(0.0, 0.0), (0.45, 0.4), (-0.45, 0.4), (0.45, -0.5), (-0.45, -0.5), (0.0, 0.3), (0.3, 0.0)]
                {
                    pair.set_view(View { zoom, offset: offset.into() });
                    for signal in signals.iter().step_by(3) {
                        secs += 0.1;
                        let pictures = pair.frame(signal, secs);
                        let (n_covered, n_lips) = covered(&pictures);
                        assert_eq!(n_covered, 0, "{place:?}, {frame_px:?}, {zoom}, {offset:?}: of {n_lips}");
                        n_shown += usize::from(n_lips > 0);
                        n_moved += usize::from(corner(&pictures) != place);
                    }
                }
            }
        }
    }
    assert!(n_moved > 20, "the badge never had to make way: the mouth was not there");
    assert!(n_shown > 200, "only {n_shown} pictures show a mouth");
}

#[test]
fn the_badge_does_not_jump_to_and_fro_with_a_mouth_that_trembles() {
    let identity = painted();
    let options = CompositeOptions {
        frame_px: Some((640, 360)),
        framing: Framing::Fill,
        view: View { zoom: 2.5, offset: Vec2::ZERO },
        ..CompositeOptions::default()
    };
    let mut pair = Pair::new(&identity, options);
    // The head goes to where the mouth just touches the corner, and away again, several times a second.
    let at = |place: Vec2| DrivingSignal { translation: place, ..rest() };
    let reached = (0..400).map(|i| Vec2::new((i / 20) as f32, (i % 20) as f32) * 0.1).find(|&far| {
        pair.frame(&at(far), 0.0);
        corner(&pair.frame(&at(far), 0.0)) != BadgePlace::BottomRight
    });
    let far = reached.expect("the mouth never came to the corner");
    let near = far - far.normalize_or_zero() * 0.12;
    let (mut n_jumps, mut before) = (0, None);
    for i in 0..150 {
        let now = corner(&pair.frame(&at(if i % 3 == 0 { far } else { near }), 1.0 + f64::from(i) / 30.0));
        n_jumps += usize::from(before.is_some_and(|before| before != now));
        before = Some(now);
    }
    assert!(n_jumps <= 1, "{n_jumps} jumps in 5 s");
    // When the mouth is far away for long, the badge is where it was wanted.
    let frames =
        (0..90).map(|i| corner(&pair.frame(&at(Vec2::new(-0.3, -0.2)), 7.0 + f64::from(i) / 30.0))).collect::<Vec<_>>();
    assert_eq!(frames.last(), Some(&BadgePlace::BottomRight));
    assert_ne!(frames[10], BadgePlace::BottomRight, "it came back at once");
}

#[test]
fn corner_and_language_change_between_two_pictures() {
    let identity = identity(512);
    for frame_px in [(512, 512), (1280, 720)] {
        let options = CompositeOptions { frame_px: Some(frame_px), ..CompositeOptions::default() };
        let mut pair = Pair::new(&identity, options);
        let first = pair.frame(&rest(), 0.0);
        let wide = |found: [usize; 4]| found[2] - found[0];
        pair.with.set_badge(BadgePlace::TopLeft, BadgeLanguage::Zh);
        let second = pair.frame(&rest(), 0.1);
        assert_eq!((corner(&first), corner(&second)), (BadgePlace::BottomRight, BadgePlace::TopLeft));
        assert!(wide(changed(&second)) > wide(changed(&first)), "the longer word has the wider plate");
        // Under the stamp, which has the upper edge for itself.
        pair.with.set_stamp(true);
        pair.without.set_stamp(true);
        let strip = effigy::latency::strip_height_px(frame_px.0);
        assert!(changed(&pair.frame(&rest(), 0.2))[1] >= strip);
        pair.with.set_stamp(false);
        pair.without.set_stamp(false);
        pair.with.set_badge(BadgePlace::BottomRight, BadgeLanguage::En);
        assert_eq!(pair.frame(&rest(), 0.3)[0], first[0], "as if nothing had been");
    }
}
