//! Frames of any size: no seam, nothing moves that should not, no empty sides; judged by their pictures.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop at once, as tests do")]

use crate::common;

use std::sync::Arc;

use common::{PHOTO_CROP, PHOTO_PX, even, identity, identity_with_photo, motions, opaque, rest, with_mark};
use effigy::clock::Timestamp;
use effigy::composite::{Background, CompositeOptions, Compositor, Framing, View, generated_px};
use effigy::generate::warp::WarpGenerator;
use effigy::mark::{Detector, Finding, Key, Message, NormalMap};
use effigy::trace::Trace;
use effigy::{DrivingSignal, Generator, Identity, OutFrame, Portrait, Rgba};
use glam::Vec2;

struct Studio {
    generator: WarpGenerator,
    compositor: Compositor,
    portrait: Portrait,
}

impl Studio {
    fn new(identity: &Arc<Identity>, options: CompositeOptions) -> Self {
        let mut generator = WarpGenerator::new(options.size_px);
        generator.adopt(Arc::clone(identity)).unwrap();
        let mut compositor = Compositor::new(options).unwrap();
        compositor.adopt(identity).unwrap();
        Self { generator, compositor, portrait: Portrait::default() }
    }

    fn frame(&mut self, signal: &DrivingSignal, out: &mut OutFrame) {
        self.generator.generate(signal, &mut self.portrait).unwrap();
        let trace = Trace::new(7, Timestamp::from_nanos(1_000_000));
        self.compositor.compose(&self.portrait, trace, out).unwrap();
    }

    fn fresh(&mut self, signal: &DrivingSignal) -> Rgba {
        let mut out = OutFrame::blank(1, 1);
        self.frame(signal, &mut out);
        out.picture().clone()
    }
}

fn options(frame_px: (usize, usize), framing: Framing) -> CompositeOptions {
    CompositeOptions { frame_px: Some(frame_px), framing, badge: false, ..CompositeOptions::default() }
}

fn find(detector: &mut Detector, picture: &Rgba) -> Finding {
    let luma: Vec<u8> = picture.data().chunks_exact(4).map(|pixel| pixel[1]).collect();
    let mut map = NormalMap::default();
    assert!(detector.map(&luma, (picture.width_px(), picture.height_px()), &mut map));
    detector.look(&map)
}

/// Mean difference between two neighbouring rows, or columns, within a span of the other axis.
fn step(picture: &Rgba, is_row: bool, at: usize, span: std::ops::Range<usize>) -> f64 {
    let pixel =
        |line: usize, along: usize| if is_row { picture.pixel(along, line) } else { picture.pixel(line, along) };
    let n = span.len() as f64 * 3.0;
    span.map(|along| {
        let (a, b) = (pixel(at, along), pixel(at + 1, along));
        (0..3).map(|c| f64::from(a[c].abs_diff(b[c]))).sum::<f64>()
    })
    .sum::<f64>()
        / n
}

#[test]
fn the_whole_photo_stands_still_without_a_seam_around_the_moving_head() {
    let identity = identity_with_photo();
    let photo = &identity.photo.as_ref().unwrap().picture;
    let (left, top, side) = PHOTO_CROP;
    let mut studio = Studio::new(&identity, options(PHOTO_PX, Framing::Photo));
    let mut n_moved = 0;
    let marked = with_mark(&opaque(photo));
    for signal in motions(&identity) {
        let picture = studio.fresh(&signal);
        assert_eq!((picture.width_px(), picture.height_px()), PHOTO_PX);
        for y in 0..PHOTO_PX.1 {
            for x in 0..PHOTO_PX.0 {
                let (shown, seen) = (picture.pixel(x, y), photo.pixel(x, y));
                let is_inside = (left..left + side).contains(&x) && (top..top + side).contains(&y);
                if !is_inside {
                    assert_eq!(shown, marked.pixel(x, y), "what should stand still moves at {x}, {y}");
                }
                n_moved += usize::from(is_inside && shown[0].abs_diff(seen[0]) > 24);
            }
        }
        // Over each border of the square: not more than the photo's own rows differ there.
        for (is_row, at, span) in [
            (true, top - 1, left..left + side),
            (true, top + side - 1, left..left + side),
            (false, left - 1, top..top + side),
            (false, left + side - 1, top..top + side),
        ] {
            // A JPEG's rows are alike within a block of eight and differ between blocks.
            let own = (at - 8..=at + 8).map(|at| step(&marked, is_row, at, span.clone()));
            let most = own.fold(0.0, f64::max);
            for at in [at - 1, at, at + 1] {
                let found = step(&picture, is_row, at, span.clone());
                assert!(found <= most, "a seam: {found} at {at}, the photo's own is at most {most}");
            }
        }
    }
    assert!(n_moved > 40_000, "the head hardly moves: {n_moved} pixels");
}

#[test]
fn at_rest_the_whole_photo_is_the_photo() {
    let identity = identity_with_photo();
    let photo = &identity.photo.as_ref().unwrap().picture;
    let picture = Studio::new(&identity, options(PHOTO_PX, Framing::Photo)).fresh(&rest());
    let sum: f64 = picture
        .data()
        .chunks_exact(4)
        .zip(with_mark(&opaque(photo)).data().chunks_exact(4))
        .map(|(a, b)| (0..3).map(|c| f64::from(a[c].abs_diff(b[c]))).sum::<f64>())
        .sum();
    let mean = sum / (photo.data().len() as f64);
    assert!(mean < 1.0, "differs by {mean} in the mean");
}

#[test]
fn a_filled_frame_has_a_picture_from_edge_to_edge_and_a_fitted_square_has_not() {
    for identity in [identity_with_photo(), identity(512)] {
        for frame_px in [(1280, 720), (1920, 1080), (641, 479), (1080, 1920)] {
            let picture = Studio::new(&identity, options(frame_px, Framing::Fill)).fresh(&rest());
            assert_eq!((picture.width_px(), picture.height_px()), frame_px);
            assert!(picture.data().chunks_exact(4).all(|pixel| pixel[3] == 255));
            let light = |x: usize| {
                let column =
                    (0..frame_px.1).map(|y| picture.pixel(x, y)[..3].iter().map(|&c| u64::from(c)).sum::<u64>());
                column.sum::<u64>() / (3 * frame_px.1 as u64)
            };
            let ground = (60 + 90 + 130) / 3;
            for x in (0..frame_px.0).step_by(7).chain([frame_px.0 - 1]) {
                assert!(light(x) > ground * 6 / 10, "{frame_px:?}: column {x} has a light of {}", light(x));
            }
            // It goes on without a jump: no two columns differ as an edge does.
            let steps = (0..frame_px.0 - 1).map(|x| step(&picture, false, x, 0..frame_px.1 / 8));
            let most = steps.fold(0.0, f64::max);
            assert!(most < 12.0, "{frame_px:?}: a jump of {most}");
        }
        let fitted = Studio::new(&identity, options((1280, 720), Framing::Head)).fresh(&rest());
        let dark = with_mark(&even([26, 28, 33, 255], (1280, 720)));
        assert_eq!(fitted.pixel(100, 300), dark.pixel(100, 300), "beside a square it is dark");
    }
}

#[test]
fn only_what_moves_is_drawn_again_and_nothing_of_the_picture_before_is_left() {
    let identity = identity_with_photo();
    for (frame_px, framing) in [((900, 700), Framing::Fill), ((500, 640), Framing::Photo), ((641, 479), Framing::Head)]
    {
        // The badge lies over the square, and the stamp over its upper edge.
        let badged = CompositeOptions { badge: true, ..options(frame_px, framing) };
        let (mut going, mut fresh) = (Studio::new(&identity, badged.clone()), Studio::new(&identity, badged));
        going.compositor.set_stamp(true);
        fresh.compositor.set_stamp(true);
        let mut out = OutFrame::blank(3, 3);
        for (i, signal) in motions(&identity).iter().enumerate() {
            match i {
                3 => [&mut going, &mut fresh].into_iter().for_each(|studio| studio.compositor.set_mirror(true)),
                4 => going.compositor.card(effigy::composite::CardReason::Paused, Trace::default(), &mut out),
                5 => {
                    let view = View { zoom: 1.4, offset: Vec2::new(0.1, 0.05) };
                    [&mut going, &mut fresh].into_iter().for_each(|studio| studio.compositor.set_view(view));
                }
                6 => {
                    for studio in [&mut going, &mut fresh] {
                        studio.compositor.set_background(Background::Colour([0, 177, 64]), Some(&identity)).unwrap();
                    }
                }
                _ => {}
            }
            going.frame(signal, &mut out);
            assert_eq!(out.picture(), &fresh.fresh(signal), "{framing:?}, frame {i}");
        }
    }
}

#[test]
fn a_mirrored_frame_has_the_invisible_mark_as_it_is() {
    let identity = identity_with_photo();
    let mut detector = Detector::new(Key::PUBLIC);
    for framing in [Framing::Fill, Framing::Photo, Framing::Head] {
        let mirrored = CompositeOptions { mirror: true, run_id: 0xbead, ..options((700, 400), framing) };
        let picture = Studio::new(&identity, mirrored).fresh(&motions(&identity)[3]);
        let finding = find(&mut detector, &picture);
        assert!(finding.is_marked() && !finding.is_mirrored, "{framing:?}: {finding:?}");
    }
}

#[test]
fn a_transparent_frame_keeps_the_body_and_loses_the_ground() {
    let identity = identity_with_photo();
    let transparent = CompositeOptions { background: Background::None, ..options(PHOTO_PX, Framing::Photo) };
    let picture = Studio::new(&identity, transparent).fresh(&rest());
    assert_eq!(picture.pixel(20, 20), [0; 4]);
    assert_eq!(picture.pixel(450, 1100)[3], 255, "the body below the square");
    assert_eq!(picture.pixel(450, 300)[3], 255, "the face");
    let green = CompositeOptions { background: Background::Colour([0, 177, 64]), ..options(PHOTO_PX, Framing::Photo) };
    let picture = Studio::new(&identity, green).fresh(&rest());
    assert_eq!(picture.pixel(20, 20), with_mark(&even([0, 177, 64, 255], PHOTO_PX)).pixel(20, 20));
    assert!(picture.pixel(450, 1100)[0] > 100);
}

#[test]
fn zoom_and_offset_go_where_they_say_and_the_lower_edge_stays_covered() {
    let identity = identity_with_photo();
    let mut studio = Studio::new(&identity, options((1280, 720), Framing::Fill));
    let plain = studio.fresh(&rest());
    let shifted = |studio: &mut Studio, zoom: f32, x: f32, y: f32| {
        studio.compositor.set_view(View { zoom, offset: Vec2::new(x, y) });
        studio.fresh(&rest())
    };
    // An eighth to the right: what was at 600 is at 760.
    let right = shifted(&mut studio, 1.0, 0.125, 0.0);
    let differs: u64 =
        (200..500).map(|y| u64::from(plain.pixel(600, y)[0].abs_diff(right.pixel(760, y)[0]))).sum::<u64>() / 300;
    assert!(differs <= 2, "{differs}");
    assert_ne!(plain, shifted(&mut studio, 2.0, 0.0, 0.0));
    // Also where the picture is mirrored.
    studio.compositor.set_mirror(true);
    let (plain, right) = (shifted(&mut studio, 1.0, 0.0, 0.0), shifted(&mut studio, 1.0, 0.125, 0.0));
    let differs: u64 =
        (200..500).map(|y| u64::from(plain.pixel(600, y)[0].abs_diff(right.pixel(760, y)[0]))).sum::<u64>() / 300;
    assert!(differs <= 2, "mirrored: {differs}");
    studio.compositor.set_mirror(false);
    for (zoom, y) in [(0.5, 0.0), (0.5, -1.0), (1.0, -0.5)] {
        let picture = shifted(&mut studio, zoom, 0.0, y);
        // In the middle of the lower edge is the body.
        let [red, _, blue, _] = picture.pixel(640, 719);
        assert!(red > blue, "zoom {zoom}, {y}: no body at the lower edge");
    }
}

#[test]
fn the_invisible_mark_is_in_frames_of_any_shape_around_the_head_and_in_it() {
    let identity = identity_with_photo();
    let mut detector = Detector::new(Key::PUBLIC);
    for (frame_px, framing) in [
        ((1280, 720), Framing::Fill),
        ((720, 1280), Framing::Fill),
        (PHOTO_PX, Framing::Photo),
        ((641, 479), Framing::Head),
    ] {
        let options = CompositeOptions { run_id: 0xbead, ..options(frame_px, framing) };
        let mut studio = Studio::new(&identity, options);
        let mut out = OutFrame::blank(1, 1);
        let mut message = None;
        for signal in motions(&identity) {
            studio.frame(&signal, &mut out);
            let finding = find(&mut detector, out.picture());
            assert!(finding.is_marked(), "{framing:?} {frame_px:?}: {finding:?}");
            message = finding.message;
        }
        assert_eq!(message, Some(Message::of_run(0xbead)), "{framing:?} {frame_px:?}");
    }
}

#[test]
fn the_generator_works_at_the_smallest_size_that_the_head_asks_for() {
    let (small, photo) = (identity(512), identity_with_photo());
    let large = identity(1024);
    let px = |framing, frame_px, identity: &Arc<Identity>| generated_px(framing, View::PLAIN, frame_px, [&**identity]);
    assert_eq!(px(Framing::Head, (512, 512), &large), 512);
    assert_eq!(px(Framing::Head, (1024, 1024), &small), 1024, "as asked for");
    assert_eq!(px(Framing::Fill, (1920, 1080), &large), 1024);
    assert_eq!(px(Framing::Fill, (640, 360), &large), 512);
    assert_eq!(px(Framing::Fill, (1920, 1080), &small), 512, "a small portrait tells no more");
    assert_eq!(px(Framing::Photo, PHOTO_PX, &photo), 512);
    let zoomed = generated_px(Framing::Fill, View { zoom: 3.0, ..View::PLAIN }, (640, 360), [&*large]);
    assert_eq!(zoomed, 1024);
}

#[test]
fn a_frame_out_of_bounds_is_refused() {
    for frame_px in [(0, 0), (63, 512), (4097, 512)] {
        let error = Compositor::new(options(frame_px, Framing::Fill)).err().unwrap();
        assert_eq!(error.kind(), effigy::ErrorKind::Config);
        assert!(error.to_string().contains("its sides go from 64 to 4096"), "{error}");
    }
}
