//! Replays a plan on an NVIDIA card: our own kernels, one graph for each plan, one launch and one wait a frame.
//!
//! Activations lie with channels innermost, each pixel's channels padded to a multiple of 8: 16 bytes are 8 channels
//! of one pixel, which is what tensor cores, copies and bilinear taps want. Places in a picture stay in planes of f32.
//! The order of a plan's values, (c, h, w), ends at the copies from and to the host.
//!
//! The kernels come from `kernels/*.cu`: compiled by NVRTC at first start and kept in the user's cache folder, or at
//! build time by the feature `cuda-ptx`. All `unsafe` of this backend is in this file, `device.rs` and `compile.rs`.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::Duration;

use cudarc::driver::sys::CUevent_flags;
use cudarc::driver::{CudaFunction, CudaSlice, CudaStream, DevicePtr as _, DriverError, result};

use super::plan::{Adoption, Executor, Plan, Role, TensorId, TensorView, TensorViewMut};
use effigy_base::error::{Error, ErrorKind, Result};

use device::{Device, Graph, Pinned};
use fault::{lost, unavailable};
use launch::Launch;
use memory::Memory;

mod compile;
mod device;
mod fault;
mod launch;
mod memory;
mod pack;
mod values;

/// Threads of a block, in every kernel.
const THREADS: u32 = 128;

/// A frame that takes longer never ends; drivers give up earlier.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a frame is to the card.
enum Frame {
    /// Copies and kernels, recorded once, launched as a whole. The graph needs the kernels' code and is dropped first.
    Graph { graph: Graph, _kernels: HashMap<&'static str, CudaFunction> },
    /// Kernels that are launched one after the other.
    Launches(HashMap<&'static str, CudaFunction>, Vec<Launch>),
}

/// What the card works with.
struct Held {
    // Dropped in this order: the frame names the memory below it.
    frame: Frame,
    inputs: Pinned,
    outputs: Pinned,
    arena: CudaSlice<u8>,
    adopted: CudaSlice<u8>,
    stream: Arc<CudaStream>,
}

/// Replays one plan on one card.
pub struct CudaExecutor {
    /// Left behind when a frame does not end: the card may still read and write all of it, and giving any of it back
    /// would wait for the card.
    held: ManuallyDrop<Held>,
    is_hung: bool,
    patience: Duration,
    memory: Memory,
    plan: Plan,
    card: String,
    has_adopted: bool,
}

impl std::fmt::Debug for CudaExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CudaExecutor")
            .field("card", &self.card)
            .field("plan", &self.plan.name())
            .finish_non_exhaustive()
    }
}

impl CudaExecutor {
    /// Opens the first card, compiles the kernels if that was not done before, takes all memory and records the graph.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] without driver, card, compiler or memory; the message says which and what to
    /// do. [`ErrorKind::DeviceLost`] when the card fails on the way.
    pub fn new(plan: Plan) -> Result<Self> {
        Self::open(plan, true)
    }

    /// The same, but without a graph: each copy and kernel is launched by itself, for comparison.
    ///
    /// # Errors
    /// As [`CudaExecutor::new`].
    pub fn without_graph(plan: Plan) -> Result<Self> {
        Self::open(plan, false)
    }

    fn open(plan: Plan, is_recorded: bool) -> Result<Self> {
        if let Some(layer) = plan.linear_layer() {
            return Err(no_linear(layer));
        }
        let device = Device::open()?;
        let memory = Memory::new(&plan);
        let kernels = device.load_kernels()?;
        let stream = device.new_stream()?;
        let arena = device.alloc(&stream, memory.arena_bytes())?;
        let mut adopted = device.alloc(&stream, memory.adopted_bytes())?;
        let inputs = Pinned::new(memory.input_bytes(), &device)?;
        let outputs = Pinned::new(memory.output_bytes(), &device)?;
        let fixed = memory.fixed();
        stream.memcpy_htod(fixed, &mut adopted.slice_mut(memory.fixed_offset()..)).map_err(lost)?;

        let (arena_at, adopted_at) = (address(&arena, &stream), address(&adopted, &stream));
        let launches = launch::launches(&plan, &memory, arena_at, adopted_at, device.n_multiprocessors())?;
        let frame = if is_recorded {
            let put = || put(&stream, &kernels, &launches, (&memory, arena_at), (&inputs, &outputs));
            let graph = device.record(&stream, put)?;
            Frame::Graph { graph, _kernels: kernels }
        } else {
            Frame::Launches(kernels, launches)
        };
        let held = ManuallyDrop::new(Held { frame, inputs, outputs, arena, adopted, stream });
        let card = device.name().to_owned();
        let mut new = Self { held, is_hung: false, patience: PATIENCE, memory, plan, card, has_adopted: false };
        new.wait()?;
        Ok(new)
    }

    /// Sets how long a frame is waited for, else a minute: one that takes longer is given up, and the card with it.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// Puts a frame on the stream, and waits for nothing.
    fn launch(&mut self) -> Result<()> {
        let held = &mut *self.held;
        match &mut held.frame {
            Frame::Graph { graph, .. } => graph.launch().map_err(lost),
            Frame::Launches(kernels, launches) => {
                let arena_at = address(&held.arena, &held.stream);
                put(&held.stream, kernels, launches, (&self.memory, arena_at), (&held.inputs, &held.outputs))
            }
        }
    }

    /// Waits for all that is on the stream, and gives the card up when that does not end.
    fn wait(&mut self) -> Result<()> {
        self.check()?;
        self.is_hung = !device::wait(&self.held.stream, self.patience)?;
        self.check()
    }

    /// Answers whether the card was given up.
    fn check(&self) -> Result<()> {
        if self.is_hung {
            return Err(Error::new(ErrorKind::DeviceLost, "the graphics card hangs: a frame does not end"));
        }
        Ok(())
    }

    /// How long each of `n` frames takes on the card, in milliseconds: from the first copy to the end of the last one, of
    /// what the inputs hold.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn frames_on_card_ms(&mut self, n: usize) -> Result<Vec<f32>> {
        let now = |stream: &CudaStream| stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(lost);
        self.check()?;
        let mut frames_ms = Vec::with_capacity(n);
        for _ in 0..n {
            let begun = now(&self.held.stream)?;
            self.launch()?;
            let ended = now(&self.held.stream)?;
            self.wait()?;
            frames_ms.push(begun.elapsed_ms(&ended).map_err(lost)?);
        }
        Ok(frames_ms)
    }

    /// The card's name.
    pub fn card(&self) -> &str {
        &self.card
    }

    /// Bytes of memory taken on the card.
    pub fn device_bytes(&self) -> usize {
        self.memory.arena_bytes() + self.memory.adopted_bytes()
    }
}

impl Drop for CudaExecutor {
    #[expect(unsafe_code, reason = "what a card that hangs may still use is not given back")]
    fn drop(&mut self) {
        // After a failed wait a frame may still be under way, and it writes into the staging memory.
        let _ = self.wait();
        if self.is_hung {
            return;
        }
        // SAFETY: given back here and nowhere else, and nothing uses it after.
        unsafe { ManuallyDrop::drop(&mut self.held) };
    }
}

impl Executor for CudaExecutor {
    fn backend(&self) -> &str {
        "cuda"
    }

    fn device(&self) -> String {
        self.card.clone()
    }

    fn plan(&self) -> &Plan {
        &self.plan
    }

    fn adopt(&mut self, adoption: &Adoption) -> Result<()> {
        adoption.check(&self.plan);
        self.check()?;
        let packed = self.memory.pack(&self.plan, adoption);
        // One copy into the place that the graph reads, between two frames: nothing to record again.
        let Held { adopted, stream, .. } = &mut *self.held;
        stream.memcpy_htod(&packed, &mut adopted.slice_mut(..packed.len())).map_err(lost)?;
        self.wait()?;
        self.has_adopted = true;
        Ok(())
    }

    fn run(&mut self, inputs: &[TensorView], outputs: &mut [TensorViewMut]) -> Result<()> {
        if !self.has_adopted {
            return Err(Error::new(ErrorKind::Internal, "asked to run a network before anything was adopted"));
        }
        self.plan.check_run(inputs, outputs);
        self.check()?;
        for ((id, offset), values) in self.memory.inputs().zip(inputs) {
            let bytes = self.memory.bytes(id);
            let to = &mut self.held.inputs.bytes_mut()[offset..][..bytes];
            values::encode(self.plan.tensor(id), self.memory.pitch(&self.plan, id), *values, to);
        }
        self.launch()?;
        self.wait()?;
        for ((id, offset), values) in self.memory.outputs().zip(outputs) {
            let from = &self.held.outputs.bytes()[offset..][..self.memory.bytes(id)];
            values::decode(self.plan.tensor(id), self.memory.pitch(&self.plan, id), from, values);
        }
        Ok(())
    }
}

/// Puts a frame's copies and kernels on a stream, in order.
#[expect(unsafe_code, reason = "copies and kernels are given by address: three places, each with its reason")]
fn put(
    stream: &CudaStream,
    kernels: &HashMap<&'static str, CudaFunction>,
    launches: &[Launch],
    (memory, arena_at): (&Memory, u64),
    (inputs, outputs): (&Pinned, &Pinned),
) -> Result<()> {
    for (id, offset) in memory.inputs() {
        let bytes = &inputs.bytes()[offset..][..memory.bytes(id)];
        // SAFETY: the source is pinned and lives as long as the frame, which is dropped before it; the target is this
        // tensor's place in the arena, where `Memory` gave it as many bytes.
        unsafe { result::memcpy_htod_async(arena_at + memory.offset(id), bytes, stream.cu_stream()) }.map_err(lost)?;
    }
    for Launch { kernel, grid, arguments } in launches {
        let function = &kernels[*kernel];
        let mut pointers: Vec<_> = arguments.iter().map(launch::Argument::as_ptr).collect();
        // SAFETY: `launches` gives each kernel the parameters that its source declares, in that order (tests/kernels.rs
        // runs every kind, tests/cuda.rs compares the structs); the plan checked the shapes when it was recorded, and
        // `Memory` placed every tensor inside of the arena or the adopted values.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (grid[0], grid[1], grid[2]),
                (THREADS, 1, 1),
                0,
                stream.cu_stream(),
                &mut pointers,
            )
        }
        .map_err(lost)?;
    }
    for (id, offset) in memory.outputs() {
        let to = outputs.part(offset, memory.bytes(id));
        // SAFETY: as above, the other way; nothing reads the target before `run` has waited.
        unsafe { result::memcpy_dtoh_async(to, arena_at + memory.offset(id), stream.cu_stream()) }.map_err(lost)?;
    }
    Ok(())
}

fn address(memory: &CudaSlice<u8>, stream: &CudaStream) -> u64 {
    memory.device_ptr(stream).0
}

/// What this card is, or why there is none; for the list of devices.
///
/// # Errors
/// As [`CudaExecutor::new`], without touching kernels or memory.
pub fn probe() -> Result<String> {
    Device::open().map(|device| device.name().to_owned())
}

/// Why the driver names no cards; for the list of devices.
pub(crate) fn no_cards(error: DriverError) -> Error {
    device::opening(error, device::driver_version())
}

/// A layer that runs on the processor only.
fn no_linear(layer: &str) -> Error {
    unavailable(format!(
        "{layer}: expected convolutions, found a linear layer, for which there is no CUDA kernel; choose \
        --backend cpu"
    ))
}

/// An op that the kernels do not know in this form.
fn unsupported(layer: &str, what: &str) -> Error {
    unavailable(format!("{layer}: the CUDA kernels read {what}; choose --backend cpu or wgpu"))
}

/// The order of inputs, outputs and constants is the plan's.
fn of_role(plan: &Plan, role: Role) -> Vec<TensorId> {
    plan.of_role(role).collect()
}
