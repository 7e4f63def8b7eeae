//! What coefficients are called elsewhere: ARKit's names, and iFacialMocap's short forms of them.

use crate::geometry::COEFFICIENT_NAMES;

/// The one of ARKit's 52 that cameras do not see here; it is sent as 0.
pub(super) const TONGUE: &str = "tongueOut";

/// Index and ARKit's name of every coefficient that has one.
pub(super) fn arkit() -> impl Iterator<Item = (usize, &'static str)> {
    COEFFICIENT_NAMES.iter().copied().enumerate().skip(1)
}

/// Finds a coefficient by ARKit's name or iFacialMocap's, whatever the case.
pub(super) fn index(name: &str) -> Option<usize> {
    let long = |side: &str, ending: &str| name.strip_suffix(ending).map(|stem| format!("{stem}{side}"));
    let long = long("Left", "_L").or_else(|| long("Right", "_R"));
    let name = long.as_deref().unwrap_or(name);
    arkit().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(index, _)| index)
}

/// iFacialMocap's name of a coefficient: sides are `_L` and `_R`, but for whole features that move to a side.
pub(super) fn short(name: &str) -> String {
    let is_whole = ["jawLeft", "jawRight", "mouthLeft", "mouthRight"].contains(&name);
    let side = |ending: &str, short: &str| name.strip_suffix(ending).map(|stem| format!("{stem}{short}"));
    let sided = if is_whole { None } else { side("Left", "_L").or_else(|| side("Right", "_R")) };
    sided.unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_both_forms() {
        assert_eq!(arkit().count(), 51, "ARKit's 52 without the tongue");
        for (i, name) in arkit() {
            assert_eq!(index(name), Some(i));
            assert_eq!(index(&short(name)), Some(i), "{}", short(name));
            assert_eq!(index(&name.to_uppercase()), Some(i));
        }
        assert_eq!((short("mouthLeft"), short("eyeBlinkLeft")), ("mouthLeft".to_owned(), "eyeBlink_L".to_owned()));
        assert_eq!((index("_neutral"), index(TONGUE), index("é_L")), (None, None, None));
    }
}
