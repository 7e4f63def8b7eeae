//! `effigy train`: from a data set to the generator's weights, or to those of a founding family.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use effigy::generate::network::Size;
use effigy::train::compute::{Compute, Device};
use effigy::train::feed::DatasetFeed;
use effigy::train::loss::LossWeights;
use effigy::train::teach::{TeachOptions, teach};
use effigy::{Error, ErrorKind, Result};

use super::{terminal, within};

mod family;
mod motion;
mod occlusion;
mod speech;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy train people -o run --picture 128 --steps 4000
  effigy train people -o run --picture 256 --steps 12000
  effigy train people -o run-vae --family vae --steps 3000
  effigy train --family dcgan-video --sample clips.png
  effigy train recordings -o run --motion
  effigy train speech -o run --speech --steps 4000
  effigy train people -o run --occlusion --steps 8000

The second goes on where the first ended, on larger pictures. OUTPUT gets generator_SIZE.safetensors (what the engine
reads), checkpoint.safetensors (what a killed training goes on from), log.jsonl, curves.svg and sheets of samples.
Of a founding family OUTPUT gets FAMILY.safetensors (what `effigy run --model FAMILY` reads) beside these.
The fifth learns how faces move, from recordings that `effigy run --source talk.mp4 --every-frame --sink
motion:talk.jsonl` made, and writes motion.safetensors. The sixth learns how mouths
move by what is heard, from what scripts/speech_data.py made, and writes speech.safetensors. The last learns what covers
a face, and writes occlusion.safetensors.")]
pub(crate) struct TrainArgs {
    /// The data set that `effigy prepare` made; with --motion, a folder of recordings of motion (*.jsonl); with
    /// --speech, one of utterances
    #[arg(required_unless_present = "sample")]
    dataset: Option<PathBuf>,
    /// The folder to write to; a training that is there goes on, but for --motion, which begins anew
    #[arg(short, long, required_unless_present = "sample")]
    output: Option<PathBuf>,
    #[command(flatten)]
    family: family::FamilyArgs,
    #[command(flatten)]
    motion: motion::MotionArgs,
    #[command(flatten)]
    speech: speech::SpeechArgs,
    #[command(flatten)]
    occlusion: occlusion::OcclusionArgs,
    /// Size of the network
    #[arg(long, value_enum, default_value_t = NetworkSize::Small)]
    network: NetworkSize,
    /// Weights to begin with, instead of random ones; given more than once, the mean of the files (with `--steps 0` it is
    /// only written). A training that goes on does so from its checkpoint
    #[arg(long, value_name = "FILE.safetensors")]
    initial: Vec<PathBuf>,
    /// Width and height of the pictures, a multiple of 32 from 64 to 512
    #[arg(long, default_value_t = 256, value_parser = picture_px)]
    picture: usize,
    /// Width and height of what the decoder paints of a picture, a multiple of 32; as the picture where it is not given. An
    /// engine whose pictures are of 512 paints 256: a half of the picture teaches what is finer than the decoder's pixels
    #[arg(long, value_parser = picture_px)]
    decoded: Option<usize>,
    /// Let only the weights learn whose names begin so, for example `decoder.out`, or with --motion `forecast` or `living` (the
    /// other model stays as OUTPUT has it, else the program); may be repeated
    #[arg(long, value_name = "PREFIX")]
    only: Vec<String>,
    /// Frames of each portrait
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    frames: u8,
    /// Portraits whose gradients are summed for one step
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    portraits: u8,
    /// Steps in all, with those of earlier runs; with --motion of each model
    #[arg(long, default_value_t = 20_000)]
    steps: usize,
    /// Highest learning rate [default: 1e-3; 2e-4 for dcgan-video]
    #[arg(long, value_parser = within(1e-9_f64, 1.0))]
    rate: Option<f64>,
    /// ImageNet weights of MobileNetV2 (mobilenet_v2-b0353104.pth) for the perceptual and adversarial parts of the loss
    #[arg(long, value_name = "FILE.pth")]
    features: Option<PathBuf>,
    /// Leave the adversary out, and keep the distance of frozen features
    #[arg(long)]
    no_adversary: bool,
    /// Steps between checkpoints
    #[arg(long, default_value_t = 200, value_parser = within(1_usize, 1_000_000))]
    checkpoint_every: usize,
    /// Steps between validations, each with a sheet of samples
    #[arg(long, default_value_t = 500, value_parser = within(1_usize, 1_000_000))]
    validate_every: usize,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What computes
    #[arg(long, value_parser = compute_parser(), default_value = Compute::best().name())]
    compute: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum NetworkSize {
    Small,
    Large,
}

/// The backends that this build has, with what each is.
fn compute_parser() -> PossibleValuesParser {
    Compute::ALL
        .iter()
        .map(|compute| PossibleValue::new(compute.name()).help(compute.help()))
        .collect::<Vec<_>>()
        .into()
}

fn picture_px(text: &str) -> std::result::Result<usize, String> {
    let px: usize = text.parse().map_err(|_| format!("expected a number of pixels, found \"{text}\""))?;
    if px.is_multiple_of(32) && (64..=512).contains(&px) {
        Ok(px)
    } else {
        Err(format!("expected a multiple of 32 from 64 to 512, found {px}"))
    }
}

/// The learning rate of what has none of its own.
const RATE: f64 = 1e-3;

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    if let Some(name) = args.family.family {
        return family::run(name, args);
    }
    if args.motion.motion {
        return motion::run(args);
    }
    if args.speech.speech {
        return speech::run(args);
    }
    if args.occlusion.occlusion {
        return occlusion::run(args);
    }
    let (dataset, output) = args.folders()?;
    let options = TeachOptions {
        output: output.to_owned(),
        size: match args.network {
            NetworkSize::Small => Size::Small,
            NetworkSize::Large => Size::Large,
        },
        initial: args.initial.clone(),
        only: args.only.clone(),
        n_portraits: args.portraits.into(),
        n_steps: args.steps,
        rate: args.rate.unwrap_or(RATE),
        loss: match args.no_adversary {
            true => LossWeights { adversarial: 0.0, matching: 0.0, ..LossWeights::default() },
            false => LossWeights::default(),
        },
        features: args.features.clone(),
        checkpoint_every: args.checkpoint_every.max(1),
        validate_every: args.validate_every.max(1),
        seed: args.seed,
    };
    let decoded_px = args.decoded.unwrap_or(args.picture).min(args.picture);
    let feed = DatasetFeed::open(dataset, args.picture, decoded_px, args.frames.into())?;
    with_progress(args, |stop, report| teach(&options, &feed, &args.device(), stop, report))
}

/// Runs a training that Ctrl-C stops and whose lines move a bar.
fn with_progress(args: &TrainArgs, train: impl FnOnce(&AtomicBool, &dyn Fn(&str)) -> Result<()>) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let on_interrupt = Arc::clone(&stop);
    terminal::on_interrupt(move || on_interrupt.store(true, Ordering::Relaxed));
    let bar = terminal::bar(args.steps as u64, "steps");
    let outcome = train(&stop, &|line| {
        if let Some(step) = line.strip_prefix("step ").and_then(|rest| rest.split(':').next()) {
            bar.set_position(step.parse().unwrap_or_default());
        }
        if !line.contains('{') {
            bar.println(line);
        }
    });
    bar.finish_and_clear();
    outcome
}

impl TrainArgs {
    /// Where to read and where to write; whatever else is asked for than samples needs both.
    fn folders(&self) -> Result<(&Path, &Path)> {
        match (&self.dataset, &self.output) {
            (Some(dataset), Some(output)) => Ok((dataset, output)),
            _ => Err(Error::new(
                ErrorKind::Config,
                "expected a data set and -o OUTPUT; `effigy train --help` shows both",
            )),
        }
    }

    fn device(&self) -> Device {
        Compute::named(&self.compute).unwrap_or(Compute::best()).device()
    }
}
