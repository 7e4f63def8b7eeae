//! `effigy eval --across`: how expression arrives on other people's faces.

use std::path::Path;

use effigy::drive::DriveOptions;
use effigy::error::OrError as _;
use effigy::train::eval::across::{self, AcrossPair};
use effigy::{Error, ErrorKind, Result, photo};

use super::{EvalArgs, GeneratorSpec, open, refuse_overwriting, write};
use crate::cli::terminal;

/// Plays the pairs, prints the table, writes the reports.
pub(super) fn run(args: &EvalArgs, folders: &[std::path::PathBuf]) -> Result<()> {
    let [portraits, clips] = folders else {
        return Err(Error::new(ErrorKind::Config, "expected --across PORTRAITS CLIPS, two folders or files"));
    };
    let pairs = across::across_pairs(portraits, clips, &args.pair)?;
    check_outputs(args, &pairs)?;
    let spec = match &args.generator[..] {
        [] => GeneratorSpec { label: None, network: Some(("cpu", None)) },
        [one] => one.clone(),
        _ => {
            let message = "--across measures one generator; give --generator once, and run it again for the other";
            return Err(Error::new(ErrorKind::Config, message));
        }
    };
    let mut contender = open(&spec)?;
    let is_stopped = super::stop_on_interrupt();
    let bar = terminal::bar(1, "");
    let report = across::across(
        &pairs,
        &mut *contender.generator,
        DriveOptions::default(),
        args.recognition.as_deref(),
        &mut |(name, i, n, n_frames)| {
            if n_frames == 0 {
                bar.set_length(across::MAX_FRAMES as u64);
                bar.set_message(format!("frames of {name} ({} of {n})", i + 1));
                bar.reset_eta();
            }
            bar.set_position(n_frames as u64);
            !is_stopped.load(std::sync::atomic::Ordering::Relaxed)
        },
    )?;
    bar.finish_and_clear();
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&report)
            .or_error(ErrorKind::Internal, || "cannot write the figures".to_owned())?;
        write(path, (text + "\n").as_bytes())?;
    }
    if let (Some(path), Some(sheet)) = (&args.output, across::sheet(&report)) {
        if is_jpeg(path) { write(path, &photo::jpeg(&sheet)?)? } else { photo::write_png(path, &sheet)? }
    }
    terminal::print(across::table(&report).as_bytes())?;
    if report.pairs.is_empty() && !report.is_cut_short {
        return Err(Error::new(ErrorKind::Photo, "no pair could be measured; the table says why"));
    }
    Ok(())
}

fn is_jpeg(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["jpg", "jpeg"].iter().any(|jpeg| ending.eq_ignore_ascii_case(jpeg))
}

fn check_outputs(args: &EvalArgs, pairs: &[AcrossPair]) -> Result<()> {
    let outputs: Vec<_> = [&args.json, &args.output].into_iter().flatten().collect();
    let read = pairs.iter().flat_map(|pair| [&pair.portrait, &pair.clip]);
    let weights = args.generator.iter().filter_map(|spec| spec.network.as_ref().and_then(|(_, path)| path.as_ref()));
    refuse_overwriting(&outputs, &read.chain(weights).chain(args.recognition.iter()).collect::<Vec<_>>())
}
