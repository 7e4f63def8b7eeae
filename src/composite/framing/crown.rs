//! Hair that the photo's upper border cuts off, continued above it as a head goes on: narrower, and round.

use crate::frame::Grey;

/// What is cut over less than this part of the photo's width is no head.
const LEAST_WIDTH: f32 = 0.03;
/// How far below the border it is looked how fast the head widens, as a part of the photo's longest side.
const SLOPE_DEPTH: f32 = 0.06;
/// How high it goes, as parts of the width at the border.
const HEIGHTS: (f32, f32) = (0.1, 0.28);

/// The part of an ellipse that stands on the border, in pixels of the matte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crown {
    centre: f32,
    half_width: f32,
    height: f32,
}

impl Crown {
    /// Of the people in a photo, by their matte; `None` where the upper border cuts nobody.
    pub(super) fn of(matte: &Grey) -> Option<Self> {
        let (width, height) = (matte.width_px(), matte.height_px());
        let span = |y: usize| {
            let is_person = |x: &usize| matte.pixel(*x, y)[0] > 127;
            let first = (0..width).find(is_person)?;
            Some((first as f32, (0..width).rev().find(is_person)? as f32 + 1.0))
        };
        let depth = ((SLOPE_DEPTH * width.max(height) as f32) as usize).clamp(1, height.saturating_sub(1).max(1));
        let (left, right) = span(0)?;
        let cut = right - left;
        if cut < LEAST_WIDTH * width as f32 || height < 2 {
            return None;
        }
        let below = span(depth).map_or(0.0, |(left, right)| right - left);
        // The square of an ellipse's width rises as one goes down from its top.
        let rise = (below * below - cut * cut).max(1e-6) / depth as f32;
        let height = (cut * cut / rise).clamp(HEIGHTS.0 * cut, HEIGHTS.1 * cut);
        Some(Self { centre: (left + right) / 2.0, half_width: cut / 2.0, height })
    }

    /// How much of a pixel is head, `up` above the border and at column `x`, both counted to the pixel's middle.
    pub(super) fn share(&self, x: f32, up: f32) -> f32 {
        let half_width = self.half_width * (1.0 - up / self.height).max(0.0).sqrt();
        (half_width - (x - self.centre).abs() + 0.5).clamp(0.0, 1.0) * (self.height - up).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round head of `radius` around (50, `y`) in a matte of 100 by 80.
    fn head(radius: f32, y: f32) -> Grey {
        let mut matte = Grey::new(100, 80);
        for (i, out) in matte.data_mut().iter_mut().enumerate() {
            let (dx, dy) = ((i % 100) as f32 + 0.5 - 50.0, (i / 100) as f32 + 0.5 - y);
            *out = if dx.hypot(dy) < radius { 255 } else { 0 };
        }
        matte
    }

    #[test]
    fn a_head_that_is_cut_goes_on_as_it_was() {
        let crown = Crown::of(&head(30.0, 22.0)).unwrap();
        assert!((crown.centre - 50.0).abs() < 0.6 && (crown.half_width - 20.4).abs() < 1.0, "{crown:?}");
        assert!((6.0..11.5).contains(&crown.height), "8 rows are missing: {crown:?}");
        assert_eq!((crown.share(50.0, 0.5), crown.share(50.0, 13.0), crown.share(75.0, 0.5)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn whom_the_border_does_not_cut_has_none() {
        assert_eq!(Crown::of(&head(20.0, 30.0)), None);
        assert_eq!(Crown::of(&Grey::new(100, 80)), None);
        assert_eq!(Crown::of(&Grey::new(1, 1)), None);
    }
}
