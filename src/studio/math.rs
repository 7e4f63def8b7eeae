//! Three-vectors, 3×3 matrices and the few scalar curves that shading needs.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// Three numbers: a point or direction (cm, y up), or a linear colour (r, g, b).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct V3 {
    /// First.
    pub x: f32,
    /// Second.
    pub y: f32,
    /// Third.
    pub z: f32,
}

/// Makes a [`V3`].
#[inline]
pub const fn v3(x: f32, y: f32, z: f32) -> V3 {
    V3 { x, y, z }
}

impl V3 {
    /// All zero.
    pub const ZERO: Self = v3(0.0, 0.0, 0.0);
    /// All one.
    pub const ONE: Self = v3(1.0, 1.0, 1.0);

    /// All `s`.
    #[inline]
    pub const fn splat(s: f32) -> Self {
        v3(s, s, s)
    }
    /// The scalar product.
    #[inline]
    pub fn dot(self, o: Self) -> f32 {
        self.x * o.x + self.y * o.y + self.z * o.z
    }
    /// The vector product.
    #[inline]
    pub fn cross(self, o: Self) -> Self {
        v3(self.y * o.z - self.z * o.y, self.z * o.x - self.x * o.z, self.x * o.y - self.y * o.x)
    }
    /// The Euclidean length.
    #[inline]
    pub fn length(self) -> f32 {
        self.dot(self).sqrt()
    }
    /// Unit vector of the same direction; a null vector stays null.
    #[inline]
    pub fn unit(self) -> Self {
        self * (1.0 / self.length().max(1e-12))
    }
    /// `self` at `t` = 0, `o` at 1.
    #[inline]
    pub fn lerp(self, o: Self, t: f32) -> Self {
        self + (o - self) * t
    }
    /// `f` of each part.
    #[inline]
    pub fn map(self, f: impl Fn(f32) -> f32) -> Self {
        v3(f(self.x), f(self.y), f(self.z))
    }
    /// Mean of the three parts.
    #[inline]
    pub fn mean(self) -> f32 {
        (self.x + self.y + self.z) * (1.0 / 3.0)
    }
}

impl Add for V3 {
    type Output = Self;
    #[inline]
    fn add(self, o: Self) -> Self {
        v3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}
impl AddAssign for V3 {
    #[inline]
    fn add_assign(&mut self, o: Self) {
        *self = *self + o;
    }
}
impl Sub for V3 {
    type Output = Self;
    #[inline]
    fn sub(self, o: Self) -> Self {
        v3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}
impl Neg for V3 {
    type Output = Self;
    #[inline]
    fn neg(self) -> Self {
        v3(-self.x, -self.y, -self.z)
    }
}
impl Mul<f32> for V3 {
    type Output = Self;
    #[inline]
    fn mul(self, s: f32) -> Self {
        v3(self.x * s, self.y * s, self.z * s)
    }
}
impl Mul for V3 {
    type Output = Self;
    #[inline]
    fn mul(self, o: Self) -> Self {
        v3(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}
impl Div<f32> for V3 {
    type Output = Self;
    #[inline]
    fn div(self, s: f32) -> Self {
        self * (1.0 / s)
    }
}

/// A 3×3 matrix by rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct M3(pub [V3; 3]);

impl M3 {
    /// Changes nothing.
    pub const IDENTITY: Self = Self([v3(1.0, 0.0, 0.0), v3(0.0, 1.0, 0.0), v3(0.0, 0.0, 1.0)]);

    /// The matrix times `p`.
    #[inline]
    pub fn apply(&self, p: V3) -> V3 {
        v3(self.0[0].dot(p), self.0[1].dot(p), self.0[2].dot(p))
    }
    /// Product with the transpose: the inverse of a rotation.
    #[inline]
    pub fn apply_transposed(&self, p: V3) -> V3 {
        self.0[0] * p.x + self.0[1] * p.y + self.0[2] * p.z
    }
    /// The matrix times `o`.
    pub fn times(&self, o: &Self) -> Self {
        Self([o.apply_transposed(self.0[0]), o.apply_transposed(self.0[1]), o.apply_transposed(self.0[2])])
    }
    /// Rotation `Ry(yaw) · Rx(pitch) · Rz(roll)`: positive yaw turns +z towards +x
    /// (the subject's left), positive pitch turns +z down, positive roll turns +x up.
    pub fn from_euler_rads(yaw: f32, pitch: f32, roll: f32) -> Self {
        let (sy, cy) = yaw.sin_cos();
        let (sp, cp) = pitch.sin_cos();
        let (sr, cr) = roll.sin_cos();
        let about_y = Self([v3(cy, 0.0, sy), v3(0.0, 1.0, 0.0), v3(-sy, 0.0, cy)]);
        let about_x = Self([v3(1.0, 0.0, 0.0), v3(0.0, cp, -sp), v3(0.0, sp, cp)]);
        let about_z = Self([v3(cr, -sr, 0.0), v3(sr, cr, 0.0), v3(0.0, 0.0, 1.0)]);
        about_y.times(&about_x).times(&about_z)
    }
}

/// `a` at `t` = 0, `b` at 1.
#[inline]
pub fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// Hermite step from 0 at `lo` to 1 at `hi`; `lo > hi` gives the falling step.
#[inline]
pub fn smoothstep(lo: f32, hi: f32, x: f32) -> f32 {
    let t = ((x - lo) / (hi - lo)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Bell curve of height 1 and width `sigma`.
#[inline]
pub fn bell(x: f32, sigma: f32) -> f32 {
    (-0.5 * (x / sigma) * (x / sigma)).exp()
}

/// Piecewise-linear curve through `(x, y)` points with rising x; constant outside.
pub fn curve(points: &[(f32, f32)], x: f32) -> f32 {
    let mut last = points[0];
    if x <= last.0 {
        return last.1;
    }
    for &p in &points[1..] {
        if x < p.0 {
            return lerp(last.1, p.1, (x - last.0) / (p.0 - last.0));
        }
        last = p;
    }
    last.1
}

/// Distance from `p` to the segment `a`–`b`.
#[inline]
pub fn segment_distance(p: V3, a: V3, b: V3) -> f32 {
    let ab = b - a;
    let t = ((p - a).dot(ab) / ab.dot(ab).max(1e-9)).clamp(0.0, 1.0);
    (p - a - ab * t).length()
}

/// Area-weighted vertex normals.
pub(super) fn normals(vertices: &[V3], triangles: &[[u32; 3]]) -> Vec<V3> {
    let mut out = vec![V3::ZERO; vertices.len()];
    for t in triangles {
        let [a, b, c] = t.map(|v| vertices[v as usize]);
        let n = (b - a).cross(c - a);
        t.iter().for_each(|v| out[*v as usize] += n);
    }
    out.iter_mut().for_each(|n| *n = n.unit());
    out
}
