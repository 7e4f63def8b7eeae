//! `effigy train --occlusion`: the network that sees what covers a face.

use clap::Args;
use effigy::Result;
use effigy::train::dataset::Dataset;
use effigy::train::families::{self, FamilyOptions};
use effigy::train::occlusion::{Covered, Occlusion};

use super::{RATE, TrainArgs, with_progress};

/// Pictures of one step.
const N_BATCH: usize = 32;

/// What belongs to occlusion alone.
#[derive(Args, Debug)]
pub(crate) struct OcclusionArgs {
    /// Train the network that sees what covers a driver's face, instead of the generator: hands, things and cloth are painted
    /// before the faces of a data set
    #[arg(long, conflicts_with_all = ["family", "motion", "speech", "network", "initial", "picture", "decoded", "frames",
        "portraits", "features", "no_adversary", "only"])]
    pub(super) occlusion: bool,
}

/// Trains the network.
pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (folder, output) = args.folders()?;
    let source = Covered::new(Dataset::open(folder)?)?;
    let options = FamilyOptions {
        output: output.to_owned(),
        n_batch: N_BATCH,
        n_steps: args.steps,
        rate: args.rate.unwrap_or(RATE),
        checkpoint_every: args.checkpoint_every.max(1),
        validate_every: args.validate_every.max(1),
        seed: args.seed,
    };
    let mut learner = Occlusion::new(args.seed, &args.device().autodiff());
    with_progress(args, |stop, report| families::train(&mut learner, &options, &source, stop, report))
}
