//! The buffers that the kernels read and write, and how they are bound.

use super::card::Card;
use super::launch::Launch;
use super::memory::{Memory, Store};

/// Scalars of each launch begin at a multiple of this many bytes: what all devices accept.
const SCALARS_STRIDE: usize = 256;

/// What the kernels read and write.
#[derive(Debug)]
pub(super) struct Buffers {
    halves: wgpu::Buffer,
    words: wgpu::Buffer,
    weights: wgpu::Buffer,
    biases: wgpu::Buffer,
    scalars: wgpu::Buffer,
}

impl Buffers {
    /// Takes the memory, and writes what never changes: the launches' scalars and what they draw.
    pub(super) fn new(card: &Card, memory: &Memory, launches: &[Launch]) -> Self {
        use wgpu::BufferUsages as Usage;
        let tensors = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        let params = Usage::STORAGE | Usage::COPY_DST;
        let scalars = scalars_bytes(launches);
        let of = |label, store, usage| buffer(card, label, memory.total_bytes(store), usage);
        let buffers = Self {
            halves: of("halves", Store::Halves, tensors),
            words: of("words", Store::Words, tensors),
            weights: of("weights", Store::Weights, params),
            biases: of("biases", Store::Biases, params),
            scalars: buffer(card, "scalars", scalars.len(), Usage::UNIFORM | Usage::COPY_DST),
        };
        card.queue.write_buffer(&buffers.scalars, 0, &scalars);
        for step in 0..launches.len() {
            let (offset, segments) = memory.drawing(step);
            let bytes: Vec<u8> = segments.iter().flat_map(|word| word.to_le_bytes()).collect();
            if !bytes.is_empty() {
                card.queue.write_buffer(&buffers.words, offset as u64, &bytes);
            }
        }
        buffers
    }

    /// The one that holds a store.
    pub(super) fn of(&self, store: Store) -> &wgpu::Buffer {
        match store {
            Store::Halves => &self.halves,
            Store::Words => &self.words,
            Store::Weights => &self.weights,
            Store::Biases => &self.biases,
        }
    }

    /// Bytes of them all.
    pub(super) fn n_bytes(&self) -> u64 {
        let Self { halves, words, weights, biases, scalars } = self;
        [halves, words, weights, biases, scalars].map(wgpu::Buffer::size).iter().sum()
    }

    /// What the kernel of launch number `i` sees.
    pub(super) fn bind(&self, card: &Card, i: usize, launch: &Launch) -> wgpu::BindGroup {
        let scalars = wgpu::BufferBinding {
            buffer: &self.scalars,
            offset: (i * SCALARS_STRIDE) as u64,
            size: std::num::NonZeroU64::new(4 * launch.scalars.len() as u64),
        };
        let resources = [
            wgpu::BindingResource::Buffer(scalars),
            self.halves.as_entire_binding(),
            self.words.as_entire_binding(),
            self.weights.as_entire_binding(),
            self.biases.as_entire_binding(),
        ];
        let mut binding = 0;
        let entries = resources.map(|resource| {
            binding += 1;
            wgpu::BindGroupEntry { binding: binding - 1, resource }
        });
        let layout = &card.bindings;
        card.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(launch.variant.kernel.name()),
            layout,
            entries: &entries,
        })
    }
}

/// The scalars of all launches, each at its place.
fn scalars_bytes(launches: &[Launch]) -> Vec<u8> {
    let mut scalars = vec![0_u8; (launches.len() * SCALARS_STRIDE).max(SCALARS_STRIDE)];
    for (launch, bytes) in launches.iter().zip(scalars.chunks_exact_mut(SCALARS_STRIDE)) {
        for ((_, value), bytes) in launch.scalars.iter().zip(bytes.chunks_exact_mut(4)) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
    }
    scalars
}

/// Takes memory on the device.
pub(super) fn buffer(card: &Card, label: &str, bytes: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let descriptor =
        wgpu::BufferDescriptor { label: Some(label), size: bytes as u64, usage, mapped_at_creation: false };
    card.device.create_buffer(&descriptor)
}
