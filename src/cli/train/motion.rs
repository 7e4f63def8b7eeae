//! `effigy train --motion`: the models of motion.

use std::path::PathBuf;

use clap::Args;
use effigy::error::OrError as _;
use effigy::motion::living::Living;
use effigy::train::motion::{self, MotionOptions, Track};
use effigy::{ErrorKind, Result};

use super::{RATE, TrainArgs, with_progress};
use crate::cli::terminal;

/// What belongs to the models of motion alone.
#[derive(Args, Debug)]
pub(crate) struct MotionArgs {
    /// Train the models of motion instead of the generator: what `effigy run --predict` looks ahead by
    #[arg(long, conflicts_with_all = ["family", "network", "initial", "picture", "decoded", "frames", "portraits", "features",
        "no_adversary"])]
    pub(super) motion: bool,
    /// With --motion: recordings of people at rest, which idle motion is then compared with
    #[arg(long, value_name = "FOLDER", requires = "motion")]
    against: Option<PathBuf>,
}

/// Trains the models of motion.
pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (recordings, output) = args.folders()?;
    std::fs::create_dir_all(output)
        .or_error(ErrorKind::Io, || format!("cannot make the folder {}", output.display()))?;
    let tracks = motion::tracks(recordings)?;
    let options = MotionOptions {
        output: output.to_owned(),
        n_steps: args.steps,
        rate: args.rate.unwrap_or(RATE),
        seed: args.seed,
        only: args.only.clone(),
    };
    let secs: f32 = tracks.iter().map(Track::secs).sum();
    log::info!("{} stretches of motion, {secs:.0} s", tracks.len());
    let mut path = PathBuf::new();
    with_progress(args, |stop, report| {
        path = motion::teach(&options, &tracks, &args.device(), stop, report)?;
        Ok(())
    })?;
    log::info!("{} written", path.display());
    let Some(folder) = &args.motion.against else { return Ok(()) };
    let bytes = std::fs::read(&path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
    let figures = motion::compare_idle(&Living::from_bytes(&bytes)?, &motion::tracks(folder)?, &tracks)?;
    let mut text = format!(
        "idle motion, Fréchet distance over motion bands to {} windows of people at rest\n{:<24}{:>9}{:>9}\n",
        figures.n_windows, "", "all", "turns"
    );
    text.extend(figures.distances.iter().map(|(name, [all, turns])| format!("{name:<24}{all:>9.2}{turns:>9.2}\n")));
    terminal::print(text.as_bytes())
}
