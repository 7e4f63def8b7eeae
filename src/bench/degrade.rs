//! How much a picture may suffer before its code is lost: bit errors and misses over degradations.

use std::fmt;

use opencv::core::{Point2f, Scalar, Size};
use opencv::imgproc;

use super::compare::Random;
use crate::capture::PatternPlayer;
use crate::clock::{ManualClock, Timestamp};
use crate::error::Result;
use crate::frame::{Rgb, Rgba};
use crate::jpeg;
use crate::latency::{self, Origin, Place, Stamp};

/// What happens to a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    /// To so many parts of its size, by the mean of what each pixel covers.
    Shrink(f64),
    /// The same, by the nearest pixel.
    ShrinkNearest(f64),
    /// JPEG of this quality, with chroma at half size (4:2:0).
    Jpeg(i32),
    /// Only brightness and chroma at a quarter of the size: what is left after 4:1:0.
    CoarseChroma,
    /// Gaussian blur of this radius, in pixels.
    Blur(f64),
    /// Gaussian noise of this strength, of 255.
    Noise(f32),
    /// Samples times the first, plus the second.
    Light(f64, f64),
    /// A turn by so many degrees.
    Turn(f64),
    /// Into a picture of 16:9 with bars beside it, at half size.
    Letterbox,
    /// Stretched from square to 16:9.
    Stretch,
    /// Left and right exchanged.
    Mirror,
    /// A disc as large as two per cent of the width, somewhere on the code: a mouse pointer.
    Pointer,
}

/// What is done, in order, and what it is called.
const TABLE: &[(&str, &[Harm])] = &[
    ("none", &[]),
    ("half size", &[Harm::Shrink(0.5)]),
    ("half size, nearest pixel", &[Harm::ShrinkNearest(0.5)]),
    ("0.37 of the size", &[Harm::Shrink(0.37)]),
    ("a quarter of the size", &[Harm::Shrink(0.25)]),
    ("JPEG q50, 4:2:0", &[Harm::Jpeg(50)]),
    ("JPEG q20, 4:2:0", &[Harm::Jpeg(20)]),
    ("JPEG q5, 4:2:0", &[Harm::Jpeg(5)]),
    ("half size, then JPEG q50", &[Harm::Shrink(0.5), Harm::Jpeg(50)]),
    ("JPEG q50, then half size", &[Harm::Jpeg(50), Harm::Shrink(0.5)]),
    ("quarter size, then JPEG q50", &[Harm::Shrink(0.25), Harm::Jpeg(50)]),
    ("three times JPEG q50", &[Harm::Jpeg(50), Harm::Jpeg(49), Harm::Jpeg(50)]),
    ("chroma at a quarter", &[Harm::CoarseChroma]),
    ("blur 1 px", &[Harm::Blur(1.0)]),
    ("blur 2 px", &[Harm::Blur(2.0)]),
    ("blur 4 px", &[Harm::Blur(4.0)]),
    ("blur 6 px", &[Harm::Blur(6.0)]),
    ("noise 20", &[Harm::Noise(20.0)]),
    ("noise 60", &[Harm::Noise(60.0)]),
    ("noise 120", &[Harm::Noise(120.0)]),
    ("contrast 25 %", &[Harm::Light(0.25, 90.0)]),
    ("contrast 12 %", &[Harm::Light(0.12, 110.0)]),
    ("overexposed", &[Harm::Light(1.6, 40.0)]),
    ("turned by 0.5 degrees", &[Harm::Turn(0.5)]),
    ("turned by 2 degrees", &[Harm::Turn(2.0)]),
    ("letterboxed at half size", &[Harm::Letterbox]),
    ("stretched to 16:9", &[Harm::Stretch]),
    ("mirrored", &[Harm::Mirror]),
    ("pointer over the code", &[Harm::Pointer]),
    ("half size, JPEG q50, noise 20", &[Harm::Shrink(0.5), Harm::Jpeg(50), Harm::Noise(20.0)]),
];

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was done to the pictures.
    pub name: &'static str,
    /// Pictures.
    pub n_pictures: usize,
    /// Share of the code's 192 bits that were read wrongly before mending, in pictures whose place is known.
    pub bit_errors: f64,
    /// Pictures whose code was not read.
    pub n_missed: usize,
    /// Pictures that said something that was never drawn.
    pub n_false: usize,
    /// Pictures that were mended.
    pub n_mended: usize,
}

/// The table as text.
pub struct Table(pub Vec<Row>);

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>8} {:>11} {:>8} {:>8} {:>6}",
            "degradation", "pictures", "bit errors", "mended", "missed", "false"
        )?;
        for row in &self.0 {
            let share = |n: usize| format!("{:.1} %", 100.0 * n as f64 / row.n_pictures.max(1) as f64);
            writeln!(
                f,
                "{:<34} {:>8} {:>9.3} % {:>8} {:>8} {:>6}",
                row.name,
                row.n_pictures,
                100.0 * row.bit_errors,
                share(row.n_mended),
                share(row.n_missed),
                row.n_false
            )?;
        }
        Ok(())
    }
}

/// Draws codes over pictures of the test pattern, 512 pixels a side, harms them and reads them back.
///
/// # Errors
/// When the pattern cannot be read or a picture operation fails.
pub fn table(n_pictures: usize) -> Result<Table> {
    let pictures = pictures()?;
    let mut random = Random(7);
    let mut rows = Vec::new();
    for (name, harms) in TABLE {
        let mut row = Row { name, n_pictures, bit_errors: 0.0, n_missed: 0, n_false: 0, n_mended: 0 };
        let (mut n_bits, mut n_wrong_bits) = (0_u64, 0_u64);
        for i in 0..n_pictures {
            let stamp = Stamp {
                origin: Origin::Output,
                frame_id: random.next() as u32,
                time: Timestamp::from_nanos(random.next() % (1 << 50) * 1000),
            };
            let mut picture = pictures[i % pictures.len()].clone();
            latency::draw(&stamp, &mut picture);
            for harm in *harms {
                picture = harm.apply(&picture, &mut random)?;
            }
            let mut place = None;
            let read = latency::read(&picture, &mut place);
            row.n_missed += usize::from(read.is_none());
            row.n_false += usize::from(read.is_some_and(|read| read != stamp));
            let place = place.unwrap_or_else(|| Place::whole(picture.width_px()));
            row.n_mended += usize::from(latency::read_at(&picture, &place).is_some_and(|(_, n_mended)| n_mended > 0));
            if let Some(n_wrong) = latency::wrong_bits(&picture, &place, &stamp) {
                n_wrong_bits += u64::from(n_wrong);
                n_bits += 192;
            }
        }
        row.bit_errors = n_wrong_bits as f64 / n_bits.max(1) as f64;
        rows.push(row);
    }
    Ok(Table(rows))
}

/// Pictures of the test pattern, a third of a second apart.
fn pictures() -> Result<Vec<Rgb>> {
    let mut player = PatternPlayer::open(512)?;
    let (clock, mut picture, mut pictures) = (ManualClock::new(), Rgba::default(), Vec::new());
    for i in 0..160 {
        clock.advance(std::time::Duration::from_secs_f64(1.0 / player.rate_hz()));
        if player.read(&mut picture, &clock)?.is_some() && i % 10 == 0 {
            let rgb = picture.data().as_chunks::<4>().0.iter().flat_map(|p| [p[0], p[1], p[2]]).collect();
            pictures.push(Rgb::from_data(512, 512, rgb)?);
        }
    }
    Ok(pictures)
}

impl Harm {
    fn apply(self, picture: &Rgb, random: &mut Random) -> Result<Rgb> {
        let (width, height) = (picture.width_px(), picture.height_px());
        let resized = |picture: &Rgb, (w, h): (usize, usize), method| -> Result<Rgb> {
            let mut out = Rgb::new(w, h);
            let size = Size::new(w as i32, h as i32);
            imgproc::resize(&picture.as_mat()?, &mut out.as_mat_mut()?, size, 0.0, 0.0, method)?;
            Ok(out)
        };
        let scaled = |scale: f64| ((width as f64 * scale).round() as usize, (height as f64 * scale).round() as usize);
        Ok(match self {
            Self::Shrink(scale) => resized(picture, scaled(scale), imgproc::INTER_AREA)?,
            Self::ShrinkNearest(scale) => resized(picture, scaled(scale), imgproc::INTER_NEAREST)?,
            Self::Stretch => resized(picture, (height * 16 / 9, height), imgproc::INTER_LINEAR)?,
            Self::Jpeg(quality) => {
                let mut decoded = Rgb::default();
                jpeg::decode_rgb(jpeg::Encoder::new(quality)?.encode(picture)?, &mut decoded);
                decoded
            }
            Self::CoarseChroma => {
                let small = resized(picture, (width / 4, height / 4), imgproc::INTER_AREA)?;
                let coarse = resized(&small, (width, height), imgproc::INTER_LINEAR)?;
                let mut out = picture.clone();
                let luma = |p: &[u8]| (77 * i32::from(p[0]) + 150 * i32::from(p[1]) + 29 * i32::from(p[2])) >> 8;
                for (out, coarse) in out.data_mut().chunks_exact_mut(3).zip(coarse.data().chunks_exact(3)) {
                    let shift = luma(out) - luma(coarse);
                    for (sample, coarse) in out.iter_mut().zip(coarse) {
                        *sample = (i32::from(*coarse) + shift).clamp(0, 255) as u8;
                    }
                }
                out
            }
            Self::Blur(sigma) => {
                let mut out = Rgb::new(width, height);
                imgproc::gaussian_blur_def(&picture.as_mat()?, &mut out.as_mat_mut()?, Size::new(0, 0), sigma)?;
                out
            }
            Self::Noise(sigma) => {
                let mut out = picture.clone();
                for sample in out.data_mut() {
                    *sample = (f32::from(*sample) + sigma * random.normal()).clamp(0.0, 255.0) as u8;
                }
                out
            }
            Self::Light(gain, offset) => {
                let mut out = picture.clone();
                for sample in out.data_mut() {
                    *sample = (f64::from(*sample) * gain + offset).clamp(0.0, 255.0) as u8;
                }
                out
            }
            Self::Turn(degrees) => {
                let centre = Point2f::new(width as f32 / 2.0, height as f32 / 2.0);
                let turn = imgproc::get_rotation_matrix_2d(centre, degrees, 1.0)?;
                let mut out = Rgb::new(width, height);
                let size = Size::new(width as i32, height as i32);
                let (method, border) = (imgproc::INTER_LINEAR, opencv::core::BORDER_CONSTANT);
                let grey = Scalar::all(90.0);
                imgproc::warp_affine(&picture.as_mat()?, &mut out.as_mat_mut()?, &turn, size, method, border, grey)?;
                out
            }
            Self::Letterbox => {
                let (inner_width, inner_height) = (width / 2, height / 2);
                let small = resized(picture, (inner_width, inner_height), imgproc::INTER_AREA)?;
                let (wide, high) = (inner_height * 16 / 9, inner_height);
                let left = (wide - inner_width) / 2;
                let mut out = Rgb::new(wide, high);
                for y in 0..high {
                    out.data_mut()[(y * wide + left) * 3..][..inner_width * 3].copy_from_slice(small.row(y));
                }
                out
            }
            Self::Mirror => {
                let mut out = picture.clone();
                for row in out.data_mut().chunks_exact_mut(width * 3) {
                    let from = row.to_vec();
                    for (to, from) in row.chunks_exact_mut(3).zip(from.chunks_exact(3).rev()) {
                        to.copy_from_slice(from);
                    }
                }
                out
            }
            Self::Pointer => {
                let mut out = picture.clone();
                let (x0, y0) = (random.below(width) as f32, random.below(height * 6 / 64) as f32);
                let radius = width as f32 * 0.01;
                for (i, pixel) in out.data_mut().chunks_exact_mut(3).enumerate() {
                    let (dx, dy) = ((i % width) as f32 - x0, (i / width) as f32 - y0);
                    if dx * dx + dy * dy < radius * radius {
                        pixel.fill(255);
                    }
                }
                out
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_video_chain_does_costs_no_code_and_nothing_gives_a_false_one() {
        let rows = table(16).unwrap().0;
        assert_eq!(rows.iter().map(|row| row.n_false).sum::<usize>(), 0, "{}", Table(rows));
        let must = [
            "none",
            "half size",
            "half size, nearest pixel",
            "JPEG q50, 4:2:0",
            "JPEG q20, 4:2:0",
            "half size, then JPEG q50",
            "JPEG q50, then half size",
            "chroma at a quarter",
            "letterboxed at half size",
            "stretched to 16:9",
            "mirrored",
        ];
        for name in must {
            let row = rows.iter().find(|row| row.name == name).unwrap();
            assert_eq!(row.n_missed, 0, "{row:?}");
        }
    }
}
