//! How long a frame should take on a graphics card that is not here: an estimate from the roofline, no measurement.
//!
//! For each op the longer of computing and moving its data, plus the cost of one node of a graph; then the copies from
//! and to the host. Real times lie two to three times off in either direction: the estimate orders cards and finds the
//! ops that will be dear, and is printed as an estimate, with its assumptions.

use std::fmt;

use super::plan::{Element, Op, Plan, Role};

/// Share of the tensor cores' peak that a convolution reaches when it has work for all of them.
const COMPUTE_SHARE: f64 = 0.35;
/// Share of the memory's peak that copies and samplers reach.
const MEMORY_SHARE: f64 = 0.7;
/// One kernel after another within a graph: starting it and draining the one before.
const NODE_SECS: f64 = 2.5e-6;
/// Launching the graph and waiting for its end.
const FRAME_SECS: f64 = 20e-6;
/// Copies over PCI Express, one of them.
const COPY_SECS: f64 = 8e-6;
/// Pixels and channels of the smallest block that a convolution is cut into.
const SMALLEST_BLOCK: (usize, usize) = (128, 16);

/// A card's numbers from its data sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CardModel {
    /// What it is sold as.
    pub name: &'static str,
    /// Multiprocessors.
    pub n_multiprocessors: usize,
    /// Boost clock.
    pub clock_ghz: f64,
    /// Operations (two for a multiplication with addition) of one multiprocessor's tensor cores in a cycle, f16 with
    /// f32 sums, dense.
    pub flop_per_cycle: f64,
    /// Its memory's peak.
    pub memory_gb_per_s: f64,
    /// What its PCI Express slot moves in practice.
    pub bus_gb_per_s: f64,
}

/// Cards that users have, from the oldest that will do to the largest.
///
/// Consumer cards halve their tensor rate for f32 sums; the H100 and H200 reach some 60 % of theirs by `mma.sync`,
/// which our kernels use, and are listed with that.
pub const CARDS: [CardModel; 11] = [
    card("GeForce RTX 2060", 30, 1.68, 512.0, 336.0, 11.0),
    card("Tesla T4", 40, 1.59, 1024.0, 320.0, 11.0),
    card("GeForce RTX 3050 Laptop", 16, 1.5, 512.0, 192.0, 11.0),
    card("GeForce RTX 3060", 28, 1.777, 512.0, 360.0, 20.0),
    card("GeForce RTX 3080", 68, 1.71, 512.0, 760.0, 20.0),
    card("GeForce RTX 4060", 24, 2.46, 512.0, 272.0, 11.0),
    card("L4", 58, 2.04, 1024.0, 300.0, 20.0),
    card("GeForce RTX 4090", 128, 2.52, 512.0, 1008.0, 20.0),
    card("A100 80 GB", 108, 1.41, 2048.0, 1935.0, 20.0),
    card("H100", 132, 1.755, 2458.0, 3350.0, 40.0),
    card("H200", 132, 1.785, 2458.0, 4800.0, 40.0),
];

const fn card(
    name: &'static str,
    n_multiprocessors: usize,
    clock_ghz: f64,
    flop_per_cycle: f64,
    memory_gb_per_s: f64,
    bus_gb_per_s: f64,
) -> CardModel {
    CardModel { name, n_multiprocessors, clock_ghz, flop_per_cycle, memory_gb_per_s, bus_gb_per_s }
}

/// What a frame should take on one card, by what it is spent on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Ops that compute longer than they move data.
    pub compute_secs: f64,
    /// Ops that move data longer than they compute.
    pub memory_secs: f64,
    /// Starting kernels, the graph, and the wait.
    pub launch_secs: f64,
    /// From and to the host.
    pub copy_secs: f64,
}

impl Estimate {
    /// All of it.
    pub fn total_secs(&self) -> f64 {
        self.compute_secs + self.memory_secs + self.launch_secs + self.copy_secs
    }
}

impl CardModel {
    /// What one frame of `plan` should take.
    pub fn estimate(&self, plan: &Plan) -> Estimate {
        let peak = self.n_multiprocessors as f64 * self.clock_ghz * 1e9 * self.flop_per_cycle;
        let mut estimate = Estimate {
            compute_secs: 0.0,
            memory_secs: 0.0,
            launch_secs: FRAME_SECS + NODE_SECS * plan.steps().len() as f64,
            copy_secs: 0.0,
        };
        for (_, op) in plan.steps() {
            let memory = plan.bytes(op) as f64 / (self.memory_gb_per_s * 1e9 * MEMORY_SHARE);
            let compute = 2.0 * plan.macs(op) as f64 / (peak * COMPUTE_SHARE * self.occupied(plan, op));
            if compute > memory {
                estimate.compute_secs += compute;
            } else {
                estimate.memory_secs += memory;
            }
        }
        for id in plan.of_role(Role::Input).chain(plan.of_role(Role::Output)) {
            let tensor = plan.tensor(id);
            let bytes = tensor.shape.len() * if tensor.element == Element::Half { 2 } else { 4 };
            estimate.copy_secs += COPY_SECS + bytes as f64 / (self.bus_gb_per_s * 1e9);
        }
        estimate
    }

    /// Share of the multiprocessors that an op has work for. What is no convolution runs beside the tensor cores, at
    /// an eighth of their rate.
    fn occupied(&self, plan: &Plan, op: &Op) -> f64 {
        let y = plan.tensor(op.writes()).shape;
        match op {
            Op::Conv2d(_) | Op::UpConv2d(_) => {
                let n_blocks = (y.h * y.w).div_ceil(SMALLEST_BLOCK.0) * y.c.div_ceil(SMALLEST_BLOCK.1);
                (n_blocks as f64 / self.n_multiprocessors as f64).min(1.0)
            }
            Op::Linear(_) | Op::Warp(_) | Op::Motion(_) | Op::Raster(_) | Op::Finish(_) => 0.125,
        }
    }
}

/// The table that `effigy devices --model` prints.
#[derive(Clone, Copy, Debug)]
pub struct Estimates<'a>(pub &'a Plan);

impl fmt::Display for Estimates<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "estimated time of a frame of {}, measured on none of these cards; may be 3 times off",
            self.0.name()
        )?;
        writeln!(
            f,
            "  assumed: {:.0} % of the tensor peak (f16, f32 sums) where there are blocks for all multiprocessors, \
             {:.0} % of the memory's, nothing kept in caches, {:.1} us a kernel, {:.0} us a frame, copies over PCI Express",
            COMPUTE_SHARE * 100.0,
            MEMORY_SHARE * 100.0,
            NODE_SECS * 1e6,
            FRAME_SECS * 1e6
        )?;
        let titles = ["compute", "memory", "launches", "copies", "total ms"];
        let [a, b, c, d, e] = titles;
        writeln!(f, "  {:<26}{a:>9}{b:>9}{c:>9}{d:>9}{e:>10}", "card")?;
        for card in CARDS {
            let estimate = card.estimate(self.0);
            let parts = [
                estimate.compute_secs,
                estimate.memory_secs,
                estimate.launch_secs,
                estimate.copy_secs,
                estimate.total_secs(),
            ];
            let [a, b, c, d, e] = parts.map(|secs| secs * 1e3);
            writeln!(f, "  {:<26}{a:>9.2}{b:>9.2}{c:>9.2}{d:>9.2}{e:>10.2}", card.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{FrameOptions, Size, frame};

    #[test]
    fn the_table_says_that_it_is_an_estimate_and_orders_cards_and_sizes() {
        let (small, large) = (frame(&FrameOptions::new(Size::Small, 512)), frame(&FrameOptions::new(Size::Large, 512)));
        for card in CARDS {
            let (small, large) = (card.estimate(&small), card.estimate(&large));
            assert!(small.total_secs() < large.total_secs(), "{}", card.name);
            let parts = [small.compute_secs, small.memory_secs, small.launch_secs, small.copy_secs];
            assert!(parts.iter().all(|secs| (0.0..0.1).contains(secs)), "{}: {small:?}", card.name);
        }
        let secs = |name: &str| {
            let card = CARDS.iter().find(|card| card.name.ends_with(name)).unwrap();
            card.estimate(&large).total_secs()
        };
        assert!(secs("4090") < secs("3060") && secs("3060") < secs("3050 Laptop"));
        let table = Estimates(&large).to_string();
        assert!(table.starts_with("estimated time of a frame of large 512, measured on none"), "{table}");
        assert_eq!(table.lines().count(), 3 + CARDS.len(), "{table}");
    }
}
