//! Feeds any bytes to the reader of identity files: `cargo +nightly fuzz run identity`.

#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let _ = effigy::Identity::from_bytes(file);
});
