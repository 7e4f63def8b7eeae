//! `effigy train --family`: the founding families.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use effigy::generate::family::{Kind, SIZES_PX};
use effigy::train::dataset::Dataset;
use effigy::train::families::dcgan::{self, Dcgan};
use effigy::train::families::identity_driving::IdentityDriving;
use effigy::train::families::md_gan::{self, MdGan};
use effigy::train::families::pictures::DatasetPictures;
use effigy::train::families::vae::{Vae, VaeWeights};
use effigy::train::families::video_gan::{self, VideoGan};
use effigy::train::families::{self, FamilyOptions, Learner};
use effigy::train::sheet;
use effigy::{Error, ErrorKind, Result};

use super::{RATE, TrainArgs, with_progress};
use crate::cli::within;

/// Pictures of one step, people, and clips.
const N_PICTURES: usize = 16;
const N_PEOPLE: usize = 8;
const N_CLIPS: usize = 2;
/// Clips that are written with `--sample`.
const N_SAMPLES: usize = 8;

/// What belongs to the founding families alone.
#[derive(Args, Debug)]
pub(crate) struct FamilyArgs {
    /// Train one of the founding families instead of the generator's network (docs/families.md)
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["network", "initial", "picture", "decoded", "only",
        "frames", "portraits", "features", "no_adversary"])]
    pub(super) family: Option<FamilyName>,
    /// With --family vae or vae-gan, width and height of the pictures: 64 or 128
    #[arg(long, value_name = "PIXELS", requires = "family", value_parser = size)]
    size: Option<usize>,
    /// With --family, pictures (people, or clips) of one step [default: 16 pictures, 8 people, 2 clips]
    #[arg(long, value_name = "N", requires = "family", value_parser = within(1_usize, 1024))]
    batch: Option<usize>,
    /// With --family vae or vae-gan, what the Kullback–Leibler divergence weighs when it has risen
    #[arg(long, value_name = "WEIGHT", requires = "family", default_value_t = VaeWeights::default().divergence,
        value_parser = within(0.0_f32, 100.0))]
    divergence: f32,
    /// With --family vae-gan, what the discriminator's verdict weighs
    #[arg(long, value_name = "WEIGHT", requires = "family", default_value_t = VaeWeights::default().adversarial,
        value_parser = within(0.0_f32, 100.0))]
    adversarial: f32,
    /// With --family dcgan-video or video-gan, write a sheet of clips that its weights make of noise, one a row, and train
    /// nothing
    #[arg(long, value_name = "FILE.png", requires = "family")]
    pub(super) sample: Option<PathBuf>,
    /// With --sample, the weights, of an earlier training [default: the program's own]
    #[arg(long, value_name = "FILE.safetensors", requires = "sample")]
    weights: Option<PathBuf>,
}

/// The families that can be trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FamilyName {
    /// Variational autoencoder; plays with `effigy run --model vae`
    Vae,
    /// The same with a discriminator; plays with `effigy run --model vae-gan`
    VaeGan,
    /// Who as a vector, what as a few numbers; plays with `effigy run --model identity-driving`
    IdentityDriving,
    /// 16 frames of noise; plays nothing
    DcganVideo,
    /// 32 frames of noise or of a photo, a foreground over a background; plays with `effigy run --model video-gan`
    VideoGan,
    /// The 16 frames after a photo, in two stages; plays with `effigy run --model md-gan`
    MdGan,
}

impl FamilyName {
    fn name(self) -> &'static str {
        match self {
            Self::Vae => Kind::Vae.name(),
            Self::VaeGan => Kind::VaeGan.name(),
            Self::IdentityDriving => Kind::IdentityDriving.name(),
            Self::DcganVideo => dcgan::NAME,
            Self::VideoGan => Kind::VideoGan.name(),
            Self::MdGan => Kind::MdGan.name(),
        }
    }

    /// What one step learns from, and the highest learning rate.
    fn habits(self) -> (usize, f64) {
        match self {
            Self::Vae | Self::VaeGan => (N_PICTURES, RATE),
            Self::IdentityDriving => (N_PEOPLE, RATE),
            Self::DcganVideo => (N_CLIPS, dcgan::RATE),
            Self::VideoGan => (N_CLIPS, video_gan::RATE),
            Self::MdGan => (N_CLIPS, md_gan::RATE),
        }
    }
}

fn size(text: &str) -> std::result::Result<usize, String> {
    let fits = |px: &usize| SIZES_PX.contains(px);
    text.parse().ok().filter(fits).ok_or_else(|| format!("expected one of {SIZES_PX:?}, the pixels of each side"))
}

/// Trains a family, or writes samples of one.
pub(super) fn run(family: FamilyName, args: &TrainArgs) -> Result<()> {
    let config = |message: String| Error::new(ErrorKind::Config, message);
    let FamilyArgs { size, batch, divergence, adversarial, sample, weights, .. } = &args.family;
    if let Some(path) = sample {
        let (device, weights) = (args.device(), weights.as_deref());
        let clips = match family {
            FamilyName::DcganVideo => dcgan::sample(weights, N_SAMPLES, args.seed, &device)?,
            FamilyName::VideoGan => video_gan::sample(weights, N_SAMPLES, args.seed, &device)?,
            _ => {
                let names = [dcgan::NAME, Kind::VideoGan.name()].join(" or ");
                return Err(config(format!("--sample makes clips of noise; give --family {names}")));
            }
        };
        return sheet::write(path, &clips, dcgan::SIZE_PX);
    }
    if size.is_some() && !matches!(family, FamilyName::Vae | FamilyName::VaeGan) {
        return Err(config(format!("--size is of vae and vae-gan; {} has one size only", family.name())));
    }
    let (folder, output) = args.folders()?;
    let device = args.device().autodiff();
    let weights = VaeWeights { divergence: *divergence, adversarial: *adversarial, ..VaeWeights::default() };
    let vae = |kind| Box::new(Vae::new(kind, size.unwrap_or(SIZES_PX[0]), weights, args.seed, &device));
    let mut learner: Box<dyn Learner> = match family {
        FamilyName::Vae => vae(Kind::Vae),
        FamilyName::VaeGan => vae(Kind::VaeGan),
        FamilyName::IdentityDriving => Box::new(IdentityDriving::new(args.seed, &device)?),
        FamilyName::DcganVideo => Box::new(Dcgan::new(args.seed, &device)),
        FamilyName::VideoGan => Box::new(VideoGan::new(args.seed, &device)?),
        FamilyName::MdGan => Box::new(MdGan::new(args.seed, &device)?),
    };
    let source = DatasetPictures::new(Dataset::open(folder)?, learner.frames())?;
    let (n_batch, rate) = family.habits();
    let options = FamilyOptions {
        output: output.to_owned(),
        n_batch: batch.unwrap_or(n_batch),
        n_steps: args.steps,
        rate: args.rate.unwrap_or(rate),
        checkpoint_every: args.checkpoint_every.max(1),
        validate_every: args.validate_every.max(1),
        seed: args.seed,
    };
    with_progress(args, |stop, report| families::train(&mut *learner, &options, &source, stop, report))
}
