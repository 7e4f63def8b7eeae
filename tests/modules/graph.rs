//! The modules of the crate and who names whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::source::Source;

/// A module's path, without the crate: `["generate", "cpu", "lower"]`.
pub type Module = Vec<String>;

/// All modules, and for each those whose items it names.
pub struct Graph {
    sources: BTreeMap<Module, Source>,
    /// Names that the crate has for itself.
    own_names: [&'static str; 2],
    pub edges: BTreeMap<Module, BTreeSet<Module>>,
}

impl Graph {
    /// Reads the library and the program of the crate at `root`.
    pub fn read(root: &Path) -> Self {
        let mut graph = Self { sources: BTreeMap::new(), own_names: ["crate", "effigy"], edges: BTreeMap::new() };
        let src = root.join("src");
        let mut library = Source::read(&src.join("lib.rs"), &src);
        let program = Source::read(&src.join("main.rs"), &src);
        // The program's root holds nothing but its one module.
        library.children.extend(program.children);
        let mut open = vec![(Module::new(), library, src)];
        while let Some((module, source, folder)) = open.pop() {
            for (name, file) in &source.children {
                let inside = folder.join(name);
                let child = Source::read(file, &inside);
                open.push(([module.as_slice(), std::slice::from_ref(name)].concat(), child, inside));
            }
            graph.sources.insert(module, source);
        }
        graph.edges = graph.sources.iter().map(|(module, source)| (module.clone(), graph.named_by(module, source))).collect();
        graph
    }

    fn named_by(&self, module: &Module, source: &Source) -> BTreeSet<Module> {
        source.paths.iter().filter_map(|path| self.resolve(module, path, 0)).filter(|to| to != module).collect()
    }

    /// The module that defines what `path` names when it stands in `module`; `None` outside the crate.
    fn resolve(&self, module: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut at = match path[0].as_str() {
            own if self.own_names.contains(&own) => Module::new(),
            "self" => module.clone(),
            "super" => module[..module.len().checked_sub(1)?].to_vec(),
            _ => return self.step(module, path, depth),
        };
        let mut rest = &path[1..];
        while rest.first().is_some_and(|name| name == "super") {
            at.pop();
            rest = &rest[1..];
        }
        if rest.is_empty() { Some(at) } else { self.step(&at, rest, depth).or(Some(at)) }
    }

    /// Goes from `at` into submodules and along imports; the last module reached is the one that defines the rest.
    fn step(&self, at: &Module, rest: &[String], depth: usize) -> Option<Module> {
        let source = &self.sources[at];
        if source.children.iter().any(|(name, _)| *name == rest[0]) {
            let inside = [at.as_slice(), &rest[..1]].concat();
            return if rest.len() == 1 { Some(inside) } else { self.step(&inside, &rest[1..], depth).or(Some(inside)) };
        }
        match source.imports.get(&rest[0]) {
            Some(import) if depth < 9 && import.as_slice() != rest => {
                self.resolve(at, &[import.as_slice(), &rest[1..]].concat(), depth + 1)
            }
            _ => None,
        }
    }

    /// For each module that has submodules: which of them names which other, with a witness `from -> to`.
    pub fn siblings(&self) -> BTreeMap<Module, BTreeMap<(String, String), BTreeSet<String>>> {
        let mut levels: BTreeMap<Module, BTreeMap<(String, String), BTreeSet<String>>> = BTreeMap::new();
        for (from, targets) in &self.edges {
            for to in targets {
                let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b)) = (from.get(shared), to.get(shared)) {
                    let witness = format!("{} -> {}", from.join("::"), to.join("::"));
                    let level = levels.entry(from[..shared].to_vec()).or_default();
                    level.entry((a.clone(), b.clone())).or_default().insert(witness);
                }
            }
        }
        levels
    }
}

/// The groups of names that reach each other along `edges`, each with two or more members.
pub fn circles<'a>(edges: impl Iterator<Item = &'a (String, String)> + Clone) -> Vec<BTreeSet<&'a str>> {
    let mut reached: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (from, to) in edges.clone() {
        reached.entry(from).or_default().insert(to);
    }
    loop {
        let before: usize = reached.values().map(BTreeSet::len).sum();
        let now = reached.clone();
        for targets in reached.values_mut() {
            let further: Vec<&str> = targets.iter().filter_map(|t| now.get(t)).flatten().copied().collect();
            targets.extend(further);
        }
        if reached.values().map(BTreeSet::len).sum::<usize>() == before {
            break;
        }
    }
    let on_circle = |name: &str, other: &str| reached[name].contains(other) && reached.get(other).is_some_and(|r| r.contains(name));
    let mut groups: Vec<BTreeSet<&str>> = Vec::new();
    for name in reached.keys() {
        let group: BTreeSet<&str> = reached[name].iter().filter(|other| on_circle(name, other)).copied().collect();
        if group.len() > 1 && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}
