//! Which encoder writes a file, by what this FFmpeg has.

use std::fmt;
use std::str::FromStr;

use ffmpeg_next as ffmpeg;
use ffmpeg_next::format::Pixel;

use crate::error::{Error, ErrorKind, Result};

/// How a file's pictures are coded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// H.264, else what is there.
    #[default]
    Auto,
    /// Played everywhere.
    H264,
    /// Half the size of H.264, for four times the work.
    Hevc,
    /// Smaller still, for more work still.
    Av1,
    /// For editors, with alpha: ProRes 4444 (.mov, .mkv).
    ProRes,
    /// For editors, with alpha, without loss: FFV1 (.mkv, .mov).
    Ffv1,
    /// An encoder by FFmpeg's name for it, such as `h264_nvenc`.
    Encoder(String),
}

const TAKES: &str = "`--codec` takes auto, h264, hevc, av1, prores, ffv1, or the name of one of FFmpeg's encoders";

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "auto" => Self::Auto,
            "h264" => Self::H264,
            "hevc" | "h265" => Self::Hevc,
            "av1" => Self::Av1,
            "prores" => Self::ProRes,
            "ffv1" => Self::Ffv1,
            _ => {
                super::init();
                // The binding takes no zeros in a name.
                let name = if text.contains('\0') { "" } else { text };
                let found =
                    ffmpeg::encoder::find_by_name(name).filter(|codec| codec.medium() == ffmpeg::media::Type::Video);
                if found.is_none() {
                    let message = format!("no codec or encoder {text:?} in this FFmpeg; {TAKES}");
                    return Err(Error::new(ErrorKind::Config, message));
                }
                Self::Encoder(text.to_owned())
            }
        })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Av1 => "av1",
            Self::ProRes => "prores",
            Self::Ffv1 => "ffv1",
            Self::Encoder(name) => name,
        })
    }
}

/// An encoder to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// FFmpeg's name.
    pub(super) encoder: String,
    /// What it makes, for the user.
    pub(super) makes: &'static str,
    pub(super) format: Pixel,
    pub(super) options: Vec<(&'static str, &'static str)>,
}

impl Codec {
    /// What can make it, the best first; a live recording must keep up beside the pipeline.
    pub(super) fn candidates(&self, is_live: bool) -> Vec<Candidate> {
        let choose = |live: &'static str, offline: &'static str| if is_live { live } else { offline };
        let one = |encoder: &str, makes, format, options: &[(&'static str, &'static str)]| Candidate {
            encoder: encoder.to_owned(),
            makes,
            format,
            options: options.to_vec(),
        };
        // Without pictures that refer to later ones: those would come late, and a kill would take them along.
        let x264 = [
            ("preset", choose("veryfast", "medium")),
            ("crf", choose("20", "18")),
            ("bf", "0"),
            if is_live { ("tune", "zerolatency") } else { ("rc-lookahead", "10") },
        ];
        let h264 = || {
            vec![
                one("libx264", "H.264", Pixel::YUV420P, &x264),
                one("libopenh264", "H.264", Pixel::YUV420P, &[("b", "6000000")]),
                one("h264_nvenc", "H.264", Pixel::YUV420P, &[("cq", "20"), ("bf", "0")]),
                one("h264_videotoolbox", "H.264", Pixel::YUV420P, &[("b", "6000000")]),
                one("h264_mf", "H.264", Pixel::YUV420P, &[("b", "6000000")]),
            ]
        };
        let x265 = [
            ("preset", choose("ultrafast", "medium")),
            ("crf", choose("22", "20")),
            ("x265-params", "log-level=none:bframes=0:pools=none:frame-threads=1"),
            ("tune", "zerolatency"),
        ];
        match self {
            Self::H264 => h264(),
            Self::Auto => {
                let mut all = h264();
                all.push(one("mpeg4", "MPEG-4", Pixel::YUV420P, &[("q", "3"), ("qmin", "3"), ("qmax", "8")]));
                all
            }
            Self::Hevc => vec![
                one("libx265", "HEVC", Pixel::YUV420P, &x265[..if is_live { 4 } else { 3 }]),
                one("hevc_nvenc", "HEVC", Pixel::YUV420P, &[("cq", "22"), ("bf", "0")]),
                one("hevc_videotoolbox", "HEVC", Pixel::YUV420P, &[("b", "5000000")]),
            ],
            Self::Av1 => vec![
                one("libsvtav1", "AV1", Pixel::YUV420P, &[("preset", choose("12", "8")), ("crf", "30")]),
                one("av1_nvenc", "AV1", Pixel::YUV420P, &[("cq", "28")]),
                one(
                    "libaom-av1",
                    "AV1",
                    Pixel::YUV420P,
                    &[
                        ("usage", choose("realtime", "good")),
                        ("cpu-used", choose("10", "6")),
                        ("lag-in-frames", "0"),
                        ("crf", "28"),
                        ("b", "0"),
                    ],
                ),
            ],
            Self::ProRes => {
                vec![one("prores_ks", "ProRes 4444", Pixel::YUVA444P10LE, &[("profile", "4444"), ("vendor", "apl0")])]
            }
            Self::Ffv1 => {
                vec![one("ffv1", "FFV1", Pixel::YUVA444P, &[("level", "3"), ("slices", "4"), ("slicecrc", "1")])]
            }
            Self::Encoder(name) => {
                let known = [Self::Auto, Self::Hevc, Self::Av1, Self::ProRes, Self::Ffv1];
                let known = known.iter().flat_map(|codec| codec.candidates(is_live)).find(|c| c.encoder == *name);
                vec![known.unwrap_or_else(|| one(name, "video", Pixel::YUV420P, &[]))]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_read_from_text_and_written_back() {
        for text in ["auto", "h264", "hevc", "av1", "prores", "ffv1", "mpeg4"] {
            assert_eq!(text.parse::<Codec>().unwrap().to_string(), text);
        }
        for wrong in ["", "h263000", "aac", "a\0b"] {
            let error = wrong.parse::<Codec>().unwrap_err();
            assert!(error.to_string().contains("`--codec` takes auto, h264"), "{error}");
        }
        assert_eq!(Codec::Encoder("libx264".into()).candidates(true), Codec::H264.candidates(true)[..1]);
    }
}
