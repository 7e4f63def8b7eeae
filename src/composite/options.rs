//! How pictures are built.

use super::{Background, BadgeLanguage, BadgePlace, Framing, View};

/// How a compositor builds its pictures.
#[derive(Clone, Debug)]
pub struct CompositeOptions {
    /// Width and height of the generated square, in pixels.
    pub size_px: usize,
    /// The frame's (width, height), in pixels; `None` is the generated square's.
    pub frame_px: Option<(usize, usize)>,
    /// How the head is put into the frame.
    pub framing: Framing,
    /// Which part of the scene a filled frame shows.
    pub view: View,
    /// What is behind the person.
    pub background: Background,
    /// Whether a visible mark, a word that says AI, is in a corner.
    pub badge: bool,
    /// In which corner it is wanted; it makes way for the mouth.
    pub badge_place: BadgePlace,
    /// In which language it speaks.
    pub badge_language: BadgeLanguage,
    /// Whether the picture is flipped, as in a mirror. The badge stays readable.
    pub mirror: bool,
    /// What the invisible mark says of the run: a number drawn at random, or 0 to tell nothing. The mark itself is always there.
    pub run_id: u16,
}

impl Default for CompositeOptions {
    fn default() -> Self {
        Self {
            size_px: 512,
            frame_px: None,
            framing: Framing::Head,
            view: View::PLAIN,
            background: Background::Own,
            badge: true,
            badge_place: BadgePlace::default(),
            badge_language: BadgeLanguage::default(),
            mirror: false,
            run_id: 0,
        }
    }
}
