// memory: where every kernel finds its numbers. This text follows the head that the host writes (`half`, an alias of f16
// or f32, and the constants of the variant) and precedes each kernel.
//
// Tensors of halves live in one buffer, tensors of exact numbers and of words in another, each at the element that the
// scalars name (`x_at`): a buffer may be bound for writing only once, and parts of a concatenation begin at any element.
// weights [.., c_out padded to 4] half, transposed by the host so that channels of y are neighbours · biases f32.

@group(0) @binding(1) var<storage, read_write> halves: array<half>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<half>>;
@group(0) @binding(4) var<storage, read> biases: array<f32>;

// An element of a tensor that stays f32 everywhere.
fn exact(at: u32) -> f32 {
    return bitcast<f32>(words[at]);
}

// An element of x, which is of either kind.
fn x_value(at: u32) -> f32 {
    if x_is_exact {
        return bitcast<f32>(words[at]);
    }
    return f32(halves[at]);
}
