//! The card: opened, asked, and what its errors mean.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUresult};
use cudarc::driver::{CudaContext, CudaFunction, CudaGraph, CudaSlice, CudaStream, DriverError, result};

use super::compile;
use super::fault::{lost, unavailable};
use super::launch::KERNELS;
use effigy_base::error::{Error, Result};

/// The oldest driver whose interface the kernels and graphs need: CUDA 12.0, driver 525.
const OLDEST_DRIVER: i32 = 12000;
/// The oldest card whose tensor cores have the shapes of `kernels/cuda/device.h`: Turing.
const OLDEST_CARD: (i32, i32) = (7, 5);
/// So long a stream is asked again and again, which a frame is at its end within on most cards.
const HASTE: Duration = Duration::from_millis(3);
/// How long a wait sleeps between two questions after that.
const NAP: Duration = Duration::from_micros(100);

/// An open card.
pub(super) struct Device {
    context: Arc<CudaContext>,
    name: String,
    capability: (i32, i32),
    n_multiprocessors: u32,
}

impl Device {
    pub(super) fn open() -> Result<Self> {
        #[expect(unsafe_code, reason = "the driver library is loaded at run time")]
        // SAFETY: loads the driver library if it is there, which may be done at any time on any thread. Asked first
        // because every other call panics without it.
        let is_driver_present = unsafe { sys::is_culib_present() };
        if !is_driver_present {
            return Err(unavailable(
                "no NVIDIA driver found (libcuda); install it if this machine has such a card, else choose another \
                 --backend",
            ));
        }
        result::init().map_err(|error| opening(error, 0))?;
        let version = driver_version();
        if version < OLDEST_DRIVER {
            return Err(unavailable(format!(
                "the NVIDIA driver knows CUDA {}.{}, and 12.0 is needed; install driver 525 or newer",
                version / 1000,
                version % 1000 / 10
            )));
        }
        let context = CudaContext::new(0).map_err(|error| opening(error, version))?;
        #[expect(unsafe_code, reason = "cudarc leaves the order of work to us then")]
        // SAFETY: all work of an executor is on its one stream, in order, and the host waits for it before it reads
        // or frees anything; events between streams would only break the recording of a graph.
        unsafe {
            context.disable_event_tracking();
        }
        let name = context.name().map_err(lost)?;
        let capability = context.compute_capability().map_err(lost)?;
        if capability < OLDEST_CARD {
            let (major, minor) = capability;
            return Err(unavailable(format!(
                "{name} has compute capability {major}.{minor}, and 7.5 (Turing) is needed; choose --backend wgpu"
            )));
        }
        let n_multiprocessors =
            context.attribute(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT).map_err(lost)?.max(1) as u32;
        Ok(Self { context, name, capability, n_multiprocessors })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn n_multiprocessors(&self) -> u32 {
        self.n_multiprocessors
    }

    pub(super) fn new_stream(&self) -> Result<Arc<CudaStream>> {
        self.context.new_stream().map_err(lost)
    }

    /// Takes memory on the card.
    pub(super) fn alloc(&self, stream: &Arc<CudaStream>, n_bytes: usize) -> Result<CudaSlice<u8>> {
        #[expect(unsafe_code, reason = "the memory holds nothing yet")]
        // SAFETY: bytes of any value are bytes; every tensor is written by a copy or a kernel before one reads it.
        let memory = unsafe { stream.alloc(n_bytes) };
        memory.map_err(|error| {
            if error.0 != CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                return lost(error);
            }
            let mib = |bytes: usize| bytes.div_ceil(1 << 20);
            let free = self.context.mem_get_info().map_or(0, |(free, _)| free);
            unavailable(format!(
                "{} MiB of memory are needed on {}, and {} are free; close other programs that use the card",
                mib(n_bytes),
                self.name,
                mib(free)
            ))
        })
    }

    /// The kernels, by name.
    pub(super) fn load_kernels(&self) -> Result<HashMap<&'static str, CudaFunction>> {
        let module = compile::load(&self.context, &self.name, self.capability)?;
        KERNELS
            .into_iter()
            .map(|name| {
                let function = module.load_function(name);
                Ok((
                    name,
                    function.map_err(|error| unavailable(format!("no kernel {name} on the card")).because(error))?,
                ))
            })
            .collect()
    }

    /// Records what `work` puts on the stream, to be launched as a whole.
    pub(super) fn record(&self, stream: &Arc<CudaStream>, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL).map_err(lost)?;
        let worked = work();
        // The capture is ended whatever happened, so that the stream can be used and freed.
        let graph = stream.end_capture(sys::CUgraphInstantiate_flags(0));
        worked?;
        let graph = graph.map_err(lost)?.ok_or_else(|| unavailable("the driver recorded nothing"))?;
        graph.upload().map_err(lost)?;
        Ok(Graph(graph))
    }
}

/// Waits until a stream has done its work; answers whether it did so within `patience`.
pub(super) fn wait(stream: &CudaStream, patience: Duration) -> Result<bool> {
    stream.context().bind_to_thread().map_err(lost)?;
    let begin = Instant::now();
    loop {
        #[expect(unsafe_code, reason = "cudarc has no safe form of it")]
        // SAFETY: the stream lives as long as it is borrowed, and its context is current on this thread.
        let status = unsafe { sys::cuStreamQuery(stream.cu_stream()) };
        match status.result() {
            Ok(()) => return Ok(true),
            Err(error) if error.0 == CUresult::CUDA_ERROR_NOT_READY => {}
            Err(error) => return Err(lost(error)),
        }
        match begin.elapsed() {
            waited if waited >= patience => return Ok(false),
            waited if waited < HASTE => thread::yield_now(),
            _ => thread::sleep(NAP),
        }
    }
}

pub(super) fn driver_version() -> i32 {
    let mut version = 0;
    #[expect(unsafe_code, reason = "cudarc has no safe form of it")]
    // SAFETY: the library is there, the pointer is valid; on failure the version stays 0, which is too old.
    unsafe {
        let _ = sys::cuDriverGetVersion(&raw mut version);
    }
    version
}

/// What went wrong before a card was open.
pub(super) fn opening(error: DriverError, version: i32) -> Error {
    let message = match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE | CUresult::CUDA_ERROR_INVALID_DEVICE => {
            "the NVIDIA driver is there, but no card answers: see `nvidia-smi`".to_owned()
        }
        CUresult::CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "the NVIDIA driver was updated while it ran; restart the machine".to_owned()
        }
        CUresult::CUDA_ERROR_STUB_LIBRARY => {
            "libcuda is the toolkit's stub, not a driver; install NVIDIA's driver".to_owned()
        }
        CUresult::CUDA_ERROR_OUT_OF_MEMORY => "the graphics card has no memory left".to_owned(),
        _ => format!("the NVIDIA driver (CUDA {}.{}) cannot be opened", version / 1000, version % 1000 / 10),
    };
    unavailable(message).because(error)
}

/// A recorded frame.
pub(super) struct Graph(CudaGraph);

#[expect(unsafe_code, reason = "the driver's objects are plain pointers")]
// SAFETY: a graph may be used from any thread, one at a time; launching takes the executor by `&mut`, and binds the
// context to the thread first.
unsafe impl Send for Graph {}

impl Graph {
    pub(super) fn launch(&mut self) -> std::result::Result<(), DriverError> {
        self.0.launch()
    }
}

/// Memory of the host that the card copies from and to by itself.
pub(super) struct Pinned {
    at: *mut u8,
    len: usize,
    context: Arc<CudaContext>,
}

#[expect(unsafe_code, reason = "the driver's memory is a plain pointer")]
// SAFETY: this owns the memory, which belongs to the process and not to a thread.
unsafe impl Send for Pinned {}

#[expect(unsafe_code, reason = "memory of the driver's own")]
impl Pinned {
    pub(super) fn new(len: usize, device: &Device) -> Result<Self> {
        device.context.bind_to_thread().map_err(lost)?;
        // SAFETY: the context is current on this thread.
        let at: *mut c_void = unsafe { result::malloc_host(len, 0) }.map_err(|error| {
            if error.0 != CUresult::CUDA_ERROR_OUT_OF_MEMORY {
                return lost(error);
            }
            let mib = len.div_ceil(1 << 20);
            unavailable(format!(
                "cannot lock {mib} MiB of this machine's memory for copies to the card; close other programs"
            ))
            .because(error)
        })?;
        // SAFETY: `at` is `len` bytes of fresh memory; from here on all of it is initialised.
        unsafe { at.cast::<u8>().write_bytes(0, len) };
        Ok(Self { at: at.cast(), len, context: device.context.clone() })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `new` took and initialised `len` bytes, and they live as long as this. The card writes them only
        // between the launch of a graph and the end of the wait for it, both within one `&mut` call; where that wait
        // was given up, the executor reads and writes no more.
        unsafe { std::slice::from_raw_parts(self.at, self.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as `bytes`; `&mut self` makes it the only one.
        unsafe { std::slice::from_raw_parts_mut(self.at, self.len) }
    }

    /// A part as the target of a recorded copy: written by the card at later launches.
    #[expect(clippy::mut_from_ref, reason = "recording a copy takes a slice and writes nothing")]
    pub(super) fn part(&self, offset: usize, len: usize) -> &mut [u8] {
        assert!(offset + len <= self.len, "a copy of {len} bytes to {offset} of {}", self.len);
        // SAFETY: inside of the memory; the caller only records its address and drops it.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(offset), len) }
    }
}

impl Drop for Pinned {
    #[expect(unsafe_code, reason = "memory of the driver's own")]
    fn drop(&mut self) {
        let _ = self.context.bind_to_thread();
        // SAFETY: taken by `new`, freed once; no copy is under way, since `run` waits for each, and where a wait was
        // given up this is not dropped. A failure means that the card is gone, and the memory with it.
        let _ = unsafe { result::free_host(self.at.cast()) };
    }
}
