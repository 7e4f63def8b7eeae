//! The VMC protocol (OSC over UDP), as VSeeFace, Warudo, VMagicMirror and others speak it.
//!
//! Unity's axes seen from the head: x to its right, y up, z out of the face, left-handed, metres. A rotation's four numbers
//! are the same there as in camera space (x right, y down, z away), since two axes and the hand change together.

use glam::{Quat, Vec3};
use rosc::{OscBundle, OscMessage, OscPacket, OscTime, OscType};

use super::{MotionFrame, Reader, names};
use crate::datagram::osc_packet;

/// Datagrams stay below what networks carry whole, in bytes.
const MAX_DATAGRAM_BYTES: usize = 1400;
/// The longest datagram that is read.
pub(super) const MAX_READ_BYTES: usize = 16_384;
/// A time that goes back by more than this is a sender that began anew, not a datagram that was overtaken.
const MAX_OVERTAKEN_SECS: f32 = 5.0;

fn message(address: &str, args: Vec<OscType>) -> OscMessage {
    OscMessage { addr: address.to_owned(), args }
}

fn pose(address: &str, name: &str, place_m: Vec3, rotation: Quat) -> OscMessage {
    let numbers = place_m.to_array().into_iter().chain(rotation.to_array()).map(OscType::Float);
    message(address, std::iter::once(OscType::String(name.to_owned())).chain(numbers).collect())
}

fn blend(name: &str, value: f32) -> OscMessage {
    message("/VMC/Ext/Blend/Val", vec![OscType::String(name.to_owned()), OscType::Float(value)])
}

/// Writes a frame as datagrams; each begins with the frame's time, so that one that was overtaken is known.
pub(super) fn write(frame: &MotionFrame, datagrams: &mut Vec<Vec<u8>>) {
    let mut messages = vec![message("/VMC/Ext/OK", vec![OscType::Int(frame.is_seen.into())])];
    if frame.is_seen {
        let rotation = frame.head_rotation;
        messages.push(pose("/VMC/Ext/Bone/Pos", "Head", Vec3::ZERO, rotation));
        for (name, [yaw, pitch]) in ["RightEye", "LeftEye"].into_iter().zip(frame.gaze_rads()) {
            // To the picture's right is to the head's left, and looking up is a turn against x.
            let turn = Quat::from_rotation_y(-yaw) * Quat::from_rotation_x(-pitch);
            messages.push(pose("/VMC/Ext/Bone/Pos", name, Vec3::ZERO, turn));
        }
        messages.push(pose("/VMC/Ext/Tra/Pos", "Head", frame.head_cm * -0.01, rotation));
        messages.extend(names::arkit().map(|(i, name)| blend(name, frame.coefficients[i])));
        messages.push(blend(names::TONGUE, 0.0));
        messages.push(message("/VMC/Ext/Blend/Apply", Vec::new()));
    }
    datagrams.clear();
    let timed = || vec![OscPacket::Message(message("/VMC/Ext/T", vec![OscType::Float(frame.secs as f32)]))];
    let (mut content, mut n_bytes) = (timed(), 48);
    let mut flush = |content: Vec<OscPacket>| {
        let bundle = OscBundle { timetag: OscTime { seconds: 0, fractional: 1 }, content };
        // Cannot fail: it is written to memory.
        datagrams.extend(rosc::encoder::encode(&OscPacket::Bundle(bundle)).ok());
    };
    for message in messages {
        // Address, tags, text and numbers, each padded to four bytes.
        let text = |text: &str| text.len() / 4 * 4 + 4;
        let arg = |arg: &OscType| if let OscType::String(string) = arg { text(string) } else { 4 };
        let size = 4 + text(&message.addr) + 12 + message.args.iter().map(arg).sum::<usize>();
        if n_bytes + size > MAX_DATAGRAM_BYTES {
            flush(std::mem::replace(&mut content, timed()));
            n_bytes = 48;
        }
        n_bytes += size;
        content.push(OscPacket::Message(message));
    }
    flush(content);
}

/// Gathers what a sender says until it says that it holds.
#[derive(Default)]
pub(super) struct VmcReader {
    pending: MotionFrame,
    /// The newest time that was told.
    newest_secs: Option<f32>,
}

impl Reader for VmcReader {
    fn take(&mut self, datagram: &[u8], frame: &mut MotionFrame) -> bool {
        let Ok(packet) = osc_packet(datagram) else { return false };
        let mut waiting = vec![packet];
        let mut is_whole = false;
        while let Some(packet) = waiting.pop() {
            match packet {
                OscPacket::Bundle(bundle) => waiting.extend(bundle.content.into_iter().rev()),
                OscPacket::Message(message) => match self.hear(&message) {
                    Heard::Part => {}
                    Heard::Whole => is_whole = true,
                    // What else is in this datagram is as old.
                    Heard::Overtaken => break,
                },
            }
        }
        if is_whole {
            frame.clone_from(&self.pending);
        }
        is_whole
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What came of a message.
enum Heard {
    Part,
    Whole,
    Overtaken,
}

impl VmcReader {
    fn hear(&mut self, message: &OscMessage) -> Heard {
        let args = &*message.args;
        match (&*message.addr, args) {
            ("/VMC/Ext/T", [OscType::Float(secs), ..]) if secs.is_finite() => {
                let is_old = |newest: f32| *secs < newest && newest - *secs < MAX_OVERTAKEN_SECS;
                if self.newest_secs.is_some_and(is_old) {
                    return Heard::Overtaken;
                }
                self.newest_secs = Some(*secs);
                self.pending.secs = f64::from(*secs);
            }
            ("/VMC/Ext/OK", [OscType::Int(loaded), ..]) => {
                self.pending.is_seen = *loaded != 0;
                if *loaded == 0 {
                    return Heard::Whole;
                }
            }
            ("/VMC/Ext/Blend/Val", [OscType::String(name), OscType::Float(value), ..]) => {
                if let Some(index) = names::index(name) {
                    self.pending.set(index, *value);
                }
            }
            ("/VMC/Ext/Blend/Apply", _) => {
                self.pending.is_seen = true;
                return Heard::Whole;
            }
            ("/VMC/Ext/Bone/Pos" | "/VMC/Ext/Tra/Pos", [OscType::String(name), numbers @ ..]) if name == "Head" => {
                let numbers: Vec<f32> =
                    numbers.iter().map_while(|arg| if let OscType::Float(x) = arg { Some(*x) } else { None }).collect();
                if let [x, y, z, qx, qy, qz, qw] = numbers[..] {
                    self.pending.set_rotation(Quat::from_xyzw(qx, qy, qz, qw));
                    // A bone's place is the skeleton's, only a tracker's is where the head is.
                    if message.addr == "/VMC/Ext/Tra/Pos" {
                        self.pending.set_place(Vec3::new(x, y, z) * -100.0);
                    }
                }
            }
            _ => {}
        }
        Heard::Part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion_link::{apart, lively};

    fn written(frame: &MotionFrame) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        write(frame, &mut datagrams);
        datagrams
    }

    #[test]
    fn frames_come_back_as_they_were_in_datagrams_that_networks_carry() {
        let (mut reader, mut read) = (VmcReader::default(), MotionFrame::default());
        for step in 0..100 {
            let frame = lively(step);
            let datagrams = written(&frame);
            assert!(datagrams.iter().all(|datagram| datagram.len() <= MAX_DATAGRAM_BYTES));
            let whole: Vec<bool> = datagrams.iter().map(|datagram| reader.take(datagram, &mut read)).collect();
            assert_eq!(whole.iter().filter(|whole| **whole).count(), 1);
            assert!(whole[whole.len() - 1] && apart(&frame, &read) < 1e-3, "{}", apart(&frame, &read));
        }
        let unseen = MotionFrame { secs: lively(100).secs, ..MotionFrame::default() };
        assert!(written(&unseen).iter().any(|datagram| reader.take(datagram, &mut read)));
        assert!(!read.is_seen);
    }

    #[test]
    fn datagrams_that_were_overtaken_or_lost_do_no_harm() {
        let (mut reader, mut read) = (VmcReader::default(), MotionFrame::default());
        let (old, new) = (written(&lively(1)), written(&lively(2)));
        assert!(new.iter().fold(false, |_, datagram| reader.take(datagram, &mut read)));
        assert!(!old.iter().any(|datagram| reader.take(datagram, &mut read)), "an old frame is no new one");
        assert!(apart(&lively(2), &read) < 1e-3);
        // Without its middle a frame keeps what was known.
        let next = written(&lively(3));
        for datagram in [&next[0], &next[next.len() - 1]] {
            reader.take(datagram, &mut read);
        }
        let known = [lively(2), lively(3)];
        let is_either =
            |i: usize| known.iter().any(|frame| (frame.coefficients[i] - read.coefficients[i]).abs() < 1e-5);
        assert!((0..52).all(is_either));
        // A sender that began anew is heard.
        let anew = written(&MotionFrame { secs: -60.0, ..lively(7) });
        assert!(anew.iter().fold(false, |_, datagram| reader.take(datagram, &mut read)));
    }

    #[test]
    fn turning_to_the_heads_right_is_a_positive_turn_about_unitys_y() {
        // The head's right is the picture's left: in camera space it looks towards -x.
        let rotation = Quat::from_rotation_y(0.4);
        assert!((rotation * Vec3::NEG_Z).x < 0.0);
        let frame = MotionFrame { is_seen: true, head_rotation: rotation, ..MotionFrame::default() };
        let (_, packet) = rosc::decoder::decode_udp(&written(&frame)[0]).unwrap();
        let OscPacket::Bundle(bundle) = packet else { panic!("a bundle") };
        let head = bundle.content.iter().find_map(|packet| match packet {
            OscPacket::Message(message) if message.addr == "/VMC/Ext/Bone/Pos" => Some(message.args.clone()),
            _ => None,
        });
        assert_eq!(head.unwrap()[5], OscType::Float((0.2_f32).sin()), "the quaternion's y");
    }
}
