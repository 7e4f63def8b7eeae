//! What can be typed: commands, options, their help. Help, completions and man page come from here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use effigy::capture::{CAMERA_RATES_HZ, CAMERA_SIDES_PX, FormatPreference, SourceSpec};
use effigy::composite::{Background, BadgeLanguage, BadgePlace};
use effigy::drive::{Motion, Strengths};
use effigy::microphone::MicrophoneSpec;
use effigy::sink::{Codec, SinkSpec};

mod backend;
pub(crate) mod bench;
mod browser;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod doctor;
pub(crate) mod enroll;
#[cfg(feature = "train")]
pub(crate) mod eval;
pub(crate) mod export;
mod frame;
pub(crate) mod identities;
pub(crate) mod keys;
mod live_window;
pub(crate) mod manual;
pub(crate) mod merge;
mod model;
mod names;
mod opener;
mod outputs;
mod people;
#[cfg(feature = "train")]
pub(crate) mod prepare;
mod remember;
pub(crate) mod render;
pub(crate) mod run;
pub(crate) mod seal;
mod settings;
pub(crate) mod start;
mod statement;
mod steering;
#[cfg(feature = "train")]
pub(crate) mod synth;
pub(crate) mod terminal;
#[cfg(feature = "train")]
pub(crate) mod train;
mod user;
pub(crate) mod verify;

/// Real-time face reenactment: one portrait, a live driver, the newest frame wins.
///
/// A portrait is enrolled once into an identity file. A camera or a clip then drives it live.
/// Everything stays on this machine; the camera's own picture never leaves the program.
/// Without a command it opens the control page.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

use backend::{Backend, Maker, MakerParser};
use model::{Model, ModelParser};
use names::{Names, parse_name, parse_names};

const EXAMPLES: &str = "Examples:
  effigy demo
  effigy enroll me.jpg -o me.effigy --consent self
  effigy run --identity me.effigy
  effigy run --identity me.effigy --source talk.mp4 --sink file:out.mp4

Exit codes: 0 done, 1 failed while running, 2 wrong usage, 130 interrupted
(what was written by then is complete).";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the program at work with the built-in portrait and driver
    Demo(DemoArgs),
    /// Make an identity file from a photo, or from several photos and clips of one person
    Enroll(enroll::EnrollArgs),
    /// Drive an identity with a camera or a clip
    Run(Box<RunArgs>),
    /// Render many clips to files, in parts and again after it was stopped
    Render(render::RenderArgs),
    /// Join what several processes made with --shard
    Merge(merge::MergeArgs),
    /// Write the network for engines of others: ONNX, Triton, MLServer, KServe
    Export(export::ExportArgs),
    /// List cameras, outputs, graphics cards and backends, and what to do about what is missing
    Devices(DevicesArgs),
    /// Check everything that a run needs, and say what to type about what is missing
    #[command(after_help = "Examples:\n  effigy doctor")]
    Doctor,
    /// Show, edit and set what is remembered
    Config(config::ConfigArgs),
    /// The library of identities
    Identities(identities::IdentitiesArgs),
    /// The keys of this machine: which sign identities and recordings
    Keys(keys::KeysArgs),
    /// Say where a picture, clip, stream or identity comes from
    Verify(verify::VerifyArgs),
    /// Take back the consent of an identity: it does not run on this machine any more
    Revoke(enroll::RevokeArgs),
    /// Seal an identity file to a passphrase or a key, so that who steals it cannot show it
    Seal(seal::SealArgs),
    /// Open a sealed identity file for good
    Unseal(seal::UnsealArgs),
    /// Measure how old the picture is: scenes, far ends, motion, other programs
    Bench(bench::BenchArgs),
    /// Render synthetic people with ground truth
    #[cfg(feature = "train")]
    Synth(synth::SynthArgs),
    /// Make a data set for training of clips and photos
    #[cfg(feature = "train")]
    Prepare(prepare::PrepareArgs),
    /// Train the generator
    #[cfg(feature = "train")]
    Train(train::TrainArgs),
    /// Measure how good the pictures are, against the truth
    #[cfg(feature = "train")]
    Eval(eval::EvalArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy demo
  effigy demo --out demo-files      files, even where there is a display")]
pub(crate) struct DemoArgs {
    /// Write demo.mp4 and contact-sheet.png into this folder instead of opening a window
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Size of the picture, in pixels a side: 512 or 1024
    #[arg(long, default_value = "512", value_name = "PIXELS", value_parser = parse_size())]
    pub(crate) size: usize,
    /// Write the run's figures to this file as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy run --identity me.effigy
  effigy run --identity me.effigy,ann.effigy --source camera:1 --background blur
  effigy run --identity me.effigy --sink http --sink window
  effigy run --identity me.effigy --sink window --sink vcam
  effigy run --identity me.effigy --size 1920x1080 --framing fill --zoom 1.2
  effigy run --identity me.effigy --source talk.mp4 --framing photo --sink file:out.mp4
  effigy run --identity me.effigy --source talk.mp4 --sink window --sink file:out.mp4
  effigy run --identity me.effigy --source talk.mp4 --sink file:out.mp4 --every-frame
  effigy run --identity me.effigy --background none --codec prores --sink file:out.mov
  effigy run --identity me.effigy --sink window --sink file:out.mp4 --microphone
  effigy run --identity me.effigy --model vae-gan            a founding family instead of effigy's own network
  effigy run --identity me.effigy --source rtsp://192.168.1.9/live --sink window
  effigy run --identity me.effigy,ann.effigy --faces 2       two people before the camera, side by side

  effigy run --identity me.effigy --source vmc:39540         motion of another program drives
  effigy run --identity me.effigy --source audio:talk.mp3 --sink file:out.mp4 --every-frame
  effigy run --identity me.effigy --source audio:microphone  your voice moves the mouth; no camera
  effigy run --identity me.effigy --sink vmc:127.0.0.1:39539 the driver's motion to VSeeFace, Warudo
  effigy run --profile stream --dry-run                      what holds, and where from

Settings (`effigy config`) are called as these options. The command line wins over a profile, that over the
settings file, that over how the last live run was left.

Keys in the window: 1-9 identity, C calibrate (look straight, rest your face),
M mirror, B background, V framing, R record, S take a picture,
+ and - zoom, arrows move the head, 0 neither,
L driver's landmarks, F figures, P panic card, Q quit.")]
pub(crate) struct RunArgs {
    /// Identity files, or names in the library (`effigy identities`), switched with the keys 1 to 9; may be repeated.
    /// Without any: those of the last run, or the whole library
    #[arg(long, value_name = "FILE[,FILE...]", value_parser = parse_names())]
    pub(crate) identity: Vec<Names>,
    #[command(flatten)]
    pub(crate) keys: opener::KeyArgs,
    /// Which of them is shown first: its number among those named, or in the library
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_first)]
    pub(crate) first: usize,
    /// How many people drive, 1 or 2: with 2 each face drives an identity of its own, the first two side by side, or in one
    /// photo of both with --framing photo. Two who come at once are taken from left to right
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) faces: u8,
    /// What drives: camera[:N|NAME], pattern, a clip's or picture's FILE, an address (rtsp://, http://, srt:// …),
    /// or - (a file from standard input);
    /// or motion of another program instead of a camera: vmc[:ADDRESS], ifm[:ADDRESS], motion:FILE.jsonl;
    /// or a voice, which moves the mouth: audio:FILE (.wav, .mp3, a clip with sound), audio:microphone[:NAME].
    /// A file that is called like one of these words is meant by ./camera
    #[arg(long, default_value = "camera", value_name = "SOURCE", value_parser = parse_name::<SourceSpec>())]
    pub(crate) source: SourceSpec,
    /// Where the picture goes: window, http[:ADDRESS] (control page, OBS), vcam[:DEVICE][@WxH] (v4l2loopback),
    /// pipewire[@WxH], file:OUT.mp4 (.mkv, .mov, .avi; with a clip's own sound), file:FOLDER/ (PNG sequence), null;
    /// or the driver's motion as numbers: vmc:HOST:PORT (VSeeFace, Warudo), ifm:HOST:PORT, motion:FILE.jsonl or .csv;
    /// may be repeated
    ///
    /// [default: window]
    #[arg(long, value_name = "SINK", value_parser = parse_name::<SinkSpec>())]
    pub(crate) sink: Vec<SinkSpec>,
    /// How a video file is coded: auto (H.264), h264, hevc, av1, prores or ffv1 (for editors, with alpha), or the name of
    /// one of FFmpeg's encoders
    #[arg(long, default_value = "auto", value_name = "CODEC")]
    pub(crate) codec: Codec,
    /// Where recordings and pictures go that are begun while the run goes on, by the key R or S, the page or OSC; nothing is
    /// written before
    ///
    /// [default: effigy in the folder for videos]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) record_to: Option<PathBuf>,
    /// Record what a microphone hears into the file, or into recordings begun by the key R, in step with the picture: the
    /// system's own choice, or one whose name holds NAME (`effigy devices`). Without this nothing is recorded; while the card
    /// is asked for the file is silent
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
    pub(crate) microphone: Option<MicrophoneSpec>,
    /// Let other machines reach the control page, OSC and motion that comes in; everyone who learns the page's address and
    /// token can watch, steer and have recordings written here
    #[arg(long)]
    pub(crate) allow_remote: bool,
    #[command(flatten)]
    pub(crate) steering: steering::SteeringArgs,
    #[command(flatten)]
    pub(crate) frame: frame::FrameArgs,
    /// What makes the picture; or, in a build with the feature `remote`, a server with a graphics card:
    /// remote:grpc://HOST:PORT[/MODEL] (grpcs, http, https), and this machine while that is silent (docs/remote.md)
    #[arg(long, default_value = "auto", value_name = "BACKEND", value_parser = MakerParser)]
    pub(crate) backend: Maker,
    /// Which network makes it; or pack:DIR, networks of others as ONNX files (docs/packs.md)
    #[arg(long, value_name = "MODEL", default_value = "own", value_parser = ModelParser)]
    pub(crate) model: Model,
    /// The network's weights, of `effigy train`; otherwise those inside the program
    #[arg(long, value_name = "FILE.safetensors")]
    pub(crate) weights: Option<PathBuf>,
    /// Whether the driver's pose counts from its neutral or as it is
    #[arg(long, value_enum, default_value_t)]
    pub(crate) motion: Motion,
    #[command(flatten)]
    pub(crate) strengths: StrengthArgs,
    /// Follow the face's mesh alone, not how hair, ears and lids move beside it, nor light and shade: for slow processors
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) mesh_only: bool,
    /// Hold what a hand, a cup or a microphone covers of the driver's face as it was last seen; rendered faces are sometimes
    /// taken for covered
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) hold_covered: bool,
    /// What is behind the person: own, blur, #RRGGBB, a picture's FILE, or none (transparent)
    /// [default: own]
    #[arg(long, value_name = "BACKGROUND", value_parser = OsStringValueParser::new().try_map(|name| parse_background(&name)))]
    pub(crate) background: Option<Background>,
    /// Mirror the picture
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) mirror: bool,
    /// What the face is shown for, where the identity's consent is limited to something
    #[arg(long, value_name = "PURPOSE")]
    pub(crate) purpose: Option<String>,
    /// Leave out the visible AI mark; for identities of oneself or of synthetic people only
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) no_badge: bool,
    /// The corner of the visible AI mark; it leaves it while the mouth is there
    #[arg(long, value_enum, value_name = "CORNER", default_value_t)]
    pub(crate) badge_place: BadgePlace,
    /// The language of the visible AI mark: its word is AI, KI, IA, AI合成, AI生成 or ИИ
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value_t)]
    pub(crate) badge_language: BadgeLanguage,
    /// Write files without the signed manifest that says what made them (`effigy keys`); the invisible mark stays
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) unsigned: bool,
    /// Start a clip again when it ends
    #[arg(long = "loop", value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) looped: bool,
    /// Render every frame of a clip and drop none, however long it takes: the same pictures each time
    #[arg(long)]
    pub(crate) every_frame: bool,
    /// Pixel format to ask a camera for: auto, mjpeg, yuyv or nv12
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    pub(crate) camera_format: FormatPreference,
    /// Size to ask a camera for
    #[arg(long, default_value = "640x480", value_name = "WxH", value_parser = parse_camera_size)]
    pub(crate) camera_size: (usize, usize),
    /// Frames a second to ask a camera for
    #[arg(long, default_value = "30", value_name = "HZ", value_parser = parse_camera_rate)]
    pub(crate) camera_rate: f64,
    /// Draw frame number and time over the picture's upper edge, for `effigy bench watch`
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, hide_possible_values = true, action = ArgAction::Set)]
    pub(crate) stamp: bool,
    /// End after this many seconds; with --every-frame, after as many of the clip
    #[arg(long, value_name = "SECONDS", value_parser = parse_secs)]
    pub(crate) duration: Option<f64>,
    /// Write the run's figures to this file as JSON
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
    /// Take this profile of the settings first (`effigy config edit`)
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Leave out the settings and how the last run was left, and do not remember this one
    #[arg(long)]
    pub(crate) no_settings: bool,
    /// Print what holds and where each value comes from, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// What holds beside what was typed.
    #[arg(skip)]
    pub(crate) held: settings::Held,
    /// Whether the control page is opened in a browser.
    #[arg(skip)]
    pub(crate) opens_page: bool,
}

/// How strongly the parts of the driver's motion are carried over.
#[derive(Args, Debug)]
pub(crate) struct StrengthArgs {
    /// How strongly all motion is carried over, 0 to 2; multiplies those of the parts
    #[arg(long, default_value_t = 1.0, value_parser = parse_strength)]
    strength: f32,
    /// Turns, place and size of the head, 0 to 2
    #[arg(long, value_name = "STRENGTH", default_value_t = 1.0, value_parser = parse_strength)]
    head: f32,
    /// Where the eyes look, 0 to 2
    #[arg(long, value_name = "STRENGTH", default_value_t = 1.0, value_parser = parse_strength)]
    gaze: f32,
    /// Lids and the folds around the eyes, 0 to 2
    #[arg(long, value_name = "STRENGTH", default_value_t = 1.0, value_parser = parse_strength)]
    lids: f32,
    /// Brows, 0 to 2
    #[arg(long, value_name = "STRENGTH", default_value_t = 1.0, value_parser = parse_strength)]
    brows: f32,
    /// Mouth, jaw and cheeks, 0 to 2
    #[arg(long, value_name = "STRENGTH", default_value_t = 1.0, value_parser = parse_strength)]
    mouth: f32,
    /// How much of the photo's own expression stays when the driver rests, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub(crate) keep_expression: f32,
    /// How far the gaze is drawn to the viewer, 0 to 1: at 1 the portrait always looks at them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    pub(crate) eye_contact: f32,
    /// Show the portrait so many milliseconds ahead of the driver's frame, 0 to 120: a picture looks younger than it is, and
    /// fast motion may shoot past its end a little. One to three frames are a good start, such as 66
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = parse_predict)]
    pub(crate) predict: f32,
}

impl StrengthArgs {
    pub(crate) fn strengths(&self) -> Strengths {
        let &Self { strength: whole, head, gaze, lids, brows, mouth, keep_expression: _, eye_contact: _, predict: _ } =
            self;
        Strengths { whole, head, gaze, lids, brows, mouth }
    }
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy devices
  effigy devices --model small      the network's layers, shapes, multiplications and memory")]
pub(crate) struct DevicesArgs {
    /// Print the layers of this network instead
    #[arg(long, value_enum, value_name = "SIZE")]
    pub(crate) model: Option<ModelSize>,
}

/// How large the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModelSize {
    /// For processors: at most 1 billion multiplications a frame
    Small,
    /// For graphics cards: at most 6 billion
    Large,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy completions bash > ~/.local/share/bash-completion/completions/effigy")]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder to write to: one page for the program, one for each command
    pub(crate) dir: PathBuf,
}

/// Accepts the sizes that the pipeline makes.
fn parse_size() -> ValueParser {
    ValueParser::new(|text: &str| match text {
        "512" => Ok(512_usize),
        "1024" => Ok(1024),
        _ => Err("expected 512 or 1024, the pixels of each side"),
    })
}

fn parse_first(text: &str) -> Result<usize, String> {
    let fits = |n: &usize| (1..=effigy::pipeline::MAX_IDENTITIES).contains(n);
    text.parse().ok().filter(fits).ok_or_else(|| "expected a whole number, counted from 1".to_owned())
}

fn parse_camera_size(text: &str) -> Result<(usize, usize), String> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    sides
        .filter(|(width, height)| CAMERA_SIDES_PX.contains(width) && CAMERA_SIDES_PX.contains(height))
        .ok_or_else(|| "expected WIDTHxHEIGHT with sides from 64 to 7680 pixels, such as 640x480".to_owned())
}

fn parse_camera_rate(text: &str) -> Result<f64, String> {
    let fits = |rate: &f64| (f64::from(*CAMERA_RATES_HZ.start())..=f64::from(*CAMERA_RATES_HZ.end())).contains(rate);
    let rate = text.parse().ok().filter(fits);
    rate.ok_or_else(|| "expected a number of frames a second from 1 to 240".to_owned())
}

fn parse_strength(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(strength) if (0.0..=2.0).contains(&strength) => Ok(strength),
        _ => Err("expected a number from 0 to 2".to_owned()),
    }
}

fn parse_share(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

pub(crate) fn parse_predict(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(ahead_ms) if (0.0..=effigy::drive::MAX_PREDICT_MS).contains(&ahead_ms) => Ok(ahead_ms),
        _ => Err(format!("expected a number of milliseconds from 0 to {}", effigy::drive::MAX_PREDICT_MS)),
    }
}

fn parse_secs(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(secs) if secs > 0.0 && secs < 1e9 => Ok(secs),
        _ => Err("expected a number of seconds above 0 and below 1e9".to_owned()),
    }
}

/// Accepts numbers from `least` to `most`.
#[cfg(feature = "train")]
fn within<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    move |text| match text.parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(format!("expected a number from {least} to {most}")),
    }
}

fn parse_background(name: &OsStr) -> Result<Background, String> {
    let text = name.to_str().unwrap_or_default();
    let colour = |digits: &str| -> Result<Background, String> {
        let colour = u32::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 6);
        let advice = "expected a colour as #RRGGBB, such as '#00b140'; a picture that is called so is meant by ./#…";
        let colour = colour.ok_or(advice)?.to_be_bytes();
        Ok(Background::Colour([colour[1], colour[2], colour[3]]))
    };
    let background = match text {
        "own" => Background::Own,
        "blur" => Background::Blur,
        "none" => Background::None,
        _ => match text.strip_prefix('#') {
            Some(digits) => colour(digits)?,
            None => Background::Picture(
                effigy::photo::read(name.as_ref())
                    .map_err(|error| format!("expected own, blur, none, #RRGGBB or a picture's file: {error}"))?,
            ),
        },
    };
    if !matches!(background, Background::Picture(_)) && Path::new(name).is_file() {
        log::warn!("`{text}` is no file's name for --background; the picture that is called so is meant by ./{text}");
    }
    Ok(background)
}
