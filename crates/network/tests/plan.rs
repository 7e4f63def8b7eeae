//! Plans: shapes are checked while recording, memory is shared safely, the text is what was recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};

use effigy_network::plan::{Activation, ConvSpec, Element, Flow, Layout, Plan, Recorder, Role, Shape, TensorId};

/// A bit of everything: two branches, a concatenation, a residual.
fn plan() -> Plan {
    let mut r = Recorder::new("test");
    let photo = r.constant("photo", Shape::new(4, 16, 16), Element::Half);
    let pose = r.input("pose", Shape::new(1, 4, 3), Element::Exact);
    let map = r.input("map", Shape::new(3, 16, 16), Element::Exact);
    let body = r.warp("by_body", photo, Flow::Body { pose }, (16, 16));
    let mesh = r.warp("by_mesh", photo, Flow::Mesh { map }, (16, 16));
    let both = r.concat("both", &[body, mesh]);
    let down = r.conv2d("down", both, ConvSpec::new(12).stride(2));
    let mid = r.conv2d("mid", down, ConvSpec::new(12).residual(down));
    let up = r.up_conv2d("up", mid, ConvSpec::new(8));
    let answer = r.conv2d("answer", up, ConvSpec::new(7).kernel(1).activation(Activation::None));
    let mix = r.motion("mix", answer);
    let moved = r.warp("moved", photo, Flow::Mixed { mix, map, pose }, (16, 16));
    r.output(moved);
    r.end()
}

#[test]
fn the_text_says_what_was_recorded() {
    let expected = "\
test
  pose                   input 1x4x3 Exact
  map                    input 3x16x16 Exact
  photo                  constant 4x16x16 Half
  layer                  op                                   in -> out              MMAC       KiB
  by_body                warp body                       4x16x16 -> 4x16x16          0.01       4.0
  by_mesh                warp mesh                       4x16x16 -> 4x16x16          0.00       7.0
  down                   conv3 /2 Leaky                  8x16x16 -> 12x8x8           0.06       7.2
  mid                    conv3 Leaky +res                 12x8x8 -> 12x8x8           0.08       7.1
  up                     upconv Leaky                     12x8x8 -> 8x16x16          0.10       8.5
  answer                 conv1 None                      8x16x16 -> 7x16x16          0.01       7.6
  mix                    motion                          7x16x16 -> 7x16x16          0.01      10.5
  moved                  warp mixed                      4x16x16 -> 4x16x16          0.02      14.0
  total 0.000 GMAC, 3791 parameters (0.01 MiB in 16 bits), peak memory 0.01 MiB (0.03 without reuse)
";
    let found = plan().to_string();
    assert_eq!(found, expected, "the plan is now\n{found}");
}

#[test]
fn tensors_that_live_at_the_same_time_share_no_memory() {
    let plan = plan();
    for half_bytes in [2, 4] {
        let layout = Layout::new(&plan, half_bytes);
        let range = |id: TensorId| {
            let tensor = plan.tensor(id);
            let each = if tensor.element == Element::Half { half_bytes } else { 4 };
            layout.offset_bytes(id).map(|offset| offset..offset + tensor.shape.len() * each)
        };
        // A byte belongs to who wrote it last: whoever reads must find its own.
        let mut owner = vec![None; layout.total_bytes()];
        let write = |id: TensorId, owner: &mut Vec<Option<TensorId>>| {
            for byte in range(id).unwrap() {
                owner[byte] = Some(plan.home(id).0);
            }
        };
        for id in plan.of_role(Role::Input) {
            write(id, &mut owner);
        }
        for (layer, op) in plan.steps() {
            let reads: Vec<_> = op.reads().filter(|&id| plan.tensor(id).role != Role::Constant).collect();
            for &id in &reads {
                let home = Some(plan.home(id).0);
                assert!(range(id).unwrap().all(|byte| owner[byte] == home), "{layer} reads what another wrote over");
            }
            write(op.writes(), &mut owner);
            for id in reads {
                let home = Some(plan.home(id).0);
                assert!(range(id).unwrap().all(|byte| owner[byte] == home), "{layer} writes over what it reads");
            }
        }
        for id in plan.of_role(Role::Output) {
            assert!(range(id).unwrap().all(|byte| owner[byte] == Some(id)), "an output is lost");
        }
        assert!(layout.total_bytes() < layout.unshared_bytes());
    }
}

#[test]
fn what_does_not_fit_is_refused_with_layer_expected_and_found() {
    type Record = fn(&mut Recorder, TensorId);
    let cases: [(&str, Record); 6] = [
        ("odd: a kernel of 2; expected 1 or 3", |r, x| {
            r.conv2d("odd", x, ConvSpec::new(4).kernel(2));
        }),
        ("sum: expected x as Half 5x9x7, found Half 4x9x7", |r, x| {
            r.conv2d("sum", x, ConvSpec::new(5).residual(x));
        }),
        ("up: an upsampling convolution is 3x3 of stride 1", |r, x| {
            r.up_conv2d("up", x, ConvSpec::new(5).stride(2));
        }),
        ("mix: expected 7 channels", |r, x| {
            r.motion("mix", x);
        }),
        ("none: 0x9x7 has no elements", |r, x| {
            r.conv2d("none", x, ConvSpec::new(0));
        }),
        ("cat: x cannot be part of a concatenation", |r, x| {
            r.concat("cat", &[x]);
        }),
    ];
    for (expected, record) in cases {
        let mut recorder = Recorder::new("test");
        let x = recorder.input("x", Shape::new(4, 9, 7), Element::Half);
        let panic = catch_unwind(AssertUnwindSafe(|| record(&mut recorder, x))).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains(expected), "expected \"{expected}\", found \"{message}\"");
    }
}
