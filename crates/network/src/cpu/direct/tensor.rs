//! Memory that the rows of a model share.
#![expect(unsafe_code, reason = "two threads work on rows of the same tensors")]

use std::cell::UnsafeCell;

use super::tile::{GROUP, MAX_TILE_PX};
use crate::cpu::ranges::Scale;
use crate::plan::Shape;

/// Numbers or bytes that two threads may work on at once, each in places of its own.
#[derive(Debug)]
pub(super) struct Memory<T>(Box<[UnsafeCell<T>]>);

// SAFETY: it gives addresses only; who reads or writes there sees to it that nobody else writes there meanwhile.
unsafe impl<T: Send> Sync for Memory<T> {}

impl<T: Copy> Memory<T> {
    pub(super) fn new(value: T, n: usize) -> Self {
        Self((0..n).map(|_| UnsafeCell::new(value)).collect())
    }

    /// Where it begins.
    pub(super) fn address(&self) -> *mut T {
        UnsafeCell::raw_get(self.0.as_ptr())
    }

    /// All of it; nobody else can have any meanwhile.
    pub(super) fn values_mut(&mut self) -> &mut [T] {
        // SAFETY: cells are laid out as what they hold, and `self` is borrowed for as long as the slice.
        unsafe { std::slice::from_raw_parts_mut(self.address(), self.0.len()) }
    }

    /// All of it, between two runs.
    ///
    /// # Safety
    /// Nobody writes to it while the slice is there.
    pub(super) unsafe fn values(&self) -> &[T] {
        // SAFETY: as above, and the caller's.
        unsafe { std::slice::from_raw_parts(self.address(), self.0.len()) }
    }
}

/// Activations in bytes: `[group][row][column][4 channels]`, with a border of one pixel that stands for zero and room to the
/// right for tiles that reach over it.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) bytes: Memory<u8>,
    pub(super) scale: Scale,
    /// From one row to the next, and from one group to the next, in bytes.
    pub(super) pitch: usize,
    pub(super) plane: usize,
}

impl Tensor {
    pub(super) fn new(shape: Shape, scale: Scale) -> Self {
        let pitch = (shape.w + 2 + 2 * MAX_TILE_PX) * GROUP;
        let plane = pitch * (shape.h + 2);
        // A tile of the last row may reach over the end by less than a row.
        let bytes = Memory::new(scale.zero, shape.c.div_ceil(GROUP) * plane + pitch);
        Self { bytes, scale, pitch, plane }
    }

    /// The offset of a pixel in a group.
    pub(super) fn offset(&self, group: usize, row: usize, column: usize) -> usize {
        group * self.plane + (row + 1) * self.pitch + (column + 1) * GROUP
    }
}
