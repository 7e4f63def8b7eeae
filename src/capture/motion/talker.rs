//! A face that speaks as it is heard, and otherwise moves by itself.

use glam::{Quat, Vec3};

use crate::error::Result;
use crate::motion::living::{Breath, IdlePlaces, Living};
use crate::motion_link::MotionFrame;
use crate::speech::{Mouth, MouthPlaces};

/// What head, lids and brows do follows from this and the time alone: a recording that is played twice moves the same.
const SEED: u64 = 2;
/// The mean distance of the outer eye corners, in centimetres: what idle motion counts places in.
const FACE_WIDTH_CM: f32 = 9.0;
/// After so long idle motion begins anew: numbers of seconds stay exact.
const PERIOD_SECS: f64 = 1e7;

/// Puts faces together: the mouth by what is heard, the rest by idle motion.
pub(super) struct Talker {
    idle: &'static Living,
    breath: Breath,
    mouth: MouthPlaces,
    eyes: IdlePlaces,
    motion: MotionFrame,
}

impl Talker {
    /// # Errors
    /// [`crate::ErrorKind::Model`] when the program was built from a torn file.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            idle: Living::built_in()?,
            breath: Breath::default(),
            mouth: MouthPlaces::default(),
            eyes: IdlePlaces::default(),
            motion: MotionFrame { is_seen: true, ..MotionFrame::default() },
        })
    }

    /// The face of a moment, with this mouth. Allocates nothing.
    pub(super) fn face(&mut self, mouth: &Mouth, secs: f64) -> &MotionFrame {
        let idle = self.idle.at(SEED, secs % PERIOD_SECS, &mut self.breath);
        let rest = MotionFrame::default();
        self.motion.secs = secs;
        self.motion.coefficients = rest.coefficients;
        self.mouth.write(mouth, &mut self.motion.coefficients);
        self.eyes.add(&idle, &mut self.motion.coefficients);
        self.motion.head_rotation = Quat::from_scaled_axis(idle.turn);
        let shift_cm = FACE_WIDTH_CM * idle.place.truncate();
        self.motion.head_cm = Vec3::new(shift_cm.x, shift_cm.y, rest.head_cm.z * (-idle.place.z).exp());
        &self.motion
    }
}
