//! How often chance alone makes a score: measured by `scripts/mark_bench.py`, see docs/trust.md.

/// From this score on a picture counts as marked: less than one false alarm in a million unmarked pictures. The measured
/// tail has one in a million at 7.14, with a 95 % interval from 7.06 to 7.21.
pub const THRESHOLD: f32 = 7.3;
/// The score that one unmarked picture in a hundred exceeds.
const TAIL_FROM: f32 = 5.62;
/// Above it, by so much each time, the number of pictures falls to 1/e. The fit has 0.163, the upper end of its interval 0.171;
/// this is more, so that what is said of a score errs to the safe side.
const TAIL_MEAN: f32 = 0.18;

/// How often an unmarked picture has this score or more, 0..=1, at most.
///
/// Above a score of 5.62 by an exponential tail; below, 0.01 to 1 is not told apart.
pub fn false_alarm_probability(score: f32) -> f64 {
    if score < TAIL_FROM { 1.0 } else { 0.01 * f64::from((TAIL_FROM - score) / TAIL_MEAN).exp() }
}
