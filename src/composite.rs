//! What may leave: the portrait over its background, badged, at the output's size.
//!
//! [`OutFrame`] can be made here only, from a generated portrait or the placeholder card. That is
//! how the promise is kept that the camera's picture never leaves.

use glam::Vec2;

use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgba;
use crate::generate::Portrait;
use crate::geometry::N_LANDMARKS;
use crate::identity::Identity;
use crate::latency::{self, Origin, Stamp};
use crate::mark::{Embedder, Key, Message};
use crate::trace::Trace;

pub use background::Background;
pub use card::CardReason;
pub use shown::{BackgroundKind, Shown};

use self::background::Plate;
use self::badge::Badge;
use self::card::Cards;

mod background;
mod badge;
mod card;
mod shown;
mod text;

/// A picture that may leave the program.
#[derive(Clone, Debug)]
pub struct OutFrame {
    picture: Rgba,
    /// What happened to the frame so far.
    pub trace: Trace,
    /// The driver's points, for a window that draws them as lines; `None` without a face.
    /// In 0..1 of the driver's frame.
    pub driver_landmarks: Option<[Vec2; N_LANDMARKS]>,
    /// Width of the driver's frame for its height, so that lines through the points keep their shape.
    pub driver_aspect: f32,
    /// Who and what is in the picture, for whoever steers.
    pub shown: Shown,
}

impl OutFrame {
    /// Makes an empty (black, transparent) picture, as a spare for slots and sinks.
    pub fn blank(width_px: usize, height_px: usize) -> Self {
        Self {
            picture: Rgba::new(width_px, height_px),
            trace: Trace::default(),
            driver_landmarks: None,
            driver_aspect: 1.0,
            shown: Shown::default(),
        }
    }

    /// Makes this frame equal to `other`, reusing its memory.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.picture.copy_from(&other.picture);
        self.trace = other.trace;
        self.driver_landmarks = other.driver_landmarks;
        self.driver_aspect = other.driver_aspect;
        self.shown = other.shown;
    }

    /// Makes a frame from any picture, for tests of sinks.
    #[cfg(test)]
    pub(crate) fn from_picture_for_test(picture: Rgba, trace: Trace) -> Self {
        Self { picture, trace, ..Self::blank(0, 0) }
    }

    /// The picture. Alpha is below 255 only where a transparent background was asked for.
    pub fn picture(&self) -> &Rgba {
        &self.picture
    }
}

/// How a [`Compositor`] builds its pictures.
#[derive(Clone, Debug)]
pub struct CompositeOptions {
    /// Width and height of the output, in pixels; the generator's.
    pub size_px: usize,
    /// What is behind the person.
    pub background: Background,
    /// Whether a visible "AI" mark is in the lower right corner.
    pub badge: bool,
    /// Whether the picture is flipped, as in a mirror. The badge stays readable.
    pub mirror: bool,
    /// What the invisible mark says of the run: a number drawn at random, or 0 to tell nothing. The mark itself is always there.
    pub run_id: u16,
}

impl Default for CompositeOptions {
    fn default() -> Self {
        Self { size_px: 512, background: Background::Own, badge: true, mirror: false, run_id: 0 }
    }
}

/// Puts generated portraits over their background and marks them.
///
/// Only [`Self::compose`] and [`Self::card`] belong on the frame path; they allocate nothing once
/// the frame they write to has the output's size.
pub struct Compositor {
    options: CompositeOptions,
    plate: Plate,
    embedder: Embedder,
    badge: Badge,
    cards: Cards,
    has_stamp: bool,
}

impl Compositor {
    /// Prepares badge, cards and background.
    ///
    /// # Errors
    /// When the background picture is empty, or text cannot be drawn.
    pub fn new(options: CompositeOptions) -> Result<Self> {
        let size = options.size_px;
        Ok(Self {
            plate: Plate::new(&options.background, None, size)?,
            embedder: Embedder::new(size, Message::of_run(options.run_id), Key::PUBLIC),
            badge: Badge::new(size),
            cards: Cards::new(size)?,
            has_stamp: false,
            options,
        })
    }

    /// Takes the background of `identity`. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the identity's background cannot be brought to the output's size.
    pub fn adopt(&mut self, identity: &Identity) -> Result<()> {
        self.plate = Plate::new(&self.options.background, Some(&identity.background), self.options.size_px)?;
        Ok(())
    }

    /// Changes what is behind the person; `identity` is the one shown, if any. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the background picture is empty.
    pub fn set_background(&mut self, background: Background, identity: Option<&Identity>) -> Result<()> {
        self.plate = Plate::new(&background, identity.map(|identity| &identity.background), self.options.size_px)?;
        self.options.background = background;
        Ok(())
    }

    /// Flips the picture from now on, or no longer.
    pub fn set_mirror(&mut self, mirror: bool) {
        self.options.mirror = mirror;
    }

    /// Draws number and time of the driver's frame over the upper edge from now on, or no longer; see [`latency`].
    pub fn set_stamp(&mut self, has_stamp: bool) {
        self.has_stamp = has_stamp;
    }

    /// Whether pictures carry number and time.
    pub fn has_stamp(&self) -> bool {
        self.has_stamp
    }

    /// How pictures are built now.
    pub fn options(&self) -> &CompositeOptions {
        &self.options
    }

    /// Writes `portrait` over the background into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the portrait has not the output's size.
    pub fn compose(&mut self, portrait: &Portrait, trace: Trace, out: &mut OutFrame) -> Result<()> {
        let size = self.options.size_px;
        if portrait.picture.width_px() != size || portrait.picture.height_px() != size {
            let found = (portrait.picture.width_px(), portrait.picture.height_px());
            let message = format!("a portrait of {found:?} pixels was given for a picture of {size}");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        out.trace = trace;
        out.picture.reshape(size, size);
        self.plate.under(&portrait.picture, self.options.mirror, &mut out.picture);
        self.mark(out);
        Ok(())
    }

    /// Writes the placeholder that says why there is no portrait into `out`.
    pub fn card(&mut self, reason: CardReason, trace: Trace, out: &mut OutFrame) {
        out.trace = trace;
        out.picture.copy_from(self.cards.get(reason));
        self.mark(out);
    }

    /// Puts in what tells where the picture comes from: the invisible mark always, first, so that the others stay as drawn.
    fn mark(&mut self, out: &mut OutFrame) {
        self.embedder.mark(out.picture.data_mut().as_chunks_mut::<4>().0);
        if self.options.badge {
            self.badge.stamp(&mut out.picture);
        }
        // A picture that no frame is behind has no age to tell.
        if self.has_stamp && out.trace.frame_id != 0 {
            let own = Stamp { origin: Origin::Output, frame_id: out.trace.frame_id as u32, time: out.trace.captured };
            let stamp = out.trace.stamp.map_or(own, |driver| Stamp { origin: Origin::Output, ..driver });
            latency::draw(&stamp, &mut out.picture);
        }
    }
}
