//! The log of a training as plots.

use std::path::Path;

use serde_json::Value;

use effigy_base::error::{ErrorKind, OrError as _, Result};
use effigy_base::plot::{self, COLOURS, Plot};

/// A curve: points (step, value).
pub type Curve = Vec<(f64, f64)>;

/// The lines of a log, each a JSON object; torn ones are passed over.
///
/// # Errors
/// [`ErrorKind::Io`] when it cannot be read.
pub fn log_lines(log: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(log).or_error(ErrorKind::Io, || format!("cannot read {}", log.display()))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// What a function makes of the numbers at these JSON pointers, for each line that has them all.
pub fn curve(lines: &[Value], pointers: &[&str], value: impl Fn(&[f64]) -> f64) -> Curve {
    let number = |line: &Value, pointer: &str| line.pointer(pointer).and_then(Value::as_f64);
    let point = |line: &Value| {
        let values: Option<Vec<f64>> = pointers.iter().map(|pointer| number(line, pointer)).collect();
        Some((number(line, "/step")?, value(&values?)))
    };
    lines.iter().filter_map(point).collect()
}

/// A plot of curves over steps, each with its name; `None` when there is not a point.
pub fn plotted(curves: &[(&str, Curve)], what: &str) -> Option<Plot> {
    let points = || curves.iter().flat_map(|(_, curve)| curve);
    points().next()?;
    let last = points().map(|p| p.0).fold(1.0, f64::max);
    let (low, high) = points().fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p.1), high.max(p.1)));
    let mut plot = Plot::new((0.0, last), (low, high), "step", what);
    if low < 0.0 && high > 0.0 {
        plot.level(0.0, "#888");
    }
    for (i, ((name, curve), colour)) in curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
        plot.line(curve.iter().copied(), colour);
        plot.coloured_text((last * (0.02 + 0.14 * i as f64), high), name, colour);
    }
    Some(plot)
}

/// Draws the log of [`crate::teach`] as SVG: the loss, and the gain over the warp in dB of the whole picture, the mouth and
/// the eyes.
///
/// # Errors
/// [`ErrorKind::Io`] when the log cannot be read or the picture not written.
pub fn draw(log: &Path, path: &Path) -> Result<()> {
    let lines = log_lines(log)?;
    let losses = [("loss of single steps", curve(&lines, &["/loss"], |v| v[0]))];
    let gains = ["whole", "mouth", "eyes"].map(|region| {
        let pointers = [format!("/validation/{region}/network_db"), format!("/validation/{region}/warp_db")];
        (region, curve(&lines, &[&pointers[0], &pointers[1]], |v| v[0] - v[1]))
    });
    let plots = [plotted(&losses, "loss"), plotted(&gains, "dB above the warp")].into_iter().flatten().collect();
    std::fs::write(path, plot::file(plots)).or_error(ErrorKind::Io, || format!("cannot write {}", path.display()))
}

/// Draws the parts of a loss as SVG: those of the log's lines, a plot for each of `plots`, which says what is on its axis and
/// which parts it shows.
///
/// # Errors
/// As [`draw`].
pub fn draw_parts(log: &Path, path: &Path, plots: &[(&str, &[&str])]) -> Result<()> {
    let lines = log_lines(log)?;
    let plots = plots.iter().filter_map(|(what, parts)| {
        let curves: Vec<_> =
            parts.iter().map(|part| (*part, curve(&lines, &[&format!("/parts/{part}")], |v| v[0]))).collect();
        plotted(&curves, what)
    });
    let plots = plots.collect();
    std::fs::write(path, plot::file(plots)).or_error(ErrorKind::Io, || format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_becomes_a_picture_and_a_torn_line_is_passed_over() {
        let folder = std::env::temp_dir().join(format!("effigy-curves-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (log, path) = (folder.join("log.jsonl"), folder.join("curves.svg"));
        let validation = r#""validation":{"whole":{"network_db":30.0,"warp_db":28.0}}"#;
        std::fs::write(
            &log,
            format!("{{\"step\":10,\"loss\":2.0}}\n{{\"step\":20,\"loss\":1.0,{validation}}}\n{{\"st"),
        )
        .unwrap();
        draw(&log, &path).unwrap();
        let picture = std::fs::read_to_string(&path).unwrap();
        assert_eq!(picture.matches("<polyline").count(), 4, "{picture}");
        assert!(picture.contains("dB above the warp") && picture.starts_with("<svg xmlns"), "{picture}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
