//! The tests that can share a process: one program, linked once, whose two threads never wait for a slow one's end.
//!
//! `cargo test --test it pipeline::` runs those of `tests/pipeline.rs`. A test that counts the whole process's memory, sets
//! the environment or is run with another environment is a program of its own, named in Cargo.toml.

mod common;

#[path = "common/clips.rs"]
mod clips;
#[path = "common/damage.rs"]
mod damage;
#[path = "common/data_home.rs"]
mod data_home;
#[path = "common/folder.rs"]
mod folder;
#[path = "common/home.rs"]
mod home;

mod badge;
mod batch;
mod cli;
mod credentials;
mod dense;
mod eval;
mod export;
mod face;
mod families;
mod features;
mod frames;
mod golden;
mod http;
mod identity;
mod idle;
mod modules;
mod mouth;
mod names;
mod network;
mod occlusion;
mod offline;
mod packs;
mod pair;
mod photos;
mod pipeline;
mod predict;
mod recorder;
mod remembered;
#[cfg(feature = "remote")]
mod remote;
mod sealed;
mod sink;
mod speech;
mod stream;
mod verify;
mod views;

/// Cargo does not look for tests by itself here: what is in no program is never run.
#[test]
fn every_file_of_tests_is_in_a_program() {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (cargo, own) = (std::fs::read_to_string(project.join("Cargo.toml")).unwrap(), include_str!("it.rs"));
    for entry in std::fs::read_dir(project.join("tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".rs") else { continue };
        assert!(
            own.lines().any(|line| line == format!("mod {stem};"))
                || cargo.contains(&format!("[[test]]\nname = \"{stem}\"\n")),
            "tests/{name} is never run; add `mod {stem};` to tests/it.rs, or a [[test]] to Cargo.toml"
        );
    }
}
