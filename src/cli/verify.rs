//! `effigy verify`: what an identity file tells about its origin.

use effigy::{Identity, Result};

use super::{VerifyArgs, terminal};

/// Checks a file and prints its record.
pub(crate) fn run(args: &VerifyArgs) -> Result<()> {
    let identity = Identity::load(&args.file)?;
    let manifest = &identity.manifest;
    let consent = &manifest.consent;
    let size = identity.size_px();
    let rows = [
        ("identity", manifest.name.clone()),
        ("signature", "holds: nothing in the file was changed since it was signed".to_owned()),
        ("signed by", format!("key {}", identity.maker.as_deref().unwrap_or("unknown"))),
        ("consent", format!("{} (said by {}, {})", consent.basis.name(), consent.by, utc(consent.at_unix_secs))),
        ("made", utc(manifest.created_unix_secs)),
        ("portrait", format!("{size}x{size} pixels, photo with SHA-256 {}", manifest.photo_sha256)),
    ];
    let text: String = rows.into_iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect();
    terminal::print(text.as_bytes())
}

/// A date and time in UTC, as ISO 8601 writes it.
///
/// Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn utc(unix_secs: u64) -> String {
    let (days, secs) = (unix_secs / 86_400 + 719_468, unix_secs % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", secs / 3600, secs / 60 % 60, secs % 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn seconds_become_dates() {
        assert_eq!(super::utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::utc(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(super::utc(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(super::utc(1_735_689_599), "2024-12-31T23:59:59Z");
    }
}
