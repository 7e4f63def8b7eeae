//! Lints see each two features that a crate asks for in all states that they can have: both off, both on, one without the
//! other.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml_edit::DocumentMut;

type Set = BTreeSet<String>;

/// Not linted, since it needs LibTorch; and what is for tests only, linted with them.
const LEFT_OUT: [&str; 2] = ["tch", "cuda-emulation"];

/// The features that the code in a folder asks for.
fn asked_for(folder: &str) -> Set {
    let mut features = Set::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let named = text.split("feature = \"").skip(1).filter_map(|rest| rest.split('"').next());
            features.extend(named.filter(|name| !LEFT_OUT.contains(name)).map(str::to_owned));
        }
    }
    features
}

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// What each feature brings of the others.
fn brings() -> BTreeMap<String, Set> {
    let cargo: DocumentMut = file("Cargo.toml").parse().unwrap();
    let features = cargo["features"].as_table().unwrap();
    let of =
        |value: &toml_edit::Item| value.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
    let listed: BTreeMap<String, Set> = features.iter().map(|(name, value)| (name.to_owned(), of(value))).collect();
    let known: Set = listed.keys().cloned().collect();
    listed.into_iter().map(|(name, list)| (name, list.intersection(&known).cloned().collect())).collect()
}

/// A list as the command line takes it, with all that it brings.
fn set(list: &str, brings: &BTreeMap<String, Set>) -> Set {
    let mut open: Vec<&str> = list.split(',').filter(|name| !name.is_empty()).collect();
    let mut all = Set::new();
    while let Some(name) = open.pop() {
        if all.insert(name.to_owned()) {
            open.extend(
                brings.get(name).unwrap_or_else(|| panic!("there is no feature {name}")).iter().map(String::as_str),
            );
        }
    }
    all
}

/// The sets of features that `scripts/test.sh` lints the program with.
fn linted() -> Vec<Set> {
    let (brings, script) = (brings(), file("scripts/test.sh"));
    let between = |from: &str, to: &str| script.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
    let lists = between("for set in \\\n", "; do\n");
    let mut sets: Vec<Set> = lists.lines().map(|line| set(line.trim_matches([' ', '"', '\\', ';']), &brings)).collect();
    sets.push(set(&format!("default,{}", between("\nfeatures=", "\n")), &brings));
    assert!(sets.len() > 3 && sets.iter().any(Set::is_empty), "{sets:?}");
    sets
}

#[test]
fn lints_see_each_two_features_in_all_states() {
    let (brings, sets) = (brings(), linted());

    let mut unseen = Vec::new();
    for features in ["src", "crates/network/src", "crates/photo/src"].map(asked_for) {
        for (a, b) in features.iter().flat_map(|a| features.iter().map(move |b| (a, b))) {
            let sees =
                |has_a: bool, has_b: bool| sets.iter().any(|set| set.contains(a) == has_a && set.contains(b) == has_b);
            let needs_b = set(a, &brings).contains(b);
            for (has_a, has_b) in [(true, true), (false, false), (true, false)] {
                let cannot_be = needs_b && has_a && !has_b;
                if !cannot_be && !sees(has_a, has_b) {
                    unseen.push(format!("{a} {has_a}, {b} {has_b}"));
                }
            }
        }
    }
    assert!(unseen.is_empty(), "no set of scripts/test.sh has {unseen:#?}");
}

/// What training asks for is its own: sets of the program pass it on.
#[test]
fn lints_see_training_with_and_without_each_feature() {
    let features = asked_for("crates/training/src");
    assert_eq!(features, Set::from(["wgpu".to_owned()]), "then scripts/test.sh has to lint other sets");
    let (brings, sets) = (brings(), linted());
    let trains =
        |passes_on: bool| sets.iter().any(|set| set.contains("train") && set.contains("train-wgpu") == passes_on);
    assert!(brings["train-wgpu"].contains("train"));
    assert!(trains(true) && trains(false), "no set of scripts/test.sh has train with and without train-wgpu: {sets:?}");
    // By itself: without OpenCV, which the program would bring.
    let script = file("scripts/test.sh");
    assert!(
        script.contains("-p effigy-training -p effigy-network --lib"),
        "scripts/test.sh does not lint training alone"
    );
}
