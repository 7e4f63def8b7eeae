//! The link thread: keeps the connection, sends the newest frame, and says when the server goes and comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::generate::neural::{FrameInputs, Introduction};
use crate::latest::{Published, Publisher, Received, Subscriber};
use crate::trace::Away;

use super::address::Address;
use super::dial::Dialer;
use super::failure::{Failure, late};
use super::greeting::{Line, connect, greet, within};
use super::pace::Hold;
use super::payload::Portrait;
use super::seam::{Answer, Job, Options, Shared, Told};

/// How long the thread waits for a frame before it looks after the connection.
const TICK: Duration = Duration::from_millis(20);
/// A server that refuses may be mended by its keeper, and one that is slow may have less to do: not at once.
const AFTER_REFUSAL: Duration = Duration::from_secs(5);
/// An answer that is late by no more than this is late; by more, the server is lost.
const GRACE: Duration = Duration::from_millis(250);
/// Where every picture is waited for.
const LONG: Duration = Duration::from_secs(30);

/// What the thread is given.
pub(super) struct Ends {
    pub(super) address: Address,
    pub(super) dialer: Dialer,
    pub(super) options: Options,
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: Subscriber<Job>,
    pub(super) answers: Publisher<Answer>,
    pub(super) whom: Receiver<Told>,
}

/// Whom the server has to show.
struct Wanted {
    whom: Arc<Introduction>,
    portrait: Portrait,
    told: Sender<Result<()>>,
}

/// What the thread keeps.
struct Link {
    ends: Ends,
    handle: Handle,
    wanted: Option<Wanted>,
    line: Option<Line>,
    /// When the server came and when it went.
    since: Instant,
    retry_at: Instant,
    hold: Hold,
    /// What was said last of why there is no server: not said twice.
    said: Option<String>,
    has_been_there: bool,
    /// Whether it went since; another identity means no loss.
    is_lost: bool,
}

/// Starts the thread, and one beside it on which the network's work is done while this one waits for frames.
pub(super) fn start(ends: Ends) -> Result<()> {
    let failed = || "cannot start the thread that speaks to the server".to_owned();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().or_error(ErrorKind::Internal, failed)?;
    let handle = runtime.handle().clone();
    let (over, is_over) = oneshot::channel::<()>();
    let network = move || {
        // Ends when the other end is dropped.
        let _ = runtime.block_on(is_over);
    };
    std::thread::Builder::new().name("remote-net".to_owned()).spawn(network).or_error(ErrorKind::Internal, failed)?;
    let now = Instant::now();
    let mut link = Link {
        ends,
        handle,
        wanted: None,
        line: None,
        since: now,
        retry_at: now,
        hold: Hold::new(),
        said: None,
        has_been_there: false,
        is_lost: false,
    };
    let work = move || {
        let _over = over;
        link.run();
    };
    std::thread::Builder::new().name("remote".to_owned()).spawn(work).or_error(ErrorKind::Internal, failed)?;
    Ok(())
}

impl Link {
    fn run(&mut self) {
        let (mut job, mut answer) = (Job::default(), Answer::default());
        loop {
            let mut newest = None;
            loop {
                match self.ends.whom.try_recv() {
                    // Meeting the server takes long, and nobody is shown any more who came before the newest.
                    Ok(told) => newest = Some(told),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            if let Some((whom, told)) = newest {
                self.want(whom, told);
            }
            if self.line.is_none() && self.wanted.is_some() && Instant::now() >= self.retry_at {
                self.meet();
            }
            match self.ends.jobs.receive(&mut job, TICK) {
                Received::Fresh => {
                    answer.number = job.number;
                    answer.away = match (&job.frame, job.asked) {
                        (Some(frame), Some(asked)) => self.ask(frame, asked, &mut answer),
                        _ => None,
                    };
                    if self.ends.answers.publish(&mut answer) == Published::Closed {
                        return;
                    }
                }
                Received::Idle => {}
                Received::Closed => return,
            }
            // The other end gives up by its own clock, which may be a hair before this one's.
            if let (Some(_), Some(wanted)) = (&self.line, &self.wanted)
                && !self.ends.shared.shows(&wanted.whom)
            {
                self.ends.shared.show(Some(&wanted.whom));
            }
        }
    }

    /// Takes up another identity.
    fn want(&mut self, whom: Arc<Introduction>, told: Sender<Result<()>>) {
        if let Some(wanted) = &self.wanted
            && Arc::ptr_eq(&wanted.whom, &whom)
        {
            // Nobody need wait for the answer.
            let _ = told.try_send(Ok(()));
            return;
        }
        self.ends.shared.show(None);
        self.line = None;
        self.retry_at = Instant::now();
        let portrait = Portrait::new(&whom.tensors);
        self.wanted = Some(Wanted { whom, portrait, told });
    }

    /// Looks for the server and tells it of the identity.
    fn meet(&mut self) {
        let Some(wanted) = &self.wanted else { return };
        let ends = &self.ends;
        let mut is_connected = false;
        let meeting = async {
            let met = connect(&ends.address, &ends.dialer, ends.options.token.as_deref()).await?;
            is_connected = true;
            let line = greet(met, &wanted.portrait, &wanted.whom).await?;
            if !ends.options.waits && line.pace.is_slow() { Err(Failure::Slow) } else { Ok(line) }
        };
        match self.handle.block_on(meeting) {
            Ok(line) => {
                ends.shared.set_patience(self.patience(&line));
                ends.shared.show(Some(&wanted.whom));
                let _ = wanted.told.try_send(Ok(()));
                self.say_met(&line);
                (self.line, self.said, self.since) = (Some(line), None, Instant::now());
                (self.has_been_there, self.is_lost) = (true, false);
            }
            Err(failure) => {
                let name = &ends.address;
                let text = failure.text();
                let (wait, verdict) = match failure {
                    Failure::Refused(_) => {
                        let message = format!("{name} cannot make the pictures: {text}");
                        (AFTER_REFUSAL, Err(Error::new(ErrorKind::BackendUnavailable, message)))
                    }
                    Failure::Slow => (AFTER_REFUSAL, Ok(())),
                    // A greeting costs an identity of 12 MB and pictures; looking whether anybody is there costs nothing.
                    Failure::Silent(_) | Failure::Forgotten if is_connected => {
                        (self.hold.after_loss(Duration::ZERO), Ok(()))
                    }
                    Failure::Silent(_) | Failure::Forgotten => (Hold::new().after_loss(Duration::ZERO), Ok(())),
                };
                // At the start a refusal ends the run, and need not be said twice.
                let is_heard = wanted.told.try_send(verdict).is_ok() && matches!(failure, Failure::Refused(_));
                if self.said.as_ref() != Some(&text) && !is_heard {
                    let substitute = &ends.options.substitute;
                    log::warn!("no picture from {name} ({text}); {substitute} makes them until there is");
                }
                self.said = Some(text);
                self.retry_at = Instant::now() + wait;
            }
        }
    }

    /// Says what the server takes, once it is there or back.
    fn say_met(&self, line: &Line) {
        let name = &self.ends.address;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let usual = line.pace.usual();
        if self.is_lost && self.has_been_there {
            let gone = self.since.elapsed().as_secs_f64();
            log::info!("{name} makes the pictures again after {gone:.1} s; {:.1} ms each", ms(usual));
            return;
        }
        if self.has_been_there {
            log::info!("{name} makes the pictures of another identity; {:.1} ms each", ms(usual));
            return;
        }
        let own = if line.worked.is_zero() {
            String::new()
        } else {
            format!(", {:.1} of them its own work", ms(line.worked))
        };
        let once =
            if line.server.keeps_identities() { "; the identity was sent once" } else { ", the identity each time" };
        let how = if line.is_zipped { ", compressed" } else { "" };
        log::info!(
            "{name} makes the pictures: {:.1} ms each{own}; {:.2} MB to ask for one{how}{once}",
            ms(usual),
            line.n_bytes as f64 / 1e6
        );
        if line.draws_mark {
            log::warn!(
                "the model at {name} draws the AI mark too; `effigy export --for-remote` makes one that leaves it to this program"
            );
        }
    }

    /// How long an answer is waited for.
    fn patience(&self, line: &Line) -> Duration {
        if self.ends.options.waits { LONG } else { line.pace.patience() }
    }

    /// Asks for one picture.
    fn ask(&mut self, frame: &FrameInputs, asked: Instant, answer: &mut Answer) -> Option<Away> {
        let (Some(line), Some(wanted)) = (&mut self.line, &self.wanted) else { return None };
        let left = self.ends.shared.patience().saturating_sub(asked.elapsed());
        let service = &mut line.service;
        let asking = async {
            match service.infer(&wanted.portrait.ask(frame, &line.server, true)?, line.is_zipped).await {
                // One of several processes there that was not told yet, or one that was started again.
                Err(Failure::Forgotten) => {
                    service.infer(&wanted.portrait.ask(frame, &line.server, false)?, line.is_zipped).await
                }
                answer => answer,
            }
        };
        let size = wanted.whom.picture.width_px();
        let shared = &self.ends.shared;
        let mut is_late = false;
        let waiting = async {
            let mut asking = std::pin::pin!(asking);
            if let Ok(reply) = tokio::time::timeout(left, &mut asking).await {
                return reply;
            }
            // The picture is made by the other end by now, and so are those until this answer is here.
            is_late = true;
            shared.show(None);
            within(GRACE, "its answer", asking).await.map_err(|failure| match failure {
                Failure::Silent(_) => late("its answer", left + GRACE),
                other => other,
            })
        };
        let reply = self.handle.block_on(waiting).and_then(|reply| {
            let is_whole = reply.picture.len() == 4 * size * size;
            if is_whole { Ok(reply) } else { Err(Failure::Refused("its picture has another size now".to_owned())) }
        });
        match reply {
            Ok(reply) => {
                answer.picture.reshape(size, size);
                answer.picture.data_mut().copy_from_slice(&reply.picture);
                let waited = asked.elapsed();
                line.pace.record(waited);
                self.ends.shared.set_patience(if self.ends.options.waits { LONG } else { line.pace.patience() });
                if !self.ends.options.waits && line.pace.is_slow() {
                    self.lose(&Failure::Slow);
                }
                (!is_late).then(|| Away { waited, worked: reply.worked.min(waited) })
            }
            Err(failure) => {
                self.lose(&failure);
                None
            }
        }
    }

    /// Notes that the server is gone.
    fn lose(&mut self, failure: &Failure) {
        self.ends.shared.show(None);
        self.line = None;
        let (name, substitute) = (&self.ends.address, &self.ends.options.substitute);
        // A server that was started again knows nobody, and is told at once; one that forgets again and again is not.
        let lasted = self.since.elapsed();
        let wait = match failure {
            Failure::Forgotten if lasted >= Hold::CALM => Duration::ZERO,
            _ => self.hold.after_loss(lasted),
        };
        let text = failure.text();
        log::warn!("no picture from {name} ({text}); {substitute} makes them until it is back");
        (self.said, self.is_lost) = (Some(text), true);
        (self.since, self.retry_at) = (Instant::now(), Instant::now() + wait);
    }
}
