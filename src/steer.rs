//! Every control of a running pipeline, once: what the page, OSC, keys and the settings file call it and what it takes.
//!
//! Whoever steers looks its control up here, so that all ways have the same names and the same limits.

use crate::capture::SourceSpec;
use crate::composite::{Background, BackgroundKind, BadgeLanguage, BadgePlace, Framing, OFFSETS, Shown, ZOOMS};
use crate::control::Control;
use crate::demand::CameraKind;
use crate::drive::{MAX_PREDICT_MS, StrengthPart};

pub use obs::{Moment, ObsLink, ObsSpec, SceneRule};
pub use osc::{OscServer, OscSpec};
pub use shortcuts::{Modifiers, ShortcutSpec, Shortcuts};

mod obs;
mod osc;
mod shortcuts;

/// What a control takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// Nothing: it is done.
    Nothing,
    /// On or off.
    Switch,
    /// A number within these limits.
    Number(f32, f32),
    /// An identity: its place, counted from 0.
    Place,
    /// `own`, `blur`, `none` or `#RRGGBB`.
    Background,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Two numbers within these limits: to the right, and down.
    Pair(f32, f32),
    /// `camera`, `camera:N`, `camera:NAME` or `pattern`.
    Source,
    /// `auto`, or a format as `effigy devices` lists them.
    CameraFormat,
}

/// A value for a control.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// None.
    Nothing,
    /// On or off.
    Switch(bool),
    /// A number.
    Number(f32),
    /// A place, counted from 0.
    Place(usize),
    /// A text.
    Text(&'a str),
    /// Two numbers.
    Pair(f32, f32),
}

/// One control.
pub struct Entry {
    /// What a page's command calls it (`do`); empty where a page has another way.
    pub command: &'static str,
    /// Which part of the face it is for.
    pub part: Option<StrengthPart>,
    /// Its OSC address.
    pub osc: &'static str,
    /// Its key in the window and on the page.
    pub key: &'static str,
    /// Its name in the settings file and among the options of `run`; empty where it is not kept.
    pub setting: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it does, for lists.
    pub what: &'static str,
    make: fn(Value<'_>) -> Option<Control>,
    /// What holds, as it would be typed; `None` where that cannot be typed.
    read: fn(&Shown) -> Option<String>,
}

impl Entry {
    /// Makes the change, or says what was expected.
    ///
    /// # Errors
    /// One lower-case clause.
    pub fn control(&self, value: Value<'_>) -> Result<Control, String> {
        let is_fit = match (self.takes, value) {
            (Takes::Number(least, most), Value::Number(number)) => (least..=most).contains(&number),
            (Takes::Pair(least, most), Value::Pair(right, down)) => {
                (least..=most).contains(&right) && (least..=most).contains(&down)
            }
            _ => true,
        };
        is_fit.then(|| (self.make)(value)).flatten().ok_or_else(|| self.expected())
    }

    /// What holds in a picture, as it would be typed in the settings file.
    pub fn typed(&self, shown: &Shown) -> Option<String> {
        (self.read)(shown)
    }

    fn expected(&self) -> String {
        match self.takes {
            Takes::Nothing => format!("{} takes nothing", self.what),
            Takes::Switch => format!("{} is on or off", self.what),
            Takes::Number(least, most) => format!("{} goes from {least} to {most}", self.what),
            Takes::Place => format!("{} takes its number", self.what),
            Takes::Background => "a background is own, blur, none or #RRGGBB".to_owned(),
            Takes::Word(words) => format!("{} is {}", self.what, one_of(words)),
            Takes::Pair(least, most) => format!("{} goes from {least} to {most} each way", self.what),
            Takes::Source => "what drives is camera, camera:N, camera:NAME or pattern".to_owned(),
            Takes::CameraFormat => "a camera's format is auto, or such as 1280x720 MJPEG 30/s".to_owned(),
        }
    }
}

macro_rules! strength {
    ($part:ident, $field:ident, $name:literal, $osc:literal, $what:literal) => {
        Entry {
            command: "strength",
            part: Some(StrengthPart::$part),
            osc: $osc,
            key: "",
            setting: $name,
            takes: Takes::Number(0.0, 2.0),
            what: $what,
            make: |value| match value {
                Value::Number(strength) => Some(Control::Strength(StrengthPart::$part, strength)),
                _ => None,
            },
            read: |shown| Some(shown.strengths.$field.to_string()),
        }
    };
}

/// The longest name of a camera that is taken from outside, in characters.
const MAX_SOURCE_CHARS: usize = 128;

/// What framings are called.
const FRAMINGS: [&str; 3] = [Framing::Head.name(), Framing::Photo.name(), Framing::Fill.name()];

/// All of them.
pub const CONTROLS: &[Entry] = &[
    Entry {
        command: "identity",
        part: None,
        osc: "/effigy/identity",
        key: "1 to 9",
        setting: "first",
        takes: Takes::Place,
        what: "who is shown",
        make: |value| match value {
            Value::Place(place) => Some(Control::Identity(place)),
            _ => None,
        },
        read: |shown| Some((shown.identity + 1).to_string()),
    },
    Entry {
        command: "card",
        part: None,
        osc: "/effigy/card",
        key: "P",
        setting: "",
        takes: Takes::Switch,
        what: "the card instead of the portrait",
        make: |value| match value {
            Value::Switch(on) => Some(Control::Card(on)),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "",
        part: None,
        osc: "/effigy/card/toggle",
        key: "P",
        setting: "",
        takes: Takes::Nothing,
        what: "the card, or back",
        make: |_| Some(Control::ToggleCard),
        read: |_| None,
    },
    Entry {
        command: "calibrate",
        part: None,
        osc: "/effigy/calibrate",
        key: "C",
        setting: "",
        takes: Takes::Nothing,
        what: "calibration",
        make: |_| Some(Control::Calibrate),
        read: |_| None,
    },
    Entry {
        command: "mirror",
        part: None,
        osc: "/effigy/mirror",
        key: "M",
        setting: "mirror",
        takes: Takes::Switch,
        what: "the mirror",
        make: |value| match value {
            Value::Switch(on) => Some(Control::Mirror(on)),
            _ => None,
        },
        read: |shown| Some(shown.is_mirrored.to_string()),
    },
    Entry {
        command: "",
        part: None,
        osc: "/effigy/mirror/toggle",
        key: "M",
        setting: "",
        takes: Takes::Nothing,
        what: "the mirror, on or off",
        make: |_| Some(Control::ToggleMirror),
        read: |_| None,
    },
    Entry {
        command: "background",
        part: None,
        osc: "/effigy/background",
        key: "B",
        setting: "background",
        takes: Takes::Background,
        what: "what is behind the person",
        make: |value| match value {
            Value::Text(text) => background(text).map(Control::Background),
            _ => None,
        },
        read: |shown| match shown.background {
            BackgroundKind::Own => Some("own".to_owned()),
            BackgroundKind::Blur => Some("blur".to_owned()),
            BackgroundKind::None => Some("none".to_owned()),
            BackgroundKind::Colour([red, green, blue]) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
            BackgroundKind::Picture => None,
        },
    },
    Entry {
        command: "",
        part: None,
        osc: "/effigy/background/next",
        key: "B",
        setting: "",
        takes: Takes::Nothing,
        what: "the next background",
        make: |_| Some(Control::NextBackground),
        read: |_| None,
    },
    Entry {
        command: "framing",
        part: None,
        osc: "/effigy/framing",
        key: "V",
        setting: "",
        takes: Takes::Word(&FRAMINGS),
        what: "the framing",
        make: |value| match value {
            Value::Text(text) => [Framing::Head, Framing::Photo, Framing::Fill]
                .into_iter()
                .find(|framing| framing.name() == text)
                .map(Control::Framing),
            _ => None,
        },
        read: |shown| Some(shown.framing.name().to_owned()),
    },
    Entry {
        command: "badge-place",
        part: None,
        osc: "/effigy/badge/place",
        key: "",
        setting: "badge-place",
        takes: Takes::Word(&BadgePlace::NAMES),
        what: "the corner of the visible mark",
        make: |value| match value {
            Value::Text(text) => BadgePlace::named(text).map(Control::BadgePlace),
            _ => None,
        },
        read: |shown| Some(shown.badge_place.name().to_owned()),
    },
    Entry {
        command: "badge-language",
        part: None,
        osc: "/effigy/badge/language",
        key: "",
        setting: "badge-language",
        takes: Takes::Word(&BadgeLanguage::NAMES),
        what: "the language of the visible mark",
        make: |value| match value {
            Value::Text(text) => BadgeLanguage::named(text).map(Control::BadgeLanguage),
            _ => None,
        },
        read: |shown| Some(shown.badge_language.name().to_owned()),
    },
    Entry {
        command: "zoom",
        part: None,
        osc: "/effigy/zoom",
        key: "+ and -",
        setting: "",
        takes: Takes::Number(*ZOOMS.start(), *ZOOMS.end()),
        what: "the zoom",
        make: |value| match value {
            Value::Number(zoom) => Some(Control::Zoom(zoom)),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "offset",
        part: None,
        osc: "/effigy/offset",
        key: "arrows",
        setting: "",
        takes: Takes::Pair(*OFFSETS.start(), *OFFSETS.end()),
        what: "the place of the head",
        make: |value| match value {
            Value::Pair(right, down) => Some(Control::Offset(right, down)),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "source",
        part: None,
        osc: "/effigy/source",
        key: "",
        setting: "",
        takes: Takes::Source,
        what: "what drives",
        make: |value| match value {
            Value::Text(text) => source(text).map(Control::Source),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "camera-format",
        part: None,
        osc: "/effigy/camera-format",
        key: "",
        setting: "",
        takes: Takes::CameraFormat,
        what: "the camera's format",
        make: |value| match value {
            Value::Text("auto") => Some(Control::CameraFormat(None)),
            Value::Text(text) => text.parse().ok().map(|format| Control::CameraFormat(Some(format))),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "vcam",
        part: None,
        osc: "/effigy/vcam",
        key: "",
        setting: "",
        takes: Takes::Switch,
        what: "the virtual camera",
        make: |value| match value {
            Value::Switch(on) => Some(Control::Camera(CameraKind::Vcam, on)),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "pipewire",
        part: None,
        osc: "/effigy/pipewire",
        key: "",
        setting: "",
        takes: Takes::Switch,
        what: "the PipeWire camera",
        make: |value| match value {
            Value::Switch(on) => Some(Control::Camera(CameraKind::Pipewire, on)),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "record",
        part: None,
        osc: "/effigy/record",
        key: "R",
        setting: "",
        takes: Takes::Switch,
        what: "the recording",
        make: |value| match value {
            Value::Switch(on) => Some(Control::Record(on)),
            _ => None,
        },
        read: |_| None,
    },
    Entry {
        command: "",
        part: None,
        osc: "/effigy/record/toggle",
        key: "R",
        setting: "",
        takes: Takes::Nothing,
        what: "the recording, begun or ended",
        make: |_| Some(Control::ToggleRecord),
        read: |_| None,
    },
    Entry {
        command: "take-picture",
        part: None,
        osc: "/effigy/take-picture",
        key: "S",
        setting: "",
        takes: Takes::Nothing,
        what: "a picture as a file",
        make: |_| Some(Control::TakePicture),
        read: |_| None,
    },
    strength!(Whole, whole, "strength", "/effigy/strength", "the strength of motion"),
    strength!(Head, head, "head", "/effigy/strength/head", "the strength of the head's motion"),
    strength!(Gaze, gaze, "gaze", "/effigy/strength/gaze", "the strength of gaze"),
    strength!(Lids, lids, "lids", "/effigy/strength/lids", "the strength of the lids"),
    strength!(Brows, brows, "brows", "/effigy/strength/brows", "the strength of the brows"),
    strength!(Mouth, mouth, "mouth", "/effigy/strength/mouth", "the strength of the mouth"),
    Entry {
        command: "keep-expression",
        part: None,
        osc: "/effigy/keep-expression",
        key: "",
        setting: "keep-expression",
        takes: Takes::Number(0.0, 1.0),
        what: "the share of expression that is kept",
        make: |value| match value {
            Value::Number(kept) => Some(Control::KeepExpression(kept)),
            _ => None,
        },
        read: |shown| Some(shown.keep_expression.to_string()),
    },
    Entry {
        command: "eye-contact",
        part: None,
        osc: "/effigy/eye-contact",
        key: "",
        setting: "eye-contact",
        takes: Takes::Number(0.0, 1.0),
        what: "the share of eye contact",
        make: |value| match value {
            Value::Number(share) => Some(Control::EyeContact(share)),
            _ => None,
        },
        read: |shown| Some(shown.eye_contact.to_string()),
    },
    Entry {
        command: "predict",
        part: None,
        osc: "/effigy/predict",
        key: "",
        setting: "predict",
        takes: Takes::Number(0.0, MAX_PREDICT_MS),
        what: "how far ahead the portrait is, in milliseconds,",
        make: |value| match value {
            Value::Number(ahead_ms) => Some(Control::Predict(ahead_ms)),
            _ => None,
        },
        read: |shown| Some(shown.predict_ms.to_string()),
    },
];

/// What the camera can be changed for: from outside no file and no address is taken.
fn source(text: &str) -> Option<SourceSpec> {
    let is_fit = text.chars().count() <= MAX_SOURCE_CHARS && !text.contains(char::is_control);
    text.parse().ok().filter(|spec| is_fit && matches!(spec, SourceSpec::Camera(_) | SourceSpec::Pattern))
}

/// Words as a sentence lists them: a, b or c.
fn one_of(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => words.concat(),
    }
}

/// Backgrounds that need no file: from outside no path is taken.
fn background(text: &str) -> Option<Background> {
    Some(match text {
        "own" => Background::Own,
        "blur" => Background::Blur,
        "none" => Background::None,
        _ => {
            let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
            let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let [_, red, green, blue] = is_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?.to_be_bytes();
            Background::Colour([red, green, blue])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a change stands in the table. A new kind of change does not compile until it has a place, or is named as one
    /// that only the program itself makes.
    fn place(control: &Control) -> Option<&'static str> {
        match control {
            Control::Identity(_) => Some("/effigy/identity"),
            Control::Calibrate => Some("/effigy/calibrate"),
            Control::ToggleMirror => Some("/effigy/mirror/toggle"),
            Control::Mirror(_) => Some("/effigy/mirror"),
            Control::NextBackground => Some("/effigy/background/next"),
            Control::Background(_) => Some("/effigy/background"),
            Control::ToggleCard => Some("/effigy/card/toggle"),
            Control::Card(_) => Some("/effigy/card"),
            Control::Strength(part, _) => {
                CONTROLS.iter().find(|entry| entry.part == Some(*part)).map(|entry| entry.osc)
            }
            Control::KeepExpression(_) => Some("/effigy/keep-expression"),
            Control::Framing(_) => Some("/effigy/framing"),
            Control::BadgePlace(_) => Some("/effigy/badge/place"),
            Control::BadgeLanguage(_) => Some("/effigy/badge/language"),
            Control::Zoom(_) => Some("/effigy/zoom"),
            Control::Offset(..) => Some("/effigy/offset"),
            Control::Source(_) => Some("/effigy/source"),
            Control::CameraFormat(_) => Some("/effigy/camera-format"),
            Control::Camera(CameraKind::Vcam, _) => Some("/effigy/vcam"),
            Control::Camera(CameraKind::Pipewire, _) => Some("/effigy/pipewire"),
            Control::Record(_) => Some("/effigy/record"),
            Control::ToggleRecord => Some("/effigy/record/toggle"),
            Control::TakePicture => Some("/effigy/take-picture"),
            Control::EyeContact(_) => Some("/effigy/eye-contact"),
            Control::Predict(_) => Some("/effigy/predict"),
            // Enrolment, and the end of a run.
            Control::Add(_) | Control::Quit => None,
        }
    }

    #[test]
    fn every_control_makes_what_its_address_says_within_its_limits() {
        for entry in CONTROLS {
            let values: &[Value<'_>] = match entry.takes {
                Takes::Nothing => &[Value::Nothing],
                Takes::Switch => &[Value::Switch(true), Value::Switch(false)],
                Takes::Number(least, most) => &[Value::Number(least), Value::Number(most)],
                Takes::Place => &[Value::Place(3)],
                Takes::Background => &[Value::Text("blur"), Value::Text("#00b140")],
                Takes::Word(words) => &words.iter().map(|word| Value::Text(word)).collect::<Vec<_>>(),
                Takes::Pair(least, most) => &[Value::Pair(least, most), Value::Pair(most, least)],
                Takes::Source => &[Value::Text("camera"), Value::Text("camera:HD: 2"), Value::Text("pattern")],
                Takes::CameraFormat => &[Value::Text("auto"), Value::Text("640x480 yuyv 30/s")],
            };
            if let Takes::Word(_) = entry.takes {
                for wrong in ["", "Head", "upper", "xx"] {
                    assert!(entry.control(Value::Text(wrong)).unwrap_err().contains(" or "), "{wrong}");
                }
            }
            for value in values {
                assert_eq!(place(&entry.control(*value).unwrap()), Some(entry.osc), "{value:?}");
            }
            if let Takes::Number(least, most) = entry.takes {
                for wrong in [least - 0.01, most + 0.01, f32::NAN, f32::INFINITY] {
                    assert!(entry.control(Value::Number(wrong)).unwrap_err().contains("goes from 0"));
                }
            }
            if let Takes::Pair(least, most) = entry.takes {
                for wrong in [(least, most + 0.01), (f32::NAN, 0.0)] {
                    assert!(entry.control(Value::Pair(wrong.0, wrong.1)).unwrap_err().contains("each way"));
                }
            }
        }
        let addresses: std::collections::HashSet<_> = CONTROLS.iter().map(|entry| entry.osc).collect();
        assert_eq!(addresses.len(), CONTROLS.len(), "an address is one control's");
    }

    #[test]
    fn backgrounds_from_outside_are_no_paths() {
        for wrong in ["/etc/passwd", "me.png", "#12345", "#12345g", "#+12345", ""] {
            assert!(background(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_drives_is_no_file_and_no_address() {
        for wrong in [
            "/dev/video0",
            "./camera",
            "clip.mp4",
            "-",
            "rtsp://a/b",
            "audio:microphone",
            "vmc:1",
            "camera:a\u{1b}[2J",
            "camera:",
            "",
        ] {
            assert!(source(wrong).is_none(), "{wrong}");
        }
    }
}
