//! Shortcuts that work while another program, such as a game, has the focus.
//!
//! What is known without a keyboard stands here; `evdev` reads keyboards as the kernel sees them (Linux).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::composite::Shown;
use crate::control::Control;
use crate::error::{Error, ErrorKind, Result};

#[cfg(target_os = "linux")]
mod evdev;
#[cfg(target_os = "linux")]
pub use evdev::Shortcuts;

/// Keys that are held with the shortcut's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// Either Ctrl.
    pub ctrl: bool,
    /// Either Alt.
    pub alt: bool,
    /// Either Shift.
    pub shift: bool,
    /// Either key with the system's sign.
    pub meta: bool,
}

impl Modifiers {
    const NAMES: [&'static str; 4] = ["ctrl", "alt", "shift", "super"];

    fn parts(self) -> [bool; 4] {
        [self.ctrl, self.alt, self.shift, self.meta]
    }

    fn of(parts: [bool; 4]) -> Self {
        let [ctrl, alt, shift, meta] = parts;
        Self { ctrl, alt, shift, meta }
    }
}

/// Which keys are listened to: `ctrl+alt`, `ctrl+shift@/dev/input/event3`, `none@/dev/input/by-id/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShortcutSpec {
    /// What must be held, no less and no more.
    pub modifiers: Modifiers,
    /// One device instead of all keyboards.
    pub device: Option<PathBuf>,
}

impl FromStr for ShortcutSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            let message = format!(
                "no shortcuts {text:?}: {why}; --shortcuts takes keys to hold, as in ctrl+alt, and may name one device, as in \
                 ctrl+alt@/dev/input/event3"
            );
            Error::new(ErrorKind::Config, message)
        };
        let (held, device) = match text.split_once('@') {
            Some((_, "")) => return Err(wrong("a device is missing")),
            Some((held, device)) => (held, Some(PathBuf::from(device))),
            None => (text, None),
        };
        let mut parts = [false; 4];
        for name in held.split('+').filter(|_| held != "none") {
            let index = Modifiers::NAMES.iter().position(|known| *known == name);
            parts[index.ok_or_else(|| wrong("the keys to hold are ctrl, alt, shift and super"))?] = true;
        }
        // All keyboards without a key to hold: every letter that is typed anywhere would steer. The right Alt is AltGr on
        // many keyboards, and types letters there.
        let is_typing = !(parts[0] || parts[3]);
        if is_typing && device.is_none() {
            let why = "ctrl or super must be among the keys to hold, as in ctrl+alt, unless it is one device's: alt alone, as \
                       AltGr, types letters on many keyboards";
            return Err(wrong(why));
        }
        Ok(Self { modifiers: Modifiers::of(parts), device })
    }
}

impl fmt::Display for ShortcutSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held: Vec<_> = Modifiers::NAMES
            .into_iter()
            .zip(self.modifiers.parts())
            .filter_map(|(name, is)| is.then_some(name))
            .collect();
        f.write_str(&if held.is_empty() { "none".to_owned() } else { held.join("+") })?;
        self.device.as_ref().map_or(Ok(()), |device| write!(f, "@{}", device.display()))
    }
}

/// What a key does, as in the window: its place on a US keyboard counts.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "asked by the reader of keyboards alone"))]
fn control_of(key: char, shown: Option<&Shown>) -> Option<Control> {
    Some(match key {
        '1'..='9' => Control::Identity(key as usize - '1' as usize),
        'p' => Control::ToggleCard,
        'c' => Control::Calibrate,
        'm' => Control::ToggleMirror,
        'b' => Control::NextBackground,
        'v' => Control::Framing(shown?.framing.next()),
        'r' => Control::ToggleRecord,
        's' => Control::TakePicture,
        _ => return None,
    })
}

/// Shortcuts, which this system does not have.
#[cfg(not(target_os = "linux"))]
pub struct Shortcuts;

#[cfg(not(target_os = "linux"))]
impl Shortcuts {
    /// Says that there are none.
    ///
    /// # Errors
    /// Always.
    pub fn open(
        _spec: &ShortcutSpec,
        _control: crossbeam_channel::Sender<Control>,
        _figures: std::sync::Arc<crate::report::LiveFigures>,
    ) -> Result<Self> {
        Err(Error::new(
            ErrorKind::BackendUnavailable,
            "shortcuts beside other programs are Linux's so far; bind a key of the system's own tools, or of a control pad, to \
             OSC (--osc) or to the page's /command",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read_and_written_and_bare_letters_refused() {
        for text in
            ["ctrl+alt", "super", "ctrl+alt+shift+super", "ctrl+alt@/dev/input/event3", "none@/dev/pad", "shift@/x"]
        {
            assert_eq!(text.parse::<ShortcutSpec>().unwrap().to_string(), text);
        }
        for alone in ["alt", "alt+shift", "shift+alt"] {
            assert!(alone.parse::<ShortcutSpec>().unwrap_err().to_string().contains("AltGr"), "{alone:?}");
            assert!(format!("{alone}@/dev/pad").parse::<ShortcutSpec>().is_ok(), "{alone:?}");
        }
        for wrong in ["", "none", "shift", "ctrl+p", "ctrl+alt@", "hyper"] {
            assert!(wrong.parse::<ShortcutSpec>().unwrap_err().to_string().contains("--shortcuts takes"), "{wrong:?}");
        }
    }

    #[test]
    fn keys_do_what_they_do_in_the_window() {
        let shown = Shown::default();
        let text = |key| format!("{:?}", control_of(key, Some(&shown)));
        assert_eq!(text('1'), "Some(Identity(0))");
        assert_eq!(text('9'), "Some(Identity(8))");
        assert_eq!(text('p'), "Some(ToggleCard)");
        assert_eq!((text('r'), text('s')), ("Some(ToggleRecord)".to_owned(), "Some(TakePicture)".to_owned()));
        assert_eq!(text('v'), format!("Some(Framing({:?}))", shown.framing.next()));
        // The end of a run is not a slip of the hand away.
        for key in ['q', 'x', '0'] {
            assert!(control_of(key, Some(&shown)).is_none());
        }
    }
}
