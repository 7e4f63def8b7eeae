//! `effigy merge`: joins what several processes made with `--shard`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use effigy::{Error, ErrorKind, Result};

use super::render;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy merge part0 part1 part2 -o dataset                    folders of `effigy prepare` or `effigy synth data`
  effigy merge dataset -o dataset                              parts that share one folder: statistics alone
  effigy merge part0.json part1.json -o eval.html              parts of `effigy eval`; or .json, .png
  effigy merge jobs.results-*.jsonl -o results.jsonl           results of `effigy render`

A data set that was made in parts becomes the one that a single process would have made, byte for byte.")]
pub(crate) struct MergeArgs {
    /// The parts, all of one kind
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// The folder or file to write
    #[arg(short, long, value_name = "WHOLE")]
    output: PathBuf,
}

/// Joins the parts by what they are.
pub(crate) fn run(args: &MergeArgs) -> Result<()> {
    let n_folders = args.parts.iter().filter(|part| part.is_dir()).count();
    if let Some(missing) = args.parts.iter().find(|part| !part.exists()) {
        return Err(Error::new(ErrorKind::Config, format!("{} does not exist", missing.display())));
    }
    if n_folders == 0 && is_evaluation(&args.parts[0]) {
        return merge_evaluation(args);
    }
    if n_folders == 0 {
        let n_lines = render::merge_results(&args.parts, &args.output)?;
        log::info!("results of {n_lines} clips: {}", args.output.display());
        return Ok(());
    }
    if n_folders < args.parts.len() {
        return Err(Error::new(ErrorKind::Config, "expected folders or files to join, found both"));
    }
    merge_folders(args)
}

/// Whether a file is a part of an evaluation, by its beginning.
fn is_evaluation(path: &Path) -> bool {
    let mut beginning = [0; 12];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut beginning));
    read.is_ok() && beginning == *b"{\"eval_part\""
}

#[cfg(feature = "train")]
fn merge_evaluation(args: &MergeArgs) -> Result<()> {
    super::eval::merge(&args.parts, &args.output)
}

#[cfg(not(feature = "train"))]
fn merge_evaluation(_: &MergeArgs) -> Result<()> {
    Err(untrained())
}

#[cfg(feature = "train")]
fn merge_folders(args: &MergeArgs) -> Result<()> {
    let n_clips = effigy::train::prepare::merge(&args.parts, &args.output)?;
    log::info!("{n_clips} clips: {}", args.output.display());
    Ok(())
}

#[cfg(not(feature = "train"))]
fn merge_folders(_: &MergeArgs) -> Result<()> {
    Err(untrained())
}

#[cfg(not(feature = "train"))]
fn untrained() -> Error {
    let message =
        "data sets and evaluations are joined by a program with training: cargo install --path . --features train";
    Error::new(ErrorKind::Config, message)
}
