//! The families that a face can be driven through by a latent: their plans and their weights.
//!
//! An encoder makes 200 numbers of a picture, a decoder a picture of 200 numbers. A face is driven by *latent
//! differences*: what the driver's picture adds to the latent of the driver at rest is added to the photo's.
//!
//! Seven convolutions and three linear layers, counted over both networks: three convolutions of stride 2 that halve the
//! picture, two linear layers for mean and log variance; one linear layer back, three transposed convolutions that mirror
//! the others, and one convolution for the colours. `vae-gan` is the same network, taught with an adversary beside.

use std::path::Path;

use safetensors::SafeTensors;

use crate::plan::{Activation, ConvSpec, Element, Param, Plan, Recorder, Shape};
use crate::tensors::{self, Tensors, misfit};
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::random::Rng;

/// Numbers of a latent.
pub const N_LATENT: usize = 200;

/// Widths and heights of the pictures, in pixels.
pub const SIZES_PX: [usize; 2] = [64, 128];

/// The largest file accepted, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 28;

/// Which family weights are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reconstruction and Kullback–Leibler divergence.
    Vae,
    /// The same with an adversary.
    VaeGan,
}

impl Kind {
    /// Every family that can drive a face.
    pub const ALL: [Self; 2] = [Self::Vae, Self::VaeGan];

    /// What the command line and the files call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vae => "vae",
            Self::VaeGan => "vae-gan",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Records the encoder of pictures of `size_px`: picture (3, s, s) in 0..1 to mean and log variance, (200, 1, 1) each.
pub fn encoder(size_px: usize) -> Plan {
    let mut r = Recorder::new(format!("family encoder {size_px}"));
    let mut x = r.input("picture", Shape::new(3, size_px, size_px), Element::Half);
    for (i, c) in widths(size_px).into_iter().enumerate() {
        x = r.conv2d(&format!("encoder.conv{}", i + 1), x, ConvSpec::new(c).stride(2));
    }
    for head in ["encoder.mean", "encoder.log_variance"] {
        let y = r.linear(head, x, Shape::new(N_LATENT, 1, 1), Activation::None);
        r.output(y);
    }
    r.end()
}

/// Records the decoder of pictures of `size_px`: latent (200, 1, 1) to picture (3, s, s) in 0..1.
pub fn decoder(size_px: usize) -> Plan {
    let mut r = Recorder::new(format!("family decoder {size_px}"));
    let latent = r.input("latent", Shape::new(N_LATENT, 1, 1), Element::Half);
    let [first, second, deepest] = widths(size_px);
    let side = size_px / 8;
    let mut x = r.linear("decoder.linear", latent, Shape::new(deepest, side, side), Activation::Leaky);
    for (i, c) in [second, first, first / 2].into_iter().enumerate() {
        x = r.up_conv2d(&format!("decoder.up{}", i + 1), x, ConvSpec::new(c));
    }
    let y = r.conv2d("decoder.out", x, ConvSpec::new(3).activation(Activation::Sigmoid));
    r.output(y);
    r.end()
}

/// Channels after each of the encoder's convolutions. The linear layers hold most weights, so a larger picture has fewer
/// channels before them.
fn widths(size_px: usize) -> [usize; 3] {
    [32, 64, if size_px > 64 { 32 } else { 64 }]
}

/// Random weights of the plans' layers, the same for the same seed: of a size that lets activations keep theirs from layer
/// to layer (He et al. 2015, for leaky units).
pub fn random(plans: &[&Plan], seed: u64) -> Tensors {
    let mut rng = Rng::new(seed, 0);
    let params = plans.iter().flat_map(|plan| plan.params());
    let tensors = params.map(|Param { name, dims }| {
        let n: usize = dims.iter().product();
        // Of the four phases of a transposed convolution each reads 2×2 taps.
        let fan_in: usize = if dims.len() == 5 { dims[2..].iter().product() } else { dims[1..].iter().product() };
        let deviation = (2.0 / (1.04 * fan_in as f32)).sqrt();
        let values = if dims.len() == 1 { vec![0.0; n] } else { (0..n).map(|_| deviation * rng.normal()).collect() };
        (name.clone(), (dims.clone(), values))
    });
    tensors.collect()
}

/// The weights of a family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    kind: Kind,
    size_px: usize,
    tensors: Tensors,
}

impl Family {
    /// Takes weights over.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for a size that is none of [`SIZES_PX`]; [`ErrorKind::Model`] when a tensor of its plans is
    /// missing or of other extents.
    pub fn new(kind: Kind, size_px: usize, tensors: Tensors) -> Result<Self> {
        for Param { name, dims } in expected(size_px)? {
            match tensors.get(&name) {
                Some((found, values)) if *found == dims && values.len() == dims.iter().product::<usize>() => {}
                Some((found, _)) => return Err(misfit(&name, &dims, &format!("{found:?}"))),
                None => return Err(misfit(&name, &dims, "nothing")),
            }
        }
        Ok(Self { kind, size_px, tensors })
    }

    /// The weights that belong to the program; models/families/README.md says what they were trained on.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the program was built from a torn file.
    pub fn built_in(kind: Kind) -> Result<Self> {
        Self::from_bytes(match kind {
            Kind::Vae => include_bytes!("../../../models/families/vae.safetensors"),
            Kind::VaeGan => include_bytes!("../../../models/families/vae-gan.safetensors"),
        })
    }

    /// Reads weights from a file, which must be of the family `kind`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is torn, or of something else.
    pub fn load(path: &Path, kind: Kind) -> Result<Self> {
        let about = || format!("cannot read the weights {}", path.display());
        let bytes = effigy_base::files::read(path, MAX_FILE_BYTES).or_error(ErrorKind::Model, about)?;
        let family = Self::from_bytes(&bytes).map_err(|error| Error::new(ErrorKind::Model, about()).because(error))?;
        if family.kind != kind {
            let (found, asked) = (family.kind.name(), kind.name());
            let message = format!("{}: expected the family `{asked}`, found `{found}`; give --model {found}", about());
            return Err(Error::new(ErrorKind::Model, message));
        }
        Ok(family)
    }

    /// Reads weights from the bytes of a file: every tensor of the family, in f16 or f32, finite, and no other.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] with what was expected and what was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let about = || "expected a safetensors file of a family (`effigy train --family vae` writes one)".to_owned();
        let (_, header) = SafeTensors::read_metadata(bytes).or_error(ErrorKind::Model, about)?;
        let file = SafeTensors::deserialize(bytes).or_error(ErrorKind::Model, about)?;
        let entry = |key: &str| header.metadata().as_ref().and_then(|m| m.get(key)).map_or("", String::as_str);
        // One entry: the order of several is another in each file.
        let (name, size) = entry("family").split_once(' ').unwrap_or((entry("family"), ""));
        let kind = Kind::named(name).ok_or_else(|| {
            let found = match (name, entry("size")) {
                ("", "") => "nothing".to_owned(),
                ("", size) => format!("the generator's network `{size}`, which plays without --model"),
                _ => format!("`{name}`, which drives no face"),
            };
            Error::new(ErrorKind::Model, format!("{}, vae or vae-gan in its header, found {found}", about()))
        })?;
        let size_px = size.parse().or_error(ErrorKind::Model, || format!("{}, with its size", about()))?;
        let whose = format!("the family `{}` of {size_px} pixels", kind.name());
        let tensors = tensors::read(&file, &expected(size_px)?, &whose)?;
        Ok(Self { kind, size_px, tensors })
    }

    /// Writes the weights as the bytes of a file, in f16.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] only.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let rows =
            self.tensors.iter().map(|(name, (dims, values))| (name.as_str(), dims.as_slice(), values.as_slice()));
        tensors::write(rows, &[("family", &format!("{} {}", self.kind.name(), self.size_px))])
    }

    /// Which family it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Width and height of its pictures.
    pub fn size_px(&self) -> usize {
        self.size_px
    }

    /// Values of a plan's parameters, in its order; [`encoder`]'s or [`decoder`]'s of this size.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a plan of something else.
    pub fn params(&self, plan: &Plan) -> Result<Vec<&[f32]>> {
        let values = |Param { name, dims }: &Param| match self.tensors.get(name) {
            Some((found, values)) if found == dims => Ok(values.as_slice()),
            _ => Err(misfit(name, dims, "nothing")),
        };
        plan.params().iter().map(values).collect()
    }
}

/// The tensors that a family of this size has.
fn expected(size_px: usize) -> Result<Vec<Param>> {
    if !SIZES_PX.contains(&size_px) {
        let message = format!("expected a family of {SIZES_PX:?} pixels, found {size_px}");
        return Err(Error::new(ErrorKind::Model, message));
    }
    let plans = [encoder(size_px), decoder(size_px)];
    Ok(plans.iter().flat_map(|plan| plan.params().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Op;

    fn family(kind: Kind) -> Family {
        let tensors = random(&[&encoder(64), &decoder(64)], 3);
        Family::new(kind, 64, tensors).unwrap()
    }

    #[test]
    fn seven_convolutions_and_three_linear_layers() {
        for size_px in SIZES_PX {
            let plans = [encoder(size_px), decoder(size_px)];
            let ops: Vec<_> = plans.iter().flat_map(|plan| plan.steps()).map(|(_, op)| op).collect();
            let n_linear = ops.iter().filter(|op| matches!(op, Op::Linear(_))).count();
            assert_eq!((ops.len() - n_linear, n_linear), (7, 3));
            assert!(2 * plans.iter().map(Plan::n_params).sum::<usize>() < 11 << 20, "bytes in 16 bits");
        }
    }

    #[test]
    fn a_file_is_read_as_it_was_written_and_another_says_what_it_is() {
        let bytes = family(Kind::VaeGan).to_bytes().unwrap();
        let read = Family::from_bytes(&bytes).unwrap();
        assert_eq!((read.kind(), read.size_px()), (Kind::VaeGan, 64));
        assert_eq!(read.to_bytes().unwrap(), bytes);

        let folder = std::env::temp_dir().join(format!("effigy-family-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("a.safetensors");
        let says = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Family::load(&path, Kind::Vae).unwrap_err().to_string()
        };
        assert!(says(&bytes).contains("expected the family `vae`, found `vae-gan`; give --model vae-gan"));
        assert!(says(&bytes[..bytes.len() / 2]).contains("expected a safetensors file of a family"));
        let generator = crate::weights::Weights::random(crate::network::Size::Small, 1).to_bytes().unwrap();
        let found = says(&generator);
        assert!(found.contains("found the generator's network `small`"), "{found}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
