//! Pictures: 8-bit, interleaved, rows from top to bottom without padding.

use glam::Vec2;

use crate::error::{Error, ErrorKind, Result};

/// A picture of `C` 8-bit channels, (height, width, `C`), sRGB where it has colour.
///
/// `C` is 1 (matte, 0 = background), 3 (RGB) or 4 (RGBA, alpha not multiplied in).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture<const C: usize> {
    width_px: usize,
    height_px: usize,
    data: Vec<u8>,
}

/// A picture of three channels: red, green, blue.
pub type Rgb = Picture<3>;
/// A picture of four channels: red, green, blue, alpha (0 = transparent).
pub type Rgba = Picture<4>;
/// A picture of one channel.
pub type Grey = Picture<1>;

impl<const C: usize> Picture<C> {
    /// Makes a black (and, with alpha, transparent) picture.
    pub fn new(width_px: usize, height_px: usize) -> Self {
        Self { width_px, height_px, data: vec![0; width_px * height_px * C] }
    }

    /// Makes a picture from its samples.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] when there are not `width_px * height_px * C` of them.
    pub fn from_data(width_px: usize, height_px: usize, data: Vec<u8>) -> Result<Self> {
        let expected = width_px.checked_mul(height_px).and_then(|n| n.checked_mul(C));
        if expected != Some(data.len()) {
            return Err(Error::new(
                ErrorKind::Config,
                format!("a {width_px}x{height_px} picture of {C} channels was given {} bytes", data.len()),
            ));
        }
        Ok(Self { width_px, height_px, data })
    }

    /// Width in pixels.
    pub fn width_px(&self) -> usize {
        self.width_px
    }

    /// Height in pixels.
    pub fn height_px(&self) -> usize {
        self.height_px
    }

    /// All samples, row by row.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All samples, row by row, to write.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The samples of row `y`, `width_px * C` of them.
    pub fn row(&self, y: usize) -> &[u8] {
        &self.data[y * self.width_px * C..][..self.width_px * C]
    }

    /// The pixel at column `x`, row `y`.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; C] {
        let at = (y * self.width_px + x) * C;
        std::array::from_fn(|c| self.data[at + c])
    }

    /// The colour at a place, x and y in pixels from the corner of the first one, 0..255, bilinear; beyond the border the
    /// border's, and black in a picture without pixels.
    pub fn between(&self, at_px: Vec2) -> [f32; C] {
        let (Some(right), Some(bottom)) = (self.width_px.checked_sub(1), self.height_px.checked_sub(1)) else {
            return [0.0; C];
        };
        let at = (at_px - 0.5).clamp(Vec2::ZERO, Vec2::new(right as f32, bottom as f32));
        let (x, y) = (at.x as usize, at.y as usize);
        let (fx, fy) = (at.x - x as f32, at.y - y as f32);
        let [a, b, c, d] = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)]
            .map(|(x, y)| self.pixel(x.min(right), y.min(bottom)).map(f32::from));
        std::array::from_fn(|i| {
            let (upper, lower) = (a[i] + (b[i] - a[i]) * fx, c[i] + (d[i] - c[i]) * fx);
            upper + (lower - upper) * fy
        })
    }

    /// Gives the picture another size; its content is then unspecified.
    ///
    /// Memory is taken only when the picture has never been so large before.
    pub fn reshape(&mut self, width_px: usize, height_px: usize) {
        self.width_px = width_px;
        self.height_px = height_px;
        self.data.resize(width_px * height_px * C, 0);
    }

    /// Makes this picture equal to `other`, reusing its memory.
    pub fn copy_from(&mut self, other: &Self) {
        self.reshape(other.width_px, other.height_px);
        self.data.copy_from_slice(&other.data);
    }

    /// The picture as OpenCV sees it, without a copy.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when OpenCV refuses its size.
    #[cfg(feature = "opencv")]
    pub fn as_mat(&self) -> Result<opencv::boxed_ref::BoxedRef<'_, opencv::core::Mat>> {
        use opencv::core::{Mat, Vec3b, Vec4b};
        let (rows, cols) = (self.height_px as i32, self.width_px as i32);
        Ok(match C {
            1 => Mat::new_rows_cols_with_bytes::<u8>(rows, cols, &self.data)?,
            3 => Mat::new_rows_cols_with_bytes::<Vec3b>(rows, cols, &self.data)?,
            _ => Mat::new_rows_cols_with_bytes::<Vec4b>(rows, cols, &self.data)?,
        })
    }

    /// The picture as OpenCV sees it, to write into; an operation must keep its size and type.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when OpenCV refuses its size.
    #[cfg(feature = "opencv")]
    pub fn as_mat_mut(&mut self) -> Result<opencv::boxed_ref::BoxedRefMut<'_, opencv::core::Mat>> {
        use opencv::core::{Mat, Vec3b, Vec4b};
        let (rows, cols) = (self.height_px as i32, self.width_px as i32);
        Ok(match C {
            1 => Mat::new_rows_cols_with_bytes_mut::<u8>(rows, cols, &mut self.data)?,
            3 => Mat::new_rows_cols_with_bytes_mut::<Vec3b>(rows, cols, &mut self.data)?,
            _ => Mat::new_rows_cols_with_bytes_mut::<Vec4b>(rows, cols, &mut self.data)?,
        })
    }
}

impl Rgba {
    /// The colours alone, whatever the alpha.
    pub fn opaque(&self) -> Rgb {
        let pixels = self.data.as_chunks::<4>().0.iter();
        let data = pixels.flat_map(|&[r, g, b, _]| [r, g, b]).collect();
        Rgb { width_px: self.width_px, height_px: self.height_px, data }
    }
}
