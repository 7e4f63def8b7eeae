//! `effigy train --speech`: the mouth that moves as it is heard.

use clap::Args;
use effigy::error::OrError as _;
use effigy::train::speech::{self, Part, SpeechOptions};
use effigy::{ErrorKind, Result};

use super::{RATE, TrainArgs, with_progress};
use crate::cli::terminal;

/// Steps between lines of the report.
const REPORT_EVERY: usize = 100;

/// What belongs to speech alone.
#[derive(Args, Debug)]
pub(crate) struct SpeechArgs {
    /// Train the network that moves the mouth by sound, from utterances with their phonemes (scripts/speech_data.py), instead of
    /// the generator: what `effigy run --source audio:FILE` hears by
    #[arg(long, conflicts_with_all = ["family", "motion", "network", "initial", "picture", "decoded", "frames", "portraits",
        "features", "no_adversary", "only"])]
    pub(super) speech: bool,
}

/// Trains the network.
pub(super) fn run(args: &TrainArgs) -> Result<()> {
    let (data, output) = args.folders()?;
    let utterances = speech::utterances(data)?;
    std::fs::create_dir_all(output)
        .or_error(ErrorKind::Io, || format!("cannot make the folder {}", output.display()))?;
    let n_rows: usize = utterances.iter().map(|utterance| utterance.powers.len()).sum();
    log::info!("{} utterances, {:.0} minutes", utterances.len(), n_rows as f64 / 6000.0);
    let options = SpeechOptions {
        output: output.to_owned(),
        n_steps: args.steps,
        rate: args.rate.unwrap_or(RATE),
        seed: args.seed,
        checkpoint_every: args.checkpoint_every,
        report_every: REPORT_EVERY,
    };
    let mut figures = Vec::new();
    with_progress(args, |stop, report| {
        figures = speech::teach(&options, &utterances, &args.device(), stop, report)?;
        Ok(())
    })?;
    log::info!("{} written", output.join(speech::FILE_NAME).display());
    for (part, figures) in figures {
        let title = match part {
            Part::Train => "what was learned from",
            Part::Voices => "voices that nothing was learned from",
            Part::Language => "a language that nothing was learned from",
        };
        terminal::print(format!("{title}: {}", figures.table()).as_bytes())?;
    }
    Ok(())
}
