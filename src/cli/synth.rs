//! `effigy synth`: synthetic people with ground truth.

use std::path::{Path, PathBuf};

use super::{terminal, within};
use clap::{Args, Subcommand};
use effigy::error::OrError as _;
use effigy::face::MESH_POINTS_CM;
use effigy::shard::Shard;
use effigy::studio::clip::ClipWriter;
use effigy::studio::dataset::{self, Plan};
use effigy::studio::head_model::HeadModel;
use effigy::studio::landmarks;
use effigy::studio::math::{V3, v3};
use effigy::studio::motion::Motion;
use effigy::studio::person::{Person, Studio};
use effigy::studio::render::{Frame, Quality, Renderer};
use effigy::studio::scene::Scene;
use effigy::studio::{check, demo};
use effigy::{ErrorKind, Result, Rgb, photo};

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy synth data --head ict_facekit.npz -o people --people 400 --frames 50
  effigy synth clip --head ict_facekit.npz -o talk.mp4 --person 7 --motion 3
  effigy synth clip --head ict_facekit.npz -o same-motion.mp4 --person 8 --motion 3 --scene 7
  effigy synth check --head ict_facekit.npz --people 200 --frames 10

The head model is ICT-FaceKit as one .npz file; models/studio/README.md says where to get it and how
to pack it.")]
pub(crate) struct SynthArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Args, Debug)]
struct Head {
    /// The head model: ICT-FaceKit packed as .npz
    #[arg(long, value_name = "FILE.npz")]
    head: PathBuf,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Write clips of many people for training; can be stopped and goes on where it was
    Data {
        #[command(flatten)]
        head: Head,
        /// The folder to write to
        #[arg(short, long)]
        output: PathBuf,
        /// How many people
        #[arg(long, default_value_t = 400, value_parser = within(1_u64, 1_000_000))]
        people: u64,
        /// Frames of each person
        #[arg(long, default_value_t = 50, value_parser = within(1_u64, 1_000_000))]
        frames: u64,
        /// Seed of the first person
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// Width and height in pixels: even, from 64 to 2048
        #[arg(long, default_value_t = 256, value_parser = parse_side)]
        size: usize,
        /// Frames a second; without it each frame is a random instant
        #[arg(long, value_parser = within(0.1_f32, 240.0))]
        rate: Option<f32>,
        /// Add to every clip the same motion, light, background and camera with another person
        #[arg(long)]
        cross: bool,
        /// Render one part of N only: the clips I, I + N, I + 2 N …, counted from 0, into the same folder or another
        #[arg(long, value_name = "I/N", default_value_t)]
        shard: Shard,
    },
    /// Write one clip with its truth beside it
    Clip {
        #[command(flatten)]
        head: Head,
        /// The video to write; the truth goes to the same name with .jsonl
        #[arg(short, long, value_name = "OUT.mp4")]
        output: PathBuf,
        /// Seed of the person
        #[arg(long, default_value_t = 0)]
        person: u64,
        /// Seed of light, background, camera and clothes; otherwise the person's
        #[arg(long)]
        scene: Option<u64>,
        /// Seed of the motion; otherwise the person's
        #[arg(long)]
        motion: Option<u64>,
        /// Length in seconds
        #[arg(long, default_value_t = 10.0, value_parser = within(0.01_f32, 86_400.0))]
        secs: f32,
        /// Frames a second
        #[arg(long, default_value_t = 30.0, value_parser = within(1.0_f32, 240.0))]
        rate: f32,
        /// Width and height in pixels: even, from 64 to 2048
        #[arg(long, default_value_t = 512, value_parser = parse_side)]
        size: usize,
    },
    /// Write the demo's portraits and driver
    Demo {
        #[command(flatten)]
        head: Head,
        /// The folder to write to
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Draw a contact sheet of 48 random people
    Sheet {
        #[command(flatten)]
        head: Head,
        /// The JPEG file to write
        #[arg(short, long, value_name = "OUT.jpg")]
        output: PathBuf,
        /// Seed of the first person
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
    /// Compute the table of the tracker's points on the head model
    Register {
        #[command(flatten)]
        head: Head,
        /// The table to write
        #[arg(short, long, value_name = "OUT.json")]
        output: PathBuf,
        /// Mean offsets of the tracker's points, in centimetres, to add along the surface
        #[arg(long, value_name = "FILE.json")]
        bias: Option<PathBuf>,
    },
    /// Compare what the tracker sees in random renders with the truth
    Check {
        #[command(flatten)]
        head: Head,
        /// How many people
        #[arg(long, default_value_t = 200, value_parser = within(1_u64, 1_000_000))]
        people: u64,
        /// Frames of each person
        #[arg(long, default_value_t = 10, value_parser = within(1_u64, 1_000_000))]
        frames: u64,
        /// Seed of the first person
        #[arg(long, default_value_t = 0)]
        first: u64,
    },
}

fn parse_side(text: &str) -> std::result::Result<usize, String> {
    match text.parse() {
        Ok(side) if (64..=2048).contains(&side) && side % 2 == 0 => Ok(side),
        _ => Err("expected an even number of pixels from 64 to 2048".to_owned()),
    }
}

/// Renders what was asked for.
pub(crate) fn run(args: &SynthArgs) -> Result<()> {
    match &args.what {
        What::Data { head, output, people, frames, first, size, rate, cross, shard } => {
            let plan = Plan {
                first_person: *first,
                n_people: *people,
                n_frames: *frames,
                side_px: *size,
                step_secs: rate.map_or(0.0, |rate| 1.0 / rate.max(0.1)),
                cross_identity: *cross,
                shard: *shard,
                ..Plan::default()
            };
            data(&Studio::load(&head.head)?, &plan, output)
        }
        What::Clip { head, output, person, scene, motion, secs, rate, size } => {
            let studio = Studio::load(&head.head)?;
            let someone = Person::sample(*person, &studio);
            let quality = Quality { side_px: *size, samples: 2 };
            let mut renderer = Renderer::new(&studio, &someone, Scene::sample(scene.unwrap_or(*person)), quality);
            let motion = Motion::sample(motion.unwrap_or(*person));
            let n_frames = (secs * rate).round().max(1.0) as u64;
            let bar = terminal::bar(n_frames, "frames");
            let mut clip = ClipWriter::create(output, *size, f64::from(*rate))?;
            let mut rendering = std::time::Duration::ZERO;
            for i in 0..n_frames {
                let begun = std::time::Instant::now();
                let frame = renderer.render(&motion.at(i as f32 / rate), i);
                rendering += begun.elapsed();
                clip.write(&frame)?;
                bar.inc(1);
            }
            bar.finish_and_clear();
            let rate_hz = n_frames as f64 / rendering.as_secs_f64().max(1e-9);
            log::info!("{n_frames} frames of {size} x {size} in {}: rendered {rate_hz:.1} a second", output.display());
            clip.finish()
        }
        What::Demo { head, output } => write_demo(&Studio::load(&head.head)?, output),
        What::Sheet { head, output, first } => {
            let studio = Studio::load(&head.head)?;
            let bar = terminal::bar(48, "people");
            let jpeg = dataset::contact_sheet(&studio, *first, [8, 6], 192, |n| bar.set_position(n as u64))?;
            std::fs::write(output, jpeg).or_error(ErrorKind::Io, || format!("cannot write {}", output.display()))
        }
        What::Register { head, output, bias } => register(&head.head, output, bias.as_deref()),
        What::Check { head, people, frames, first } => {
            let studio = Studio::load(&head.head)?;
            let bar = terminal::bar(people * frames, "frames");
            let agreement = check::compare(&studio, *first..first + people, *frames, |n| bar.set_position(n))?;
            bar.finish_and_clear();
            terminal::print(format!("{agreement}\n").as_bytes())
        }
    }
}

fn register(head: &Path, output: &Path, bias: Option<&Path>) -> Result<()> {
    let model = HeadModel::load(head)?;
    let canonical: Vec<V3> = MESH_POINTS_CM.iter().map(|p| v3(p.x, p.y, p.z)).collect();
    let mut table = landmarks::register(&model, &canonical);
    if let Some(path) = bias {
        let about = || format!("expected 468 offsets of three numbers in {}", path.display());
        let text = effigy::files::read_text(path, 1 << 20).or_error(ErrorKind::Io, about)?;
        let offsets: Vec<[f32; 3]> = serde_json::from_str(&text).or_error(ErrorKind::Config, about)?;
        landmarks::shift(&model, &mut table, &offsets);
    }
    let text = serde_json::to_string(&table).or_error(ErrorKind::Internal, || "cannot write the table".to_owned())?;
    std::fs::write(output, text).or_error(ErrorKind::Io, || format!("cannot write {}", output.display()))
}

fn data(studio: &Studio, plan: &Plan, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).or_error(ErrorKind::Io, || format!("cannot make {}", folder.display()))?;
    let bar = terminal::bar(dataset::clips(plan).len() as u64, "clips");
    let mut n_bytes = 0;
    dataset::write(studio, plan, folder, |progress| {
        bar.set_position(progress.n_done);
        n_bytes = progress.bytes;
        true
    })?;
    bar.finish_and_clear();
    log::info!("{} clips, {:.1} MB in {}", dataset::clips(plan).len(), n_bytes as f64 / 1e6, folder.display());
    Ok(())
}

fn write_demo(studio: &Studio, folder: &Path) -> Result<()> {
    /// Length of the driver, in seconds, and its rate.
    const DRIVER_SECS: u64 = 10;
    const DRIVER_HZ: u64 = 30;
    std::fs::create_dir_all(folder).or_error(ErrorKind::Io, || format!("cannot make {}", folder.display()))?;
    for (seed, letter) in demo::PORTRAITS.into_iter().zip("abc".chars()) {
        let picture = picture(demo::portrait(studio, seed))?;
        photo::write_png(&folder.join(format!("portrait_{letter}.png")), &picture)?;
    }
    let bar = terminal::bar(DRIVER_SECS * DRIVER_HZ, "frames");
    let mut clip = ClipWriter::create(&folder.join("driver.mp4"), demo::QUALITY.side_px, DRIVER_HZ as f64)?;
    let mut outcome = Ok(());
    demo::driver(studio, DRIVER_HZ as f32, DRIVER_SECS * DRIVER_HZ, |_, frame| {
        outcome = clip.write(&frame);
        bar.inc(1);
        outcome.is_ok()
    });
    outcome.and(clip.finish())
}

fn picture(frame: Frame) -> Result<Rgb> {
    Rgb::from_data(frame.side_px, frame.side_px, frame.rgb)
}
