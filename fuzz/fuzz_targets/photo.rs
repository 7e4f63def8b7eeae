//! Feeds any bytes to the reader of photos: `cargo +nightly fuzz run photo`.

#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    let _ = effigy::photo::size_px(file);
    let _ = effigy::photo::decode_with_remarks(file);
});
