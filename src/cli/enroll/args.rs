//! What can be typed behind `effigy enroll`.

use std::path::PathBuf;

use clap::Args;
use effigy::identity::{Basis, Framing};

use crate::cli::parse_name;
use crate::cli::statement::AudioSpec;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  effigy enroll me.jpg -o me.effigy --consent self
  effigy enroll ann.jpg -o ann.effigy --consent subject --consent-by 'Ann Example'
  effigy enroll two-people.jpg -o left.effigy --consent self --face 1
  effigy enroll me.jpg left.jpg right.jpg smile.jpg -o me.effigy --consent self
  effigy enroll me.jpg talk.mp4 -o me.effigy --consent self        further views out of a clip
  effigy enroll ann.jpg -o ann.effigy --consent subject --consent-by 'Ann Example' --statement-audio microphone
  effigy enroll me.jpg -o me.effigy --consent self --seal passphrase

The identity file holds the consent record and is signed with a key that is made on first use.
A preview is written beside it (NAME.png): points found, person cut out, background; beside a sealed one none is.")]
pub(crate) struct EnrollArgs {
    /// The photo: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF, one face from the front, at least 96 pixels high; - is standard
    /// input; or a clip, whose best picture is taken
    #[arg(value_name = "PHOTO|CLIP")]
    pub(crate) photo: PathBuf,
    /// More photos or clips of the same person, which add what the first does not show: turns of the head, teeth, shut eyes
    #[arg(value_name = "MORE")]
    pub(crate) more: Vec<PathBuf>,
    /// The identity file to write
    #[arg(short, long, value_name = "NAME.effigy")]
    pub(crate) output: PathBuf,
    /// On what basis this face may be shown; recorded in the file
    #[arg(long, value_enum)]
    pub(crate) consent: Basis,
    /// Who says so; needed for `subject`, otherwise the user's name
    #[arg(long, value_name = "WHO")]
    pub(crate) consent_by: Option<String>,
    /// The last day on which it holds, in UTC; recorded, and enforced by `run`
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    pub(crate) until: Option<u64>,
    /// What the face may be shown for, if only for that; `run` then asks for the same words
    #[arg(long = "for", value_name = "PURPOSE")]
    pub(crate) purpose: Option<String>,
    /// The sentence with which the person agreed; its hash is recorded
    #[arg(long, value_name = "SENTENCE")]
    pub(crate) statement: Option<String>,
    /// The person says the sentence (that of --statement, or one that is shown): a recording, or microphone[:NAME]. Its hash
    /// and length are recorded, and it is kept beside the identity (NAME.statement.wav), to be shown later
    #[arg(long, value_name = "FILE|microphone", value_parser = parse_name::<AudioSpec>())]
    pub(crate) statement_audio: Option<AudioSpec>,
    /// Seal the identity file (and the recording) to a passphrase, or to public keys (age1…, may be repeated): who steals it
    /// cannot show it
    #[arg(long, value_name = "passphrase|age1…")]
    pub(crate) seal: Vec<String>,
    /// The passphrase of --seal is the first line of this file; without it EFFIGY_PASSPHRASE is taken, or the terminal asks
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// How the portrait is cut out of the photo
    #[arg(long, value_enum, default_value_t)]
    pub(crate) framing: Framing,
    /// Which face, when there are several: counted from the left, from 1
    #[arg(long, value_name = "N", value_parser = parse_face)]
    pub(crate) face: Option<usize>,
    /// The most views of several photos or a clip that are kept, 1 to 8; each takes memory and seconds at the start of a run
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) views: u8,
    /// The identity's name; otherwise the output file's
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Refuse a photo that may look bad instead of warning
    #[arg(long)]
    pub(crate) strict: bool,
    /// Try no expressions on the portrait: seconds less, and what it shows too weakly stays so
    #[arg(long)]
    pub(crate) no_rehearsal: bool,
    /// Print what was found and made as JSON: faces, remarks, measures, files
    #[arg(long)]
    pub(crate) json: bool,
}

fn parse_face(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a whole number, counted from 1".to_owned())
}

/// The last second of a day.
fn parse_date(text: &str) -> Result<u64, String> {
    let advice = || "expected a day as YYYY-MM-DD, from 1970 to 9999, such as 2027-01-31".to_owned();
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<u64>().ok());
    let (Some(Some(year)), Some(Some(month)), Some(Some(day))) = (parts.next(), parts.next(), parts.next()) else {
        return Err(advice());
    };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return Err(advice());
    }
    // Source: Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
    let shifted_year = year - u64::from(month <= 2);
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let end = (era * 146_097 + day_of_era + 1).saturating_sub(719_468) * 86_400 - 1;
    // A day that a month does not have becomes one of the next.
    if effigy::identity::utc(end).starts_with(text) { Ok(end) } else { Err(advice()) }
}
