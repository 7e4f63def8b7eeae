//! Recordings and single pictures of a run, begun and ended while it goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::composite::OutFrame;
use crate::credentials::Signing;
use crate::demand::Demand;
use crate::error::{Error, Result};
use crate::identity::{now_unix_secs, utc};

use super::recorder::{cannot_write, check_room};
use super::sequence::PngWriter;
use super::{Codec, Delivery, Sink, SinkOptions, SinkSpec, open};

/// Frames that may wait to be written.
const QUEUE: usize = 8;
/// Pictures are not taken faster than this: a control pad that repeats must not fill the disk.
const BETWEEN_PICTURES: Duration = Duration::from_millis(250);
/// What to type where nothing can be written.
const ELSEWHERE: &str = "give another folder with `--record-to FOLDER`";

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
    last_picture: Option<Instant>,
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
            last_picture: None,
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
        let path = self.new_path(container(&self.options.codec))?;
        let sink = open(&SinkSpec::Video(path.clone()), &self.options)?;
        log::info!("recording: {}", sink.name());
        Ok(Recording { path, sink })
    }

    fn take_picture(&mut self, frame: &OutFrame) -> Result<()> {
        if self.last_picture.is_some_and(|last| last.elapsed() < BETWEEN_PICTURES) {
            return Ok(());
        }
        self.last_picture = Some(Instant::now());
        self.prepare_signing();
        let path = self.new_path("png")?;
        check_room(&path)?;
        self.pictures.write(&path, frame)?;
        log::info!("picture: {}", path.display());
        Ok(())
    }

    /// Completes the recording, if there is one; `broken` is why it ends early.
    fn end(&mut self, broken: Option<&Error>) {
        let Some(mut recording) = self.recording.take() else { return };
        // No frame is wanted while the file is completed and signed.
        self.demand.set_recording(false);
        let (finished, n_lost) = (recording.sink.finish(), self.demand.take_losses());
        match (broken, finished) {
            // It says itself what the file holds.
            (Some(error), _) => log::warn!("{error}"),
            (None, Err(error)) => log::warn!("{error}"),
            (None, Ok(())) if n_lost > 0 => {
                log::warn!(
                    "recorded: {}; {n_lost} pictures are missing, this machine was too slow",
                    recording.path.display()
                );
            }
            (None, Ok(())) => log::info!("recorded: {}", recording.path.display()),
        }
    }
}

/// What a file of this coding is.
fn container(codec: &Codec) -> &'static str {
    match codec {
        Codec::ProRes => "mov",
        // Takes every coding.
        Codec::Ffv1 | Codec::Encoder(_) => "mkv",
        _ => "mp4",
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
        if frame.is_picture_asked
            && let Err(error) = self.take_picture(frame)
        {
            log::warn!("no picture is taken: {error}; {ELSEWHERE}");
        }
        match (self.demand.is_recording_asked(), &mut self.recording) {
            (false, _) => self.end(None),
            (true, Some(recording)) => {
                if let Err(error) = recording.sink.present(frame) {
                    self.demand.record(false);
                    self.end(Some(&error));
                }
            }
            // It begins with the next frame: this one is as old as opening the file took.
            (true, None) => match self.begin() {
                Ok(recording) => {
                    self.recording = Some(recording);
                    self.demand.take_losses();
                    self.demand.set_recording(true);
                }
                Err(error) => {
                    self.demand.record(false);
                    log::warn!("nothing is recorded: {error}; {ELSEWHERE}");
                }
            },
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self) -> Result<()> {
        self.end(None);
        Ok(())
    }
}
