//! A graphics card, opened: its queue, what it can do, and the pipelines built on it so far.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::kernels::Variant;
use effigy_base::error::{Error, ErrorKind, Result};

/// Which adapters will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Whatever there is, drivers that compute on the processor too: right, but slow.
    Any,
    /// A graphics processor only.
    Gpu,
}

impl Accept {
    fn allows(self, kind: wgpu::DeviceType) -> bool {
        self == Self::Any || kind != wgpu::DeviceType::Cpu
    }
}

/// What went wrong on the device outside of any error scope.
#[derive(Debug, Default)]
struct Faults {
    lost: OnceLock<String>,
    first: OnceLock<String>,
}

/// An opened device. Executors share it, and with it the pipelines they have in common.
#[derive(Debug)]
pub struct Card {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) bindings: wgpu::BindGroupLayout,
    info: wgpu::AdapterInfo,
    pipeline_layout: wgpu::PipelineLayout,
    pipelines: Mutex<HashMap<Variant, wgpu::ComputePipeline>>,
    faults: Arc<Faults>,
}

impl Card {
    /// Opens the best adapter that is acceptable: a card of its own before one beside the processor before the others.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] when there is none, or none can be opened: why the best of them cannot.
    pub fn open(accept: Accept) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let found: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        let acceptable = adapters.into_iter().filter(|adapter| accept.allows(adapter.get_info().device_type)).collect();
        let rank = |adapter: &wgpu::Adapter| rank(adapter.get_info().device_type);
        first_that_opens(acceptable, rank, |adapter| Self::with_adapter(&adapter)).unwrap_or_else(|| {
            let message = if found.is_empty() {
                "no Vulkan, Metal or DirectX 12 driver answers; install the card's driver".to_owned()
            } else {
                format!("no graphics processor; these drivers compute on the processor: {}", found.join(", "))
            };
            Err(Error::new(ErrorKind::BackendUnavailable, message))
        })
    }

    fn with_adapter(adapter: &wgpu::Adapter) -> Result<Self> {
        let info = adapter.get_info();
        let offered = adapter.limits();
        // Only what the kernels need, so that old cards open too; buffers as large as the card allows.
        let required_limits = wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            ..wgpu::Limits::downlevel_defaults()
        };
        let wanted = wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("effigy"),
            required_features: adapter.features() & wanted,
            required_limits,
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).map_err(|error| {
            let message = format!("the graphics card {} cannot be opened", info.name);
            Error::new(ErrorKind::BackendUnavailable, message).because(error)
        })?;

        let faults = Arc::new(Faults::default());
        let lost = Arc::clone(&faults);
        device.set_device_lost_callback(move |reason, message| {
            // The first reason is the one that matters.
            let _ = lost.lost.set(format!("{reason:?}: {message}"));
        });
        let uncaptured = Arc::clone(&faults);
        // Without a handler wgpu panics.
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let _ = uncaptured.first.set(error.to_string());
        }));

        let storage = |binding, read_only| (binding, wgpu::BufferBindingType::Storage { read_only });
        let entries = [
            (0, wgpu::BufferBindingType::Uniform),
            storage(1, false),
            storage(2, false),
            storage(3, true),
            storage(4, true),
        ]
        .map(|(binding, ty)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        });
        let bindings = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some("kernel"), entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("kernel"),
            bind_group_layouts: &[Some(&bindings)],
            immediate_size: 0,
        });
        Ok(Self { device, queue, bindings, info, pipeline_layout, pipelines: Mutex::default(), faults })
    }

    /// Name, interface, and what of it matters here: for messages and the report.
    pub fn describe(&self) -> String {
        let wgpu::AdapterInfo { name, backend, .. } = &self.info;
        let precision = if self.has_f16() { "16 bits" } else { "32 bits" };
        let place = if self.is_cpu() { ", computing on the processor" } else { "" };
        format!("{name} through {backend} in {precision}{place}")
    }

    /// Whether the driver computes on the processor.
    pub fn is_cpu(&self) -> bool {
        self.info.device_type == wgpu::DeviceType::Cpu
    }

    pub(super) fn is_acceptable(&self, accept: Accept) -> bool {
        accept.allows(self.info.device_type)
    }

    /// Whether numbers can be stored in 16 bits.
    pub fn has_f16(&self) -> bool {
        self.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// Whether steps can be timed on the device.
    pub fn has_timestamps(&self) -> bool {
        self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// Gives the device up, as a driver does when it fails: what runs on it ends with [`ErrorKind::DeviceLost`].
    pub fn destroy(&self) {
        self.device.destroy();
        let _ = self.poll(wgpu::PollType::wait_indefinitely());
    }

    /// Waits for the device.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceLost`] when it is gone, or does not answer in time.
    pub(super) fn poll(&self, wait: wgpu::PollType) -> Result<()> {
        let polled = survived(|| self.device.poll(wait), || self.check(), |reason| self.lost(reason))?;
        polled.map_err(|error| self.lost("a frame does not end").because(error))?;
        Ok(())
    }

    /// The pipeline of a kernel's variant; built when it is asked for first.
    pub(super) fn pipeline(&self, variant: Variant) -> Result<wgpu::ComputePipeline> {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = pipelines.get(&variant) {
            return Ok(pipeline.clone());
        }
        let name = variant.kernel.name();
        let pipeline = self.guarded(&format!("the kernel {name}"), || {
            let source = wgpu::ShaderSource::Wgsl(variant.source().into());
            let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(name), source });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(name),
                layout: Some(&self.pipeline_layout),
                module: &module,
                entry_point: Some(name),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes its tiles before it reads them.
                    zero_initialize_workgroup_memory: false,
                    ..Default::default()
                },
                cache: None,
            })
        })?;
        pipelines.insert(variant, pipeline.clone());
        Ok(pipeline)
    }

    /// Runs something that makes objects on the device, and answers its first error.
    ///
    /// # Errors
    /// [`ErrorKind::DeviceLost`] when it is gone, [`ErrorKind::BackendUnavailable`] when it has no room or refuses.
    pub(super) fn guarded<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T> {
        let filters = [wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::Internal];
        let [memory, validation, internal] = filters.map(|filter| self.device.push_error_scope(filter));
        let made = make();
        // Scopes end in reverse order.
        let [internal, validation, memory] =
            [internal, validation, memory].map(|scope| pollster::block_on(scope.pop()));
        self.check()?;
        let unavailable = |message: String| Error::new(ErrorKind::BackendUnavailable, message);
        if let Some(error) = memory {
            let message = format!("the graphics card {} has no room for {what}", self.info.name);
            return Err(unavailable(message).because(error));
        }
        match validation.or(internal) {
            Some(error) => {
                let message = format!("the graphics card {} refuses {what}", self.info.name);
                Err(unavailable(message).because(error))
            }
            None => Ok(made),
        }
    }

    /// Answers what happened to the device since it was opened.
    pub(super) fn check(&self) -> Result<()> {
        match self.faults.lost.get().or(self.faults.first.get()) {
            Some(reason) => Err(self.lost(reason)),
            None => Ok(()),
        }
    }

    pub(super) fn lost(&self, reason: &str) -> Error {
        let name = &self.info.name;
        let message = format!("the graphics card {name} is gone and must be opened again: {reason}");
        Error::new(ErrorKind::DeviceLost, message)
    }
}

/// What a poll answers. wgpu panics in it when the driver says only then that the device is gone; what was said to us
/// about that is the better reason.
fn survived<T>(
    poll: impl FnOnce() -> T,
    check: impl FnOnce() -> Result<()>,
    lost: impl FnOnce(&str) -> Error,
) -> Result<T> {
    let polled = catch_unwind(AssertUnwindSafe(poll));
    check()?;
    polled.map_err(|_| lost("its driver gave up"))
}

/// The first in order of rank that opens, else why the very first does not; `None` where there is none.
fn first_that_opens<A, T>(
    mut adapters: Vec<A>,
    rank: impl Fn(&A) -> u8,
    mut open: impl FnMut(A) -> Result<T>,
) -> Option<Result<T>> {
    adapters.sort_by_key(rank);
    let mut refusal = None;
    for adapter in adapters {
        match open(adapter) {
            Ok(opened) => return Some(Ok(opened)),
            Err(error) => {
                log::warn!("{error}");
                refusal.get_or_insert(error);
            }
        }
    }
    refusal.map(Err)
}

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(reason: &str) -> Error {
        Error::new(ErrorKind::DeviceLost, reason.to_owned())
    }

    #[test]
    fn a_poll_that_panics_is_a_lost_device() {
        let panics = || -> u8 { panic!("Error in Device::poll: Parent device is lost") };
        let error = survived(panics, || Ok(()), lost).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::DeviceLost, "its driver gave up".to_owned()));
        let error = survived(panics, || Err(lost("it was unplugged")), lost).unwrap_err();
        assert_eq!(error.to_string(), "it was unplugged", "what was said is the better reason");
        let error = survived(|| 7, || Err(lost("it was unplugged")), lost).unwrap_err();
        assert_eq!(error.to_string(), "it was unplugged");
        assert_eq!(survived(|| 7, || Ok(()), lost).unwrap(), 7);
    }

    #[test]
    fn the_best_card_that_opens_is_taken_else_the_best_ones_reason_is_said() {
        let cards = vec![("slow", 4), ("first", 0), ("beside", 1), ("second", 0)];
        let try_all = |works: &str| {
            let mut tried = Vec::new();
            let opened = first_that_opens(
                cards.clone(),
                |card| card.1,
                |(name, _)| {
                    tried.push(name);
                    if name == works { Ok(name) } else { Err(lost(name)) }
                },
            );
            (opened.unwrap(), tried)
        };
        let (opened, tried) = try_all("beside");
        assert_eq!((opened.unwrap(), tried), ("beside", vec!["first", "second", "beside"]));
        let (opened, tried) = try_all("none");
        assert_eq!((opened.unwrap_err().to_string(), tried.len()), ("first".to_owned(), 4));
        assert!(first_that_opens(Vec::<u8>::new(), |_| 0, |_| Ok(())).is_none());
    }
}
