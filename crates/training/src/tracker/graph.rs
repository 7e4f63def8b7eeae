//! The steps of a network in an ONNX file: just the parts of the format that the tracker's network needs.
//!
//! Field numbers are those of `onnx.proto` (ONNX 1.16).

use std::collections::BTreeMap;

use half::f16;

/// One value of a protobuf message.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Numbers by name, with their extents.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Array {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// One step of a network.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node {
    pub(super) op: String,
    pub(super) inputs: Vec<String>,
    pub(super) outputs: Vec<String>,
    /// Attributes that are whole numbers, one or several.
    pub(super) numbers: BTreeMap<String, Vec<i64>>,
}

/// A network's steps in order, and its constants.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Network {
    pub(super) nodes: Vec<Node>,
    pub(super) constants: BTreeMap<String, Array>,
}

/// Reads a model; the error says what is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Network, String> {
    let mut network = Network::default();
    for (field, value) in fields(bytes)? {
        if let (7, Value::Bytes(graph)) = (field, value) {
            for (field, value) in fields(graph)? {
                match (field, value) {
                    (1, Value::Bytes(bytes)) => network.nodes.push(node(bytes)?),
                    (5, Value::Bytes(bytes)) => {
                        let (name, array) = array(bytes)?;
                        network.constants.insert(name, array);
                    }
                    _ => {}
                }
            }
        }
    }
    if network.nodes.is_empty() { Err("expected an ONNX graph, found none".to_owned()) } else { Ok(network) }
}

fn node(bytes: &[u8]) -> Result<Node, String> {
    let mut node = Node::default();
    for (field, value) in fields(bytes)? {
        match (field, value) {
            (1, Value::Bytes(name)) => node.inputs.push(text(name)?),
            (2, Value::Bytes(name)) => node.outputs.push(text(name)?),
            (4, Value::Bytes(name)) => node.op = text(name)?,
            (5, Value::Bytes(bytes)) => {
                let (name, values) = attribute(bytes)?;
                node.numbers.insert(name, values);
            }
            _ => {}
        }
    }
    Ok(node)
}

fn attribute(bytes: &[u8]) -> Result<(String, Vec<i64>), String> {
    let (mut name, mut values) = (String::new(), Vec::new());
    for (field, value) in fields(bytes)? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => name = text(bytes)?,
            (3 | 8, Value::Number(number)) => values.push(number as i64),
            (8, Value::Bytes(packed)) => values.extend(numbers(packed)?.into_iter().map(|number| number as i64)),
            _ => {}
        }
    }
    Ok((name, values))
}

fn array(bytes: &[u8]) -> Result<(String, Array), String> {
    /// `TensorProto.DataType`.
    const FLOAT: u64 = 1;
    const INT64: u64 = 7;
    const FLOAT16: u64 = 10;
    let (mut name, mut array, mut kind, mut raw) = (String::new(), Array::default(), 0, &[][..]);
    for (field, value) in fields(bytes)? {
        match (field, value) {
            (1, Value::Number(number)) => array.dims.push(number as usize),
            (1, Value::Bytes(packed)) => array.dims.extend(numbers(packed)?.into_iter().map(|number| number as usize)),
            (2, Value::Number(number)) => kind = number,
            (8, Value::Bytes(bytes)) => name = text(bytes)?,
            (9, Value::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    array.values = match kind {
        FLOAT => raw.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        FLOAT16 => raw.as_chunks::<2>().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
        INT64 => raw.as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as f32).collect(),
        other => return Err(format!("{name}: expected f32, f16 or i64, found the type {other}")),
    };
    if array.values.len() == array.dims.iter().product::<usize>() {
        Ok((name, array))
    } else {
        Err(format!("{name}: expected numbers for {:?}, found {}", array.dims, array.values.len()))
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "expected a name, found bytes".to_owned())
}

/// The fields of a message in order, by number.
fn fields(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, String> {
    let mut at = bytes;
    let mut fields = Vec::new();
    while !at.is_empty() {
        let key = number(&mut at)?;
        let value = match key & 7 {
            0 => Value::Number(number(&mut at)?),
            1 => Value::Bytes(taken(&mut at, 8)?),
            2 => {
                let n = number(&mut at)?;
                Value::Bytes(taken(&mut at, n)?)
            }
            5 => Value::Bytes(taken(&mut at, 4)?),
            other => return Err(format!("expected a protobuf field, found the kind {other}")),
        };
        fields.push((key >> 3, value));
    }
    Ok(fields)
}

fn numbers(mut packed: &[u8]) -> Result<Vec<u64>, String> {
    let mut values = Vec::new();
    while !packed.is_empty() {
        values.push(number(&mut packed)?);
    }
    Ok(values)
}

fn taken<'a>(at: &mut &'a [u8], n: u64) -> Result<&'a [u8], String> {
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    let (taken, rest) = at.split_at_checked(n).ok_or_else(|| format!("expected {n} bytes more, found {}", at.len()))?;
    *at = rest;
    Ok(taken)
}

fn number(at: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = taken(at, 1)? else { break };
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Ok(value);
        }
    }
    Err("expected a number of at most 64 bits".to_owned())
}
