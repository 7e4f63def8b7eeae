//! A recording that is signed when it is complete.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::composite::OutFrame;
use crate::credentials::{Signing, Statement};
use crate::error::Result;

use super::{Delivery, Recorder, Sink};

/// A [`Recorder`] that notes who is shown, and has its file signed at the end.
///
/// A recording that was killed plays and is unsigned. One that cannot be signed is kept as it is, and a warning says so.
pub(super) struct SignedRecording {
    recorder: Recorder,
    path: PathBuf,
    signing: Signing,
    statement: Statement,
}

impl SignedRecording {
    pub(super) fn new(recorder: Recorder, path: &Path, signing: Signing) -> Self {
        let statement = Statement::of_run(signing.mark);
        Self { recorder, path: path.to_owned(), signing, statement }
    }
}

impl Sink for SignedRecording {
    fn name(&self) -> &str {
        self.recorder.name()
    }

    fn delivery(&self) -> Delivery {
        self.recorder.delivery()
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        self.statement.add(frame);
        self.recorder.present(frame)
    }

    fn finish(&mut self) -> Result<()> {
        self.recorder.finish()?;
        // Of a run without a picture no file is left.
        if self.recorder.n_written() > 0 {
            let signed = self.signing.credentials.sign_file(&self.path, &self.statement);
            if let Err(error) = signed {
                log::warn!("the recording is complete and not signed: {error}");
            }
        }
        Ok(())
    }
}
