//! The generate thread's end: asks, waits a bounded time, and says when a picture has to be made here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, bounded};

use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgba;
use crate::generate::neural::{Elsewhere, FrameInputs, Introduction};
use crate::latest::{Keep, Published, Publisher, Received, Subscriber, channel};
use crate::trace::Away;

use super::address::Address;
use super::dial::Dialer;
use super::link;
use super::seam::{Answer, Job, Options, Shared, Told};

/// Identities that may wait to be told of.
const MAX_INTRODUCTIONS: usize = 64;
/// How long a run waits at its start for the server's first word: connecting, an identity of 12 MB, some pictures.
const FIRST_WORD: Duration = Duration::from_secs(20);

/// A server that makes the pictures.
///
/// As long as it answers in time, one request is on its way and the newest frame is the next. An answer is late when it
/// takes 60 to 80 ms longer than answers usually do, or longer than two seconds; then, and when the connection breaks, the
/// picture is made here at once, and so are those after it. An answer that comes a little later ends that. Otherwise the
/// server is lost: in the background it is looked for, told of the identity, and tried with a picture that this machine
/// made too; when these agree, it has the pictures again. That it is lost and back is said.
pub struct Remote {
    name: String,
    waits: bool,
    shared: Arc<Shared>,
    jobs: Publisher<Job>,
    answers: Subscriber<Answer>,
    answer: Answer,
    whom: Sender<Told>,
    n_asked: u64,
    is_known: bool,
}

impl Remote {
    /// Starts the link; connects in the background.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when a token would travel readable, or a certificate cannot be read; [`ErrorKind::Internal`] when
    /// a thread cannot be started.
    pub fn open(address: &Address, options: Options) -> Result<Self> {
        if options.token.is_some() && !address.is_encrypted && !address.is_here() {
            let message = format!(
                "the token would go to {address} readable for everyone on the way; use grpcs:// or https://, or unset \
                 EFFIGY_REMOTE_TOKEN"
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        if !address.is_encrypted && !address.is_here() {
            log::warn!(
                "the portrait and its motion go to {address} readable for everyone on the way; grpcs:// and https:// encrypt them"
            );
        }
        let dialer = Dialer::new(address, options.authority.as_deref())?;
        let shared = Arc::new(Shared::default());
        let (jobs, jobs_rx) = channel(vec![Job::default()], Keep::Newest);
        let (answers_tx, answers) = channel(vec![Answer::default()], Keep::Newest);
        let (whom, whom_rx) = bounded(MAX_INTRODUCTIONS);
        let waits = options.waits;
        link::start(link::Ends {
            address: address.clone(),
            dialer,
            options,
            shared: Arc::clone(&shared),
            jobs: jobs_rx,
            answers: answers_tx,
            whom: whom_rx,
        })?;
        let name = format!("remote {address}");
        let answer = Answer::default();
        Ok(Self { name, waits, shared, jobs, answers, answer, whom, n_asked: 0, is_known: false })
    }

    /// Waits for the answer to the last request.
    fn wait(&mut self, asked: Instant) -> Option<Away> {
        loop {
            let left = self.shared.patience().saturating_sub(asked.elapsed());
            match self.answers.receive(&mut self.answer, left) {
                Received::Fresh if self.answer.number == self.n_asked => return self.answer.away,
                // Of a request that was given up.
                Received::Fresh => {}
                Received::Idle => {
                    self.shared.show(None);
                    return None;
                }
                Received::Closed => return None,
            }
        }
    }
}

impl Elsewhere for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn introduce(&mut self, whom: &Arc<Introduction>) -> Result<()> {
        let (said_tx, said) = bounded(1);
        // With so many waiting the newest is told of when it is introduced again.
        if self.whom.try_send((Arc::clone(whom), said_tx)).is_err() || (self.is_known && !self.waits) {
            return Ok(());
        }
        self.is_known = true;
        // Later is as good: pictures are made here until then.
        said.recv_timeout(FIRST_WORD).unwrap_or(Ok(()))
    }

    fn picture(&mut self, whom: &Arc<Introduction>, frame: &FrameInputs, picture: &mut Rgba) -> Option<Away> {
        if !self.shared.shows(whom) {
            return None;
        }
        let asked = Instant::now();
        self.n_asked += 1;
        let number = self.n_asked;
        let published = self.jobs.publish_with(|job| {
            (job.number, job.asked) = (number, Some(asked));
            match &mut job.frame {
                Some(kept) => kept.copy_from(frame),
                empty => *empty = Some(frame.clone()),
            }
        });
        if published == Published::Closed {
            return None;
        }
        let away = self.wait(asked)?;
        std::mem::swap(picture, &mut self.answer.picture);
        Some(away)
    }
}
