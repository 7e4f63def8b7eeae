//! From key strokes to events.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use minifb::{InputCallback, Key};

use crate::sink::WindowEvent;

/// Events that may wait for the caller.
pub(super) const QUEUE: usize = 32;
/// A key that is held repeats faster than this; one whose release was lost is pressed anew later.
const HELD: Duration = Duration::from_secs(1);

/// All keys that mean something.
const KEYS: [(Key, WindowEvent); 39] = [
    (Key::Key1, WindowEvent::Identity(0)),
    (Key::Key2, WindowEvent::Identity(1)),
    (Key::Key3, WindowEvent::Identity(2)),
    (Key::Key4, WindowEvent::Identity(3)),
    (Key::Key5, WindowEvent::Identity(4)),
    (Key::Key6, WindowEvent::Identity(5)),
    (Key::Key7, WindowEvent::Identity(6)),
    (Key::Key8, WindowEvent::Identity(7)),
    (Key::Key9, WindowEvent::Identity(8)),
    (Key::NumPad1, WindowEvent::Identity(0)),
    (Key::NumPad2, WindowEvent::Identity(1)),
    (Key::NumPad3, WindowEvent::Identity(2)),
    (Key::NumPad4, WindowEvent::Identity(3)),
    (Key::NumPad5, WindowEvent::Identity(4)),
    (Key::NumPad6, WindowEvent::Identity(5)),
    (Key::NumPad7, WindowEvent::Identity(6)),
    (Key::NumPad8, WindowEvent::Identity(7)),
    (Key::NumPad9, WindowEvent::Identity(8)),
    (Key::C, WindowEvent::Calibrate),
    (Key::M, WindowEvent::Mirror),
    (Key::B, WindowEvent::Background),
    (Key::L, WindowEvent::Landmarks),
    (Key::F, WindowEvent::Figures),
    (Key::V, WindowEvent::Framing),
    (Key::R, WindowEvent::Record),
    (Key::S, WindowEvent::TakePicture),
    (Key::Equal, WindowEvent::Zoom { is_in: true }),
    (Key::NumPadPlus, WindowEvent::Zoom { is_in: true }),
    (Key::Minus, WindowEvent::Zoom { is_in: false }),
    (Key::NumPadMinus, WindowEvent::Zoom { is_in: false }),
    (Key::Left, WindowEvent::Offset(-1, 0)),
    (Key::Right, WindowEvent::Offset(1, 0)),
    (Key::Up, WindowEvent::Offset(0, -1)),
    (Key::Down, WindowEvent::Offset(0, 1)),
    (Key::Key0, WindowEvent::PlainView),
    (Key::NumPad0, WindowEvent::PlainView),
    (Key::P, WindowEvent::Panic),
    (Key::Q, WindowEvent::Quit),
    (Key::Escape, WindowEvent::Quit),
];

/// Turns presses into events; unlike asking for held keys, it misses no short press.
pub(super) struct Callback {
    events: Sender<WindowEvent>,
    held_since: [Option<Instant>; KEYS.len()],
}

/// Makes a callback and the queue it writes to.
pub(super) fn callback() -> (Callback, Receiver<WindowEvent>) {
    let (events, pressed) = bounded(QUEUE);
    (Callback { events, held_since: [None; KEYS.len()] }, pressed)
}

impl InputCallback for Callback {
    fn add_char(&mut self, _: u32) {}

    fn set_key_state(&mut self, key: Key, is_down: bool) {
        let Some(idx) = KEYS.iter().position(|(known, _)| *known == key) else { return };
        let now = Instant::now();
        let is_repeated = self.held_since[idx].is_some_and(|last| now.duration_since(last) < HELD);
        self.held_since[idx] = is_down.then_some(now);
        if is_down && !is_repeated {
            // A full queue means that nobody polls: the key is lost.
            let _ = self.events.try_send(KEYS[idx].1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_press_is_one_event_however_long_it_is_held() {
        let (mut callback, pressed) = callback();
        for (key, is_down) in [(Key::M, true), (Key::M, true), (Key::M, false), (Key::M, true), (Key::Z, true)] {
            callback.set_key_state(key, is_down);
        }
        callback.set_key_state(Key::Key9, true);
        callback.set_key_state(Key::Escape, true);
        let events: Vec<_> = pressed.try_iter().collect();
        let expected = [WindowEvent::Mirror, WindowEvent::Mirror, WindowEvent::Identity(8), WindowEvent::Quit];
        assert_eq!(events, expected);
    }

    #[test]
    fn nobody_polling_costs_no_memory() {
        let (mut callback, pressed) = callback();
        for _ in 0..1000 {
            callback.set_key_state(Key::P, true);
            callback.set_key_state(Key::P, false);
        }
        assert_eq!(pressed.len(), QUEUE);
    }
}
