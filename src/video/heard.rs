//! How long a file of sound is.

use std::io::Cursor;

use ffmpeg::{Packet, media};
use ffmpeg_next as ffmpeg;

use super::reader::open_input;

/// The length of the sound in a file's bytes, in seconds, by the times of its packets; `None` when there is none.
pub(crate) fn sound_secs(bytes: Vec<u8>) -> Option<f64> {
    super::init();
    let mut input = open_input(Cursor::new(bytes)).ok()?;
    let stream = input.streams().best(media::Type::Audio)?;
    let (index, secs_per_tick) = (stream.index(), f64::from(stream.time_base()));
    let (mut first, mut end) = (None, 0);
    loop {
        let mut packet = Packet::empty();
        if packet.read(&mut input).is_err() {
            break;
        }
        let Some(ticks) = packet.pts().or(packet.dts()).filter(|_| packet.stream() == index) else { continue };
        let first = *first.get_or_insert(ticks);
        end = end.max(ticks.saturating_add(packet.duration()).saturating_sub(first));
    }
    first.map(|_| end as f64 * secs_per_tick)
}
