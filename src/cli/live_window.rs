//! The window as a sink that also steers: its keys become changes to the run, its overlay shows figures.

#[cfg(feature = "window")]
pub(crate) use with_window::open;

/// Says that this build has no window.
#[cfg(not(feature = "window"))]
pub(crate) fn open(
    _size_px: (usize, usize),
    _names: Vec<String>,
    _backend: String,
    _control: crossbeam_channel::Sender<effigy::pipeline::Control>,
    _figures: std::sync::Arc<effigy::report::LiveFigures>,
) -> effigy::Result<Box<dyn effigy::Sink>> {
    Err(effigy::Error::new(
        effigy::ErrorKind::BackendUnavailable,
        "this build has no window; build it with `--features window`, or give another sink, such as --sink file:out.mp4",
    ))
}

#[cfg(feature = "window")]
mod with_window {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use crossbeam_channel::Sender;
    use effigy::composite::View;
    use effigy::pipeline::Control;
    use effigy::report::{LiveFigures, MicrophoneUse};
    use effigy::sink::{Delivery, Figures, WindowEvent, WindowSink};
    use effigy::{OutFrame, Result, Sink};

    /// How much larger the head gets by one press.
    const ZOOM_STEP: f32 = 1.1;
    /// How far it goes by one press, in frames.
    const OFFSET_STEP: f32 = 0.02;

    /// Opens the window; it must stay on this thread.
    pub(crate) fn open(
        size_px: (usize, usize),
        names: Vec<String>,
        backend: String,
        control: Sender<Control>,
        figures: Arc<LiveFigures>,
    ) -> Result<Box<dyn Sink>> {
        let mut window = WindowSink::open(size_px)?;
        window.set_identity(&names[0]);
        Ok(Box::new(LiveWindow { window, backend, control, figures }))
    }

    struct LiveWindow {
        window: WindowSink,
        backend: String,
        control: Sender<Control>,
        figures: Arc<LiveFigures>,
    }

    impl Sink for LiveWindow {
        fn name(&self) -> &str {
            self.window.name()
        }

        fn delivery(&self) -> Delivery {
            self.window.delivery()
        }

        fn present(&mut self, frame: &OutFrame) -> Result<ControlFlow<()>> {
            self.window.set_figures(&Figures {
                age_millis: self.figures.age_ms(),
                parts_ms: &self.figures.age_parts_ms(),
                conditions: self.figures.conditions(),
                rate_hz: self.figures.rate_hz(),
                n_dropped: self.figures.dropped(),
                backend: &self.backend,
                microphone: self.figures.microphone().map(|(microphone, usage)| {
                    // What is not recorded is heard as before when nobody is shown.
                    (microphone, usage == MicrophoneUse::Recorded && frame.shown.is_card_asked)
                }),
                is_recording: self.figures.demand().is_some_and(|demand| demand.is_recording()),
            });
            let outcome = self.window.present(frame)?;
            for event in self.window.poll_events() {
                let View { zoom, offset } = frame.shown.view;
                let control = match event {
                    WindowEvent::Framing => Control::Framing(frame.shown.framing.next()),
                    WindowEvent::Zoom { is_in } => {
                        Control::Zoom(if is_in { zoom * ZOOM_STEP } else { zoom / ZOOM_STEP })
                    }
                    WindowEvent::Offset(right, down) => Control::Offset(
                        offset.x + f32::from(right) * OFFSET_STEP,
                        offset.y + f32::from(down) * OFFSET_STEP,
                    ),
                    WindowEvent::PlainView => {
                        let _ = self.control.try_send(Control::Zoom(View::PLAIN.zoom));
                        Control::Offset(View::PLAIN.offset.x, View::PLAIN.offset.y)
                    }
                    WindowEvent::Identity(index) => Control::Identity(index),
                    WindowEvent::Calibrate => Control::Calibrate,
                    WindowEvent::Mirror => Control::ToggleMirror,
                    WindowEvent::Background => Control::NextBackground,
                    WindowEvent::Record => Control::ToggleRecord,
                    WindowEvent::TakePicture => Control::TakePicture,
                    WindowEvent::Panic => Control::ToggleCard,
                    WindowEvent::Quit => return Ok(ControlFlow::Break(())),
                    // Drawn by the window itself.
                    WindowEvent::Landmarks | WindowEvent::Figures => continue,
                };
                // A full channel means that the pipeline is busy ending, or someone leans on a key.
                let _ = self.control.try_send(control);
            }
            Ok(outcome)
        }

        fn finish(&mut self) -> Result<()> {
            self.window.finish()
        }
    }
}
