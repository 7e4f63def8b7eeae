//! Frames of any size and shape: where the head is in them and what stands still around it.
//!
//! ```text
//! identity ──▶ Scene ──▶ Layout ──▶ Still ──▶ the head's square, again for each picture
//!              once      numbers    once for each view, size, background
//! ```

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::thread::JoinHandle;

use glam::Vec2;

use super::Background;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Rgba;
use crate::generate::Portrait;
use crate::generate::neural::maps::body_pose;
use crate::identity::Identity;
use crate::signal::DrivingSignal;

use self::head::Head;
use self::layout::{Layout, Subject};
use self::scene::Scene;
pub(super) use self::still::Still;
use self::wish::Wish;

mod axis;
mod crown;
mod head;
mod layout;
mod reader;
mod scene;
mod still;
mod wish;

/// Sides that a frame may have, in pixels. A frame of the largest takes 64 MiB, of which a run holds some.
pub const FRAME_SIDES_PX: RangeInclusive<usize> = 64..=4096;
/// How far a filled frame can be zoomed.
pub const ZOOMS: RangeInclusive<f32> = 0.5..=4.0;
/// How far the head can be moved in a filled frame, in frames.
pub const OFFSETS: RangeInclusive<f32> = -1.0..=1.0;
/// The frame of cameras, and of `fill`, unless another is asked for.
pub const CAMERA_FRAME_PX: (usize, usize) = (1280, 720);

/// How the head is put into the frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Framing {
    /// The head's square, as large as fits
    #[default]
    Head,
    /// The whole photo, with the head moving where it was
    Photo,
    /// A picture without empty sides, the head where a camera would have it
    Fill,
}

impl Framing {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Photo => "photo",
            Self::Fill => "fill",
        }
    }

    /// The one after this: head, photo, fill, head.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Head => Self::Photo,
            Self::Photo => Self::Fill,
            Self::Fill => Self::Head,
        }
    }
}

/// Which part of the scene a filled frame shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// How large the head is, 1 is as a camera would have it; within [`ZOOMS`].
    pub zoom: f32,
    /// How far the head is moved to the right and down, in frames; within [`OFFSETS`].
    pub offset: Vec2,
}

impl View {
    /// Nothing zoomed or moved.
    pub const PLAIN: Self = Self { zoom: 1.0, offset: Vec2::ZERO };

    /// The nearest view that can be shown.
    #[must_use]
    pub fn clamped(self) -> Self {
        let within = |value: f32, range: RangeInclusive<f32>, plain: f32| {
            if value.is_finite() { value.clamp(*range.start(), *range.end()) } else { plain }
        };
        let offset = Vec2::new(within(self.offset.x, OFFSETS, 0.0), within(self.offset.y, OFFSETS, 0.0));
        Self { zoom: within(self.zoom, ZOOMS, 1.0), offset }
    }
}

impl Default for View {
    fn default() -> Self {
        Self::PLAIN
    }
}

/// A frame's width and height, read from `1280x720` or, for a square, `512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameSize(pub usize, pub usize);

impl FromStr for FrameSize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let side = |text: &str| text.parse().ok().filter(|side| FRAME_SIDES_PX.contains(side));
        let size = match text.split_once('x') {
            Some((width, height)) => side(width).zip(side(height)),
            None => side(text).map(|side| (side, side)),
        };
        size.map(|(width, height)| Self(width, height)).ok_or_else(|| {
            let (least, most) = (FRAME_SIDES_PX.start(), FRAME_SIDES_PX.end());
            let message = format!(
                "expected WIDTHxHEIGHT or one side of a square, each from {least} to {most} pixels, such as 1280x720 or 512"
            );
            Error::new(ErrorKind::Config, message)
        })
    }
}

/// Sizes that generators make, in pixels a side.
const GENERATED_PX: [usize; 2] = [512, 1024];
/// A generated square is enlarged by at most this much before the next larger one is asked for.
const MAX_ENLARGED: f32 = std::f32::consts::SQRT_2;

/// The size, 512 or 1024 pixels a side, at which a generator should work for such frames of these identities.
///
/// The smallest that the head's square in the frame asks for, and no larger than the portraits tell anything of.
pub fn generated_px<'a>(
    framing: Framing,
    view: View,
    frame_px: (usize, usize),
    identities: impl IntoIterator<Item = &'a Identity>,
) -> usize {
    if framing == Framing::Head && frame_px.0 == frame_px.1 && GENERATED_PX.contains(&frame_px.0) {
        return frame_px.0;
    }
    let needed = identities.into_iter().map(|identity| {
        let layout = Layout::new(framing, view, &Subject::of(identity), frame_px);
        layout.head.side.min(identity.size_px())
    });
    let needed = needed.max().unwrap_or(0) as f32;
    GENERATED_PX[usize::from(needed > MAX_ENLARGED * GENERATED_PX[0] as f32)]
}

/// A rectangle of a frame, in whole pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Area {
    /// All of a picture.
    pub(super) fn whole(picture: &Rgba) -> Self {
        Self { x: 0, y: 0, width: picture.width_px(), height: picture.height_px() }
    }

    pub(super) fn contains_row(&self, y: usize) -> bool {
        (self.y..self.y + self.height).contains(&y)
    }

    /// Copies this part of a picture into another one of its size.
    pub(super) fn copy(&self, from: &Rgba, to: &mut Rgba) {
        let stride = from.width_px() * 4;
        for y in self.y..self.y + self.height {
            let part = y * stride + self.x * 4..y * stride + (self.x + self.width) * 4;
            to.data_mut()[part.clone()].copy_from_slice(&from.data()[part]);
        }
    }
}

/// How the generated body moved: a place of the square, 0..1, went to itself times `1 + growth`, plus `step`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Shift {
    growth: f32,
    step: Vec2,
}

/// Makes frames around the generated square.
pub(super) struct Framer {
    frame_px: (usize, usize),
    framing: Framing,
    view: View,
    /// The frame's columns in which the head may move: all, where nobody else's moves beside them.
    columns: (usize, usize),
    scene: Option<Arc<Scene>>,
    /// The scene that is being made, and whose.
    pending: Option<(Arc<Identity>, JoinHandle<Result<Scene>>)>,
    /// Those that were made ready, the newest last.
    ready: Vec<(Arc<Identity>, Arc<Scene>)>,
    /// `None` when it is to be made anew.
    still: Option<Still>,
    head: Head,
    shift: Shift,
}

/// Scenes that stay ready beside the one shown: one of a 4K photo takes 33 MiB.
const MAX_READY: usize = 3;

impl Framer {
    pub(super) fn new(frame_px: (usize, usize), framing: Framing, view: View) -> Self {
        Self {
            frame_px,
            framing,
            view: view.clamped(),
            columns: (0, frame_px.0),
            scene: None,
            pending: None,
            ready: Vec::new(),
            still: None,
            head: Head::new(),
            shift: Shift::default(),
        }
    }

    pub(super) fn set_framing(&mut self, framing: Framing) {
        if self.framing != framing {
            self.framing = framing;
            self.forget();
        }
    }

    pub(super) fn set_view(&mut self, view: View) {
        if self.view != view.clamped() {
            self.view = view.clamped();
            self.forget();
        }
    }

    /// Makes frames of this (width, height) from now on, in all of which the head may move.
    pub(super) fn set_frame_px(&mut self, frame_px: (usize, usize)) {
        self.frame_px = frame_px;
        self.columns = (0, frame_px.0);
        self.forget();
    }

    /// Lets the head move in these columns of the frame only.
    pub(super) fn set_columns(&mut self, columns: (usize, usize)) {
        if self.columns != columns {
            self.columns = columns;
            self.forget();
        }
    }

    /// Makes the still picture anew with the next frame.
    pub(super) fn forget(&mut self) {
        self.still = None;
    }

    /// Changes a little of the still picture, if there is one; whoever has it copies it once more.
    pub(super) fn touch_up(&mut self, change: impl FnOnce(&mut Rgba)) {
        if let Some(still) = &mut self.still {
            change(&mut still.picture);
            still.id = Still::next_id();
        }
    }

    /// Takes an identity. Slow where it was not prepared.
    pub(super) fn adopt(&mut self, identity: &Identity) -> Result<()> {
        let found = self.ready.iter().find(|(ready, _)| std::ptr::eq(&**ready, identity));
        self.scene = Some(match found {
            Some((_, scene)) => Arc::clone(scene),
            None => Arc::new(Scene::new(identity)?),
        });
        self.shift = Shift::default();
        self.forget();
        Ok(())
    }

    /// Makes the scene of an identity on a thread of its own; says whether it is there. To be called until it is.
    pub(super) fn prepare(&mut self, identity: &Arc<Identity>) -> Result<bool> {
        if let Some((whom, making)) = self.pending.take_if(|(_, making)| making.is_finished()) {
            let broke =
                |_| Err(Error::new(ErrorKind::Internal, "preparing a frame panicked; adopt the identity again"));
            match making.join().unwrap_or_else(broke) {
                Ok(scene) => {
                    if self.ready.len() == MAX_READY {
                        self.ready.remove(0);
                    }
                    self.ready.push((whom, Arc::new(scene)));
                }
                Err(error) if Arc::ptr_eq(&whom, identity) => return Err(error),
                // Somebody else is asked for meanwhile; asked for again, it is tried again.
                Err(_) => {}
            }
        }
        if self.ready.iter().any(|(ready, _)| Arc::ptr_eq(ready, identity)) {
            return Ok(true);
        }
        if self.pending.is_none() {
            let whom = Arc::clone(identity);
            let making = std::thread::Builder::new()
                .name("frame".to_owned())
                .spawn(move || Scene::new(&whom))
                .or_error(ErrorKind::Internal, || "cannot start the thread that prepares a frame".to_owned())?;
            self.pending = Some((Arc::clone(identity), making));
        }
        Ok(false)
    }

    /// Where the frame shows the generated square: its upper left corner and its side, in pixels; `None` before an identity
    /// was adopted.
    pub(super) fn shown_square(&self, is_mirrored: bool) -> Option<(Vec2, f32)> {
        let layout = self.layout(&self.scene.as_ref()?.subject, is_mirrored);
        let square = wish::shown_square(&layout, self.frame_px, is_mirrored);
        Some((Vec2::new(square.left as f32, square.top as f32), square.side as f32))
    }

    /// Where the frame shows the middle of the face, from the left in pixels; `None` before an identity was adopted.
    pub(super) fn face_column(&self, is_mirrored: bool) -> Option<f32> {
        let subject = &self.scene.as_ref()?.subject;
        let layout = self.layout(subject, is_mirrored);
        let column = layout.origin.x + layout.scale * subject.face.x;
        Some(if is_mirrored { self.frame_px.0 as f32 - column } else { column })
    }

    /// Where the photo lies in the frame before that is mirrored: what the user calls right is right in what leaves.
    fn layout(&self, subject: &Subject, is_mirrored: bool) -> Layout {
        let way = if is_mirrored { -1.0 } else { 1.0 };
        let view = View { offset: self.view.offset * Vec2::new(way, 1.0), ..self.view };
        Layout::new(self.framing, view, subject, self.frame_px)
    }

    /// Learns how the generated body moves, so that it comes to rest towards the square's border.
    pub(super) fn follow(&mut self, signal: &DrivingSignal) {
        let Some(scene) = &self.scene else { return };
        let [scale, _, x, _, _, y] = body_pose(&scene.rest, &signal.placement(&scene.rest, 1), 1);
        self.shift = Shift { growth: 1.0 / scale - 1.0, step: -Vec2::new(x, y) / scale };
    }

    /// The still picture; `seal` finishes a new one as what leaves.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] before an identity was adopted.
    pub(super) fn still(
        &mut self,
        background: &Background,
        is_mirrored: bool,
        generated_px: usize,
        seal: impl FnOnce(&mut Rgba),
    ) -> Result<&Still> {
        let scene = self
            .scene
            .as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "asked for a frame before an identity was adopted"))?;
        let still = match self.still.take() {
            Some(still) => still,
            None => {
                let layout = self.layout(&scene.subject, is_mirrored);
                let (framing, frame_px, columns) = (self.framing, self.frame_px, self.columns);
                let wish = Wish { framing, layout, frame_px, columns, background, is_mirrored, generated_px };
                let mut still = Still::new(scene, &wish)?;
                seal(&mut still.picture);
                still
            }
        };
        Ok(self.still.insert(still))
    }

    /// Draws the person into a frame that shows the still picture elsewhere.
    pub(super) fn draw(&mut self, portrait: &Portrait, out: &mut Rgba) -> Result<()> {
        match &self.still {
            Some(still) => self.head.draw(&portrait.picture, still, self.shift, out),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "../../tests/common/mod.rs"]
mod common;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Generator as _;
    use crate::generate::warp::WarpGenerator;

    #[test]
    fn a_mirrored_frame_is_the_frame_mirrored() {
        let identity = common::identity_with_photo();
        let (frame_px, size) = ((700, 400), 512);
        let mut portrait = Portrait::default();
        let mut generator = WarpGenerator::new(size);
        generator.adopt(Arc::clone(&identity)).unwrap();
        generator.generate(&common::motions(&identity)[3], &mut portrait).unwrap();
        for framing in [Framing::Fill, Framing::Photo, Framing::Head] {
            // Before anything is put in that is not mirrored: the invisible mark, the badge.
            let frame = |is_mirrored: bool| {
                let mut framer = Framer::new(frame_px, framing, View::PLAIN);
                framer.adopt(&identity).unwrap();
                let still = framer.still(&Background::Own, is_mirrored, size, |_| ()).unwrap();
                let mut picture = still.picture.clone();
                framer.draw(&portrait, &mut picture).unwrap();
                picture
            };
            let (plain, mirrored) = (frame(false), frame(true));
            let mut worst = 0;
            for y in 0..frame_px.1 {
                for x in 0..frame_px.0 {
                    let (a, b) = (plain.pixel(x, y), mirrored.pixel(frame_px.0 - 1 - x, y));
                    worst = worst.max((0..4).map(|c| a[c].abs_diff(b[c])).max().unwrap());
                }
            }
            // The noise in what is soft is not mirrored.
            assert!(worst <= 3, "{framing:?}: {worst}");
        }
    }

    #[test]
    fn sizes_are_read_and_others_say_what_is_allowed() {
        let table = [
            ("512", (512, 512)),
            ("1280x720", (1280, 720)),
            ("1080x1920", (1080, 1920)),
            ("641x479", (641, 479)),
            ("64x4096", (64, 4096)),
        ];
        for (text, size) in table {
            assert_eq!(text.parse::<FrameSize>().unwrap(), FrameSize(size.0, size.1), "{text}");
        }
        for text in
            ["", "0", "0x0", "63x64", "1280x", "x720", "1280*720", "4097", "100000x100000", "big", "-512", "1e3"]
        {
            let error = text.parse::<FrameSize>().unwrap_err();
            assert!(error.to_string().contains("from 64 to 4096 pixels, such as 1280x720 or 512"), "{text}: {error}");
        }
    }

    #[test]
    fn a_view_is_kept_within_what_can_be_shown() {
        let view = View { zoom: 99.0, offset: Vec2::new(-7.0, f32::NAN) }.clamped();
        assert_eq!(view, View { zoom: 4.0, offset: Vec2::new(-1.0, 0.0) });
        assert_eq!(View { zoom: f32::INFINITY, offset: Vec2::ZERO }.clamped(), View::PLAIN);
    }
}
