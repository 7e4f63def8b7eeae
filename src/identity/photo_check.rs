//! What a user should know of a photo that is taken all the same.

/// What a [`Remark`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RemarkKind {
    /// Smaller faces were left aside.
    OtherFaces,
    /// The colour profile in the file is broken and was ignored.
    ColourProfile,
}

impl RemarkKind {
    /// A word for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtherFaces => "other-faces",
            Self::ColourProfile => "colour-profile",
        }
    }

    /// Whether the portrait may look bad for it; otherwise it is only good to know.
    pub const fn is_warning(self) -> bool {
        !matches!(self, Self::OtherFaces)
    }
}

/// One thing to know of a photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub kind: RemarkKind,
    /// What was found and what to do, a lower-case clause without a full stop.
    pub text: String,
}

impl Remark {
    pub(super) fn new(kind: RemarkKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// The remark for programs: `kind`, `warning`, `text`.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({ "kind": self.kind.name(), "warning": self.kind.is_warning(), "text": self.text })
    }
}
