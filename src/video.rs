//! Video files and streams through FFmpeg's libraries: pictures and their times in and out, in sRGB.
//!
//! Reading follows what the file says of itself: its matrix and range, its rotation and the shape of its pixels, its fields,
//! the time of each picture. Writing is BT.709 in video range, and says so.

use std::sync::Once;

use ffmpeg_next as ffmpeg;

#[cfg(test)]
#[path = "../tests/common/clips.rs"]
pub(crate) mod clips;
pub(crate) mod codec;
mod colour;
pub(crate) mod deadline;
mod file;
pub(crate) mod hear;
pub(crate) mod heard;
mod live_sound;
mod pack;
pub(crate) mod reader;
pub(crate) mod sound;
mod tone;
mod track;
mod unpack;
mod upright;
pub(crate) mod writer;

/// Readies the libraries: they shall not print what this program says in its own words.
pub(crate) fn init() {
    static READY: Once = Once::new();
    READY.call_once(|| {
        // Fails never; it only opens what networks need.
        let _ = ffmpeg::init();
        let is_verbose = log::log_enabled!(log::Level::Debug);
        ffmpeg::log::set_level(if is_verbose { ffmpeg::log::Level::Warning } else { ffmpeg::log::Level::Quiet });
    });
}
