//! Motion in files: JSON Lines that can be played again, and CSV for tables.
//!
//! A line of JSON is a frame: `{"secs": 0.033, "seen": true, "head": {"rotation": [x, y, z, w], "cm": [x, y, z]},
//! "coefficients": {"jawOpen": 0.1, …}}`, with the head in camera space: x right, y down, z away.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use glam::{Quat, Vec3};
use serde_json::{Map, Value, json};

use super::{MotionFrame, MotionSink, names};
use crate::error::{ErrorKind, OrError as _, Result};
use crate::files;

/// Writes every frame as a line. The file is as it was until the first frame.
pub struct MotionFileSink {
    name: String,
    path: PathBuf,
    out: BufWriter<File>,
    is_csv: bool,
    /// Whether there was no such file before.
    is_new: bool,
    first_secs: Option<f64>,
}

impl MotionFileSink {
    /// Begins the file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let about = || format!("cannot write the motion file {}", path.display());
        files::check_regular(path).or_error(ErrorKind::Config, about)?;
        let is_new = !path.exists();
        // Shows that it can be written, and takes nothing away: the run may still fail to start.
        let out = BufWriter::new(File::options().append(true).create(true).open(path).or_error(ErrorKind::Io, about)?);
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let (name, path) = (format!("motion to {}", path.display()), path.to_owned());
        Ok(Self { name, path, out, is_csv, is_new, first_secs: None })
    }

    /// Begins the file anew.
    fn begin(&mut self) -> std::io::Result<()> {
        self.out.get_ref().set_len(0)?;
        if self.is_csv {
            let names: Vec<_> = names::arkit().map(|(_, name)| name).collect();
            let head = "secs,seen,head_x,head_y,head_z,head_w,head_x_cm,head_y_cm,head_z_cm";
            writeln!(self.out, "{head},{}", names.join(","))?;
        }
        Ok(())
    }

    fn write(&mut self, frame: &MotionFrame) -> std::io::Result<()> {
        if self.first_secs.is_none() {
            self.begin()?;
        }
        let secs = frame.secs - *self.first_secs.get_or_insert(frame.secs);
        let (turn, place) = (frame.head_rotation.to_array(), frame.head_cm.to_array());
        if self.is_csv {
            write!(self.out, "{secs:.6},{}", u8::from(frame.is_seen))?;
            for number in turn.iter().chain(&place).chain(names::arkit().map(|(i, _)| &frame.coefficients[i])) {
                write!(self.out, ",{number}")?;
            }
            writeln!(self.out)?;
        } else {
            let coefficients: Map<String, Value> =
                names::arkit().map(|(i, name)| (name.to_owned(), json!(frame.coefficients[i]))).collect();
            let head = json!({ "rotation": turn, "cm": place });
            let line = json!({ "secs": secs, "seen": frame.is_seen, "head": head, "coefficients": coefficients });
            writeln!(self.out, "{line}")?;
        }
        // After a kill all lines but the last are there.
        self.out.flush()
    }
}

impl MotionSink for MotionFileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn send(&mut self, frame: &MotionFrame) -> Result<()> {
        self.write(frame).or_error(ErrorKind::Io, || format!("cannot write the motion file {}", self.path.display()))
    }
}

impl Drop for MotionFileSink {
    fn drop(&mut self) {
        if self.is_new && self.first_secs.is_none() {
            // Nothing was ever in it; one that cannot be removed does no harm. A link to it stays.
            let _ = self.path.canonicalize().and_then(std::fs::remove_file);
        }
    }
}

/// Reads a line of JSON; `None` where it is no frame.
pub(crate) fn parse_line(line: &[u8]) -> Option<MotionFrame> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let mut frame = MotionFrame { secs: value.get("secs")?.as_f64()?, is_seen: true, ..MotionFrame::default() };
    frame.is_seen = value.get("seen").is_none_or(|seen| seen.as_bool().unwrap_or(true));
    for (name, strength) in value.get("coefficients")?.as_object()? {
        if let (Some(index), Some(strength)) = (names::index(name), strength.as_f64()) {
            frame.set(index, strength as f32);
        }
    }
    let numbers = |name: &str| -> Option<Vec<f32>> {
        value.get("head")?.get(name)?.as_array()?.iter().map(|number| number.as_f64().map(|x| x as f32)).collect()
    };
    if let Some(&[x, y, z, w]) = numbers("rotation").as_deref() {
        frame.set_rotation(Quat::from_xyzw(x, y, z, w));
    }
    if let Some(&[x, y, z]) = numbers("cm").as_deref() {
        frame.set_place(Vec3::new(x, y, z));
    }
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::motion_link::lively;

    #[test]
    fn a_table_has_a_column_for_every_number() {
        let path = std::env::temp_dir().join(format!("effigy-motion-{}-table.csv", std::process::id()));
        let mut sink = MotionFileSink::create(&path).unwrap();
        sink.send(&lively(3)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let columns: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [60, 60]);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_take_of_before_stays_until_there_is_a_new_one() {
        let path = std::env::temp_dir().join(format!("effigy-motion-{}-take.jsonl", std::process::id()));
        drop(MotionFileSink::create(&path).unwrap());
        assert!(!path.exists(), "a file without a frame is left");
        std::fs::write(&path, "a take of before\n".repeat(1000)).unwrap();
        drop(MotionFileSink::create(&path).unwrap());
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("a take of before"));
        let mut sink = MotionFileSink::create(&path).unwrap();
        sink.send(&lively(3)).unwrap();
        sink.send(&lively(4)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| parse_line(line.as_bytes()).is_some()).count(), 2);
        assert_eq!(text.lines().count(), 2);
        std::fs::remove_file(path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_file_that_is_not_there_yet_stays() {
        let path = |name: &str| std::env::temp_dir().join(format!("effigy-motion-{}-{name}", std::process::id()));
        let (link, target) = (path("link.jsonl"), path("target.jsonl"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        drop(MotionFileSink::create(&link).unwrap());
        assert!(link.is_symlink(), "the link is gone");
        assert!(!target.exists(), "a file without a frame is left");
        std::fs::remove_file(link).unwrap();
    }
}
