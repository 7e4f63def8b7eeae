//! Two people in one frame: side by side, or where one photo shows both.
//!
//! Each has a compositor of their own, which makes a panel without marks; here the panels become one frame that may leave.
//! In one photo both panels are the whole photo, and each head moves on its own side of a line between the faces.

use super::badge::Badge;
use super::card::{CardReason, Cards};
use super::framing::{Area, FRAME_SIDES_PX, Framing, Still};
use super::{BadgeLanguage, BadgePlace, CompositeOptions, Compositor, OutFrame, seal, stamp, strip};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::Rgba;
use crate::identity::Identity;
use crate::latency;
use crate::mark::{Embedder, Key, Message};
use crate::trace::Trace;

/// Joins the panels of two people into frames that may leave.
pub(crate) struct Pair {
    frame_px: (usize, usize),
    is_one_photo: bool,
    embedder: Embedder,
    /// `None` where pictures go without the visible mark.
    badge: Option<Badge>,
    cards: Cards,
    has_stamp: bool,
    /// What stands still in both panels, marked; which stills that is made of, and where their areas lie.
    still: Rgba,
    still_id: u64,
    made_of: Option<([u64; 2], [Area; 2])>,
}

impl Pair {
    /// Prepares frames of these options for two identities.
    ///
    /// # Errors
    /// As [`Compositor::new`]; [`ErrorKind::Config`] when half of the frame is too narrow for a person.
    pub(crate) fn new(options: &CompositeOptions, has_stamp: bool, identities: [&Identity; 2]) -> Result<Self> {
        let size = options.size_px;
        let frame_px = options.frame_px.unwrap_or((size, size));
        // Also where one photo shows both now: another identity or framing may come.
        let least_px = 2 * FRAME_SIDES_PX.start();
        if frame_px.0 < least_px {
            let message = format!(
                "two people need a frame at least {least_px} pixels wide, and this one has {}; give another --size",
                frame_px.0
            );
            return Err(Error::new(ErrorKind::Config, message));
        }
        let mut pair = Self {
            frame_px,
            is_one_photo: is_one_photo(options.framing, identities),
            embedder: Embedder::new(frame_px, Message::of_run(options.run_id), Key::PUBLIC),
            badge: options.badge.then(|| Badge::new(frame_px, options.badge_place, options.badge_language, 0)),
            cards: Cards::new(frame_px)?,
            has_stamp,
            still: Rgba::default(),
            still_id: 0,
            made_of: None,
        };
        pair.set_badge(options.badge_place, options.badge_language);
        Ok(pair)
    }

    /// Learns who is shown, and how; says whether the panels have another size from now on.
    pub(crate) fn arrange(&mut self, framing: Framing, identities: [&Identity; 2]) -> bool {
        let before = std::mem::replace(&mut self.is_one_photo, is_one_photo(framing, identities));
        before != self.is_one_photo
    }

    /// What the compositor of a person's panel is made with, 0 for the first.
    pub(crate) fn panel(&self, who: usize, options: &CompositeOptions) -> CompositeOptions {
        CompositeOptions { frame_px: Some(self.panel_px(who)), badge: false, ..options.clone() }
    }

    /// (width, height) of a person's panel, 0 for the first.
    pub(crate) fn panel_px(&self, who: usize) -> (usize, usize) {
        let (width, height) = self.frame_px;
        match who {
            _ if self.is_one_photo => (width, height),
            0 => (width / 2, height),
            _ => (width - width / 2, height),
        }
    }

    /// (width, height) of the frames, in pixels.
    pub(crate) fn frame_px(&self) -> (usize, usize) {
        self.frame_px
    }

    /// Whether frames carry the visible mark.
    pub(crate) fn is_badged(&self) -> bool {
        self.badge.is_some()
    }

    /// Puts the badge into another corner, or lets it speak another language. Slow: not for the frame path.
    pub(crate) fn set_badge(&mut self, place: BadgePlace, language: BadgeLanguage) {
        let above_px = if self.has_stamp { latency::strip_height_px(self.frame_px.0) } else { 0 };
        if let Some(badge) = &mut self.badge {
            *badge = Badge::new(self.frame_px, place, language, above_px);
            self.made_of = None;
        }
    }

    /// Gives each head its side of the frame; to be called before their panels are made.
    pub(crate) fn divide(&self, [first, second]: [&mut Compositor; 2]) {
        let columns = [first.face_column(), second.face_column()];
        let ([Some(one), Some(other)], true) = (columns, self.is_one_photo) else { return };
        let width = self.frame_px.0;
        let line = ((one + other) / 2.0).round().clamp(0.0, width as f32) as usize;
        let (left, right) = ((0, line), (line, width));
        let (one_side, other_side) = if one <= other { (left, right) } else { (right, left) };
        first.set_columns(one_side);
        second.set_columns(other_side);
    }

    /// Makes one frame of both panels, which `compositors` have just made.
    pub(crate) fn join(
        &mut self,
        compositors: [&Compositor; 2],
        panels: [&OutFrame; 2],
        trace: Trace,
        out: &mut OutFrame,
    ) {
        let is_mirrored = compositors[0].options().mirror;
        let offsets: [usize; 2] = std::array::from_fn(|who| match (self.is_one_photo, (who == 0) != is_mirrored) {
            (true, _) | (false, true) => 0,
            (false, false) => self.frame_px.0 - panels[who].picture.width_px(),
        });
        let mouths = compositors.map(Compositor::mouth_bounds);
        if let ([Some(one), Some(other)], Some(badge)) = (mouths, &mut self.badge)
            && badge.keep_clear(&[one.moved(offsets[0]), other.moved(offsets[1])], trace.captured)
        {
            self.made_of = None;
        }
        // What a panel that has no still picture draws anew is all of it.
        let drawn = panels.map(|panel| if panel.still == 0 { Area::whole(&panel.picture) } else { panel.moving[0] });
        let areas: [Area; 2] = std::array::from_fn(|who| Area { x: drawn[who].x + offsets[who], ..drawn[who] });
        let made_of = Some((panels.map(|panel| panel.still), areas));
        if self.made_of != made_of {
            self.made_of = made_of;
            self.still.reshape(self.frame_px.0, self.frame_px.1);
            for (panel, offset) in panels.iter().zip(offsets).take(if self.is_one_photo { 1 } else { 2 }) {
                put(&panel.picture, Area::whole(&panel.picture), offset, &mut self.still);
            }
            self.still_id = Still::next_id();
            let whole = Area::whole(&self.still);
            seal(Some(&mut self.embedder), self.badge.as_ref(), &mut self.still, whole);
        }
        let strip = strip(self.has_stamp, &self.still);
        if out.still == self.still_id {
            strip.copy(&self.still, &mut out.picture);
        } else {
            out.picture.copy_from(&self.still);
            (out.still, out.moving) = (self.still_id, [areas[0], areas[1], strip]);
        }
        out.trace = trace;
        for who in 0..2 {
            put(&panels[who].picture, drawn[who], offsets[who], &mut out.picture);
        }
        for area in areas {
            seal(Some(&mut self.embedder), self.badge.as_ref(), &mut out.picture, area);
        }
        if self.has_stamp {
            stamp(out);
        }
    }

    /// Writes the placeholder that says why nobody is shown into `out`.
    pub(crate) fn card(&mut self, reason: CardReason, trace: Trace, out: &mut OutFrame) {
        out.trace = trace;
        out.picture.copy_from(self.cards.get(reason));
        out.still = 0;
        let whole = Area::whole(&out.picture);
        seal(Some(&mut self.embedder), self.badge.as_ref(), &mut out.picture, whole);
        if self.has_stamp {
            stamp(out);
        }
    }
}

/// Whether a frame of two identities is one photo that shows both: they were enrolled from it one after the other.
pub fn is_one_photo(framing: Framing, [one, other]: [&Identity; 2]) -> bool {
    let (Some(one), Some(other)) = (&one.photo, &other.photo) else { return false };
    // The same square of it is the same person twice.
    framing == Framing::Photo && one.crop != other.crop && one.picture == other.picture
}

/// Copies a part of a panel into a frame, `offset` columns further to the right.
fn put(panel: &Rgba, part: Area, offset: usize, frame: &mut Rgba) {
    let (from_stride, to_stride) = (panel.width_px() * 4, frame.width_px() * 4);
    for y in part.y..part.y + part.height {
        let from = &panel.data()[y * from_stride + part.x * 4..][..part.width * 4];
        frame.data_mut()[y * to_stride + (part.x + offset) * 4..][..part.width * 4].copy_from_slice(from);
    }
}
