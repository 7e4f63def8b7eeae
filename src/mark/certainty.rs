//! How often chance alone makes a score. `scripts/mark_bench.py` measures it; see docs/trust.md.

/// From this score on a picture counts as marked.
pub const THRESHOLD: f32 = 7.0;
/// The score that one unmarked picture in a hundred exceeds.
const TAIL_FROM: f32 = 5.4;
/// Above it, by so much each time, the number of pictures falls to 1/e.
const TAIL_MEAN: f32 = 0.17;

/// How often an unmarked picture has this score or more, 0..=1.
///
/// Above [`TAIL_FROM`] by an exponential tail; below, 0.01 to 1 is not told apart.
pub fn false_alarm_probability(score: f32) -> f64 {
    if score < TAIL_FROM { 1.0 } else { 0.01 * f64::from((TAIL_FROM - score) / TAIL_MEAN).exp() }
}
