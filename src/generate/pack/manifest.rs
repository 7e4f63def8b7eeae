//! What a pack says of itself: `pack.json`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::layout::{Layout, N_POINTS_MAX};
use crate::error::{Error, ErrorKind, OrError as _, Result};
use crate::files;

/// What the manifest is called.
const FILE: &str = "pack.json";
const MAX_BYTES: u64 = 1 << 16;
/// The largest network accepted, in bytes: ONNX files cannot be larger.
const MAX_NETWORK_BYTES: u64 = 1 << 31;
/// Widths and heights of the pictures that networks look at, in pixels: the driver's face is cut out at the largest.
const SIZES_PX: std::ops::RangeInclusive<usize> = 32..=256;

/// A network of a pack: its file, and what the network calls what the layout needs where that is another word.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkFile {
    file: PathBuf,
    #[serde(default)]
    names: BTreeMap<String, String>,
}

impl NetworkFile {
    /// What the network calls `role`.
    pub(super) fn name<'a>(&'a self, role: &'a str) -> &'a str {
        self.names.get(role).map_or(role, String::as_str)
    }
}

/// `pack.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// What the user and the report call it.
    pub(super) name: String,
    pub(super) layout: Layout,
    /// Under which licence the weights are, for who reads the file.
    #[serde(default)]
    #[expect(dead_code, reason = "for people")]
    licence: String,
    /// Width and height of the pictures that its networks look at, in pixels.
    pub(super) size_px: usize,
    /// How many points move.
    pub(super) n_points: usize,
    /// From a picture of a face to its motion: once for the photo, and for each frame of the driver.
    pub(super) motion: NetworkFile,
    /// From the photo to what of it is computed once for an identity.
    #[serde(default)]
    pub(super) once: Option<NetworkFile>,
    /// From both to a picture.
    pub(super) frame: NetworkFile,
}

impl Manifest {
    /// Reads the manifest of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let shown = files::typed(&path);
        let text = files::read_text(&path, MAX_BYTES).or_error(ErrorKind::Model, || {
            format!("cannot read {shown}; a pack is a folder with that file and ONNX networks (docs/packs.md)")
        })?;
        let manifest: Self = serde_json::from_str(&text)
            .or_error(ErrorKind::Model, || format!("{shown} is no manifest of a pack (docs/packs.md has examples)"))?;
        manifest.check().map_err(|why| Error::new(ErrorKind::Model, format!("{shown}: {why}")))?;
        Ok(manifest)
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.name.is_empty() || self.name.len() > 60 || self.name.chars().any(char::is_control) {
            return Err("expected a name of 1 to 60 letters".to_owned());
        }
        if !SIZES_PX.contains(&self.size_px) {
            return Err(format!(
                "expected size_px from {} to {}, found {}",
                SIZES_PX.start(),
                SIZES_PX.end(),
                self.size_px
            ));
        }
        let most = N_POINTS_MAX;
        if !(1..=most).contains(&self.n_points) {
            return Err(format!("expected n_points from 1 to {most}, found {}", self.n_points));
        }
        if self.layout.has_once() != self.once.is_some() {
            let expected = if self.layout.has_once() { "needs" } else { "has no" };
            return Err(format!("the layout {} {expected} network `once`", self.layout.name()));
        }
        for network in [Some(&self.motion), self.once.as_ref(), Some(&self.frame)].into_iter().flatten() {
            let is_plain = network.file.components().all(|part| matches!(part, Component::Normal(_)));
            if !is_plain || network.file.as_os_str().is_empty() {
                return Err(format!("expected the name of a file in the pack, found \"{}\"", network.file.display()));
            }
        }
        Ok(())
    }
}

/// Reads the file of a network in a folder.
pub(super) fn network_bytes(folder: &Path, network: &NetworkFile) -> Result<Vec<u8>> {
    let path = folder.join(&network.file);
    files::read(&path, MAX_NETWORK_BYTES)
        .or_error(ErrorKind::Model, || format!("cannot read the pack's network {}", files::typed(&path)))
}
