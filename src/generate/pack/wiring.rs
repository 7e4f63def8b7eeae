//! Whether a network has the inputs and outputs that its place in a pack needs.

use super::layout::Role;
use super::manifest::NetworkFile;
use crate::error::{Error, ErrorKind, Result};
use effigy_network::onnx::Session;

/// A network that is being looked through; remembers the first thing that does not fit.
pub(super) struct Wiring<'a> {
    /// What the manifest calls the network.
    place: &'static str,
    file: &'a NetworkFile,
    inputs: Vec<(&'a str, &'a [i64])>,
    outputs: Vec<(&'a str, &'a [i64])>,
    known_inputs: Vec<usize>,
    misfit: Option<String>,
}

impl<'a> Wiring<'a> {
    pub(super) fn new(place: &'static str, file: &'a NetworkFile, session: &'a Session) -> Self {
        let (inputs, outputs) = (session.inputs().collect(), session.outputs().collect());
        Self { place, file, inputs, outputs, known_inputs: Vec::new(), misfit: None }
    }

    /// Which input plays a role, with `len` numbers.
    pub(super) fn input(&mut self, role: &str, len: Option<usize>, is_optional: bool) -> Option<usize> {
        let found = find(&self.inputs, self.file.name(role));
        self.check("input", role, found, len, is_optional);
        self.known_inputs.extend(found.map(|(at, _)| at));
        found.map(|(at, _)| at)
    }

    /// The one input there may be.
    pub(super) fn only_input(&mut self, role: &str, len: usize) {
        self.input(role, Some(len), false);
        self.all_inputs_are_known();
    }

    /// Nothing may be left that nobody fills.
    pub(super) fn all_inputs_are_known(&mut self) {
        let unknown = (0..self.inputs.len()).find(|at| !self.known_inputs.contains(at));
        if let Some(at) = unknown {
            let name = self.inputs[at].0;
            self.note(format!("has an input `{name}` that nothing in this layout fills"));
        }
    }

    /// Which output plays a role.
    pub(super) fn output(&mut self, role: &Role) -> Option<usize> {
        let found = find(&self.outputs, self.file.name(role.name));
        self.check("output", role.name, found, role.len, role.is_optional);
        found.map(|(at, _)| at)
    }

    /// The first output, which has to play this role; says how many numbers it has.
    pub(super) fn only_output(&mut self, role: &str) -> usize {
        let found = find(&self.outputs, self.file.name(role));
        self.check("output", role, found, None, false);
        if found.is_some_and(|(at, _)| at > 0) {
            self.note(format!("has other outputs before `{}`: expected it first", self.file.name(role)));
        }
        found.map_or(0, |(_, len)| len)
    }

    /// The first output, which has to be a square picture of three planes; says how wide.
    pub(super) fn picture_output(&mut self, role: &str) -> usize {
        let n = self.only_output(role);
        let size_px = (n as f64 / 3.0).sqrt().round() as usize;
        if self.misfit.is_none() && (3 * size_px * size_px != n || size_px == 0 || size_px > 2048) {
            self.note(format!("makes `{}` of {n} numbers: expected three planes of a square", self.file.name(role)));
        }
        size_px
    }

    fn check(&mut self, way: &str, role: &str, found: Option<(usize, usize)>, len: Option<usize>, is_optional: bool) {
        let name = self.file.name(role).to_owned();
        match (found, len) {
            (None, _) if is_optional => {}
            (None, _) => {
                let there = if way == "input" { &self.inputs } else { &self.outputs };
                let there: Vec<_> = there.iter().map(|(name, _)| *name).collect();
                self.note(format!(
                    "has no {way} `{name}`, but {}; say in \"names\" of pack.json which of them is \"{role}\"",
                    there.join(", ")
                ));
            }
            (Some((_, found)), Some(expected)) if found != expected => {
                self.note(format!(
                    "has {found} numbers in its {way} `{name}`: expected {expected} (see size_px and n_points)"
                ));
            }
            _ => {}
        }
    }

    fn note(&mut self, misfit: String) {
        self.misfit.get_or_insert(misfit);
    }

    /// Says what does not fit.
    pub(super) fn finish(self) -> Result<()> {
        match self.misfit {
            None => Ok(()),
            Some(misfit) => Err(Error::new(
                ErrorKind::Model,
                format!("the pack's network `{}` {misfit} (docs/packs.md)", self.place),
            )),
        }
    }
}

/// Where a tensor is and how many numbers it has.
fn find(tensors: &[(&str, &[i64])], name: &str) -> Option<(usize, usize)> {
    let at = tensors.iter().position(|(found, _)| *found == name)?;
    Some((at, tensors[at].1.iter().product::<i64>() as usize))
}
