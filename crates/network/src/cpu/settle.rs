//! Chooses how much runs in 8 bits, by examples.

use super::CpuExecutor;
use super::bytes;
use super::direct::DirectModel;
use super::ladder::{Rung, climb};
use super::lower::{self, Form};
use super::model::Model;
use super::ranges::{Ranges, shown};
use crate::plan::{Element, Executor as _, Role, TensorView, TensorViewMut};
use effigy_base::error::Result;

/// How close the picture in 8 bits has to be to the one in f32, at the least close example, in dB PSNR.
///
/// Where a picture is P dB from the truth, an independent error of this size makes it worse by
/// `10 log10(1 + 10^((P - 41.5) / 10))` dB: 0.3 dB for P = 30, about the best that frames driven by others reach.
pub const LEAST_PSNR_DB: f64 = 41.5;

/// Whether this processor sums products of bytes in one instruction: without it 8 bits are slower, and their sums of two
/// products saturate.
pub(super) fn multiplies_bytes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("dotprod");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

impl CpuExecutor {
    /// Watches the examples in f32, tries them in 8 bits, and keeps the first rung that is close enough.
    pub(super) fn settle_on(&mut self, params: &[&[f32]], examples: &[Vec<TensorView>]) -> Result<()> {
        if !self.may_use_bytes || self.rung.is_some() || examples.is_empty() || !self.makes_one_picture() {
            return Ok(());
        }
        let watching = self.watching(params)?;
        let exact = self.take(watching);
        let climbed = self.climb(params, examples);
        if let Ok((Some(rung), _)) = climbed {
            self.rung = Some(rung);
        } else {
            self.take(exact);
        }
        let (rung, psnr_db) = climbed?;
        let name = self.plan.name();
        match rung {
            Some(rung) => log::info!(
                "{name} runs in 8 bits ({}): its pictures are at least {psnr_db:.1} dB close, asked for {LEAST_PSNR_DB}",
                rung.name()
            ),
            None => log::info!(
                "{name} stays in f32: in 8 bits a picture is but {psnr_db:.1} dB close, asked for {LEAST_PSNR_DB}"
            ),
        }
        Ok(())
    }

    /// Runs in 8 bits as `rung` says from now on, however close that is; returns the PSNR of the example that is least
    /// close, in dB. For benches.
    ///
    /// # Errors
    /// As [`super::Executor::settle`].
    pub fn settle_at(&mut self, rung: Rung, params: &[&[f32]], examples: &[Vec<TensorView>]) -> Result<f64> {
        let watching = self.watching(params)?;
        self.take(watching);
        let mut expected = Vec::with_capacity(examples.len());
        let mut ranges = self.watch(examples, |picture| expected.push(picture))?;
        ranges.keep(rung, &self.plan);
        self.enter(params, &ranges)?;
        self.rung = Some(rung);
        let mut found = vec![0; self.n_picture_bytes()];
        let mut worst_db = f64::INFINITY;
        for (example, expected) in examples.iter().zip(&expected) {
            self.run(example, &mut [TensorViewMut::Bytes(&mut found)])?;
            worst_db = worst_db.min(psnr_db(&found, expected));
        }
        Ok(worst_db)
    }

    /// What the activations of typical inputs are, measured in f32, for as much in 8 bits as `rung` says; what was adopted
    /// stays.
    ///
    /// # Errors
    /// When ONNX Runtime fails.
    pub fn ranges_of(&mut self, rung: Rung, params: &[&[f32]], examples: &[Vec<TensorView>]) -> Result<Ranges> {
        let watching = self.watching(params)?;
        let exact = self.take(watching);
        let watched = self.watch(examples, |_| ());
        self.take(exact);
        let mut ranges = watched?;
        ranges.keep(rung, &self.plan);
        Ok(ranges)
    }

    /// Models that show what is rounded in 8 bits.
    fn watching(&self, params: &[&[f32]]) -> Result<Vec<Model>> {
        let sessions = self.open(|segment| lower::lower(&self.plan, segment, Form::Watched(params)))?;
        Ok(sessions.into_iter().map(Model::onnx).collect())
    }

    /// Runs the examples on watched models; `see` is shown each picture.
    fn watch(&mut self, examples: &[Vec<TensorView>], mut see: impl FnMut(Vec<u8>)) -> Result<Ranges> {
        let mut ranges = Ranges::new(&self.plan);
        for example in examples {
            let mut picture = vec![0; self.n_picture_bytes()];
            self.run(example, &mut [TensorViewMut::Bytes(&mut picture)])?;
            for (segment, model) in self.segments.iter().zip(&mut self.models) {
                for (i, &id) in segment.inputs.iter().enumerate() {
                    ranges.see_input(&self.plan, id, model.input_mut(i));
                }
                for (i, what) in shown(&self.plan, segment).enumerate() {
                    ranges.see_output(&self.plan, what, model.output(i));
                }
            }
            see(picture);
        }
        Ok(ranges)
    }

    fn n_picture_bytes(&self) -> usize {
        self.plan.of_role(Role::Output).map(|id| 4 * self.plan.tensor(id).shape.len()).sum()
    }

    fn makes_one_picture(&self) -> bool {
        let mut outputs = self.plan.of_role(Role::Output);
        matches!((outputs.next(), outputs.next()), (Some(id), None) if self.plan.tensor(id).element == Element::Word)
    }

    /// Replaces the watched models by such in 8 bits, rung by rung; returns the rung that is close enough, and how close the
    /// last was that was tried.
    fn climb(&mut self, params: &[&[f32]], examples: &[Vec<TensorView>]) -> Result<(Option<Rung>, f64)> {
        let mut expected = Vec::with_capacity(examples.len());
        let mut ranges = self.watch(examples, |picture| expected.push(picture))?;
        let mut order: Vec<usize> = (0..examples.len()).collect();
        let mut found = vec![0; self.n_picture_bytes()];
        climb(LEAST_PSNR_DB, |rung| {
            ranges.keep(rung, &self.plan);
            self.enter(params, &ranges)?;
            let mut worst_db = f64::INFINITY;
            for at in 0..order.len() {
                self.run(&examples[order[at]], &mut [TensorViewMut::Bytes(&mut found)])?;
                worst_db = worst_db.min(psnr_db(&found, &expected[order[at]]));
                if worst_db < LEAST_PSNR_DB {
                    // One is enough to refuse a rung, and likely to refuse the next.
                    order.swap(0, at);
                    break;
                }
            }
            Ok(worst_db)
        })
    }

    /// Takes models in 8 bits.
    fn enter(&mut self, params: &[&[f32]], ranges: &Ranges) -> Result<()> {
        let model = |(i, segment)| {
            let direct = self.may_use_loops.then(|| DirectModel::new(&self.plan, segment, params, ranges)).flatten();
            match direct {
                Some(model) => Ok(Model::Direct(model)),
                None => self.open_one(i, &bytes::lower(&self.plan, segment, params, ranges)?).map(Model::onnx),
            }
        };
        let models = self.segments.iter().enumerate().map(model).collect::<Result<_>>()?;
        self.take(models);
        Ok(())
    }
}

/// PSNR of two RGBA pictures where either shows something, colour counted by its alpha.
pub fn psnr_db(found: &[u8], expected: &[u8]) -> f64 {
    let (mut squares, mut n) = (0.0, 0_u32);
    for (a, b) in found.as_chunks::<4>().0.iter().zip(expected.as_chunks::<4>().0) {
        if a[3] == 0 && b[3] == 0 {
            continue;
        }
        n += 4;
        let shown = |p: &[u8; 4], c: usize| f64::from(p[c]) * f64::from(p[3]) / 255.0;
        squares += (0..3).map(|c| (shown(a, c) - shown(b, c)).powi(2)).sum::<f64>();
        squares += (f64::from(a[3]) - f64::from(b[3])).powi(2);
    }
    10.0 * (255.0_f64.powi(2) * f64::from(n.max(1)) / squares).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closeness_counts_what_is_seen() {
        let (shown, hidden) = ([100, 100, 100, 255], [9, 9, 9, 0]);
        let picture = [shown, hidden, hidden].concat();
        assert_eq!(psnr_db(&picture, &picture), f64::INFINITY);
        let unseen = [shown, [200, 0, 50, 0], hidden].concat();
        assert_eq!(psnr_db(&unseen, &picture), f64::INFINITY);
        // One of four samples is 10 of 255 off: the mean square is 25.
        let off = [[110, 100, 100, 255], hidden, hidden].concat();
        assert!((psnr_db(&off, &picture) - 34.15).abs() < 0.01, "{}", psnr_db(&off, &picture));
    }
}
