//! `effigy demo`: the program at work with what it carries with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use effigy::capture::{self, ClipSource, SourceOptions, SourceSpec};
use effigy::composite::CompositeOptions;
use effigy::credentials::Statement;
use effigy::demo::DRIVER_MP4;
use effigy::drive::DriveOptions;
use effigy::error::OrError as _;
use effigy::identity::DisclosedConsent;
use effigy::sink::{Codec, SinkSpec};
use effigy::{ErrorKind, Result, Rgb, photo};

use super::run::{self, Makers, Stage};
use super::steering::SteeringArgs;
use super::{Backend, DemoArgs, Maker, devices, keys, outputs, people};

/// Pairs of driver and result on the contact sheet.
const N_PAIRS: usize = 8;
/// Size of one picture on the contact sheet, in pixels a side.
const CELL_PX: usize = 256;

/// Shows the demo in a window, or writes it to files.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    if let Some(path) = &args.report {
        outputs::check_writable(path)?;
    }
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from("effigy-demo"));
    let in_window = args.out.is_none() && devices::has_display();
    if !in_window {
        std::fs::create_dir_all(&folder)
            .or_error(ErrorKind::Io, || format!("cannot make the folder {}", folder.display()))?;
    }
    let identities = people::enroll()?;
    let consents = identities.iter().map(|identity| DisclosedConsent::of(identity)).take(1).collect();
    let generator = run::open_generator(&Maker::Here(Backend::Auto), None, args.size, false)?;
    let makers = Makers { generator, beside: None };
    let source = capture::open(&SourceSpec::Pattern, &SourceOptions { looped: in_window, ..SourceOptions::default() })?;
    let stage = Stage {
        size_px: args.size,
        every_frame: false,
        frame_rate_hz: source.frame_rate_hz().unwrap_or(30.0),
        duration: (!in_window).then(|| std::time::Duration::from_secs(10)),
        stamp: false,
        allow_remote: false,
        codec: Codec::Auto,
        microphone: None,
        shares_microphone: false,
        record_to: None,
        opens_page: false,
        is_first_use: false,
        library: None,
        cameras: Vec::new(),
        steering: SteeringArgs::default(),
        first: 0,
        purpose: None,
        is_motion: false,
        tracking: effigy::face::TrackerOptions::default(),
        figures: Arc::default(),
        unsigned: false,
    };
    let composite = CompositeOptions { size_px: args.size, ..CompositeOptions::default() };
    let drive = DriveOptions::default();
    if in_window {
        log::info!(
            "keys: 1-{} portrait, C calibrate, M mirror, B background, L landmarks, F figures, P card, Q quit",
            identities.len()
        );
        let report = stage.play(source, makers, drive, composite, identities, &[SinkSpec::Window])?;
        run::summarize(&report, true);
        return args.report.as_deref().map_or(Ok(()), |path| run::write_report(&report, path));
    }

    if args.out.is_none() {
        log::info!("no display here: the demo goes to files");
    }
    let video = folder.join("demo.mp4");
    log::info!("ten seconds, at the driver's own pace");
    let report = stage.play(source, makers, drive, composite, identities, &[SinkSpec::Video(video.clone())])?;
    let sheet = folder.join("contact-sheet.png");
    photo::write_png(&sheet, &contact_sheet(&video)?)?;
    // Its cells are scaled down, and half of them show the driver: the recording's mark is not stated of it.
    keys::sign_still(&sheet, &Statement { mark: None, consents });
    run::summarize(&report, true);
    log::info!("video: {}", video.display());
    log::info!("driver and result side by side: {}", sheet.display());
    args.report.as_deref().map_or(Ok(()), |path| run::write_report(&report, path))
}

/// Pairs of driver and result at even distances, two pairs a row.
///
/// The driver is read from its clip once more: what the pipeline saw never leaves it.
fn contact_sheet(result: &Path) -> Result<Rgb> {
    let times_secs: Vec<f64> = (0..N_PAIRS).map(|pair| 0.6 + 9.0 * pair as f64 / (N_PAIRS - 1) as f64).collect();
    let scratch = driver_file()?;
    let drivers = ClipSource::pictures_at(&scratch, &times_secs);
    // Removing it matters to nobody if it fails: it lies in the system's temporary folder.
    let _ = std::fs::remove_file(scratch);
    let results = ClipSource::pictures_at(result, &times_secs)?;
    let mut sheet = Rgb::new(4 * CELL_PX, N_PAIRS / 2 * CELL_PX);
    for (pair, (driver, result)) in drivers?.iter().zip(&results).enumerate() {
        let (x, y) = (pair % 2 * 2 * CELL_PX, pair / 2 * CELL_PX);
        paste(driver, &mut sheet, x, y);
        paste(result, &mut sheet, x + CELL_PX, y);
    }
    Ok(sheet)
}

/// Writes the driver's clip to where it can be opened by its name.
fn driver_file() -> Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("effigy-driver-{}.mp4", std::process::id()));
    std::fs::write(&path, DRIVER_MP4).or_error(ErrorKind::Io, || format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// Pastes a picture, scaled to a cell by the mean of what each pixel covers.
fn paste(picture: &Rgb, sheet: &mut Rgb, left: usize, top: usize) {
    let (width, height, sheet_width) = (picture.width_px(), picture.height_px(), sheet.width_px());
    if width == 0 || height == 0 {
        return;
    }
    for y in 0..CELL_PX {
        for x in 0..CELL_PX {
            let columns = x * width / CELL_PX..((x + 1) * width).div_ceil(CELL_PX);
            let rows = y * height / CELL_PX..((y + 1) * height).div_ceil(CELL_PX);
            let n = (columns.len() * rows.len()) as u32;
            let mut sum = [0_u32; 3];
            for row in rows {
                for column in columns.clone() {
                    for (sum, value) in sum.iter_mut().zip(picture.pixel(column, row)) {
                        *sum += u32::from(value);
                    }
                }
            }
            let at = ((top + y) * sheet_width + left + x) * 3;
            sheet.data_mut()[at..at + 3].copy_from_slice(&sum.map(|sum| (sum / n) as u8));
        }
    }
}
