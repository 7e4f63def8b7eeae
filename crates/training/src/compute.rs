//! What the arithmetic of training runs on.

pub use burn::tensor::Device;

/// One of Burn's backends that this build has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compute {
    /// Burn's own, on the processor.
    Flex,
    /// LibTorch on the processor.
    #[cfg(feature = "tch")]
    Torch,
    /// LibTorch on an NVIDIA card.
    #[cfg(feature = "tch")]
    TorchCuda,
    /// Any graphics card, through wgpu.
    #[cfg(feature = "wgpu")]
    Wgpu,
}

impl Compute {
    /// All that this build has.
    pub const ALL: &[Self] = &[
        Self::Flex,
        #[cfg(feature = "tch")]
        Self::Torch,
        #[cfg(feature = "tch")]
        Self::TorchCuda,
        #[cfg(feature = "wgpu")]
        Self::Wgpu,
    ];

    /// The fastest on a processor.
    pub const fn best() -> Self {
        #[cfg(feature = "tch")]
        let best = Self::Torch;
        #[cfg(not(feature = "tch"))]
        let best = Self::Flex;
        best
    }

    /// The one that has this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|compute| compute.name() == name)
    }

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            #[cfg(feature = "tch")]
            Self::Torch => "torch",
            #[cfg(feature = "tch")]
            Self::TorchCuda => "torch-cuda",
            #[cfg(feature = "wgpu")]
            Self::Wgpu => "wgpu",
        }
    }

    /// What it is, in a line.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Flex => "Burn's own, in Rust",
            #[cfg(feature = "tch")]
            Self::Torch => "LibTorch",
            #[cfg(feature = "tch")]
            Self::TorchCuda => "LibTorch on an NVIDIA card",
            #[cfg(feature = "wgpu")]
            Self::Wgpu => "Any graphics card, through wgpu",
        }
    }

    /// The device of its tensors.
    #[cfg_attr(
        feature = "tch",
        expect(deprecated, reason = "Burn means to drop LibTorch, which is still its fastest backend on a processor")
    )]
    pub fn device(self) -> Device {
        match self {
            Self::Flex => Device::flex(),
            #[cfg(feature = "tch")]
            Self::Torch => Device::libtorch(),
            #[cfg(feature = "tch")]
            Self::TorchCuda => Device::libtorch_cuda(0),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        }
    }
}
