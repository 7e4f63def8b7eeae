//! Which camera is meant.

/// Which camera.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CameraChoice {
    /// The first that works.
    #[default]
    First,
    /// The one with this number: on Linux that of `/dev/videoN`.
    Index(u32),
    /// The first whose name contains this, whatever the case.
    Name(String),
}

impl CameraChoice {
    /// Whether the camera with this number and name is meant.
    pub fn fits(&self, index: u32, name: &str) -> bool {
        match self {
            Self::First => true,
            Self::Index(wanted) => index == *wanted,
            Self::Name(part) => name.to_lowercase().contains(&part.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cameras_are_chosen_by_number_and_by_a_part_of_the_name() {
        assert!(CameraChoice::Index(2).fits(2, "Logi 920"));
        assert!(!CameraChoice::Index(1).fits(2, "Logi 920"));
        assert!(CameraChoice::Name("LOGI".into()).fits(2, "Logi 920"));
        assert!(!CameraChoice::Name("HD".into()).fits(2, "Logi 920"));
    }
}
