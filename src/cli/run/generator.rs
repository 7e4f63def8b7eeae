//! Opens what makes the picture, by what the command line asks for.

use std::path::Path;

use effigy::Result;
use effigy::generate::Generator;
use effigy::generate::choose;
use effigy::generate::family::{Family, Kind};
use effigy::generate::founding;
use effigy::generate::network::{self, FrameOptions};
use effigy::generate::neural::NeuralGenerator;
use effigy::generate::pack::PackGenerator;
use effigy::generate::warp::WarpGenerator;
use effigy::generate::weights::Weights;
#[cfg(feature = "remote")]
use effigy::{Error, ErrorKind};

use crate::cli::{Backend, Maker, Model};

/// Opens what makes the picture and says which and why. With `waits` a server is waited for at every picture.
pub(crate) fn open_generator(
    maker: &Maker,
    weights: Option<&Path>,
    size_px: usize,
    waits: bool,
) -> Result<Box<dyn Generator>> {
    let (generator, why) = open_quietly(maker, weights, size_px, waits)?;
    why.iter().for_each(|sentence| log::info!("generator: {sentence}"));
    Ok(generator)
}

/// Opens what makes the picture; also gives the sentences that say which and why.
pub(super) fn open_quietly(
    maker: &Maker,
    weights: Option<&Path>,
    size_px: usize,
    waits: bool,
) -> Result<(Box<dyn Generator>, Vec<String>)> {
    // Without a server nobody is waited for.
    let _ = waits;
    match maker {
        Maker::Here(backend) => generator_of(*backend, weights, size_px),
        #[cfg(feature = "remote")]
        Maker::Remote(address) => remote_generator(address, weights, size_px, waits),
    }
}

/// What makes the picture where that is not effigy's own network; nothing for that.
pub(crate) fn generator_of_others(
    model: &Model,
    backend: Backend,
    weights: Option<&Path>,
    size_px: usize,
) -> Result<Option<Box<dyn Generator>>> {
    match model {
        Model::Own => Ok(None),
        Model::Family(kind) => {
            model.provider(backend)?;
            family_generator(*kind, weights, size_px).map(Some)
        }
        Model::Pack(folder) => {
            let pack = PackGenerator::open(folder, model.provider(backend)?, size_px)?;
            log::info!("generator: the pack {} on {} (docs/packs.md)", pack.name(), pack.backend());
            Ok(Some(Box::new(pack)))
        }
    }
}

/// A founding family, on the processor.
fn family_generator(kind: Kind, weights: Option<&Path>, size_px: usize) -> Result<Box<dyn Generator>> {
    let family = weights.map_or_else(|| Family::built_in(kind), |path| Family::load(path, kind))?;
    let px = family.size_px();
    let how = if kind.is_driven() { "driven by latent differences" } else { "a clip of the photo, driven by nobody" };
    log::info!("generator: {} of {px} pixels on cpu, {how} (docs/families.md)", kind.name());
    founding::open(family, size_px)
}

/// A server, and the best of this machine for when that is silent.
#[cfg(feature = "remote")]
fn remote_generator(
    address: &effigy::remote::Address,
    weights: Option<&Path>,
    size_px: usize,
    waits: bool,
) -> Result<(Box<dyn Generator>, Vec<String>)> {
    let weights = weights.map_or_else(Weights::built_in, Weights::load)?;
    let choice = choose::automatic(&network::frame(&FrameOptions::new(weights.size(), size_px)));
    let Some(chosen) = choice.backend else {
        let message = format!(
            "a server needs something here that takes over when it is silent, and there is only {}",
            choice.sentence
        );
        return Err(Error::new(ErrorKind::BackendUnavailable, message));
    };
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let options = effigy::remote::Options {
        token: variable("EFFIGY_REMOTE_TOKEN").map(|token| token.to_string_lossy().into_owned()),
        authority: variable("EFFIGY_REMOTE_CA").map(Into::into),
        waits,
        substitute: chosen.name.to_owned(),
    };
    let remote = Box::new(effigy::remote::Remote::open(address, options)?);
    let generator = NeuralGenerator::with_elsewhere(remote, weights, size_px, chosen.open)?;
    let sentence = format!("{address} makes the pictures, and while it is silent {}", choice.sentence);
    Ok((Box::new(generator), vec![sentence]))
}

/// What makes the picture, and sentences that say which and why.
pub(crate) fn generator_of(
    backend: Backend,
    weights: Option<&Path>,
    size_px: usize,
) -> Result<(Box<dyn Generator>, Vec<String>)> {
    let mut sentences = Vec::new();
    let why = if backend == Backend::Warp {
        "as asked for"
    } else {
        let weights = weights.map_or_else(Weights::built_in, Weights::load)?;
        let plan = network::frame(&FrameOptions::new(weights.size(), size_px));
        let choice = match network_backend(backend) {
            Some(name) => choose::named(name, &plan)?,
            None => choose::automatic(&plan),
        };
        sentences.push(choice.sentence);
        if let Some(chosen) = choice.backend {
            return Ok((Box::new(NeuralGenerator::new(weights, size_px, chosen.open)?), sentences));
        }
        "the network runs nowhere here"
    };
    sentences.push(format!("warp on cpu ({why})"));
    Ok((Box::new(WarpGenerator::new(size_px)), sentences))
}

/// What a backend that needs the network is called; `None` for those that do not need it.
fn network_backend(backend: Backend) -> Option<&'static str> {
    match backend {
        Backend::Auto | Backend::Warp => None,
        Backend::Cuda => Some("cuda"),
        Backend::Wgpu => Some("wgpu"),
        Backend::Cpu => Some("cpu"),
    }
}
