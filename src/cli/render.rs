//! `effigy render`: many clips, side by side, in parts, again after it was stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;
use crossbeam_channel::Sender;
use effigy::error::OrError as _;
use effigy::identity::Opener;
use effigy::pipeline::Control;
use effigy::shard::Shard;
use effigy::{Error, ErrorKind, Result};

use self::job::{Job, Whom};
use self::results::{Outcome, Rendered, Results};

pub(super) use self::results::merge as merge_results;

use super::opener::{KeyArgs, is_sealed_file};
use super::outputs::is_same_file;
use super::terminal;

mod clip;
mod job;
mod results;

/// Memory that one clip takes while it is rendered, with room to spare.
const CLIP_BYTES: u64 = 700 << 20;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy render jobs.jsonl
  effigy render jobs.jsonl --shard $SLURM_ARRAY_TASK_ID/16

Each line of the file is one clip as JSON; paths count from the file's own folder:
  {\"identity\": \"ann.effigy\", \"clip\": \"talk.mp4\", \"output\": \"out/ann-talk.mp4\"}
  {\"photo\": \"ben.jpg\", \"consent\": \"subject\", \"consent_by\": \"Ben Example\", \"clip\": \"talk.mp4\", \"output\": \"out/ben.mp4\"}
Further keys are those of `effigy run`: size, backend, model, weights, codec, motion, strength, head, gaze, lids, brows, mouth,
keep_expression, eye_contact, predict, mesh_only, background, mirror, purpose, no_badge, badge_place, badge_language, unsigned,
duration; of `effigy enroll`: framing, face.

Every frame of a clip is rendered, as with `effigy run --every-frame`. A clip appears under its name when it is whole.
Each has a line in the results: frames, time, hash, or the error. Started again, clips that are whole are skipped and
failed ones are tried again. Several processes may share a folder if each has its own --shard.")]
pub(crate) struct RenderArgs {
    /// The clips to render, one JSON object a line
    jobs: PathBuf,
    /// Render one part of N only: the lines I, I + N, I + 2 N …, counted from 0
    #[arg(long, value_name = "I/N", default_value_t)]
    shard: Shard,
    /// How many clips to render side by side [default: one for two cores, as far as memory goes]
    #[arg(long = "jobs", value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    n_jobs: Option<u16>,
    /// Where a line for each clip is added [default: beside the jobs, NAME.results.jsonl or NAME.results-I-of-N.jsonl]
    #[arg(long, value_name = "FILE.jsonl")]
    results: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Renders what the results do not say to be done.
pub(crate) fn run(args: &RenderArgs) -> Result<()> {
    let jobs = job::read(&args.jobs)?;
    check_names(&jobs)?;
    let path = args.results.clone().unwrap_or_else(|| results_path(&args.jobs, args.shard));
    if jobs.iter().any(|job| is_same_file(&path, &job.clip)) || is_same_file(&path, &args.jobs) {
        let message = format!("the results would be added to what is read; name another file than {}", path.display());
        return Err(Error::new(ErrorKind::Config, message));
    }
    let mut results = Results::open(&path)?;
    let mine: Vec<&Job> = jobs.iter().filter(|job| args.shard.has(job.line - 1)).collect();
    let todo: Vec<&Job> = mine.iter().copied().filter(|job| !results.is_done(job)).collect();
    if todo.len() < mine.len() {
        log::info!("{} of {} clips are there already", mine.len() - todo.len(), mine.len());
    }
    let n_jobs = args.n_jobs.map_or_else(side_by_side, usize::from).min(todo.len().max(1));
    let opener = args.keys.opener()?;
    ask_first(&opener, &todo)?;
    let batch =
        Batch { shard: args.shard, todo: &todo, next: AtomicUsize::new(0), running: Arc::default(), opener: &opener };
    let stop = Arc::new(AtomicBool::new(false));
    let (running, asked) = (Arc::clone(&batch.running), Arc::clone(&stop));
    terminal::on_interrupt(move || {
        asked.store(true, Ordering::Relaxed);
        quit_all(&running);
    });
    let bar = terminal::bar(todo.len() as u64, "clips");
    let (mut n_done, mut n_failed) = (0, 0);
    batch.render(n_jobs, &stop, |job, rendered| {
        let outcome = Outcome::of(job, rendered);
        n_done += 1;
        n_failed += usize::from(outcome.error.is_some());
        bar.set_position(n_done as u64);
        log::info!("{n_done} of {}: {outcome}", todo.len());
        results.add(&outcome)
    })?;
    bar.finish_and_clear();
    // A scheduler takes failed clips for the end of a part, and this one has work left.
    let n_left = todo.len() - n_done;
    if n_left > 0 {
        let failed = if n_failed > 0 { format!(", {n_failed} failed") } else { String::new() };
        log::info!("stopped: {n_left} clips are left{failed}; the same command goes on");
        return Ok(());
    }
    if n_failed > 0 {
        let message = format!("{n_failed} of {} clips failed; {} says why", todo.len(), path.display());
        return Err(Error::new(ErrorKind::Io, message));
    }
    Ok(())
}

/// What several threads work on.
struct Batch<'a> {
    shard: Shard,
    todo: &'a [&'a Job],
    next: AtomicUsize,
    /// Controls of the clips that are being rendered, by line.
    running: Arc<Mutex<BTreeMap<usize, Sender<Control>>>>,
    opener: &'a Opener,
}

/// Asks for a passphrase before the work begins, not in the midst of it. What cannot be read is its clip's own failure.
fn ask_first(opener: &Opener, todo: &[&Job]) -> Result<()> {
    let sealed = todo.iter().filter_map(|job| match &job.whom {
        Whom::Identity(path) if is_sealed_file(path) => Some(path),
        _ => None,
    });
    let outcome =
        sealed.take(1).filter(|_| !opener.has_passphrases()).try_for_each(|path| opener.identity(path).map(|_| ()));
    match outcome {
        Err(error) if error.kind() == ErrorKind::Config => Err(error),
        _ => Ok(()),
    }
}

impl Batch<'_> {
    /// Renders all, and reports each that was not stopped.
    fn render(
        &self,
        n_jobs: usize,
        stop: &Arc<AtomicBool>,
        report: impl FnMut(&Job, &Result<Rendered>) -> Result<()> + Send,
    ) -> Result<()> {
        let report = Mutex::new(report);
        let worker = || -> Result<()> {
            while let Some(job) = self.todo.get(self.next.fetch_add(1, Ordering::Relaxed)) {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let (control, controls) = crossbeam_channel::bounded(4);
                lock(&self.running).insert(job.line, control);
                let mut rendered = Err(Error::new(ErrorKind::Internal, "nothing was rendered"));
                // A defect in one clip is that clip's error.
                let outcome = terminal::guarded(|| {
                    rendered = clip::render(job, self.shard, self.opener, controls, stop);
                    Ok(())
                });
                lock(&self.running).remove(&job.line);
                if stop.load(Ordering::Relaxed) {
                    // What ended now may have been cut short.
                    break;
                }
                if let Err(error) = outcome {
                    rendered = Err(error);
                }
                if let Err(error) = lock(&report)(job, &rendered) {
                    // Without results nothing more is worth rendering.
                    stop.store(true, Ordering::Relaxed);
                    quit_all(&self.running);
                    return Err(error);
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let start = |i: usize| std::thread::Builder::new().name(format!("render-{i}")).spawn_scoped(scope, worker);
            let threads: Vec<_> = (0..n_jobs).map(start).collect();
            let mut outcome = Ok(());
            for thread in threads {
                let thread = thread.or_error(ErrorKind::Internal, || "cannot start a thread".to_owned())?;
                let broken = |_| Err(Error::new(ErrorKind::Internal, "rendering broke down"));
                outcome = outcome.and(thread.join().unwrap_or_else(broken));
            }
            outcome
        })
    }
}

fn quit_all(running: &Mutex<BTreeMap<usize, Sender<Control>>>) {
    for control in lock(running).values() {
        // A full channel holds the same request already.
        let _ = control.try_send(Control::Quit);
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No two clips under one name, and none over what is read.
fn check_names(jobs: &[Job]) -> Result<()> {
    let mut lines: BTreeMap<&Path, usize> = BTreeMap::new();
    for job in jobs {
        let wrong = |message: String| Err(Error::new(ErrorKind::Config, format!("line {}: {message}", job.line)));
        if let Some(other) = lines.insert(&job.output, job.line) {
            return wrong(format!("the output is that of line {other}; name another than {}", job.output.display()));
        }
        if jobs.iter().any(|other| other.reads().any(|read| is_same_file(&job.output, read))) {
            return wrong(format!("the output would replace what is read; name another than {}", job.output.display()));
        }
    }
    Ok(())
}

fn results_path(jobs: &Path, shard: Shard) -> PathBuf {
    let ending = match shard {
        Shard::WHOLE => "results.jsonl".to_owned(),
        shard => format!("results-{}-of-{}.jsonl", shard.index(), shard.count()),
    };
    jobs.with_extension(ending)
}

/// How many clips the machine carries: rendering one keeps about two cores busy.
fn side_by_side() -> usize {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let by_memory = available_bytes().map_or(usize::MAX, |bytes| (bytes / CLIP_BYTES) as usize);
    n_cores.div_ceil(2).min(by_memory).max(1)
}

/// Memory that can be taken, where the system says so.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}
