//! Keyboards as the kernel sees them, whatever the desktop: X11, Wayland, a console.
//!
//! Of what is typed only the keys to hold and the shortcuts' own are looked at, and nothing is kept.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Modifiers, ShortcutSpec, control_of};
use crate::control::Control;
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::report::LiveFigures;

const INPUT_FOLDER: &str = "/dev/input";
/// The kernel's record of one event: two words of time, kind, code, value.
const EVENT_BYTES: usize = 2 * size_of::<usize>() + 8;
/// Events that are read at once.
const N_AT_ONCE: usize = 64;
/// How soon the thread notices that the run has ended.
const MAX_WAIT: Duration = Duration::from_millis(100);
/// How often keyboards are looked for that were plugged in.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Shortcuts that are taken a second: more than fingers do.
const MAX_HZ: u32 = 20;

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const SYN_DROPPED: u16 = 3;
const KEY_LEFT_CTRL: u16 = 29;
const KEY_P: u16 = 25;

/// Codes of the keys that are looked at, and what they are on a US keyboard.
const KEYS: [(u16, char); 16] = [
    (2, '1'),
    (3, '2'),
    (4, '3'),
    (5, '4'),
    (6, '5'),
    (7, '6'),
    (8, '7'),
    (9, '8'),
    (10, '9'),
    (KEY_P, 'p'),
    (46, 'c'),
    (50, 'm'),
    (48, 'b'),
    (47, 'v'),
    (19, 'r'),
    (31, 's'),
];
/// Codes of the keys to hold: ctrl, alt, shift, super, left and right.
const HELD: [[u16; 2]; 4] = [[KEY_LEFT_CTRL, 97], [56, 100], [42, 54], [125, 126]];

/// Listens until it is dropped.
pub struct Shortcuts {
    n_devices: usize,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shortcuts {
    /// Opens the keyboards, or the one device.
    ///
    /// # Errors
    /// [`ErrorKind::PermissionDenied`] or [`ErrorKind::NoDevice`] when none can be read; the message says what to type.
    pub fn open(spec: &ShortcutSpec, control: Sender<Control>, figures: Arc<LiveFigures>) -> Result<Self> {
        let keyboards = match &spec.device {
            Some(path) => vec![Keyboard::open(path).map_err(|error| unreadable(path, &error))?],
            None => found()?,
        };
        let n_devices = keyboards.len();
        let is_ending = Arc::new(AtomicBool::new(false));
        let listener = Listener {
            spec: spec.clone(),
            keyboards,
            control,
            figures,
            is_ending: Arc::clone(&is_ending),
            second: (Instant::now(), 0),
        };
        let thread = std::thread::Builder::new()
            .name("shortcuts".to_owned())
            .spawn(move || listener.listen())
            .or_error(ErrorKind::Internal, || "cannot listen to keyboards".to_owned())?;
        Ok(Self { n_devices, is_ending, thread: Some(thread) })
    }

    /// How many keyboards were there at the start.
    pub fn n_devices(&self) -> usize {
        self.n_devices
    }
}

impl Drop for Shortcuts {
    fn drop(&mut self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // A thread that panicked has told its own error.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A device and which of the keys to hold are down on it, left and right.
struct Keyboard {
    path: PathBuf,
    file: File,
    down: [[bool; 2]; 4],
}

impl Keyboard {
    fn open(path: &Path) -> std::io::Result<Self> {
        let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
        let file = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(path)?;
        Ok(Self { path: path.to_owned(), file, down: Default::default() })
    }

    /// Follows one event; the key that was pressed, if it is one to look at.
    fn follow(&mut self, event: &[u8; EVENT_BYTES]) -> Option<char> {
        let [kind_low, kind_high, code_low, code_high, value @ ..] = event.last_chunk::<8>()?;
        let (kind, code) = (u16::from_ne_bytes([*kind_low, *kind_high]), u16::from_ne_bytes([*code_low, *code_high]));
        let value = i32::from_ne_bytes(*value);
        if (kind, code) == (EV_SYN, SYN_DROPPED) {
            // The kernel has lost some: what is held is not known any more.
            self.down = Default::default();
        }
        if kind != EV_KEY {
            return None;
        }
        for (codes, down) in HELD.iter().zip(&mut self.down) {
            for (known, is_down) in codes.iter().zip(down) {
                if *known == code {
                    *is_down = value != 0;
                }
            }
        }
        // 1 is pressed, 2 repeated: a key that is held down shall not flicker.
        KEYS.iter().find(|(known, _)| *known == code && value == 1).map(|(_, key)| *key)
    }
}

struct Listener {
    spec: ShortcutSpec,
    keyboards: Vec<Keyboard>,
    control: Sender<Control>,
    figures: Arc<LiveFigures>,
    is_ending: Arc<AtomicBool>,
    /// When this second began, and shortcuts in it.
    second: (Instant, u32),
}

impl Listener {
    fn listen(mut self) {
        let mut looked = Instant::now();
        while !self.is_ending.load(Ordering::Relaxed) {
            if looked.elapsed() > LOOK_AGAIN {
                looked = Instant::now();
                self.look_again();
            }
            let mut waiting: Vec<_> =
                self.keyboards.iter().map(|keyboard| PollFd::new(&keyboard.file, PollFlags::IN)).collect();
            let wait = Timespec { tv_sec: 0, tv_nsec: MAX_WAIT.as_nanos() as _ };
            let n_ready = poll(&mut waiting, Some(&wait)).unwrap_or_default();
            if n_ready == 0 {
                if waiting.is_empty() {
                    std::thread::sleep(MAX_WAIT);
                }
                continue;
            }
            let is_ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(waiting);
            let mut is_ready = is_ready.into_iter();
            let (spec, second) = (&self.spec, &mut self.second);
            let mut pressed = Vec::new();
            self.keyboards.retain_mut(|keyboard| is_ready.next() != Some(true) || read(keyboard, &mut pressed));
            let shown = self.figures.shown();
            for (key, held) in pressed {
                if held != spec.modifiers || !may_pass(second) {
                    continue;
                }
                if let Some(control) = control_of(key, shown.as_ref()) {
                    // A full channel means that the pipeline is busy: the change is lost, as the window's keys are.
                    let _ = self.control.try_send(control);
                }
            }
        }
    }

    /// Finds what was plugged in or came back.
    fn look_again(&mut self) {
        let paths = match &self.spec.device {
            Some(path) => vec![path.clone()],
            None => keyboards(),
        };
        for path in paths {
            if self.keyboards.iter().all(|known| known.path != path)
                && let Ok(keyboard) = Keyboard::open(&path)
            {
                self.keyboards.push(keyboard);
            }
        }
    }
}

/// Reads what has come and notes each key with what was held then; `false` when the device is gone.
fn read(keyboard: &mut Keyboard, pressed: &mut Vec<(char, Modifiers)>) -> bool {
    let mut buffer = [0; EVENT_BYTES * N_AT_ONCE];
    match keyboard.file.read(&mut buffer) {
        Ok(0) => false,
        Ok(n_bytes) => {
            for event in buffer[..n_bytes].as_chunks::<EVENT_BYTES>().0 {
                if let Some(key) = keyboard.follow(event) {
                    pressed.push((key, Modifiers::of(keyboard.down.map(|[left, right]| left || right))));
                }
            }
            true
        }
        Err(error) => matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted),
    }
}

/// Whether one more shortcut may pass in this second.
fn may_pass(second: &mut (Instant, u32)) -> bool {
    if second.0.elapsed() >= Duration::from_secs(1) {
        *second = (Instant::now(), 0);
    }
    second.1 += 1;
    second.1 <= MAX_HZ
}

/// The devices that have a keyboard's letters, by what the kernel says they can do.
fn keyboards() -> Vec<PathBuf> {
    let Ok(entries) = Path::new("/sys/class/input").read_dir() else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let is_keyboard = |name: &String| {
        name.starts_with("event")
            && std::fs::read_to_string(format!("/sys/class/input/{name}/device/capabilities/key"))
                .is_ok_and(|text| has_letters(&text))
    };
    names.filter(is_keyboard).map(|name| Path::new(INPUT_FOLDER).join(name)).collect()
}

/// Whether a bitmap of keys, as words in hexadecimal with the lowest last, has letters and a Ctrl.
fn has_letters(bitmap: &str) -> bool {
    let lowest = bitmap.split_whitespace().next_back().and_then(|word| u64::from_str_radix(word, 16).ok());
    lowest.is_some_and(|word| [KEY_P, KEY_LEFT_CTRL].iter().all(|code| (word >> code) & 1 == 1))
}

/// Opens all keyboards that may be read.
fn found() -> Result<Vec<Keyboard>> {
    let paths = keyboards();
    let Some(first) = paths.first() else {
        return Err(Error::new(
            ErrorKind::NoDevice,
            "no keyboard is attached to this machine; steer by OSC (--osc) or the control page (--sink http)",
        ));
    };
    let opened: Vec<_> = paths.iter().filter_map(|path| Keyboard::open(path).ok()).collect();
    if !opened.is_empty() {
        return Ok(opened);
    }
    Err(match Keyboard::open(first) {
        Ok(keyboard) => return Ok(vec![keyboard]),
        Err(error) => unreadable(first, &error),
    })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        let message = format!(
            "{} may not be read; `sudo usermod -aG input $USER` and a new login allow it, to every program of yours, which could \
             then read all that is typed. Without that: bind keys in the desktop's own settings to a command such as \
             `curl … /command`, or steer by OSC (--osc)",
            path.display()
        );
        return Error::new(ErrorKind::PermissionDenied, message);
    }
    let message = format!("{} cannot be read ({error}); `ls -l /dev/input/by-id` lists keyboards", path.display());
    Error::new(ErrorKind::NoDevice, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0; EVENT_BYTES - 8];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    fn keys(events: &[(u16, i32)]) -> Vec<u8> {
        events.iter().flat_map(|(code, value)| [event(EV_KEY, *code, *value), event(EV_SYN, 0, 0)].concat()).collect()
    }

    #[test]
    fn keyboards_are_told_from_mice_and_buttons_by_their_letters() {
        // As /sys says of a keyboard, a mouse, a power button.
        assert!(has_letters("402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe\n"));
        assert!(!has_letters("1f0000 0 0 0 0\n"));
        assert!(!has_letters("10000000000000 0\n"));
        assert!(!has_letters("") && !has_letters("nonsense"));
    }

    #[test]
    fn every_key_that_means_something_is_looked_at() {
        let shown = crate::composite::Shown::default();
        for key in ('a'..='z').chain('0'..='9') {
            let is_looked_at = KEYS.iter().any(|(_, known)| *known == key);
            assert_eq!(is_looked_at, control_of(key, Some(&shown)).is_some(), "{key}");
        }
    }

    #[test]
    fn a_device_steers_with_the_keys_held_and_nothing_else_does() {
        let folder = std::env::temp_dir().join(format!("effigy_shortcuts_{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("keyboard");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let (control, changes) = crossbeam_channel::bounded(64);
        let spec: ShortcutSpec = format!("ctrl+alt@{}", path.display()).parse().unwrap();
        let shortcuts = Shortcuts::open(&spec, control, Arc::default()).unwrap();
        assert_eq!(shortcuts.n_devices(), 1);
        let mut device = OpenOptions::new().write(true).open(&path).unwrap();
        let typed = [
            // Alone, with one key to hold, with one too many.
            keys(&[(25, 1), (25, 0), (29, 1), (25, 1), (25, 0), (56, 1), (42, 1), (25, 1), (25, 0), (42, 0)]),
            // Ctrl+Alt+P, held for a while; 3; a key that is no shortcut; a mouse's motion.
            keys(&[(25, 1), (25, 2), (25, 2), (25, 0), (4, 1), (4, 0), (30, 1), (30, 0)]),
            event(2, 0, 5),
            // The right ones do as well.
            keys(&[(29, 0), (56, 0), (97, 1), (100, 1), (50, 1), (50, 0)]),
            // After a loss nothing counts as held.
            event(EV_SYN, SYN_DROPPED, 0),
            keys(&[(46, 1), (46, 0)]),
        ];
        device.write_all(&typed.concat()).unwrap();
        let heard: Vec<_> = std::iter::from_fn(|| changes.recv_timeout(Duration::from_secs(2)).ok()).collect();
        assert_eq!(format!("{heard:?}"), "[ToggleCard, Identity(2), ToggleMirror]");

        // Unplugged and plugged in again.
        drop(device);
        let mut device = OpenOptions::new().write(true).open(&path).unwrap();
        let again = |device: &mut File| {
            device.write_all(&keys(&[(29, 1), (56, 1), (25, 1), (25, 0), (56, 0), (29, 0)])).is_ok()
        };
        let is_back = (0..100).any(|_| again(&mut device) && changes.recv_timeout(Duration::from_millis(100)).is_ok());
        assert!(is_back, "it is not found again");

        // A flood is not passed on.
        while changes.try_recv().is_ok() {}
        let flood: Vec<u8> = (0..100).flat_map(|_| keys(&[(25, 1), (25, 0)])).collect();
        device.write_all(&[keys(&[(29, 1), (56, 1)]), flood].concat()).unwrap();
        let n_heard = std::iter::from_fn(|| changes.recv_timeout(Duration::from_millis(500)).ok()).count();
        // It may fall into two seconds.
        assert!(n_heard <= 2 * MAX_HZ as usize, "{n_heard}");
        drop(shortcuts);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_cannot_be_read_comes_with_what_to_type() {
        let path = Path::new("/dev/input/event3");
        let denied = unreadable(path, &std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        assert_eq!(denied.kind(), ErrorKind::PermissionDenied);
        assert!(denied.to_string().contains("usermod -aG input"), "{denied}");
        let spec = "ctrl@/nowhere/at/all".parse().unwrap();
        let missing = Shortcuts::open(&spec, crossbeam_channel::bounded(1).0, Arc::default()).err().unwrap();
        assert!(missing.to_string().contains("/nowhere/at/all cannot be read"), "{missing}");
    }
}
