//! A window on the caller's thread: the portrait, the figures, the driver's face as lines.
//!
//! Everything drawn over the picture is drawn into the window's own copy of it.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use minifb::{ScaleMode, Window, WindowOptions};

use crate::composite::OutFrame;
use crate::conditions::Trouble;
use crate::error::{ErrorKind, OrError as _, Result};
use crate::frame::Rgba;

use super::camera::Scaler;
use super::{Delivery, Figures, Sink, WindowEvent};
use overlay::Overlay;

mod keys;
mod overlay;
#[cfg(test)]
mod tests;

/// The largest window that is filled, a side.
const MAX_SIDE_PX: usize = 4096;
/// Without frames the window still answers the user so often.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Beside the picture, 0x00RRGGBB.
const MARGIN: u32 = 0x0012_1212;
/// Behind transparent parts: squares of two greys, a side in pixels.
const SQUARE_PX: usize = 8;

/// A window. Not `Send`: it belongs to the thread that opened it.
pub struct WindowSink {
    window: Window,
    pressed: Receiver<WindowEvent>,
    pending: VecDeque<WindowEvent>,
    /// The picture at the window's size, with the overlay.
    view: Rgba,
    scaler: Scaler,
    /// What the window shows, 0x00RRGGBB, row by row.
    screen: Vec<u32>,
    overlay: Overlay,
    /// Who is shown, and what the title warns of.
    titled: (String, Option<Trouble>),
    last_update: Instant,
    is_closed: bool,
}

impl WindowSink {
    /// Opens a window for pictures of `size_px` (width, height).
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`]: there is no display.
    pub fn open(size_px: (usize, usize)) -> Result<Self> {
        let options = WindowOptions { resize: true, scale_mode: ScaleMode::UpperLeft, ..WindowOptions::default() };
        let (width_px, height_px) = (size_px.0.clamp(64, MAX_SIDE_PX), size_px.1.clamp(64, MAX_SIDE_PX));
        let mut window = Window::new("effigy", width_px, height_px, options)
            .or_error(ErrorKind::BackendUnavailable, || {
                "no display to open a window on; write a file instead: `--sink file:out.mp4`".into()
            })?;
        // The pipeline sets the pace; the window must not add waiting of its own.
        window.set_target_fps(0);
        let (callback, pressed) = keys::callback();
        window.set_input_callback(Box::new(callback));
        Ok(Self {
            window,
            pressed,
            pending: VecDeque::with_capacity(keys::QUEUE),
            view: Rgba::default(),
            scaler: Scaler::default(),
            screen: Vec::new(),
            overlay: Overlay::default(),
            titled: (String::new(), None),
            last_update: Instant::now(),
            is_closed: false,
        })
    }

    /// Shows in the title who is shown.
    pub fn set_identity(&mut self, name: &str) {
        name.clone_into(&mut self.titled.0);
        self.set_title();
    }

    /// Gives the overlay new figures, and the title the first thing to mend.
    ///
    /// A warning is not drawn over the picture unless the figures are asked for: this window may be what others see.
    pub fn set_figures(&mut self, figures: &Figures<'_>) {
        self.overlay.set_figures(figures);
        let trouble = figures.conditions.troubles.iter().next();
        if trouble != self.titled.1 {
            self.titled.1 = trouble;
            self.set_title();
        }
    }

    fn set_title(&mut self) {
        let (name, trouble) = &self.titled;
        let warning = trouble.map_or(String::new(), |trouble| format!(" - {}", trouble.advice()));
        self.window.set_title(&format!("{name} - effigy{warning}"));
    }

    /// Shows or hides the figures, as F does.
    pub fn show_figures(&mut self, shown: bool) {
        self.overlay.shows_figures = shown;
    }

    /// Shows or hides the driver's landmarks, as L does.
    pub fn show_landmarks(&mut self, shown: bool) {
        self.overlay.shows_landmarks = shown;
    }

    /// Says how wide the driver's frame is for its height, so that the lines keep their shape.
    pub fn set_driver_aspect(&mut self, width_to_height: f32) {
        self.overlay.driver_aspect = width_to_height;
    }

    /// Looks at the keyboard and takes what was pressed since the last time.
    ///
    /// To be called also while no frames come, so that the window answers.
    pub fn poll_events(&mut self) -> impl Iterator<Item = WindowEvent> {
        if self.last_update.elapsed() >= POLL_INTERVAL {
            self.window.update();
            self.note_events();
        }
        self.pending.drain(..)
    }

    /// Follows what the last update brought.
    fn note_events(&mut self) {
        self.last_update = Instant::now();
        let is_open = self.window.is_open();
        let closed = (!is_open && !self.is_closed).then_some(WindowEvent::Quit);
        for event in self.pressed.try_iter().chain(closed) {
            match event {
                WindowEvent::Landmarks => self.overlay.shows_landmarks ^= true,
                WindowEvent::Figures => self.overlay.shows_figures ^= true,
                WindowEvent::Quit => self.is_closed = true,
                _ => {}
            }
            // A caller that never polls loses keys, not memory.
            if self.pending.len() < keys::QUEUE {
                self.pending.push_back(event);
            }
        }
    }

    /// Draws the frame into `view`, as large as fits into the window.
    fn draw(&mut self, frame: &OutFrame, window_px: (usize, usize)) -> Result<()> {
        let picture = frame.picture();
        let (width_px, height_px) = fit((picture.width_px(), picture.height_px()), window_px);
        if (width_px, height_px) == (picture.width_px(), picture.height_px()) {
            self.view.copy_from(picture);
        } else {
            self.view.reshape(width_px, height_px);
            self.scaler.scale(picture, &mut self.view)?;
        }
        self.overlay.draw(frame.driver_landmarks.as_ref(), &mut self.view)
    }
}

impl Sink for WindowSink {
    fn name(&self) -> &str {
        "window"
    }

    fn delivery(&self) -> Delivery {
        Delivery::Latest
    }

    fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
        let (width_px, height_px) = self.window.get_size();
        let (width_px, height_px) = (width_px.min(MAX_SIDE_PX), height_px.min(MAX_SIDE_PX));
        if width_px == 0 || height_px == 0 || frame.picture().data().is_empty() {
            self.window.update();
        } else {
            self.draw(frame, (width_px, height_px))?;
            self.screen.resize(width_px * height_px, MARGIN);
            fill_screen(&self.view, width_px, &mut self.screen);
            self.window
                .update_with_buffer(&self.screen, width_px, height_px)
                .or_error(ErrorKind::DeviceLost, || {
                    "the window can no longer be drawn; write a file instead: `--sink file:out.mp4`".into()
                })?;
        }
        self.note_events();
        Ok(if self.is_closed { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

/// The largest size of the picture's shape that fits into the window.
fn fit(picture_px: (usize, usize), window_px: (usize, usize)) -> (usize, usize) {
    let scale = f64::min(window_px.0 as f64 / picture_px.0 as f64, window_px.1 as f64 / picture_px.1 as f64);
    let scaled = |side_px: usize, limit_px: usize| ((side_px as f64 * scale).round() as usize).clamp(1, limit_px);
    (scaled(picture_px.0, window_px.0), scaled(picture_px.1, window_px.1))
}

/// Packs the view into the middle of the screen.
fn fill_screen(view: &Rgba, screen_width_px: usize, screen: &mut [u32]) {
    let screen_height_px = screen.len() / screen_width_px;
    let left_px = (screen_width_px - view.width_px()) / 2;
    let top_px = (screen_height_px - view.height_px()) / 2;
    screen.fill(MARGIN);
    for y in 0..view.height_px() {
        let row = &mut screen[(top_px + y) * screen_width_px + left_px..][..view.width_px()];
        for (x, (pixel, rgba)) in row.iter_mut().zip(view.row(y).chunks_exact(4)).enumerate() {
            let alpha = u32::from(rgba[3]);
            let behind = if (x / SQUARE_PX + y / SQUARE_PX).is_multiple_of(2) { 70 } else { 100 };
            let over = |sample: u8| (u32::from(sample) * alpha + behind * (255 - alpha)) / 255;
            *pixel = over(rgba[0]) << 16 | over(rgba[1]) << 8 | over(rgba[2]);
        }
    }
}
