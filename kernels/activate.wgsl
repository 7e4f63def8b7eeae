// activate: what conv2d and upconv2d apply to each sum: 0 none, 1 relu, 2 leaky (slope 0.2), 3 sigmoid. In f32.

fn activate(activation: u32, value: f32) -> f32 {
    switch activation {
        case 1u: {
            return max(value, 0.0);
        }
        case 2u: {
            return max(value, 0.2 * value);
        }
        case 3u: {
            return 1.0 / (1.0 + exp(-value));
        }
        default: {
            return value;
        }
    }
}
