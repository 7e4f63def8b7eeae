//! Time stamps of the steps, taken on the device.

use std::time::Duration;

use super::buffers::buffer;
use super::card::Card;

/// Bytes of a step's two stamps.
const STAMPS_BYTES: usize = 16;

/// Time stamps of the steps.
#[derive(Debug)]
pub(super) struct Timing {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Where they lie in the downloaded bytes.
    offset: usize,
    nanos_per_tick: f64,
    steps: Vec<Duration>,
}

impl Timing {
    /// Whether a card can time so many steps.
    pub(super) fn is_possible(card: &Card, n_steps: usize) -> bool {
        card.has_timestamps() && 2 * n_steps <= wgpu::QUERY_SET_MAX_QUERIES as usize
    }

    /// Bytes that the stamps of so many steps take in the downloaded ones.
    pub(super) fn n_bytes(n_steps: usize) -> usize {
        STAMPS_BYTES * n_steps
    }

    /// Prepares to time `n_steps` steps; their stamps begin at `offset` of the downloaded bytes.
    pub(super) fn new(card: &Card, n_steps: usize, offset: usize) -> Self {
        use wgpu::BufferUsages as Usage;
        Self {
            queries: card.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("steps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * n_steps as u32,
            }),
            resolved: buffer(card, "time stamps", Self::n_bytes(n_steps), Usage::QUERY_RESOLVE | Usage::COPY_SRC),
            offset,
            nanos_per_tick: f64::from(card.queue.get_timestamp_period()),
            steps: vec![Duration::ZERO; n_steps],
        }
    }

    /// A pass of its own for a step, between two stamps.
    pub(super) fn begin_pass<'a>(&self, encoder: &'a mut wgpu::CommandEncoder, step: u32) -> wgpu::ComputePass<'a> {
        let stamps = wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(2 * step),
            end_of_pass_write_index: Some(2 * step + 1),
        };
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(stamps) })
    }

    /// Records the copies of all stamps to what is downloaded.
    pub(super) fn copy_down(&self, encoder: &mut wgpu::CommandEncoder, to: &wgpu::Buffer) {
        encoder.resolve_query_set(&self.queries, 0..2 * self.steps.len() as u32, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, to, self.offset as u64, self.resolved.size());
    }

    /// Reads what each step took from the downloaded bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let (stamps, _) = bytes[self.offset..].as_chunks::<STAMPS_BYTES>();
        for (time, stamps) in self.steps.iter_mut().zip(stamps) {
            let (ticks, _) = stamps.as_chunks::<8>();
            let [begin, end] = [ticks[0], ticks[1]].map(u64::from_le_bytes);
            *time = Duration::from_nanos((end.saturating_sub(begin) as f64 * self.nanos_per_tick) as u64);
        }
    }

    /// What each step of the last frame took.
    pub(super) fn steps(&self) -> &[Duration] {
        &self.steps
    }
}
