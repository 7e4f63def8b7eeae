//! Replays a plan on any graphics card through wgpu: Vulkan, Metal, DirectX 12.
//!
//! All tensors live in two buffers on the device, weights and biases in two more; a step is a pipeline, a bind group
//! with its scalars, and a grid, all prepared when the executor is made. A frame is one command buffer: inputs are
//! copied from a staging buffer that stays mapped between frames, the steps run in one pass, outputs are copied to a
//! second staging buffer, and the host waits once.
//!
//! What a frame costs beside the kernels: wgpu's command buffers serve once, so each frame records its steps again,
//! and wgpu allocates host memory for the recording, the pass, the submission and the two mappings, about a hundred
//! times a frame; nothing on the device. `crates/network/tests/wgsl.rs` counts and bounds it. Every step may write to the same two
//! buffers, so that wgpu has each wait for the one before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::plan::{Adoption, Executor, Plan, TensorView, TensorViewMut};
use effigy_base::error::{Error, ErrorKind, Result};

use buffers::Buffers;
use memory::{Memory, Packed};
use staging::Staging;
use timing::Timing;

pub use card::{Accept, Card};
pub use kernels::Precision;

mod buffers;
mod card;
mod kernels;
mod launch;
mod memory;
mod pack;
mod staging;
mod timing;
mod values;

/// A frame that takes longer never ends; drivers give up earlier.
const PATIENCE: Duration = Duration::from_secs(60);

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
    memory: Memory,
    dispatches: Vec<Dispatch>,
    buffers: Buffers,
    upload: Staging,
    download: Staging,
    timing: Option<Timing>,
    is_adopted: bool,
}

/// A launch, ready.
#[derive(Debug)]
struct Dispatch {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    grid: [u32; 3],
}

impl Dispatch {
    fn record(&self, pass: &mut wgpu::ComputePass) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        let [x, y, z] = self.grid;
        pass.dispatch_workgroups(x, y, z);
    }
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
        if let Some(layer) = plan.linear_layer() {
            return Err(launch::no_linear(layer));
        }
        let memory = Memory::new(&plan, precision);
        let launches = launch::launches(&plan, &memory, precision)?;
        let pipelines: Vec<_> = launches.iter().map(|launch| card.pipeline(launch.variant)).collect::<Result<_>>()?;
        let (buffers, bindings, [upload, download]) =
            card.guarded(&format!("the memory of {}", plan.name()), || {
                let buffers = Buffers::new(card, &memory, &launches);
                let bind = |(i, launch)| buffers.bind(card, i, launch);
                let bindings: Vec<_> = launches.iter().enumerate().map(bind).collect();
                let upload = Staging::for_inputs(card, &plan, &memory);
                let (download, _) = Staging::for_outputs(card, &plan, &memory, 0);
                (buffers, bindings, [upload, download])
            })?;
        let ready = launches.iter().zip(pipelines).zip(bindings);
        let dispatches =
            ready.map(|((launch, pipeline), bindings)| Dispatch { pipeline, bindings, grid: launch.grid }).collect();
        let card = Arc::clone(card);
        Ok(Self {
            card,
            plan,
            precision,
            memory,
            dispatches,
            buffers,
            upload,
            download,
            timing: None,
            is_adopted: false,
        })
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
        self.buffers.n_bytes() + self.upload.buffer.size() + self.download.buffer.size()
    }

    /// Times each step on the device from the next frame on, or no longer. Timed steps run in passes of their own, so
    /// that they cannot overlap: their sum is more than a frame takes.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when the card has no clock for it.
    pub fn time_steps(&mut self, is_wanted: bool) -> Result<()> {
        let n_steps = self.dispatches.len();
        if is_wanted && !Timing::is_possible(&self.card, n_steps) {
            let message = format!("{} cannot time {n_steps} steps", self.card.describe());
            return Err(Error::new(ErrorKind::BackendUnavailable, message));
        }
        let stamps_bytes = if is_wanted { Timing::n_bytes(n_steps) } else { 0 };
        let card = &self.card;
        (self.download, self.timing) = card.guarded("time stamps", || {
            let (download, offset) = Staging::for_outputs(card, &self.plan, &self.memory, stamps_bytes);
            (download, is_wanted.then(|| Timing::new(card, n_steps, offset)))
        })?;
        Ok(())
    }

    /// What each step of the last frame took, by layer; empty when steps are not timed.
    pub fn step_times(&self) -> impl Iterator<Item = (&str, Duration)> {
        let times = self.timing.as_ref().map_or(&[][..], Timing::steps);
        self.plan.steps().iter().zip(times).map(|((layer, _), &time)| (layer.as_str(), time))
    }

    fn record(&self) -> wgpu::CommandBuffer {
        let device = &self.card.device;
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("frame") });
        self.upload.copy_up(&mut encoder, &self.buffers, &self.memory);
        match &self.timing {
            None => {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for dispatch in &self.dispatches {
                    dispatch.record(&mut pass);
                }
            }
            Some(timing) => {
                for (dispatch, step) in self.dispatches.iter().zip(0..) {
                    dispatch.record(&mut timing.begin_pass(&mut encoder, step));
                }
                timing.copy_down(&mut encoder, &self.download.buffer);
            }
        }
        self.download.copy_down(&mut encoder, &self.buffers, &self.memory);
        encoder.finish()
    }

    fn submit_and_wait(&self, commands: wgpu::CommandBuffer) -> Result<()> {
        let submission = self.card.queue.submit([commands]);
        self.download.map(wgpu::MapMode::Read);
        self.upload.map(wgpu::MapMode::Write);
        let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(PATIENCE) };
        self.card.poll(wait)?;
        if self.download.is_mapped() && self.upload.is_mapped() {
            return Ok(());
        }
        Err(self.card.lost("its memory cannot be read"))
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
        let Packed { bytes, parts } = self.memory.pack(&self.plan, adoption);
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
            for part in &parts {
                let (to, at) = (self.buffers.of(part.to), part.offset as u64);
                encoder.copy_buffer_to_buffer(&staging, part.from as u64, to, at, part.len as u64);
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
        self.upload.write(&self.card, &self.memory, inputs)?;
        self.submit_and_wait(self.record())?;
        self.download.read(&self.card, &self.memory, outputs, |bytes| {
            if let Some(timing) = &mut self.timing {
                timing.read(bytes);
            }
        })
    }
}
