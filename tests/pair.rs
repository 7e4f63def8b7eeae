//! Two people at once: each face drives its own identity, in one frame, and nothing of the camera's picture leaves.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{self, PHOTO_CROP, PHOTO_PX};
use crossbeam_channel::{Sender, bounded};
use effigy::capture::Read;
use effigy::clock::{Clock, ManualClock, MonotonicClock, Timestamp};
use effigy::composite::{CardReason, CompositeOptions, Compositor, Framing, Shown};
use effigy::demo::PORTRAITS;
use effigy::drive::DriveOptions;
use effigy::face::{FaceTracker, Tracker, TrackerOptions};
use effigy::generate::warp::WarpGenerator;
use effigy::identity::{Basis, PhotoCrop, WholePhoto};
use effigy::pipeline::{Beside, Control, Stages, run};
use effigy::report::{LiveFigures, Report};
use effigy::sink::Delivery;
use effigy::{FaceObservation, Grey, Identity, OutFrame, RawFrame, Result, Rgb, Rgba, Sink, Source};
use glam::Vec3;

const N_FRAMES: usize = 24;
/// The first frames of two people ease in from what each does alone.
const EASED: usize = 16;
/// Frames of the script are so far apart.
const FRAME_NS: u64 = 40_000_000;

/// Frames in order; live they come a hundredth of a second apart until the witness has seen enough.
struct Frames {
    n: usize,
    is_over: Option<Arc<AtomicBool>>,
}

impl Source for Frames {
    fn name(&self) -> &str {
        "frames"
    }
    fn read(&mut self, frame: &mut RawFrame, _clock: &dyn Clock) -> Result<Read> {
        let is_over = self.is_over.as_ref().map_or(self.n == N_FRAMES, |over| over.load(Ordering::Relaxed));
        if is_over {
            return Ok(Read::Ended);
        }
        if self.is_over.is_some() {
            std::thread::sleep(Duration::from_millis(10));
        }
        frame.set_picture(&common::camera_picture());
        frame.set_captured(Timestamp::from_nanos(self.n as u64 * FRAME_NS));
        self.n += 1;
        Ok(Read::Fresh)
    }
    fn frame_rate_hz(&self) -> Option<f64> {
        None
    }
}

/// What two drivers do in a frame, counted from 0: how far each opens the mouth, in face widths; `None` who is not there.
type Play = fn(usize) -> [Option<f32>; 2];

struct Eyes {
    play: Play,
    n_frames: usize,
}

impl Eyes {
    fn see(frame: &RawFrame, mouth: Option<f32>, face: &mut FaceObservation) -> bool {
        *face = common::observation(frame.captured());
        let chin = face.landmarks_px[152].y;
        let lip = face.landmarks_px[13].y;
        for point in &mut face.landmarks_px {
            let low = ((point.y - lip) / (chin - lip)).clamp(0.0, 1.0);
            *point += Vec3::Y * low * mouth.unwrap_or(0.0) * 20.0;
        }
        mouth.is_some()
    }
}

impl Tracker for Eyes {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        self.n_frames += 1;
        Ok(Self::see(frame, (self.play)(self.n_frames - 1)[0], face))
    }
    fn observe_two(&mut self, frame: &RawFrame, faces: [&mut FaceObservation; 2]) -> Result<[bool; 2]> {
        self.n_frames += 1;
        let mouths = (self.play)(self.n_frames - 1);
        let [first, second] = faces;
        Ok([Self::see(frame, mouths[0], first), Self::see(frame, mouths[1], second)])
    }
}

type Taken = Arc<Mutex<Vec<(Rgba, Shown, usize)>>>;

/// What ends a live run: so many pictures of which something holds.
struct Until {
    is_wanted: fn(&Shown) -> bool,
    n: usize,
}

/// Keeps all pictures; asks for something at some of them.
struct Witness {
    taken: Taken,
    asks: Vec<(usize, Control)>,
    control: Sender<Control>,
    /// What ends a live run, and what tells the source.
    until: Option<(Until, Arc<AtomicBool>)>,
}

impl Sink for Witness {
    fn name(&self) -> &str {
        "witness"
    }
    fn delivery(&self) -> Delivery {
        Delivery::Every(1)
    }
    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let mut taken = self.taken.lock().unwrap();
        taken.push((frame.picture().clone(), frame.shown, frame.consents.iter().flatten().count()));
        for (_, control) in self.asks.iter().filter(|(at, _)| *at == taken.len()) {
            self.control.send(control.clone()).unwrap();
        }
        if let Some((Until { is_wanted, n }, is_over)) = &self.until {
            let n_wanted = taken.iter().filter(|(_, shown, _)| is_wanted(shown)).count();
            // Bounded, should it never come.
            is_over.store(n_wanted >= *n || taken.len() > 3000, Ordering::Relaxed);
        }
        Ok(ControlFlow::Continue(()))
    }
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The pictures of a run, what is told along with each, and how many consents.
fn pictures(
    identities: &[Arc<Identity>],
    beside: bool,
    composite: CompositeOptions,
    play: Play,
    asks: Vec<(usize, Control)>,
) -> Vec<(Rgba, Shown, usize)> {
    let (report, taken) = play_pair(identities, beside, composite, play, asks, None);
    let names: Vec<_> = identities.iter().take(1 + usize::from(beside)).map(|who| &*who.manifest.name).collect();
    assert_eq!(report.unwrap().identity, names.join(", "));
    assert_eq!(taken.len(), N_FRAMES);
    taken
}

/// A run: of [`N_FRAMES`] frames, each of which arrives, or live until enough of the wanted pictures came.
fn play_pair(
    identities: &[Arc<Identity>],
    beside: bool,
    composite: CompositeOptions,
    play: Play,
    asks: Vec<(usize, Control)>,
    until: Option<Until>,
) -> (Result<Report>, Vec<(Rgba, Shown, usize)>) {
    let is_over = until.as_ref().map(|_| Arc::new(AtomicBool::new(false)));
    let until = until.zip(is_over.clone());
    let is_live = until.is_some();
    let taken: Taken = Arc::default();
    let (control, asked) = bounded(4);
    let generator = || Box::new(WarpGenerator::new(composite.size_px));
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source: Box::new(Frames { n: 0, is_over }),
        tracker: Box::new(Eyes { play, n_frames: 0 }),
        drive: DriveOptions { is_filtered: false, ..DriveOptions::default() },
        generator: generator(),
        beside: beside.then(|| Beside { identity: 1, generator: generator() }),
        compositor: Compositor::new(composite).unwrap(),
        identities: identities.to_vec(),
        sinks: vec![Box::new(Witness { taken: Arc::clone(&taken), asks, control, until })],
        foreground: None,
        every_frame: !is_live,
        figures: Arc::new(LiveFigures::default()),
    };
    let report =
        if is_live { run(stages, &MonotonicClock::new(), asked) } else { run(stages, &ManualClock::new(), asked) };
    let mut taken = taken.lock().unwrap();
    (report, std::mem::take(&mut *taken))
}

fn unbadged(frame_px: Option<(usize, usize)>, framing: Framing) -> CompositeOptions {
    CompositeOptions { frame_px, framing, badge: false, ..CompositeOptions::default() }
}

/// Two drawn people whose colours differ.
fn people() -> [Arc<Identity>; 2] {
    let one = common::identity_on(Basis::Synthetic);
    let mut other = (*one).clone();
    other.manifest.name = "other".to_owned();
    other.portrait.data_mut().chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    other.background.data_mut().chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
    [one, Arc::new(other)]
}

/// Mean and largest difference of colours between columns `from..` of one picture and all of another.
fn difference(picture: &Rgba, from: usize, other: &Rgba) -> (f64, u8) {
    let (mut sum, mut worst) = (0_u64, 0);
    for y in 0..other.height_px() {
        for x in 0..other.width_px() {
            let (a, b) = (picture.pixel(from + x, y), other.pixel(x, y));
            for c in 0..3 {
                sum += u64::from(a[c].abs_diff(b[c]));
                worst = worst.max(a[c].abs_diff(b[c]));
            }
        }
    }
    (sum as f64 / (3 * other.width_px() * other.height_px()) as f64, worst)
}

fn one_talks(i: usize) -> [Option<f32>; 2] {
    [Some((i as f32 * 0.9).sin().abs()), Some(0.0)]
}

fn the_other_talks(i: usize) -> [Option<f32>; 2] {
    let [talk, rest] = one_talks(i);
    [rest, talk]
}

#[test]
fn each_half_shows_one_person_as_a_run_of_their_own_would() {
    let people = people();
    let pair = pictures(&people, true, unbadged(Some((1024, 512)), Framing::Head), one_talks, Vec::new());
    let one = pictures(&people[..1], false, unbadged(None, Framing::Head), one_talks, Vec::new());
    let other = pictures(&people[1..], false, unbadged(None, Framing::Head), |_| [Some(0.0), None], Vec::new());
    let mut moved = 0.0_f64;
    for i in EASED..N_FRAMES {
        let (frame, shown, n_consents) = &pair[i];
        assert_eq!((frame.width_px(), frame.height_px()), (1024, 512));
        assert_eq!((shown.identity, shown.beside, *n_consents), (0, Some(1), 2));
        // The invisible mark lies elsewhere in a larger frame.
        let halves = [difference(frame, 0, &one[i].0), difference(frame, 512, &other[i].0)];
        assert!(halves.iter().all(|(mean, worst)| *mean < 0.5 && *worst < 6), "frame {i}: {halves:?}");
        moved = moved.max(difference(&one[i].0, 0, &one[21].0).0);
        let camera = common::CAMERA_COLOUR;
        assert!(frame.data().chunks_exact(4).all(|p| (0..3).any(|c| p[c].abs_diff(camera[c]) > 60)), "frame {i}");
    }
    assert!(moved > 1.0, "the first person did not move: {moved}");
}

#[test]
fn a_mirrored_frame_puts_them_the_other_way_round() {
    let people = people();
    let plain = unbadged(Some((1025, 512)), Framing::Fill);
    let mirrored = CompositeOptions { mirror: true, ..plain.clone() };
    let (plain, mirrored) = (
        pictures(&people, true, plain, one_talks, Vec::new()),
        pictures(&people, true, mirrored, one_talks, Vec::new()),
    );
    for i in [0, 9, 23] {
        let (picture, mut flipped) = (&plain[i].0, mirrored[i].0.clone());
        let width = flipped.width_px();
        for row in flipped.data_mut().chunks_exact_mut(width * 4) {
            row.as_chunks_mut::<4>().0.reverse();
        }
        let (mean, _) = difference(picture, 0, &flipped);
        assert!(mean < 2.5, "frame {i}: {mean}");
    }
}

#[test]
fn who_leaves_or_never_came_stays_in_the_frame_and_the_card_comes_when_both_are_gone() {
    let people = people();
    let options = || unbadged(Some((1024, 512)), Framing::Head);
    let alone = pictures(&people, true, options(), |i| [one_talks(i)[0], None], Vec::new());
    assert!(alone.iter().all(|(_, shown, _)| shown.card.is_none()), "one is there");
    let still = pictures(&people[1..], false, unbadged(None, Framing::Head), |_| [Some(0.0), None], Vec::new());
    let (mean, _) = difference(&alone[3].0, 512, &still[0].0);
    // By itself the portrait moves a little.
    assert!(mean < 8.0, "the second person is not shown: {mean}");
    let nobody = pictures(&people, true, options(), |_| [None, None], Vec::new());
    for (frame, shown, n_consents) in &nobody {
        assert_eq!((shown.card, *n_consents), (Some(CardReason::LookingForFace), 0));
        assert_eq!((frame.width_px(), frame.height_px()), (1024, 512));
    }
}

#[test]
fn who_is_asked_for_changes_places_with_who_is_beside() {
    let people = people();
    let pair = pictures_of_namesakes(&people, vec![(4, Control::Identity(1))]);
    let last = pair.last().unwrap();
    assert_eq!((last.1.identity, last.1.beside), (1, Some(0)));
    let other = pictures(&people[1..], false, unbadged(None, Framing::Head), |_| [Some(0.0), None], Vec::new());
    let (mean, _) = difference(&last.0, 0, &other[0].0);
    assert!(mean < 2.5, "{mean}");
}

#[test]
fn a_whole_photo_that_one_of_them_lacks_gives_way_to_the_filled_picture() {
    let (lacks, has) = (common::identity_on(Basis::Synthetic), common::identity_with_photo());
    let framings = |people: &[Arc<Identity>]| {
        // As the key does it: what comes after the framing that is shown.
        let asks = vec![(4, Control::Framing(Framing::Head.next())), (12, Control::Framing(Framing::Photo))];
        let options = unbadged(Some((400, 300)), Framing::Head);
        let taken = pictures(people, people.len() == 2, options, one_talks, asks);
        [0, 9, N_FRAMES - 1].map(|i| taken[i].1.framing)
    };
    let (head, photo, fill) = (Framing::Head, Framing::Photo, Framing::Fill);
    assert_eq!(framings(&[Arc::clone(&has)]), [head, photo, photo]);
    assert_eq!(framings(&[Arc::clone(&lacks)]), [head, fill, fill], "the key does not get past it");
    assert_eq!(framings(&[has, lacks]), [head, fill, fill]);
}

fn pictures_of_namesakes(people: &[Arc<Identity>], asks: Vec<(usize, Control)>) -> Vec<(Rgba, Shown, usize)> {
    // The report names who is shown at the end.
    let mut same = people.to_vec();
    for who in &mut same {
        let mut renamed = (**who).clone();
        renamed.manifest.name = "somebody".to_owned();
        *who = Arc::new(renamed);
    }
    pictures(&same, true, unbadged(Some((1024, 512)), Framing::Head), |_| [Some(0.0), Some(0.0)], asks)
}

#[test]
fn live_two_change_places_in_one_frame_however_long_one_takes_to_be_ready() {
    // A scene has to be made for a framed picture, on a thread of each person's own.
    let [one, other] = two_in_one_photo();
    let mut third = (*common::identity_with_photo()).clone();
    third.manifest.name = "third".to_owned();
    let people = [one, other, Arc::new(third)];
    for (framing, frame_px) in [(Framing::Fill, (640, 360)), (Framing::Photo, (660, 600))] {
        let asks = vec![(5, Control::Identity(1))];
        let is_changed = |shown: &Shown| (shown.identity, shown.beside) == (1, Some(0));
        let options = unbadged(Some(frame_px), framing);
        let (report, taken) =
            play_pair(&people, true, options, one_talks, asks, Some(Until { is_wanted: is_changed, n: 5 }));
        assert_eq!(report.unwrap().identity, format!("{}, {}", people[1].manifest.name, people[0].manifest.name));
        for (_, shown, n_consents) in &taken {
            let who = (shown.identity, shown.beside);
            // On a machine that stands still for long there is a card, which shows nobody.
            let n_shown = if shown.card.is_none() { 2 } else { 0 };
            assert!([(0, Some(1)), (1, Some(0))].contains(&who) && *n_consents == n_shown, "{framing:?}: {who:?}");
        }
        assert!(taken.iter().filter(|(_, shown, _)| is_changed(shown)).count() >= 5, "{framing:?}: they never changed");
    }
    // Somebody of another photo comes: from one photo of both to a panel for each.
    let asks = vec![(5, Control::Identity(2))];
    let options = unbadged(Some((660, 600)), Framing::Photo);
    let (report, taken) = play_pair(
        &people,
        true,
        options,
        one_talks,
        asks,
        Some(Until { is_wanted: |shown| shown.identity == 2, n: 5 }),
    );
    report.unwrap();
    assert!(taken.iter().filter(|(_, shown, _)| shown.identity == 2).count() >= 5);
    assert!(taken.iter().all(|(picture, ..)| (picture.width_px(), picture.height_px()) == (660, 600)));
}

#[test]
fn one_photo_gives_way_to_two_panels_and_comes_back_as_it_was() {
    let people = two_in_one_photo();
    let options = || unbadged(Some((660, 600)), Framing::Photo);
    let asks = vec![(4, Control::Framing(Framing::Fill)), (12, Control::Framing(Framing::Photo))];
    let changed = pictures(&people, true, options(), one_talks, asks);
    let framings: Vec<Framing> = changed.iter().map(|(_, shown, _)| shown.framing).collect();
    assert!(framings.contains(&Framing::Fill) && framings[N_FRAMES - 1] == Framing::Photo, "{framings:?}");
    let plain = pictures(&people, true, options(), one_talks, Vec::new());
    let (last, expected) = (&changed[N_FRAMES - 1].0, &plain[N_FRAMES - 1].0);
    let (mean, worst) = difference(last, 0, expected);
    assert!(mean < 0.01 && worst < 3, "{mean} {worst}");
}

#[test]
fn a_frame_too_narrow_for_two_is_refused_before_it_starts() {
    for framing in [Framing::Head, Framing::Photo] {
        let options = unbadged(Some((100, 400)), framing);
        let (report, taken) = play_pair(&two_in_one_photo(), true, options, one_talks, Vec::new(), None);
        let said = report.unwrap_err().to_string();
        assert!(said.contains("at least 128 pixels wide, and this one has 100") && taken.is_empty(), "{said}");
    }
}

/// One photo of two drawn people, enrolled once for each.
fn two_in_one_photo() -> [Arc<Identity>; 2] {
    let alone = common::identity_with_photo();
    let (photo, matte) = {
        let whole = alone.photo.as_ref().unwrap();
        (&whole.picture, &whole.matte)
    };
    // They sit so close that the portraits' squares overlap.
    let apart = 420;
    let (width, height) = (PHOTO_PX.0 + apart, PHOTO_PX.1);
    let mut both = Rgb::new(width, height);
    let line = PHOTO_CROP.0 + PHOTO_CROP.2 / 2 + apart / 2;
    for (i, pixel) in both.data_mut().chunks_exact_mut(3).enumerate() {
        let (x, y) = (i % width, i / width);
        pixel.copy_from_slice(&photo.pixel(if x < line { x } else { x - apart }, y));
    }
    let divisor = PHOTO_PX.0 / matte.width_px();
    let mut mattes = Grey::new(width / divisor, height / divisor);
    let matte_width = mattes.width_px();
    for (i, sample) in mattes.data_mut().iter_mut().enumerate() {
        let (x, y) = (i % matte_width, i / matte_width);
        let from = if x * divisor < line { x } else { x - apart / divisor };
        *sample = matte.pixel(from.min(matte.width_px() - 1), y)[0];
    }
    let mut jpeg = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, 98);
    let picture = image::RgbImage::from_raw(width as u32, height as u32, both.data().to_vec()).unwrap();
    picture.write_with_encoder(encoder).unwrap();
    [0, apart].map(|left| {
        let mut identity = (*alone).clone();
        let crop = PhotoCrop {
            left_px: (PHOTO_CROP.0 + left) as f32,
            top_px: PHOTO_CROP.1 as f32,
            side_px: PHOTO_CROP.2 as f32,
        };
        identity.manifest.name = format!("{left}");
        identity.photo = Some(Arc::new(WholePhoto::from_jpeg(jpeg.clone(), mattes.clone(), crop).unwrap()));
        Arc::new(identity)
    })
}

#[test]
fn in_one_photo_each_head_moves_on_its_own_side_without_a_seam() {
    let people = two_in_one_photo();
    let photo = &people[0].photo.as_ref().unwrap().picture;
    let frame_px = (photo.width_px(), photo.height_px());
    let line = PHOTO_CROP.0 + PHOTO_CROP.2 / 2 + 210;
    let options = || unbadged(Some(frame_px), Framing::Photo);
    for (play, talks_left) in [(one_talks as Play, true), (the_other_talks, false)] {
        let frames = pictures(&people, true, options(), play, Vec::new());
        let moved = |columns: std::ops::Range<usize>| {
            let at = |i: usize, x: usize, y: usize| f64::from(frames[i].0.pixel(x, y)[1]);
            let differences =
                columns.clone().flat_map(|x| (0..frame_px.1).map(move |y| (at(9, x, y) - at(21, x, y)).abs()));
            differences.fold(0.0, f64::max)
        };
        let (left, right) = (moved(0..line - 1), moved(line + 1..frame_px.0));
        let (talks, rests) = if talks_left { (left, right) } else { (right, left) };
        assert!(talks > 20.0 && rests < 8.0, "left {left}, right {right}");
        // Along the line between them nothing moves.
        assert!(moved(line - 1..line + 1) < 8.0);
        // Far from both it is the photo.
        let picture = &frames[9].0;
        for y in 0..frame_px.1 {
            for x in (0..PHOTO_CROP.0 - 20).chain(frame_px.0 - 150..frame_px.0) {
                let (a, b) = (picture.pixel(x, y), photo.pixel(x, y));
                assert!((0..3).all(|c| a[c].abs_diff(b[c]) < 24), "{x} {y}: {a:?} {b:?}");
            }
        }
    }
}

#[test]
fn photos_of_one_person_each_are_shown_in_their_halves() {
    let [one, _] = two_in_one_photo();
    let mut alone = (*common::identity_with_photo()).clone();
    alone.manifest.name = "alone".to_owned();
    // The same person twice is no photo of two.
    for people in [[Arc::clone(&one), Arc::new(alone)], [Arc::clone(&one), one]] {
        let pair = pictures(&people, true, unbadged(Some((800, 400)), Framing::Photo), one_talks, Vec::new());
        let plays: [Play; 2] = [one_talks, |_| [Some(0.0), None]];
        for (who, play) in plays.into_iter().enumerate() {
            let own = unbadged(Some((400, 400)), Framing::Photo);
            let expected = pictures(&people[who..=who], false, own, play, Vec::new());
            let (mean, worst) = difference(&pair[20].0, 400 * who, &expected[20].0);
            assert!(mean < 0.5 && worst <= 8, "{who}: {mean} {worst}");
        }
    }
}

#[test]
fn a_third_face_takes_a_place_only_when_it_was_left_for_long() {
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    let (mut first, mut second) = (FaceObservation::default(), FaceObservation::default());
    let mut time = 0;
    let mut look = |places: &[(usize, usize)], wait_ms: u64| {
        time += wait_ms * 1_000_000;
        let frame = RawFrame::new(before_the_camera(places, 1800), Timestamp::from_nanos(time));
        let is_seen = tracker.observe_two(&frame, [&mut first, &mut second]).unwrap();
        assert!(is_seen[0], "the first one stays");
        is_seen[1].then(|| second.landmarks_px[1].x as usize / 600)
    };
    assert_eq!(look(&[(0, 0), (1, 600)], 33), Some(1));
    for _ in 0..5 {
        assert_eq!(look(&[(0, 0), (1, 1200)], 300), None, "the second one is away for a moment");
    }
    assert_eq!(look(&[(0, 0), (1, 600), (1, 1200)], 300), Some(1), "and is there again");
    assert_eq!(look(&[(0, 0), (1, 1200)], 300), None);
    assert_eq!(look(&[(0, 0), (1, 1200)], 2000), Some(2), "gone for long");
}

/// The demo's portraits beside each other, each in its own place or not at all.
fn before_the_camera(places: &[(usize, usize)], width: usize) -> Rgb {
    let mut picture = Rgb::from_data(width, 512, [90; 3].repeat(width * 512)).unwrap();
    for &(who, left) in places {
        let portrait = effigy::photo::decode(PORTRAITS[who].1).unwrap();
        let scale = portrait.width_px() / 512;
        for y in 0..512 {
            for x in 0..512.min(width - left) {
                let at = (y * width + left + x) * 3;
                picture.data_mut()[at..at + 3].copy_from_slice(&portrait.pixel(x * scale, y * scale));
            }
        }
    }
    picture
}

#[test]
fn two_faces_are_followed_and_keep_their_places() {
    let mut tracker = FaceTracker::new(TrackerOptions::default()).unwrap();
    let (mut first, mut second) = (FaceObservation::default(), FaceObservation::default());
    let mut time = 0;
    let mut look = |places: &[(usize, usize)], wait_ms: u64| {
        time += wait_ms * 1_000_000;
        let frame = RawFrame::new(before_the_camera(places, 1200), Timestamp::from_nanos(time));
        let is_seen = tracker.observe_two(&frame, [&mut first, &mut second]).unwrap();
        let place = |face: &FaceObservation| face.landmarks_px.iter().map(|p| p.x).sum::<f32>() / 478.0;
        [is_seen[0].then(|| place(&first)), is_seen[1].then(|| place(&second))]
    };
    let near = |found: [Option<f32>; 2], expected: [Option<f32>; 2]| {
        let is_near = found.iter().zip(expected).all(|(found, expected)| match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < 90.0,
            (found, expected) => found.is_none() && expected.is_none(),
        });
        assert!(is_near, "{found:?}, expected {expected:?}");
    };
    // Together: from left to right.
    near(look(&[(0, 0), (1, 600)], 33), [Some(256.0), Some(856.0)]);
    near(look(&[(0, 0), (1, 600)], 33), [Some(256.0), Some(856.0)]);
    // The left one leaves: the right one does not change places.
    near(look(&[(1, 600)], 33), [None, Some(856.0)]);
    near(look(&[(1, 600)], 300), [None, Some(856.0)]);
    // And comes back on the same side.
    near(look(&[(0, 0), (1, 600)], 300), [Some(256.0), Some(856.0)]);
    // They cross over slowly, one at a time out of the frame: faces keep their places, not sides.
    near(look(&[(0, 0)], 33), [Some(256.0), None]);
    near(look(&[(0, 80)], 33), [Some(336.0), None]);
    // Both leave for a moment: each is known by where it was.
    near(look(&[], 33), [None, None]);
    near(look(&[(1, 600)], 300), [None, Some(856.0)]);
    // Long gone, who comes alone is the first, wherever it is.
    near(look(&[], 33), [None, None]);
    near(look(&[(1, 600)], 5000), [Some(856.0), None]);
    near(look(&[(0, 0), (1, 600)], 300), [Some(856.0), Some(256.0)]);
    // Long gone both, and both at once: from left to right again.
    near(look(&[], 33), [None, None]);
    near(look(&[(0, 0), (1, 600)], 5000), [Some(256.0), Some(856.0)]);
}
