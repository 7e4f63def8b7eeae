//! The ICT-FaceKit head: neutral shape, identity modes and expression shapes.

use std::path::Path;

use super::{
    Error, ErrorKind,
    math::{V3, v3},
    npz::{ANY, Npz},
};

/// Surfaces of the head mesh that the renderer tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Surface {
    /// Skin of face and neck.
    Face,
    /// Skin under the hair.
    BackHead,
    /// Gums, tongue, socket of the mouth.
    Mouth,
    /// Teeth.
    Teeth,
    /// Eyeballs.
    Eye,
    /// Lashes.
    Lashes,
    /// Clothes; not part of the head model.
    Cloth,
    /// Glasses; not part of the head model.
    Glasses,
}

/// One expression shape, stored for the vertices that it moves.
pub struct Shape {
    /// The shape's name, as the file has it.
    pub name: String,
    /// The vertices it moves and by how much, in centimetres.
    pub moved: Vec<(u32, V3)>,
}

/// The parametric head, in cm; +x is the subject's left, +y up, +z forward.
pub struct HeadModel {
    /// Vertices of the mean head at rest, in centimetres.
    pub neutral: Vec<V3>,
    /// Texture coordinates, 0..1.
    pub uv: Vec<[f32; 2]>,
    /// Triangles that are drawn, by surface; lashes only give curves.
    pub triangles: Vec<[u32; 3]>,
    /// Texture coordinates of the triangles.
    pub triangles_uv: Vec<[u32; 3]>,
    /// What each triangle is made of.
    pub surfaces: Vec<Surface>,
    /// For each vertex of the lash cards: its place on the card (u along the lid, v from tip to root).
    pub lash_uv: Vec<(u32, [f32; 2])>,
    /// Expressions.
    pub shapes: Vec<Shape>,
    /// Displacements of all vertices for one standard deviation of each mode.
    pub identity_modes: Vec<Vec<V3>>,
}

/// Vertices of the whole model.
const N_VERTICES: usize = 26_719;
/// First vertices of the parts, as the model's authors list them.
pub const FACE_VERTICES: std::ops::Range<usize> = 0..9409;
/// Vertices of the skin.
pub const SKIN_VERTICES: std::ops::Range<usize> = 0..11248;
/// Vertices of the mouth's socket.
pub const MOUTH_SOCKET_VERTICES: std::ops::Range<usize> = 11248..13294;
/// Vertices of gums, teeth and tongue.
pub const INNER_MOUTH_VERTICES: std::ops::Range<usize> = 14062..21451;
/// Vertices of the sclera and cornea, left then right.
pub const SCLERA_VERTICES: [std::ops::Range<usize>; 2] = [21451..22221, 23021..23791];
/// Vertices of the globe behind the sclera, left then right: their box gives centre and radius.
pub const GLOBE_VERTICES: [std::ops::Range<usize>; 2] = [22221..23021, 23791..24591];

impl HeadModel {
    /// Loads `ict_facekit.npz`.
    ///
    /// # Errors
    /// When the file is missing, or an array is missing, of another shape, or names a vertex that there is not.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let mut npz = Npz::open(path)?;
        let points =
            |numbers: &[f32]| -> Vec<V3> { numbers.as_chunks::<3>().0.iter().map(|p| v3(p[0], p[1], p[2])).collect() };
        let n = N_VERTICES;
        let neutral = points(&npz.numbers("neutral", &[n, 3])?);
        let uv: Vec<[f32; 2]> = npz.numbers("uv", &[ANY, 2])?.as_chunks::<2>().0.to_vec();
        let faces = npz.numbers("faces", &[ANY, 4])?;
        let n_faces = faces.len() / 4;
        let faces_uv = npz.numbers("faces_uv", &[n_faces, 4])?;
        check_indices("faces", &faces, n)?;
        check_indices("faces_uv", &faces_uv, uv.len())?;
        let material = npz.numbers("mat", &[n_faces])?;
        let names = npz.text("mat_names", &[ANY])?;
        let mut model = Self {
            neutral,
            uv,
            triangles: Vec::new(),
            triangles_uv: Vec::new(),
            surfaces: Vec::new(),
            lash_uv: Vec::new(),
            shapes: Vec::new(),
            identity_modes: Vec::new(),
        };
        let mut lash_of = vec![None; n];
        for (i, (f, t)) in faces.as_chunks::<4>().0.iter().zip(faces_uv.as_chunks::<4>().0).enumerate() {
            let surface = match names.get(material[i] as usize).map_or("", String::as_str) {
                "M_Face" => Surface::Face,
                "M_BackHead" => Surface::BackHead,
                "M_GumsTongue" => Surface::Mouth,
                "M_Teeth" => Surface::Teeth,
                "M_ScleraLeft" | "M_ScleraRight" => Surface::Eye,
                "M_EyeLashes" => Surface::Lashes,
                // The iris lies behind the opaque sclera and the wet films are shaded, not drawn.
                _ => continue,
            };
            if surface == Surface::Lashes {
                for (v, t) in f.iter().zip(t).filter(|(v, t)| **v >= 0.0 && **t >= 0.0) {
                    lash_of[*v as usize] = Some(model.uv[*t as usize]);
                }
                continue;
            }
            for corners in [[0, 1, 2], [0, 2, 3]] {
                if corners.iter().any(|c| f[*c] < 0.0 || t[*c] < 0.0) {
                    continue;
                }
                model.triangles.push(corners.map(|c| f[c] as u32));
                model.triangles_uv.push(corners.map(|c| t[c] as u32));
                model.surfaces.push(surface);
            }
        }
        model.lash_uv = lash_of.iter().enumerate().filter_map(|(v, uv)| uv.map(|uv| (v as u32, uv))).collect();
        let deltas = npz.numbers("expr", &[ANY, n, 3])?;
        let names = npz.text("expr_names", &[deltas.len() / (3 * n)])?;
        for (name, delta) in names.into_iter().zip(deltas.chunks_exact(3 * n)) {
            let moved = points(delta)
                .into_iter()
                .enumerate()
                .filter(|(_, d)| d.dot(*d) > 1e-8)
                .map(|(v, d)| (v as u32, d))
                .collect();
            model.shapes.push(Shape { name, moved });
        }
        model.identity_modes = npz.numbers("ident", &[ANY, n, 3])?.chunks_exact(3 * n).map(points).collect();
        Ok(model)
    }

    /// Index of the shape called `name` in the model's own spelling.
    pub fn shape_index(&self, name: &str) -> Option<usize> {
        self.shapes.iter().position(|s| s.name == name)
    }

    /// Centre and radius of an eyeball (0 left, 1 right) of the given head.
    pub fn globe(vertices: &[V3], side: usize) -> (V3, f32) {
        let mut lo = V3::splat(1e9);
        let mut hi = V3::splat(-1e9);
        for p in &vertices[GLOBE_VERTICES[side].clone()] {
            lo = v3(lo.x.min(p.x), lo.y.min(p.y), lo.z.min(p.z));
            hi = v3(hi.x.max(p.x), hi.y.max(p.y), hi.z.max(p.z));
        }
        let radius_cm = 0.25 * (hi.x - lo.x + hi.y - lo.y);
        (v3(0.5 * (lo.x + hi.x), 0.5 * (lo.y + hi.y), hi.z - radius_cm), radius_cm)
    }
}

/// Refuses indices beyond `n`; -1 stands for the fourth corner of a triangle.
fn check_indices(name: &str, indices: &[f32], n: usize) -> Result<(), Error> {
    let Some(index) = indices.iter().find(|index| !(-1.0..n as f32).contains(*index)) else { return Ok(()) };
    Err(Error::new(ErrorKind::Model, format!("head model array {name} has the index {index}, expected below {n}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_of_something_that_there_is() {
        check_indices("faces", &[0.0, 6.0, -1.0], 7).unwrap();
        for index in [7.0, -2.0, f32::NAN] {
            let error = check_indices("faces", &[0.0, index], 7).unwrap_err();
            assert!(error.kind() == ErrorKind::Model && error.to_string().contains("array faces"), "{error}");
        }
        assert!(check_indices("faces_uv", &[0.0], 0).is_err());
    }
}
