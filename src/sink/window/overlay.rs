//! What is drawn over the picture: figures in a corner, the driver's face as lines in another.

use std::fmt::Write as _;

use glam::Vec2;
use opencv::core::{Point, Rect, Scalar};
use opencv::imgproc;

use crate::error::Result;
use crate::frame::Rgba;
use crate::geometry::N_LANDMARKS;
use crate::sink::Figures;

use crate::sink::contours::CONTOURS;

/// The height of a line of text at scale 1 of OpenCV's plain font, with the space below.
const LINE_PX: f64 = 34.0;
/// The share of the picture's height that the driver's frame takes.
const DRIVER_SHARE: f32 = 0.3;
/// Fractional bits of the lines' coordinates, for smooth motion.
const SHIFT: i32 = 4;

/// That something is recorded.
const RED: Scalar = opencv::core::VecN([220.0, 30.0, 30.0, 255.0]);
/// Lines of figures: age, its parts, rate, drops, backend, confidence, and two things to mend.
const N_LINES: usize = 8;
/// So many parts of the age are named, the largest first.
const N_NAMED_PARTS: usize = 3;

/// What the user wants to see, and the figures.
pub(super) struct Overlay {
    pub(super) shows_figures: bool,
    pub(super) shows_landmarks: bool,
    /// Width of the driver's frame for its height.
    pub(super) driver_aspect: f32,
    lines: [String; N_LINES],
    /// What is said of the microphone that is heard, and how loud it is, 0 to 1.
    microphone: Option<(&'static str, f32)>,
    is_recording: bool,
}

impl Default for Overlay {
    fn default() -> Self {
        Self {
            shows_figures: false,
            shows_landmarks: false,
            driver_aspect: 4.0 / 3.0,
            lines: Default::default(),
            microphone: None,
            is_recording: false,
        }
    }
}

impl Overlay {
    /// Writes the figures down, in strings that are used again.
    pub(super) fn set_figures(&mut self, figures: &Figures<'_>) {
        for line in &mut self.lines {
            line.clear();
        }
        let [age, made_of, rate, drops, backend, confidence, troubles @ ..] = &mut self.lines;
        // Writing to a string cannot fail.
        let _ = write!(age, "age {:.0} ms", figures.age_millis);
        let mut above = f64::INFINITY;
        for _ in 0..N_NAMED_PARTS {
            let rest = figures.parts_ms.iter().filter(|(_, ms)| *ms < above && *ms >= 0.5);
            let Some((name, ms)) = rest.max_by(|a, b| a.1.total_cmp(&b.1)) else { break };
            let _ = write!(made_of, "{}{name} {ms:.0}", if made_of.is_empty() { "of " } else { ", " });
            above = *ms;
        }
        let _ = write!(rate, "{:.1} /s", figures.rate_hz);
        let _ = write!(drops, "{} dropped", figures.n_dropped);
        backend.push_str(figures.backend);
        let _ = write!(confidence, "confidence {:.0} %", figures.conditions.confidence * 100.0);
        for (line, trouble) in troubles.iter_mut().zip(figures.conditions.troubles.iter()) {
            line.push_str(trouble.advice());
        }
        self.microphone = figures.microphone.map(|(microphone, is_silenced)| match microphone.is_heard() {
            true if is_silenced => ("MIC OFF", 0.0),
            true => ("MIC", microphone.level()),
            false => ("MIC GONE", 0.0),
        });
        self.is_recording = figures.is_recording;
    }

    /// Draws what is to be seen into `view`.
    pub(super) fn draw(&self, landmarks: Option<&[Vec2; N_LANDMARKS]>, view: &mut Rgba) -> Result<()> {
        if self.shows_landmarks {
            self.draw_driver(landmarks, view)?;
        }
        if self.shows_figures {
            self.draw_figures(view)?;
        }
        let recording = self.is_recording.then_some(("REC", None));
        let microphone = self.microphone.map(|(text, level)| (text, Some(level)));
        for (row, (text, level)) in recording.into_iter().chain(microphone).enumerate() {
            draw_mark(row as i32, text, level, view)?;
        }
        Ok(())
    }

    fn draw_figures(&self, view: &mut Rgba) -> Result<()> {
        let scale = (view.height_px() as f64 / 1000.0).clamp(0.4, 1.0);
        let mut mat = view.as_mat_mut()?;
        for (index, line) in self.lines.iter().filter(|line| !line.is_empty()).enumerate() {
            let baseline = Point::new((12.0 * scale) as i32, ((index + 1) as f64 * LINE_PX * scale) as i32);
            // White on a black seam, to be read on any picture.
            for (grey, thickness_px) in [(0.0, 3), (255.0, 1)] {
                imgproc::put_text(
                    &mut mat,
                    line,
                    baseline,
                    imgproc::FONT_HERSHEY_SIMPLEX,
                    scale,
                    opaque(grey),
                    thickness_px,
                    imgproc::LINE_AA,
                    false,
                )?;
            }
        }
        Ok(())
    }

    /// Draws the driver's frame, dark, in the lower left corner, with the face's lines in it.
    fn draw_driver(&self, landmarks: Option<&[Vec2; N_LANDMARKS]>, view: &mut Rgba) -> Result<()> {
        let (view_width_px, view_height_px) = (view.width_px() as f32, view.height_px() as f32);
        let aspect = if self.driver_aspect.is_finite() { self.driver_aspect.clamp(0.2, 5.0) } else { 1.0 };
        let height_px = (view_height_px * DRIVER_SHARE).min(view_width_px / aspect).max(1.0);
        let size_px = Vec2::new(height_px * aspect, height_px);
        let corner_px = Vec2::new(0.0, view_height_px - height_px);
        let frame = Rect::new(corner_px.x as i32, corner_px.y as i32, size_px.x.ceil() as i32, size_px.y.ceil() as i32);
        let mut mat = view.as_mat_mut()?;
        imgproc::rectangle(&mut mat, frame, opaque(24.0), imgproc::FILLED, imgproc::LINE_8, 0)?;
        let Some(landmarks) = landmarks else { return Ok(()) };
        let at = |index: usize| {
            // Points beyond the frame end at its edge: nothing may be drawn over the portrait.
            let in_frame = if landmarks[index].is_finite() { landmarks[index] } else { Vec2::ZERO };
            let px = corner_px + in_frame.clamp(Vec2::ZERO, Vec2::ONE) * (size_px - 1.0);
            let fixed = px * (1 << SHIFT) as f32;
            Point::new(fixed.x as i32, fixed.y as i32)
        };
        for contour in &CONTOURS {
            let ends = contour.points.windows(2).map(|pair| (pair[0], pair[1]));
            let closing = contour.points.last().zip(contour.points.first()).filter(|_| contour.is_closed);
            for (from, to) in ends.chain(closing.map(|(last, first)| (*last, *first))) {
                imgproc::line(&mut mat, at(from), at(to), opaque(230.0), 1, imgproc::LINE_AA, SHIFT)?;
            }
        }
        Ok(())
    }
}

/// Says in the upper right corner that the picture is recorded, or that a microphone is heard, to record it or to move the
/// mouth, and how loud it is: always, unlike the figures.
fn draw_mark(row: i32, text: &str, level: Option<f32>, view: &mut Rgba) -> Result<()> {
    let scale = (view.height_px() as f64 / 1000.0).clamp(0.4, 1.0);
    let (line_px, margin_px) = ((LINE_PX * scale) as i32, (12.0 * scale) as i32);
    let width_px = line_px * 5;
    let top_px = margin_px + row * (line_px + line_px / 2);
    let corner = Point::new(view.width_px() as i32 - margin_px - width_px, top_px);
    let mut mat = view.as_mat_mut()?;
    let mut bar = |grown_px: i32, width_px: i32, colour: Scalar| {
        let place =
            Rect::new(corner.x - grown_px, corner.y + line_px, width_px + 2 * grown_px, line_px / 6 + 2 * grown_px);
        imgproc::rectangle(&mut mat, place, colour, imgproc::FILLED, imgproc::LINE_8, 0)
    };
    if let Some(level) = level {
        bar(1, width_px, opaque(0.0))?;
        let lit_px = (level.clamp(0.0, 1.0).sqrt() * width_px as f32) as i32;
        if lit_px > 0 {
            bar(0, lit_px, RED)?;
        }
    }
    let (dot, baseline) = (Point::new(corner.x + line_px / 2, corner.y + line_px / 2), corner.y + line_px * 3 / 4);
    imgproc::circle(&mut mat, dot, line_px / 3, RED, imgproc::FILLED, imgproc::LINE_AA, 0)?;
    for (grey, thickness_px) in [(0.0, 3), (255.0, 1)] {
        let at = Point::new(corner.x + line_px, baseline);
        let font = imgproc::FONT_HERSHEY_SIMPLEX;
        imgproc::put_text(&mut mat, text, at, font, scale, opaque(grey), thickness_px, imgproc::LINE_AA, false)?;
    }
    Ok(())
}

fn opaque(grey: f64) -> Scalar {
    Scalar::new(grey, grey, grey, 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::conditions::{Conditions, Trouble, Troubles};
    use crate::microphone::Microphone;

    fn grey(width_px: usize, height_px: usize) -> Rgba {
        Rgba::from_data(width_px, height_px, [128, 128, 128, 255].repeat(width_px * height_px)).unwrap()
    }

    fn bright_in(view: &Rgba, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> usize {
        let pixels = rows.flat_map(|y| columns.clone().map(move |x| (x, y)));
        pixels.filter(|(x, y)| view.pixel(*x, *y)[0] > 200).count()
    }

    #[test]
    fn nothing_is_drawn_unless_it_is_asked_for() {
        let mut view = grey(320, 240);
        Overlay::default().draw(Some(&[Vec2::splat(0.5); N_LANDMARKS]), &mut view).unwrap();
        assert_eq!(view, grey(320, 240));
    }

    #[test]
    fn lines_stay_in_the_drivers_frame_wherever_the_points_are() {
        let overlay = Overlay { shows_landmarks: true, ..Overlay::default() };
        let mut points = [Vec2::ZERO; N_LANDMARKS];
        for (index, point) in points.iter_mut().enumerate() {
            *point = Vec2::new((index as f32 * 0.7).sin() * 3.0, (index as f32).cos() * 3.0);
        }
        points[10] = Vec2::NAN;
        points[338] = Vec2::INFINITY;
        let mut view = grey(320, 240);
        overlay.draw(Some(&points), &mut view).unwrap();
        assert!(bright_in(&view, 0..96, 168..240) > 100, "the face is drawn");
        for y in 0..240 {
            for x in 0..320 {
                assert!((x < 97 && y > 166) || view.pixel(x, y) == [128, 128, 128, 255], "at {x}, {y}");
            }
        }
        // Small, thin and flat windows do no harm.
        for (width_px, height_px) in [(1, 1), (3, 200), (200, 3)] {
            overlay.draw(Some(&points), &mut grey(width_px, height_px)).unwrap();
        }
    }

    #[test]
    fn figures_are_written_in_the_upper_left() {
        let mut overlay = Overlay { shows_figures: true, ..Overlay::default() };
        let troubles = Troubles::default().with(Trouble::Far, true).with(Trouble::Dark, true);
        overlay.set_figures(&Figures {
            age_millis: 31.6,
            parts_ms: &[("capture", 0.2), ("face", 6.0), ("generate", 15.4), ("present", 1.0), ("waiting", 9.0)],
            conditions: Conditions { confidence: 0.93, troubles },
            rate_hz: 29.97,
            n_dropped: 3,
            backend: "warp",
            microphone: None,
            is_recording: false,
        });
        let [dark, far] = [Trouble::Dark, Trouble::Far].map(Trouble::advice);
        let parts = "of generate 15, waiting 9, face 6";
        assert_eq!(overlay.lines, ["age 32 ms", parts, "30.0 /s", "3 dropped", "warp", "confidence 93 %", dark, far]);
        let mut view = grey(320, 240);
        overlay.draw(None, &mut view).unwrap();
        assert!(bright_in(&view, 0..160, 0..70) > 60);
        assert_eq!(bright_in(&view, 0..320, 120..240), 0);
    }

    #[test]
    fn a_microphone_that_is_recorded_is_always_seen() {
        let (microphone, mut inlet) = Microphone::new("test".to_owned());
        let shown = |microphone: &Microphone, is_silenced: bool| {
            let mut overlay = Overlay::default();
            let microphone = Some((microphone, is_silenced));
            overlay.set_figures(&Figures { microphone, ..Figures::default() });
            let mut view = grey(320, 240);
            overlay.draw(None, &mut view).unwrap();
            (0..240 * 320).map(|i| view.pixel(i % 320, i / 320)).filter(|p| p[0] > 180 && p[1] < 80).count()
        };
        let quiet = shown(&microphone, false);
        assert!(quiet > 30, "a red dot: {quiet}");
        inlet.push(Timestamp::default(), 48_000, std::iter::once([0.9; 2]));
        let loud = shown(&microphone, false);
        assert!(loud > quiet + 80, "{loud} after {quiet}");
        assert_eq!(shown(&microphone, true), quiet, "silenced");
    }

    #[test]
    fn a_recording_is_always_seen_beside_a_microphone() {
        let (microphone, _inlet) = Microphone::new("test".to_owned());
        let n_red = |is_recording: bool, microphone: Option<(&Microphone, bool)>| {
            let mut overlay = Overlay::default();
            overlay.set_figures(&Figures { is_recording, microphone, ..Figures::default() });
            let mut view = grey(320, 240);
            overlay.draw(None, &mut view).unwrap();
            (0..240 * 320).map(|i| view.pixel(i % 320, i / 320)).filter(|p| p[0] > 180 && p[1] < 80).count()
        };
        let one = n_red(true, None);
        assert!(one > 30, "a red dot: {one}");
        assert_eq!(n_red(true, Some((&microphone, false))), 2 * one, "two dots");
        assert_eq!(n_red(false, None), 0);
    }
}
