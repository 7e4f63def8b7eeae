//! The founding families that play: their plans and their weights.
//!
//! Those that are driven have an encoder, which makes numbers of a picture, and a decoder, which makes a picture of numbers.
//! A face is driven by *differences*: what the driver's picture adds to the numbers of the driver at rest is added to the
//! photo's. [`foretelling`] families make a clip of the photo and look at nobody.

use std::path::Path;

use safetensors::SafeTensors;

use crate::plan::{Param, Plan};
use crate::tensors::{self, Tensors, misfit};
use effigy_base::error::{Error, ErrorKind, OrError as _, Result};
use effigy_base::random::Rng;

pub use autoencoder::{N_LATENT, SIZES_PX, decoder, encoder};

mod autoencoder;
pub mod foretelling;
pub mod identity_driving;
pub mod spacetime;

/// The largest file accepted, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 28;

/// Which family weights are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reconstruction and Kullback–Leibler divergence.
    Vae,
    /// The same with an adversary.
    VaeGan,
    /// A vector of who, numbers of what.
    IdentityDriving,
    /// A clip of a photo or of noise: a foreground that moves over a background that stands.
    VideoGan,
    /// A clip of a photo in two stages.
    MdGan,
}

impl Kind {
    /// Every family that plays.
    pub const ALL: [Self; 5] = [Self::Vae, Self::VaeGan, Self::IdentityDriving, Self::VideoGan, Self::MdGan];

    /// What the command line and the files call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vae => "vae",
            Self::VaeGan => "vae-gan",
            Self::IdentityDriving => "identity-driving",
            Self::VideoGan => "video-gan",
            Self::MdGan => "md-gan",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether somebody's face drives it.
    pub const fn is_driven(self) -> bool {
        matches!(self, Self::Vae | Self::VaeGan | Self::IdentityDriving)
    }

    /// Widths and heights of its pictures, in pixels; the first is what it has where nothing is said.
    pub const fn sizes_px(self) -> &'static [usize] {
        match self {
            Self::Vae | Self::VaeGan => &SIZES_PX,
            Self::IdentityDriving => &[identity_driving::SIZE_PX],
            Self::VideoGan | Self::MdGan => &[foretelling::SIZE_PX],
        }
    }
}

/// All names, as a sentence lists them.
fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

/// Random weights of the plans' layers, as [`random_of`] makes them.
pub fn random(plans: &[&Plan], seed: u64) -> Tensors {
    random_of(plans.iter().flat_map(|plan| plan.params()), seed)
}

/// Random weights, the same for the same seed: of a size that lets activations keep theirs from layer to layer (He et al.
/// 2015, for leaky units).
pub fn random_of<'a>(params: impl IntoIterator<Item = &'a Param>, seed: u64) -> Tensors {
    let mut rng = Rng::new(seed, 0);
    let tensors = params.into_iter().map(|Param { name, dims }| {
        let n: usize = dims.iter().product();
        // Of the phases of a transposed convolution each reads 2×2 taps.
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
    /// [`ErrorKind::Model`] for a size that is none of [`Kind::sizes_px`], and when a tensor is missing or of other extents.
    pub fn new(kind: Kind, size_px: usize, tensors: Tensors) -> Result<Self> {
        for Param { name, dims } in expected(kind, size_px)? {
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
            Kind::IdentityDriving => include_bytes!("../../../models/families/identity-driving.safetensors"),
            Kind::VideoGan => include_bytes!("../../../models/families/video-gan.safetensors"),
            Kind::MdGan => include_bytes!("../../../models/families/md-gan.safetensors"),
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
                _ => format!("`{name}`, which plays nothing"),
            };
            Error::new(ErrorKind::Model, format!("{}, one of {} in its header, found {found}", about(), names()))
        })?;
        let size_px = size.parse().or_error(ErrorKind::Model, || format!("{}, with its size", about()))?;
        let whose = format!("the family `{}` of {size_px} pixels", kind.name());
        let tensors = tensors::read(&file, &expected(kind, size_px)?, &whose)?;
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

    /// What reads the driver's picture, and the photo: its first output is the numbers that are driven.
    ///
    /// # Panics
    /// For a family that is not [driven](Kind::is_driven).
    pub fn reader(&self) -> Plan {
        match self.kind {
            Kind::Vae | Kind::VaeGan => encoder(self.size_px),
            Kind::IdentityDriving => identity_driving::motion(),
            Kind::VideoGan | Kind::MdGan => panic!("{} reads nobody", self.kind.name()),
        }
    }

    /// What paints of these numbers.
    ///
    /// # Panics
    /// As [`Self::reader`].
    pub fn painter(&self) -> Plan {
        match self.kind {
            Kind::Vae | Kind::VaeGan => decoder(self.size_px),
            Kind::IdentityDriving => identity_driving::decoder(),
            Kind::VideoGan | Kind::MdGan => panic!("{} is driven by nobody", self.kind.name()),
        }
    }

    /// What says who a photo is of, for a family that paints each person with weights of their own.
    pub fn identity(&self) -> Option<Plan> {
        (self.kind == Kind::IdentityDriving).then(identity_driving::identity)
    }

    /// The painter's weights for a person whom [`Self::identity`] has made this vector of; `None` where all share them.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a tensor is missing.
    pub fn painter_of(&self, vector: &[f32]) -> Result<Option<Tensors>> {
        match self.kind {
            Kind::IdentityDriving => identity_driving::fold(&self.tensors, vector).map(Some),
            _ => Ok(None),
        }
    }

    /// What makes the photo into a clip, plan after plan, with its weights; [`foretelling::clip`] finds it in what the last
    /// one writes. Empty for a family that is driven.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when a tensor is missing.
    pub fn stages(&self) -> Result<Vec<(Plan, Tensors)>> {
        foretelling::plans(self.kind)
            .into_iter()
            .map(|stage| Ok((stage.plan.clone(), stage.fold(&self.tensors)?)))
            .collect()
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// Values of a plan's parameters, in its order.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a plan of something else.
    pub fn params(&self, plan: &Plan) -> Result<Vec<&[f32]>> {
        values_of(&self.tensors, plan)
    }
}

/// Values of a plan's parameters, in its order.
///
/// # Errors
/// [`ErrorKind::Model`] when one is missing or of other extents.
pub fn values_of<'a>(tensors: &'a Tensors, plan: &Plan) -> Result<Vec<&'a [f32]>> {
    let values = |Param { name, dims }: &Param| match tensors.get(name) {
        Some((found, values)) if found == dims => Ok(values.as_slice()),
        _ => Err(misfit(name, dims, "nothing")),
    };
    plan.params().iter().map(values).collect()
}

/// The tensors that a family of this size has.
///
/// # Errors
/// [`ErrorKind::Model`] for a size that it has not.
pub fn expected(kind: Kind, size_px: usize) -> Result<Vec<Param>> {
    let sizes = kind.sizes_px();
    if !sizes.contains(&size_px) {
        let message = format!("expected a family `{}` of {sizes:?} pixels, found {size_px}", kind.name());
        return Err(Error::new(ErrorKind::Model, message));
    }
    Ok(match kind {
        Kind::Vae | Kind::VaeGan => {
            [encoder(size_px), decoder(size_px)].iter().flat_map(|plan| plan.params().to_vec()).collect()
        }
        Kind::IdentityDriving => identity_driving::params(),
        Kind::VideoGan | Kind::MdGan => foretelling::plans(kind).iter().flat_map(spacetime::Folded::params).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::CpuExecutor;
    use crate::plan::{Adoption, Executor, Op, Role, TensorView, TensorViewMut};
    use crate::twin::TwinExecutor;

    fn family(kind: Kind) -> Family {
        let size_px = kind.sizes_px()[0];
        Family::new(kind, size_px, random_of(&expected(kind, size_px).unwrap(), 3)).unwrap()
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
    fn the_processors_executor_plays_what_the_twins_play() {
        for kind in [Kind::VideoGan, Kind::MdGan] {
            let mut rng = Rng::new(4, 0);
            let mut given: Vec<f32> = (0..3 * 64 * 64).map(|_| rng.unit()).collect();
            for (plan, tensors) in family(kind).stages().unwrap() {
                let lengths = plan.of_role(Role::Output).map(|id| plan.tensor(id).shape.len()).collect::<Vec<_>>();
                let cpu = Box::new(CpuExecutor::new(plan.clone(), 1).unwrap().in_f32());
                let executors: [Box<dyn Executor>; 2] = [Box::new(TwinExecutor::new(plan.clone())), cpu];
                let [expected, found] = executors.map(|mut executor| {
                    let params = values_of(&tensors, &plan).unwrap();
                    executor.adopt(&Adoption { params, constants: Vec::new() }).unwrap();
                    let mut outputs: Vec<Vec<f32>> = lengths.iter().map(|&n| vec![0.0; n]).collect();
                    let mut views: Vec<_> = outputs.iter_mut().map(|y| TensorViewMut::F32(y)).collect();
                    executor.run(&[TensorView::F32(&given)], &mut views).unwrap();
                    outputs
                });
                for (expected, found) in expected.iter().flatten().zip(found.iter().flatten()) {
                    assert!(
                        (expected - found).abs() < 1e-3 * (1.0 + expected.abs()),
                        "{}: {expected}, {found}",
                        plan.name()
                    );
                }
                given = expected.into_iter().next().unwrap();
            }
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
