//! Where there are no loops of our own for 8 bits: ONNX Runtime runs all of it.

use super::ranges::Ranges;
use super::second::SecondThread;
use super::segment::Segment;
use crate::plan::Plan;

/// Never made.
pub(super) enum DirectModel {}

impl DirectModel {
    pub(super) fn new(_: &Plan, _: &Segment, _: &[&[f32]], _: &Ranges) -> Option<Self> {
        None
    }

    pub(super) fn input_mut(&mut self, _: usize) -> &mut [f32] {
        match *self {}
    }

    pub(super) fn output(&self, _: usize) -> &[f32] {
        match *self {}
    }

    pub(super) fn run(&mut self, _: &SecondThread) {
        match *self {}
    }
}
