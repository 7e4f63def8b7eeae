//! Feeds any bytes to what opens sealed identities: `cargo +nightly fuzz run sealed`.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use effigy::identity::{Opener, new_key};

/// No passphrases: each try takes a second.
static OPENER: LazyLock<Opener> = LazyLock::new(|| {
    let mut opener = Opener::default();
    opener.add_keys(&new_key().0).expect("a key that was just made");
    opener
});

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let _ = OPENER.open(Path::new("x.effigy"), file.to_vec(), 1 << 20);
});
