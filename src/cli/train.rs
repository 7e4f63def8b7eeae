//! `effigy train`: from a data set to the generator's weights.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use effigy::error::OrError as _;
use effigy::generate::network::Size;
use effigy::motion::living::Living;
use effigy::train::compute::Compute;
use effigy::train::feed::DatasetFeed;
use effigy::train::loss::LossWeights;
use effigy::train::motion::{self, MotionOptions, Track, teach as teach_motion};
use effigy::train::teach::{TeachOptions, teach};
use effigy::{ErrorKind, Result};

use super::{terminal, within};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy train people -o run --picture 128 --steps 4000
  effigy train people -o run --picture 256 --steps 12000
  effigy train recordings -o run --motion

The second goes on where the first ended, on larger pictures. OUTPUT gets generator_SIZE.safetensors (what the engine
reads), checkpoint.safetensors (what a killed training goes on from), log.jsonl, curves.svg and sheets of samples. The third learns how faces move, from recordings that
`effigy run --source talk.mp4 --every-frame --sink motion:talk.jsonl` made, and writes motion.safetensors.")]
pub(crate) struct TrainArgs {
    /// The data set that `effigy prepare` made; with --motion, a folder of recordings of motion (*.jsonl)
    dataset: PathBuf,
    /// The folder to write to; a training that is there goes on
    #[arg(short, long)]
    output: PathBuf,
    /// Train the models of motion instead of the generator: what `effigy run --predict` looks ahead by
    #[arg(long)]
    motion: bool,
    /// With --motion: recordings of people at rest, which idle motion is then compared with
    #[arg(long, value_name = "FOLDER", requires = "motion")]
    against: Option<PathBuf>,
    /// Size of the network
    #[arg(long, value_enum, default_value_t = NetworkSize::Small)]
    network: NetworkSize,
    /// Weights to begin with, instead of random ones; given more than once, the mean of the files (with `--steps 0` it is
    /// only written)
    #[arg(long, value_name = "FILE.safetensors")]
    initial: Vec<PathBuf>,
    /// Width and height of the pictures, a multiple of 32 from 64 to 512
    #[arg(long, default_value_t = 256, value_parser = picture_px)]
    picture: usize,
    /// Width and height of what the decoder paints of a picture, a multiple of 32; as the picture where it is not given. An
    /// engine whose pictures are of 512 paints 256: a half of the picture teaches what is finer than the decoder's pixels
    #[arg(long, value_parser = picture_px)]
    decoded: Option<usize>,
    /// Let only the weights learn whose names begin so, for example `decoder.out`, or with --motion `forecast` or `living`; may
    /// be repeated
    #[arg(long, value_name = "PREFIX")]
    only: Vec<String>,
    /// Frames of each portrait
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=64))]
    frames: u8,
    /// Portraits whose gradients are summed for one step
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    portraits: u8,
    /// Steps in all, with those of earlier runs
    #[arg(long, default_value_t = 20_000)]
    steps: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3, value_parser = within(1e-9_f64, 1.0))]
    rate: f64,
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

pub(crate) fn run(args: &TrainArgs) -> Result<()> {
    if args.motion {
        return run_motion(args);
    }
    let options = TeachOptions {
        output: args.output.clone(),
        size: match args.network {
            NetworkSize::Small => Size::Small,
            NetworkSize::Large => Size::Large,
        },
        initial: args.initial.clone(),
        only: args.only.clone(),
        n_portraits: args.portraits.into(),
        n_steps: args.steps,
        rate: args.rate,
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
    let feed = DatasetFeed::open(&args.dataset, args.picture, decoded_px, args.frames.into())?;
    let stop = Arc::new(AtomicBool::new(false));
    let on_interrupt = Arc::clone(&stop);
    terminal::on_interrupt(move || on_interrupt.store(true, Ordering::Relaxed));
    let bar = terminal::bar(args.steps as u64, "steps");
    let device = Compute::named(&args.compute).unwrap_or(Compute::best()).device();
    let outcome = teach(&options, &feed, &device, &stop, |line| {
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

/// Trains the models of motion.
fn run_motion(args: &TrainArgs) -> Result<()> {
    std::fs::create_dir_all(&args.output)
        .or_error(ErrorKind::Io, || format!("cannot make the folder {}", args.output.display()))?;
    let tracks = motion::tracks(&args.dataset)?;
    let stop = Arc::new(AtomicBool::new(false));
    let on_interrupt = Arc::clone(&stop);
    terminal::on_interrupt(move || on_interrupt.store(true, Ordering::Relaxed));
    let options = MotionOptions {
        output: args.output.clone(),
        n_steps: args.steps,
        rate: args.rate,
        seed: args.seed,
        only: args.only.clone(),
    };
    let device = Compute::named(&args.compute).unwrap_or(Compute::best()).device();
    let secs: f32 = tracks.iter().map(Track::secs).sum();
    log::info!("{} stretches of motion, {secs:.0} s", tracks.len());
    let path = teach_motion(&options, &tracks, &device, &stop, |line| log::info!("{line}"))?;
    log::info!("{} written", path.display());
    if let Some(folder) = &args.against {
        let bytes = std::fs::read(&path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
        let figures = motion::compare_idle(&Living::from_bytes(&bytes)?, &motion::tracks(folder)?, &tracks)?;
        let mut text = format!(
            "idle motion, Fréchet distance over motion bands to {} windows of people at rest\n{:<24}{:>9}{:>9}\n",
            figures.n_windows, "", "all", "turns"
        );
        text.extend(figures.distances.iter().map(|(name, [all, turns])| format!("{name:<24}{all:>9.2}{turns:>9.2}\n")));
        terminal::print(text.as_bytes())?;
    }
    Ok(())
}
