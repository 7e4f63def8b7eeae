//! Where the badge is: in the corner that was asked for, unless the mouth is there.
//!
//! A mouth that comes near makes it move at once; it goes back only when its own corner was free for a while and by a wide
//! margin, so that it does not jump to and fro.

use glam::Vec2;

use crate::clock::Timestamp;

/// In which corner the badge is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum BadgePlace {
    /// Above, left
    TopLeft,
    /// Above, right
    TopRight,
    /// Below, left
    BottomLeft,
    /// Below, right
    #[default]
    BottomRight,
}

impl BadgePlace {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TopLeft, Self::TopRight, Self::BottomLeft, Self::BottomRight];
    /// What they are called, in the same order.
    pub const NAMES: [&str; 4] = ["top-left", "top-right", "bottom-left", "bottom-right"];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// The one that is called so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.name() == name)
    }

    pub(super) const fn is_right(self) -> bool {
        matches!(self, Self::TopRight | Self::BottomRight)
    }

    pub(super) const fn is_bottom(self) -> bool {
        matches!(self, Self::BottomLeft | Self::BottomRight)
    }

    /// This corner and then the others: beside it, then above or below, then across.
    pub(super) fn and_others(self) -> [Self; 4] {
        let at = |is_bottom: bool, is_right: bool| Self::ALL[usize::from(is_bottom) * 2 + usize::from(is_right)];
        let (bottom, right) = (self.is_bottom(), self.is_right());
        [self, at(bottom, !right), at(!bottom, right), at(!bottom, !right)]
    }
}

/// An upright box: its upper left and lower right corner, in pixels of the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::composite) struct Bounds {
    pub(in crate::composite) least: Vec2,
    pub(in crate::composite) most: Vec2,
}

impl Bounds {
    /// The same, so many columns further to the right.
    pub(in crate::composite) fn moved(self, columns_px: usize) -> Self {
        let step = Vec2::new(columns_px as f32, 0.0);
        Self { least: self.least + step, most: self.most + step }
    }

    /// The pixels that are in both boxes, the first one larger by `margin` at each side.
    fn overlap(&self, other: &Self, margin: f32) -> f32 {
        let common = (self.most + margin).min(other.most) - (self.least - margin).max(other.least);
        if common.min_element() <= 0.0 { 0.0 } else { common.x * common.y }
    }
}

/// Before it goes back, a place must be free by so much more than to stay there, for the mouth's height.
const BACK_MARGIN: f32 = 0.5;
/// And for so long, in seconds.
const BACK_SECS: f64 = 1.5;

/// Chooses among places, the first of which is wanted most.
pub(super) struct Perch<const N: usize> {
    places: [Bounds; N],
    at: usize,
    /// A place before this one that is free, and since when.
    freed: Option<(usize, Timestamp)>,
}

impl<const N: usize> Perch<N> {
    pub(super) fn new(places: [Bounds; N]) -> Self {
        Self { places, at: 0, freed: None }
    }

    /// Which place it is at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Moves out of the way of mouths, or back; says whether it moved.
    pub(super) fn keep_clear(&mut self, mouths: &[Bounds], now: Timestamp) -> bool {
        let before = self.at;
        let height = mouths.iter().map(|mouth| mouth.most.y - mouth.least.y).fold(0.0, f32::max);
        let wide = height * BACK_MARGIN;
        let overlap = |place: usize, margin: f32| {
            mouths.iter().map(|mouth| self.places[place].overlap(mouth, margin)).sum::<f32>()
        };
        let is_free = |place: usize, margin: f32| overlap(place, margin) <= 0.0;
        if !is_free(self.at, 0.0) {
            let far = (0..N).find(|&place| is_free(place, wide));
            let free = far.or_else(|| (0..N).find(|&place| is_free(place, 0.0)));
            // A mouth that fills the frame is covered as little as can be.
            let least = || (0..N).min_by(|&a, &b| overlap(a, 0.0).total_cmp(&overlap(b, 0.0)));
            (self.at, self.freed) = (free.or_else(least).unwrap_or(self.at), None);
        } else if let Some(better) = (0..self.at).find(|&place| is_free(place, wide)) {
            let since = self.freed.filter(|(place, _)| *place == better).map_or(now, |(_, since)| since);
            self.freed = Some((better, since));
            if now.since(since).as_secs_f64() >= BACK_SECS {
                (self.at, self.freed) = (better, None);
            }
        } else {
            self.freed = None;
        }
        self.at != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(x: f32, y: f32, width: f32, height: f32) -> Bounds {
        Bounds { least: Vec2::new(x, y), most: Vec2::new(x + width, y + height) }
    }

    fn secs(secs: f64) -> Timestamp {
        Timestamp::from_nanos((secs * 1e9) as u64)
    }

    #[test]
    fn it_leaves_at_once_and_comes_back_late() {
        let mut perch = Perch::new([bounds(80.0, 80.0, 20.0, 10.0), bounds(0.0, 80.0, 20.0, 10.0)]);
        let (far, near) = (bounds(40.0, 20.0, 20.0, 10.0), bounds(75.0, 75.0, 20.0, 10.0));
        assert!(!perch.keep_clear(&[far], secs(0.0)));
        assert!(perch.keep_clear(&[near], secs(0.1)) && perch.at() == 1);
        // It trembles around the corner: nothing moves.
        for i in 0..300 {
            let mouth = if i % 2 == 0 { near } else { far };
            assert!(!perch.keep_clear(&[mouth], secs(0.2 + f64::from(i) * 0.033)), "{i}");
        }
        // Just beside is not far enough; far away for long is.
        let beside = bounds(58.0, 80.0, 20.0, 10.0);
        assert!((0..100).all(|i| !perch.keep_clear(&[beside], secs(20.0 + f64::from(i) * 0.1))));
        let times: Vec<_> = (0..100).filter(|i| perch.keep_clear(&[far], secs(40.0 + f64::from(*i) * 0.1))).collect();
        assert_eq!(times, [15]);
        assert_eq!(perch.at(), 0);
    }

    #[test]
    fn a_mouth_everywhere_is_covered_as_little_as_can_be() {
        let mut perch = Perch::new([bounds(0.0, 0.0, 30.0, 20.0), bounds(60.0, 70.0, 30.0, 20.0)]);
        assert!(perch.keep_clear(&[bounds(-50.0, -50.0, 115.0, 200.0)], secs(1.0)) && perch.at() == 1);
        assert!(!perch.keep_clear(&[bounds(-50.0, -50.0, 115.0, 200.0)], secs(1.1)), "and stays there");
    }

    #[test]
    fn the_other_corners_follow_in_an_order() {
        let order = BadgePlace::BottomRight.and_others().map(BadgePlace::name);
        assert_eq!(order, ["bottom-right", "bottom-left", "top-right", "top-left"]);
        for place in BadgePlace::ALL {
            assert_eq!(BadgePlace::named(place.name()), Some(place));
            assert_eq!(place.and_others().iter().collect::<std::collections::HashSet<_>>().len(), 4);
        }
    }
}
