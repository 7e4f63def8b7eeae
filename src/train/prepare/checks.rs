//! What of a clip is kept: a decision over measurements, without pictures.

use std::collections::BTreeMap;

use super::Checks;
use super::measure::{Look, Measured, face_box_px, face_px};
use crate::train::dataset::{DropCount, RATE_HZ};

/// A mean difference from the picture before that only another shot makes, 0..255.
const CUT_CHANGE: f32 = 40.0;
/// A face that moves by so much of its size from one picture to the next was filmed anew.
const CUT_FACE_MOVE: f32 = 0.5;
/// And one that grows or shrinks by this factor.
const CUT_FACE_GROWTH: f32 = 1.4;
/// The most changed block of a picture that is the one before, coded again: clips of 10 to 20 pictures a second that were
/// brought to 25 differ there by up to 1.2, calm faces mostly by more than 1.5.
const DUPLICATE_CHANGE: f32 = 1.2;

/// Why a picture is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    NoFace,
    SeveralFaces,
    OtherShot,
    Duplicate,
    TooSmall,
    TooDark,
    OutsideCrop,
    AboveRate,
}

impl Reason {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NoFace => "no face",
            Self::SeveralFaces => "several faces",
            Self::OtherShot => "another shot",
            Self::Duplicate => "duplicate picture",
            Self::TooSmall => "face too small",
            Self::TooDark => "face too dark",
            Self::OutsideCrop => "face outside the crop",
            Self::AboveRate => "above 25 a second",
        }
    }
}

/// What is to happen with each picture.
#[derive(Debug)]
pub(super) struct Decisions {
    /// The time of a picture that is kept, in 25ths of a second; or why it is not.
    pub(super) outcomes: Vec<Result<u64, Reason>>,
    /// Pictures a second that differ from the one before, in the shot that is kept.
    pub(super) distinct_rate_hz: Option<f64>,
}

/// Decides, except for what depends on the crop.
pub(super) fn decide(measured: &Measured, checks: &Checks) -> Decisions {
    let looks = &measured.looks;
    let shot = longest_shot(looks);
    let rate_hz = measured.rate_hz.unwrap_or(f64::from(RATE_HZ));
    let mut last_tick = None;
    let mut n_distinct = 0;
    let outcomes = looks.iter().enumerate().map(|(i, look)| {
        if !shot.contains(&i) {
            return Err(Reason::OtherShot);
        }
        // The first of a shot has no picture before it to be like.
        if i > shot.start && look.most_change < DUPLICATE_CHANGE {
            return Err(Reason::Duplicate);
        }
        n_distinct += 1;
        let Some(face) = &look.face else { return Err(Reason::NoFace) };
        if look.n_others > 0 {
            return Err(Reason::SeveralFaces);
        }
        if face_px(face) < checks.min_face_px {
            return Err(Reason::TooSmall);
        }
        if look.highlight < checks.min_highlight {
            return Err(Reason::TooDark);
        }
        let tick = ((i - shot.start) as f64 / rate_hz * f64::from(RATE_HZ)).round() as u64;
        if last_tick == Some(tick) {
            return Err(Reason::AboveRate);
        }
        last_tick = Some(tick);
        Ok(tick)
    });
    let outcomes = outcomes.collect();
    let secs = shot.len() as f64 / rate_hz;
    Decisions { outcomes, distinct_rate_hz: measured.rate_hz.map(|_| f64::from(n_distinct) / secs.max(1e-9)) }
}

/// The pictures between two cuts: the stretch with most faces.
fn longest_shot(looks: &[Look]) -> std::ops::Range<usize> {
    let mut best = 0..0;
    let mut best_faces = 0;
    let mut start = 0;
    for end in 1..=looks.len() {
        if end < looks.len() && !is_cut(&looks[end - 1], &looks[end]) {
            continue;
        }
        let n_faces = looks[start..end].iter().filter(|look| look.face.is_some()).count();
        if best.is_empty() || n_faces > best_faces {
            (best, best_faces) = (start..end, n_faces);
        }
        start = end;
    }
    best
}

fn is_cut(before: &Look, after: &Look) -> bool {
    if after.change > CUT_CHANGE {
        return true;
    }
    let (Some(a), Some(b)) = (&before.face, &after.face) else { return false };
    let (size, next_size) = (face_px(a).max(1.0), face_px(b).max(1.0));
    let ([al, at, ar, ab], [bl, bt, br, bb]) = (face_box_px(a), face_box_px(b));
    let moved = (al + ar - bl - br).hypot(at + ab - bt - bb) / 2.0;
    let growth = (next_size / size).max(size / next_size);
    moved > CUT_FACE_MOVE * size || growth > CUT_FACE_GROWTH
}

/// Counts of all reasons, in the order of [`Reason`].
pub(super) fn counts(outcomes: &[Result<u64, Reason>]) -> Vec<DropCount> {
    let mut ranges: BTreeMap<Reason, Vec<[u64; 2]>> = BTreeMap::new();
    for (i, reason) in outcomes.iter().enumerate().filter_map(|(i, outcome)| outcome.err().map(|reason| (i as u64, reason)))
    {
        let ranges = ranges.entry(reason).or_default();
        match ranges.last_mut() {
            Some([_, last]) if *last + 1 == i => *last = i,
            _ => ranges.push([i, i]),
        }
    }
    let count = |ranges: &[[u64; 2]]| ranges.iter().map(|[first, last]| last - first + 1).sum();
    let drop = |(reason, ranges): (Reason, Vec<[u64; 2]>)| DropCount {
        reason: reason.text().to_owned(),
        count: count(&ranges),
        ranges,
    };
    ranges.into_iter().map(drop).collect()
}

/// Why a clip of which too little is left is refused: what took most of it.
pub(super) fn main_reason(dropped: &[DropCount]) -> String {
    let most = dropped.iter().max_by_key(|drop| drop.count);
    most.map_or_else(|| "too short".to_owned(), |drop| drop.reason.clone())
}
