//! The plan of the house: which module names which, that no two name each other in a circle, and what each crate stands on.
//!
//! `docs/modules.txt` draws it. `EFFIGY_BLESS=1 cargo test --test it modules::` draws it anew.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[path = "modules/graph.rs"]
mod graph;
#[path = "modules/source.rs"]
mod source;

use graph::{Graph, circles, floors};
use toml_edit::DocumentMut;

/// The crates from the ground up: folder, name as code has it, and the crates of ours that each may use.
const CRATES: [(&str, &str, &[&str]); 5] = [
    ("crates/base", "effigy_base", &[]),
    ("crates/photo", "effigy_photo", &["effigy-base"]),
    ("crates/network", "effigy_network", &["effigy-base"]),
    ("crates/training", "effigy_training", &["effigy-base", "effigy-network", "effigy-photo"]),
    (".", "effigy", &["effigy-base", "effigy-network", "effigy-photo", "effigy-training"]),
];

/// What needs a device, a window, a server or system libraries beside the driver: for the program alone.
const FOR_THE_PROGRAM: [&str; 9] =
    ["opencv", "ffmpeg-next", "nokhwa", "minifb", "cpal", "axum", "tokio", "pipewire", "turbojpeg"];

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read() -> Vec<Graph> {
    CRATES.iter().map(|(folder, name, _)| Graph::read(&project().join(folder), name)).collect()
}

#[test]
fn no_modules_of_one_parent_name_each_other_in_a_circle() {
    let mut found = String::new();
    for graph in read() {
        for (parent, edges) in graph.siblings() {
            for circle in circles(edges.keys()) {
                found += &format!("\nin {}: {circle:?}\n", graph.shown(&parent));
                for ((from, to), witnesses) in &edges {
                    if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                        let witnesses = witnesses.iter().cloned().collect::<Vec<_>>().join(", ");
                        found += &format!("  {from} -> {to}: {witnesses}\n");
                    }
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "{found}\nmove what both need into a module below both, or let the upper one hand it down"
    );
}

/// Cargo refuses circles between crates; this holds what each stands on, and that the network and training are built
/// where there is no OpenCV, camera, window or server.
#[test]
fn each_crate_stands_on_those_below_it_and_only_the_program_on_the_system() {
    for (folder, name, below) in CRATES {
        let text = std::fs::read_to_string(project().join(folder).join("Cargo.toml")).unwrap();
        let cargo: DocumentMut = text.parse().unwrap();
        for (dependency, value) in cargo["dependencies"].as_table().unwrap().iter() {
            let is_ours = dependency.starts_with("effigy-");
            assert!(!is_ours || below.contains(&dependency), "{name} may not use {dependency}");
            // Base can show its pictures to OpenCV, for the program, which asks it to.
            let is_asked_for = (name, dependency) == ("effigy_base", "opencv")
                && value.get("optional").and_then(toml_edit::Item::as_bool) == Some(true);
            let is_free = !FOR_THE_PROGRAM.contains(&dependency) || is_asked_for;
            assert!(name == "effigy" || is_free, "{name} may not use {dependency}");
        }
    }
}

/// Every module with those beside it that it or its submodules name, from the ground up, and each folder by itself.
#[test]
fn the_drawing_is_what_the_code_says() {
    let mut drawing = String::from(
        "Which module names which, from the ground up: a module names only such as stand above it in this list.\n\
         A crate names only such as stand above it.\n\
         Drawn by `EFFIGY_BLESS=1 cargo test --test it modules::`.\n",
    );
    for graph in read() {
        for (parent, edges) in graph.siblings() {
            let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for name in graph.children(&parent) {
                named.entry(name).or_default();
            }
            for (from, to) in edges.keys() {
                named.entry(from).or_default().insert(to);
            }
            drawing += &format!("\n{}\n", graph.shown(&parent));
            for name in floors(&named) {
                let line = format!("  {name:<16}{}", named[name].iter().copied().collect::<Vec<_>>().join(" "));
                drawing += &format!("{}\n", line.trim_end());
            }
        }
    }
    let path = project().join("docs/modules.txt");
    if std::env::var_os("EFFIGY_BLESS").is_some() {
        std::fs::write(&path, &drawing).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == drawing, "docs/modules.txt is old; EFFIGY_BLESS=1 cargo test --test it modules:: draws it anew");
}
