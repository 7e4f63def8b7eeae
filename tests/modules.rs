//! The plan of the house: which module names which, and that no two name each other in a circle.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::Path;

#[path = "modules/graph.rs"]
mod graph;
#[path = "modules/source.rs"]
mod source;

use graph::{Graph, circles};

fn read() -> Graph {
    Graph::read(Path::new(env!("CARGO_MANIFEST_DIR")))
}

#[test]
fn no_modules_of_one_parent_name_each_other_in_a_circle() {
    let mut found = String::new();
    for (parent, edges) in read().siblings() {
        for circle in circles(edges.keys()) {
            found += &format!("\nin {}: {circle:?}\n", ["crate".to_owned(), parent.join("::")].join("::"));
            for ((from, to), witnesses) in &edges {
                if circle.contains(from.as_str()) && circle.contains(to.as_str()) {
                    found +=
                        &format!("  {from} -> {to}: {}\n", witnesses.iter().cloned().collect::<Vec<_>>().join(", "));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn zz_dump() {
    for (from, targets) in &read().edges {
        println!("{}: {}", from.join("::"), targets.iter().map(|t| t.join("::")).collect::<Vec<_>>().join(" "));
    }
}
