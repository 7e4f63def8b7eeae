//! The texts of the kernels, each specialised for what is known when a plan is prepared.

use std::fmt::Write as _;

const MEMORY: &str = include_str!("../../../../kernels/memory.wgsl");
const SAMPLE: &str = include_str!("../../../../kernels/sample.wgsl");
const TILE: &str = include_str!("../../../../kernels/tile.wgsl");

/// How numbers of [`crate::plan::Element::Half`] are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Precision {
    /// In 16 bits; sums are f32 all the same.
    F16,
    /// In 32 bits.
    F32,
}

impl Precision {
    /// Bytes that a number takes.
    pub fn bytes(self) -> usize {
        match self {
            Self::F16 => 2,
            Self::F32 => 4,
        }
    }
}

/// One of `kernels/NAME.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Conv2d(Tiling),
    UpConv2d(Tiling),
    Warp,
    Motion,
    Raster,
    Finish,
}

/// Constants of a convolution's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    kernel: u32,
    stride: u32,
    /// Rows of pixels that a block makes, 8 pixels each.
    rows: u32,
    /// Channels of x in workgroup memory at a time.
    depth: u32,
}

impl Tiling {
    /// Columns of pixels that a block makes.
    pub(super) const COLUMNS: u32 = 8;

    /// The tiling of a convolution: few channels of y leave the threads to more rows.
    ///
    /// Tiles stay below 16 KiB, all that the smallest devices promise.
    pub(super) fn new(kernel: u32, stride: u32, c_out: u32) -> Self {
        let rows = match c_out {
            // A stride of 2 would need 65 rows of x.
            0..=8 if stride == 1 => 32,
            0..=16 => 16,
            _ => 8,
        };
        let depth = if (kernel, stride) == (1, 1) { (256 / rows).min(16) } else { 4 };
        Self { kernel, stride, rows, depth }
    }

    /// The tiling of one phase of an upsampling convolution.
    pub(super) fn upsampling(c_out: u32) -> Self {
        let Self { rows, .. } = Self::new(3, 1, c_out);
        Self { kernel: 2, stride: 1, rows, depth: 8 }
    }

    /// Rows of pixels that a block makes.
    pub(super) fn rows(self) -> u32 {
        self.rows
    }

    /// Channels of y that a block makes: 64 threads, each 4 pixels of 8 channels.
    pub(super) fn channels(self) -> u32 {
        8 * 64 / (2 * self.rows)
    }
}

impl Kernel {
    /// The file's stem and the entry point's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Conv2d(_) => "conv2d",
            Self::UpConv2d(_) => "upconv2d",
            Self::Warp => "warp",
            Self::Motion => "motion",
            Self::Raster => "raster",
            Self::Finish => "finish",
        }
    }

    fn texts(self) -> [&'static str; 2] {
        match self {
            Self::Conv2d(_) => [TILE, include_str!("../../../../kernels/conv2d.wgsl")],
            Self::UpConv2d(_) => [TILE, include_str!("../../../../kernels/upconv2d.wgsl")],
            Self::Warp => [SAMPLE, include_str!("../../../../kernels/warp.wgsl")],
            Self::Motion => ["", include_str!("../../../../kernels/motion.wgsl")],
            Self::Raster => ["", include_str!("../../../../kernels/raster.wgsl")],
            Self::Finish => [SAMPLE, include_str!("../../../../kernels/finish.wgsl")],
        }
    }
}

/// A kernel and what its text is specialised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    pub(super) kernel: Kernel,
    pub(super) precision: Precision,
    /// Whether x is stored in 32 bits whatever the precision.
    pub(super) x_is_exact: bool,
}

impl Variant {
    /// The whole text.
    pub(super) fn source(self) -> String {
        let mut source = match self.precision {
            Precision::F16 => "enable f16;\nalias half = f16;\n".to_owned(),
            Precision::F32 => "alias half = f32;\n".to_owned(),
        };
        let _ = writeln!(source, "const x_is_exact = {};", self.x_is_exact);
        if let Kernel::Conv2d(Tiling { kernel, stride, rows, depth })
        | Kernel::UpConv2d(Tiling { kernel, stride, rows, depth }) = self.kernel
        {
            let constants = [("kernel", kernel), ("stride", stride), ("rows", rows), ("depth", depth)];
            for (name, value) in constants {
                let _ = writeln!(source, "const {name} = {value}u;");
            }
        }
        source.push_str(MEMORY);
        for text in self.kernel.texts() {
            source.push_str(text);
        }
        source
    }
}

#[cfg(test)]
pub(super) mod tests {
    use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};
    use wgpu::naga::{AddressSpace, TypeInner, front::wgsl};

    use super::*;

    /// All variants that a plan can ask for.
    fn variants() -> Vec<Variant> {
        let mut kernels = vec![Kernel::Warp, Kernel::Motion, Kernel::Raster, Kernel::Finish];
        for c_out in [1, 9, 17] {
            for (kernel, stride) in [(1, 1), (1, 2), (3, 1), (3, 2)] {
                kernels.push(Kernel::Conv2d(Tiling::new(kernel, stride, c_out)));
            }
            kernels.push(Kernel::UpConv2d(Tiling::upsampling(c_out)));
        }
        let forms = [Precision::F16, Precision::F32].into_iter().flat_map(|p| [(p, false), (p, true)]);
        let variant = |(precision, x_is_exact), kernel| Variant { kernel, precision, x_is_exact };
        forms.flat_map(|form| kernels.iter().map(move |&kernel| variant(form, kernel))).collect()
    }

    #[test]
    fn every_variant_is_valid_and_its_tiles_fit_the_smallest_devices() {
        let capacity = wgpu::Limits::downlevel_defaults().max_compute_workgroup_storage_size;
        for variant in variants() {
            let source = variant.source();
            let module = wgsl::parse_str(&source)
                .unwrap_or_else(|error| panic!("{variant:?}: {}", error.emit_to_string(&source)));
            let capabilities = match variant.precision {
                Precision::F16 => Capabilities::SHADER_FLOAT16,
                Precision::F32 => Capabilities::empty(),
            };
            Validator::new(ValidationFlags::all(), capabilities)
                .validate(&module)
                .unwrap_or_else(|error| panic!("{variant:?}: {}", error.emit_to_string(&source)));
            let tiles: u32 = module
                .global_variables
                .iter()
                .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
                .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
                .sum();
            assert!(tiles <= capacity, "{variant:?}: tiles of {tiles} bytes, {capacity} are promised");
            let entry = &module.entry_points[0];
            assert_eq!((module.entry_points.len(), entry.name.as_str()), (1, variant.kernel.name()));
            assert!(entry.workgroup_size.iter().product::<u32>() == 64);
        }
    }

    /// Names, offsets and size of the scalars in a kernel's text.
    pub(in crate::wgpu) fn scalars_in_text(variant: Variant) -> (Vec<(String, u32)>, u32) {
        let module = wgsl::parse_str(&variant.source()).unwrap();
        let (_, scalars) =
            module.global_variables.iter().find(|(_, variable)| variable.space == AddressSpace::Uniform).unwrap();
        let TypeInner::Struct { members, span } = &module.types[scalars.ty].inner else {
            panic!("{variant:?}: the scalars are no struct");
        };
        let places = members.iter().map(|member| {
            let size = module.types[member.ty].inner.size(module.to_ctx());
            assert_eq!(size, 4, "{variant:?}: {:?} is no scalar of 32 bits", member.name);
            (member.name.clone().unwrap(), member.offset)
        });
        (places.collect(), *span)
    }
}
