//! What measuring costs a frame.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::clock::{Clock as _, MonotonicClock};
use crate::frame::{Rgb, Rgba};
use crate::latency::{self, Origin, Stamp};
use crate::report::{LiveFigures, LiveMeter, SinkMeter};
use crate::trace::{Stage, Trace};

/// Frames that are measured together, so that the clock's own price does not count.
const BATCH: u32 = 100;
/// Batches; the median counts.
const N_BATCHES: usize = 101;

/// The price of one part of measuring.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// What is done.
    pub name: &'static str,
    /// Whether it is done in every run, not only with `--stamp`.
    pub is_always: bool,
    /// Median time for one frame.
    pub time: Duration,
}

impl Cost {
    /// The share of a frame at `rate_hz`, 0..1.
    pub fn share(&self, rate_hz: f64) -> f64 {
        self.time.as_secs_f64() * rate_hz
    }
}

/// Measures every part, for pictures of `size_px`.
pub fn measure(size_px: usize) -> Vec<Cost> {
    let clock = MonotonicClock::new();
    let (mut meter, mut live, figures) = (SinkMeter::new("cost"), LiveMeter::default(), LiveFigures::default());
    let mut frame_id = 0;
    let trace = median(|| {
        // As the threads do it: two looks at the clock a stage, one for the age.
        frame_id += 1;
        let mut trace = Trace::new(frame_id, clock.now());
        for stage in Stage::ALL {
            trace.record(stage, clock.now(), clock.now());
        }
        let now = clock.now();
        meter.record(black_box(&trace), true, true, now);
        live.record(black_box(&trace), true, now, &figures);
    });
    let stamp = Stamp { origin: Origin::Output, frame_id: 7, time: clock.now() };
    let mut out = Rgba::new(size_px, size_px);
    let draw = median(|| {
        black_box(latency::draw(black_box(&stamp), &mut out));
    });
    let mut camera = Rgb::new(640, 480);
    latency::draw(&stamp, &mut camera);
    let read = median(|| {
        black_box(latency::read_whole(black_box(&camera)));
    });
    vec![
        Cost { name: "trace, histograms, live figures", is_always: true, time: trace },
        Cost { name: "drawing the code into the picture", is_always: false, time: draw },
        Cost { name: "reading it from the driver's picture", is_always: false, time: read },
    ]
}

/// The median time of `work`.
fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..N_BATCHES)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..BATCH {
                work();
            }
            begin.elapsed() / BATCH
        })
        .collect();
    times.sort_unstable();
    times[N_BATCHES / 2]
}
