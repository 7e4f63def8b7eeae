//! What a page may ask for, as JSON: `{"do": "identity", "index": 1}`. The names and limits are those of [`crate::steer`].

use crossbeam_channel::{Sender, TrySendError};
use serde::Deserialize;

use crate::control::Control;
use crate::drive::StrengthPart;
use crate::steer::{CONTROLS, Takes, Value};

/// The longest command, in bytes.
pub(super) const MAX_BYTES: usize = 4096;

/// A command: its name, and the one field that it takes.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Command {
    r#do: String,
    part: Option<StrengthPart>,
    index: Option<usize>,
    on: Option<bool>,
    to: Option<String>,
    value: Option<f32>,
    x: Option<f32>,
    y: Option<f32>,
}

/// Reads a command; the error says what was expected.
pub(super) fn parse(text: &str) -> Result<Control, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("a command has at most {MAX_BYTES} bytes"));
    }
    let command: Command = serde_json::from_str(text).map_err(|error| format!("no such command: {error}"))?;
    // The strength of all parts needs no part.
    let part = (command.r#do == "strength").then(|| command.part.unwrap_or_default());
    let named = CONTROLS.iter().filter(|entry| !entry.command.is_empty() && entry.command == command.r#do);
    let entry = named.into_iter().find(|entry| entry.part == part);
    let entry = entry.ok_or_else(|| format!("no such command: {:?}", command.r#do))?;
    let Command { r#do: name, index, on, to, value, part: given, x, y } = &command;
    let wrong = |field: &str| Err(format!("no such command: {name:?} takes {field} and nothing else"));
    if given.is_some() && part.is_none() {
        return Err(format!("no such command: {name:?} has no parts"));
    }
    let pair = x.zip(*y);
    if x.is_some() != y.is_some() {
        return Err(format!("no such command: {name:?} takes `x` and `y`"));
    }
    let value = match (entry.takes, index, on, to, value, pair) {
        (Takes::Nothing, None, None, None, None, None) => Value::Nothing,
        (Takes::Place, Some(place), None, None, None, None) => Value::Place(*place),
        (Takes::Switch, None, Some(on), None, None, None) => Value::Switch(*on),
        (
            Takes::Background | Takes::Word(_) | Takes::Source | Takes::CameraFormat,
            None,
            None,
            Some(text),
            None,
            None,
        ) => Value::Text(text),
        (Takes::Number(..), None, None, None, Some(number), None) => Value::Number(*number),
        (Takes::Pair(..), None, None, None, None, Some((right, down))) => Value::Pair(right, down),
        (Takes::Nothing, ..) => return Err(format!("no such command: {name:?} takes nothing")),
        (Takes::Place, ..) => return wrong("`index`"),
        (Takes::Switch, ..) => return wrong("`on`"),
        (Takes::Background | Takes::Word(_) | Takes::Source | Takes::CameraFormat, ..) => return wrong("`to`"),
        (Takes::Number(..), ..) => return wrong("`value`"),
        (Takes::Pair(..), ..) => return wrong("`x` and `y`"),
    };
    entry.control(value)
}

/// Hands a change to the pipeline, without waiting for it.
pub(super) fn send(control: &Sender<Control>, change: Control) -> Result<(), &'static str> {
    control.try_send(change).map_err(|error| match error {
        TrySendError::Full(_) => "the pipeline is busy; try again",
        TrySendError::Disconnected(_) => "the run has ended",
    })
}
