//! What a page may ask for, as JSON: `{"do": "identity", "index": 1}`.

use crossbeam_channel::{Sender, TrySendError};
use serde::Deserialize;

use crate::composite::Background;
use crate::control::Control;
use crate::drive::StrengthPart;

/// The longest command, in bytes.
pub(super) const MAX_BYTES: usize = 4096;

/// A command.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    Identity {
        index: usize,
    },
    Calibrate,
    Mirror {
        on: bool,
    },
    Background {
        to: String,
    },
    Card {
        on: bool,
    },
    Strength {
        value: f32,
        #[serde(default)]
        part: StrengthPart,
    },
    KeepExpression {
        value: f32,
    },
    EyeContact {
        value: f32,
    },
}

/// Reads a command; the error says what was expected.
pub(super) fn parse(text: &str) -> Result<Control, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("a command has at most {MAX_BYTES} bytes"));
    }
    let command: Command = serde_json::from_str(text).map_err(|error| format!("no such command: {error}"))?;
    Ok(match command {
        Command::Identity { index } => Control::Identity(index),
        Command::Calibrate => Control::Calibrate,
        Command::Mirror { on } => Control::Mirror(on),
        Command::Background { to } => Control::Background(background(&to)?),
        Command::Card { on } => Control::Card(on),
        Command::Strength { value, part } if (0.0..=2.0).contains(&value) => Control::Strength(part, value),
        Command::Strength { .. } => return Err("the strength of motion goes from 0 to 2".to_owned()),
        Command::KeepExpression { value } if (0.0..=1.0).contains(&value) => Control::KeepExpression(value),
        Command::KeepExpression { .. } => {
            return Err("the share of expression that is kept goes from 0 to 1".to_owned());
        }
        Command::EyeContact { value } if (0.0..=1.0).contains(&value) => Control::EyeContact(value),
        Command::EyeContact { .. } => return Err("the share of eye contact goes from 0 to 1".to_owned()),
    })
}

/// Backgrounds that need no file: from outside no path is taken.
fn background(text: &str) -> Result<Background, String> {
    match text {
        "own" => Ok(Background::Own),
        "blur" => Ok(Background::Blur),
        "none" => Ok(Background::None),
        _ => {
            let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
            let is_hex = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let colour = digits.filter(is_hex).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            let [_, red, green, blue] = colour.ok_or("a background is own, blur, none or #RRGGBB")?.to_be_bytes();
            Ok(Background::Colour([red, green, blue]))
        }
    }
}

/// Hands a change to the pipeline, without waiting for it.
pub(super) fn send(control: &Sender<Control>, change: Control) -> Result<(), &'static str> {
    control.try_send(change).map_err(|error| match error {
        TrySendError::Full(_) => "the pipeline is busy; try again",
        TrySendError::Disconnected(_) => "the run has ended",
    })
}
