//! The invisible mark's embedder and detector by themselves, with a C interface: for the browser (WebAssembly) and for
//! `scripts/mark_bench.py`. The files are those of the program; nothing is copied.
//!
//! `scripts/web_verify.sh` builds it. Pointers are of this module's own memory, made by [`effigy_memory`].
#![allow(dead_code, reason = "not every item is used from outside")]

#[path = "../../src/mark/carriers.rs"]
mod carriers;
#[path = "../../src/mark/certainty.rs"]
mod certainty;
#[path = "../../src/mark/detect.rs"]
mod detect;
#[path = "../../src/mark/embed.rs"]
mod embed;
#[path = "../../src/mark/fft.rs"]
mod fft;
#[path = "../../src/mark/message.rs"]
mod message;
#[path = "../../src/mark/normal.rs"]
mod normal;
#[path = "../../src/mark/resize.rs"]
mod resize;
#[path = "../../src/mark/spectrum.rs"]
mod spectrum;
#[path = "../../src/mark/sums.rs"]
mod sums;

use carriers::Key;
use detect::Detector;
use message::Message;
use normal::NormalMap;

/// A detector, the sum of the pictures so far, and the answer to the last look.
pub struct State {
    detector: Detector,
    map: NormalMap,
    sum: NormalMap,
    answer: [f64; 8],
}

/// Makes a detector for marks of the public key.
#[unsafe(no_mangle)]
pub extern "C" fn effigy_new() -> *mut State {
    let detector = Detector::new(Key::PUBLIC);
    Box::into_raw(Box::new(State { detector, map: NormalMap::default(), sum: NormalMap::default(), answer: [0.0; 8] }))
}

/// Memory for a picture's samples; it is kept for good, so that one is enough for pictures up to that size.
#[unsafe(no_mangle)]
pub extern "C" fn effigy_memory(n_bytes: usize) -> *mut u8 {
    Box::leak(vec![0_u8; n_bytes].into_boxed_slice()).as_mut_ptr()
}

/// Forgets the pictures so far.
///
/// # Safety
/// `state` is of [`effigy_new`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn effigy_clear(state: *mut State) {
    // SAFETY: as asked for.
    unsafe { (*state).sum.clear() };
}

/// Adds a picture: `width * height` pixels of `channels` samples, brightness (1) or red, green, blue, alpha (4). 1 where it
/// could be read.
///
/// # Safety
/// `state` is of [`effigy_new`], and `samples` points at that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn effigy_add(state: *mut State, samples: *const u8, width: usize, height: usize, channels: usize) -> i32 {
    // SAFETY: as asked for.
    let (state, samples) = unsafe { (&mut *state, std::slice::from_raw_parts(samples, width * height * channels)) };
    let weighed: Vec<u8>;
    let luma = if channels == 4 {
        let weigh = |p: &[u8; 4]| ((77 * u32::from(p[0]) + 150 * u32::from(p[1]) + 29 * u32::from(p[2])) >> 8) as u8;
        weighed = samples.as_chunks::<4>().0.iter().map(weigh).collect();
        &weighed
    } else {
        samples
    };
    let is_read = state.detector.map(luma, (width, height), &mut state.map);
    if is_read {
        state.sum.add(&state.map);
    }
    i32::from(is_read)
}

/// Looks at the sum of the pictures. Eight numbers: score, threshold, false alarms a look, run or -1, version, share of the
/// shorter side, angle in radians, whether mirrored.
///
/// # Safety
/// `state` is of [`effigy_new`]; the answer holds until the next look.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn effigy_look(state: *mut State) -> *const f64 {
    // SAFETY: as asked for.
    let state = unsafe { &mut *state };
    let finding = state.detector.look(&state.sum);
    let (run, version) = finding.message.map_or((-1.0, -1.0), |m| (f64::from(m.id), f64::from(m.version)));
    state.answer = [
        f64::from(finding.score),
        f64::from(certainty::THRESHOLD),
        certainty::false_alarm_probability(finding.score),
        run,
        version,
        f64::from(finding.side_share),
        f64::from(finding.angle_rads),
        f64::from(u8::from(finding.is_mirrored)),
    ];
    state.answer.as_ptr()
}

/// Marks a square picture of red, green, blue, alpha, for measuring.
///
/// # Safety
/// `samples` points at `4 * side * side` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn effigy_mark(samples: *mut u8, side: usize, run: u32) {
    // SAFETY: as asked for.
    let samples = unsafe { std::slice::from_raw_parts_mut(samples, 4 * side * side) };
    embed::Embedder::new((side, side), Message::of_run(run as u16), Key::PUBLIC).mark(samples.as_chunks_mut::<4>().0);
}
