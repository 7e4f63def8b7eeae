//! What is remembered between runs: the user's settings, how the last run was left, the library of identities.

pub use file::{Setting, SettingsFile, set, unset};
pub use folders::{cache_dir, config_dir, data_dir, state_dir, write_atomically};
pub use library::{Library, Shelved};

mod file;
mod folders;
mod library;
