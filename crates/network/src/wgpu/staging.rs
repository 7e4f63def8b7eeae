//! Buffers that host and device hand to each other: inputs on the way up, outputs on the way down.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::PATIENCE;
use super::buffers::Buffers;
use super::card::Card;
use super::memory::Memory;
use super::values;
use crate::plan::{Plan, Role, TensorId, TensorView, TensorViewMut};
use effigy_base::error::Result;

/// A buffer that host and device hand to each other, and where tensors lie in it.
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) buffer: wgpu::Buffer,
    parts: Vec<Part>,
    /// Set by the card's answer, on whichever thread polls the device then.
    mapping: Arc<Mapping>,
}

/// Whether the last wish to map a buffer was granted; `None` until the device answers.
#[derive(Debug, Default)]
struct Mapping {
    is_granted: Mutex<Option<bool>>,
    answered: Condvar,
}

/// A tensor in a [`Staging`].
#[derive(Clone, Copy, Debug)]
struct Part {
    id: TensorId,
    offset: usize,
    bytes: usize,
}

impl Staging {
    /// Makes a buffer for a plan's inputs, which begins mapped.
    pub(super) fn for_inputs(card: &Card, plan: &Plan, memory: &Memory) -> Self {
        let parts = parts(plan, memory, Role::Input);
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let bytes = end(&parts);
        Self::new(card, ("upload", bytes, usage), parts)
    }

    /// Makes a buffer for a plan's outputs and `extra_bytes` behind them; answers where those begin.
    pub(super) fn for_outputs(card: &Card, plan: &Plan, memory: &Memory, extra_bytes: usize) -> (Self, usize) {
        let parts = parts(plan, memory, Role::Output);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let extra = end(&parts).next_multiple_of(8);
        (Self::new(card, ("download", extra + extra_bytes, usage), parts), extra)
    }

    fn new(card: &Card, (label, bytes, usage): (&str, usize, wgpu::BufferUsages), parts: Vec<Part>) -> Self {
        let buffer = card.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes.max(4).next_multiple_of(4) as u64,
            usage,
            mapped_at_creation: usage.contains(wgpu::BufferUsages::MAP_WRITE),
        });
        Self { buffer, parts, mapping: Arc::default() }
    }

    /// Writes inputs and hands the buffer to the device.
    pub(super) fn write(&self, card: &Card, memory: &Memory, inputs: &[TensorView]) -> Result<()> {
        let lost = |_| card.lost("its memory cannot be written");
        let mut view = self.buffer.slice(..).get_mapped_range_mut().map_err(lost)?;
        for (part, values) in self.parts.iter().zip(inputs) {
            values::encode(*values, memory.element_bytes(part.id), |offset, bytes| {
                let first = part.offset + offset;
                view.slice(first..first + bytes.len()).copy_from_slice(bytes);
            });
        }
        drop(view);
        self.buffer.unmap();
        Ok(())
    }

    /// Reads outputs, shows all bytes to `look`, and hands the buffer to the device.
    pub(super) fn read(
        &self,
        card: &Card,
        memory: &Memory,
        outputs: &mut [TensorViewMut],
        look: impl FnOnce(&[u8]),
    ) -> Result<()> {
        let lost = |_| card.lost("its memory cannot be read");
        let view = self.buffer.slice(..).get_mapped_range().map_err(lost)?;
        for (part, values) in self.parts.iter().zip(outputs) {
            values::decode(&view[part.offset..][..part.bytes], memory.element_bytes(part.id), values);
        }
        look(&view);
        drop(view);
        self.buffer.unmap();
        Ok(())
    }

    /// Records the copies from here to where the kernels read.
    pub(super) fn copy_up(&self, encoder: &mut wgpu::CommandEncoder, buffers: &Buffers, memory: &Memory) {
        for part in &self.parts {
            let (to, at) = (buffers.of(memory.store(part.id)), memory.offset_bytes(part.id));
            encoder.copy_buffer_to_buffer(&self.buffer, part.offset as u64, to, at as u64, part.bytes as u64);
        }
    }

    /// Records the copies from where the kernels write to here.
    pub(super) fn copy_down(&self, encoder: &mut wgpu::CommandEncoder, buffers: &Buffers, memory: &Memory) {
        for part in &self.parts {
            let (from, at) = (buffers.of(memory.store(part.id)), memory.offset_bytes(part.id));
            encoder.copy_buffer_to_buffer(from, at as u64, &self.buffer, part.offset as u64, part.bytes as u64);
        }
    }

    /// Wishes the buffer back.
    pub(super) fn map(&self, mode: wgpu::MapMode) {
        *self.mapping.is_granted.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mapping = Arc::clone(&self.mapping);
        self.buffer.slice(..).map_async(mode, move |result| {
            *mapping.is_granted.lock().unwrap_or_else(PoisonError::into_inner) = Some(result.is_ok());
            mapping.answered.notify_one();
        });
    }

    /// Waits until the buffer is mapped or refused.
    ///
    /// A poll that ends says that the work is done, not that the answer is here: another thread that polls the same
    /// device may have taken it on and be about to deliver it.
    pub(super) fn is_mapped(&self) -> bool {
        let is_granted = self.mapping.is_granted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.mapping.answered.wait_timeout_while(is_granted, PATIENCE, |is_granted| is_granted.is_none());
        waited.is_ok_and(|(is_granted, _)| *is_granted == Some(true))
    }
}

fn parts(plan: &Plan, memory: &Memory, role: Role) -> Vec<Part> {
    let mut end = 0;
    let part = |id| {
        let (offset, bytes) = (end, memory.padded_bytes(plan, id));
        end = offset + bytes;
        Part { id, offset, bytes }
    };
    plan.of_role(role).map(part).collect()
}

fn end(parts: &[Part]) -> usize {
    parts.last().map_or(0, |part| part.offset + part.bytes)
}
