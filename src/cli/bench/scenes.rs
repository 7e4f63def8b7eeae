//! `effigy bench run`: scenes, rounds, two variants in turn, and what is written down.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::cli::{names, outputs};
use clap::Args;
use effigy::bench::page;
use effigy::bench::record::Label;
use effigy::bench::scenario;
use effigy::error::OrError as _;
use effigy::files;
use effigy::{Error, ErrorKind, Result};

use super::{
    Engine, EngineArgs, Length, Recording, RunRecord, Scenario, compare, comparison_text, length, parse_secs, terminal,
};

/// The code with which a program ends that was interrupted.
const INTERRUPTED: i32 = 130;
/// What a run in another process may take beside its own time: loading, enrolling, a machine that is busy.
const MAX_EXTRA: Duration = Duration::from_secs(300);

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy bench run --out bench
  effigy bench run --scenario steady --scenario cpu-load --secs 30
  effigy bench run --scenario steady --rounds 3 --versus '--size 1024' --out sizes
  effigy bench run --scenario steady --rounds 3 --versus-binary ../old/effigy --out builds

With --versus or --versus-binary the variants A and B play in turn (A, B, A, B), each in a process
of its own. --out DIR gets bench.json, runs.jsonl (a run a line) and report.html with plots.
Scenarios: steady, bursty, slow-generator, cpu-load, switches, face-lost, replug, overload-capture,
overload-face, overload-generate, overload-sink.")]
pub(crate) struct ScenesArgs {
    /// The scenes to play; may be repeated [default: all; `switches` only with more than one identity]
    #[arg(long, value_name = "NAME")]
    scenario: Vec<Scenario>,
    /// Seconds to measure in each run; with those before at most 3600
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = parse_secs)]
    secs: f64,
    /// Seconds to play before
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = parse_secs)]
    warm_up: f64,
    /// Runs of each scene and variant
    #[arg(long, default_value = "1", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    #[command(flatten)]
    engine: EngineArgs,
    /// Options of variant B, in addition to those of A, as one argument
    #[arg(long, value_name = "'OPTIONS'", allow_hyphen_values = true)]
    versus: Option<String>,
    /// The program of variant B: another build of effigy
    #[arg(long, value_name = "FILE")]
    versus_binary: Option<PathBuf>,
    /// Write bench.json, runs.jsonl and report.html into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Plays scenes, prints a line for each run, and writes everything down. Runs that were made before one failed, or before
/// Ctrl-C, are written down too.
pub(super) fn run(args: &ScenesArgs) -> Result<()> {
    let (scenarios, length) = (scenarios(args)?, length(args.secs, args.warm_up)?);
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder)
            .or_error(ErrorKind::Io, || format!("cannot make the folder {}", folder.display()))?;
        outputs::check_writable(&folder.join("bench.json"))?;
    }
    let mut recording = Recording::begin();
    terminal::print(format!("{}\n", RunRecord::HEAD).as_bytes())?;
    let is_over = on_interrupt();
    let outcome = if args.versus.is_some() || args.versus_binary.is_some() {
        play_in_turn(args, &scenarios, &is_over, &mut recording)
    } else {
        play_here(args, &scenarios, length, &is_over, &mut recording)
    };
    recording.end();
    let written = if recording.runs.is_empty() { Ok(()) } else { write_down(args, &recording) };
    outcome.and(written)
}

/// The scenes that were asked for. One person alone cannot be switched.
fn scenarios(args: &ScenesArgs) -> Result<Vec<Scenario>> {
    let is_alone = names::all(&args.engine.identity).count() == 1;
    let can_play = |scenario: &Scenario| !is_alone || *scenario != Scenario::Switches;
    if args.scenario.is_empty() {
        if is_alone {
            log::info!("left out: the scene switches, which needs two identities; --identity a,b gives them");
        }
        return Ok(Scenario::ALL.into_iter().filter(can_play).collect());
    }
    if !args.scenario.iter().all(can_play) {
        let message = "switches needs two identities; give --identity a,b, or leave it out";
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(args.scenario.clone())
}

/// A flag that Ctrl-C sets: no further run begins.
fn on_interrupt() -> Arc<AtomicBool> {
    let is_over = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&is_over);
    terminal::on_interrupt(move || {
        asked.store(true, Ordering::Relaxed);
        log::info!("the run at hand is the last; asked a second time, the program ends at once");
    });
    is_over
}

/// Compares the variants and writes the files.
fn write_down(args: &ScenesArgs, recording: &Recording) -> Result<()> {
    if recording.runs.iter().any(|run| run.variant == "B") {
        let (comparisons, unlike) = (compare::recordings(recording, recording), compare::unlike(recording, recording));
        terminal::print(format!("\n{}", comparison_text(&comparisons, &unlike)).as_bytes())?;
    }
    let Some(folder) = &args.out else { return Ok(()) };
    for (name, text) in [
        ("bench.json", recording.to_json()? + "\n"),
        ("runs.jsonl", recording.to_json_lines()?),
        ("report.html", page::html(recording)),
    ] {
        let path = folder.join(name);
        files::write(&path, text.as_bytes()).map_err(|error| outputs::cannot_write(&path, error))?;
    }
    log::info!("next: open {}", folder.join("report.html").display());
    Ok(())
}

/// Plays every scene in this process.
fn play_here(
    args: &ScenesArgs,
    scenarios: &[Scenario],
    length: Length,
    is_over: &AtomicBool,
    recording: &mut Recording,
) -> Result<()> {
    let generator = || args.engine.generator();
    let engine = Engine { identities: args.engine.identities()?, generator: &generator, size_px: args.engine.size };
    let backend = args.engine.backend.to_string();
    for round in 1..=args.rounds {
        for &scenario in scenarios {
            if is_over.load(Ordering::Relaxed) {
                return Ok(());
            }
            let label = Label {
                scenario: scenario.name().to_owned(),
                variant: "A".to_owned(),
                settings: format!("--size {} --backend {backend}", args.engine.size),
                round,
            };
            let run = scenario::play(scenario, &engine, length, label)?;
            terminal::print(format!("{}\n", run.row()).as_bytes())?;
            recording.runs.push(run);
        }
    }
    Ok(())
}

/// Plays A, B, A, B, each run in a process of its own: what warms up or fills up in one cannot help or hurt the next.
fn play_in_turn(
    args: &ScenesArgs,
    scenarios: &[Scenario],
    is_over: &AtomicBool,
    recording: &mut Recording,
) -> Result<()> {
    let own =
        std::env::current_exe().or_error(ErrorKind::Internal, || "cannot find this program's own file".to_owned())?;
    // Known before A has played; and a bare name is a file here, not a command somewhere on PATH.
    let other = match &args.versus_binary {
        None => own.clone(),
        Some(path) => {
            path.canonicalize().or_error(ErrorKind::Config, || format!("there is no program {}", path.display()))?
        }
    };
    let added: Vec<OsString> = args.versus.as_deref().unwrap_or_default().split_whitespace().map(Into::into).collect();
    let folder = std::env::temp_dir().join(format!("effigy-bench-{}", std::process::id()));
    let outcome = (1..=args.rounds).try_for_each(|round| {
        for scenario in scenarios {
            for (variant, program, added) in [("A", &own, &[][..]), ("B", &other, &added[..])] {
                if is_over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let mut run = match play_there(args, program, scenario.name(), added, &folder) {
                    // Ctrl-C reached that program too, and it may have ended at once.
                    Err(_) if is_over.load(Ordering::Relaxed) => return Ok(()),
                    played => played?,
                };
                run.variant = variant.to_owned();
                run.round = round;
                if variant == "B"
                    && let Some(typed) = &args.versus_binary
                {
                    run.settings += &format!(" ({})", typed.display());
                }
                terminal::print(format!("{}\n", run.row()).as_bytes())?;
                recording.runs.push(run);
            }
        }
        Ok(())
    });
    // Removing it matters to nobody if it fails: it lies in the system's temporary folder.
    let _ = std::fs::remove_dir_all(folder);
    outcome
}

/// Plays one scene in another process.
fn play_there(
    args: &ScenesArgs,
    program: &Path,
    scenario: &str,
    added: &[OsString],
    folder: &Path,
) -> Result<RunRecord> {
    // What another run left must not be taken for what a program that writes nothing has recorded.
    let recorded = folder.join("bench.json");
    let said = folder.join("said.txt");
    let unusable = || format!("cannot use the folder {}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).or_error(ErrorKind::Io, unusable)?;
    }
    std::fs::create_dir_all(folder).or_error(ErrorKind::Io, unusable)?;
    let mut command = Command::new(program);
    command.args(["bench", "run", "--scenario", scenario]);
    command.args(["--secs", &args.secs.to_string(), "--warm-up", &args.warm_up.to_string()]);
    let size = args.engine.size.to_string();
    let backend = args.engine.backend.to_string();
    let is_added = |name: &str| added.iter().any(|option| option.to_string_lossy().starts_with(name));
    for (name, value) in [("--size", &size), ("--backend", &backend)] {
        if !is_added(name) {
            command.args([name, value]);
        }
    }
    let keys = &args.engine.keys;
    for (name, file) in [("--key=", &keys.key), ("--passphrase-file=", &keys.passphrase_file)] {
        command.args(file.as_ref().map(|file| {
            let mut option = OsString::from(name);
            option.push(file);
            option
        }));
    }
    if !is_added("--identity") {
        for path in names::all(&args.engine.identity) {
            let mut option = OsString::from("--identity=");
            option.push(path);
            command.arg(option);
        }
    }
    command.args(added).arg("--out").arg(folder);
    let stderr = std::fs::File::create(&said).or_error(ErrorKind::Io, unusable)?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let bound = Duration::from_secs_f64(args.secs + args.warm_up) + MAX_EXTRA;
    let failed = |why: String| Error::new(ErrorKind::Config, format!("{} failed: {why}", program.display()));
    let Some(status) = run_bounded(&mut command, program, bound)? else {
        return Err(failed(format!("it did not end within {} s and was stopped", bound.as_secs())));
    };
    // One that was interrupted has made its run, or has recorded nothing.
    if !status.success() && status.code() != Some(INTERRUPTED) {
        let said = std::fs::read_to_string(&said).unwrap_or_default();
        return Err(failed(said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()));
    }
    if !recorded.exists() {
        return Err(failed("it recorded nothing; is it a build of effigy that has `bench run`?".to_owned()));
    }
    let recording = Recording::load(&recorded)?;
    recording.runs.into_iter().next().ok_or_else(|| failed("its recording holds no run".to_owned()))
}

/// Runs a program to its end; `None` when it had not ended after `bound` and was stopped.
fn run_bounded(command: &mut Command, program: &Path, bound: Duration) -> Result<Option<ExitStatus>> {
    let context = || format!("cannot start {}", program.display());
    let mut child = command.spawn().or_error(ErrorKind::Io, context)?;
    let since = Instant::now();
    loop {
        if let Some(status) = child.try_wait().or_error(ErrorKind::Io, context)? {
            return Ok(Some(status));
        }
        if since.elapsed() > bound {
            // It may end in this very moment.
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
