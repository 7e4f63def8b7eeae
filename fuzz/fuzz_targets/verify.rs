//! Feeds any bytes to `verify` as a file: `cargo +nightly fuzz run verify`. The corpora of `photo` and `identity` are good beginnings.

#![no_main]

use std::path::PathBuf;

use effigy::identity::Opener;
use effigy::verify::{VerifyOptions, VerifySpec, examine};

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let path: PathBuf = std::env::temp_dir().join(format!("effigy-fuzz-verify-{}", std::process::id()));
    if std::fs::write(&path, file).is_ok() {
        let _ = examine(&VerifySpec::File(path), &VerifyOptions::default(), &Opener::default());
    }
});
