//! What a user should know of a photo that is taken all the same.
//!
//! The limits come from 300 official portraits, which are good photos: each is beyond what at most a handful of them
//! have, and all together warn of at most one in twenty (`tests/photos.rs` holds that, the table stands in
//! docs/photo-warnings.md).

use super::photo_measure::PhotoMeasures;

/// A lower face is enlarged for the smallest portrait, in pixels.
const MIN_FACE_PX: f32 = 200.0;
const MAX_YAW_DEGREES: f32 = 19.0;
const MAX_PITCH_DEGREES: f32 = 13.0;
const MAX_ROLL_DEGREES: f32 = 15.0;
/// A smile with teeth has up to a quarter, in widths of the mouth.
const MAX_MOUTH_OPENING: f32 = 0.27;
/// Of the narrower eye, in its widths.
const MIN_EYE_OPENING: f32 = 0.13;
/// The brightest tenth of a face counts, which is bright on dark skin too, 0..255.
const MIN_BRIGHTNESS: f32 = 95.0;
const MAX_BURNT_SHARE: f32 = 0.005;
const MIN_SHARPNESS: f32 = 0.025;
/// Doublings of light.
const MAX_SIDE_LIGHT_STOPS: f32 = 1.9;
/// Of the photo's border above the face.
const MAX_HAIR_CUT_SHARE: f32 = 0.93;
/// In face heights.
const MIN_ROOM: f32 = 0.01;
/// In face heights.
const MAX_MIRROR_ERROR: f32 = 0.0092;
/// In shares of red and green.
const MAX_SKIN_DIFFERENCE: f32 = 0.15;
/// Of the face; beyond it the matte has holes that would be seen.
pub(super) const MAX_FOREIGN_SHARE: f32 = 0.01;

/// What a [`Remark`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemarkKind {
    /// Smaller faces were left aside.
    OtherFaces,
    /// The colour profile in the file is broken and was ignored.
    ColourProfile,
    /// The face has few pixels.
    Small,
    /// Too little light.
    Dark,
    /// Too much light.
    BurntOut,
    /// Out of focus, moved, or enlarged.
    Blurred,
    /// The head is turned to the side.
    Turned,
    /// The head looks up or down.
    Nodding,
    /// The head is tilted.
    Tilted,
    /// The lips are apart.
    OpenMouth,
    /// An eye is shut.
    ShutEyes,
    /// Hair is cut off at the photo's upper border.
    HairCutOff,
    /// The face reaches the photo's border: chin, cheek or forehead.
    FaceCutOff,
    /// One side of the face is much darker.
    SideLight,
    /// A hand, hair or a thing is in front of the face.
    Covered,
}

impl RemarkKind {
    /// A word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherFaces => "other-faces",
            Self::ColourProfile => "colour-profile",
            Self::Small => "small",
            Self::Dark => "dark",
            Self::BurntOut => "burnt-out",
            Self::Blurred => "blurred",
            Self::Turned => "turned",
            Self::Nodding => "nodding",
            Self::Tilted => "tilted",
            Self::OpenMouth => "open-mouth",
            Self::ShutEyes => "shut-eyes",
            Self::HairCutOff => "hair-cut-off",
            Self::FaceCutOff => "face-cut-off",
            Self::SideLight => "side-light",
            Self::Covered => "covered",
        }
    }

    /// Whether the portrait may look bad for it; otherwise it is only good to know.
    pub const fn is_warning(self) -> bool {
        !matches!(self, Self::OtherFaces)
    }
}

/// One thing to know of a photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub kind: RemarkKind,
    /// What was found and what to do, a lower-case clause without a full stop.
    pub text: String,
}

impl Remark {
    pub(super) fn new(kind: RemarkKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// The remark for programs: `kind`, `warning`, `text`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "kind": self.kind.name(), "warning": self.kind.is_warning(), "text": self.text })
    }
}

/// Judges what was measured of a photo: why the portrait may look bad, and what to do about it.
pub(super) fn judge(m: &PhotoMeasures) -> Vec<Remark> {
    let mut remarks = Vec::new();
    let mut warn = |is_so: bool, kind: RemarkKind, text: String| {
        if is_so {
            remarks.push(Remark::new(kind, text));
        }
    };
    warn(
        m.face_px < MIN_FACE_PX,
        RemarkKind::Small,
        format!(
            "the face is {:.0} pixels high and will look soft, from {MIN_FACE_PX:.0} on it does not; use a larger photo or one taken closer",
            m.face_px
        ),
    );
    warn(
        m.brightness < MIN_BRIGHTNESS,
        RemarkKind::Dark,
        "the face is dark; take the photo in more light, from the front".to_owned(),
    );
    warn(
        m.burnt_share > MAX_BURNT_SHARE,
        RemarkKind::BurntOut,
        format!(
            "{:.0} % of the face are burnt out to white; take the photo in softer light or with a shorter exposure",
            (100.0 * m.burnt_share).max(1.0)
        ),
    );
    warn(
        m.sharpness < MIN_SHARPNESS,
        RemarkKind::Blurred,
        "the face is blurred; hold the camera still and focus on the eyes, or use the photo before it was enlarged"
            .to_owned(),
    );
    warn(
        m.yaw_degrees.abs() > MAX_YAW_DEGREES,
        RemarkKind::Turned,
        format!("the head is turned to the side by {:.0} degrees; look straight into the camera", m.yaw_degrees.abs()),
    );
    warn(
        m.pitch_degrees.abs() > MAX_PITCH_DEGREES,
        RemarkKind::Nodding,
        format!(
            "the head looks {} by {:.0} degrees; hold the camera at the height of the eyes and look into it",
            if m.pitch_degrees > 0.0 { "up" } else { "down" },
            m.pitch_degrees.abs()
        ),
    );
    warn(
        m.roll_degrees.abs() > MAX_ROLL_DEGREES,
        RemarkKind::Tilted,
        format!("the head is tilted by {:.0} degrees; hold it upright, or turn the photo", m.roll_degrees.abs()),
    );
    warn(
        m.mouth_opening > MAX_MOUTH_OPENING,
        RemarkKind::OpenMouth,
        "the mouth is open; take a photo with the lips together".to_owned(),
    );
    warn(
        m.eye_opening < MIN_EYE_OPENING,
        RemarkKind::ShutEyes,
        "an eye is shut; take a photo with both eyes open".to_owned(),
    );
    let is_face_cut = m.room < MIN_ROOM;
    warn(
        is_face_cut,
        RemarkKind::FaceCutOff,
        "the face reaches the photo's border; take a photo with room around it, with hair, chin and neck in view"
            .to_owned(),
    );
    warn(
        m.hair_cut_share > MAX_HAIR_CUT_SHARE && !is_face_cut,
        RemarkKind::HairCutOff,
        "hair is cut off at the photo's upper border; take a photo with some room above the head".to_owned(),
    );
    warn(
        m.side_light_stops > MAX_SIDE_LIGHT_STOPS,
        RemarkKind::SideLight,
        "one side of the face is much darker than the other; turn towards the light, or take the photo in even light"
            .to_owned(),
    );
    warn(
        m.mirror_error > MAX_MIRROR_ERROR
            || m.skin_difference > MAX_SKIN_DIFFERENCE
            // A face without a head around it is taken for anything by the network that tells persons.
            || (m.foreign_share > MAX_FOREIGN_SHARE && !is_face_cut),
        RemarkKind::Covered,
        "something seems to cover a part of the face; take a photo without hands, hair or things in front of it"
            .to_owned(),
    );
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A photo without a fault.
    const GOOD: PhotoMeasures = PhotoMeasures {
        face_px: 320.0,
        yaw_degrees: 4.0,
        pitch_degrees: -3.0,
        roll_degrees: 2.0,
        mouth_opening: 0.12,
        eye_opening: 0.28,
        brightness: 176.0,
        burnt_share: 0.0,
        sharpness: 0.2,
        side_light_stops: 0.4,
        hair_cut_share: 0.2,
        room: 0.15,
        mirror_error: 0.005,
        skin_difference: 0.04,
        foreign_share: 0.0,
    };

    #[test]
    fn every_fault_is_said_by_its_name_and_a_good_photo_by_none() {
        assert_eq!(judge(&GOOD), []);
        for (bad, kind) in [
            (PhotoMeasures { face_px: 150.0, ..GOOD }, RemarkKind::Small),
            (PhotoMeasures { brightness: 60.0, ..GOOD }, RemarkKind::Dark),
            (PhotoMeasures { burnt_share: 0.1, ..GOOD }, RemarkKind::BurntOut),
            (PhotoMeasures { sharpness: 0.01, ..GOOD }, RemarkKind::Blurred),
            (PhotoMeasures { yaw_degrees: -25.0, ..GOOD }, RemarkKind::Turned),
            (PhotoMeasures { pitch_degrees: 20.0, ..GOOD }, RemarkKind::Nodding),
            (PhotoMeasures { roll_degrees: -20.0, ..GOOD }, RemarkKind::Tilted),
            (PhotoMeasures { mouth_opening: 0.5, ..GOOD }, RemarkKind::OpenMouth),
            (PhotoMeasures { eye_opening: 0.05, ..GOOD }, RemarkKind::ShutEyes),
            (PhotoMeasures { hair_cut_share: 1.0, ..GOOD }, RemarkKind::HairCutOff),
            (PhotoMeasures { room: -0.05, hair_cut_share: 1.0, ..GOOD }, RemarkKind::FaceCutOff),
            (PhotoMeasures { side_light_stops: 2.5, ..GOOD }, RemarkKind::SideLight),
            (PhotoMeasures { mirror_error: 0.02, ..GOOD }, RemarkKind::Covered),
            (PhotoMeasures { foreign_share: 0.1, ..GOOD }, RemarkKind::Covered),
        ] {
            let remarks = judge(&bad);
            assert_eq!(remarks.iter().map(|remark| remark.kind).collect::<Vec<_>>(), [kind]);
            assert!(remarks[0].text.contains("; ") && !remarks[0].text.ends_with('.'), "{}", remarks[0].text);
            assert!(kind.is_warning());
        }
    }
}
