//! iFacialMocap's datagrams: one text a frame, strengths in per cent, angles in degrees, metres.
//!
//! `eyeBlink_L-7|…|=head#PITCH,YAW,ROLL,X,Y,Z|rightEye#PITCH,YAW,ROLL|leftEye#…|`. Angles and places are those of the phone's
//! camera: x right, y up, z towards it, turned by yaw, then pitch, then roll. Newer senders write `&` instead of `-`.

use std::fmt::Write as _;

use glam::{EulerRot, Quat, Vec3};

use super::{MotionFrame, Reader, names};

/// The longest datagram that is read, in bytes; a frame has 1000.
pub(super) const MAX_READ_BYTES: usize = 8192;
/// Fields of a frame that are looked at.
const MAX_FIELDS: usize = 256;

/// From camera space (y down, z away) to the phone's and back.
fn flip(rotation: Quat) -> Quat {
    Quat::from_xyzw(rotation.x, -rotation.y, -rotation.z, rotation.w)
}

/// Writes a frame. A face that is not seen is not sent.
pub(super) fn write(frame: &MotionFrame, datagrams: &mut Vec<Vec<u8>>) {
    datagrams.clear();
    if !frame.is_seen {
        return;
    }
    let mut text = String::with_capacity(1200);
    let strengths = names::arkit().map(|(i, name)| (name, frame.coefficients[i])).chain([(names::TONGUE, 0.0)]);
    for (name, strength) in strengths {
        // Cannot fail: it is written to memory.
        let _ = write!(text, "{}-{}|", names::short(name), (strength * 100.0).round() as u32);
    }
    let (yaw, pitch, roll) = flip(frame.head_rotation).to_euler(EulerRot::YXZ);
    let angles = [pitch, yaw, roll].map(f32::to_degrees);
    let place_m = frame.head_cm * Vec3::new(0.01, -0.01, -0.01);
    let _ = write!(
        text,
        "=head#{:.5},{:.5},{:.5},{:.6},{:.6},{:.6}|",
        angles[0], angles[1], angles[2], place_m.x, place_m.y, place_m.z
    );
    for (name, [yaw, pitch]) in ["rightEye", "leftEye"].into_iter().zip(frame.gaze_rads()) {
        let _ = write!(text, "{name}#{:.4},{:.4},0|", -pitch.to_degrees(), yaw.to_degrees());
    }
    datagrams.push(text.into_bytes());
}

/// Reads one frame from each datagram.
#[derive(Default)]
pub(super) struct IfacialmocapReader {
    last: MotionFrame,
}

impl Reader for IfacialmocapReader {
    fn take(&mut self, datagram: &[u8], frame: &mut MotionFrame) -> bool {
        let Ok(text) = std::str::from_utf8(datagram) else { return false };
        let mut n_known = 0;
        for field in text.split('|').take(MAX_FIELDS) {
            n_known += usize::from(self.field(field).is_some());
        }
        // A greeting or noise is no frame.
        if n_known == 0 {
            return false;
        }
        self.last.is_seen = true;
        frame.clone_from(&self.last);
        true
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl IfacialmocapReader {
    fn field(&mut self, field: &str) -> Option<()> {
        if let Some((name, numbers)) = field.split_once('#') {
            if name.trim_start_matches('=') != "head" {
                return None;
            }
            let mut parsed = [0.0_f32; 6];
            let mut numbers = numbers.split(',');
            for number in &mut parsed {
                *number = numbers.next()?.trim().parse().ok()?;
            }
            let [pitch, yaw, roll, x, y, z] = parsed;
            let angles = [yaw, pitch, roll].map(f32::to_radians);
            self.last.set_rotation(flip(Quat::from_euler(EulerRot::YXZ, angles[0], angles[1], angles[2])));
            self.last.set_place(Vec3::new(x, -y, -z) * 100.0);
            return Some(());
        }
        // The number may be negative: the first sign parts it from the name.
        let (name, strength) = field.split_once(['-', '&'])?;
        let index = names::index(name)?;
        self.last.set(index, strength.trim().parse::<f32>().ok()? / 100.0);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion_link::{apart, lively};

    #[test]
    fn frames_come_back_within_a_hundredth() {
        let (mut reader, mut read) = (IfacialmocapReader::default(), MotionFrame::default());
        let mut datagrams = Vec::new();
        for step in 0..100 {
            write(&lively(step), &mut datagrams);
            assert!(datagrams.len() == 1 && datagrams[0].len() < 1400, "{}", datagrams[0].len());
            assert!(reader.take(&datagrams[0], &mut read));
            assert!(apart(&lively(step), &read) < 0.0051, "{}", apart(&lively(step), &read));
        }
    }

    #[test]
    fn a_phones_own_words_are_read() {
        let text = "mouthSmile_R-40|eyeBlink_L&93|jawOpen-7|trackingStatus-1|hapihapi-0|=head#10,-20,5,-0.03,-0.10,-0.65|\
                    rightEye#6.02,2.44,0.25|leftEye#6.03,-1.66,-0.17|";
        let (mut reader, mut read) = (IfacialmocapReader::default(), MotionFrame::default());
        assert!(reader.take(text.as_bytes(), &mut read));
        let at = |name: &str| read.coefficients[names::index(name).unwrap()];
        assert_eq!([at("mouthSmileRight"), at("eyeBlinkLeft"), at("jawOpen")], [0.4, 0.93, 0.07]);
        assert!(read.head_cm.distance(Vec3::new(-3.0, 10.0, 65.0)) < 1e-3, "{}", read.head_cm);
        // A turn by -20 degrees about the phone's upward axis looks to the picture's left.
        assert!((read.head_rotation * Vec3::NEG_Z).x < -0.3);
    }

    #[test]
    fn what_is_no_number_is_left_as_it_was() {
        let (mut reader, mut read) = (IfacialmocapReader::default(), MotionFrame::default());
        assert!(reader.take(b"jawOpen-50|=head#0,0,0,0,0,-0.5|", &mut read));
        let before = read.clone();
        for text in
            ["jawOpen-NaN|jawOpen-|=head#NaN,0,0,0,0,0|", "jawOpen-inf|=head#1,2|", "jawOpen-1e99|browInnerUp-x|"]
        {
            reader.take(text.as_bytes(), &mut read);
            assert_eq!(read.head_rotation, before.head_rotation, "{text}");
            assert!(read.coefficients.iter().all(|value| (0.0..=1.0).contains(value)), "{text}");
        }
        assert!(!reader.take(b"iFacialMocap_sahuasouryya9218sauhuiayeta91555dy3719", &mut read));
        assert!(!reader.take(&[0xff; 100], &mut read));
        assert!(!reader.take("|".repeat(8000).as_bytes(), &mut read));
    }
}
