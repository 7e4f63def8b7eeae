//! What a picture shows, told along with it, so that whoever steers sees what came of it.

use super::{Background, BadgeLanguage, BadgePlace, CardReason, Framing, View};
use crate::drive::Strengths;

/// Who and what is in a picture, and what was asked for when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// The identity, counted from 0.
    pub identity: usize,
    /// Identities that can be shown.
    pub n_identities: usize,
    /// Who is shown beside, counted from 0, where two people are.
    pub beside: Option<usize>,
    /// The identity that was asked for and is still being made ready.
    pub wanted: Option<usize>,
    /// The card that stands in for the portrait.
    pub card: Option<CardReason>,
    /// Whether the card was asked for.
    pub is_card_asked: bool,
    /// Whether the picture is mirrored.
    pub is_mirrored: bool,
    /// What is behind the person.
    pub background: BackgroundKind,
    /// How strongly each part of the motion is carried over.
    pub strengths: Strengths,
    /// How much of the photo's own expression stays at rest, 0..1.
    pub keep_expression: f32,
    /// How far the gaze is drawn to the viewer, 0..1.
    pub eye_contact: f32,
    /// How far the portrait is ahead of the driver's frame, in milliseconds.
    pub predict_ms: f32,
    /// How the head is put into the frame.
    pub framing: Framing,
    /// Which part of the scene a filled frame shows.
    pub view: View,
    /// Whether the picture carries the visible mark.
    pub is_badged: bool,
    /// In which corner that was asked for.
    pub badge_place: BadgePlace,
    /// In which language it speaks.
    pub badge_language: BadgeLanguage,
}

/// What is behind the person, without the picture itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackgroundKind {
    /// The portrait's own.
    #[default]
    Own,
    /// The portrait's own, strongly blurred.
    Blur,
    /// One colour: red, green, blue.
    Colour([u8; 3]),
    /// A picture.
    Picture,
    /// Nothing: the output is transparent.
    None,
}

impl From<&Background> for BackgroundKind {
    fn from(background: &Background) -> Self {
        match background {
            Background::Own => Self::Own,
            Background::Blur => Self::Blur,
            Background::Colour(colour) => Self::Colour(*colour),
            Background::Picture(_) => Self::Picture,
            Background::None => Self::None,
        }
    }
}
