//! The sound of a recording, of either kind.

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::context::Output;

use super::live_sound::LiveSound;
use super::sound::{Moment, SoundCopy};

/// The sound of a recording.
pub(super) enum Track {
    /// That of the clip that drives.
    Copied(SoundCopy),
    /// A microphone's.
    Live(LiveSound),
}

impl Track {
    /// Says what the picture at `at_secs` of the file shows.
    pub(super) fn follow(&mut self, at_secs: f64, moment: Moment) {
        match self {
            Self::Copied(copy) => copy.follow(at_secs, moment.clip_secs),
            Self::Live(live) => live.follow(at_secs, moment),
        }
    }

    /// Writes what is heard before the picture at `until_secs` of the file.
    pub(super) fn write_until(&mut self, until_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        match self {
            Self::Copied(copy) => copy.write_until(until_secs, output),
            Self::Live(live) => live.write_until(until_secs, output),
        }
    }

    /// Writes what is heard while the last picture is shown.
    pub(super) fn write_rest(&mut self, picture_secs: f64, output: &mut Output) -> Result<(), ffmpeg::Error> {
        match self {
            Self::Copied(copy) => copy.write_rest(picture_secs, output),
            Self::Live(live) => live.write_rest(picture_secs, output),
        }
    }
}
