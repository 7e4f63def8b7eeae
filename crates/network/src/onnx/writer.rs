//! Writes an ONNX model: just the parts of the format that a plan needs, straight as protobuf.
//!
//! Numbers are f32; between [`ModelWriter::set_half`] calls, constants that would be f32 are written as f16.
//!
//! Field numbers are those of `onnx.proto` (ONNX 1.16, IR version 8, operator set 17).

use half::f16;

// Kinds of elements, as ONNX numbers them.

/// Numbers of 32 bits.
pub const FLOAT: u64 = 1;
/// Bytes.
pub const UINT8: u64 = 2;
const INT8: u64 = 3;
const INT32: u64 = 6;
const INT64: u64 = 7;
/// Numbers of 16 bits.
pub const FLOAT16: u64 = 10;
/// Operators beyond ONNX's own that ONNX Runtime brings; nodes name them `com.microsoft.KIND`.
const EXTENSION: &str = "com.microsoft";
const IR_VERSION: u64 = 8;
const OPERATOR_SET: u64 = 17;

/// An attribute's value.
#[derive(Clone, Copy, Debug)]
pub enum Attribute<'a> {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// Whole numbers.
    Ints(&'a [i64]),
    /// Text, as UTF-8.
    Text(&'a str),
}

/// How far an input or output extends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// As many pictures as a run is given.
    Batch,
    /// Always the same.
    Fixed(usize),
}

/// A model that grows node by node.
#[derive(Debug, Default)]
pub struct ModelWriter {
    graph: Message,
    n_names: usize,
    is_half: bool,
    is_extended: bool,
    metadata: Vec<(String, String)>,
}

impl ModelWriter {
    /// Declares an input of floats.
    pub fn input(&mut self, name: &str, dims: &[usize]) {
        self.input_of(name, FLOAT, &fixed(dims));
    }

    /// Declares an input of any kind and extent.
    pub fn input_of(&mut self, name: &str, kind: u64, extents: &[Extent]) {
        self.graph.message(11, &value_info(name, kind, extents));
    }

    /// Declares an output of floats.
    pub fn output(&mut self, name: &str, dims: &[usize]) {
        self.output_of(name, FLOAT, &fixed(dims));
    }

    /// Declares an output of any kind and extent.
    pub fn output_of(&mut self, name: &str, kind: u64, extents: &[Extent]) {
        self.graph.message(12, &value_info(name, kind, extents));
    }

    /// Notes something about the model, for who opens it.
    pub fn note(&mut self, key: &str, value: &str) {
        self.metadata.push((key.to_owned(), value.to_owned()));
    }

    /// Whether [`Self::floats`] writes f16 from now on; returns whether it did before.
    pub fn set_half(&mut self, is_half: bool) -> bool {
        std::mem::replace(&mut self.is_half, is_half)
    }

    /// Adds constant floats and returns their name.
    pub fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        if self.is_half {
            let bytes = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes());
            return self.initializer(dims, FLOAT16, bytes.collect());
        }
        self.initializer(dims, FLOAT, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds constant unsigned bytes and returns their name.
    pub fn bytes(&mut self, dims: &[usize], values: Vec<u8>) -> String {
        self.initializer(dims, UINT8, values)
    }

    /// Adds a row of constant integers and returns its name.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.initializer(&[values.len()], INT64, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Adds one constant byte, without extents, and returns its name.
    pub fn byte(&mut self, value: u8) -> String {
        self.initializer(&[], UINT8, vec![value])
    }

    /// Adds constant signed bytes and returns their name.
    pub fn signed_bytes(&mut self, dims: &[usize], values: &[i8]) -> String {
        self.initializer(dims, INT8, values.iter().map(|value| value.cast_unsigned()).collect())
    }

    /// Adds a row of constant 32-bit integers and returns its name.
    pub fn short_ints(&mut self, values: &[i32]) -> String {
        self.initializer(&[values.len()], INT32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn initializer(&mut self, dims: &[usize], kind: u64, data: Vec<u8>) -> String {
        let name = self.name();
        let mut tensor = Message::default();
        dims.iter().for_each(|&extent| tensor.varint(1, extent as u64));
        tensor.varint(2, kind);
        tensor.bytes(8, name.as_bytes());
        tensor.bytes(9, &data);
        self.graph.message(5, &tensor);
        name
    }

    /// Adds a node with one output of a new name, which it returns.
    pub fn node(&mut self, kind: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        let name = self.name();
        self.node_to(kind, inputs, attributes, &name);
        name
    }

    /// Adds a node whose output is called `output`.
    pub fn node_to(&mut self, kind: &str, inputs: &[&str], attributes: &[(&str, Attribute)], output: &str) {
        let mut node = Message::default();
        inputs.iter().for_each(|input| node.bytes(1, input.as_bytes()));
        node.bytes(2, output.as_bytes());
        let (domain, kind) = kind.rsplit_once('.').unwrap_or(("", kind));
        self.is_extended |= !domain.is_empty();
        node.bytes(4, kind.as_bytes());
        for (name, value) in attributes {
            let mut attribute = Message::default();
            attribute.bytes(1, name.as_bytes());
            match value {
                Attribute::Float(value) => {
                    attribute.float(2, *value);
                    attribute.varint(20, 1);
                }
                Attribute::Int(value) => {
                    attribute.varint(3, *value as u64);
                    attribute.varint(20, 2);
                }
                Attribute::Text(value) => {
                    attribute.bytes(4, value.as_bytes());
                    attribute.varint(20, 3);
                }
                Attribute::Ints(values) => {
                    values.iter().for_each(|&value| attribute.varint(8, value as u64));
                    attribute.varint(20, 7);
                }
            }
            node.message(5, &attribute);
        }
        node.bytes(7, domain.as_bytes());
        self.graph.message(1, &node);
    }

    /// The model's bytes.
    pub fn finish(mut self, name: &str) -> Vec<u8> {
        self.graph.bytes(2, name.as_bytes());
        let mut model = Message::default();
        model.varint(1, IR_VERSION);
        model.bytes(2, env!("CARGO_PKG_NAME").as_bytes());
        model.bytes(3, env!("CARGO_PKG_VERSION").as_bytes());
        model.message(7, &self.graph);
        for (key, value) in &self.metadata {
            let mut entry = Message::default();
            entry.bytes(1, key.as_bytes());
            entry.bytes(2, value.as_bytes());
            model.message(14, &entry);
        }
        for (domain, version) in [("", OPERATOR_SET), (EXTENSION, 1)] {
            if domain == EXTENSION && !self.is_extended {
                continue;
            }
            let mut operators = Message::default();
            operators.bytes(1, domain.as_bytes());
            operators.varint(2, version);
            model.message(8, &operators);
        }
        model.0
    }

    fn name(&mut self) -> String {
        self.n_names += 1;
        format!("v{}", self.n_names)
    }
}

fn fixed(dims: &[usize]) -> Vec<Extent> {
    dims.iter().map(|&extent| Extent::Fixed(extent)).collect()
}

fn value_info(name: &str, element: u64, extents: &[Extent]) -> Message {
    let mut shape = Message::default();
    for extent in extents {
        let mut dim = Message::default();
        match *extent {
            Extent::Batch => dim.bytes(2, b"batch"),
            Extent::Fixed(extent) => dim.varint(1, extent as u64),
        }
        shape.message(1, &dim);
    }
    let mut tensor = Message::default();
    tensor.varint(1, element);
    tensor.message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.bytes(1, name.as_bytes());
    info.message(2, &kind);
    info
}

/// A protobuf message: fields one after the other.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.raw_varint(field << 3);
        self.raw_varint(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.raw_varint(field << 3 | 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.raw_varint(field << 3 | 2);
        self.raw_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
    }
}
