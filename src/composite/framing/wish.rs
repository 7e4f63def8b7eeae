//! What a frame at rest shall show.

use super::Framing;
use super::layout::{Layout, Square};
use crate::composite::background::Background;

/// Over this part of the head's square at its sides the moving picture turns into the still one.
pub(super) const SIDE_BAND: f32 = 0.1;
/// The same at its upper edge.
pub(super) const TOP_BAND: f32 = 0.06;
/// The same at its lower edge, below the chin.
pub(super) const BOTTOM_BAND: f32 = 0.22;

/// What a still picture is made of, beside the identity.
pub(super) struct Wish<'a> {
    pub(super) framing: Framing,
    pub(super) layout: Layout,
    pub(super) frame_px: (usize, usize),
    /// The frame's columns in which the head may move.
    pub(super) columns: (usize, usize),
    pub(super) background: &'a Background,
    pub(super) is_mirrored: bool,
    /// Pixels of the generated square a side.
    pub(super) generated_px: usize,
}

impl Wish<'_> {
    /// Where a column's middle is when nothing is mirrored.
    pub(super) fn unmirrored(&self, x: f32) -> f32 {
        if self.is_mirrored { self.frame_px.0 as f32 - x } else { x }
    }

    /// The head's square as the frame shows it.
    pub(super) fn shown_square(&self) -> Square {
        shown_square(&self.layout, self.frame_px, self.is_mirrored)
    }
}

/// The head's square of a layout as a frame of this (width, height) shows it, mirrored or not.
pub(super) fn shown_square(layout: &Layout, frame_px: (usize, usize), is_mirrored: bool) -> Square {
    let head = layout.head;
    let mirrored = frame_px.0 as i32 - head.left - head.side as i32;
    Square { left: if is_mirrored { mirrored } else { head.left }, ..head }
}
