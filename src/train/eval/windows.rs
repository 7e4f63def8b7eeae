//! Spatio-temporal features: what a window of frames shows, and how it moves.

use super::perceptual::Seen;
use super::regions::Labels;

/// Neighbouring frames in a window.
pub(super) const N_FRAMES: usize = 16;
/// A window begins so many frames after the one before: half of each is shared.
const STEP: usize = 8;

/// Gathers the frames of one clip's row of pictures: of the truth, or of what one contender made.
///
/// The window's features are 64 numbers of MobileNetV2's activations of stride 8 (32 channels, pictures of 256 pixels): the
/// mean of each channel over places and frames, and the mean of its change from each frame to the next, place by place and
/// without its sign. The same pictures in another order differ in the second half alone.
#[derive(Default)]
pub(super) struct Windows {
    before: Option<Seen>,
    /// Of the last frames that follow each other: what each shows, and how it changed since the one before.
    frames: Vec<[Vec<f32>; 2]>,
}

impl Windows {
    /// Takes the next frame, and gives the features of the window that ends with it, if one does. `follows` is false where it
    /// is not the neighbour of the frame before.
    pub(super) fn see(&mut self, now: Seen, follows: bool, labels: &Labels) -> Option<Vec<f32>> {
        if !follows {
            self.before = None;
            self.frames.clear();
        }
        let change = self.before.as_ref().map_or_else(Vec::new, |before| now.change(before, labels));
        self.frames.push([now.shown(labels), change]);
        self.before = Some(now);
        if self.frames.len() < N_FRAMES {
            return None;
        }
        let window = features(&self.frames);
        self.frames.drain(..STEP);
        Some(window)
    }
}

/// Mean of what is shown over all frames, and of the changes over all but the first, whose change is from outside.
fn features(frames: &[[Vec<f32>; 2]]) -> Vec<f32> {
    let mean = |frames: &[[Vec<f32>; 2]], part: usize| {
        let mut mean = vec![0.0; frames[0][part].len()];
        for frame in frames {
            mean.iter_mut().zip(&frame[part]).for_each(|(mean, value)| *mean += value / frames.len() as f32);
        }
        mean
    };
    [mean(frames, 0), mean(&frames[1..], 1)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::eval::regions::Region;

    /// Two channels of four places: the first moves by `step` a frame, the second stands still.
    fn seen(at: f32) -> Seen {
        Seen::of_motion(2, [2, 2], vec![at, at, at, at, 3.0, 1.0, 3.0, 1.0])
    }

    fn play(values: impl IntoIterator<Item = (f32, bool)>) -> Vec<Vec<f32>> {
        let labels = Labels::all(4, Region::Rest);
        let mut windows = Windows::default();
        values.into_iter().filter_map(|(at, follows)| windows.see(seen(at), follows, &labels)).collect()
    }

    #[test]
    fn a_window_is_what_it_shows_and_how_it_moves() {
        let found = play((0..32).map(|i| (i as f32, i > 0)));
        assert_eq!(found, [[7.5, 2.0, 1.0, 0.0], [15.5, 2.0, 1.0, 0.0], [23.5, 2.0, 1.0, 0.0]]);
        // To and fro by the same numbers in another order: as before in the mean, but for how it moves.
        let order = |i: usize| if i.is_multiple_of(2) { i / 2 } else { 15 - i / 2 };
        let shuffled = play((0..16).map(|i| (order(i) as f32, i > 0)));
        assert_eq!(shuffled, [[7.5, 2.0, 8.0, 0.0]]);
    }

    #[test]
    fn fewer_frames_or_a_gap_make_no_window() {
        assert!(play((0..15).map(|i| (i as f32, i > 0))).is_empty());
        assert!(play((0..30).map(|i| (i as f32, i != 15 && i > 0))).is_empty());
        assert_eq!(play((0..32).map(|i| (i as f32, i != 16 && i > 0))).len(), 2);
    }
}
