//! More than one view of a person: which one a frame is made from, and how one gives way to another.
//!
//! Each view is a portrait of its own with its own prepared network; all are asked for the same points of the picture, those
//! that the identity's main portrait would have. A frame is made from one view, the one that shows most nearly what is
//! wanted. Only while one gives way to another are both drawn and mixed, for [`FADE_SECS`]. The time for that is saved up:
//! [`FADE_SHARE`] of what passes, so that no driver makes a run draw many more pictures. Where none is saved, a view that is
//! much nearer is cut to: a head that turns so fast hides it.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::frame::Rgba;
use crate::geometry::{FaceShape, HeadPlacement, eye_openness};
use crate::identity::Identity;
use crate::signal::{DenseMotion, DrivingSignal, Motion};

pub(crate) use self::wish::{Wish, turn_rads};

mod wish;

/// How long a change from one view to another takes.
pub const FADE_SECS: f32 = 0.12;
/// The share of all time in which two views are drawn, at most.
pub const FADE_SHARE: f32 = 0.14;
/// So much time for it can be saved up: three changes may follow each other.
const MOST_SAVED_SECS: f32 = 3.0 * FADE_SECS;
/// No change begins within so long of the one before.
const STAY_SECS: f32 = 0.24;
/// A view that is nearer by this is cut to where there is no time for a change.
const CUT: f32 = 2.0;
/// Another view must be nearer to what is wanted by this, in the units of [`Wish::distance`]: two views that are as near do
/// not take turns.
const HYSTERESIS: f32 = 0.4;
/// The main portrait counts as so much nearer: it is the picture that was chosen, and has no tracker's guess between.
const MAIN_BONUS: f32 = 0.4;
/// Time between two pictures where nobody says it.
const FALLBACK_STEP_SECS: f32 = 1.0 / 30.0;

/// What a frame is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mix {
    /// The view that is shown, or that is coming: 0 is the main portrait.
    pub front: usize,
    /// The view that gives way, and how much of it is still seen, 0..1.
    pub back: Option<(usize, f32)>,
}

impl Mix {
    /// How much of it is the main portrait, 0..1.
    pub(super) fn of_main(&self) -> f32 {
        let back = self.back.map_or(0.0, |(_, share)| share);
        match (self.front, self.back) {
            (0, _) => 1.0 - back,
            (_, Some((0, _))) => back,
            _ => 0.0,
        }
    }
}

/// The views of one identity and which of them is shown.
pub(super) struct Views {
    main: FaceShape,
    /// The main portrait's head at rest, in pixels of the picture.
    rest: HeadPlacement,
    size_px: usize,
    shapes: Vec<FaceShape>,
    shown: Vec<Wish>,
    front: usize,
    back: Option<usize>,
    /// Since the last change began.
    since_secs: f32,
    /// Time in which two views may be drawn.
    saved_secs: f32,
    last: Option<Timestamp>,
    now: Option<Timestamp>,
    signal: Box<DrivingSignal>,
}

impl Views {
    /// The views of an identity for pictures of `size_px`.
    pub(super) fn new(identity: &Arc<Identity>, size_px: usize) -> Self {
        let main = identity.shape.clone();
        let shapes: Vec<FaceShape> = portraits(identity).map(|view| view.shape.clone()).collect();
        let rest = HeadPlacement::at_rest(&main, size_px as f32 / identity.size_px() as f32);
        let signal = DrivingSignal::rest(&main, identity.size_px(), Motion::Absolute);
        Self {
            shown: shapes.iter().map(|shape| Wish::of_view(shape, &main)).collect(),
            main,
            rest,
            size_px,
            shapes,
            front: 0,
            back: None,
            since_secs: f32::INFINITY,
            saved_secs: MOST_SAVED_SECS,
            last: None,
            now: None,
            signal: Box::new(signal),
        }
    }

    /// The view that is shown.
    pub(super) fn front(&self) -> usize {
        self.front
    }

    /// Says when the next picture is of.
    pub(super) fn set_time(&mut self, now: Timestamp) {
        self.now = Some(now);
    }

    /// Chooses what the next picture, of `signal`, is made of. The first is made of the nearest view, whole.
    pub(super) fn choose(&mut self, signal: &DrivingSignal) -> Mix {
        if self.shapes.len() == 1 {
            return Mix { front: 0, back: None };
        }
        let step_secs = match (self.last, self.now) {
            (Some(last), Some(now)) => now.since(last).as_secs_f32(),
            _ => FALLBACK_STEP_SECS,
        };
        let is_first = self.since_secs.is_infinite();
        self.last = self.now.or(self.last);
        self.since_secs += step_secs;
        let wish = Wish::of_frame(signal, &self.main, self.rest.rotation);
        let distance = |view: usize| {
            let bonus = if view == 0 { MAIN_BONUS } else { 0.0 };
            self.shown[view].distance(&wish) - bonus
        };
        let nearest = (1..self.shown.len()).fold(0, |a, b| if distance(b) < distance(a) { b } else { a });
        self.saved_secs = (self.saved_secs + FADE_SHARE * step_secs).min(MOST_SAVED_SECS);
        let gain = distance(self.front) - distance(nearest);
        if is_first {
            (self.front, self.since_secs) = (nearest, STAY_SECS);
        } else if self.since_secs >= STAY_SECS && gain > HYSTERESIS {
            if self.saved_secs >= FADE_SECS {
                self.saved_secs -= FADE_SECS;
                self.back = Some(std::mem::replace(&mut self.front, nearest));
                // The first mixed picture is one step into the change.
                self.since_secs = step_secs.min(FADE_SECS * 0.5);
            } else if gain > CUT {
                (self.front, self.since_secs) = (nearest, 0.0);
            }
        }
        if self.since_secs >= FADE_SECS {
            self.back = None;
        }
        Mix { front: self.front, back: self.back.map(|back| (back, 1.0 - ease(self.since_secs / FADE_SECS))) }
    }

    /// What is asked of a view so that its face goes where the main portrait's would: all points of the picture are the same.
    pub(super) fn signal_of<'a>(&'a mut self, view: usize, signal: &'a DrivingSignal) -> &'a DrivingSignal {
        if view == 0 {
            return signal;
        }
        let shape = &self.shapes[view];
        let placement = signal.placement(&self.rest, self.size_px);
        let size = self.size_px as f32;
        let asked = &mut *self.signal;
        asked.rotation = placement.rotation;
        asked.translation = placement.centre_px / size;
        asked.scale = placement.width_px / size;
        asked.is_relative = false;
        for (i, to) in asked.displacement.iter_mut().enumerate() {
            *to = self.main.points[i] + signal.displacement[i] - shape.points[i];
        }
        let (main, own) = (eye_openness(&self.main.points), eye_openness(&shape.points));
        asked.eye_openness =
            std::array::from_fn(|eye| (signal.eye_openness[eye] * main[eye] / own[eye].max(1e-3)).clamp(0.0, 1.6));
        asked.mouth_openness = signal.mouth_openness;
        asked.coefficients = signal.coefficients;
        asked.mouth = signal.mouth;
        // It is measured from the pose of the main portrait.
        asked.dense = DenseMotion::NONE;
        &self.signal
    }
}

/// The portraits of an identity, the main one first, each as an identity of its own.
pub(super) fn portraits(identity: &Arc<Identity>) -> impl Iterator<Item = Arc<Identity>> {
    std::iter::once(Arc::clone(identity)).chain(identity.views.iter().map(|view| Arc::clone(view.identity())))
}

/// Slow at both ends: 0..1 to 0..1.
fn ease(t: f32) -> f32 {
    let t = t.clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Mixes `share` (0..1) of `back` into `front`, both of one size: colours by their alpha, so that what one of them does not
/// show takes no colour from it.
pub(super) fn mix(front: &mut Rgba, back: &Rgba, share: f32) {
    let of_back = (share.clamp(0.0, 1.0) * 256.0).round() as u32;
    let of_front = 256 - of_back;
    let pixels = front.data_mut().as_chunks_mut::<4>().0.iter_mut().zip(back.data().as_chunks::<4>().0);
    for (to, from) in pixels {
        let (a, b) = (u32::from(to[3]) * of_front, u32::from(from[3]) * of_back);
        let sum = a + b;
        if sum == 0 {
            *to = [0; 4];
            continue;
        }
        // Alpha is rounded to 8 bits, colours are weighed by it: at most 255 * 256 * 255, which 32 bits hold.
        for c in 0..3 {
            to[c] = ((u32::from(to[c]) * a + u32::from(from[c]) * b + sum / 2) / sum) as u8;
        }
        to[3] = ((sum + 128) >> 8) as u8;
    }
}

#[cfg(test)]
mod tests;
