//! What may leave: the portrait over its background, in its frame, badged.
//!
//! [`OutFrame`] can be made here only, from a generated portrait or the placeholder card. That is
//! how the promise is kept that the camera's picture never leaves.

use std::sync::Arc;

use glam::Vec2;
use pulp::Arch;

use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "train")]
use crate::frame::Rgb;
use crate::frame::Rgba;
use crate::generate::Portrait;
use crate::geometry::N_LANDMARKS;
use crate::identity::{DisclosedConsent, Identity};
use crate::latency::{self, Origin, Stamp};
use crate::mark::{Embedder, Key, Message};
use crate::signal::DrivingSignal;
use crate::trace::Trace;

pub use background::Background;
pub use badge::{BadgeLanguage, BadgePlace};
pub use card::CardReason;
pub use framing::{CAMERA_FRAME_PX, FRAME_SIDES_PX, FrameSize, Framing, OFFSETS, View, ZOOMS, generated_px};
pub use options::CompositeOptions;
pub(crate) use pair::Pair;
pub use pair::is_one_photo;
pub use shown::{BackgroundKind, Shown};

use self::background::Plate;
use self::badge::{Badge, Bounds};
use self::card::Cards;
use self::framing::{Area, Framer};
use self::mouth::Mouth;

mod background;
mod badge;
mod card;
mod framing;
mod mouth;
mod options;
mod pair;
mod shown;
mod text;

/// A picture that may leave the program.
#[derive(Clone, Debug)]
pub struct OutFrame {
    picture: Rgba,
    /// Which still picture it shows outside of `moving`; 0 for none.
    still: u64,
    /// Where pictures of the same still one differ.
    moving: [Area; 3],
    /// What happened to the frame so far.
    pub trace: Trace,
    /// The driver's points, for a window that draws them as lines; `None` without a face.
    /// In 0..1 of the driver's frame.
    pub driver_landmarks: Option<[Vec2; N_LANDMARKS]>,
    /// Width of the driver's frame for its height, so that lines through the points keep their shape.
    pub driver_aspect: f32,
    /// Who and what is in the picture, for whoever steers.
    pub shown: Shown,
    /// The consents of those who are shown, for recordings, which state them; `None` where nobody is shown.
    pub consents: [Option<Arc<DisclosedConsent>>; 2],
    /// Whether it was asked for as a file of its own; only its copy for [`crate::sink::OnDemand`] says so.
    pub is_picture_asked: bool,
}

impl OutFrame {
    /// Makes an empty (black, transparent) picture, as a spare for slots and sinks.
    pub fn blank(width_px: usize, height_px: usize) -> Self {
        Self {
            picture: Rgba::new(width_px, height_px),
            still: 0,
            moving: [Area::default(); 3],
            trace: Trace::default(),
            driver_landmarks: None,
            driver_aspect: 1.0,
            shown: Shown::default(),
            consents: [None, None],
            is_picture_asked: false,
        }
    }

    /// Makes this frame equal to `other`, reusing its memory; what stands still in both is not copied again.
    pub(crate) fn copy_from(&mut self, other: &Self) {
        if self.still != 0 && self.still == other.still {
            self.moving = other.moving;
            for area in self.moving {
                area.copy(&other.picture, &mut self.picture);
            }
        } else {
            self.picture.copy_from(&other.picture);
            (self.still, self.moving) = (other.still, other.moving);
        }
        self.trace = other.trace;
        self.driver_landmarks = other.driver_landmarks;
        self.driver_aspect = other.driver_aspect;
        self.shown = other.shown;
        self.consents.clone_from(&other.consents);
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

/// The visible mark of a picture of `size_px` in English, as it stands in the lower right corner: rows, columns, and pixels
/// with red in the lowest byte and alpha in the highest.
pub fn badge_corner(size_px: usize) -> (usize, usize, Vec<u32>) {
    Badge::new((size_px, size_px), BadgePlace::BottomRight, BadgeLanguage::En, 0).lower_right(size_px)
}

/// Puts generated portraits over their background and into their frame, and marks them.
///
/// Only [`Self::compose`], [`Self::watch`], [`Self::follow`] and [`Self::card`] belong on the frame path; they allocate
/// nothing once the frame they write to has the output's size. After a change of frame, view, background, mirror or the
/// badge's corner the next [`Self::compose`] makes what stands still anew.
pub struct Compositor {
    options: CompositeOptions,
    plate: Plate,
    /// None only for pictures that are measured and never leave.
    embedder: Option<Embedder>,
    /// Makes all frames but that of the generated square itself.
    framer: Option<Framer>,
    badge: Badge,
    /// What the still picture shows where the badge may be.
    under_badge: Vec<[u8; 4]>,
    /// None before an identity was adopted.
    mouth: Option<Mouth>,
    cards: Cards,
    has_stamp: bool,
}

impl Compositor {
    /// Prepares badge, cards and background.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when the frame is larger or smaller than can be made, when the background picture is empty,
    /// or text cannot be drawn.
    pub fn new(options: CompositeOptions) -> Result<Self> {
        let size = options.size_px;
        let frame_px = options.frame_px.unwrap_or((size, size));
        if options.frame_px.is_some() && ![frame_px.0, frame_px.1].iter().all(|side| FRAME_SIDES_PX.contains(side)) {
            let (least, most) = (FRAME_SIDES_PX.start(), FRAME_SIDES_PX.end());
            let message = format!("a frame of {frame_px:?} pixels was asked for; its sides go from {least} to {most}");
            return Err(Error::new(ErrorKind::Config, message));
        }
        let is_square = options.framing == Framing::Head && frame_px == (size, size);
        Ok(Self {
            plate: Plate::new(&options.background, None, size)?,
            embedder: Some(Embedder::new(frame_px, Message::of_run(options.run_id), Key::PUBLIC)),
            framer: (!is_square).then(|| Framer::new(frame_px, options.framing, options.view)),
            badge: Badge::new(frame_px, options.badge_place, options.badge_language, 0),
            under_badge: Vec::new(),
            mouth: None,
            cards: Cards::new(frame_px)?,
            has_stamp: false,
            options,
        })
    }

    /// One whose pictures have no marks: to compare them with the truth, where a mark would be counted as an error (see
    /// `marked`), or for a part of a frame, which [`Pair`] marks. They must not leave the process.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(crate) fn unmarked(options: CompositeOptions) -> Result<Self> {
        Ok(Self { embedder: None, ..Self::new(options)? })
    }

    /// (width, height) of the frames, in pixels.
    pub fn frame_px(&self) -> (usize, usize) {
        self.options.frame_px.unwrap_or((self.options.size_px, self.options.size_px))
    }

    /// Takes the background and the photo of `identity`. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the identity's background cannot be brought to the output's size.
    pub fn adopt(&mut self, identity: &Identity) -> Result<()> {
        self.mouth = Some(Mouth::of(identity));
        match &mut self.framer {
            Some(framer) => framer.adopt(identity)?,
            None => {
                let own = Some(&identity.background);
                self.plate = Plate::new(&self.options.background, own, self.options.size_px)?;
            }
        }
        Ok(())
    }

    /// Makes ready, in the background, what adopting `identity` will need; says whether adopting it is now a matter of
    /// one frame. To be called again until it is.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        self.framer.as_mut().map_or(Ok(true), |framer| framer.prepare(identity))
    }

    /// Changes what is behind the person; `identity` is the one shown, if any. Slow: not for the frame path.
    ///
    /// # Errors
    /// When the background picture is empty.
    pub fn set_background(&mut self, background: Background, identity: Option<&Identity>) -> Result<()> {
        self.plate = Plate::new(&background, identity.map(|identity| &identity.background), self.options.size_px)?;
        self.options.background = background;
        if let Some(framer) = &mut self.framer {
            framer.forget();
        }
        Ok(())
    }

    /// Puts the head into the frame in another way; `identity` is the one shown. Slow: not for the frame path.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub fn set_framing(&mut self, framing: Framing, identity: &Identity) -> Result<()> {
        if self.options.framing == framing {
            return Ok(());
        }
        self.options.framing = framing;
        let (size, frame_px) = (self.options.size_px, self.frame_px());
        match &mut self.framer {
            _ if framing == Framing::Head && frame_px == (size, size) => self.framer = None,
            Some(framer) => {
                framer.set_framing(framing);
                return Ok(());
            }
            None => self.framer = Some(Framer::new(frame_px, framing, self.options.view)),
        }
        self.adopt(identity)
    }

    /// Makes panels of another size, which carry neither badge nor card; `identity` is the one shown. What was prepared stays
    /// ready. Slow: not for the frame path.
    ///
    /// # Errors
    /// As [`Self::adopt`].
    pub(crate) fn set_panel_px(&mut self, panel_px: (usize, usize), identity: &Identity) -> Result<()> {
        self.options.frame_px = Some(panel_px);
        if let Some(framer) = &mut self.framer {
            framer.set_frame_px(panel_px);
            return Ok(());
        }
        self.framer = Some(Framer::new(panel_px, self.options.framing, self.options.view));
        self.adopt(identity)
    }

    /// Shows another part of the scene in a filled frame, as near as can be shown.
    pub fn set_view(&mut self, view: View) {
        self.options.view = view.clamped();
        if let Some(framer) = &mut self.framer {
            framer.set_view(view);
        }
    }

    /// Flips the picture from now on, or no longer.
    pub fn set_mirror(&mut self, mirror: bool) {
        if self.options.mirror != mirror {
            self.options.mirror = mirror;
            if let Some(framer) = &mut self.framer {
                framer.forget();
            }
        }
    }

    /// Puts the badge into another corner, or lets it speak another language. Slow: not for the frame path.
    pub fn set_badge(&mut self, place: BadgePlace, language: BadgeLanguage) {
        (self.options.badge_place, self.options.badge_language) = (place, language);
        // The upper edge belongs to the stamp, if there is one.
        let above_px = if self.has_stamp { latency::strip_height_px(self.frame_px().0) } else { 0 };
        self.badge = Badge::new(self.frame_px(), place, language, above_px);
        if let Some(framer) = &mut self.framer {
            framer.forget();
        }
    }

    /// Draws number and time of the driver's frame over the upper edge from now on, or no longer; see [`latency`].
    pub fn set_stamp(&mut self, has_stamp: bool) {
        self.has_stamp = has_stamp;
        self.set_badge(self.options.badge_place, self.options.badge_language);
    }

    /// Whether pictures carry number and time.
    pub fn has_stamp(&self) -> bool {
        self.has_stamp
    }

    /// How pictures are built now.
    pub fn options(&self) -> &CompositeOptions {
        &self.options
    }

    /// Learns from `signal` where the mouth of the next portrait is, so that the badge is not drawn over it.
    pub fn watch(&mut self, signal: &DrivingSignal) {
        if let Some(mouth) = &mut self.mouth {
            mouth.follow(signal);
        }
    }

    /// Learns from `signal` how the body of the next portrait moves, so that it comes to rest where the frame stands still.
    /// For generators that move it.
    pub fn follow(&mut self, signal: &DrivingSignal) {
        if let Some(framer) = &mut self.framer {
            framer.follow(signal);
        }
    }

    /// Writes `portrait` over the background into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the portrait has not the generator's size.
    pub fn compose(&mut self, portrait: &Portrait, trace: Trace, out: &mut OutFrame) -> Result<()> {
        let size = self.options.size_px;
        if portrait.picture.width_px() != size || portrait.picture.height_px() != size {
            let found = (portrait.picture.width_px(), portrait.picture.height_px());
            let message = format!("a portrait of {found:?} pixels was given for a picture of {size}");
            return Err(Error::new(ErrorKind::Internal, message));
        }
        out.trace = trace;
        self.keep_mouth_clear(&trace);
        let Self { options, plate, framer, embedder, badge, under_badge, .. } = self;
        let CompositeOptions { background, mirror, .. } = &*options;
        let Some(framer) = framer else {
            out.picture.reshape(size, size);
            plate.under(&portrait.picture, *mirror, &mut out.picture);
            out.still = 0;
            let whole = Area::whole(&out.picture);
            self.leave(whole, out);
            return Ok(());
        };
        let badge = options.badge.then_some(&*badge);
        let still = framer.still(background, *mirror, size, |picture| {
            seal(embedder.as_mut(), None, picture, Area::whole(picture));
            if let Some(badge) = badge {
                badge.keep_under(picture, under_badge);
                badge.stamp(picture, Area::whole(picture));
            }
        })?;
        let (strip, area) = (strip(self.has_stamp, &still.picture), still.area);
        if out.still == still.id {
            strip.copy(&still.picture, &mut out.picture);
        } else {
            out.picture.copy_from(&still.picture);
            (out.still, out.moving) = (still.id, [area, strip, Area::default()]);
        }
        framer.draw(portrait, &mut out.picture)?;
        self.leave(area, out);
        Ok(())
    }

    /// Moves the badge where the mouth is not.
    fn keep_mouth_clear(&mut self, trace: &Trace) {
        let Some(bounds) = self.mouth_bounds().filter(|_| self.options.badge) else { return };
        let Self { badge, framer, under_badge, .. } = self;
        let before = badge.at();
        if badge.keep_clear(&[bounds], trace.captured)
            && let Some(framer) = framer
        {
            framer.touch_up(|picture| badge.move_from(before, under_badge, picture));
        }
    }

    /// Where the frame shows the mouth, once an identity was adopted.
    fn mouth_bounds(&self) -> Option<Bounds> {
        let is_mirrored = self.options.mirror;
        let (corner_px, side_px) = match &self.framer {
            None => (Vec2::ZERO, self.options.size_px as f32),
            Some(framer) => framer.shown_square(is_mirrored)?,
        };
        Some(self.mouth.as_ref()?.in_frame(corner_px, side_px, is_mirrored))
    }

    /// Writes the placeholder that says why there is no portrait into `out`.
    pub fn card(&mut self, reason: CardReason, trace: Trace, out: &mut OutFrame) {
        out.trace = trace;
        out.picture.copy_from(self.cards.get(reason));
        out.still = 0;
        let whole = Area::whole(&out.picture);
        self.leave(whole, out);
    }

    /// Where every picture leaves: marks the part of it that was drawn anew.
    fn leave(&mut self, drawn: Area, out: &mut OutFrame) {
        let badge = self.options.badge.then_some(&self.badge);
        seal(self.embedder.as_mut(), badge, &mut out.picture, drawn);
        if self.has_stamp {
            stamp(out);
        }
    }

    /// Where the frame shows the middle of the face, from the left in pixels, once an identity was adopted; `None` where the
    /// frame is the generated square.
    fn face_column(&self) -> Option<f32> {
        self.framer.as_ref()?.face_column(self.options.mirror)
    }

    /// Lets the head move in these columns of the frame only.
    fn set_columns(&mut self, columns: (usize, usize)) {
        if let Some(framer) = &mut self.framer {
            framer.set_columns(columns);
        }
    }
}

/// Draws number and time of the driver's frame over the upper edge.
fn stamp(out: &mut OutFrame) {
    // A picture that no frame is behind has no age to tell.
    if out.trace.frame_id != 0 {
        let own = Stamp { origin: Origin::Output, frame_id: out.trace.frame_id as u32, time: out.trace.captured };
        let stamp = out.trace.stamp.map_or(own, |driver| Stamp { origin: Origin::Output, ..driver });
        latency::draw(&stamp, &mut out.picture);
    }
}

/// A picture of [`Compositor::unmarked`] as it may leave: with the invisible mark.
#[cfg(feature = "train")]
pub(crate) fn marked(picture: &Rgb) -> Rgb {
    let mut marked = Rgba::new(picture.width_px(), picture.height_px());
    for (to, from) in marked.data_mut().chunks_exact_mut(4).zip(picture.data().chunks_exact(3)) {
        to.copy_from_slice(&[from[0], from[1], from[2], 255]);
    }
    let size = (picture.width_px(), picture.height_px());
    Embedder::new(size, Message::of_run(0), Key::PUBLIC).mark(marked.data_mut().as_chunks_mut::<4>().0);
    marked.opaque()
}

/// Puts what every picture carries into a part of one that was just drawn: once into what stands still, and into the
/// moving part of each picture. The invisible mark always, and first, so that the badge stays as drawn.
fn seal(embedder: Option<&mut Embedder>, badge: Option<&Badge>, picture: &mut Rgba, drawn: Area) {
    let Area { x, y, width, height } = drawn;
    if let Some(embedder) = embedder {
        let pixels = picture.data_mut().as_chunks_mut::<4>().0;
        // On the processor's widest vectors; the loops are plain.
        Arch::new().dispatch(|| embedder.mark_part(pixels, x..x + width, y..y + height));
    }
    if let Some(badge) = badge {
        badge.stamp(picture, drawn);
    }
}

/// Where a stamp is drawn, if one is.
fn strip(has_stamp: bool, picture: &Rgba) -> Area {
    let rows = latency::strip_height_px(picture.width_px()).min(picture.height_px());
    Area { height: if has_stamp { rows } else { 0 }, ..Area::whole(picture) }
}
