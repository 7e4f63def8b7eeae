//! Named weights: read from a safetensors file in 16 bits, used in 32; or random, to try the machinery.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;

use super::{FrameOptions, Size};
use crate::plan::Param;
use crate::tensors::{self, misfit};
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};

/// The largest file of weights accepted, in bytes: many times what a network has.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The weights of one network.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    size: Size,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// The tensors that a network of this size has.
    pub fn expected(size: Size) -> Vec<Param> {
        // The weights do not depend on the output's size.
        super::stored(&[&super::frame(&FrameOptions::new(size, 512)), &super::encoder(size)])
    }

    /// Random weights, the same for the same seed, scaled so that activations keep their size from layer to layer
    /// (He et al. 2015, for leaky units).
    pub fn random(size: Size, seed: u64) -> Self {
        let mut random = Random(seed);
        let tensors = Self::expected(size).into_iter().map(|Param { name, dims }| {
            let values = initial(&name, &dims, &mut random);
            (name, (dims, values))
        });
        Self { size, tensors: tensors.collect() }
    }

    /// The size of the network they belong to.
    pub fn size(&self) -> Size {
        self.size
    }

    /// One tensor.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when there is none of this name, or its extents are others.
    pub fn get(&self, name: &str, dims: &[usize]) -> Result<&[f32]> {
        match self.tensors.get(name) {
            Some((found, values)) if found == dims => Ok(values),
            Some((found, _)) => Err(misfit(name, dims, &format!("{found:?}"))),
            None => Err(misfit(name, dims, "nothing")),
        }
    }

    /// Replaces one tensor, for training and tests.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when there is none of this name and length.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let advice = || misfit(name, &[values.len()], "nothing of that length");
        let (_, stored) = self.tensors.get_mut(name).filter(|(_, s)| s.len() == values.len()).ok_or_else(advice)?;
        stored.copy_from_slice(values);
        Ok(())
    }

    /// Names, extents and values of all tensors, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
        self.tensors.iter().map(|(name, (dims, values))| (name.as_str(), dims.as_slice(), values.as_slice()))
    }

    /// The weights of `small` that belong to the program; models/README.md says what they were trained on.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the program was built from a torn file.
    pub fn built_in() -> Result<Self> {
        Self::from_bytes(include_bytes!("../../../../models/generator_small.safetensors"))
    }

    /// Reads weights from a file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is torn or of another network.
    pub fn load(path: &Path) -> Result<Self> {
        let about = || format!("cannot read the weights {}", path.display());
        let bytes = effigy_base::files::read(path, MAX_FILE_BYTES).or_error(ErrorKind::Model, about)?;
        Self::from_bytes(&bytes).map_err(|error| Error::new(ErrorKind::Model, about()).because(error))
    }

    /// The mean of two or more files' weights, which have to be of the same network and of one ancestry: those of a
    /// training and of what it began with often make better pictures together than either (Wortsman et al. 2022).
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a file is torn, or of another network than the first.
    pub fn mean_of(paths: &[impl AsRef<Path>]) -> Result<Self> {
        let nothing = || Error::new(ErrorKind::Config, "expected a file of weights");
        let (first, others) = paths.split_first().ok_or_else(nothing)?;
        let mut mean = Self::load(first.as_ref())?;
        let share = 1.0 / paths.len() as f32;
        let scale = |(_, values): &mut (Vec<usize>, Vec<f32>)| values.iter_mut().for_each(|value| *value *= share);
        mean.tensors.values_mut().for_each(scale);
        for path in others {
            let other = Self::load(path.as_ref())?;
            if other.size != mean.size {
                let [found, expected] = [other.size, mean.size].map(Size::name);
                let message = format!("{} is of the network `{found}`, expected `{expected}`", path.as_ref().display());
                return Err(Error::new(ErrorKind::Model, message));
            }
            for ((_, sum), (_, values)) in mean.tensors.values_mut().zip(other.tensors.values()) {
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value * share);
            }
        }
        Ok(mean)
    }

    /// Reads weights from the bytes of a file: every tensor the network has, in f16 or f32, finite, and no other.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] with the tensor, what was expected and what was found.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let model = |message: String| Error::new(ErrorKind::Model, message);
        let (_, header) = SafeTensors::read_metadata(bytes)
            .or_error(ErrorKind::Model, || "expected a safetensors file".to_owned())?;
        let file =
            SafeTensors::deserialize(bytes).or_error(ErrorKind::Model, || "expected a safetensors file".to_owned())?;
        let named = header.metadata().as_ref().and_then(|m| m.get("size")).map_or("", String::as_str);
        let size = Size::ALL
            .into_iter()
            .find(|size| size.name() == named)
            .ok_or_else(|| model(format!("expected `size` small or large in the file's header, found \"{named}\"")))?;
        let tensors = tensors::read(&file, &Self::expected(size), &format!("the network `{named}`"))?;
        Ok(Self { size, tensors })
    }

    /// Writes the weights as the bytes of a file, in f16.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] only.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        tensors::write(self.iter(), &[("size", self.size.name())])
    }
}

fn initial(name: &str, dims: &[usize], random: &mut Random) -> Vec<f32> {
    let n: usize = dims.iter().product();
    let mut normal = |deviation: f32| (0..n).map(|_| random.normal() * deviation).collect();
    let fan_in: usize = dims[1..].iter().product();
    match name {
        // The first guess of the masks is the mesh, with little residual, nothing occluded.
        "motion.out.bias" => vec![-1.0, -1.0, 0.0, 3.0, 0.0, 0.0, 2.0],
        "motion.out.weight" | "decoder.out.weight" | "decoder.gates.weight" => {
            normal(0.1 * (1.0 / fan_in as f32).sqrt())
        }
        // The first guess of the gates is that detail comes from the photo.
        "decoder.gates.bias" => vec![2.0, 1.0],
        // The first guess of the trust is even: a trust that starts low is never learned.
        _ if name.ends_with(".bias") => vec![0.0; n],
        _ if name.ends_with(".style") || name.ends_with(".shift") => normal(0.3 * (1.0 / fan_in as f32).sqrt()),
        _ if name.ends_with(".b.weight") || name.contains("features") => normal((1.0 / fan_in as f32).sqrt()),
        _ => normal((2.0 / (1.04 * fan_in as f32)).sqrt()),
    }
}

/// Numbers that look random (SplitMix64).
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    /// Mean 0, deviation 1: the sum of twelve uniform numbers comes close enough.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}
