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
    /// Width and height of all pictures of the shot that is kept.
    pub(super) size_px: (usize, usize),
    /// Pictures a second that differ from the one before, in the shot that is kept.
    pub(super) distinct_rate_hz: Option<f64>,
}

/// Decides, except for what depends on the crop.
pub(super) fn decide(measured: &Measured, checks: &Checks) -> Decisions {
    let looks = &measured.looks;
    let shot = longest_shot(looks);
    let rate_hz = measured.rate_hz.unwrap_or(f64::from(RATE_HZ));
    let mut last_tick = None;
    let mut n_distinct = 0_u32;
    let outcomes = looks.iter().enumerate().map(|(i, look)| {
        if !shot.contains(&i) {
            return Err(Reason::OtherShot);
        }
        // In the dark all pictures are alike.
        let is_dark = look.face.is_some() && look.highlight < checks.min_highlight;
        // The first of a shot has no picture before it to be like.
        let is_duplicate = i > shot.start && look.most_change < DUPLICATE_CHANGE && !is_dark;
        n_distinct += u32::from(!is_duplicate);
        let Some(face) = &look.face else { return Err(Reason::NoFace) };
        if look.n_others > 0 {
            return Err(Reason::SeveralFaces);
        }
        if face_px(face) < checks.min_face_px {
            return Err(Reason::TooSmall);
        }
        if is_dark {
            return Err(Reason::TooDark);
        }
        if is_duplicate {
            return Err(Reason::Duplicate);
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
    Decisions {
        outcomes,
        size_px: looks.get(shot.start).map_or((0, 0), |look| look.size_px),
        distinct_rate_hz: measured.rate_hz.map(|_| f64::from(n_distinct) / secs.max(1e-9)),
    }
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
    if after.change > CUT_CHANGE || after.size_px != before.size_px {
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
    for (i, reason) in
        outcomes.iter().enumerate().filter_map(|(i, outcome)| outcome.err().map(|reason| (i as u64, reason)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::FaceObservation;
    use glam::Vec3;

    fn look(change: f32, x: f32) -> Look {
        let mut face = FaceObservation::default();
        for (i, p) in face.landmarks_px.iter_mut().enumerate() {
            *p = Vec3::new(x + 120.0 * (i % 2) as f32, 160.0 * (i / 2 % 2) as f32, 0.0);
        }
        let face = Some(Box::new(face));
        Look { size_px: (400, 400), face, n_others: 0, highlight: 200, change, most_change: 8.0 * change }
    }

    fn kept(rate_hz: f64, looks: Vec<Look>) -> Vec<u64> {
        let measured = Measured { rate_hz: Some(rate_hz), looks };
        decide(&measured, &Checks::default()).outcomes.into_iter().flatten().collect()
    }

    #[test]
    fn every_rate_becomes_25_a_second_without_a_made_up_picture() {
        let clip = |rate: usize| vec![look(1.0, 0.0); 2 * rate];
        assert_eq!(kept(25.0, clip(25)), (0..50).collect::<Vec<_>>());
        assert_eq!(kept(30.0, clip(30)), (0..50).collect::<Vec<_>>(), "one in six is left out");
        assert_eq!(kept(60.0, clip(60)).len(), 51, "the last is nearest to the second's end");
        // Too slow: gaps stay gaps.
        assert_eq!(kept(12.5, clip(12)), (0..24).map(|i| 2 * i).collect::<Vec<_>>());
    }

    #[test]
    fn a_cut_is_a_changed_picture_or_a_face_that_jumps() {
        for cut in [look(60.0, 0.0), look(1.0, 150.0)] {
            let x = cut.face.as_ref().unwrap().landmarks_px[0].x;
            let looks = [vec![look(1.0, 0.0); 7], vec![cut], vec![look(1.0, x); 4]].concat();
            assert_eq!(kept(25.0, looks), (0..7).collect::<Vec<_>>());
        }
        // A face that turns fast is no cut.
        let fast = (0..12).map(|i| look(9.0, 30.0 * i as f32)).collect();
        assert_eq!(kept(25.0, fast).len(), 12);
    }

    #[test]
    fn pictures_of_another_size_are_another_shot() {
        let small = Look { size_px: (320, 180), ..look(1.0, 0.0) };
        let looks = [vec![look(1.0, 0.0); 4], vec![small; 9], vec![look(1.0, 0.0); 5]].concat();
        let decisions = decide(&Measured { rate_hz: Some(25.0), looks }, &Checks::default());
        assert_eq!(decisions.size_px, (320, 180));
        let kept: Vec<usize> = (0..18).filter(|i| decisions.outcomes[*i].is_ok()).collect();
        assert_eq!(kept, (4..13).collect::<Vec<_>>());
        assert_eq!(decisions.outcomes[0], Err(Reason::OtherShot));
    }

    #[test]
    fn reasons_are_counted_with_their_places() {
        let outcomes =
            [Ok(0), Err(Reason::NoFace), Err(Reason::NoFace), Ok(3), Err(Reason::TooDark), Err(Reason::NoFace)];
        let dropped = counts(&outcomes);
        assert_eq!(
            (dropped[0].reason.as_str(), dropped[0].count, &dropped[0].ranges[..]),
            ("no face", 3, &[[1, 2], [5, 5]][..])
        );
        assert_eq!((dropped[1].reason.as_str(), dropped[1].count), ("face too dark", 1));
        assert_eq!(main_reason(&dropped), "no face");
        assert_eq!(main_reason(&[]), "too short");
    }
}
