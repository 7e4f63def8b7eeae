//! `effigy prepare`: a data set for training.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use effigy::shard::Shard;
use effigy::train::prepare::{self, Checks, Options};
use effigy::{Error, ErrorKind, Result};

use super::{terminal, within};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy prepare clips/ portraits/ -o dataset
  effigy prepare --manifest manifest.json --rights own,public-domain -o dataset
  effigy synth data --head ict_facekit.npz -o people && effigy prepare people -o dataset
  effigy prepare clips/ -o part0 --shard 0/2      and on another machine 1/2, then: effigy merge part0 part1 -o dataset

A manifest says who is seen in which file and with which rights; paths are relative to its folder:
  { \"clips\": [ { \"file\": \"talk.mp4\", \"person\": \"ann\", \"rights\": \"own\" } ], \"portraits\": [] }
Without one, every file is a person of its own. The same person must have the same name everywhere: the split
into training and validation goes by it. Clips of a data set have their files' names: another file of a name that
it holds is refused.

It can be stopped (Ctrl-C) and goes on where it was. What was left out and why stands in annotations.jsonl,
what is in it in statistics.json and statistics.svg.")]
pub(crate) struct PrepareArgs {
    /// Videos, photos, folders of them, folders of `effigy synth data`; without any, all that the manifest names
    #[arg(value_name = "CLIPS", required_unless_present = "manifest")]
    clips: Vec<PathBuf>,
    /// The data set's folder; what is in it stays
    #[arg(short, long, value_name = "DATASET")]
    output: PathBuf,
    /// Who is seen in which file, and with which rights
    #[arg(long, value_name = "FILE.json")]
    manifest: Option<PathBuf>,
    /// Take files of these classes of rights only; rendered people are always taken
    #[arg(long, value_name = "CLASS,...", value_delimiter = ',')]
    rights: Vec<String>,
    /// The smallest face, in pixels of the file
    #[arg(long, value_name = "PIXELS", default_value_t = Checks::default().min_face_px,
        value_parser = within(1.0_f32, 10_000.0))]
    min_face: f32,
    /// Store the optical flow from each frame to the next
    #[arg(long)]
    flow: bool,
    /// How many clips to work on at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = within(1_usize, 1024))]
    jobs: Option<usize>,
    /// Work on one part of N only: the clips I, I + N, I + 2 N …, counted from 0. `effigy merge` joins the parts
    #[arg(long, value_name = "I/N", default_value_t)]
    shard: Shard,
}

/// Prepares what was asked for.
pub(crate) fn run(args: &PrepareArgs) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    terminal::on_interrupt(move || asked.store(true, Ordering::Relaxed));
    let options = Options {
        manifest: args.manifest.clone(),
        rights: args.rights.clone(),
        checks: Checks { min_face_px: args.min_face, has_flow: args.flow, ..Checks::default() },
        n_jobs: args.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        shard: args.shard,
    };
    let bar = terminal::bar(0, "clips");
    let summary = prepare::prepare(&args.clips, &args.output, &options, &stop, &|progress| {
        bar.set_length(progress.n_clips as u64);
        bar.set_position(progress.n_done as u64);
    })?;
    bar.finish_and_clear();
    let list = |reasons: &BTreeMap<String, u64>| {
        reasons.iter().map(|(reason, n)| format!("{reason} {n}")).collect::<Vec<_>>().join(", ")
    };
    log::info!("{} clips, {} frames in {}", summary.n_clips, summary.n_frames, args.output.display());
    if summary.n_resumed > 0 {
        log::info!("{} clips were there already", summary.n_resumed);
    }
    if summary.n_other_rights > 0 {
        log::info!("{} files have other rights", summary.n_other_rights);
    }
    if !summary.rejected.is_empty() {
        log::info!("clips left out: {}", list(&summary.rejected));
    }
    if !summary.dropped.is_empty() {
        log::info!("frames left out: {}", list(&summary.dropped));
    }
    if args.shard != Shard::WHOLE {
        log::info!("next, when all {} parts are there: effigy merge PART... -o DATASET", args.shard.count());
    } else if summary.n_clips == 0 && !summary.is_stopped {
        let message = format!("nothing could be taken; {} says why", args.output.join("annotations.jsonl").display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    Ok(())
}
