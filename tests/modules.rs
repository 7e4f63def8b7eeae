//! The plan of the house: which module names which, that no two name each other in a circle, and that what is to stand
//! alone does.
//!
//! `docs/modules.txt` draws it. `EFFIGY_BLESS=1 cargo test --test it modules::` draws it anew.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[path = "modules/graph.rs"]
mod graph;
#[path = "modules/source.rs"]
mod source;

use graph::{Graph, Module, circles, floors};

/// The network: its plan, its foldings, its weights, and what executes it.
const NETWORK: &[&str] = &[
    "generate::plan",
    "generate::network",
    "generate::twin",
    "generate::cpu",
    "generate::cuda",
    "generate::wgpu",
    "generate::roofline",
    "kernels",
];
/// What the network may name beside itself.
const UNDER_NETWORK: &[&str] = &["error", "files", "geometry", "hex", "onnx", "pixel"];

/// Training: from a data set on disk and from groups to weights. What makes groups of it needs the warp.
const TRAINING: &[&str] = &[
    "train::adversary",
    "train::checkpoint",
    "train::dataset",
    "train::features",
    "train::group",
    "train::leaves",
    "train::loss",
    "train::parameters",
    "train::pick",
    "train::picture",
    "train::replay",
    "train::sheet",
    "train::teach",
    "train::tracker",
    "train::validate",
    "train::warping",
];
/// What training may name beside itself and the network.
const UNDER_TRAINING: &[&str] = &["clock", "error", "files", "frame", "geometry", "hex", "models", "photo", "random"];

fn read() -> Graph {
    Graph::read(Path::new(env!("CARGO_MANIFEST_DIR")))
}

#[test]
fn no_modules_of_one_parent_name_each_other_in_a_circle() {
    let mut found = String::new();
    for (parent, edges) in read().siblings() {
        for circle in circles(edges.keys()) {
            found += &format!("\nin {}: {circle:?}\n", shown(&parent));
            for ((from, to), witnesses) in &edges {
                if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                    found +=
                        &format!("  {from} -> {to}: {}\n", witnesses.iter().cloned().collect::<Vec<_>>().join(", "));
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "{found}\nmove what both need into a module below both, or let the upper one hand it down"
    );
}

#[test]
fn the_network_and_its_training_stand_on_leaves() {
    let graph = read();
    let mut found = graph.foreign(NETWORK, UNDER_NETWORK);
    found.extend(graph.foreign(TRAINING, &[NETWORK, UNDER_TRAINING].concat()));
    // No picture library in the network: it is to run where there is none.
    found.extend(graph.users_of("opencv").into_iter().filter(|name| graph::is_in(name, NETWORK)));
    assert!(found.is_empty(), "these name more than they may:\n{}", found.join("\n"));
}

/// Every module with those beside it that it or its submodules name, from the ground up, and each folder by itself.
#[test]
fn the_drawing_is_what_the_code_says() {
    let graph = read();
    let mut drawing = String::from(
        "Which module names which, from the ground up: a module names only such as stand above it in this list.\n\
         Drawn by `EFFIGY_BLESS=1 cargo test --test it modules::`.\n",
    );
    for (parent, edges) in graph.siblings() {
        let mut named: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for name in graph.children(&parent) {
            named.entry(name).or_default();
        }
        for (from, to) in edges.keys() {
            named.entry(from).or_default().insert(to);
        }
        drawing += &format!("\n{}\n", shown(&parent));
        for name in floors(&named) {
            let line = format!("  {name:<16}{}", named[name].iter().copied().collect::<Vec<_>>().join(" "));
            drawing += &format!("{}\n", line.trim_end());
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/modules.txt");
    if std::env::var_os("EFFIGY_BLESS").is_some() {
        std::fs::write(&path, &drawing).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == drawing, "docs/modules.txt is old; EFFIGY_BLESS=1 cargo test --test it modules:: draws it anew");
}

fn shown(module: &Module) -> String {
    std::iter::once("effigy").chain(module.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
}
