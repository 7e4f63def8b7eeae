//! The page's socket: state, figures and lines go out, commands come in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::shared::{STAGES, Shared, Watcher};
use super::{command, upload};
use crate::capture::SourceSwitch;
use crate::composite::{BackgroundKind, Shown};
use crate::conditions::Trouble;
use crate::control::Control;
use crate::demand::{CameraDemand, CameraKind, Demand};
use crate::sink::contours::CONTOURS;

/// Lines are sent so often, and state is looked at.
const TICK: Duration = Duration::from_millis(50);
/// Figures are sent once in so many ticks.
const FIGURES_EVERY: u32 = 4;
/// A page that takes nothing for so long is let go.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves one page until it goes, or the run ends.
pub(super) async fn serve(mut socket: WebSocket, shared: Arc<Shared>, page: Watcher) {
    let mut sent = Sent::default();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frames = shared.frames.clone();
    if !send(&mut socket, hello(&shared)).await {
        return;
    }
    loop {
        let is_open = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => match obey(&shared, text.as_str()) {
                    Ok(()) => true,
                    Err(why) => send(&mut socket, json!({ "type": "refused", "why": why })).await,
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => true,
                _ => false,
            },
            _ = tick.tick() => sent.update(&mut socket, &shared).await,
            // The sink has gone, and with it the run.
            Err(_) = frames.changed() => false,
        };
        if !is_open {
            break;
        }
    }
    drop(page);
    // The other side may be gone already.
    let _ = timeout(SEND_TIMEOUT, socket.send(Message::Close(None))).await;
}

/// Carries a command out, or says why not.
pub(super) fn obey(shared: &Shared, text: &str) -> Result<(), String> {
    let command = command::parse(text)?;
    // Who wants to be hidden does not wait because another page asks for too much.
    if !Shared::take(&shared.commands) && !matches!(command, Control::Card(_)) {
        return Err("too many commands; slow down".to_owned());
    }
    Ok(command::send(&shared.control, command)?)
}

async fn send(socket: &mut WebSocket, message: Value) -> bool {
    send_message(socket, Message::text(message.to_string())).await
}

async fn send_message(socket: &mut WebSocket, message: Message) -> bool {
    matches!(timeout(SEND_TIMEOUT, socket.send(message)).await, Ok(Ok(())))
}

/// What all pages show alike.
#[derive(Clone, Copy, PartialEq)]
struct State {
    /// The newest picture's.
    shown: Shown,
    gallery_version: u64,
    is_enrolling: bool,
    /// Whether a recording was asked for, where one can be made.
    is_recording: Option<bool>,
    /// The version of what drives, where that can be changed.
    driver_version: Option<u64>,
    /// Whether each of [`CAMERAS`] was asked for, where it can be.
    cameras: [Option<bool>; CAMERAS.len()],
}

impl State {
    fn now(shared: &Shared, shown: Shown) -> Self {
        let figures = &shared.figures;
        let is_asked = |kind| figures.cameras().find(|camera| camera.kind() == kind).map(CameraDemand::is_asked);
        Self {
            shown,
            gallery_version: shared.gallery_version(),
            is_enrolling: shared.uploads.available_permits() == 0,
            is_recording: figures.demand().map(Demand::is_recording_asked),
            driver_version: figures.switch().map(SourceSwitch::version),
            cameras: CAMERAS.map(is_asked),
        }
    }
}

/// Cameras for other programs.
const CAMERAS: [CameraKind; 2] = [CameraKind::Vcam, CameraKind::Pipewire];

/// What a page knows already.
#[derive(Default)]
struct Sent {
    n_ticks: u32,
    state: Option<State>,
    n_faces: u64,
    last_message: u64,
}

impl Sent {
    /// Sends what is new; `false` when the page is gone.
    async fn update(&mut self, socket: &mut WebSocket, shared: &Shared) -> bool {
        let (shown, face) = {
            let live = shared.live();
            let is_new = live.n_frames != self.n_faces;
            self.n_faces = live.n_frames;
            (live.shown, (is_new && !live.face.is_empty()).then(|| live.face.clone()))
        };
        let state = State::now(shared, shown);
        if self.state != Some(state) {
            self.state = Some(state);
            if !send(socket, describe(shared, state)).await {
                return false;
            }
        }
        for message in shared.messages.after(self.last_message) {
            self.last_message = message.number;
            let message = json!({ "type": "message", "warning": message.is_warning, "text": message.text });
            if !send(socket, message).await {
                return false;
            }
        }
        self.n_ticks = self.n_ticks.wrapping_add(1);
        if self.n_ticks.is_multiple_of(FIGURES_EVERY) && !send(socket, figures(shared)).await {
            return false;
        }
        match face {
            Some(face) => send_message(socket, Message::binary(face)).await,
            None => true,
        }
    }
}

/// What does not change during a run.
fn hello(shared: &Shared) -> Value {
    let stages: Vec<_> = STAGES.into_iter().map(crate::trace::Stage::name).collect();
    let lines: Vec<_> = CONTOURS.iter().map(|line| json!([line.points.len(), line.is_closed])).collect();
    let advice: serde_json::Map<_, _> =
        Trouble::ALL.into_iter().map(|trouble| (trouble.name().to_owned(), trouble.advice().into())).collect();
    json!({
        "type": "hello",
        "version": env!("CARGO_PKG_VERSION"),
        "source": shared.about.source,
        "generator": shared.about.generator,
        "backend": shared.about.backend,
        "size_px": shared.about.size_px,
        "frame_px": shared.about.frame_px,
        "stages": stages,
        "parts": shared.figures.age_parts_ms().map(|(name, _)| name),
        "lines": lines,
        "advice": advice,
        "max_upload_bytes": upload::MAX_BYTES,
        "keeps": shared.library.is_some(),
        "first_use": shared.about.is_first_use,
        "view": shared.gate.view_url(),
        "max_identities": crate::control::MAX_IDENTITIES,
    })
}

fn describe(shared: &Shared, state: State) -> Value {
    let State { shown, is_enrolling, is_recording, cameras, .. } = state;
    let gallery = shared.gallery();
    let identities: Vec<_> = gallery
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            let basis = entry.basis.name();
            json!({ "index": index, "name": entry.name, "basis": basis, "unsaved": entry.unsaved.is_some() })
        })
        .collect();
    let background = match shown.background {
        BackgroundKind::Own => "own".to_owned(),
        BackgroundKind::Blur => "blur".to_owned(),
        BackgroundKind::None => "none".to_owned(),
        BackgroundKind::Picture => "picture".to_owned(),
        BackgroundKind::Colour([red, green, blue]) => format!("#{red:02x}{green:02x}{blue:02x}"),
    };
    json!({
        "type": "state",
        "identities": identities,
        "identity": shown.identity,
        "wanted": shown.wanted,
        "card": shown.card.map(crate::composite::CardReason::text),
        "panic": shown.is_card_asked,
        "mirror": shown.is_mirrored,
        "background": background,
        "strengths": {
            "whole": shown.strengths.whole,
            "head": shown.strengths.head,
            "gaze": shown.strengths.gaze,
            "lids": shown.strengths.lids,
            "brows": shown.strengths.brows,
            "mouth": shown.strengths.mouth,
        },
        "keepExpression": shown.keep_expression,
        "eyeContact": shown.eye_contact,
        "predictMs": shown.predict_ms,
        "framing": shown.framing.name(),
        "zoom": shown.view.zoom,
        "offset": [shown.view.offset.x, shown.view.offset.y],
        "badge": shown.is_badged,
        "badgePlace": shown.badge_place.name(),
        "badgeLanguage": shown.badge_language.name(),
        "enrolling": is_enrolling,
        "recording": is_recording,
        "cameras": CAMERAS.into_iter().zip(cameras).map(|(kind, is_there)| (kind.name(), is_there)).collect::<HashMap<_, _>>(),
        "driver": shared.figures.switch().map(|switch| {
            let driving = switch.driving();
            json!({
                "source": driving.source.to_string(),
                "name": driving.name,
                "camera": driving.camera.as_ref().map(|camera| camera.index),
                "delivers": driving.camera.as_ref().map(|camera| camera.format.to_string()),
                "format": driving.wanted.map_or_else(|| "auto".to_owned(), |format| format.to_string()),
                "changing": driving.is_changing,
            })
        }),
    })
}

fn figures(shared: &Shared) -> Value {
    let (stages_ms, n_frames) = {
        let live = shared.live();
        (live.stages_ms, live.n_frames)
    };
    let figures = &shared.figures;
    let conditions = figures.conditions();
    let troubles: Vec<_> = conditions.troubles.iter().map(Trouble::name).collect();
    json!({
        "type": "figures",
        "age_ms": figures.age_ms(),
        "audio_delay_ms": figures.audio_delay_ms(),
        "fps": figures.rate_hz(),
        "dropped": figures.dropped(),
        "frames": n_frames,
        "stages_ms": stages_ms,
        "parts_ms": figures.age_parts_ms().map(|(_, ms)| ms),
        "confidence": conditions.confidence,
        "troubles": troubles,
        "watchers": shared.n_watchers(),
        "microphone": figures.microphone().map(|(microphone, usage)| {
            json!({
                "name": microphone.name(),
                "is_heard": microphone.is_heard(),
                "use": usage.name(),
                "level": microphone.level(),
            })
        }),
    })
}
