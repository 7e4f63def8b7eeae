//! What covers a face: how much of each of its points lies behind something.

use glam::Vec2;

use super::crop::Crop;
use super::landmarker::SIZE_PX as SEEN_PX;
use super::{Landmarks, N_LANDMARKS};
use crate::error::Result;
use effigy_network::cpu::CpuExecutor;
use effigy_network::family::values_of;
use effigy_network::occlusion::{BUILT_IN, N_CELLS, SIZE_PX, plan, read};
use effigy_network::plan::{Adoption, Executor as _, TensorView, TensorViewMut};

/// For each point 0 where it is seen, 1 where it is covered.
pub(super) type Cover = [f32; N_LANDMARKS];

/// The occlusion network.
pub(super) struct OcclusionReader {
    executor: CpuExecutor,
    /// (3, 64, 64).
    planes: Vec<f32>,
    /// (16, 16).
    cells: Vec<f32>,
}

impl std::fmt::Debug for OcclusionReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OcclusionReader").finish_non_exhaustive()
    }
}

impl OcclusionReader {
    pub(super) fn new(n_threads: usize) -> Result<Self> {
        let (plan, tensors) = (plan(), read(BUILT_IN)?);
        let mut executor = CpuExecutor::new(plan.clone(), n_threads)?.in_f32();
        executor.adopt(&Adoption { params: values_of(&tensors, &plan)?, constants: Vec::new() })?;
        Ok(Self { executor, planes: vec![0.0; 3 * SIZE_PX * SIZE_PX], cells: vec![0.0; N_CELLS * N_CELLS] })
    }

    /// Says how much of each point is covered; `seen` is the picture that the landmark network was shown, (256, 256, 3) of
    /// 0..1, and `crop` where that lies in the frame.
    pub(super) fn read(&mut self, seen: &[f32], crop: &Crop, points_px: &Landmarks, out: &mut Cover) -> Result<()> {
        const STEP: usize = SEEN_PX / SIZE_PX;
        for (i, pixel) in (0..SIZE_PX * SIZE_PX).map(|i| (i, (i % SIZE_PX * STEP, i / SIZE_PX * STEP))) {
            let mut sum = [0.0; 3];
            for y in 0..STEP {
                let row = &seen[3 * ((pixel.1 + y) * SEEN_PX + pixel.0)..][..3 * STEP];
                row.as_chunks::<3>().0.iter().for_each(|sample| (0..3).for_each(|c| sum[c] += sample[c]));
            }
            (0..3).for_each(|c| self.planes[c * SIZE_PX * SIZE_PX + i] = sum[c] / (STEP * STEP) as f32);
        }
        self.executor.run(&[TensorView::F32(&self.planes)], &mut [TensorViewMut::F32(&mut self.cells)])?;
        for (covered, point) in out.iter_mut().zip(points_px) {
            *covered = self.between(crop.crop_from_frame(point.truncate()) * N_CELLS as f32 - 0.5);
        }
        Ok(())
    }

    /// The answer between the middles of cells.
    fn between(&self, at: Vec2) -> f32 {
        let last = N_CELLS as f32 - 1.0;
        let at = at.clamp(Vec2::ZERO, Vec2::splat(last));
        let low = at.floor().min(Vec2::splat(last - 1.0));
        let t = at - low;
        let cell = |x: usize, y: usize| self.cells[(low.y as usize + y) * N_CELLS + low.x as usize + x];
        let row = |y: usize| cell(0, y) + (cell(1, y) - cell(0, y)) * t.x;
        row(0) + (row(1) - row(0)) * t.y
    }
}
