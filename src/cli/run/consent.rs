//! Consents that end, or are revoked, while a run goes on.

use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use effigy::error::OrError as _;
use effigy::pipeline::Control;
use effigy::report::LiveFigures;
use effigy::{Error, ErrorKind, Identity, Result};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(1);

/// Ends a run when someone may not be shown any more who is.
pub(super) struct ConsentWatch {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    ended: Arc<OnceLock<Error>>,
}

impl ConsentWatch {
    /// Begins to look; `purpose` is what the run is for.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the system gives no thread.
    pub(super) fn begin(
        identities: Vec<Arc<Identity>>,
        purpose: Option<String>,
        figures: Arc<LiveFigures>,
        control: Sender<Control>,
    ) -> Result<Self> {
        let (stop, stopped): (_, Receiver<()>) = bounded(0);
        let ended = Arc::new(OnceLock::new());
        let found = Arc::clone(&ended);
        let look = move || {
            let shown = figures.shown()?;
            let who = [Some(shown.identity), shown.beside].into_iter().flatten();
            // Who was enrolled on the page has no limits, and is not in this list.
            let who = who.filter_map(|index| identities.get(index));
            let now = effigy::identity::now_unix_secs();
            who.map(|identity| identity.check_consent(purpose.as_deref(), now)).find_map(Result::err)
        };
        let work = move || {
            while stopped.recv_timeout(INTERVAL) == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
                if let Some(error) = look() {
                    let _ = found.set(error);
                    let _ = control.send_timeout(Control::Quit, INTERVAL);
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("consent".to_owned())
            .spawn(work)
            .or_error(ErrorKind::Internal, || "cannot start to watch over consents".to_owned())?;
        Ok(Self { stop: Some(stop), thread: Some(thread), ended })
    }

    /// Ends looking.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] when it was what ended the run.
    pub(super) fn end(mut self) -> Result<()> {
        self.stop = None;
        // A thread that panicked has told its own error.
        let _ = self.thread.take().map(JoinHandle::join);
        Arc::into_inner(std::mem::take(&mut self.ended)).and_then(OnceLock::into_inner).map_or(Ok(()), Err)
    }
}
