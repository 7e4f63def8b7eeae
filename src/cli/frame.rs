//! Which frame a run makes: what was typed, and what follows from the sinks and the identities where nothing was.

use std::sync::Arc;

use clap::Args;
use effigy::composite::{CAMERA_FRAME_PX, FrameSize, Framing, OFFSETS, View, ZOOMS, generated_px, is_one_photo};
use effigy::sink::SinkSpec;
use effigy::{Error, ErrorKind, Identity, Result};
use glam::Vec2;

/// The side of the frame of a run that says nothing.
const SIDE_PX: usize = 512;

/// What can be said of the frame.
#[derive(Args, Debug)]
pub(crate) struct FrameArgs {
    /// Size of the picture in pixels: WIDTHxHEIGHT, such as 1280x720, or one side of a square; sides from 64 to 4096
    /// [default: 512]; with --faces 2 1024x512, with a virtual camera or --framing fill 1280x720, with --framing photo the
    /// photo's own
    #[arg(long, value_name = "WxH|SIDE")]
    pub(crate) size: Option<FrameSize>,
    /// How the head is put into the picture
    /// [default: head in a square picture, with --faces 2 in one of two squares, otherwise fill]
    #[arg(long, value_enum)]
    framing: Option<Framing>,
    /// How large the head is in a filled picture, 0.5 to 4 times as a camera would have it
    #[arg(long, value_name = "FACTOR", value_parser = parse_zoom)]
    zoom: Option<f32>,
    /// Move the head in a filled picture to the right and down, in pictures: 0.1,-0.05
    #[arg(long, value_name = "X,Y", value_parser = parse_offset, allow_hyphen_values = true)]
    offset: Option<Vec2>,
}

/// The frame of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) frame_px: (usize, usize),
    pub(crate) framing: Framing,
    pub(crate) view: View,
    /// Width and height of the square that the generator makes, in pixels.
    pub(crate) generated_px: usize,
}

impl FrameArgs {
    /// The frame for these sinks and identities: one for all, so that everybody sees what the camera shows. `shown` are those
    /// that are in it at first, one or two.
    pub(crate) fn frame(&self, sinks: &[SinkSpec], identities: &[Arc<Identity>], shown: &[&Identity]) -> Result<Frame> {
        let config = |message: String| Err(Error::new(ErrorKind::Config, message));
        let camera = sinks.iter().find_map(|sink| match sink {
            SinkSpec::Vcam { size_px, .. } | SinkSpec::Pipewire { size_px } => Some(size_px.unwrap_or(CAMERA_FRAME_PX)),
            _ => None,
        });
        let asked = self.size.map(|FrameSize(width, height)| (width, height));
        let n_panels = shown.len().max(1);
        let framing = match (self.framing, asked, camera) {
            (Some(framing), ..) => framing,
            (None, Some((width, height)), _) if width == height * n_panels => Framing::Head,
            (None, None, None) => Framing::Head,
            (None, ..) => Framing::Fill,
        };
        if framing != Framing::Fill && (self.zoom.is_some() || self.offset.is_some()) {
            return config(format!(
                "--zoom and --offset belong to a filled picture, and this one is {}; add --framing fill",
                framing.name()
            ));
        }
        if framing == Framing::Photo
            && let Some(old) = identities.iter().find(|identity| identity.photo.is_none())
        {
            return config(format!(
                "--framing photo needs the whole photo, which the file of \"{}\" does not hold: it is of an earlier \
                 version; enroll the photo again (`effigy enroll PHOTO -o NAME.effigy --consent self`), or use \
                 --framing fill",
                old.manifest.name
            ));
        }
        let photo = shown.first().and_then(|identity| identity.photo.as_ref()).map(|photo| {
            let side = |side: usize| side.max(*effigy::composite::FRAME_SIDES_PX.start());
            (side(photo.picture.width_px()), side(photo.picture.height_px()))
        });
        // One photo of two people is no panel of each.
        let n_panels = match shown {
            [one, other] if is_one_photo(framing, [one, other]) => 1,
            _ => n_panels,
        };
        let frame_px = match (asked, camera, framing) {
            (Some(size), ..) | (None, Some(size), _) => size,
            (None, None, Framing::Photo) if n_panels == 1 => photo.unwrap_or(CAMERA_FRAME_PX),
            (None, None, Framing::Fill | Framing::Photo) => CAMERA_FRAME_PX,
            (None, None, Framing::Head) => (SIDE_PX * n_panels, SIDE_PX),
        };
        let view = View { zoom: self.zoom.unwrap_or(1.0), offset: self.offset.unwrap_or(Vec2::ZERO) };
        let panel_px = (frame_px.0 / n_panels, frame_px.1);
        let generated_px = generated_px(framing, view, panel_px, identities.iter().map(|identity| &**identity));
        Ok(Frame { frame_px, framing, view, generated_px })
    }
}

fn parse_zoom(text: &str) -> std::result::Result<f32, String> {
    let zoom = text.parse().ok().filter(|zoom| ZOOMS.contains(zoom));
    zoom.ok_or_else(|| format!("expected a number from {} to {}", ZOOMS.start(), ZOOMS.end()))
}

fn parse_offset(text: &str) -> std::result::Result<Vec2, String> {
    let part = |text: &str| text.trim().parse().ok().filter(|part| OFFSETS.contains(part));
    let both = text.split_once(',').and_then(|(x, y)| Some(Vec2::new(part(x)?, part(y)?)));
    both.ok_or_else(|| {
        format!("expected X,Y with numbers from {} to {}, such as 0.1,-0.05", OFFSETS.start(), OFFSETS.end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(size: Option<&str>, framing: Option<Framing>, sinks: &[&str]) -> Frame {
        let args = FrameArgs { size: size.map(|size| size.parse().unwrap()), framing, zoom: None, offset: None };
        let sinks: Vec<SinkSpec> = sinks.iter().map(|sink| sink.parse().unwrap()).collect();
        args.frame(&sinks, &[], &[]).unwrap()
    }

    #[test]
    fn a_camera_is_filled_and_everything_else_is_the_square_it_was() {
        for sinks in [&["null"][..], &["http", "file:out.mp4"], &["file:frames/"], &[]] {
            let found = frame(None, None, sinks);
            assert_eq!((found.frame_px, found.framing, found.generated_px), ((512, 512), Framing::Head, 512));
        }
        assert_eq!(frame(Some("1024"), None, &["null"]).generated_px, 1024);
        let filled = |found: Frame| (found.frame_px, found.framing);
        #[cfg(target_os = "linux")]
        {
            assert_eq!(filled(frame(None, None, &["vcam"])), ((1280, 720), Framing::Fill));
            assert_eq!(filled(frame(None, None, &["file:out.mp4", "vcam:10"])), ((1280, 720), Framing::Fill));
            assert_eq!(filled(frame(None, None, &["vcam@640x480"])), ((640, 480), Framing::Fill));
            assert_eq!(filled(frame(Some("512"), None, &["vcam"])), ((512, 512), Framing::Head));
            assert_eq!(filled(frame(None, Some(Framing::Head), &["vcam"])), ((1280, 720), Framing::Head));
        }
        #[cfg(all(target_os = "linux", feature = "pipewire"))]
        assert_eq!(filled(frame(None, None, &["pipewire"])), ((1280, 720), Framing::Fill));
        assert_eq!(filled(frame(Some("1080x1920"), None, &["null"])), ((1080, 1920), Framing::Fill));
        assert_eq!(filled(frame(None, Some(Framing::Fill), &["null"])), ((1280, 720), Framing::Fill));
    }

    #[test]
    fn views_are_numbers_within_bounds() {
        assert_eq!(parse_offset("0.1,-0.05"), Ok(Vec2::new(0.1, -0.05)));
        for wrong in ["", "0.1", "2,0", "a,b", "0,NaN"] {
            assert!(parse_offset(wrong).unwrap_err().contains("from -1 to 1"), "{wrong}");
        }
        assert_eq!(parse_zoom("1.5"), Ok(1.5));
        assert!(
            ["0", "5", "x", "NaN"].iter().all(|wrong| parse_zoom(wrong).is_err_and(|why| why.contains("0.5 to 4")))
        );
    }
}
