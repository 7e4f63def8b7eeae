//! A window or the whole screen, as the X server has it.

use std::time::Duration;

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, ImageFormat, Window};
use x11rb::rust_connection::RustConnection;

use super::{Arrival, Legs, Look, Reader};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::frame::Grey;
use crate::latency::{N_ROWS, Place};

/// Time between two looks: the age of what is seen is uncertain by as much.
const INTERVAL: Duration = Duration::from_millis(1);
/// Windows that are asked for their title.
const MAX_WINDOWS: usize = 5000;

/// What an X server shows, looked at about a thousand times a second once the code was found.
pub struct ScreenReader {
    name: String,
    connection: RustConnection,
    window: Window,
    size_px: (usize, usize),
    /// The rows that hold the code; all while that is unknown.
    rows: Option<(usize, usize)>,
    /// When the last picture was asked for.
    last_asked: Option<Timestamp>,
}

impl ScreenReader {
    /// Looks at the first window whose title contains `title`, whatever the case.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] without a display; [`ErrorKind::NoDevice`] without such a window.
    pub fn window(title: &str) -> Result<Self> {
        let (connection, root) = connect()?;
        let (window, title) = find(&connection, root, title)?;
        Self::open(connection, window, format!("window \"{title}\""))
    }

    /// Looks at the whole screen.
    ///
    /// # Errors
    /// [`ErrorKind::BackendUnavailable`] without a display.
    pub fn screen() -> Result<Self> {
        let (connection, root) = connect()?;
        Self::open(connection, root, "screen".to_owned())
    }

    fn open(connection: RustConnection, window: Window, name: String) -> Result<Self> {
        let mut reader = Self { name, connection, window, size_px: (0, 0), rows: None, last_asked: None };
        reader.measure()?;
        Ok(reader)
    }

    /// Asks for the window's size, which may have changed.
    fn measure(&mut self) -> Result<()> {
        let gone = || format!("the {} is gone", self.name);
        let cookie = self.connection.get_geometry(self.window).or_error(ErrorKind::DeviceLost, gone)?;
        let geometry = cookie.reply().or_error(ErrorKind::DeviceLost, gone)?;
        self.size_px = (usize::from(geometry.width), usize::from(geometry.height));
        Ok(())
    }
}

impl Reader for ScreenReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, picture: &mut Grey, clock: &dyn Clock) -> Result<Look> {
        std::thread::sleep(INTERVAL);
        if self.rows.is_none() {
            self.measure()?;
        }
        let (width, height) = self.size_px;
        let (top, n_rows) = self.rows.filter(|(top, n)| top + n <= height).unwrap_or((0, height));
        let (format, mask) = (ImageFormat::Z_PIXMAP, u32::MAX);
        let asked = clock.now();
        let cookie = self.connection.get_image(format, self.window, 0, top as i16, width as u16, n_rows as u16, mask);
        let reply = cookie.or_error(ErrorKind::DeviceLost, || format!("the {} is gone", self.name))?.reply();
        // A window that is partly off the screen or being resized cannot be read for a moment.
        let Ok(image) = reply else {
            self.rows = None;
            self.measure()?;
            return Ok(Look::Idle);
        };
        // The server has made the copy at some moment before this.
        let at = clock.now();
        if image.data.len() < width * n_rows * 4 {
            return Err(Error::new(
                ErrorKind::BackendUnavailable,
                format!("the {} has {} bits a pixel; a display of 24 or 32 is needed", self.name, image.depth),
            ));
        }
        picture.reshape(width, height);
        let pixels = image.data.as_chunks::<4>().0;
        for (sample, [b, g, r, _]) in picture.data_mut()[top * width..].iter_mut().zip(pixels) {
            *sample = ((77 * u32::from(*r) + 150 * u32::from(*g) + 29 * u32::from(*b)) >> 8) as u8;
        }
        // What is new now was not there yet when the look before began.
        Ok(Look::At(Arrival { since: self.last_asked.replace(asked), at }))
    }

    fn legs(&self) -> Option<Legs> {
        Some(Legs {
            first: "in the X server, until the last look that did not show it yet",
            last: "between that look and the end of the one that showed it: the age is uncertain by so much",
        })
    }

    fn is_polled(&self) -> bool {
        true
    }

    fn focus(&mut self, place: Option<&Place>) {
        self.rows = place.map(|place| {
            let top = place.top_px.max(0.0) as usize;
            (top, ((N_ROWS as f32 * place.cell_px.1) as usize + 2).min(self.size_px.1.saturating_sub(top)))
        });
    }
}

fn connect() -> Result<(RustConnection, Window)> {
    let (connection, screen) = RustConnection::connect(None).or_error(ErrorKind::BackendUnavailable, || {
        "no X display to look at; set DISPLAY, or start one with `xvfb-run`".to_owned()
    })?;
    let root = connection.setup().roots.get(screen).map(|screen| screen.root);
    let root = root.ok_or_else(|| Error::new(ErrorKind::BackendUnavailable, "the X display has no screen"))?;
    Ok((connection, root))
}

/// The first window below `root` whose title contains `wanted`, from the outside in.
fn find(connection: &RustConnection, root: Window, wanted: &str) -> Result<(Window, String)> {
    let lost = || "the X display does not answer".to_owned();
    let wanted = wanted.to_lowercase();
    let (mut queue, mut titles) = (std::collections::VecDeque::from([root]), Vec::new());
    let mut n_asked = 0;
    while let Some(window) = queue.pop_front() {
        n_asked += 1;
        if n_asked > MAX_WINDOWS {
            break;
        }
        let property = connection
            .get_property(false, window, AtomEnum::WM_NAME, AtomEnum::ANY, 0, 256)
            .or_error(ErrorKind::DeviceLost, lost)?;
        // A window may close while it is being asked.
        if let Ok(reply) = property.reply() {
            let title = String::from_utf8_lossy(&reply.value).into_owned();
            if title.to_lowercase().contains(&wanted) && window != root {
                return Ok((window, title));
            }
            if !title.is_empty() {
                titles.push(format!("{title:?}"));
            }
        }
        if let Ok(tree) = connection.query_tree(window).or_error(ErrorKind::DeviceLost, lost)?.reply() {
            queue.extend(tree.children);
        }
    }
    titles.truncate(12);
    let there = if titles.is_empty() { "none".to_owned() } else { titles.join(", ") };
    Err(Error::new(ErrorKind::NoDevice, format!("no window's title contains {wanted:?}; there are: {there}")))
}
