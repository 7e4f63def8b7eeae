//! Who is seen in which file, and with which rights.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, ErrorKind, OrError as _, Result};

/// A manifest: a JSON file that names clips and photos, with paths relative to its own folder.
///
/// ```json
/// { "clips": [ { "file": "ann/talk.mp4", "person": "ann", "rights": "own", "ignore_rect": [0, 446, 132, 66] } ],
///   "portraits": [ { "file": "ben.jpg", "person": "ben", "rights": "public-domain" } ] }
/// ```
///
/// `person` is the file's name without ending where it is left out, `rights` is `unknown`; other fields are passed
/// over. `ignore_rect` is a part of the picture that is not the person's: left, top, width, height in its pixels.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    entries: Vec<Entry>,
    by_path: HashMap<PathBuf, usize>,
}

/// What a manifest says about one file.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Entry {
    /// As the manifest writes it.
    pub(super) file: String,
    pub(super) person: Option<String>,
    pub(super) rights: Option<String>,
    pub(super) ignore_rect: Option<[u32; 4]>,
    /// Where it is.
    #[serde(skip)]
    pub(super) path: PathBuf,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    clips: Vec<Entry>,
    #[serde(default)]
    portraits: Vec<Entry>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when it is missing, no such JSON, or names a file twice.
    pub fn read(path: &Path) -> Result<Self> {
        let about = || {
            let form = r#"{"clips": [{"file": "a.mp4", "person": "ann", "rights": "own"}], "portraits": []}"#;
            format!("cannot read the manifest {}; expected {form}", path.display())
        };
        let text = crate::files::read_text(path, 1 << 30).or_error(ErrorKind::Config, about)?;
        let text: Text = serde_json::from_str(&text).or_error(ErrorKind::Config, about)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut entries: Vec<Entry> = text.clips.into_iter().chain(text.portraits).collect();
        let mut by_path = HashMap::new();
        for (i, entry) in entries.iter_mut().enumerate() {
            entry.path = folder.join(&entry.file);
            if by_path.insert(key(&entry.path), i).is_some() {
                let message = format!("the manifest {} names {} twice", path.display(), entry.file);
                return Err(Error::new(ErrorKind::Config, message));
            }
        }
        Ok(Self { entries, by_path })
    }

    /// All files that are named.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is said about a file.
    pub(super) fn about(&self, path: &Path) -> Option<&Entry> {
        self.by_path.get(&key(path)).map(|&i| &self.entries[i])
    }
}

/// One form for each way to write a path; as it is where the file does not exist.
fn key(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
