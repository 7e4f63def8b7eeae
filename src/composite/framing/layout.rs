//! Where photo and head are in a frame: numbers only.

use glam::Vec2;

use super::{Framing, View};
use crate::identity::{Identity, PhotoCrop};

/// Side of the head's square for the frame's height, as a camera would frame it.
const SIDE_PER_HEIGHT: f32 = 0.8;
/// The same for the frame's width, where that is less.
const SIDE_PER_WIDTH: f32 = 1.05;
/// The largest side for the frame's width, where a photo that is cut close must cover the frame's height.
const MAX_SIDE_PER_WIDTH: f32 = 1.15;
/// Where the middle of the face is in the frame's height.
const FACE_HEIGHT: f32 = 0.45;

/// What a layout needs to know of an identity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Subject {
    /// The photo's (width, height), in pixels.
    pub(super) photo_px: Vec2,
    /// The portrait's square in it.
    pub(super) crop: PhotoCrop,
    /// The middle of the face in it.
    pub(super) face: Vec2,
}

impl Subject {
    /// Of an identity; without its photo the portrait is the photo.
    pub(super) fn of(identity: &Identity) -> Self {
        let size = identity.size_px() as f32;
        let (photo_px, crop) = match &identity.photo {
            Some(photo) => (Vec2::new(photo.picture.width_px() as f32, photo.picture.height_px() as f32), photo.crop),
            None => (Vec2::splat(size), PhotoCrop { left_px: 0.0, top_px: 0.0, side_px: size }),
        };
        let face = Vec2::new(crop.left_px, crop.top_px) + identity.shape.centre_px * (crop.side_px / size);
        Self { photo_px, crop, face }
    }
}

/// A square of the frame in whole pixels; it may reach over the frame's border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Square {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) side: usize,
}

/// Where things are in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    /// Frame pixels for one of the photo's.
    pub(super) scale: f32,
    /// The photo's upper left corner in the frame, in pixels.
    pub(super) origin: Vec2,
    /// The head's square.
    pub(super) head: Square,
}

impl Layout {
    /// The layout of `framing` in a frame of `frame_px`.
    pub(super) fn new(framing: Framing, view: View, subject: &Subject, frame_px: (usize, usize)) -> Self {
        let frame = Vec2::new(frame_px.0 as f32, frame_px.1 as f32);
        match framing {
            Framing::Head => Self::head(subject, frame_px),
            Framing::Photo => {
                let scale = (frame / subject.photo_px).min_element();
                let origin = ((frame - subject.photo_px * scale) / 2.0).round();
                Self { scale, origin, head: square(subject, scale, origin) }
            }
            Framing::Fill => Self::fill(subject, frame, view).snapped(subject),
        }
    }

    /// The head's square, as large as fits, in the middle.
    fn head(subject: &Subject, (width, height): (usize, usize)) -> Self {
        let side = width.min(height);
        let head = Square { left: ((width - side) / 2) as i32, top: ((height - side) / 2) as i32, side };
        let scale = side as f32 / subject.crop.side_px;
        let corner = Vec2::new(subject.crop.left_px, subject.crop.top_px);
        Self { scale, origin: Vec2::new(head.left as f32, head.top as f32) - corner * scale, head }
    }

    /// The photo over the frame's whole height where it reaches, its lower edge never above the frame's.
    fn fill(subject: &Subject, frame: Vec2, view: View) -> Self {
        let &Subject { photo_px, crop, face } = subject;
        let wanted = (SIDE_PER_HEIGHT * frame.y).min(SIDE_PER_WIDTH * frame.x);
        // A photo that covers the frame's height shows no edge over the hair and none below the shoulders.
        let covering = frame.y / photo_px.y * crop.side_px;
        let side = wanted.max(covering.min(MAX_SIDE_PER_WIDTH * frame.x));
        let scale = side / crop.side_px;
        let face_in_frame = Vec2::new(0.5, FACE_HEIGHT) * frame;
        let covered = |origin: f32, length: f32, frame: f32| {
            if length >= frame { origin.clamp(frame - length, 0.0) } else { origin }
        };
        let length = photo_px * scale;
        let plain = face_in_frame - face * scale;
        let plain = Vec2::new(covered(plain.x, length.x, frame.x), covered(plain.y, length.y, frame.y));
        // Zoomed about the place where the face is then.
        let place = plain + face * scale + view.offset * frame;
        let scale = scale * view.zoom;
        let origin = place - face * scale;
        let origin = Vec2::new(origin.x, origin.y.max(frame.y - photo_px.y * scale));
        Self { scale, origin, head: square(subject, scale, origin) }
    }

    /// With the head's square in whole pixels, exactly where the photo has it.
    fn snapped(self, subject: &Subject) -> Self {
        let scale = self.head.side as f32 / subject.crop.side_px;
        let corner = Vec2::new(subject.crop.left_px, subject.crop.top_px);
        Self { scale, origin: Vec2::new(self.head.left as f32, self.head.top as f32) - corner * scale, ..self }
    }
}

fn square(subject: &Subject, scale: f32, origin: Vec2) -> Square {
    let corner = (origin + Vec2::new(subject.crop.left_px, subject.crop.top_px) * scale).round();
    let side = ((subject.crop.side_px * scale).round() as usize).max(1);
    Square { left: corner.x as i32, top: corner.y as i32, side }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A portrait photo of three by four, whose head has air above it and a body below.
    const TALL: Subject = Subject {
        photo_px: Vec2::new(900.0, 1200.0),
        crop: PhotoCrop { left_px: 150.0, top_px: 60.0, side_px: 600.0 },
        face: Vec2::new(450.0, 340.0),
    };
    /// The same without its photo.
    const BARE: Subject = Subject {
        photo_px: Vec2::new(512.0, 512.0),
        crop: PhotoCrop { left_px: 0.0, top_px: 0.0, side_px: 512.0 },
        face: Vec2::new(256.0, 240.0),
    };
    const PLAIN: View = View::PLAIN;

    #[test]
    fn the_head_is_as_large_as_fits_and_in_the_middle() {
        let layout = Layout::new(Framing::Head, PLAIN, &TALL, (1280, 720));
        assert_eq!(layout.head, Square { left: 280, top: 0, side: 720 });
        assert_eq!(Layout::new(Framing::Head, PLAIN, &BARE, (512, 512)).head, Square { left: 0, top: 0, side: 512 });
    }

    #[test]
    fn the_photo_at_its_own_size_is_not_scaled() {
        let layout = Layout::new(Framing::Photo, PLAIN, &TALL, (900, 1200));
        assert_eq!((layout.scale, layout.origin), (1.0, Vec2::ZERO));
        assert_eq!(layout.head, Square { left: 150, top: 60, side: 600 });
        let layout = Layout::new(Framing::Photo, PLAIN, &TALL, (1280, 600));
        assert_eq!((layout.scale, layout.origin), (0.5, Vec2::new(415.0, 0.0)));
    }

    #[test]
    fn a_filled_frame_has_no_empty_lower_edge_and_the_face_in_it() {
        for subject in [TALL, BARE] {
            for frame_px in [(1280, 720), (1920, 1080), (1080, 1920), (641, 479), (4096, 64)] {
                let frame = Vec2::new(frame_px.0 as f32, frame_px.1 as f32);
                for zoom in [0.5, 0.8, 1.0, 2.0, 4.0] {
                    for offset in [Vec2::ZERO, Vec2::new(0.3, 0.2), Vec2::new(-0.2, -0.9)] {
                        let layout = Layout::new(Framing::Fill, View { zoom, offset }, &subject, frame_px);
                        let bottom = layout.origin.y + layout.scale * subject.photo_px.y;
                        assert!(bottom >= frame.y - 1.5, "{frame_px:?} {zoom} {offset}: {bottom}");
                        let face = layout.origin + layout.scale * subject.face;
                        if offset == Vec2::ZERO && zoom <= 2.0 {
                            let share = face / frame;
                            assert!((0.3..0.7).contains(&share.x), "{frame_px:?} {zoom}: {share}");
                            assert!((0.2..0.9).contains(&share.y), "{frame_px:?} {zoom}: {share}");
                        }
                        // The square lies where the photo has it.
                        let corner = layout.origin
                            + layout.scale * Vec2::new(subject.crop.left_px, subject.crop.top_px)
                            - Vec2::new(layout.head.left as f32, layout.head.top as f32);
                        assert!(corner.abs().max_element() < 0.01, "{corner}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_filled_frame_shows_the_head_as_a_camera_would() {
        let layout = Layout::new(Framing::Fill, PLAIN, &TALL, (1280, 720));
        assert_eq!(layout.head.side, 576, "four fifths of the height");
        assert!(layout.origin.y <= 0.5, "the photo's upper edge is not in the picture: {}", layout.origin.y);
        let bare = Layout::new(Framing::Fill, PLAIN, &BARE, (1280, 720));
        assert!((700..=740).contains(&bare.head.side), "a close photo covers the height: {}", bare.head.side);
    }
}
