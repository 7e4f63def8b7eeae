//! Reads the arrays of a NumPy `.npz` file: a zip of `.npy` members.

use std::{fs::File, io::Read as _, path::Path};

use crate::error::{Error, ErrorKind};

/// Stands for an extent of any size where a shape is asked for.
pub(super) const ANY: usize = usize::MAX;

/// One array, row by row, its numbers widened to `f32`.
enum Array {
    Numbers(Vec<f32>),
    Text(Vec<String>),
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

    /// Reads the numbers of the array called `name`, whose extents are `shape`, with [`ANY`] where one may be of any size.
    ///
    /// # Errors
    /// When it is missing, torn, of another shape, or of a type other than i1, i4, f2 or f4.
    pub(super) fn numbers(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        match self.array(name, shape)? {
            Array::Numbers(numbers) => Ok(numbers),
            Array::Text(_) => Err(wrong(format!("head model array {name} holds text, expected numbers"))),
        }
    }

    /// The same of an array of text.
    ///
    /// # Errors
    /// When it is missing, torn, of another shape, or holds numbers.
    pub(super) fn text(&mut self, name: &str, shape: &[usize]) -> Result<Vec<String>, Error> {
        match self.array(name, shape)? {
            Array::Text(text) => Ok(text),
            Array::Numbers(_) => Err(wrong(format!("head model array {name} holds numbers, expected text"))),
        }
    }

    fn array(&mut self, name: &str, shape: &[usize]) -> Result<Array, Error> {
        let mut bytes = Vec::new();
        self.0
            .by_name(&format!("{name}.npy"))
            .map_err(|e| wrong(format!("head model has no array {name}: {e}")))?
            .read_to_end(&mut bytes)
            .map_err(|e| wrong(format!("head model array {name}: {e}")))?;
        let no_npy = || wrong(format!("head model array {name} is no npy"));
        let (header, body) = parts(&bytes).ok_or_else(no_npy)?;
        let found = field(&header, "'shape':", '(', ')').and_then(extents).ok_or_else(no_npy)?;
        let has = |(found, wanted): (&usize, &usize)| *wanted == ANY || found == wanted;
        if found.len() != shape.len() || !found.iter().zip(shape).all(has) {
            let (found, wanted) = (shown(&found), shown(shape));
            return Err(wrong(format!("head model array {name} has the shape {found}, expected {wanted}")));
        }
        let order = header.split_once("'fortran_order':").map_or("", |(_, rest)| rest.trim_start());
        if !order.starts_with("False") {
            return Err(wrong(format!("head model array {name} is stored by columns, expected by rows")));
        }
        let kind = field(&header, "'descr':", '\'', '\'').unwrap_or_default();
        let n_chars = kind.strip_prefix("<U").and_then(|n| n.parse::<usize>().ok()).filter(|n| *n > 0);
        let item_bytes = match (kind, n_chars) {
            ("<f4" | "<i4", _) => 4,
            ("<f2", _) => 2,
            ("|i1", _) => 1,
            (_, Some(n)) => n.saturating_mul(4),
            _ => {
                let message = format!("head model array {name} has type {kind}, expected f2, f4, i1, i4 or text");
                return Err(wrong(message));
            }
        };
        if found.iter().try_fold(item_bytes, |n, extent| n.checked_mul(*extent)) != Some(body.len()) {
            let n = body.len();
            return Err(wrong(format!("head model array {name} is torn: {n} bytes are not what its shape holds")));
        }
        Ok(match kind {
            "<f4" => Array::Numbers(body.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            "<i4" => Array::Numbers(body.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) as f32).collect()),
            "<f2" => {
                let number = |b: &[u8; 2]| half::f16::from_le_bytes(*b).to_f32();
                Array::Numbers(body.as_chunks::<2>().0.iter().map(number).collect())
            }
            "|i1" => Array::Numbers(body.iter().map(|b| f32::from(b.cast_signed())).collect()),
            _ => {
                let letter = |b: &[u8; 4]| char::from_u32(u32::from_le_bytes(*b)).filter(|c| *c != '\0');
                let item = |item: &[u8]| item.as_chunks::<4>().0.iter().filter_map(letter).collect::<String>();
                Array::Text(body.chunks_exact(item_bytes).map(item).collect())
            }
        })
    }
}

/// Header and body of an `.npy` file; `None` where it is none, or ends within its header.
fn parts(bytes: &[u8]) -> Option<(String, &[u8])> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let ([version, _], rest) = rest.split_first_chunk::<2>()?;
    let (n_header, rest) = if *version > 1 {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        (u32::from_le_bytes(*length) as usize, rest)
    } else {
        let (length, rest) = rest.split_first_chunk::<2>()?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    };
    let (header, body) = rest.split_at_checked(n_header)?;
    Some((String::from_utf8_lossy(header).into_owned(), body))
}

/// What stands between `open` and `close` after `key`.
fn field<'a>(header: &'a str, key: &str, open: char, close: char) -> Option<&'a str> {
    let (_, rest) = header.split_once(key)?;
    let (_, rest) = rest.split_once(open)?;
    rest.split_once(close).map(|(value, _)| value)
}

/// The numbers of a shape such as `26719, 3` or `12,`.
fn extents(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(str::trim).filter(|extent| !extent.is_empty()).map(|extent| extent.parse().ok()).collect()
}

fn shown(shape: &[usize]) -> String {
    let extent = |n: &usize| if *n == ANY { "any".to_owned() } else { n.to_string() };
    shape.iter().map(extent).collect::<Vec<_>>().join(" x ")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn npy(descr: &str, order: &str, shape: &str, body: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn an_array_is_what_was_asked_for_or_an_error_that_says_why_not() {
        let path = std::env::temp_dir().join(format!("effigy-npz-{}.npz", std::process::id()));
        let six: Vec<u8> = (0..6).flat_map(|i| (0.5 * i as f32).to_le_bytes()).collect();
        let letters: Vec<u8> = ['a', 'b', 'c', '\0'].into_iter().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, bytes) in [
            ("whole", npy("<f4", "False", "2, 3", &six)),
            ("signed", npy("|i1", "False", "2,", &[255, 7])),
            ("names", npy("<U2", "False", "2,", &letters)),
            ("columns", npy("<f4", "True", "2, 3", &six)),
            ("torn", npy("<f4", "False", "2, 3", &six[..20])),
            ("huge", npy("<f4", "False", "4611686018427387904, 8", &six)),
            ("empty", npy("<U0", "False", "2,", &[])),
            ("header", npy("<f4", "False", "2, 3", &six)[..30].to_vec()),
            ("short", b"\x93NUMPY\x02\x00\x01".to_vec()),
        ] {
            writer.start_file(format!("{name}.npy"), stored).unwrap();
            writer.write_all(&bytes).unwrap();
        }
        writer.finish().unwrap();
        let mut npz = Npz::open(&path).unwrap();
        assert_eq!(npz.numbers("whole", &[ANY, 3]).unwrap(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        assert_eq!(npz.numbers("signed", &[2]).unwrap(), [-1.0, 7.0]);
        assert_eq!(npz.text("names", &[2]).unwrap(), ["ab", "c"]);
        let refused: [(&str, &[usize], &str); 10] = [
            ("whole", &[ANY, 4], "has the shape 2 x 3, expected any x 4"),
            ("whole", &[6], "has the shape 2 x 3, expected 6"),
            ("names", &[2], "holds text, expected numbers"),
            ("columns", &[2, 3], "by columns"),
            ("torn", &[2, 3], "is torn"),
            ("huge", &[ANY, ANY], "is torn"),
            ("empty", &[2], "has type <U0"),
            ("header", &[2, 3], "is no npy"),
            ("short", &[2, 3], "is no npy"),
            ("absent", &[2, 3], "has no array absent"),
        ];
        for (name, shape, expected) in refused {
            let error = npz.numbers(name, shape).unwrap_err();
            assert!(error.kind() == ErrorKind::Model && error.to_string().contains(expected), "{name}: {error}");
        }
        assert!(npz.text("whole", &[2, 3]).unwrap_err().to_string().contains("holds numbers, expected text"));
        std::fs::remove_file(path).unwrap();
    }
}
