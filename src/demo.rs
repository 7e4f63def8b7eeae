//! What the demo shows: synthetic people, made for this program (see models/README.md).

/// Portraits, each with its name, as PNG files.
pub const PORTRAITS: [(&str, &[u8]); 3] = [
    ("Ada", include_bytes!("../models/demo/portrait_a.png")),
    ("Ben", include_bytes!("../models/demo/portrait_b.png")),
    ("Cleo", include_bytes!("../models/demo/portrait_c.png")),
];

/// A driver that talks, blinks, smiles and turns, as an MP4 file.
pub const DRIVER_MP4: &[u8] = include_bytes!("../models/demo/driver.mp4");
