//! Addresses and what they answer. Every request passes the gate first.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::connection::Line;
use super::gate::Entry;
use super::shared::Shared;
use super::upload::Form;
use super::{command, page, stream, upload};
use crate::capture::{CameraEntry, SourceSpec, SourceSwitch};
use crate::error::{Error, ErrorKind, OrError as _};
use crate::identity::{Remark, Seal};

/// A single picture is there within this time, or the run stands still.
const PICTURE_TIME: Duration = Duration::from_secs(3);
/// Drivers say what their cameras can within this time.
const CAMERAS_TIME: Duration = Duration::from_secs(20);

/// The page's files, part of the program. No request reaches the file system.
const FILES: [(&str, &str, &str); 9] = [
    ("/", "text/html; charset=utf-8", include_str!("../../../web/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../../../web/style.css")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("../../../web/app.js")),
    ("/chart.js", "text/javascript; charset=utf-8", include_str!("../../../web/chart.js")),
    ("/words.js", "text/javascript; charset=utf-8", include_str!("../../../web/words.js")),
    ("/words.tsv", "text/tab-separated-values; charset=utf-8", WORDS),
    ("/icon.svg", "image/svg+xml", include_str!("../../../web/icon.svg")),
    ("/view", "text/html; charset=utf-8", include_str!("../../../web/view.html")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("../../../web/view.js")),
];

/// The page's words in all its languages.
pub(super) const WORDS: &str = include_str!("../../../web/words.tsv");

type App = State<Arc<Shared>>;

/// All addresses.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let files = FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(move || async move { ([(header::CONTENT_TYPE, kind)], text) }))
    });
    files
        .route("/stream", get(stream))
        .route("/frame.jpg", get(frame_jpg))
        .route("/frame.png", get(frame_png))
        .route("/thumbnail/{index}", get(thumbnail))
        .route("/identity/{index}", get(identity_file).post(sealed_identity_file))
        .route("/socket", get(socket))
        .route("/command", post(run_command))
        .route("/cameras", get(cameras))
        .route("/enroll", post(enroll))
        .route("/background", post(background))
        .fallback(|| async { refuse(StatusCode::NOT_FOUND, "there is nothing at this address; the page is at /") })
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// Turns away who may not come in, and tells browsers what the page may do.
async fn guard(State(shared): App, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (mut response, entry) = match shared.gate.admit(&parts) {
        Ok(entry) => {
            // The work has bounds of its own; meanwhile the connection is not idle.
            let _answering =
                parts.extensions.get::<ConnectInfo<Line>>().map(|ConnectInfo(Line(line))| line.answering());
            (next.run(Request::from_parts(parts, body)).await, Some(entry))
        }
        Err(refusal) => (refuse(refusal.status, refusal.why), None),
    };
    let headers = response.headers_mut();
    let is_page = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if is_page
        && let Some(cookie) = entry.and_then(|entry| shared.gate.set_cookie(entry))
        && let Ok(cookie) = HeaderValue::from_str(&cookie)
    {
        headers.insert(header::SET_COOKIE, cookie);
    }
    if entry.is_some()
        && let Ok(run) = HeaderValue::from_str(shared.gate.run())
    {
        headers.insert(HeaderName::from_static("effigy-run"), run);
    }
    // Who brings the token may put the picture into a page of their own, such as one for OBS.
    let embedders = if matches!(entry, Some(Entry::Token | Entry::ViewToken)) { "cross-origin" } else { "same-origin" };
    for (name, value) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        ("cross-origin-resource-policy", embedders),
        ("cross-origin-opener-policy", "same-origin"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// An answer that says why not.
fn refuse(status: StatusCode, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], format!("effigy: {why}\n")).into_response()
}

fn busy() -> Response {
    refuse(StatusCode::TOO_MANY_REQUESTS, "too many ask at the same time; try again")
}

fn still() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "the run shows nothing at present")
}

/// An error of ours as an answer that a page can show.
fn failed(error: &Error) -> Response {
    let status = match error.kind() {
        ErrorKind::Photo => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Config => StatusCode::BAD_REQUEST,
        ErrorKind::DeviceBusy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer(status, &json!({ "error": error.to_string() }))
}

fn answer(status: StatusCode, value: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

async fn stream(State(shared): App, ConnectInfo(Line(line)): ConnectInfo<Line>) -> Response {
    let Some(watcher) = shared.watch() else { return busy() };
    let mut frames = shared.frames.clone();
    // What is there may be from the last time somebody watched.
    frames.mark_unchanged();
    let body = Body::from_stream(stream::body(frames, line, watcher));
    ([(header::CONTENT_TYPE, stream::MULTIPART)], body).into_response()
}

async fn frame_jpg(State(shared): App) -> Response {
    let Some(_watcher) = shared.watch().filter(|_| Shared::take(&shared.downloads)) else { return busy() };
    let mut frames = shared.frames.clone();
    // What is there may be from the last time somebody watched.
    frames.mark_unchanged();
    match timeout(PICTURE_TIME, stream::next(&mut frames)).await {
        Ok(Some(encoded)) => ([(header::CONTENT_TYPE, "image/jpeg")], encoded.jpeg()).into_response(),
        _ => still(),
    }
}

async fn frame_png(State(shared): App) -> Response {
    let Some(picture) = shared.ask_picture().filter(|_| Shared::take(&shared.downloads)) else { return busy() };
    let Ok(Ok(picture)) = timeout(PICTURE_TIME, picture).await else { return still() };
    let encoded = tokio::task::spawn_blocking(move || {
        let mut png = Vec::new();
        let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive)
            .write_image(picture.data(), width, height, ExtendedColorType::Rgba8)
            .map(|()| png)
    });
    match encoded.await {
        Ok(Ok(png)) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
        _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the picture cannot be encoded"),
    }
}

async fn thumbnail(State(shared): App, Path(index): Path<usize>) -> Response {
    let thumbnail = shared.gallery().get(index).map(|entry| entry.thumbnail.clone());
    match thumbnail {
        Some(jpeg) => ([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "there is no such identity"),
    }
}

async fn identity_file(State(shared): App, Path(index): Path<usize>) -> Response {
    give_identity(&shared, index, None).await
}

/// The same, sealed to the passphrase in the body: text, since an address would be remembered.
async fn sealed_identity_file(State(shared): App, Path(index): Path<usize>, request: Request) -> Response {
    // A form of another site can send text without being asked; JSON it cannot.
    let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let body = timeout(PICTURE_TIME, axum::body::to_bytes(request.into_body(), command::MAX_BYTES)).await;
    let given = body.ok().and_then(Result::ok).and_then(|bytes| serde_json::from_slice::<Passphrase>(&bytes).ok());
    match (is_json, given) {
        (true, Some(Passphrase { passphrase })) => match Seal::to_passphrase(passphrase) {
            Ok(seal) => give_identity(&shared, index, Some(seal)).await,
            Err(error) => failed(&error),
        },
        _ => refuse(StatusCode::BAD_REQUEST, "expected JSON as application/json: { \"passphrase\": \"some words\" }"),
    }
}

/// What seals a file.
#[derive(serde::Deserialize)]
struct Passphrase {
    passphrase: String,
}

/// Gives out the file of an identity that was enrolled on a page.
async fn give_identity(shared: &Shared, index: usize, seal: Option<Seal>) -> Response {
    if !Shared::take(&shared.downloads) {
        return busy();
    }
    let entry = shared.gallery().get(index).and_then(|entry| Some((entry.name.clone(), entry.unsaved.clone()?)));
    let Some((name, identity)) = entry else {
        return refuse(StatusCode::NOT_FOUND, "there is no such identity, or its file is where you took it from");
    };
    let stem: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match upload::file(identity, seal).await {
        Ok(bytes) => {
            let disposition = format!("attachment; filename=\"{stem}.effigy\"");
            let kind = "application/octet-stream".to_owned();
            ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)], bytes).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn socket(State(shared): App, upgrade: WebSocketUpgrade) -> Response {
    let Some(watcher) = shared.open_page() else { return busy() };
    upgrade
        .max_message_size(command::MAX_BYTES)
        .max_frame_size(command::MAX_BYTES)
        .max_write_buffer_size(1 << 20)
        .on_upgrade(move |socket| page::serve(socket, shared, watcher))
}

async fn run_command(State(shared): App, body: Body) -> Response {
    let body = timeout(PICTURE_TIME, axum::body::to_bytes(body, command::MAX_BYTES)).await;
    let text = body.ok().and_then(Result::ok).and_then(|bytes| String::from_utf8(bytes.into()).ok());
    let outcome = match text {
        Some(text) => page::obey(&shared, &text),
        None => Err(format!("a command has at most {} bytes of JSON", command::MAX_BYTES)),
    };
    match outcome {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(why) => answer(StatusCode::BAD_REQUEST, &json!({ "error": why })),
    }
}

/// The cameras of this machine, for who may change what drives.
async fn cameras(State(shared): App) -> Response {
    let Some(driving) = shared.figures.switch().map(SourceSwitch::driving) else {
        return refuse(StatusCode::NOT_FOUND, "what drives this run cannot be changed while it goes on");
    };
    let Ok(turn) = Arc::clone(&shared.listings).try_acquire_owned() else { return busy() };
    // The turn ends with the work, whoever still waits for it.
    let listing = tokio::task::spawn_blocking(move || (crate::capture::cameras(), turn).0);
    let Ok(found) = timeout(CAMERAS_TIME, listing).await else {
        return refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            "a camera's driver does not answer; unplug the camera and try again",
        );
    };
    let found = found.or_error(ErrorKind::Internal, || "the cameras cannot be listed".to_owned());
    let entries = match found.and_then(|list| list) {
        Ok(entries) => entries,
        Err(error) => return failed(&error),
    };
    let describe = |entry: &CameraEntry| {
        // The one in use cannot be asked, and has said it already.
        let used = driving.camera.as_ref().filter(|camera| camera.index == entry.index);
        let formats = used.map_or(&entry.formats, |camera| &camera.formats);
        let trouble = entry.trouble.as_ref().filter(|_| used.is_none());
        json!({
            "source": SourceSpec::Camera(entry.choice(&entries)).to_string(),
            "index": entry.index,
            "name": entry.name,
            "formats": formats.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "trouble": trouble.map(ToString::to_string),
        })
    };
    answer(StatusCode::OK, &json!({ "cameras": entries.iter().map(describe).collect::<Vec<_>>() }))
}

async fn enroll(State(shared): App, form: Result<Query<Form>, QueryRejection>, request: Request) -> Response {
    let Upload { photo, turn } = match take_upload(&shared, request).await {
        Ok(upload) => upload,
        Err(refusal) => return refusal,
    };
    let outcome = finish(turn, async move {
        let unreadable = || "expected name, basis, by and face with the photo".to_owned();
        let Query(form) = form.or_error(ErrorKind::Config, unreadable)?;
        upload::enroll(&shared, form, photo).await
    });
    let texts = |remarks: Vec<Remark>| remarks.iter().map(Remark::json).collect::<Vec<_>>();
    match outcome.await {
        Ok(upload::Outcome::Enrolled { index, remarks }) => {
            answer(StatusCode::CREATED, &json!({ "index": index, "remarks": texts(remarks) }))
        }
        Ok(upload::Outcome::Ask { remarks }) => answer(StatusCode::OK, &json!({ "ask": texts(remarks) })),
        Ok(upload::Outcome::Choose(choice)) => answer(StatusCode::OK, &json!({ "choose": choice })),
        Err(error) => failed(&error),
    }
}

async fn background(State(shared): App, request: Request) -> Response {
    let Upload { photo, turn } = match take_upload(&shared, request).await {
        Ok(upload) => upload,
        Err(refusal) => return refusal,
    };
    match finish(turn, async move { upload::background(&shared, photo).await }).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => failed(&error),
    }
}

/// A photo that has come, and the turn to work on it.
struct Upload {
    photo: Bytes,
    turn: OwnedSemaphorePermit,
}

/// Takes an upload, one at a time.
async fn take_upload(shared: &Shared, request: Request) -> Result<Upload, Response> {
    debug_assert_eq!(request.method(), Method::POST);
    // A form of another site can send text and forms without being asked; a picture it cannot.
    let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| kind.starts_with(b"image/")) {
        return Err(refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "send the picture itself, with its own type, such as image/jpeg",
        ));
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > upload::MAX_BYTES) {
        let why = format!("a picture has at most {} MB here", upload::MAX_BYTES >> 20);
        return Err(answer(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": why })));
    }
    let Ok(turn) = Arc::clone(&shared.uploads).try_acquire_owned() else {
        let why = "another picture is being worked on; try again in a moment";
        return Err(answer(StatusCode::TOO_MANY_REQUESTS, &json!({ "error": why })));
    };
    match upload::receive(request.into_body()).await {
        Ok(photo) => Ok(Upload { photo, turn }),
        Err(error) => Err(failed(&error)),
    }
}

/// Works on an upload to the end, also when who sent it goes away meanwhile: else a face could be kept for later runs that the
/// run never showed, and the next upload would begin beside this one.
async fn finish<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let task = tokio::spawn(async move {
        let outcome = work.await;
        drop(turn);
        outcome
    });
    task.await.or_error(ErrorKind::Internal, || "the work broke down, which is a defect of this program".to_owned())?
}
