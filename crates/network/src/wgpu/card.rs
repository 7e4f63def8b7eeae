//! A graphics card, opened: its queue, what it can do, and the pipelines built on it so far.

use std::collections::HashMap;
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
    /// [`ErrorKind::BackendUnavailable`] when there is none, or it cannot be opened.
    pub fn open(accept: Accept) -> Result<Self> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let found: Vec<_> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        let best = adapters
            .into_iter()
            .filter(|adapter| accept.allows(adapter.get_info().device_type))
            .min_by_key(|adapter| rank(adapter.get_info().device_type));
        let Some(adapter) = best else {
            let message = if found.is_empty() {
                "no Vulkan, Metal or DirectX 12 driver answers; install the card's driver".to_owned()
            } else {
                format!("no graphics processor; these drivers compute on the processor: {}", found.join(", "))
            };
            return Err(Error::new(ErrorKind::BackendUnavailable, message));
        };
        Self::with_adapter(&adapter)
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
        let _ = self.device.poll(wgpu::PollType::wait_indefinitely());
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

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}
