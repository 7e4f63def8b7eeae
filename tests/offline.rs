//! A run of every frame has no clock: whichever stage is slow, on whichever frame, the pictures are the same, byte for
//! byte, and there is one for each frame. Time is virtual: a slow stage moves the clock on by two seconds and waits until
//! the others have had the chance to notice.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::ControlFlow;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crate::common;
use crossbeam_channel::{Receiver, bounded};
use effigy::capture::Read;
use effigy::clock::{Clock, ManualClock, Timestamp};
use effigy::composite::{CardReason, CompositeOptions, Compositor, Shown};
use effigy::drive::DriveOptions;
use effigy::face::Tracker;
use effigy::identity::Basis;
use effigy::pipeline::{Control, Stages, run};
use effigy::report::LiveFigures;
use effigy::sink::Delivery;
use effigy::{DrivingSignal, FaceObservation, Generator, Identity, OutFrame, Portrait, RawFrame, Result, Sink, Source};
use glam::Mat3;

/// When each frame of the clip was taken, in milliseconds, and whether a face is in it: found, held, idle, found again
/// and eased in, moving; held, idle, so long away that the card comes; found again.
const CLIP: [(u64, bool); 14] = [
    (0, true),
    (200, true),
    (400, true),
    (600, false),
    (1300, false),
    (2500, false),
    (2600, true),
    (2700, true),
    (2900, true),
    (3200, false),
    (6000, false),
    (10_000, false),
    (12_000, false),
    (12_100, true),
];
/// What a slow stage takes: ten times as long as a live run waits for a frame.
const SLOW: Duration = Duration::from_secs(2);
/// The pictures' side.
const SIZE_PX: usize = 128;

/// The stages in the order in which a frame meets them.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Capture,
    Face,
    Generate,
    Sink,
}

/// Which stage is slow, and on which frame, counted from 0.
type Slow = Option<(Stage, usize)>;

/// What the stages of one run share.
#[derive(Default)]
struct Lab {
    slow: Slow,
    clock: ManualClock,
    counts: Mutex<Counts>,
    changed: Condvar,
}

#[derive(Default)]
struct Counts {
    /// How often the generate thread has looked for a frame.
    n_looks: usize,
    n_presented: usize,
}

impl Lab {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap());
        self.changed.notify_all();
    }

    fn wait_until(&self, is_so: impl Fn(&Counts) -> bool) {
        let counts = self.counts.lock().unwrap();
        let (counts, timeout) =
            self.changed.wait_timeout_while(counts, Duration::from_secs(60), |counts| !is_so(counts)).unwrap();
        assert!(!timeout.timed_out(), "{} looks, {} presented", counts.n_looks, counts.n_presented);
    }

    /// Takes two seconds if `stage` is slow on frame `index`, in which the stages behind it run dry and look in vain.
    fn pass(&self, stage: Stage, index: usize) {
        if self.slow != Some((stage, index)) {
            return;
        }
        if matches!(stage, Stage::Generate | Stage::Sink) {
            // What is behind is this thread, or waits for it.
            self.clock.advance(SLOW);
            return;
        }
        // The generate thread has begun, and has nothing left to do.
        self.wait_until(|counts| counts.n_looks > 0 && counts.n_presented >= index);
        self.clock.advance(SLOW);
        let n_looks = self.counts.lock().unwrap().n_looks;
        // One may have begun before the clock moved on.
        self.wait_until(|counts| counts.n_looks >= n_looks + 2);
    }
}

/// The clip, read as fast as it goes, with its own times.
struct Clip {
    lab: Arc<Lab>,
    next: usize,
}

impl Source for Clip {
    fn name(&self) -> &str {
        "clip"
    }
    fn read(&mut self, frame: &mut RawFrame, _: &dyn Clock) -> Result<Read> {
        let index = self.next;
        self.next += 1;
        self.lab.pass(Stage::Capture, index);
        let Some((millis, _)) = CLIP.get(index) else { return Ok(Read::Ended) };
        frame.set_picture(&common::camera_picture());
        frame.set_captured(Timestamp::from_nanos(millis * 1_000_000));
        Ok(Read::Fresh)
    }
    fn frame_rate_hz(&self) -> Option<f64> {
        None
    }
}

/// Sees a face that is somewhere else, turned and talking, in every frame.
struct Eyes {
    lab: Arc<Lab>,
    face: FaceObservation,
    next: usize,
}

impl Tracker for Eyes {
    fn observe(&mut self, frame: &RawFrame, face: &mut FaceObservation) -> Result<bool> {
        let index = self.next;
        self.next += 1;
        self.lab.pass(Stage::Face, index);
        let phase = index as f32;
        face.clone_from(&self.face);
        face.captured = frame.captured();
        face.coefficients[25] = 0.5 + 0.4 * (1.7 * phase).sin();
        face.pose.camera_from_head = Mat3::from_rotation_y(0.2 * (0.9 * phase).sin()) * face.pose.camera_from_head;
        for (i, point) in face.landmarks_px.iter_mut().enumerate() {
            point.x += 2.0 * (0.8 * phase).sin();
            point.y += (1.3 * phase + i as f32).cos();
        }
        Ok(CLIP[index].1)
    }
}

/// Paints every number of the signal.
struct Painter {
    lab: Arc<Lab>,
    next: usize,
    /// How often it says that an identity is not ready yet.
    n_unready: usize,
}

impl Generator for Painter {
    fn name(&self) -> &str {
        "painter"
    }
    fn backend(&self) -> &str {
        "paint"
    }
    fn adopt(&mut self, _: Arc<Identity>) -> Result<()> {
        Ok(())
    }
    /// Asked for the first identity whenever the generate thread looks for a frame.
    fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        let is_first = identity.manifest.consent.basis == Basis::Synthetic;
        self.lab.count(|counts| counts.n_looks += usize::from(is_first));
        let is_ready = self.n_unready == 0;
        self.n_unready = self.n_unready.saturating_sub(1);
        Ok(is_ready)
    }
    fn generate(&mut self, signal: &DrivingSignal, portrait: &mut Portrait) -> Result<()> {
        // Pictures that a card stands for are not generated: the number is the clip's only while there is none.
        let index = self.next;
        self.next += 1;
        self.lab.pass(Stage::Generate, index);
        let mut hasher = DefaultHasher::new();
        format!("{signal:?}").hash(&mut hasher);
        let [r, g, b, ..] = hasher.finish().to_le_bytes();
        portrait.picture.reshape(SIZE_PX, SIZE_PX);
        portrait.picture.data_mut().as_chunks_mut::<4>().0.fill([r, g, b, 200]);
        Ok(())
    }
}

/// What a sink got.
#[derive(Clone, Debug, PartialEq)]
struct Got {
    frame_id: u64,
    captured: Timestamp,
    shown: Shown,
    picture: Vec<u8>,
}

struct Witness {
    lab: Arc<Lab>,
    delivery: Delivery,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Sink for Witness {
    fn name(&self) -> &str {
        "witness"
    }
    fn delivery(&self) -> Delivery {
        self.delivery
    }
    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let mut got = self.got.lock().unwrap();
        self.lab.pass(Stage::Sink, got.len());
        got.push(Got {
            frame_id: frame.trace.frame_id,
            captured: frame.trace.captured,
            shown: frame.shown,
            picture: frame.picture().data().to_vec(),
        });
        self.lab.count(|counts| counts.n_presented = got.len());
        Ok(ControlFlow::Continue(()))
    }
    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What comes of the clip.
fn play(slow: Slow, begin: Duration, delivery: Delivery, control: Receiver<Control>, n_unready: usize) -> Vec<Got> {
    let lab = Arc::new(Lab { slow, ..Lab::default() });
    lab.clock.advance(begin);
    let got = Arc::new(Mutex::new(Vec::new()));
    let mut compositor = Compositor::new(CompositeOptions { size_px: SIZE_PX, ..CompositeOptions::default() }).unwrap();
    // Number and time of the frame are in the picture too.
    compositor.set_stamp(true);
    let stages = Stages {
        first: 0,
        motion: Vec::new(),
        source: Box::new(Clip { lab: Arc::clone(&lab), next: 0 }),
        tracker: Box::new(Eyes { lab: Arc::clone(&lab), face: common::observation(Timestamp::default()), next: 0 }),
        drive: DriveOptions::default(),
        generator: Box::new(Painter { lab: Arc::clone(&lab), next: 0, n_unready }),
        compositor,
        identities: [Basis::Synthetic, Basis::Own].map(common::identity_on).into(),
        sinks: vec![Box::new(Witness { lab: Arc::clone(&lab), delivery, got: Arc::clone(&got) })],
        foreground: None,
        beside: None,
        every_frame: true,
        figures: Arc::new(LiveFigures::default()),
    };
    let report = run(stages, &lab.clock, control).unwrap();
    let got = std::mem::take(&mut *got.lock().unwrap());
    assert_eq!((report.frames.captured, report.frames.dropped), (CLIP.len() as u64, 0));
    assert_eq!(report.frames.presented, got.len() as u64);
    got
}

fn no_control() -> Receiver<Control> {
    bounded(1).1
}

/// Says where two runs differ.
fn compare(found: &[Got], expected: &[Got], what: &str) {
    let ids = |got: &[Got]| got.iter().map(|got| got.frame_id).collect::<Vec<_>>();
    assert_eq!(ids(found), (1..=CLIP.len() as u64).collect::<Vec<_>>(), "{what}: not one picture for each frame");
    for (found, expected) in found.iter().zip(expected) {
        let id = expected.frame_id;
        assert!(found.picture == expected.picture, "{what}: another picture for frame {id}");
        assert_eq!((found.captured, found.shown), (expected.captured, expected.shown), "{what}: frame {id}");
    }
}

#[test]
fn whichever_stage_is_slow_on_whichever_frame_the_pictures_are_the_same() {
    let delivery = Delivery::Every(2);
    let expected = play(None, Duration::ZERO, delivery, no_control(), 0);
    compare(&expected, &expected, "none slow");
    let is_card = |got: &Got| got.shown.card.is_some();
    let cards: Vec<_> = (0..CLIP.len()).filter(|&i| is_card(&expected[i])).collect();
    assert_eq!(cards, [12], "the card comes by the clip's own time: after eight seconds without a face");
    assert_eq!(expected[12].shown.card, Some(CardReason::LookingForFace));
    let mut different: Vec<_> = expected.iter().map(|got| &got.picture).collect();
    different.dedup();
    assert!(different.len() > 10, "only {} pictures differ", different.len());
    for stage in [Stage::Capture, Stage::Face, Stage::Generate, Stage::Sink] {
        // Beyond the last frame: the end of the clip is late.
        for frame in 0..=CLIP.len() {
            if frame == CLIP.len() && stage != Stage::Capture {
                continue;
            }
            let found = play(Some((stage, frame)), Duration::ZERO, delivery, no_control(), 0);
            compare(&found, &expected, &format!("{stage:?} slow on frame {frame}"));
        }
    }
}

#[test]
fn neither_the_time_of_day_nor_the_sinks_queue_shows() {
    let expected = play(None, Duration::ZERO, Delivery::Every(2), no_control(), 0);
    let later = play(None, Duration::from_nanos(98_765_432_123_456_789), Delivery::Latest, no_control(), 0);
    compare(&later, &expected, "another day");
}

#[test]
fn another_identity_is_shown_from_the_next_frame_on_however_long_it_takes_to_prepare() {
    for n_unready in [0, 3, 1000] {
        let (asked, control) = bounded(1);
        asked.send(Control::Identity(1)).unwrap();
        let got = play(None, Duration::ZERO, Delivery::Every(2), control, n_unready);
        let shown: Vec<_> = got.iter().map(|got| got.shown.identity).collect();
        assert_eq!(shown, [1; CLIP.len()], "not ready {n_unready} times");
    }
}

#[test]
fn the_card_that_was_asked_for_is_shown_for_each_frame() {
    let (asked, control) = bounded(1);
    asked.send(Control::Card(true)).unwrap();
    let got = play(Some((Stage::Face, 3)), Duration::ZERO, Delivery::Every(2), control, 0);
    compare(&got, &got, "the card");
    assert!(got.iter().all(|got| got.shown.card == Some(CardReason::Paused)));
}
