//! Replays a plan on any graphics card through wgpu: Vulkan, Metal, DirectX 12.
//!
//! All tensors live in two buffers on the device, weights and biases in two more; a step is a pipeline, a bind group
//! with its scalars, and a grid, all prepared when the executor is made. A frame is one command buffer: inputs are
//! copied from a staging buffer that stays mapped between frames, the steps run in one pass, outputs are copied to a
//! second staging buffer, and the host waits once.
//!
//! What a frame costs beside the kernels: wgpu's command buffers serve once, so each frame records its steps again,
//! and wgpu allocates host memory for the recording, the pass, the submission and the two mappings, about a hundred
//! times a frame; nothing on the device. `tests/wgsl.rs` counts and bounds it. Every step may write to the same two buffers, so that wgpu has each
//! wait for the one before.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use half::f16;

use self::places::{Places, Store};
use super::plan::{Adoption, Executor, Plan, Role, TensorId, TensorView, TensorViewMut};
use crate::error::{Error, ErrorKind, Result};

pub use self::card::{Accept, Card};
pub use self::kernels::Precision;

mod card;
mod kernels;
mod places;
mod steps;

/// A frame that takes longer never ends; drivers give up earlier.
const PATIENCE: Duration = Duration::from_secs(60);
/// Scalars of each step begin at a multiple of this many bytes: what all devices accept.
const SCALARS_STRIDE: usize = 256;

/// The card that all executors of the program share, and with it the pipelines: one that has failed is opened anew.
static SHARED: Mutex<Option<Arc<Card>>> = Mutex::new(None);

/// Prepares a plan on the best card that `accept` allows, in the best precision that it has.
///
/// # Errors
/// As [`Card::open`] and [`WgpuExecutor::new`].
pub fn open(accept: Accept, plan: Plan) -> Result<WgpuExecutor> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let usable = shared.take().filter(|card| card.check().is_ok() && card.is_acceptable(accept));
    let card = match usable {
        Some(card) => card,
        None => Arc::new(Card::open(accept)?),
    };
    *shared = Some(Arc::clone(&card));
    drop(shared);
    WgpuExecutor::new(&card, plan)
}

/// Replays a plan on a [`Card`].
#[derive(Debug)]
pub struct WgpuExecutor {
    card: Arc<Card>,
    plan: Plan,
    precision: Precision,
    places: Places,
    launches: Vec<Launch>,
    buffers: Buffers,
    upload: Staging,
    download: Staging,
    timing: Option<Timing>,
    is_adopted: bool,
}

/// A step, ready.
#[derive(Debug)]
struct Launch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    grid: [u32; 3],
}

/// What the kernels read and write.
#[derive(Debug)]
struct Buffers {
    halves: wgpu::Buffer,
    words: wgpu::Buffer,
    weights: wgpu::Buffer,
    biases: wgpu::Buffer,
    scalars: wgpu::Buffer,
}

/// A buffer that host and device hand to each other, and where tensors lie in it.
#[derive(Debug)]
struct Staging {
    buffer: wgpu::Buffer,
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

/// Time stamps of the steps.
#[derive(Debug)]
struct Timing {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    /// Where they lie in the downloaded bytes.
    offset: usize,
    nanos_per_tick: f64,
    steps: Vec<Duration>,
}

impl WgpuExecutor {
    /// Prepares everything for a plan, in the best precision that the card has.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when the card has no room or refuses a kernel, [`ErrorKind::DeviceLost`] when
    /// it is gone.
    pub fn new(card: &Arc<Card>, plan: Plan) -> Result<Self> {
        let precision = if card.has_f16() { Precision::F16 } else { Precision::F32 };
        Self::with_precision(card, plan, precision)
    }

    /// The same in a given precision.
    ///
    /// # Errors
    /// As [`Self::new`]; [`ErrorKind::BackendUnavailable`] too when the card does not store 16 bits.
    pub fn with_precision(card: &Arc<Card>, plan: Plan, precision: Precision) -> Result<Self> {
        if precision == Precision::F16 && !card.has_f16() {
            let message = format!("{} stores no numbers in 16 bits", card.describe());
            return Err(Error::new(ErrorKind::BackendUnavailable, message));
        }
        let places = Places::new(&plan, precision);
        let steps = steps::steps(&plan, &places, precision);
        let pipelines: Vec<_> = steps.iter().map(|step| card.pipeline(step.variant)).collect::<Result<_>>()?;

        let mut scalars = vec![0_u8; (steps.len() * SCALARS_STRIDE).max(SCALARS_STRIDE)];
        for (step, bytes) in steps.iter().zip(scalars.chunks_exact_mut(SCALARS_STRIDE)) {
            for ((_, value), bytes) in step.scalars.iter().zip(bytes.chunks_exact_mut(4)) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
        }
        let parts = [Role::Input, Role::Output].map(|role| parts(&plan, &places, role));
        let (buffers, bindings, [upload, download]) =
            card.guarded(&format!("the memory of {}", plan.name()), || {
                let buffers = Buffers::new(card, &places, scalars.len());
                card.queue.write_buffer(&buffers.scalars, 0, &scalars);
                for i in 0..steps.len() {
                    let (offset, segments) = places.drawing(i);
                    let bytes: Vec<u8> = segments.iter().flat_map(|word| word.to_le_bytes()).collect();
                    if !bytes.is_empty() {
                        card.queue.write_buffer(&buffers.words, offset as u64, &bytes);
                    }
                }
                let bindings: Vec<_> = steps.iter().enumerate().map(|(i, step)| buffers.bind(card, i, step)).collect();
                let [inputs, outputs] = parts;
                let upload = Staging::new(card, "upload", wgpu::BufferUsages::MAP_WRITE, inputs, 0);
                let download = Staging::new(card, "download", wgpu::BufferUsages::MAP_READ, outputs, 0);
                (buffers, bindings, [upload, download])
            })?;
        let launches = steps.iter().zip(pipelines).zip(bindings);
        let launches =
            launches.map(|((step, pipeline), bindings)| Launch { pipeline, bindings, grid: step.grid }).collect();
        let card = Arc::clone(card);
        Ok(Self { card, plan, precision, places, launches, buffers, upload, download, timing: None, is_adopted: false })
    }

    /// The card it runs on.
    pub fn card(&self) -> &Arc<Card> {
        &self.card
    }

    /// How numbers are stored.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Bytes it holds on the device: tensors, weights, and what is handed to and fro.
    pub fn device_bytes(&self) -> u64 {
        let Buffers { halves, words, weights, biases, scalars } = &self.buffers;
        [halves, words, weights, biases, scalars, &self.upload.buffer, &self.download.buffer]
            .map(wgpu::Buffer::size)
            .iter()
            .sum()
    }

    /// Times each step on the device from the next frame on, or no longer. Timed steps run in passes of their own, so
    /// that they cannot overlap: their sum is more than a frame takes.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when the card has no clock for it.
    pub fn time_steps(&mut self, is_wanted: bool) -> Result<()> {
        let n = self.launches.len();
        let stamps_bytes = if is_wanted { 16 * n } else { 0 };
        if is_wanted && (!self.card.has_timestamps() || 2 * n > wgpu::QUERY_SET_MAX_QUERIES as usize) {
            let message = format!("{} cannot time {n} steps", self.card.describe());
            return Err(Error::new(ErrorKind::BackendUnavailable, message));
        }
        let outputs = parts(&self.plan, &self.places, Role::Output);
        let offset = outputs.last().map_or(0, |part| (part.offset + part.bytes).next_multiple_of(8));
        let card = &self.card;
        let (download, timing) = card.guarded("time stamps", || {
            let usage = wgpu::BufferUsages::MAP_READ;
            let download = Staging::new(card, "download", usage, outputs, offset + stamps_bytes);
            let timing = is_wanted.then(|| Timing {
                queries: card.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("steps"),
                    ty: wgpu::QueryType::Timestamp,
                    count: 2 * n as u32,
                }),
                resolved: buffer(
                    card,
                    "time stamps",
                    stamps_bytes,
                    wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                ),
                offset,
                nanos_per_tick: f64::from(card.queue.get_timestamp_period()),
                steps: vec![Duration::ZERO; n],
            });
            (download, timing)
        })?;
        self.download = download;
        self.timing = timing;
        Ok(())
    }

    /// What each step of the last frame took, by layer; empty when steps are not timed.
    pub fn step_times(&self) -> impl Iterator<Item = (&str, Duration)> {
        let times = self.timing.as_ref().map_or(&[][..], |timing| &timing.steps);
        self.plan.steps().iter().zip(times).map(|((layer, _), &time)| (layer.as_str(), time))
    }

    fn write_inputs(&self, inputs: &[TensorView]) -> Result<()> {
        let lost = |_| self.card.lost("its memory cannot be written");
        let mut view = self.upload.buffer.slice(..).get_mapped_range_mut().map_err(lost)?;
        for (part, values) in self.upload.parts.iter().zip(inputs) {
            let mut write = |offset: usize, bytes: &[u8]| {
                let first = part.offset + offset;
                view.slice(first..first + bytes.len()).copy_from_slice(bytes);
            };
            match (values, self.places.element_bytes(part.id)) {
                (TensorView::Words(words), _) => places::encode(words, u32::to_le_bytes, &mut write),
                (TensorView::F32(values), 4) => places::encode(values, f32::to_le_bytes, &mut write),
                (TensorView::F32(values), _) => {
                    places::encode(values, |value| f16::from_f32(value).to_le_bytes(), &mut write);
                }
            }
        }
        drop(view);
        self.upload.buffer.unmap();
        Ok(())
    }

    fn record(&self) -> wgpu::CommandBuffer {
        let device = &self.card.device;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("frame") });
        for part in &self.upload.parts {
            let (to, at) = (self.buffers.of(self.places.store(part.id)), self.places.offset_bytes(part.id));
            encoder.copy_buffer_to_buffer(&self.upload.buffer, part.offset as u64, to, at as u64, part.bytes as u64);
        }
        match &self.timing {
            None => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for launch in &self.launches {
                    launch.record(&mut pass);
                }
            }
            Some(timing) => {
                for (launch, i) in self.launches.iter().zip(0_u32..) {
                    let stamps = wgpu::ComputePassTimestampWrites {
                        query_set: &timing.queries,
                        beginning_of_pass_write_index: Some(2 * i),
                        end_of_pass_write_index: Some(2 * i + 1),
                    };
                    let descriptor = wgpu::ComputePassDescriptor { label: None, timestamp_writes: Some(stamps) };
                    launch.record(&mut encoder.begin_compute_pass(&descriptor));
                }
                encoder.resolve_query_set(&timing.queries, 0..2 * self.launches.len() as u32, &timing.resolved, 0);
                let (to, at) = (&self.download.buffer, timing.offset as u64);
                encoder.copy_buffer_to_buffer(&timing.resolved, 0, to, at, timing.resolved.size());
            }
        }
        for part in &self.download.parts {
            let (from, at) = (self.buffers.of(self.places.store(part.id)), self.places.offset_bytes(part.id));
            let to = &self.download.buffer;
            encoder.copy_buffer_to_buffer(from, at as u64, to, part.offset as u64, part.bytes as u64);
        }
        encoder.finish()
    }

    fn submit_and_wait(&self, commands: wgpu::CommandBuffer) -> Result<()> {
        let submission = self.card.queue.submit([commands]);
        self.download.map(wgpu::MapMode::Read);
        self.upload.map(wgpu::MapMode::Write);
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(PATIENCE) };
        let polled = self.card.device.poll(wait);
        self.card.check()?;
        polled.map_err(|error| self.card.lost("a frame does not end").because(error))?;
        if self.download.is_mapped() && self.upload.is_mapped() {
            return Ok(());
        }
        Err(self.card.lost("its memory cannot be read"))
    }

    fn read_outputs(&mut self, outputs: &mut [TensorViewMut]) -> Result<()> {
        let lost = |_| self.card.lost("its memory cannot be read");
        let view = self.download.buffer.slice(..).get_mapped_range().map_err(lost)?;
        for (part, out) in self.download.parts.iter().zip(outputs) {
            let bytes = &view[part.offset..][..part.bytes];
            match (out, self.places.element_bytes(part.id)) {
                (TensorViewMut::Bytes(out), _) => out.copy_from_slice(bytes),
                (TensorViewMut::F32(out), 4) => places::decode(bytes, f32::from_le_bytes, out),
                (TensorViewMut::F32(out), _) => places::decode(bytes, |two| f16::from_le_bytes(two).to_f32(), out),
            }
        }
        if let Some(timing) = &mut self.timing {
            let (stamps, _) = view[timing.offset..].as_chunks::<16>();
            for (time, stamps) in timing.steps.iter_mut().zip(stamps) {
                let (ticks, _) = stamps.as_chunks::<8>();
                let [begin, end] = [ticks[0], ticks[1]].map(u64::from_le_bytes);
                *time = Duration::from_nanos((end.saturating_sub(begin) as f64 * timing.nanos_per_tick) as u64);
            }
        }
        drop(view);
        self.download.buffer.unmap();
        Ok(())
    }
}

impl Executor for WgpuExecutor {
    fn backend(&self) -> &str {
        "wgpu"
    }

    fn device(&self) -> String {
        format!("wgpu ({})", self.card.describe())
    }

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<()> {
        adoption.check(&self.plan);
        self.card.check()?;
        let mut bytes = Vec::new();
        // From where in `bytes` to where in which buffer, and how many bytes.
        let mut copies: Vec<(usize, &wgpu::Buffer, usize, usize)> = Vec::new();
        for (i, values) in adoption.params.iter().enumerate() {
            let from = bytes.len();
            let (is_bias, at) = self.places.encode_param(i, values, &mut bytes);
            let to = if is_bias { &self.buffers.biases } else { &self.buffers.weights };
            copies.push((from, to, at, bytes.len() - from));
        }
        for (id, values) in self.plan.of_role(Role::Constant).zip(&adoption.constants) {
            let from = bytes.len();
            let append = |_, block: &[u8]| bytes.extend_from_slice(block);
            match (values, self.places.element_bytes(id)) {
                (TensorView::Words(words), _) => places::encode(words, u32::to_le_bytes, append),
                (TensorView::F32(values), 4) => places::encode(values, f32::to_le_bytes, append),
                (TensorView::F32(values), _) => {
                    places::encode(values, |value| f16::from_f32(value).to_le_bytes(), append);
                }
            }
            let to = self.buffers.of(self.places.store(id));
            copies.push((from, to, self.places.offset_bytes(id), bytes.len() - from));
        }
        // All of it is on the device before any of it replaces what was there.
        self.card.guarded(&format!("the weights of {}", self.plan.name()), || {
            let staging = self.card.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("adopted"),
                size: bytes.len().max(4) as u64,
                usage: wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: true,
            });
            let Ok(mut view) = staging.slice(..bytes.len().max(4) as u64).get_mapped_range_mut() else {
                return; // The scope has the reason.
            };
            view.slice(..bytes.len()).copy_from_slice(&bytes);
            drop(view);
            staging.unmap();
            let mut encoder = self.card.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            for &(from, to, at, n) in &copies {
                encoder.copy_buffer_to_buffer(&staging, from as u64, to, at as u64, n as u64);
            }
            self.card.queue.submit([encoder.finish()]);
        })?;
        self.is_adopted = true;
        Ok(())
    }

    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        if !self.is_adopted {
            return Err(Error::new(ErrorKind::Internal, "asked to run a network before anything was adopted"));
        }
        self.plan.check_run(inputs, outputs);
        self.card.check()?;
        self.write_inputs(inputs)?;
        self.submit_and_wait(self.record())?;
        self.read_outputs(outputs)
    }
}

impl Launch {
    fn record(&self, pass: &mut wgpu::ComputePass) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
}

impl Buffers {
    fn new(card: &Card, places: &Places, scalars_bytes: usize) -> Self {
        use wgpu::BufferUsages as Usage;
        let tensors = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
        Self {
            halves: buffer(card, "halves", places.halves_bytes, tensors),
            words: buffer(card, "words", places.words_bytes, tensors),
            weights: buffer(card, "weights", places.weights_bytes, Usage::STORAGE | Usage::COPY_DST),
            biases: buffer(card, "biases", places.biases_bytes, Usage::STORAGE | Usage::COPY_DST),
            scalars: buffer(card, "scalars", scalars_bytes, Usage::UNIFORM | Usage::COPY_DST),
        }
    }

    fn of(&self, store: Store) -> &wgpu::Buffer {
        match store {
            Store::Halves => &self.halves,
            Store::Words => &self.words,
        }
    }

    fn bind(&self, card: &Card, i: usize, step: &steps::Step) -> wgpu::BindGroup {
        let scalars = wgpu::BufferBinding {
            buffer: &self.scalars,
            offset: (i * SCALARS_STRIDE) as u64,
            size: std::num::NonZeroU64::new(4 * step.scalars.len() as u64),
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
            label: Some(step.variant.kernel.name()),
            layout,
            entries: &entries,
        })
    }
}

impl Staging {
    /// Makes a buffer for `parts`, of at least `bytes`. One that is written begins mapped.
    fn new(card: &Card, label: &str, usage: wgpu::BufferUsages, parts: Vec<Part>, bytes: usize) -> Self {
        let is_written = usage == wgpu::BufferUsages::MAP_WRITE;
        let end = parts.last().map_or(0, |part| part.offset + part.bytes);
        let direction = if is_written { wgpu::BufferUsages::COPY_SRC } else { wgpu::BufferUsages::COPY_DST };
        let buffer = card.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: end.max(bytes).max(4).next_multiple_of(4) as u64,
            usage: usage | direction,
            mapped_at_creation: is_written,
        });
        Self { buffer, parts, mapping: Arc::default() }
    }

    fn map(&self, mode: wgpu::MapMode) {
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
    fn is_mapped(&self) -> bool {
        let is_granted = self.mapping.is_granted.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.mapping.answered.wait_timeout_while(is_granted, PATIENCE, |is_granted| is_granted.is_none());
        waited.is_ok_and(|(is_granted, _)| *is_granted == Some(true))
    }
}

fn buffer(card: &Card, label: &str, bytes: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let descriptor =
        wgpu::BufferDescriptor { label: Some(label), size: bytes as u64, usage, mapped_at_creation: false };
    card.device.create_buffer(&descriptor)
}

fn parts(plan: &Plan, places: &Places, role: Role) -> Vec<Part> {
    let mut end = 0;
    let part = |id| {
        let (offset, bytes) = (end, places.padded_bytes(plan, id));
        end = offset + bytes;
        Part { id, offset, bytes }
    };
    plan.of_role(role).map(part).collect()
}
