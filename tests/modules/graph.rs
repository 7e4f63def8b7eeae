//! The modules of a crate and who names whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::source::Source;

/// A module's path, without the crate: `["generate", "cpu", "lower"]`.
pub(crate) type Module = Vec<String>;

/// All modules, and for each those whose items it names.
pub(crate) struct Graph {
    sources: BTreeMap<Module, Source>,
    /// Names that the crate has for itself.
    own_names: [&'static str; 2],
    pub(crate) edges: BTreeMap<Module, BTreeSet<Module>>,
}

impl Graph {
    /// Reads the crate at `root`: its library, and its program if it has one.
    pub(crate) fn read(root: &Path, name: &'static str) -> Self {
        let mut graph = Self { sources: BTreeMap::new(), own_names: ["crate", name], edges: BTreeMap::new() };
        let src = root.join("src");
        let mut library = Source::read(&src.join("lib.rs"), &src);
        if src.join("main.rs").exists() {
            // The program's root holds nothing but its one module.
            library.children.extend(Source::read(&src.join("main.rs"), &src).children);
        }
        let mut open = vec![(Module::new(), library, src)];
        while let Some((module, source, folder)) = open.pop() {
            for (name, file) in &source.children {
                let inside = folder.join(name);
                let child = Source::read(file, &inside);
                open.push(([module.as_slice(), std::slice::from_ref(name)].concat(), child, inside));
            }
            graph.sources.insert(module, source);
        }
        graph.edges =
            graph.sources.iter().map(|(module, source)| (module.clone(), graph.named_by(module, source))).collect();
        graph
    }

    fn named_by(&self, module: &Module, source: &Source) -> BTreeSet<Module> {
        let mut named = BTreeSet::new();
        for path in &source.paths {
            self.follow(module, path, &mut named);
        }
        named.remove(module);
        named
    }

    /// Adds the modules that `path` leads to when it stands in `module`: the one in which its last name is looked up, and
    /// where that hands on what another defines, the other too. Nothing for what is not of the crate.
    fn follow(&self, module: &Module, path: &[String], named: &mut BTreeSet<Module>) {
        let is_own = self.own_names.contains(&path[0].as_str());
        let mut at = if is_own { Module::new() } else { module.clone() };
        let mut rest = if is_own || path[0] == "self" { &path[1..] } else { path };
        while let Some((name, behind)) = rest.split_first() {
            if name == "super" {
                at.pop();
            } else if self.sources[&at].children.iter().any(|(child, _)| child == name) {
                at.push(name.clone());
            } else {
                break;
            }
            rest = behind;
        }
        let is_foreign = rest.len() == path.len();
        if !is_foreign {
            named.insert(at.clone());
        }
        if let Some((name, behind)) = rest.split_first()
            && let Some(import) = self.sources[&at].imports.get(name)
            // An import of a crate's own name: `use image;`.
            && import[0] != *name
        {
            self.follow(&at, &[import, behind].concat(), named);
        }
    }

    /// For each module that has submodules: which of them names which other, with a witness `from -> to`.
    pub(crate) fn siblings(&self) -> BTreeMap<Module, BTreeMap<(String, String), BTreeSet<String>>> {
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

    /// The submodules of a module, in the order in which it declares them.
    pub(crate) fn children(&self, parent: &Module) -> impl Iterator<Item = &str> {
        self.sources[parent].children.iter().map(|(name, _)| name.as_str())
    }

    /// A module's name, with its crate.
    pub(crate) fn shown(&self, module: &Module) -> String {
        std::iter::once(self.own_names[1]).chain(module.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
    }
}

/// Names in such an order that each stands behind all it names; what is on a circle comes last.
pub(crate) fn floors<'a>(named: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<&'a str> {
    let mut order: Vec<&str> = Vec::new();
    loop {
        let is_ready = |name: &&str| !order.contains(name) && named[name].iter().all(|to| order.contains(to));
        let ready: Vec<&str> = named.keys().copied().filter(|name| is_ready(name)).collect();
        if ready.is_empty() {
            break;
        }
        order.extend(ready);
    }
    let rest: Vec<&str> = named.keys().copied().filter(|name| !order.contains(name)).collect();
    order.extend(rest);
    order
}

/// The groups of names that reach each other along `edges`, each with two or more members.
pub(crate) fn circles<'a>(edges: impl Iterator<Item = &'a (String, String)> + Clone) -> Vec<BTreeSet<&'a str>> {
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
    let on_circle =
        |name: &str, other: &str| reached[name].contains(other) && reached.get(other).is_some_and(|r| r.contains(name));
    let mut groups: Vec<BTreeSet<&str>> = Vec::new();
    for name in reached.keys() {
        let group: BTreeSet<&str> = reached[name].iter().filter(|other| on_circle(name, other)).copied().collect();
        if group.len() > 1 && !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}
