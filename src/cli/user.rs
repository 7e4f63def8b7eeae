//! Who sits before the machine.

/// Who stands for a consent when nobody else is named.
pub(super) fn name() -> String {
    ["USER", "USERNAME", "LOGNAME"]
        .into_iter()
        .find_map(|key| std::env::var(key).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "the user of this machine".to_owned())
}
