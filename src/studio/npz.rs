//! Reads the arrays of a NumPy `.npz` file: a zip of `.npy` members.

use std::{fs::File, io::Read as _, path::Path};

use crate::error::{Error, ErrorKind};

/// One array, its numbers widened to `f32`; text arrays arrive as `text`.
pub(super) struct Array {
    pub numbers: Vec<f32>,
    pub text: Vec<String>,
}

/// An open `.npz` file.
pub(super) struct Npz(zip::ZipArchive<File>);

fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Model, what.into())
}

impl Npz {
    /// Opens the file.
    ///
    /// # Errors
    /// When the file is missing or is no zip.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|e| wrong(format!("cannot open head model {}: {e}", path.display())))?;
        Ok(Self(zip::ZipArchive::new(file).map_err(|e| wrong(format!("{} is no npz: {e}", path.display())))?))
    }

    /// Reads the array called `name`.
    ///
    /// # Errors
    /// When it is missing or of a type other than i1, i4, f2, f4 or text.
    pub(super) fn array(&mut self, name: &str) -> Result<Array, Error> {
        let mut bytes = Vec::new();
        self.0
            .by_name(&format!("{name}.npy"))
            .map_err(|e| wrong(format!("head model has no array {name}: {e}")))?
            .read_to_end(&mut bytes)
            .map_err(|e| wrong(format!("head model array {name}: {e}")))?;
        if bytes.len() < 12 || &bytes[..6] != b"\x93NUMPY" {
            return Err(wrong(format!("head model array {name} is no npy")));
        }
        let long = bytes[6] > 1;
        let (start, n_header) = if long {
            (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize)
        } else {
            (10, u16::from_le_bytes([bytes[8], bytes[9]]) as usize)
        };
        let header = String::from_utf8_lossy(&bytes[start..start + n_header]).into_owned();
        let body = &bytes[start + n_header..];
        let field = |key: &str, open: char, close: char| -> Option<String> {
            let rest = &header[header.find(key)? + key.len()..];
            let from = rest.find(open)? + 1;
            Some(rest[from..from + rest[from..].find(close)?].to_owned())
        };
        let kind = field("'descr':", '\'', '\'').unwrap_or_default();
        let mut array = Array { numbers: Vec::new(), text: Vec::new() };
        match kind.as_str() {
            "<f4" => array.numbers = body.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            "<i4" => array.numbers = body.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) as f32).collect(),
            "<f2" => {
                array.numbers = body.as_chunks::<2>().0.iter().map(|b| half::f16::from_le_bytes(*b).to_f32()).collect();
            }
            "|i1" => array.numbers = body.iter().map(|b| f32::from(*b as i8)).collect(),
            k if k.starts_with("<U") => {
                let n_chars: usize = k[2..].parse().unwrap_or(1);
                array.text = body
                    .chunks_exact(4 * n_chars)
                    .map(|item| {
                        let letter = |b: &[u8; 4]| char::from_u32(u32::from_le_bytes(*b)).filter(|c| *c != '\0');
                        item.as_chunks::<4>().0.iter().filter_map(letter).collect()
                    })
                    .collect();
            }
            k => return Err(wrong(format!("head model array {name} has type {k}, expected f2, f4, i1, i4 or text"))),
        }
        Ok(array)
    }
}
