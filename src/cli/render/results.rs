//! A line for each clip: what came of it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use effigy::error::OrError as _;
use effigy::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::job::Job;
use crate::cli::outputs::{cannot_write, is_same_file};

/// Figures of a clip that is whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rendered {
    /// Pictures in the file.
    pub(super) frames: u64,
    /// Frames of the clip without a face.
    pub(super) no_face: u64,
    /// How long it took, in seconds, with everything.
    pub(super) secs: f64,
    pub(super) generator: String,
    pub(super) backend: String,
    /// Whether the visible mark was on.
    pub(super) badge: bool,
    /// The file's length and SHA-256.
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// What came of a clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// Its line, from 1.
    pub(super) line: usize,
    /// SHA-256 of what the line says.
    pub(super) job: String,
    pub(super) output: PathBuf,
    /// Why it failed; without one it is whole.
    pub(super) error: Option<String>,
    #[serde(flatten)]
    pub(super) rendered: Option<Rendered>,
}

impl Outcome {
    pub(super) fn of(job: &Job, rendered: &Result<Rendered>) -> Self {
        Self {
            line: job.line,
            job: job.hash.clone(),
            output: job.output.clone(),
            error: rendered.as_ref().err().map(ToString::to_string),
            rendered: rendered.as_ref().ok().cloned(),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = self.output.display();
        match (&self.rendered, &self.error) {
            (Some(Rendered { frames, secs, .. }), None) => {
                write!(f, "{output}, {frames} frames in {secs:.1} s ({:.1} a second)", *frames as f64 / secs.max(1e-9))
            }
            (_, error) => write!(f, "{output} failed: {}", error.as_deref().unwrap_or("no figures")),
        }
    }
}

/// The file of results, which one process at a time adds to.
pub(super) struct Results {
    file: File,
    path: PathBuf,
    /// The last line of each job.
    known: BTreeMap<usize, Outcome>,
}

impl Results {
    /// Opens or makes the file. Waits while another process adds to it, which is then the one that renders.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let about = |error| cannot_write(path, error);
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path).map_err(about)?;
        if file.try_lock().is_err() {
            log::info!("another process renders the same part; waiting for its end");
            file.lock().map_err(about)?;
        }
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).map_err(about)?;
        file.read_to_string(&mut text).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
        let (known, whole) = parse(path, &text)?;
        // Only now it is known to be such a file.
        if whole < text.len() {
            file.set_len(whole as u64).map_err(about)?;
        }
        Ok(Self { file, path: path.to_owned(), known })
    }

    /// Whether a job's clip is whole: its last line says so, and the file is what that line says.
    pub(super) fn is_done(&self, job: &Job) -> bool {
        let Some(outcome) = self.known.get(&job.line) else { return false };
        let Some(rendered) = outcome.rendered.as_ref().filter(|_| outcome.error.is_none() && outcome.job == job.hash)
        else {
            return false;
        };
        let is_of_size = std::fs::metadata(&job.output).is_ok_and(|meta| meta.len() == rendered.bytes);
        is_of_size && hash_of(&job.output).is_ok_and(|hash| hash == rendered.sha256)
    }

    /// Adds a line.
    pub(super) fn add(&mut self, outcome: &Outcome) -> Result<()> {
        let mut line =
            serde_json::to_vec(outcome).or_error(ErrorKind::Internal, || "cannot write a result".to_owned())?;
        line.push(b'\n');
        self.file.write_all(&line).and_then(|()| self.file.flush()).map_err(|error| cannot_write(&self.path, error))
    }
}

/// Reads what is in a file of results: the last line of each job, and the length of all whole lines. A line that a kill cut
/// short says nothing.
fn parse(path: &Path, text: &str) -> Result<(BTreeMap<usize, Outcome>, usize)> {
    let is_none = |number: usize| {
        format!("{}, line {number}: expected a result of `effigy render`; name another file", path.display())
    };
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut known = BTreeMap::new();
    for (i, line) in text[..whole].lines().enumerate() {
        let outcome: Outcome = serde_json::from_str(line).or_error(ErrorKind::Config, || is_none(i + 1))?;
        known.insert(outcome.line, outcome);
    }
    let (torn, begin) = (&text[whole..], "{\"line\"");
    if !torn.starts_with(begin) && !begin.starts_with(torn) {
        return Err(Error::new(ErrorKind::Config, is_none(text[..whole].lines().count() + 1)));
    }
    Ok((known, whole))
}

/// Joins files of results: the last line of each job, by line; returns how many.
pub(in crate::cli) fn merge(paths: &[PathBuf], output: &Path) -> Result<usize> {
    let mut known: BTreeMap<usize, Outcome> = BTreeMap::new();
    for path in paths {
        if is_same_file(path, output) {
            let message = format!("the output would replace a part; name another file than {}", output.display());
            return Err(Error::new(ErrorKind::Config, message));
        }
        let text =
            std::fs::read_to_string(path).or_error(ErrorKind::Io, || format!("cannot read {}", path.display()))?;
        for (line, outcome) in parse(path, &text)?.0 {
            // Of two the one that is whole counts: the other was tried before, or in another part.
            let is_better = outcome.error.is_none() || known.get(&line).is_none_or(|other| other.error.is_some());
            if is_better {
                known.insert(line, outcome);
            }
        }
    }
    let mut text = Vec::new();
    for outcome in known.values() {
        serde_json::to_writer(&mut text, outcome)
            .or_error(ErrorKind::Internal, || "cannot write a result".to_owned())?;
        text.push(b'\n');
    }
    effigy::files::write(output, &text).map_err(|error| cannot_write(output, error))?;
    Ok(known.len())
}

/// SHA-256 of a file, in hexadecimal.
pub(super) fn hash_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut block)?;
        if n == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(&block[..n]);
    }
}
