//! How brightness lies in the pixels of cameras.

use crate::error::Result;
use crate::frame::Grey;

/// How brightness lies in a camera's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// One sample every `step` bytes from `first` on: YUYV, and every format with the brightness in a plane of its own.
    Samples { first: usize, step: usize },
    /// Blue, green and red every `step` bytes, or red first.
    Colours { step: usize, is_red_first: bool },
    /// JPEG.
    Jpeg,
}

/// Where the pixels of a picture lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) packing: Packing,
    pub(super) width_px: usize,
    pub(super) height_px: usize,
    /// Bytes from one row to the next; 0 where rows follow each other without padding.
    pub(super) stride: usize,
}

impl Packing {
    /// What the four letters of V4L2 mean.
    pub(super) fn of(fourcc: &[u8; 4]) -> Option<Self> {
        Some(match fourcc {
            b"YUYV" | b"YVYU" => Self::Samples { first: 0, step: 2 },
            b"UYVY" | b"VYUY" => Self::Samples { first: 1, step: 2 },
            b"GREY" | b"NV12" | b"NV21" | b"YU12" | b"YV12" | b"422P" => Self::Samples { first: 0, step: 1 },
            b"BGR3" => Self::Colours { step: 3, is_red_first: false },
            b"RGB3" => Self::Colours { step: 3, is_red_first: true },
            b"XR24" | b"AR24" | b"BGR4" => Self::Colours { step: 4, is_red_first: false },
            b"XB24" | b"AB24" | b"RGB4" => Self::Colours { step: 4, is_red_first: true },
            b"MJPG" | b"JPEG" => Self::Jpeg,
            _ => return None,
        })
    }
}

impl Layout {
    /// Brightness of a picture; false when it is torn.
    pub(super) fn unpack(&self, data: &[u8], picture: &mut Grey) -> Result<bool> {
        let (width, height) = (self.width_px, self.height_px);
        let step = match self.packing {
            Packing::Jpeg => return Ok(crate::jpeg::decode_grey(data, picture)),
            Packing::Samples { step, .. } | Packing::Colours { step, .. } => step,
        };
        let stride = self.stride.max(width * step);
        if height == 0 || data.len() < stride * (height - 1) + width * step {
            return Ok(false);
        }
        picture.reshape(width, height);
        for (row, samples) in data.chunks(stride).zip(picture.data_mut().chunks_exact_mut(width)) {
            for (pixel, sample) in row.chunks_exact(step).zip(samples) {
                *sample = match self.packing {
                    Packing::Samples { first, .. } => pixel[first],
                    Packing::Colours { is_red_first, .. } => {
                        let (r, b) = if is_red_first { (pixel[0], pixel[2]) } else { (pixel[2], pixel[0]) };
                        ((77 * u32::from(r) + 150 * u32::from(pixel[1]) + 29 * u32::from(b)) >> 8) as u8
                    }
                    Packing::Jpeg => 0,
                };
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::latency::{Origin, Stamp, draw, read_whole};

    #[test]
    fn a_code_is_read_out_of_every_packing() {
        let stamp = Stamp { origin: Origin::Output, frame_id: 9, time: Timestamp::from_nanos(1000) };
        let (width_px, height_px) = (256, 48);
        let mut grey = Grey::from_data(width_px, height_px, vec![100; width_px * height_px]).unwrap();
        draw(&stamp, &mut grey);
        for fourcc in [b"YUYV", b"UYVY", b"NV12", b"RGB3", b"BGR3", b"XR24", b"GREY"] {
            let packing = Packing::of(fourcc).unwrap();
            let step = match packing {
                Packing::Samples { step, .. } | Packing::Colours { step, .. } => step,
                Packing::Jpeg => unreachable!(),
            };
            // Rows are longer than their pixels, as drivers like it.
            let stride = width_px * step + 32;
            let mut data = vec![128; stride * height_px];
            for (row, samples) in data.chunks_mut(stride).zip(grey.data().chunks(width_px)) {
                for (pixel, &sample) in row.chunks_exact_mut(step).zip(samples) {
                    match packing {
                        Packing::Samples { first, .. } => pixel[first] = sample,
                        _ => pixel.fill(sample),
                    }
                }
            }
            let layout = Layout { packing, width_px, height_px, stride };
            let mut picture = Grey::default();
            assert!(layout.unpack(&data, &mut picture).unwrap());
            assert_eq!(read_whole(&picture), Some(stamp), "{}", String::from_utf8_lossy(fourcc));
            assert!(!layout.unpack(&data[..data.len() / 2], &mut picture).unwrap(), "torn");
        }
        assert_eq!(Packing::of(b"H264"), None);
    }
}
