//! Recordings and single pictures of a run, begun and ended while it goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::composite::OutFrame;
use crate::credentials::Signing;
use crate::demand::Demand;
use crate::error::{Error, Result};
use crate::identity::{now_unix_secs, utc};

use super::recorder::cannot_write;
use super::sequence::PngWriter;
use super::{Delivery, Sink, SinkOptions, SinkSpec, open};

/// Frames that may wait to be written.
const QUEUE: usize = 4;

/// Writes a recording while one is asked for, and a picture whenever one is, each into a file of its own in a folder.
///
/// What cannot be written is told and asked for no longer; the run goes on.
pub struct OnDemand {
    name: String,
    folder: PathBuf,
    options: SinkOptions,
    /// Asked once, when there is something to sign.
    signing: Option<SigningMaker>,
    demand: Arc<Demand>,
    recording: Option<Recording>,
    pictures: PngWriter,
}

/// Makes what files are signed with, where they are: a key is made only when it is needed.
pub type SigningMaker = Box<dyn FnOnce() -> Option<Signing> + Send>;

/// A recording that goes on.
struct Recording {
    path: PathBuf,
    sink: Box<dyn Sink + Send>,
}

impl OnDemand {
    /// Writes nothing yet, and makes `folder` only when there is something to write.
    pub fn new(folder: &Path, options: SinkOptions, signing: SigningMaker, demand: Arc<Demand>) -> Self {
        Self {
            name: format!("recordings and pictures into {}, when asked for", folder.display()),
            folder: folder.to_owned(),
            options,
            signing: Some(signing),
            demand,
            recording: None,
            pictures: PngWriter::new(None),
        }
    }

    /// Makes ready to sign, once.
    fn prepare_signing(&mut self) {
        if let Some(make) = self.signing.take() {
            self.options.signing = make();
            self.pictures = PngWriter::new(self.options.signing.clone());
        }
    }

    /// The path of a new file: by the time in UTC, and a number where that is taken.
    fn new_path(&self, extension: &str) -> Result<PathBuf> {
        std::fs::create_dir_all(&self.folder).map_err(|error| cannot_write(&self.folder, error))?;
        // Colons are not for names of files everywhere.
        let time = utc(now_unix_secs()).replace(':', "-");
        let path = |number: u32| match number {
            1 => self.folder.join(format!("effigy-{time}.{extension}")),
            _ => self.folder.join(format!("effigy-{time}-{number}.{extension}")),
        };
        let mut number = 1;
        while path(number).exists() {
            number += 1;
        }
        Ok(path(number))
    }

    fn begin(&mut self) -> Result<Recording> {
        self.prepare_signing();
        let path = self.new_path("mp4")?;
        let sink = open(&SinkSpec::Video(path.clone()), &self.options)?;
        log::info!("recording: {}", sink.name());
        Ok(Recording { path, sink })
    }

    fn take_picture(&mut self, frame: &OutFrame) -> Result<()> {
        self.prepare_signing();
        let path = self.new_path("png")?;
        self.pictures.write(&path, frame).inspect_err(|_| {
            // What is half written would be taken for a picture.
            let _ = std::fs::remove_file(&path);
        })?;
        log::info!("picture: {}", path.display());
        Ok(())
    }

    /// Completes the recording, if there is one.
    fn end(&mut self) {
        if let Some(mut recording) = self.recording.take() {
            match recording.sink.finish() {
                Ok(()) => log::info!("recorded: {}", recording.path.display()),
                Err(error) => log::warn!("{error}"),
            }
            self.demand.set_recording(false);
        }
    }

    fn give_up(&self, error: &Error) {
        self.demand.record(false);
        log::warn!("nothing is recorded: {error}");
    }
}

impl Sink for OnDemand {
    fn name(&self) -> &str {
        &self.name
    }

    fn delivery(&self) -> Delivery {
        Delivery::Every(QUEUE)
    }

    fn demand(&self) -> Option<Arc<Demand>> {
        Some(Arc::clone(&self.demand))
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        if self.demand.is_picture_asked() {
            self.demand.picture_taken();
            if let Err(error) = self.take_picture(frame) {
                log::warn!("no picture is taken: {error}");
            }
        }
        if !self.demand.is_recording_asked() {
            self.end();
            return Ok(ControlFlow::Continue(()));
        }
        if self.recording.is_none() {
            match self.begin() {
                Ok(recording) => {
                    self.recording = Some(recording);
                    self.demand.set_recording(true);
                }
                Err(error) => self.give_up(&error),
            }
        }
        if let Some(recording) = &mut self.recording
            && let Err(error) = recording.sink.present(frame)
        {
            self.give_up(&error);
            self.end();
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        self.end();
        Ok(())
    }
}
