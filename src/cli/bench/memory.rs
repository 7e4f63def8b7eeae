//! `effigy bench memory`: does memory stay where it was.

use std::time::Instant;

use clap::Args;
use effigy::bench::memory::{self, Course, Strain};
use effigy::{Error, ErrorKind, Result};

use super::{Engine, EngineArgs, terminal};

/// More than this above the settled memory is growth.
const BOUND: f64 = 0.05;
/// Frames a second of the clip that is played.
const RATE_HZ: u64 = 30;
/// Shares of a course after which memory must have settled: a minute of an hour, and as much as keeps all caches filled.
const WARM_UP_SWITCHES: u64 = 20;
const WARM_UP_RUNS: u64 = 5;
const WARM_UP_SECS: u64 = 60;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench memory
  effigy bench memory --switches 100 --runs 20 --clip-secs 300

Resident memory after the warm-up (20 switches, 5 runs, the first minute of the clip; less where that is
more than half) and at the end. Each identity is new to the generator, so that nothing of it is kept. The
long run is offline, as fast as it goes: an hour of the clip takes about as long. Exit code 1 when any
part ends more than 5 % above where it had settled.")]
pub(crate) struct MemoryArgs {
    /// How often the identity changes; 0 leaves this out
    #[arg(long, default_value = "1000", value_name = "N", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    switches: u64,
    /// How many runs begin and end; 0 leaves this out
    #[arg(long, default_value = "100", value_name = "N", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    runs: u64,
    /// How long the long run is, in seconds of the clip; 0 leaves this out
    #[arg(long, default_value = "3600", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(..=1_000_000))]
    clip_secs: u64,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Measures each part, prints a line for it, and fails when one grew.
pub(super) fn run(args: &MemoryArgs) -> Result<()> {
    if args.switches + args.runs + args.clip_secs == 0 {
        let message = "nothing to measure; give --switches, --runs or --clip-secs a number above 0";
        return Err(Error::new(ErrorKind::Config, message));
    }
    let generator = || args.engine.generator();
    let engine = Engine { identities: args.engine.identities()?, generator: &generator, size_px: args.engine.size };
    terminal::print(b"what           times   settled      most    at end   growth      time\n")?;
    let mut grown = Vec::new();
    for strain in Strain::ALL {
        let (n, n_warm_up) = match strain {
            Strain::Switches => (args.switches, WARM_UP_SWITCHES),
            Strain::Runs => (args.runs, WARM_UP_RUNS),
            Strain::Frames => (args.clip_secs * RATE_HZ, WARM_UP_SECS * RATE_HZ),
        };
        if n == 0 {
            continue;
        }
        let begin = Instant::now();
        let progress = terminal::spinner(strain.name());
        let growth = memory::measure(strain, &engine, Course { n_warm_up: n_warm_up.min(n / 2), n });
        progress.finish_and_clear();
        let growth = growth?;
        terminal::print(
            format!(
                "{:<10} {n:>9} {:>5.0} MiB {:>5.0} MiB {:>5.0} MiB {:>+6.1} % {:>7.0} s\n",
                strain.name(),
                growth.settled_mib,
                growth.most_mib,
                growth.end_mib,
                100.0 * growth.share(),
                begin.elapsed().as_secs_f64()
            )
            .as_bytes(),
        )?;
        if growth.share() > BOUND {
            grown.push(strain.name());
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    let message = format!(
        "memory grew by more than {:.0} % over {}, which is a defect of this program; please report it",
        100.0 * BOUND,
        grown.join(" and over ")
    );
    Err(Error::new(ErrorKind::Internal, message))
}
