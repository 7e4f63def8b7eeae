//! One JPEG a frame, shared by all who watch: the newest wins for each of them.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use super::connection::Outflow;
use crate::composite::OutFrame;
use crate::error::Result;
use crate::frame::Rgb;
use crate::jpeg;

/// The stream's type.
pub(super) const MULTIPART: &str = "multipart/x-mixed-replace; boundary=frame";
/// Quality of the JPEGs: no blocks are seen at it, and 512 pixels take about 40 KB.
const QUALITY: i32 = 88;
/// What separates frames.
const BOUNDARY: &str = "--frame\r\n";

/// A frame as the stream sends it: head, JPEG, and the next boundary.
///
/// The boundary comes right behind the picture: a browser shows a part when it has seen its end.
pub(super) struct Encoded {
    part: Bytes,
    jpeg: Range<usize>,
}

impl Encoded {
    /// The JPEG alone.
    pub(super) fn jpeg(&self) -> Bytes {
        self.part.slice(self.jpeg.clone())
    }
}

/// Makes JPEGs, with its own memory.
pub(super) struct Encoder {
    rgb: Rgb,
    jpeg: jpeg::Encoder,
}

impl Encoder {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { rgb: Rgb::default(), jpeg: jpeg::Encoder::new(QUALITY)? })
    }

    /// Encodes a frame; transparent parts become black.
    pub(super) fn encode(&mut self, frame: &OutFrame) -> Result<Encoded> {
        let picture = frame.picture();
        self.rgb.reshape(picture.width_px(), picture.height_px());
        let pixels = picture.data().as_chunks::<4>().0;
        for (rgb, rgba) in self.rgb.data_mut().as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
            let over_black = |sample: u8| (u16::from(sample) * u16::from(rgba[3]) / 255) as u8;
            *rgb = match rgba[3] {
                u8::MAX => [rgba[0], rgba[1], rgba[2]],
                _ => [over_black(rgba[0]), over_black(rgba[1]), over_black(rgba[2])],
            };
        }
        let jpeg = self.jpeg.encode(&self.rgb)?;
        let head = format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
        let mut part = Vec::with_capacity(head.len() + jpeg.len() + 2 + BOUNDARY.len());
        part.extend_from_slice(head.as_bytes());
        part.extend_from_slice(jpeg);
        part.extend_from_slice(b"\r\n");
        part.extend_from_slice(BOUNDARY.as_bytes());
        Ok(Encoded { jpeg: head.len()..head.len() + jpeg.len(), part: part.into() })
    }
}

/// The newest frame.
pub(super) type Frames = watch::Receiver<Option<Arc<Encoded>>>;

/// Waits for a frame that has not been seen yet; `None` when there will be no more.
pub(super) async fn next(frames: &mut Frames) -> Option<Arc<Encoded>> {
    loop {
        frames.changed().await.ok()?;
        if let Some(encoded) = frames.borrow_and_update().clone() {
            return Some(encoded);
        }
    }
}

/// The body of `/stream` for one client: what it has no time for it never gets. `watcher` is kept as long as the body.
pub(super) fn body<W: Send>(
    frames: Frames,
    line: Arc<Outflow>,
    watcher: W,
) -> impl Stream<Item = std::result::Result<Bytes, Infallible>> + Send {
    let state = (frames, line, watcher, true);
    unfold(state, |(mut frames, line, watcher, is_first)| async move {
        if is_first {
            return Some((Ok(Bytes::from_static(BOUNDARY.as_bytes())), (frames, line, watcher, false)));
        }
        frames.changed().await.ok()?;
        // Only now is the frame chosen: the one that came while the last was still on its way is the newest.
        line.is_free().await;
        let part = frames.borrow_and_update().as_ref().map(|encoded| encoded.part.clone()).unwrap_or_default();
        Some((Ok(part), (frames, line, watcher, false)))
    })
}
