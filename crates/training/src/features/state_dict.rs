//! Reads the tensors of a PyTorch state dictionary in the format before 1.6: pickles, then raw storages.
//!
//! A pickle is a program for a stack machine. This one knows only the steps that write down tensors, calls nothing,
//! and remembers only strings and names: a foreign file ends in an error, never in an action or in much memory.

use std::collections::BTreeMap;
use std::rc::Rc;

use effigy_base::error::{Error, ErrorKind, Result};

/// The first number of such a file.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
/// The longest list of extents that a tensor may have.
const MAX_DIMS: usize = 8;

/// Extents and values of a tensor, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array {
    pub(super) dims: Vec<usize>,
    pub(super) values: Vec<f32>,
}

/// The tensors of `f32` in the bytes of a file, by name; those of whole numbers (counters) are left out.
///
/// # Errors
/// [`ErrorKind::Model`] with the place in the file when it is torn, or holds something else than plain tensors.
pub(super) fn read(bytes: &[u8]) -> Result<BTreeMap<String, Array>> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.pickle()? {
        Value::Long(magic) if *magic == MAGIC => {}
        _ => return Err(reader.wrong("no PyTorch file of the format before 1.6")),
    }
    reader.pickle()?; // the format's version
    reader.pickle()?; // sizes of the writer's numbers
    let Value::Dict(entries) = reader.pickle()? else { return Err(reader.wrong("expected a dictionary of tensors")) };
    let Value::List(keys) = reader.pickle()? else { return Err(reader.wrong("expected the list of storages")) };

    let mut lengths: BTreeMap<Rc<str>, (usize, usize)> = BTreeMap::new();
    for (_, tensor) in &entries {
        let Value::Tensor(tensor) = tensor else { return Err(reader.wrong("expected nothing but tensors")) };
        lengths.insert(tensor.storage.key.clone(), (tensor.storage.len, tensor.storage.n_bytes));
    }
    let mut storages = BTreeMap::new();
    for key in keys {
        let Value::Text(key) = key else { return Err(reader.wrong("expected the name of a storage")) };
        let (len, n_bytes) = *lengths.get(&key).ok_or_else(|| reader.wrong("a storage that no tensor uses"))?;
        let stored = u64::from_le_bytes(*reader.array::<8>()?);
        if stored != len as u64 {
            return Err(reader.wrong(&format!("expected a storage of {len} numbers, found {stored}")));
        }
        let raw = reader.take(len.saturating_mul(n_bytes))?;
        storages.insert(key, raw);
    }
    let mut tensors = BTreeMap::new();
    for (name, tensor) in entries {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, tensor) else { continue };
        if !tensor.storage.is_float {
            continue;
        }
        let raw = storages.get(&tensor.storage.key).ok_or_else(|| reader.wrong("a tensor without its storage"))?;
        let n: usize = tensor.dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).unwrap_or(usize::MAX);
        let values = raw
            .as_chunks::<4>()
            .0
            .get(tensor.offset..tensor.offset.saturating_add(n))
            .ok_or_else(|| reader.wrong(&format!("{name} is longer than its storage")))?;
        let values = values.iter().map(|&four| f32::from_le_bytes(four)).collect();
        tensors.insert(name.to_string(), Array { dims: tensor.dims, values });
    }
    Ok(tensors)
}

/// What a pickle of tensors can hold.
#[derive(Clone)]
enum Value {
    None,
    Flag,
    Whole(usize),
    Long(Rc<[u8]>),
    Text(Rc<str>),
    /// A class or function, by module and name; never looked up.
    Name(Rc<str>),
    Tuple(Vec<Self>),
    List(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    Storage(Storage),
    Tensor(Tensor),
}

#[derive(Clone)]
struct Storage {
    key: Rc<str>,
    /// Numbers in it, and bytes of each.
    len: usize,
    n_bytes: usize,
    is_float: bool,
}

#[derive(Clone)]
struct Tensor {
    storage: Storage,
    offset: usize,
    dims: Vec<usize>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn wrong(&self, what: &str) -> Error {
        Error::new(ErrorKind::Model, format!("{what} (near byte {})", self.at))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.wrong("the file ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N]> {
        self.take(N)?.first_chunk().ok_or_else(|| self.wrong("the file ends too early"))
    }

    fn text(&mut self, n: usize) -> Result<Rc<str>> {
        let text = std::str::from_utf8(self.take(n)?).map_err(|_| self.wrong("a text that is no UTF-8"))?;
        Ok(text.into())
    }

    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let n = rest.iter().take(256).position(|&b| b == b'\n').ok_or_else(|| self.wrong("a name without an end"))?;
        let line = self.take(n + 1)?;
        std::str::from_utf8(&line[..n]).map_err(|_| self.wrong("a name that is no UTF-8"))
    }

    /// Runs one pickle to its end.
    fn pickle(&mut self) -> Result<Value> {
        let mut stack: Vec<Value> = Vec::new();
        let mut marks: Vec<usize> = Vec::new();
        let mut memo: BTreeMap<u32, Value> = BTreeMap::new();
        loop {
            let [op] = *self.array::<1>()?;
            match op {
                0x80 => {
                    self.take(1)?;
                }
                b'.' => return stack.pop().ok_or_else(|| self.wrong("an empty pickle")),
                b'(' => marks.push(stack.len()),
                b'N' => stack.push(Value::None),
                0x88 | 0x89 => stack.push(Value::Flag),
                b'K' => stack.push(Value::Whole(usize::from(self.array::<1>()?[0]))),
                b'M' => stack.push(Value::Whole(usize::from(u16::from_le_bytes(*self.array()?)))),
                b'J' => {
                    let whole = i32::from_le_bytes(*self.array()?);
                    stack.push(Value::Whole(usize::try_from(whole).map_err(|_| self.wrong("a negative number"))?));
                }
                0x8a => {
                    let n = usize::from(self.array::<1>()?[0]);
                    stack.push(Value::Long(self.take(n)?.into()));
                }
                b'X' => {
                    let n = u32::from_le_bytes(*self.array()?) as usize;
                    let text = self.text(n)?;
                    stack.push(Value::Text(text));
                }
                b'c' => {
                    let name = format!("{}.{}", self.line()?, self.line()?);
                    stack.push(Value::Name(name.into()));
                }
                b'q' | b'r' => {
                    let slot = self.slot(op == b'r')?;
                    // Only these are asked for again; a remembered tuple could be nested without bound.
                    if let Some(value @ (Value::Text(_) | Value::Name(_))) = stack.last() {
                        memo.insert(slot, value.clone());
                    }
                }
                b'h' | b'j' => {
                    let slot = self.slot(op == b'j')?;
                    stack.push(
                        memo.get(&slot)
                            .cloned()
                            .ok_or_else(|| self.wrong("a reference to something else than a name"))?,
                    );
                }
                b'}' => stack.push(Value::Dict(Vec::new())),
                b']' => stack.push(Value::List(Vec::new())),
                b')' => stack.push(Value::Tuple(Vec::new())),
                b't' => {
                    let items = self.since_mark(&mut stack, &mut marks)?;
                    stack.push(Value::Tuple(items));
                }
                0x85..=0x87 => {
                    let n = usize::from(op - 0x84);
                    let from = stack.len().checked_sub(n).ok_or_else(|| self.wrong("a tuple of nothing"))?;
                    let items = stack.split_off(from);
                    stack.push(Value::Tuple(items));
                }
                b'e' => {
                    let items = self.since_mark(&mut stack, &mut marks)?;
                    let Some(Value::List(list)) = stack.last_mut() else {
                        return Err(self.wrong("no list to append to"));
                    };
                    list.extend(items);
                }
                b's' | b'u' => {
                    let items = if op == b'u' {
                        self.since_mark(&mut stack, &mut marks)?
                    } else {
                        let from = stack.len().checked_sub(2).ok_or_else(|| self.wrong("an entry of nothing"))?;
                        stack.split_off(from)
                    };
                    let Some(Value::Dict(dict)) = stack.last_mut() else {
                        return Err(self.wrong("no dictionary to fill"));
                    };
                    let mut items = items.into_iter();
                    while let (Some(key), Some(value)) = (items.next(), items.next()) {
                        dict.push((key, value));
                    }
                }
                b'Q' => {
                    let storage =
                        stack.pop().and_then(storage).ok_or_else(|| self.wrong("an unknown kind of storage"))?;
                    stack.push(Value::Storage(storage));
                }
                b'R' => {
                    let (Some(arguments), Some(Value::Name(name))) = (stack.pop(), stack.pop()) else {
                        return Err(self.wrong("a call of nothing"));
                    };
                    let made = match &*name {
                        "collections.OrderedDict" => Value::Dict(Vec::new()),
                        "torch._utils._rebuild_tensor_v2" => Value::Tensor(
                            tensor(arguments).ok_or_else(|| self.wrong("a tensor that is not contiguous"))?,
                        ),
                        other => return Err(self.wrong(&format!("tensors were expected, found a call of {other}"))),
                    };
                    stack.push(made);
                }
                // The state dictionary's own attributes: versions of layers.
                b'b' => drop(stack.pop()),
                other => return Err(self.wrong(&format!("tensors were expected, found step {other:#04x}"))),
            }
        }
    }

    fn slot(&mut self, long: bool) -> Result<u32> {
        Ok(if long { u32::from_le_bytes(*self.array()?) } else { u32::from(self.array::<1>()?[0]) })
    }

    fn since_mark(&self, stack: &mut Vec<Value>, marks: &mut Vec<usize>) -> Result<Vec<Value>> {
        let from = marks.pop().filter(|&from| from <= stack.len()).ok_or_else(|| self.wrong("a missing mark"))?;
        Ok(stack.split_off(from))
    }
}

/// `("storage", kind, key, device, length, view)`.
fn storage(value: Value) -> Option<Storage> {
    let Value::Tuple(items) = value else { return None };
    let [Value::Text(_), Value::Name(kind), Value::Text(key), _, Value::Whole(len), Value::None] = items.as_slice()
    else {
        return None;
    };
    let (n_bytes, is_float) = match &**kind {
        "torch.FloatStorage" => (4, true),
        "torch.LongStorage" => (8, false),
        _ => return None,
    };
    Some(Storage { key: key.clone(), len: *len, n_bytes, is_float })
}

/// `(storage, offset, extents, strides, …)`, contiguous.
fn tensor(value: Value) -> Option<Tensor> {
    let Value::Tuple(items) = value else { return None };
    let [Value::Storage(storage), Value::Whole(offset), Value::Tuple(dims), Value::Tuple(strides), ..] =
        items.as_slice()
    else {
        return None;
    };
    let wholes = |items: &[Value]| -> Option<Vec<usize>> {
        items.iter().map(|item| if let Value::Whole(n) = item { Some(*n) } else { None }).collect()
    };
    let (dims, strides) = (wholes(dims)?, wholes(strides)?);
    if dims.len() != strides.len() || dims.len() > MAX_DIMS {
        return None;
    }
    let mut expected = 1_usize;
    for (&extent, &stride) in dims.iter().zip(&strides).rev() {
        if stride != expected && extent != 1 {
            return None;
        }
        expected = expected.checked_mul(extent)?;
    }
    Some(Tensor { storage: storage.clone(), offset: *offset, dims })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one tensor and one counter, step by step as `torch.save` wrote them before 1.6.
    fn file(calls: &str) -> Vec<u8> {
        let mut bytes = vec![0x80, 2, 0x8a, 10];
        bytes.extend(MAGIC);
        bytes.extend(b".\x80\x02M\xe9\x03.\x80\x02}q\x00.");
        bytes.extend(b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(");
        let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
        for (name, kind, key, dims) in
            [("w", "Float", "10", &b"K\x02K\x03\x86K\x03K\x01\x86"[..]), ("n", "Long", "11", b"))")]
        {
            bytes.extend(text(name));
            bytes.extend(format!("c{calls}\n").as_bytes());
            bytes.extend([b"((", &text("storage")[..], b"ctorch\n", kind.as_bytes(), b"Storage\n"].concat());
            bytes.extend([&text(key)[..], &text("cpu"), b"K\x07NtQK\x01", dims, b"\x89h\x00)RtR"].concat());
        }
        bytes.extend(b"u}b.");
        bytes.extend([&b"\x80\x02]q\x00("[..], &text("10"), &text("11"), b"e."].concat());
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend((0..7).flat_map(|i| (i as f32 / 2.0).to_le_bytes()));
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend([0; 56]);
        bytes
    }

    #[test]
    fn tensors_are_read_from_their_place_in_their_storage_and_counters_are_left_out() {
        let state = read(&file("torch._utils\n_rebuild_tensor_v2")).unwrap();
        let expected = Array { dims: vec![2, 3], values: vec![0.5, 1.0, 1.5, 2.0, 2.5, 3.0] };
        assert_eq!(state, BTreeMap::from([("w".to_owned(), expected)]));
    }

    #[test]
    fn a_call_of_anything_else_is_refused_and_so_is_every_torn_file() {
        let error = read(&file("os\nsystem")).unwrap_err().to_string();
        assert!(error.starts_with("tensors were expected, found a call of os.system (near byte "), "{error}");
        let whole = file("torch._utils\n_rebuild_tensor_v2");
        for n in 0..whole.len() {
            assert!(read(&whole[..n]).is_err(), "the first {n} bytes were taken for a file");
        }
    }
}
