//! A picture server under load: workers, batches, users that send 30 frames a second, for real.
//!
//! What it makes are the network's pictures from driving numbers and an identity, as a server behind `--backend remote:` does; the
//! face is found by the users' own machines. [`super::capacity`] says beforehand how it will go.

use std::sync::{Arc, Barrier, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::capacity::{Busy, Line, Outcome, Policy, RATE_HZ, Spans, WARM_UP_SECS, Waiting};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::generate::cpu::CpuExecutor;
use crate::generate::network::weights::Weights;
use crate::generate::network::{self, FrameOptions};
use crate::generate::neural::{FrameInputs, typical};
use crate::generate::plan::{Adoption, Executor as _, TensorView, TensorViewMut};
use crate::identity::Identity;

/// Makes pictures of some identities on the processor.
pub struct Worker {
    shown: Vec<(CpuExecutor, Vec<FrameInputs>)>,
    picture: Vec<u8>,
    n_made: usize,
}

impl Worker {
    /// Makes everything ready, on `n_threads` of the processor. Slow.
    ///
    /// # Errors
    /// As adopting an identity.
    pub fn new(identities: &[Arc<Identity>], size_px: usize, n_threads: usize) -> Result<Self> {
        let weights = Weights::built_in()?;
        let shown = identities.iter().map(|identity| {
            let (tensors, frames) = typical(&weights, identity, size_px)?;
            let plan = network::frame(&FrameOptions::new(weights.size(), size_px));
            let params = network::fold(&plan, &weights, &tensors.encoded.embedding)?;
            let params = params.iter().map(Vec::as_slice).collect();
            let adoption = Adoption { params, constants: tensors.constants() };
            let mut executor = CpuExecutor::new(plan, n_threads)?;
            executor.adopt(&adoption)?;
            let examples: Vec<Vec<TensorView>> = frames.iter().map(|frame| frame.views().to_vec()).collect();
            executor.settle(&adoption, &examples)?;
            Ok((executor, frames))
        });
        Ok(Self { shown: shown.collect::<Result<_>>()?, picture: vec![0; 4 * size_px * size_px], n_made: 0 })
    }

    /// Makes a user's next picture.
    fn make(&mut self, user: usize) -> Result<()> {
        let n = self.shown.len().max(1);
        let (executor, frames) = self
            .shown
            .get_mut(user % n)
            .ok_or_else(|| Error::new(ErrorKind::Config, "expected an identity to show"))?;
        self.n_made += 1;
        let frame = &frames[self.n_made % frames.len()];
        executor.run(&frame.views(), &mut [TensorViewMut::Bytes(&mut self.picture)])
    }
}

/// What pictures take while all workers are busy: of one after another, for so long.
///
/// # Errors
/// When a picture cannot be made.
pub fn measure_cost(workers: &mut [Worker], length: Duration) -> Result<Busy> {
    // All begin at once, when each has made its first.
    let ready = Barrier::new(workers.len());
    let measured = std::thread::scope(|scope| {
        let measure = |worker: &mut Worker| -> Result<Spans> {
            let first = worker.make(0);
            ready.wait();
            first?;
            let (begin, mut made) = (Instant::now(), Vec::new());
            let mut now_secs = 0.0;
            while now_secs < length.as_secs_f64() {
                worker.make(made.len())?;
                let end_secs = begin.elapsed().as_secs_f64();
                made.push((now_secs, end_secs - now_secs));
                now_secs = end_secs;
            }
            Ok(made)
        };
        let threads: Vec<_> = workers.iter_mut().map(|worker| scope.spawn(move || measure(worker))).collect();
        let panicked = || Err(Error::new(ErrorKind::Internal, "a worker broke down"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect::<Result<Vec<_>>>()
    })?;
    Ok(Busy { made: measured, ..Busy::default() })
}

/// What users and workers share.
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
    begin: Instant,
}

struct State {
    line: Line,
    outcome: Outcome,
    is_over: bool,
}

impl Desk {
    fn now_secs(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the work: nobody waits any longer.
    fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_all();
    }

    /// Waits for a batch, and notes when a worker that waited was to begin, and how much later it did; `false` at the end.
    fn take(&self, policy: &Policy, batch: &mut Vec<Waiting>, woke: &mut Spans) -> bool {
        let mut state = self.lock();
        let mut has_waited = false;
        loop {
            if state.is_over {
                return false;
            }
            let due_secs = state.line.due_secs(policy);
            let wait = match due_secs.map(|due_secs| (due_secs, due_secs - self.now_secs())) {
                Some((due_secs, wait)) if wait <= 0.0 => {
                    state.line.take(policy, batch);
                    if has_waited {
                        woke.push((due_secs, -wait));
                    }
                    return true;
                }
                Some((_, wait)) => Duration::from_secs_f64(wait),
                None => Duration::from_millis(100),
            };
            has_waited = true;
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Serves users whose frames come at `phases` of each interval, for so many seconds; says how old the pictures became, how long
/// each took, and how long idle workers took to begin.
///
/// # Errors
/// When a picture cannot be made, or a thread not be started.
pub fn serve(workers: &mut [Worker], policy: &Policy, phases: &[f64], secs: f64) -> Result<(Outcome, Busy)> {
    let state = State { line: Line::default(), outcome: Outcome::default(), is_over: false };
    let desk = Desk { state: Mutex::new(state), changed: Condvar::new(), begin: Instant::now() };
    let (made, woke) = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for worker in workers.iter_mut().take(policy.n_workers) {
            let desk = &desk;
            let work = move || -> Result<(Spans, Spans)> {
                let (mut batch, mut pictures, mut woke) = (Vec::new(), Vec::new(), Vec::new());
                while desk.take(policy, &mut batch, &mut woke) {
                    let mut end = desk.now_secs();
                    let made = batch.iter().try_for_each(|waiting| {
                        let begin = end;
                        worker.make(waiting.user)?;
                        end = desk.now_secs();
                        pictures.push((begin, end - begin));
                        Ok(())
                    });
                    let mut state = desk.lock();
                    for waiting in batch.iter().filter(|waiting| waiting.came_secs >= WARM_UP_SECS) {
                        state.outcome.age.record(Duration::from_secs_f64(end - waiting.came_secs));
                    }
                    if let Err(error) = made {
                        state.is_over = true;
                        desk.changed.notify_all();
                        return Err(error);
                    }
                }
                Ok((pictures, woke))
            };
            let thread = std::thread::Builder::new().name("worker".to_owned());
            threads.push(
                thread
                    .spawn_scoped(scope, work)
                    .or_error(ErrorKind::Internal, || "cannot start a worker".to_owned())
                    // The scope waits for those that run already.
                    .inspect_err(|_| desk.end())?,
            );
        }
        send(&desk, phases, secs);
        let panicked = || Err(Error::new(ErrorKind::Internal, "a worker broke down"));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| panicked()))
            .collect::<Result<(Vec<_>, Vec<_>)>>()
    })?;
    Ok((desk.state.into_inner().unwrap_or_else(PoisonError::into_inner).outcome, Busy { made, woke }))
}

/// Sends every user's frames at their times, then ends the work.
fn send(desk: &Desk, phases: &[f64], secs: f64) {
    let mut order: Vec<usize> = (0..phases.len()).collect();
    order.sort_by(|&a, &b| phases[a].total_cmp(&phases[b]));
    for k in 0..(secs * RATE_HZ) as usize {
        for &user in &order {
            let at = (k as f64 + phases[user]) / RATE_HZ;
            std::thread::sleep(Duration::from_secs_f64((at - desk.now_secs()).max(0.0)));
            let mut state = desk.lock();
            if state.is_over {
                return;
            }
            // A sender that was held up is no younger frame.
            let is_dropped = state.line.put(user, at);
            if at >= WARM_UP_SECS {
                state.outcome.n_offered += 1;
                state.outcome.n_dropped += u64::from(is_dropped);
            }
            desk.changed.notify_one();
        }
    }
    desk.end();
}
