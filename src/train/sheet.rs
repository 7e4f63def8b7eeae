//! Pictures of a training: sheets of samples, curves of the log.

use std::path::Path;

use opencv::core::{Point, Scalar};
use opencv::imgproc::{FONT_HERSHEY_SIMPLEX, LINE_AA, put_text};

use crate::error::{ErrorKind, OrError as _, Result};
use crate::frame::Rgb;
use crate::photo;

/// Writes pictures (3, s, s), 0..1, row by row into one.
///
/// # Errors
/// [`ErrorKind::Io`] when it cannot be written.
pub fn write(path: &Path, rows: &[Vec<Vec<f32>>], size_px: usize) -> Result<()> {
    let n_columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut sheet = Rgb::new((n_columns * size_px).max(1), (rows.len() * size_px).max(1));
    let (width, n) = (sheet.width_px(), size_px * size_px);
    for (row, pictures) in rows.iter().enumerate() {
        for (column, picture) in pictures.iter().enumerate() {
            for i in 0..n {
                let (x, y) = (column * size_px + i % size_px, row * size_px + i / size_px);
                for c in 0..3 {
                    let value = picture[c * n + i].clamp(0.0, 1.0);
                    sheet.data_mut()[3 * (y * width + x) + c] = (value * 255.0 + 0.5) as u8;
                }
            }
        }
    }
    photo::write_png(path, &sheet)
}

/// Width and height of a plot, in pixels.
const PLOT_PX: (usize, usize) = (900, 300);
/// Colours of the curves.
const COLOURS: [[u8; 3]; 6] =
    [[220, 60, 60], [60, 120, 220], [60, 160, 80], [230, 150, 40], [150, 80, 190], [90, 90, 90]];

const GREY: [u8; 3] = [90, 90, 90];

/// Draws the log: above the loss, below the gain over the warp in dB of the whole picture (red), the
/// mouth (blue) and the eyes (green); a grey line is 0 dB, light ones are 1 dB apart.
///
/// # Errors
/// [`ErrorKind::Io`] when the log cannot be read or the picture not written.
pub fn curves(log: &Path, path: &Path) -> Result<()> {
    let text = std::fs::read_to_string(log).or_error(ErrorKind::Io, || format!("cannot read {}", log.display()))?;
    let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let number = |line: &serde_json::Value, pointer: &str| line.pointer(pointer).and_then(serde_json::Value::as_f64);
    let series = |pointers: &[&str], value: &dyn Fn(&[f64]) -> f64| -> Vec<(f64, f64)> {
        let point = |line: &serde_json::Value| {
            let values: Option<Vec<f64>> = pointers.iter().map(|pointer| number(line, pointer)).collect();
            Some((number(line, "/step")?, value(&values?)))
        };
        lines.iter().filter_map(point).collect()
    };
    let losses = [series(&["/loss"], &|v| v[0])];
    let gains = ["whole", "mouth", "eyes"].map(|region| {
        let pointers = [format!("/validation/{region}/network_db"), format!("/validation/{region}/warp_db")];
        series(&[&pointers[0], &pointers[1]], &|v| v[0] - v[1])
    });
    let mut picture = Rgb::new(PLOT_PX.0, 2 * PLOT_PX.1);
    picture.data_mut().fill(255);
    plot(&mut picture, 0, &losses, &[])?;
    let grid: Vec<f64> = (-6..=8).map(f64::from).collect();
    plot(&mut picture, PLOT_PX.1, &gains, &grid)?;
    let n_steps = lines.iter().filter_map(|line| number(line, "/step")).fold(0.0, f64::max);
    label(&mut picture, &format!("loss of single steps; to the right step {n_steps}"), (60, 18), GREY)?;
    label(&mut picture, "dB above the warp:", (60, PLOT_PX.1 + 18), GREY)?;
    for ((name, colour), x) in ["whole", "mouth", "eyes"].into_iter().zip(COLOURS).zip([215, 270, 330]) {
        label(&mut picture, name, (x, PLOT_PX.1 + 18), colour)?;
    }
    photo::write_png(path, &picture)
}

/// Writes a line of text that begins at a place, in pixels.
fn label(picture: &mut Rgb, text: &str, (x, y): (usize, usize), colour: [u8; 3]) -> Result<()> {
    let [r, g, b] = colour.map(f64::from);
    let (place, colour) = (Point::new(x as i32, y as i32), Scalar::new(r, g, b, 0.0));
    put_text(&mut picture.as_mat_mut()?, text, place, FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, LINE_AA, false)?;
    Ok(())
}

fn plot(picture: &mut Rgb, top: usize, curves: &[Vec<(f64, f64)>], grid: &[f64]) -> Result<()> {
    let points = || curves.iter().flatten();
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let (low, high) = points().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.1), high.max(p.1)));
    if low > high {
        return Ok(());
    }
    let (low, high) = (low - 0.1, high + 0.1);
    let (width, height) = PLOT_PX;
    let place = |p: (f64, f64)| {
        let x = p.0 / last * (width - 20) as f64 + 10.0;
        let y = (high - p.1) / (high - low) * (height - 20) as f64 + 10.0 + top as f64;
        (x, y)
    };
    let mut dot = |x: f64, y: f64, colour: [u8; 3]| {
        let (x, y) = (x as usize, y as usize);
        if x < width && (top..top + height).contains(&y) {
            picture.data_mut()[3 * (y * width + x)..][..3].copy_from_slice(&colour);
        }
    };
    for &value in grid.iter().filter(|&&value| (low..high).contains(&value)) {
        let shade = if value == 0.0 { 120 } else { 225 };
        for x in 10..width - 10 {
            dot(x as f64, place((0.0, value)).1, [shade; 3]);
        }
    }
    for (curve, colour) in curves.iter().zip(COLOURS) {
        for pair in curve.windows(2) {
            let ((x0, y0), (x1, y1)) = (place(pair[0]), place(pair[1]));
            let n = (x1 - x0).abs().max((y1 - y0).abs()).ceil().max(1.0);
            for i in 0..=n as usize {
                let t = i as f64 / n;
                let (x, y) = (x0 + (x1 - x0) * t, y0 + (y1 - y0) * t);
                dot(x, y, colour);
                dot(x, y + 1.0, colour);
            }
        }
    }
    for &value in grid.iter().filter(|&&value| (low..high).contains(&value)) {
        label(picture, &format!("{value}"), (12, (place((0.0, value)).1 as usize).max(top + 16) - 3), GREY)?;
    }
    Ok(())
}
