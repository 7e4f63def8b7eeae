//! Sheets of samples.

use std::path::Path;

use effigy_base::error::Result;
use effigy_base::frame::Rgb;

/// Writes pictures (3, s, s), 0..1, row by row into one.
///
/// # Errors
/// [`effigy_base::error::ErrorKind::Io`] when it cannot be written.
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
    effigy_photo::write_png(path, &sheet)
}
