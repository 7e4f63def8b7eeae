//! A recording of motion, played like a camera or, unpaced, every frame.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::capture::{MAX_READ_WAIT, RawFrame, Read, Source, SourceOptions};
use crate::clock::{Clock, Timestamp};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files;
use crate::motion::MotionSample;
use crate::motion_link::{MotionFrame, parse_line};

/// The longest line that is read, in bytes; a frame has 1600.
const MAX_LINE_BYTES: u64 = 65_536;
/// A reader later than this was asleep: the recording goes on from where it is.
const MAX_CATCH_UP: Duration = Duration::from_secs(1);

/// Reads a recording: the motion of each stretch in which one face was seen without a gap.
///
/// # Errors
/// As [`MotionFileSource::open`], and [`ErrorKind::Io`] where a line is no frame.
pub fn recorded(path: &Path) -> Result<Vec<Vec<MotionSample>>> {
    const MAX_GAP_SECS: f64 = 0.15;
    let mut source = MotionFileSource::open(path, &SourceOptions { paced: false, ..SourceOptions::default() })?;
    let mut stretches: Vec<Vec<MotionSample>> = Vec::new();
    let mut is_going_on = false;
    while let Some(frame) = source.next.take() {
        if frame.is_seen {
            let sample = frame.sample();
            match stretches.last_mut().filter(|_| is_going_on) {
                Some(last) if last.last().is_some_and(|before| sample.secs - before.secs <= MAX_GAP_SECS) => {
                    last.push(sample);
                }
                _ => stretches.push(vec![sample]),
            }
        }
        is_going_on = frame.is_seen;
        source.next = source.read_line(frame.secs)?;
    }
    Ok(stretches)
}

/// Plays a recording, like a camera or, unpaced, every frame.
pub struct MotionFileSource {
    name: String,
    path: PathBuf,
    lines: BufReader<File>,
    line: usize,
    options: SourceOptions,
    next: Option<MotionFrame>,
    /// When its first frame was due.
    start: Option<Timestamp>,
    first_secs: f64,
    last_secs: f64,
    /// What was played before it began anew.
    played_secs: f64,
}

impl MotionFileSource {
    /// Opens a recording and reads its first frame.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] when it is missing or holds no motion.
    pub fn open(path: &Path, options: &SourceOptions) -> Result<Self> {
        let about = || format!("cannot play the motion file {}", path.display());
        let kind = std::fs::metadata(path).map(|meta| files::Kind::of(&meta));
        let kind = kind
            .or_error(ErrorKind::Io, || format!("{}; make one with `effigy run --sink motion:FILE.jsonl`", about()))?;
        if kind != files::Kind::File {
            return Err(Error::new(ErrorKind::Io, format!("{}: it is no file", about())));
        }
        let lines = BufReader::new(File::open(path).or_error(ErrorKind::Io, about)?);
        let mut source = Self {
            name: format!("motion of {}", path.display()),
            path: path.to_owned(),
            lines,
            line: 0,
            options: options.clone(),
            next: None,
            start: None,
            first_secs: 0.0,
            last_secs: 0.0,
            played_secs: 0.0,
        };
        source.next = source.read_line(0.0)?;
        match &source.next {
            Some(first) => source.first_secs = first.secs,
            None => return Err(Error::new(ErrorKind::Io, format!("{}: it is empty", about()))),
        }
        source.last_secs = source.first_secs;
        Ok(source)
    }

    /// Reads the next frame, no earlier than `least_secs`; `None` at the end.
    fn read_line(&mut self, least_secs: f64) -> Result<Option<MotionFrame>> {
        let mut text = Vec::new();
        loop {
            text.clear();
            self.line += 1;
            let about = |why: &str| {
                let message = format!("cannot play the motion file {}, line {}: {why}", self.path.display(), self.line);
                Error::new(ErrorKind::Io, message)
            };
            let n_bytes = (&mut self.lines)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut text)
                .map_err(|error| about("it cannot be read").because(error))?;
            if n_bytes == 0 {
                return Ok(None);
            }
            let is_torn = text.last() != Some(&b'\n');
            if text.trim_ascii().is_empty() {
                continue;
            }
            match parse_line(&text) {
                Some(frame) => return Ok(Some(MotionFrame { secs: frame.secs.max(least_secs), ..frame })),
                // A recording that was killed ends within a line.
                None if is_torn && self.line > 1 && (n_bytes as u64) < MAX_LINE_BYTES => return Ok(None),
                None => {
                    return Err(about("expected a frame such as {\"secs\": 0, \"coefficients\": {\"jawOpen\": 0.1}}"));
                }
            }
        }
    }

    fn due(&mut self, secs: f64, clock: &dyn Clock) -> Timestamp {
        let is_paced = self.options.paced;
        let start = *self.start.get_or_insert_with(|| if is_paced { clock.now() } else { Timestamp::default() });
        start + Duration::from_secs_f64((self.played_secs + secs - self.first_secs).clamp(0.0, 1e9))
    }
}

impl Source for MotionFileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&mut self, frame: &mut RawFrame, clock: &dyn Clock) -> Result<Read> {
        loop {
            let Some(secs) = self.next.as_ref().map(|next| next.secs) else {
                if !self.options.looped {
                    return Ok(Read::Ended);
                }
                self.played_secs += self.last_secs - self.first_secs + 1.0 / 30.0;
                let about = || format!("cannot play the motion file {} again", self.path.display());
                self.lines = BufReader::new(File::open(&self.path).or_error(ErrorKind::Io, about)?);
                (self.line, self.last_secs) = (0, self.first_secs);
                self.next = self.read_line(self.first_secs)?;
                if self.next.is_none() {
                    return Ok(Read::Ended);
                }
                continue;
            };
            let due = self.due(secs, clock);
            if self.options.paced && !clock.wait_until(due, MAX_READ_WAIT) {
                return Ok(Read::Idle);
            }
            let Some(motion) = self.next.take() else { continue };
            self.last_secs = secs;
            self.next = self.read_line(secs)?;
            let late = if self.options.paced { clock.now().since(due) } else { Duration::ZERO };
            if late > MAX_CATCH_UP {
                self.start = self.start.map(|start| start + late);
            } else if let Some(next_secs) = self.next.as_ref().map(|next| next.secs)
                && self.options.paced
                && clock.now() >= self.due(next_secs, clock)
            {
                // The next one is due too: this one would only make it later.
                continue;
            }
            frame.set_captured(due);
            frame.set_motion(&motion);
            return Ok(Read::Fresh);
        }
    }

    fn frame_rate_hz(&self) -> Option<f64> {
        Some(30.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::motion_link::{MotionFileSink, MotionSink as _, apart, lively};

    fn path(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("effigy-motion-{}-{name}", std::process::id()))
    }

    fn play(path: &Path) -> Result<Vec<MotionFrame>> {
        let mut source = MotionFileSource::open(path, &SourceOptions { paced: false, ..SourceOptions::default() })?;
        let (mut frame, clock) = (RawFrame::default(), ManualClock::new());
        let mut frames = Vec::new();
        while source.read(&mut frame, &clock)? == Read::Fresh {
            let secs = frame.captured().as_secs_f64();
            frames.push(MotionFrame { secs, ..frame.motion().unwrap().clone() });
        }
        Ok(frames)
    }

    #[test]
    fn a_recording_plays_as_it_was_also_when_its_end_is_torn() {
        let path = path("whole.jsonl");
        let mut sink = MotionFileSink::create(&path).unwrap();
        for step in 0..50 {
            sink.send(&MotionFrame { is_seen: step != 7, ..lively(step) }).unwrap();
        }
        sink.finish().unwrap();
        let frames = play(&path).unwrap();
        assert_eq!(frames.len(), 50);
        for (step, frame) in frames.iter().enumerate() {
            assert!(apart(&lively(step), frame) < 1e-3 && (frame.secs - lively(step).secs).abs() < 1e-5);
            assert_eq!(frame.is_seen, step != 7);
        }
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
        assert_eq!(play(&path).unwrap().len(), 49);
        let stretches: Vec<usize> = recorded(&path).unwrap().iter().map(Vec::len).collect();
        assert_eq!(stretches, [7, 41], "the frame without a face stands between");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_is_no_motion_is_refused_with_its_line() {
        let path = path("wrong.jsonl");
        for (text, says) in [
            ("", "it is empty"),
            ("hello\n", "line 1: expected a frame"),
            ("{\"secs\":0,\"coefficients\":{}}\n\n[]\n", "line 3: expected a frame"),
            ("{\"secs\":\"x\",\"coefficients\":{}}\n", "line 1: expected a frame"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = play(&path).unwrap_err().to_string();
            assert!(error.contains(says), "{text:?}: {error}");
        }
        let odd = "{\"secs\":1e300,\"coefficients\":{\"jawOpen\":1e300,\"x\":1,\"browInnerUp\":null},\"head\":{\"cm\":[1]}}\n";
        std::fs::write(&path, odd).unwrap();
        assert_eq!(play(&path).unwrap().len(), 1);
        std::fs::write(&path, "x".repeat(200_000)).unwrap();
        assert!(play(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(play(&path).unwrap_err().to_string().contains("--sink motion:FILE.jsonl"));
    }
}
