//! What a driver typically asks for: signals that move everything the network can show.

use std::f32::consts::PI;

use glam::{Quat, Vec2, Vec3};

use crate::geometry::FaceShape;
use crate::signal::{DrivingSignal, Motion};

/// Points of the upper lids, each with the point of the lower lid that it meets.
const LIDS: [[usize; 2]; 14] = [
    [246, 7],
    [161, 163],
    [160, 144],
    [159, 145],
    [158, 153],
    [157, 154],
    [173, 155],
    [466, 249],
    [388, 390],
    [387, 373],
    [386, 374],
    [385, 380],
    [384, 381],
    [398, 382],
];
/// Middles of the brows, corners of the mouth, the middle of the lower inner lip, and the chin.
const BROWS: [usize; 2] = [105, 334];
const CORNERS: [(usize, f32); 2] = [(61, -1.0), (291, 1.0)];
const LOWER_LIP: usize = 14;
const CHIN: usize = 152;

/// Rest, each expression, each turn, and some of both.
pub(super) fn typical_signals(shape: &FaceShape, size_px: usize) -> Vec<DrivingSignal> {
    let rest = || DrivingSignal::rest(shape, size_px, Motion::Relative);
    let turned = |yaw: f32, pitch: f32, roll: f32| DrivingSignal {
        rotation: Quat::from_rotation_y(yaw.to_radians())
            * Quat::from_rotation_x(pitch.to_radians())
            * Quat::from_rotation_z(roll.to_radians()),
        ..rest()
    };
    let moved = |x: f32, y: f32, scale: f32| DrivingSignal { translation: Vec2::new(x, y), scale, ..rest() };
    let mut signals = vec![rest(), rest(), rest(), rest(), rest()];
    open_mouth(&mut signals[1], shape, 0.3);
    smile(&mut signals[2], shape, 0.06);
    shut_eyes(&mut signals[3], shape);
    raise_brows(&mut signals[4], shape, 0.06);
    signals.extend([turned(20.0, 0.0, 0.0), turned(-20.0, 0.0, 0.0), turned(0.0, 12.0, 0.0), turned(0.0, -12.0, 0.0)]);
    signals.extend([moved(0.15, 0.05, 1.15), moved(-0.15, -0.05, 0.85), turned(12.0, 6.0, 15.0)]);
    let last = signals.len() - 1;
    open_mouth(&mut signals[last], shape, 0.15);
    smile(&mut signals[last - 1], shape, -0.04);
    shut_eyes(&mut signals[5], shape);
    open_mouth(&mut signals[6], shape, 0.1);
    signals
}

/// Moves what is around a point, less the farther it is.
fn pull(signal: &mut DrivingSignal, shape: &FaceShape, around: usize, radius: f32, shift: Vec3) {
    let centre = shape.points[around];
    for (moved, point) in signal.displacement.iter_mut().zip(&shape.points) {
        let near = (1.0 - point.distance(centre) / radius).max(0.0);
        *moved += shift * (0.5 - 0.5 * (PI * near).cos());
    }
}

/// Lowers jaw and lower lip by `amount` face widths.
fn open_mouth(signal: &mut DrivingSignal, shape: &FaceShape, amount: f32) {
    let lip = shape.points[LOWER_LIP];
    let height = (shape.points[CHIN].y - lip.y).max(0.1);
    for (moved, point) in signal.displacement.iter_mut().zip(&shape.points) {
        let is_below = point.y >= lip.y - 0.005;
        let aside = ((point.x - lip.x) / (2.0 * height)).abs().min(1.0);
        moved.y += if is_below { amount * (1.0 - aside * aside) } else { 0.0 };
    }
    signal.mouth_openness += amount;
}

fn smile(signal: &mut DrivingSignal, shape: &FaceShape, amount: f32) {
    for (corner, side) in CORNERS {
        pull(signal, shape, corner, 0.35, Vec3::new(side, -0.7, 0.0) * amount);
    }
}

fn raise_brows(signal: &mut DrivingSignal, shape: &FaceShape, amount: f32) {
    for brow in BROWS {
        pull(signal, shape, brow, 0.3, Vec3::NEG_Y * amount);
    }
}

fn shut_eyes(signal: &mut DrivingSignal, shape: &FaceShape) {
    for [upper, lower] in LIDS {
        signal.displacement[upper] = shape.points[lower] - shape.points[upper];
    }
    signal.eye_openness = [0.0; 2];
}
